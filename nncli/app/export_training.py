"""nncli.export(..., train=True): a training from its beginning, as a PyTorch script."""

import csv
import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from nncli.app.pipeline import prepare
from nncli.app.plan import frozen_parameters
from nncli.app.records import Prepared
from nncli.app.sources import source_of
from nncli.core.errors import NncliError
from nncli.core.files import files_of, is_pattern
from nncli.core.seeds import Stream
from nncli.data import Dataset, Pair
from nncli.data.readers.read import kind
from nncli.exchange.pytorch import as_pytorch, literal
from nncli.exchange.pytorch_layers import call_lines
from nncli.exchange.pytorch_training import Reading, Recipe
from nncli.exchange.trained import Trained
from nncli.nn.arrays import Array
from nncli.nn.optimizers import Optimizer
from nncli.spec import PairSpec
from nncli.training.steps import WINDOW, StepRunner

STEPS = 10
COMPARED = 1000  # samples at either end of a file, by which a reading is known to be right


def recipe_of(prepared: Prepared, trained: Trained, folder: Path) -> tuple[Recipe, Trained]:
    """What there is to know of a training, and its network as the script has it.

    Args:
        folder: in which the script will be.

    Raises:
        NncliError: η follows from what epochs come to, classes have weights, or two of them have
            one output.
    """
    spec, plan, data = prepared.spec, prepared.plan, prepared.data
    if plan.depends_on_epochs:
        raise spec.error_at(
            ("train", "schedule"),
            "η follows from what epochs come to, which the script does not look at; "
            "give it another schedule",
        )
    if data.preprocessing.class_weights is not None:
        raise spec.error_at(
            ("data", "class_weights"), "the script has a cost without weights; leave them out"
        )
    if data.classes is not None and data.outputs == 1:
        raise spec.error_at(
            ("network", len(spec.network) - 1, "units"),
            "the script has an output for each class, this network one for two; units: 2 would do, "
            "or export without --train",
        )
    exact = prepare(spec.model_copy(update={"dtype": "float64"}))
    reading = _own_reading(exact, trained, folder)
    if reading is None:
        reading = _saved(exact)
        trained = trained._replace(scaling=None)
    held = data.validation is not None and isinstance(spec.data.validation, float)
    recipe = Recipe(
        batch_size=plan.batch_size,
        etas=[plan.eta_in(epoch) for epoch in range(1, plan.epochs + 1)],
        optimizer=spec.train.optimizer.type,
        settings=spec.train.optimizer_settings(),
        frozen=frozen_parameters(spec),
        seed=spec.seed,
        spawn_key=int(Stream.SHUFFLE),
        shuffle=plan.shuffle,
        block=plan.block,
        window=WINDOW * (plan.block or 0),
        held=data.validation.index if held and data.validation is not None else None,
        reading=reading,
        steps=None if _draws(prepared) else _first_steps(prepared, exact),
    )
    return recipe, trained


def _draws(prepared: Prepared) -> bool:
    return any(placed.layer.type == "dropout" for placed in prepared.network.layers)


def _first_steps(prepared: Prepared, exact: Prepared) -> dict[str, Array]:
    """The costs of the first steps, and the parameters after them, in float64."""
    network, train = exact.network, exact.data.train
    network.parameters[...] = prepared.network.parameters
    runner = StepRunner(network, Optimizer(network, exact.links), exact.plan, train)
    left = min(STEPS, exact.plan.steps_left(len(train)))
    steps = islice(exact.plan.steps(train.index), left)
    costs = [runner.run(rows, eta, i, full=False)[1] for i, (eta, rows) in enumerate(steps, 1)]
    return {"cost": np.array(costs), **as_pytorch(network, network.parameters)}


# How the samples are read


def _saved(exact: Prepared) -> Reading:
    """Samples that lie beside the script, as nncli has read and scaled them."""
    data, saved = exact.data, dict[str, Array]()
    own = data.validation is not None and not isinstance(exact.spec.data.validation, float)
    parts = {"train": data.train, **({"validation": data.validation} if own else {})}
    for name, part in parts.items():
        assert part is not None
        saved |= _arrays(name, part, classes=data.classes is not None)
    return Reading(
        ("", "", *SAVED.splitlines()),
        'saved("train")',
        'saved("validation")' if own else None,
        saved,
    )


def _arrays(name: str, part: Dataset, *, classes: bool) -> dict[str, Array]:
    n = len(part.inputs)
    inputs, targets = _gathered(part, np.arange(n))
    return {
        f"{name}.inputs": inputs,
        f"{name}.targets": targets.argmax(axis=1) if classes else targets,
    }


def _gathered(part: Dataset, rows: Array) -> tuple[Array, Array]:
    inputs = np.empty((len(rows), *part.inputs.shape[1:]))
    targets = np.empty((len(rows), part.targets.shape[1]))
    part.gather(rows, inputs, targets)
    return inputs, targets


def _own_reading(exact: Prepared, trained: Trained, folder: Path) -> Reading | None:
    """How a script reads the spec's own files; None where nncli reads more from them than it can.

    The script's functions are run here, and what they give is compared with what nncli read.
    """
    d, data = exact.spec.data, exact.data
    tables = [d.train, *([d.validation] if isinstance(d.validation, str | PairSpec) else [])]
    sources = [source_of(exact.spec, table) for table in tables]
    if all(isinstance(source, Pair) for source in sources):
        lines, reads = _arrays_reading(sources, folder)
    elif all(isinstance(source, Path) for source in sources):
        lines, reads = _table_reading(exact, sources, folder)
    else:
        return None
    if not reads:
        return None
    if data.classes is not None:
        lines += ["", "", *LABELS.splitlines()]
    else:
        lines += ["", "", *NUMBERS.format(scaled=_scaled_targets(exact)).splitlines()]
    reading = Reading(tuple(lines), reads[0], reads[1] if len(reads) > 1 else None, {})
    parts = [data.train, *([data.validation] if len(reads) > 1 else [])]
    names: dict[str, Any] = {"HERE": folder.resolve(), "np": np, "csv": csv}
    names["CLASSES"] = data.classes
    try:
        exec("\n".join(lines), names)
        for expression, part in zip(reads, parts, strict=True):
            assert part is not None
            if not _agrees(eval(expression, names), part, trained, data.classes is not None):
                return None
    except (OSError, ValueError, KeyError, IndexError, csv.Error):
        return None
    return reading


def _agrees(found: tuple[Any, Array], part: Dataset, trained: Trained, classes: bool) -> bool:
    inputs, targets = found
    n = len(part.inputs)
    if len(targets) != n:
        return False
    rows = np.unique(np.concatenate([np.arange(n)[:COMPARED], np.arange(n)[-COMPARED:]]))
    raw = np.asarray(inputs[rows], np.float64).reshape(-1, *part.inputs.shape[1:])
    known, known_targets = _gathered(part, rows)
    scaled = trained.scaled(raw, np.float64)
    own = known_targets.argmax(axis=1) if classes else known_targets
    return np.array_equal(scaled, known) and np.array_equal(targets[rows], own)


def _scaled_targets(exact: Prepared) -> str:
    """The lines that give targets as the network has them, of `numbers`."""
    scaling = exact.data.preprocessing.target_scaling
    if scaling is None:
        return "    return numbers"
    offset, divisor = (np.ravel(x).tolist() for x in (scaling.offset, scaling.divisor))
    lines = [
        *call_lines("    offset = ", list(map(repr, offset)), brackets="[]"),
        *call_lines("    divisor = ", list(map(repr, divisor)), brackets="[]"),
        "    return (numbers - offset) / divisor",
    ]
    return "\n".join(lines)


Lines = tuple[list[str], list[str]]  # of constants and functions; the expressions that read parts


def _arrays_reading(sources: Sequence[Any], folder: Path) -> Lines:
    lines: list[str] = []
    reads: list[str] = []
    for part, pair in zip(("TRAIN", "VALIDATION"), sources, strict=False):
        names = [f"{part}_INPUTS", f"{part}_TARGETS"]
        for name, half in zip(names, pair, strict=True):
            if not isinstance(half, Path):
                return [], []
            files = files_of(half) if is_pattern(half) else [half]
            if any(kind(file) != "npy" or file.suffix == ".gz" for file in files):
                return [], []
            relative = [literal(_relative(file, folder)) for file in files]
            lines += call_lines(f"{name} = ", relative, brackets="[]")
        reads.append(f"read({', '.join(names)})")
    return [*lines, "", "", *ARRAYS.splitlines()], reads


def _table_reading(exact: Prepared, sources: Sequence[Any], folder: Path) -> Lines:
    preprocessing = exact.data.preprocessing
    if preprocessing.rules is not None or any(path.suffix != ".csv" for path in sources):
        return [], []
    try:
        with open(sources[0], newline="", encoding="utf-8-sig") as stream:
            first = next(csv.reader(stream), [])
    except (OSError, ValueError, csv.Error):
        return [], []
    header = first if preprocessing.columns is not None else None
    try:
        layout = preprocessing.lay_out(header, len(first), sources[0].name)
    except NncliError:
        return [], []
    lines = [f"FIRST_ROW = {0 if header is None else 1}"]
    first_input, inputs = layout.inputs[0], list(map(str, layout.inputs))
    if layout.inputs == list(range(first_input, first_input + len(inputs))):
        lines.append(f"INPUTS = range({first_input}, {first_input + len(inputs)})")
    else:
        lines += call_lines("INPUTS = ", inputs, brackets="[]")
    lines += [f"TARGETS = {layout.targets}", "", "", *TABLE.splitlines()]
    return lines, [f"read({literal(_relative(path, folder))})" for path in sources]


def _relative(path: Path, folder: Path) -> str:
    """A path as seen from the script's folder."""
    return os.path.relpath(path.resolve(), folder.resolve())


SAVED = '''\
def saved(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets as nncli read and scaled them."""
    arrays = load_arrays(DATA)
    return arrays[f"{part}.inputs"], arrays[f"{part}.targets"]'''

ARRAYS = '''\
class Rows:
    """Rows of .npy files, memory-mapped, as those of one array."""

    def __init__(self, files: list[str]) -> None:
        self.arrays = [np.load(HERE / file, mmap_mode="r") for file in files]
        self.ends = np.cumsum([len(array) for array in self.arrays])

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        parts = np.searchsorted(self.ends, rows, "right")
        # Counted from the end of its file, a row is below 0, which NumPy knows.
        pairs = zip(parts, rows - self.ends[parts], strict=True)
        return np.stack([self.arrays[part][row] for part, row in pairs])


def read(inputs: list[str], targets: list[str]) -> tuple[Rows, np.ndarray]:
    """Inputs and targets of files that belong together."""
    arrays = [np.load(HERE / file) for file in targets]
    return Rows(inputs), encoded(np.concatenate(arrays))'''

TABLE = '''\
def read(file: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of a table."""
    with open(HERE / file, newline="", encoding="utf-8-sig") as stream:
        rows = [row for row in csv.reader(stream) if row][FIRST_ROW:]
    inputs = np.array([[float(row[i]) for i in INPUTS] for row in rows])
    return inputs, encoded(np.array([[row[i] for i in TARGETS] for row in rows]))'''

LABELS = '''\
def encoded(labels: np.ndarray) -> np.ndarray:
    """The index of each label's class."""
    known = {name: i for i, name in enumerate(CLASSES)}
    return np.array([known[str(label)] for label in labels.ravel().tolist()])'''

NUMBERS = '''\
def encoded(targets: np.ndarray) -> np.ndarray:
    """Targets as the network has them: samples x outputs."""
    numbers = np.asarray(targets, np.float64).reshape(len(targets), -1)
{scaled}'''
