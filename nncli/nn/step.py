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
QUANTITIES = ("input", "z", "a", "upstream", "sigma_prime", "delta", "downstream")


def layer_step(
    placed: Placed, input: Array, zeros: Zeros, n: int, views: list[dict[str, Array]]
) -> LayerStep:
    """The part of a pass that `placed` needs.

    Args:
        zeros: makes the arrays that others read.
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
        zeros: Zeros,
    ) -> None:
        """
        Args:
            n: the samples of the mini-batch, by which gradients are divided.
            zeros: makes the arrays that others read.
        """
        self.network = network
        self.n = n
        self.zeros = zeros
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
            layers.append(layer_step(placed, input, self.zeros, self.n, own))
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
        return self.zeros(array.shape, array.dtype)

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

    Write a mini-batch into `inputs` and `targets`, call `run` (or `forward` alone, to evaluate),
    and read the layers. Steps of several sizes may share one `sgd`, and one crew.

    Attributes:
        inputs: samples x features or samples x channels x rows x columns; to be written.
        targets: samples x outputs; to be written.
        passes: over the whole mini-batch, or over a share of it each.
    """

    def __init__(self, network: Network, sgd: Sgd, n: int, crew: Crew | None = None) -> None:
        self.network = network
        self.sgd = sgd
        self.n = n
        self.crew = crew
        count = 1 if crew is None else max(1, min(crew.size, n // SMALLEST_SHARE))
        self._zeros = network.zeros if count > 1 else np.zeros
        self.inputs = self._zeros((n, *network.input_shape), network.dtype)
        self.targets = self._zeros((n, *network.output_shape), network.dtype)
        self.passes = tuple(self._pass(k, count) for k in range(count))
        self._shared = SharedWork(self, crew) if crew is not None and count > 1 else None
        self._whole = self.passes[0]

    def _pass(self, k: int, count: int) -> Pass:
        network, sgd, n = self.network, self.sgd, self.n
        share = slice(k * n // count, (k + 1) * n // count)
        gradient = sgd.gradient if k == 0 else self._zeros(sgd.gradient.shape, network.dtype)
        inputs, targets = self.inputs[share], self.targets[share]
        return Pass(network, sgd, gradient, inputs, targets, n, self._zeros)

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
    """

    def __init__(self, step: Step, crew: Crew) -> None:
        self.sgd, self.passes = step.sgd, step.passes
        others = [p.gradient for p in step.passes[1:]]
        size = len(step.network.parameters)
        count = len(step.passes) if size > LONG_UPDATE else 1
        ends = [k * size // count for k in range(count + 1)]
        self._costs = step.network.zeros(len(step.passes))
        self._forward = crew.task(self._jobs(Pass.forward))
        self._back = crew.task(self._jobs(Pass.forward_and_back))
        self._full = crew.task(self._jobs(partial(Pass.forward_and_back, full=True)))
        self._descend = crew.task(
            [Descent(step.sgd, slice(*pair), others) for pair in pairwise(ends)]
        )

    def forward(self) -> float:
        self._forward()
        return float(self._costs.sum())

    def take(self, eta: float, full: bool) -> float:
        (self._full if full else self._back)()
        cost = float(self._costs.sum())
        if math.isfinite(cost):
            self.sgd.minus_eta[()] = -eta
            self._descend()
        return cost

    def _jobs(self, cost_of: Callable[[Pass], float]) -> list[Call]:
        def job(k: int) -> None:
            self._costs[k] = cost_of(self.passes[k])

        return [partial(job, k) for k in range(len(self.passes))]


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
