"""The one implementation of forward, backward and update, and the workspace that it writes.

A `Step` is bound to a network and a mini-batch size. It owns an array for every quantity of a step
and fills them in the order in which backpropagation is written down. Training overwrites them at
each step; looking at a step means reading them. The sample axis is last here (units x samples,
channels x rows x columns x samples): that makes flattening free and every inner loop long.

Forward and backward are a `Pass`. One pass takes the whole mini-batch, or several take a share of
it each, side by side on the threads of a crew; their gradients are added up before the update.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, pairwise
from typing import Protocol

import numpy as np

from nncli.nn.arrays import Array, Call, Calls, Zeros, call, do
from nncli.nn.conv_step import ConvStep
from nncli.nn.crew import Crew
from nncli.nn.layer_steps import (
    AvgPoolStep,
    DenseStep,
    FlattenStep,
    LayerStep,
    LearnerStep,
    MaxPoolStep,
)
from nncli.nn.layers import AvgPool, Conv, Dense, Flatten, MaxPool, Pool
from nncli.nn.network import Network, Placed
from nncli.nn.sgd import Descent, Sgd

SMALLEST_SHARE = 4  # samples; fewer are not worth a thread
LONG_UPDATE = 100_000  # parameters; fewer are updated sooner than a thread wakes up


class Source(Protocol):
    """Where samples come from."""

    @property
    def in_memory(self) -> bool:
        """Whether a process forked from this one can gather too: it has none of its open files."""

    def gather(self, rows: Array, inputs: Array, targets: Array) -> None:
        """Writes the samples at `rows` into two arrays, one row a sample."""


QUANTITIES = ("input", "z", "a", "upstream", "sigma_prime", "delta", "downstream")


def layer_step(
    placed: Placed, input: Array, zeros: Zeros, n: int, views: list[dict[str, Array]]
) -> LayerStep:
    """The part of a pass that `placed` needs.

    Args:
        zeros: makes its arrays.
        n: the samples of the mini-batch, of which `input` may hold a share.
        views: the layer's parameters, gradients and updates.
    """
    match placed.layer:
        case Dense():
            return DenseStep(placed, input, zeros, n, views)
        case Conv():
            return ConvStep(placed, input, zeros, n, views)
        case AvgPool():
            return AvgPoolStep(placed, input, zeros)
        case MaxPool():
            return MaxPoolStep(placed, input, zeros)
        case Flatten():
            return FlattenStep(placed, input)
    raise TypeError(f"no step for a layer of type {placed.layer.type}")


class Pass:
    """Forward and backward over some samples, and every quantity of them.

    Attributes:
        inputs, targets: of its samples, as `Step` has them.
        layers: the layers' parts in forward order.
        last: the last of them.
        error: a − y of the last layer, outputs x samples.
        total_cost: gives Σ_x C_x from the last forward pass; complex where the network is.
    """

    def __init__(
        self,
        network: Network,
        sgd: Sgd,
        gradient: Array,
        inputs: Array,
        targets: Array,
        n: int,
    ) -> None:
        """n: the samples of the mini-batch, by which gradients are divided."""
        self.network = network
        self.n = n
        self.gradient = gradient
        self.inputs, self.targets = inputs, targets
        # A dense layer reads the mini-batch as it lies; windows want the samples side by side.
        self.inputs_t, self.targets_t = np.moveaxis(inputs, 0, -1), targets.T
        windows = isinstance(network.layers[0].layer, Conv | Pool)
        self.first_input = self._like(self.inputs_t) if windows else self.inputs_t
        self.layers = self._layer_steps((network.parameters, gradient, sgd.update))
        last = self.layers[-1]
        assert isinstance(last, LearnerStep)
        self.last = last
        self._bind_upstreams()
        self.total_cost = network.cost.total(last.z, self.targets_t, self.error)
        self._order_calls()
        self._cost = 0.0

    def _layer_steps(self, flats: tuple[Array, ...]) -> list[LayerStep]:
        """The layers' parts, each reading what the one below writes."""
        network = self.network
        views = [network.views(flat) for flat in flats]
        layers: list[LayerStep] = []
        input = self.first_input
        for placed in network.layers:
            own = [v[placed.name] for v in views]
            layers.append(layer_step(placed, input, network.arena.zeros, self.n, own))
            input = layers[-1].a
        return layers

    def _bind_upstreams(self) -> None:
        if self.network.cost.error_is_delta:
            self.error = self.last.delta
            self.last.bind_upstream(self._like(self.error))
        else:
            self.error = self._like(self.last.a)
            self.last.bind_upstream(self.error)
        for below, above in reversed(list(pairwise(self.layers))):
            below.bind_upstream(above.downstream)

    def _like(self, array: Array) -> Array:
        return self.network.arena.zeros(array.shape, array.dtype)

    def _order_calls(self) -> None:
        # The order of a step never changes, so it is laid down once.
        self._forward_calls = [*chain.from_iterable(layer.forward() for layer in self.layers)]
        if self.first_input is not self.inputs_t:
            self._forward_calls.insert(0, call(np.copyto, self.first_input, self.inputs_t))
        self._forward_calls.append(call(np.subtract, self.last.a, self.targets_t, self.error))
        self._backward_calls = [*chain.from_iterable(self._backward_rules())]

    def _backward_rules(self) -> Iterator[Calls]:
        for layer in reversed(self.layers):
            if not (layer is self.last and self.network.cost.error_is_delta):
                yield layer.multiply_hadamard()
            yield layer.backward()
            if layer is not self.layers[0]:
                yield layer.send_down()

    def forward(self) -> float:
        """From `inputs` to the outputs and the error; returns Σ_x C_x."""
        for one in self._forward_calls:
            one()
        return self.total_cost().real

    def forward_and_back(self, full: bool = False) -> float:
        """Also the gradients, where the cost is finite; `full`: see `Step.run`."""
        cost = self.forward()
        if math.isfinite(cost):
            for one in self._backward_calls:
                one()
            if full:
                self._complete()
        return cost

    def _complete(self) -> None:
        do(self.layers[0].send_down())
        if self.network.cost.error_is_delta:
            self.last.upstream[...] = self.network.cost.upstream(
                self.last.z, self.targets_t, self.error
            )


class Step:
    """One SGD step on mini-batches of `n` samples, and every quantity of it.

    Write a mini-batch into `inputs` and `targets`, or `load` it; call `run` (or `forward` alone, to
    evaluate), and read the layers. Steps of several sizes may share one `sgd`, and one crew.

    Attributes:
        inputs: samples x features or samples x channels x rows x columns; to be written.
        targets: samples x outputs; to be written.
        passes: over the whole mini-batch, or over a share of it each.
    """

    def __init__(
        self,
        network: Network,
        sgd: Sgd,
        n: int,
        crew: Crew | None = None,
        source: Source | None = None,
    ) -> None:
        """
        Args:
            crew: threads to share the work among; None: it is all done in the caller's.
            source: the samples that `load` chooses from.
        """
        self.network = network
        self.sgd = sgd
        self.n = n
        self.crew = crew
        count = 1 if crew is None else max(1, min(crew.size, n // SMALLEST_SHARE))
        self.inputs = network.arena.zeros((n, *network.input_shape), network.dtype)
        self.targets = network.arena.zeros((n, *network.output_shape), network.dtype)
        self.passes = tuple(self._pass(k, count) for k in range(count))
        self._source = source
        self._shared = SharedWork(self, crew, source) if crew is not None and count > 1 else None
        self._whole = self.passes[0]

    def _pass(self, k: int, count: int) -> Pass:
        network, sgd, n = self.network, self.sgd, self.n
        share = slice(k * n // count, (k + 1) * n // count)
        gradient = (
            sgd.gradient if k == 0 else network.arena.zeros(sgd.gradient.shape, network.dtype)
        )
        return Pass(network, sgd, gradient, self.inputs[share], self.targets[share], n)

    @property
    def layers(self) -> list[LayerStep]:
        """The layers in forward order; of several passes, copies in which they stand together."""
        return [together(parts) for parts in zip(*(p.layers for p in self.passes), strict=True)]

    @property
    def last(self) -> LayerStep:
        """The last of `layers`."""
        return together([p.last for p in self.passes])

    @property
    def outputs(self) -> Array:
        """a of the last layer, samples x outputs; of one pass a view."""
        return self.last.a.T

    def load(self, rows: Array) -> None:
        """Fills `inputs` and `targets` with the samples at `rows`, at the latest when it is run."""
        if self._shared is not None and self._shared.gathers:
            self._shared.load(rows)
        else:
            assert self._source is not None
            self._source.gather(rows, self.inputs, self.targets)

    def forward(self) -> float:
        """From `inputs` to the outputs and the error; returns C, the mean of C_x."""
        with np.errstate(all="ignore"):
            if self._shared is None:
                return self._whole.forward() / self.n
            return self._shared.forward() / self.n

    def run(self, eta: float, *, full: bool = False) -> float:
        """Forward, backward and update with the learning rate `eta`; returns C before the update.

        Where C is not finite there is no gradient to follow: the step ends after the forward pass.

        Args:
            full: also fill what no update needs: downstream of the first layer, and ∂C_x/∂a of an
                output layer whose cross-entropy gives δ directly.
        """
        with np.errstate(all="ignore"):
            return self.take(eta, full)

    def take(self, eta: float, full: bool = False) -> float:
        """`run` within an `np.errstate` of the caller's, which for a small network is a tenth."""
        if self._shared is not None:
            return self._shared.take(eta, full) / self.n
        cost = self._whole.forward_and_back(full)
        if math.isfinite(cost):
            self.sgd.descend(eta)
        return cost / self.n


class SharedWork:
    """The passes of a step, and the stretches of its update, side by side on a crew.

    Sums are taken in the order of the shares, whichever ends first, so that the same number of
    threads gives the same bits.

    Attributes:
        gathers: whether each share gathers its own samples. What one core has written, another has
            to fetch: that is a third of the time of [784, 100, 10] in mini-batches of 32. Threads
            would have to share what a source needs for it.
    """

    def __init__(self, step: Step, crew: Crew, source: Source | None) -> None:
        self.sgd, self.passes, self.source = step.sgd, step.passes, source
        self.gathers = crew.forks and source is not None and source.in_memory
        others = [p.gradient for p in step.passes[1:]]
        size = len(step.network.parameters)
        count = len(step.passes) if size > LONG_UPDATE else 1
        # From line to line of the cache: a stretch that begins within one takes a fifth more.
        ends = [*(k * size // count // 64 * 64 for k in range(count)), size]
        zeros = step.network.arena.zeros
        self._costs = zeros(len(step.passes))
        self._rows, self._is_loaded = zeros(step.n, np.int64), zeros((), bool)
        self._forward = crew.task(self._jobs(Pass.forward))
        self._back = crew.task(self._jobs(Pass.forward_and_back))
        self._full = crew.task(self._jobs(partial(Pass.forward_and_back, full=True)))
        self._descend = crew.task(
            [Descent(step.sgd, slice(*pair), others) for pair in pairwise(ends)]
        )

    def load(self, rows: Array) -> None:
        self._rows[...] = rows
        self._is_loaded[()] = True

    def forward(self) -> float:
        return self._cost(self._forward)

    def take(self, eta: float, full: bool) -> float:
        cost = self._cost(self._full if full else self._back)
        if math.isfinite(cost):
            self.sgd.minus_eta[()] = -eta
            self._descend()
        return cost

    def _cost(self, task: Call) -> float:
        try:
            task()
        finally:
            self._is_loaded[()] = False
        return math.fsum(self._costs.tolist())

    def _jobs(self, cost_of: Callable[[Pass], float]) -> list[Call]:
        def job(k: int, own: Pass, rows: Array) -> None:
            if self._is_loaded:
                assert self.source is not None
                self.source.gather(rows, own.inputs, own.targets)
            self._costs[k] = cost_of(own)

        ends = np.cumsum([len(own.inputs) for own in self.passes])[:-1]
        shares = zip(self.passes, np.split(self._rows, ends), strict=True)
        return [partial(job, k, *share) for k, share in enumerate(shares)]


def together(parts: Sequence[LayerStep]) -> LayerStep:
    """A layer of all passes: the part itself, or copies with the samples of all parts in order."""
    first = parts[0]
    if len(parts) == 1:
        return first
    layer = LayerStep(first.placed, first.input)
    # The gradients and updates of the first pass are those of the step, once all are added up.
    layer.parameters, layer.gradients = first.parameters, first.gradients
    layer.updates = first.updates
    for quantity in QUANTITIES:
        arrays = [getattr(part, quantity) for part in parts]
        if arrays[0] is not None:
            setattr(layer, quantity, np.concatenate(arrays, axis=-1))
    return layer
