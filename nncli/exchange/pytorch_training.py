"""The training of a network as a PyTorch script, for one process or, by torchrun, for several.

Three files of one name: the script (.py), the weights that it begins with (.weights.safetensors),
and what nncli's first steps come to (.steps.safetensors), which the script reproduces.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from nncli.core import safetensors_format
from nncli.exchange.pytorch import (
    class_lines,
    functional_import,
    literal,
    module_lines,
    plain,
    state_of,
)
from nncli.exchange.pytorch_layers import call_lines
from nncli.exchange.trained import PYTORCH, Files, Trained
from nncli.nn.arrays import Array
from nncli.nn.layers import BatchNorm, Dropout


class Reading(NamedTuple):
    """How a script reads its samples: lines of constants and functions, and what they need.

    train, validation: the expressions that read them; None: there are none.
    saved: arrays that lie beside the script, where it does not read the files themselves.
    """

    lines: tuple[str, ...]
    train: str
    validation: str | None
    saved: Mapping[str, Array]


class Recipe(NamedTuple):
    """What there is to know of a training besides its network.

    etas: η in each epoch. settings: of the optimizer, as `chain_of` takes them. frozen: names of
    parameters. held: rows of the training file that are held back. block: see `Plan`.
    steps: what nncli's first steps come to: `cost`, and each parameter after them; None where
    layers draw numbers of their own.
    """

    batch_size: int
    etas: Sequence[float]
    optimizer: str
    settings: Mapping[str, Any]
    frozen: Sequence[str]
    seed: int
    spawn_key: int
    shuffle: bool
    block: int | None
    window: int
    held: Array | None
    reading: Reading
    steps: Mapping[str, Array] | None


def to_training(trained: Trained, recipe: Recipe) -> Files:
    """The files of a training, `trained` being its network as it begins."""
    files = {".weights.safetensors": safetensors_format.pack(state_of(trained), PYTORCH)}
    data = dict(recipe.reading.saved)
    if recipe.held is not None:
        data["held"] = recipe.held
    if data:
        files[".data.safetensors"] = safetensors_format.pack(data, PYTORCH)
    if recipe.steps is not None:
        files[".steps.safetensors"] = safetensors_format.pack(dict(recipe.steps), PYTORCH)
    return {**files, ".py": "\n".join(script(trained, recipe)).encode() + b"\n"}


def script(trained: Trained, recipe: Recipe) -> Iterator[str]:
    """The lines of the script."""
    network, reading = trained.network, recipe.reading
    module = list(module_lines(trained))
    has_batchnorm = any(isinstance(p.layer, BatchNorm) for p in network.layers)
    needs_csv = any("csv." in line for line in reading.lines)
    yield HEAD.format(
        name=plain(trained.name),
        functional=functional_import(trained, module),
        csv="import csv\n" if needs_csv else "",
    )
    yield f"BATCH_SIZE, EPOCHS = {recipe.batch_size}, {len(recipe.etas)}"
    yield from _etas(recipe.etas)
    yield f"SHAPE = {tuple(network.input_shape)}  # of one sample's inputs"
    yield f"DTYPE = torch.{network.dtype}"
    if trained.classes is not None:
        yield from class_lines(trained.classes)
    if recipe.frozen:
        yield from call_lines("FROZEN = ", list(map(literal, recipe.frozen)), brackets="[]")
    yield from reading.lines
    yield ""
    yield ""
    yield from module
    yield ""
    yield ""
    cost = network.cost
    yield COST.format(meaning=cost.meaning, lines="\n".join(f"    {line}" for line in cost.pytorch))
    y = "targets[rows]" if trained.classes is None else "np.eye(len(CLASSES))[targets[rows]]"
    # Raw inputs stay in float64 until they are scaled.
    yield BATCH.format(y=y, device="like" if trained.scaling is None else "like.device")
    yield from _samples(recipe)
    yield from _order(recipe)
    yield from _optimizer(recipe)
    drawn = any(isinstance(p.layer, Dropout) for p in network.layers)
    classes = trained.classes is not None
    yield TAIL.format(
        sync=SYNC if has_batchnorm else "",
        freeze=FREEZE if recipe.frozen else "",
        check=NO_CHECK if recipe.steps is None else CHECK,
        accuracy=f"                right += {RIGHT}\n" if classes else "",
        zero=" = right" if classes else "",
        told=TOLD_RIGHT if classes else "told",
        seed=f"\n    torch.manual_seed({recipe.seed} + training.rank)" if drawn else "",
    )


def _etas(etas: Sequence[float]) -> Iterator[str]:
    if len(set(etas)) <= 1:
        yield f"ETAS = [{etas[0]!r}] * EPOCHS  # the learning rate in each epoch"
    else:
        yield "# The learning rate in each epoch."
        yield from call_lines("ETAS = ", [repr(eta) for eta in etas], brackets="[]")


def _samples(recipe: Recipe) -> Iterator[str]:
    yield "def samples() -> tuple[Any, Any, np.ndarray, np.ndarray | None]:"
    yield '    """What is trained on, and validated on, and which rows of each."""'
    yield f"    train = {recipe.reading.train}"
    if recipe.held is not None:
        yield '    held = load_arrays(DATA)["held"]'
        yield "    index = np.setdiff1d(np.arange(len(train[1])), held, assume_unique=True)"
        yield "    return train, train, index, held"
    elif recipe.reading.validation is not None:
        yield f"    held = {recipe.reading.validation}"
        yield "    return train, held, np.arange(len(train[1])), np.arange(len(held[1]))"
    else:
        yield "    return train, None, np.arange(len(train[1])), None"
    yield ""
    yield ""


def _order(recipe: Recipe) -> Iterator[str]:
    yield "def order(index: np.ndarray, epoch: int) -> np.ndarray:"
    yield '    """The samples of an epoch, the first being 0, in the order of nncli."""'
    if not recipe.shuffle:
        yield "    return index"
    else:
        key = f"({recipe.spawn_key}, epoch)"
        yield f"    seed = np.random.SeedSequence({recipe.seed}, spawn_key={key})"
        yield "    rng = np.random.default_rng(seed)"
        if recipe.block is None:
            yield "    return rng.permutation(index)"
        else:
            yield BLOCKS.format(block=recipe.block, window=recipe.window)
    yield ""
    yield ""


def _optimizer(recipe: Recipe) -> Iterator[str]:
    """The optimizer, and what gradients and weights go through before it."""
    settings = dict(recipe.settings)
    decay, decoupled, l1 = (settings[k] for k in ("weight_decay", "decoupled_weight_decay", "l1"))
    arguments = ["trained", f"lr={recipe.etas[0]!r}"]
    if recipe.optimizer == "adam":
        arguments.append(f"betas=({settings['beta1']!r}, {settings['beta2']!r})")
        arguments.append(f"eps={settings['epsilon']!r}")
    elif settings["momentum"]:
        arguments.append(f"momentum={settings['momentum']!r}")
        arguments += ["nesterov=True"] if settings["nesterov"] else []
    yield "def optimizer_of(network: Network) -> torch.optim.Optimizer:"
    yield "    trained = [p for p in network.parameters() if p.requires_grad]"
    name = {"sgd": "SGD", "adam": "Adam"}[recipe.optimizer]
    yield from call_lines(f"    return torch.optim.{name}", arguments)
    yield ""
    yield ""
    yield "def before_step(network: Network, eta: float) -> None:"
    yield '    """What gradients, and weights, go through before the optimizer."""'
    for key, most in settings["clip"].items():
        what = {"norm": "clip_grad_norm_", "value": "clip_grad_value_"}[key]
        yield f"    nn.utils.{what}(network.parameters(), {most!r})"
    each = [f"p.grad.add_(p, alpha={decay!r})"] if decay else []
    each += [f"p.grad.add_(p.sign(), alpha={l1!r})"] if l1 else []
    each += [f"p.mul_(1 - eta * {decoupled!r})"] if decoupled else []
    if each:
        chosen = "" if settings["decay_biases"] else ' and not name.endswith("bias")'
        yield "    with torch.no_grad():"
        yield "        for name, p in network.named_parameters():"
        yield f"            if p.requires_grad{chosen}:"
        yield from (f"                {line}" for line in each)
    yield ""
    yield ""


HEAD = '''\
"""{name}

A training of nncli in PyTorch: the same samples in the same order, the same first
weights, the same optimizer. Needs PyTorch, NumPy and safetensors.

    python FILE                               trains in this process
    torchrun --nproc-per-node 2 FILE          shares each mini-batch among two
    ... FILE --check                          compares the first steps with nncli's

What lies beside it belongs to it: the weights that it begins with
(.weights.safetensors), what nncli's first steps come to (.steps.safetensors).
"""

{csv}import os
import sys
from pathlib import Path
from typing import Any

try:
    import numpy as np
    import torch
    import torch.distributed as dist
{functional}    from safetensors.numpy import load_file as load_arrays
    from safetensors.torch import load_file, save_file
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel
except ImportError as error:
    raise ImportError(f"{{error}}: pip install torch numpy safetensors") from error

HERE = Path(__file__).resolve().parent
WEIGHTS = Path(__file__).with_suffix(".weights.safetensors")
DATA = Path(__file__).with_suffix(".data.safetensors")
STEPS = Path(__file__).with_suffix(".steps.safetensors")
TRAINED = Path(__file__).with_suffix(".trained.safetensors")'''

COST = '''\
def cost(model: Network, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """{meaning}."""
{lines}


class Cost(nn.Module):
    """The cost of a network as a module, whose backward pass processes can share."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return cost(self.network, x, y)

'''

BATCH = '''\
def batch(data: Any, rows: np.ndarray, like: torch.Tensor) -> list[torch.Tensor]:
    """Inputs and targets of some rows, where and of the type that `like` is."""
    inputs, targets = data
    x = np.asarray(inputs[rows], np.float64).reshape(-1, *SHAPE)
    y = torch.from_numpy({y}).to(like)
    return [torch.from_numpy(x).to({device}), y]

'''

BLOCKS = """\
    # Blocks of samples that are neighbours, and the samples of some blocks at a time.
    block, window = {block}, {window}
    starts = rng.permutation(np.arange(0, len(index), block))
    rows = np.concatenate([index[start : start + block] for start in starts])
    for start in range(0, len(rows), window):
        rng.shuffle(rows[start : start + window])
    return rows"""

SYNC = """\
        if world > 1 and not torch.cuda.is_available():
            sys.exit("batch normalisation over several processes needs GPUs")
        if world > 1:
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
"""

FREEZE = """\
        for name in FROZEN:
            network.get_parameter(name).requires_grad_(False)
"""

TOLD_RIGHT = 'f"{told}, accuracy {right / len(index):.2%}"'

RIGHT = "(network(x).argmax(1) == y.argmax(1)).sum().item()"

TAIL = '''\
class Training:
    """Steps of the network, each shared among the processes that there are."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.world = world = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        device = torch.device("cpu")
        if torch.cuda.is_available():
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(device)
        network = Network()
        if dtype == torch.float64:
            network.double()
        network.load_state_dict(load_file(WEIGHTS))
        network = network.to(device)
{freeze}{sync}        self.network = network.train()
        self.like = next(network.parameters()).detach()
        self.cost: nn.Module = Cost(network)
        if world > 1:
            if not dist.is_initialized():
                dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
            self.cost = DistributedDataParallel(self.cost)
        self.optimizer = optimizer_of(network)

    def step(self, data: Any, rows: np.ndarray, eta: float) -> float:
        """One step on these rows; the cost before it."""
        # Each process takes its share. DDP takes the mean over processes of what shall
        # be the mean over samples, so a share counts by how many it has; none, nothing.
        share = rows[self.rank :: self.world]
        weight = len(share) * self.world / len(rows)
        x, y = batch(data, share if len(share) else rows[:1], self.like)
        self.optimizer.zero_grad()
        c = self.cost(x, y) * weight
        c.backward()
        before_step(self.network, eta)
        for group in self.optimizer.param_groups:
            group["lr"] = eta
        self.optimizer.step()
        total = c.detach()
        if self.world > 1:
            dist.all_reduce(total)
        return total.item() / self.world

    def measure(self, data: Any, index: np.ndarray) -> str:
        """Cost and accuracy on samples that it is not trained on."""
        network = self.network.eval()
        total{zero} = 0.0
        with torch.no_grad():
            for start in range(0, len(index), 1000):
                rows = index[start : start + 1000]
                x, y = batch(data, rows, self.like)
                total += cost(network, x, y).item() * len(rows)
{accuracy}        network.train()
        told = f"validation cost {{total / len(index):.6g}}"
        return {told}


def main() -> None:
    training = Training(DTYPE)
    train, held, index, held_index = samples(){seed}
    for epoch, eta in enumerate(ETAS):
        rows, total = order(index, epoch), 0.0
        for start in range(0, len(rows), BATCH_SIZE):
            part = rows[start : start + BATCH_SIZE]
            total += training.step(train, part, eta) * len(part)
        # One process measures; it trains no worse for the others waiting.
        if training.rank == 0:
            line = f"epoch {{epoch + 1}}: cost {{total / len(rows):.6g}}"
            if held_index is not None:
                line += f", {{training.measure(held, held_index)}}"
            print(line, flush=True)
    if training.rank == 0:
        save_file(training.network.state_dict(), TRAINED)
        print(f"trained weights are in {{TRAINED.name}}")


{check}


if __name__ == "__main__":
    try:
        sys.exit(check() if "--check" in sys.argv[1:] else main())
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()'''

CHECK = '''\
def check() -> int:
    """Compares the first steps with nncli's, in float64; the exit status."""
    training, reference = Training(torch.float64), load_arrays(STEPS)
    train, _, index, _ = samples()
    costs = []
    for number in range(len(reference["cost"])):
        each = -(-len(index) // BATCH_SIZE)
        epoch, start = number // each, number % each * BATCH_SIZE
        rows = order(index, epoch)[start : start + BATCH_SIZE]
        costs.append(training.step(train, rows, ETAS[epoch]))
    named = training.network.named_parameters()
    here = {name: p.detach().cpu().numpy() for name, p in named}
    here["cost"] = np.array(costs)
    passed = True
    for name, there in reference.items():
        largest = max(np.abs(there).max(), 1e-3)
        difference = np.abs(here[name] - there).max() / largest
        passed = passed and bool(difference <= 1e-6)
        if training.rank == 0:
            print(f"  {name:30}  {difference:.1e}")
    if training.rank == 0:
        print(f"{len(costs)} steps on {training.world} process(es):", end=" ")
        print("PASSED" if passed else "FAILED")
    return 0 if passed else 1'''

NO_CHECK = """\
def check() -> int:
    print("dropout draws other masks than nncli does: there are no steps to compare")
    return 1"""
