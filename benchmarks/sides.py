"""One side of the comparison, in a process of its own.

    python benchmarks/sides.py SIDE THREADS MNIST wall|cpu

reads lines of JSON, {"workload": name, "seconds": about how long a turn shall be}, and answers each
with {"seconds": of one step, "steps": in the turn}; the first turn of a workload warms up, and each
turn begins with half as long again that is not timed.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import workloads
from numpy.typing import NDArray
from workloads import Data, Workload

from nncli.nn.layers import Conv, Dense

clock = process_time if __name__ == "__main__" and sys.argv[4] == "cpu" else perf_counter

Epoch = Callable[[], tuple[float, int]]  # takes an epoch: seconds and steps
Parameters = Callable[[], np.ndarray]  # the flat vector, as nncli has it


class Nncli:
    """The trainer itself: what `nncli train` spends between two epochs' ends."""

    def __init__(self, threads: int) -> None:
        import nncli

        self.threads = threads
        self.version = nncli.__version__

    def epochs(self, workload: Workload, data: Data) -> tuple[Epoch, Parameters]:
        from nncli.data.dataset import Dataset
        from nncli.nn.optimizers import sgd
        from nncli.nn.parallel.worker_pool import start_workers
        from nncli.training import trainer as timed

        timed.perf_counter = clock  # type: ignore[attr-defined]
        net = workloads.network(workload, data)
        index = np.arange(len(data.inputs))
        train = Dataset(data.inputs, data.targets, index)
        few = Dataset(data.inputs, data.targets, index[:10])
        # As the command does it: the environment says how many threads there are.
        workers = start_workers(net, workload.batch_size, "auto")
        trainer = timed.Trainer(net, sgd(net), workloads.plan(workload), train, few, workers)
        events = trainer.events()

        def epoch() -> tuple[float, int]:
            steps = trainer.steps_taken
            for event in events:
                if hasattr(event, "train_seconds"):
                    return event.train_seconds, trainer.steps_taken - steps
            raise RuntimeError("the training diverged")

        return epoch, lambda: flat(net.views(net.parameters))

    def one_conv(self, workload: Workload) -> Epoch:
        from nncli.nn.arrays import execute
        from nncli.nn.layers import ConvStep, Workspace
        from nncli.nn.network import place_layers
        from nncli.nn.parallel.worker_pool import WorkerPool, buffers_for

        (placed,) = place_layers(workload.layers, workloads.ONE_CONV_SHAPE)
        buffers = buffers_for(self.threads)
        workers, zeros = WorkerPool(self.threads, processes=buffers.shared), buffers.zeros

        def shared(array: NDArray[Any]) -> NDArray[Any]:
            copy = zeros(array.shape, np.float32)
            copy[...] = array
            return copy

        rng = np.random.default_rng(0)
        n = workload.batch_size
        shapes = placed.parameter_shapes
        weights = {key: shared(rng.normal(0, 0.1, shape)) for key, shape in shapes.items()}
        shares = []
        for _ in range(self.threads):
            gradients = {key: zeros(w.shape, w.dtype) for key, w in weights.items()}
            input = shared(rng.random((*placed.input_shape, n // self.threads)))
            layer = ConvStep(placed, input, Workspace(zeros, n, weights, gradients, {}))
            layer.bind_upstream(shared(rng.random(layer.a.shape)))
            rules = (layer.forward, layer.multiply_hadamard, layer.backward, layer.backward_input)
            calls = [one for rule in rules for one in rule()]
            shares.append((calls, gradients))

        passes = workers.task([partial(execute, calls) for calls, _ in shares])

        def step() -> None:
            passes()
            for key, total in shares[0][1].items():
                for _, gradients in shares[1:]:
                    np.add(total, gradients[key], total)

        return repeated(step)


def flat(views: dict[str, dict[str, NDArray[Any]]]) -> NDArray[Any]:
    """Parameters one after the other, weights as inputs x units, however the engine stores them."""
    return np.concatenate([array.ravel() for own in views.values() for array in own.values()])


def repeated(step: Callable[[], object], count: int = 20) -> Epoch:
    def epoch() -> tuple[float, int]:
        start = clock()
        for _ in range(count):
            step()
        return clock() - start, count

    return epoch


class Torch:
    """PyTorch as its users would write it well: tensors, an index tensor, no closure, no loader.

    C is half the squared error summed over outputs, so the mean of MSELoss is that times 2/outputs.
    """

    compiled = False

    def __init__(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.torch = torch
        self.version = torch.__version__

    def model(self, workload: Workload, net: Any) -> Any:
        nn = self.torch.nn
        modules, views = [], net.views(net.parameters)
        for placed in net.layers:
            layer = placed.layer
            if layer.type == "conv":
                same = self.same(layer)
                module = nn.Conv2d(placed.input_shape[0], layer.filters, layer.kernel, padding=same)
            elif layer.type == "dense":
                module = nn.Linear(*placed.input_shape, layer.units)
            else:
                pools = layer.type == "avgpool"
                modules.append(nn.AvgPool2d(layer.size) if pools else nn.Flatten())
                continue
            own = views[placed.name]
            weight = own["weight"].T if layer.type == "dense" else own["weight"]
            with self.torch.no_grad():
                module.weight.copy_(self.torch.from_numpy(weight.copy()))
                module.bias.copy_(self.torch.from_numpy(own["bias"].copy()))
            modules += [module, nn.Sigmoid()]
        return nn.Sequential(*modules)

    def same(self, layer: Conv) -> tuple[int, int]:
        rows, columns = layer.kernel if layer.padding == "same" else (1, 1)
        return rows // 2, columns // 2

    def epochs(self, workload: Workload, data: Data) -> tuple[Epoch, Parameters]:
        torch = self.torch
        model = self.model(workload, workloads.network(workload, data))
        inputs, targets = torch.from_numpy(data.inputs), torch.from_numpy(data.targets)
        plan, outputs = workloads.plan(workload), data.targets.shape[1]
        optimizer = torch.optim.SGD(model.parameters(), lr=plan.eta * outputs / 2)
        mean_square = torch.nn.MSELoss()

        def loss_of(x: Any, y: Any) -> Any:
            return mean_square(model(x), y)

        if self.compiled:
            loss_of = torch.compile(loss_of)
        index, number = np.arange(len(inputs)), 0

        def epoch() -> tuple[float, int]:
            nonlocal number
            number += 1
            start = clock()
            batches = torch.from_numpy(plan.order(index, number)).split(plan.batch_size)
            for rows in batches:
                optimizer.zero_grad(set_to_none=True)
                loss_of(inputs[rows], targets[rows]).backward()
                optimizer.step()
            return clock() - start, len(batches)

        def parameters() -> NDArray[Any]:
            arrays = (p.detach().numpy() for p in model.parameters())
            return np.concatenate([(a.T if a.ndim == 2 else a).ravel() for a in arrays])

        return epoch, parameters

    def one_conv(self, workload: Workload) -> Epoch:
        torch = self.torch
        channels, *image = workloads.ONE_CONV_SHAPE
        layer = workloads.ONE_CONV_LAYER
        module = torch.nn.Conv2d(channels, layer.filters, layer.kernel, padding=self.same(layer))
        n = workload.batch_size
        x = torch.rand(n, channels, *image, requires_grad=True)
        upstream = torch.rand(n, layer.filters, *image)
        forward = torch.compile(module) if self.compiled else module

        def step() -> None:
            module.zero_grad(set_to_none=True)
            x.grad = None
            forward(x).backward(upstream)

        return repeated(step)


class TorchCompile(Torch):
    compiled = True


class Jax:
    """JAX as it is fastest: one compiled scan over all steps of an epoch, gathering included.

    A process with one thread is kept to one core: XLA has a pool of threads of its own, which no
    variable of its documentation bounds.
    """

    def __init__(self, threads: int) -> None:
        os.environ["JAX_PLATFORMS"] = "cpu"
        if threads == 1 and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        import jax

        self.jax = jax
        self.version = jax.__version__

    def epochs(self, workload: Workload, data: Data) -> tuple[Epoch, Parameters]:
        jax, jnp = self.jax, self.jax.numpy
        net = workloads.network(workload, data)
        layers = [placed.layer for placed in net.layers]
        weights = [[jnp.array(view) for view in views.values()] for views in self.views(net)]
        inputs, targets = jnp.array(data.inputs), jnp.array(data.targets)
        plan = workloads.plan(workload)

        def cost(weights: Any, x: Any, y: Any) -> Any:
            for layer, own in zip(layers, weights, strict=True):
                x = self.forward(layer, own, x)
            return 0.5 * jnp.sum((x - y) ** 2) / len(y)

        def step(weights: Any, rows: Any) -> Any:
            gradients = jax.grad(cost)(weights, inputs[rows], targets[rows])
            return jax.tree.map(lambda w, g: w - plan.eta * g, weights, gradients), None

        scan = jax.jit(lambda weights, rows: jax.lax.scan(step, weights, rows)[0])
        index, number = np.arange(len(inputs)), 0

        def epoch() -> tuple[float, int]:
            nonlocal number, weights
            number += 1
            start = clock()
            rows = plan.order(index, number).reshape(-1, plan.batch_size)
            weights = jax.block_until_ready(scan(weights, jnp.array(rows)))
            return clock() - start, len(rows)

        def parameters() -> NDArray[Any]:
            return np.concatenate([np.asarray(w).ravel() for own in weights for w in own])

        return epoch, parameters

    def views(self, net: Any) -> list[dict[str, NDArray[Any]]]:
        views = net.views(net.parameters)
        return [views[placed.name] for placed in net.layers]

    def forward(self, layer: Any, own: Any, x: Any) -> Any:
        lax, jnp = self.jax.lax, self.jax.numpy
        if layer.type == "dense":
            weight, bias = own
            return self.jax.nn.sigmoid(x @ weight + bias)
        if layer.type == "conv":
            weight, bias = own
            z = self.convolve(layer, weight, x) + bias[:, None, None]
            return z if layer.activation == "identity" else self.jax.nn.sigmoid(z)
        if layer.type == "avgpool":
            window = (1, 1, *layer.size)
            return lax.reduce_window(x, 0.0, lax.add, window, window, "VALID") / np.prod(layer.size)
        return jnp.reshape(x, (len(x), -1))

    def convolve(self, layer: Any, weight: Any, x: Any) -> Any:
        numbers = ("NCHW", "OIHW", "NCHW")
        padding = layer.padding.upper()
        return self.jax.lax.conv_general_dilated(
            x, weight, (1, 1), padding, dimension_numbers=numbers
        )

    def one_conv(self, workload: Workload) -> Epoch:
        jax, jnp = self.jax, self.jax.numpy
        layer, rng = workloads.ONE_CONV_LAYER, np.random.default_rng(0)
        n, channels = workload.batch_size, workloads.ONE_CONV_SHAPE[0]
        shape = (layer.filters, channels, *layer.kernel)
        own = [jnp.array(rng.normal(0, 0.1, shape), "f"), jnp.zeros(layer.filters, "f")]
        x = jnp.array(rng.random((n, *workloads.ONE_CONV_SHAPE)), "f")
        upstream = jnp.array(rng.random((n, layer.filters, *workloads.ONE_CONV_SHAPE[1:])), "f")

        def backward(own: Any, x: Any, upstream: Any) -> Any:
            _, pull = jax.vjp(lambda own, x: self.forward(layer, own, x), own, x)
            return pull(upstream)

        compiled = jax.jit(backward)
        return repeated(lambda: jax.block_until_ready(compiled(own, x, upstream)))


class Sklearn:
    """MLPClassifier: its cost is a cross-entropy, its steps are otherwise the same."""

    def __init__(self, threads: int) -> None:
        import sklearn

        self.version = sklearn.__version__

    def epochs(self, workload: Workload, data: Data) -> tuple[Epoch, Parameters] | None:
        from sklearn.neural_network import MLPClassifier

        if not workload.is_dense:
            return None
        model = MLPClassifier(
            [layer.units for layer in workload.layers[:-1] if isinstance(layer, Dense)],
            activation="logistic",
            solver="sgd",
            alpha=0,
            batch_size=workload.batch_size,
            learning_rate_init=0.1,
            momentum=0,
            nesterovs_momentum=False,
        )
        labels = data.targets.argmax(axis=1)
        steps = len(labels) // workload.batch_size

        def epoch() -> tuple[float, int]:
            start = clock()
            model.partial_fit(data.inputs, labels, classes=np.arange(10))
            return clock() - start, steps

        return epoch, lambda: np.zeros(0)

    def one_conv(self, workload: Workload) -> None:
        return None


class Floor:
    """The matrix products of the step and nothing else, by np.matmul into arrays that are there.

    Those of a conv layer are its filters with all its windows as a matrix, which is not made here.
    """

    def __init__(self, threads: int) -> None:
        self.version = np.__version__

    def epochs(self, workload: Workload, data: Data) -> tuple[Epoch, Parameters]:
        placed = workloads.network(workload, data).layers
        return repeated(self.step_of(placed, workload.batch_size), 100), lambda: np.zeros(0)

    def one_conv(self, workload: Workload) -> Epoch:
        from nncli.nn.network import place_layers

        placed = place_layers(workload.layers, workloads.ONE_CONV_SHAPE)
        return repeated(self.step_of(placed, workload.batch_size, first=True))

    def step_of(self, placed: Any, n: int, *, first: bool = False) -> Callable[[], None]:
        products = []
        for number, layer in enumerate(layer for layer in placed if layer.parameter_shapes):
            units, *grid = layer.output_shape
            inputs = int(np.prod(layer.parameter_shapes["weight"])) // units
            columns = n * int(np.prod(grid))
            weight, x, z = zeros(units, inputs), zeros(inputs, columns), zeros(units, columns)
            products.append((weight, x, z))
            products.append((x, z.T, zeros(inputs, units)))
            if number or first:
                products.append((weight.T, z, zeros(inputs, columns)))

        def step() -> None:
            for left, right, out in products:
                np.matmul(left, right, out=out)

        return step


class Bound:
    """The fewest NumPy calls that write every quantity of a dense network's step, same products.

    Those are z, a, σ', δ, ∂C/∂W, ΔW, the new weights and the cost. Samples are gathered as they
    are, so the first layer's biases are added; above it, biases are one more row of weights over an
    input of ones. a and σ' keep their digits for every z. The bare loop over these calls is what no
    formulation in NumPy that keeps a record can do without: there is no cost to look at, no end of
    an epoch.
    """

    def __init__(self, threads: int) -> None:
        self.version = np.__version__

    def epochs(self, workload: Workload, data: Data) -> tuple[Epoch, Parameters] | None:
        if not workload.is_dense:
            return None
        inputs = data.inputs
        x, y = zeros(workload.batch_size, inputs.shape[1]), zeros(workload.batch_size, 10)
        network = workloads.network(workload, data)
        operations = list(self.operations(network, x.T, y.T))
        plan, index, number = workloads.plan(workload), np.arange(len(inputs)), 0

        def epoch() -> tuple[float, int]:
            nonlocal number
            number += 1
            start = clock()
            batches = plan.order(index, number).reshape(-1, plan.batch_size)
            with np.errstate(all="ignore"):
                for rows in batches:
                    inputs.take(rows, 0, x, "clip")
                    data.targets.take(rows, 0, y, "clip")
                    for operation in operations:
                        operation()
            return clock() - start, len(batches)

        return epoch, lambda: np.zeros(0)

    def operations(self, network: Any, a: Any, y: Any) -> Iterator[Any]:
        shapes = [p.parameter_shapes["weight"] for p in network.layers if p.parameter_shapes]
        sizes = [(inputs + 1) * units for inputs, units in shapes]
        ones = np.ones(y.shape[1], np.float32)
        flat, gradient, update = (zeros(sum(sizes)) for _ in range(3))
        one, minus_eta = np.array(1, np.float32), np.array(-workloads.ETA, np.float32)
        one_over_n = np.array(1 / y.shape[1], np.float32)
        layers: list[tuple[Any, ...]] = []
        start = 0
        for (inputs, units), size in zip(shapes, sizes, strict=True):
            lies = slice(start, start + size)
            flat[lies] = np.random.default_rng(start).normal(0, 0.05, size)
            rows = inputs + (start > 0)
            weight, own = (v[lies][: rows * units].reshape(units, rows) for v in (flat, gradient))
            bias, own_bias = (v[lies][-units:] for v in (flat, gradient))
            start += size
            z, prime, delta, scaled = (zeros(units, y.shape[1]) for _ in range(4))
            above = zeros(units + 1, y.shape[1])
            above[-1] = 1
            out = above[:units]
            yield partial(weight.dot, a, z)
            if not layers:
                yield partial(np.add, z, bias[:, None], z)
            yield partial(np.exp, z, out)
            yield partial(np.add, out, one, prime)
            yield partial(np.divide, one, prime, prime)
            yield partial(np.divide, one, out, out)
            yield partial(np.add, out, one, out)
            yield partial(np.divide, one, out, out)
            yield partial(np.multiply, out, prime, prime)
            layers.append((weight, own, own_bias, a, prime, delta, scaled))
            a = above
        error = zeros(*y.shape)
        yield partial(np.subtract, out, y, error)
        yield partial(error.reshape(-1).dot, error.reshape(-1))
        upstream = error
        for weight, own, own_bias, below, prime, delta, scaled in reversed(layers):
            yield partial(np.multiply, upstream, prime, delta)
            yield partial(np.multiply, delta, one_over_n, scaled)
            yield partial(scaled.dot, below.T, own)
            if weight is layers[0][0]:
                yield partial(scaled.dot, ones, own_bias)
            else:
                product = zeros(weight.shape[1], y.shape[1])
                yield partial(weight.T.dot, delta, product)
                upstream = product[:-1]
        yield partial(np.multiply, gradient, minus_eta, update)
        yield partial(np.add, flat, update, flat)

    def one_conv(self, workload: Workload) -> None:
        return None


def zeros(*shape: int) -> NDArray[Any]:
    return np.full(shape, 1e-3, np.float32)


SIDES: dict[str, Callable[[int], Any]] = {
    "nncli": Nncli,
    "PyTorch": Torch,
    "torch.compile": TorchCompile,
    "JAX": Jax,
    "scikit-learn": Sklearn,
    "floor": Floor,
    "bound": Bound,
}


def prepared(side: Any, workload: Workload, mnist: Path) -> tuple[Epoch, NDArray[Any]] | None:
    """A function that takes an epoch, warm, and the parameters after its first one."""
    if workload.name == workloads.ONE_CONV:
        epoch = side.one_conv(workload)
        if epoch is None:
            return None
        epoch()
        return epoch, np.zeros(0)
    made = side.epochs(workload, workloads.load(workload, mnist))
    if made is None:
        return None
    epoch, parameters = made
    epoch()
    return epoch, parameters().astype(np.float64)


def turn(epoch: Epoch, seconds: float) -> dict[str, float]:
    """Times epochs of about `seconds` altogether, after some that wake up a processor at rest."""
    spent, steps = 0.0, 0
    while spent < seconds / 2:
        spent += epoch()[0]
    spent = 0.0
    while spent < seconds:
        more, taken = epoch()
        spent, steps = spent + more, steps + taken
    return {"seconds": spent / steps, "steps": steps}


def serve() -> None:
    name, threads, mnist = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer

    def answer(**what: object) -> None:
        print(json.dumps(what), file=answers, flush=True)

    try:
        side = SIDES[name](threads)
    except ImportError:
        answer(missing=True)
        return
    answer(version=side.version)
    ready: dict[str, Epoch | None] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        workload = workloads.WORKLOADS[asked["workload"]]
        if workload.name not in ready:
            try:
                made = prepared(side, workload, mnist)
            except Exception as error:  # a compiler that is not there, memory that is short
                ready[workload.name] = None
                answer(failed=f"{type(error).__name__}: {str(error).splitlines()[0]}")
                continue
            ready[workload.name] = made and made[0]
            answer(after_an_epoch=None if made is None else made[1].tolist())
            continue
        epoch = ready[workload.name]
        answer(**({} if epoch is None else turn(epoch, asked["seconds"])))


if __name__ == "__main__":
    serve()
