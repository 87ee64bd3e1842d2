"""Where a training began to diverge: the first quantity that is not finite, or too large.

Nothing is recorded while a training goes well. The order of its samples follows from the seed and
the epoch, and each step from the one before, so from an earlier state a `Replay` takes the same
steps with the same numbers, to the bit, and records the last of them.
"""

import math
from collections import deque
from collections.abc import Iterator
from itertools import chain, count, islice
from math import ceil
from typing import NamedTuple

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.layers import LayerStep
from nncli.nn.measures import LayerMeasures, measure, norm
from nncli.nn.step import Step
from nncli.nn.trace import Start
from nncli.training.checkpoint import State
from nncli.training.evaluate import Evaluator
from nncli.training.history import Divergence, DivergenceStep
from nncli.training.steps import Plan, Rows, SampleSet, StepRunner

# So many times the cost of a network that has learnt nothing is an explosion: in a single
# mini-batch, whose samples may be odd ones, and over all samples that are evaluated after an epoch.
STEP_LIMIT_FACTOR, EPOCH_LIMIT_FACTOR = 1e6, 1e3
UNTRAINED_SAMPLES = 128  # that the cost of an untrained network is measured on


class Fault(NamedTuple):
    """A quantity that is not finite or too large, at its first such entry.

    Attributes:
        layer, quantity: by name; the cost counts to the last layer, and so does a target. What an
            optimizer keeps is called `weight_second_moment`.
        unit: which unit, filter or channel of the layer.
        place: which sample of the mini-batch; for sums over samples (gradients, updates,
            parameters) the one that contributes most.
        largest: the largest finite |entry| of the quantity, or of z behind a cost; a target as it
            is, with its sign.
    """

    layer: str
    quantity: str
    unit: int
    place: int
    largest: float | None


def untrained_cost(step: Step, train: SampleSet) -> float:
    """C_x of a network that has learnt nothing; inf if that cannot be computed.

    It is what the network of `step` costs now, on some of the samples; or what one would cost whose
    z are all 0, on the sample with the largest targets, if that is more: a cost that comes and goes
    with such samples is no explosion.
    """
    count, n = len(train.index), step.n
    some = max(n, min(count, UNTRAINED_SAMPLES) // n * n)
    rows = train.index
    if some != count:
        rows = rows[np.linspace(0, count - 1, some).astype(np.int64)]
    costs = []
    for start in range(0, some, n):
        step.load(rows[start : start + n])
        costs.append(step.forward())
    with np.errstate(over="ignore"):
        farthest = np.einsum("ij,ij->i", train.targets, train.targets).argmax()
        y = train.targets[farthest, :, None].astype(np.float64)
        at_zero = step.network.cost.total(np.zeros_like(y), y, -y)().real
        if (weights := step.network.class_weights) is not None:
            at_zero *= float(weights.max())
    cost = max(sum(costs) / len(costs), at_zero)
    return cost if 0 < cost < math.inf else math.inf


def first_fault(step: Step, cost: float, limit: float) -> Fault | None:
    """The first fault of a step that `Step.run(eta, full=True)` has just taken.

    Args:
        cost: what the run returned: where that is not finite, it ended there.
        limit: the cost from which on it is a fault.
    """
    if not cost < limit:
        return forward_fault(step)
    passes = chain(_forward_order(step), _backward_order(step))
    return _first_not_finite(passes) or _first_parameter_fault(step)


def forward_fault(step: Step) -> Fault:
    """The first fault of a forward pass whose cost is too large, or not finite."""
    return _first_not_finite(_forward_order(step)) or _cost_fault(step)


def largest(array: Array) -> float | None:
    """The largest finite |entry|."""
    finite = array[np.isfinite(array)]
    return float(np.abs(finite).max()) if finite.size else None


def _first_not_finite(quantities: Iterator[tuple[LayerStep, str, Array]]) -> Fault | None:
    """The first fault of arrays whose last axis is the samples."""
    for layer, quantity, array in quantities:
        if not np.isfinite(array).all():
            index = _first(array)
            return Fault(layer.name, quantity, index[0], index[-1], largest(array))
    return None


def _cost_fault(step: Step) -> Fault:
    """Every output is finite: it is a target, or what the cost makes of them, that is too large."""
    last = step.last
    assert last.z is not None
    error = np.abs(np.concatenate([p.error for p in step.passes], axis=-1))
    unit, place = divmod(int(error.argmax()), error.shape[-1])
    target = float(step.targets[place, unit])
    # Not compared with a: where that has saturated, a target of 1 is larger and not to blame.
    z = float(np.abs(last.z).max())
    quantity, size = ("target", target) if abs(target) > z else ("cost", z)
    return Fault(last.name, quantity, unit, place, size)


def _first_parameter_fault(step: Step) -> Fault | None:
    """The first fault of the arrays that are sums over samples."""
    for layer, key, quantity, array in _parameter_order(step):
        if not np.isfinite(array).all():
            index = _first(array)
            unit = index[-1] if len(index) == 2 else index[0]  # weights are inputs x units
            parts = layer.contributions(key, index)
            place = int(np.nan_to_num(parts, nan=np.inf).argmax())
            return Fault(layer.name, quantity, unit, place, largest(array))
    return None


def _first(array: Array) -> tuple[int, ...]:
    """The index of the first entry that is not finite."""
    index = np.unravel_index(np.isfinite(array).argmin(), array.shape)
    return tuple(map(int, index))


def _forward_order(step: Step) -> Iterator[tuple[LayerStep, str, Array]]:
    for layer in step.layers:
        if layer.z is not None:
            yield layer, "z", layer.z
        yield layer, "a", layer.a


def _backward_order(step: Step) -> Iterator[tuple[LayerStep, str, Array]]:
    for layer in reversed(step.layers):
        fused = layer.name == step.last.name and step.network.cost.error_is_delta
        if not fused:
            yield layer, "upstream", layer.upstream
        if layer.delta is not None:
            yield layer, "delta", layer.delta


def _parameter_order(step: Step) -> Iterator[tuple[LayerStep, str, str, Array]]:
    for layer in reversed(step.layers):
        for key, gradient in layer.gradients.items():
            yield layer, key, f"{key}_gradient", gradient
    optimizer = step.optimizer
    assert optimizer is not None
    states = {name: step.network.views(v) for name, v in optimizer.state.items() if v.ndim}
    for layer in reversed(step.layers):
        for key in layer.parameters:
            for name, by_layer in states.items():
                yield layer, key, f"{key}_{name}", by_layer[layer.name][key]
            yield layer, key, f"{key}_update", layer.updates[key]
            yield layer, key, key, layer.parameters[key]


# The last steps, taken once more for a record of them


REPLAYED_STEPS = 5  # in a record, at most


class StepStart(NamedTuple):
    """A step's number, η and samples, and what it starts from."""

    number: int
    eta: float
    rows: Rows
    start: Start


class LocatedFault(NamedTuple):
    """The first fault, and the rows of the mini-batch or block that it was found in."""

    fault: Fault
    rows: Rows
    samples: SampleSet


class Replay(NamedTuple):
    """What is needed to take a training's steps again.

    Attributes:
        runner: of the training; its network and optimizer are changed by a replay.
        evaluator: of the samples that are evaluated after an epoch.
        cost_limit: a mini-batch whose C is as large, or NaN, is a divergence.
        untrained: C of a network that has learnt nothing.
    """

    runner: StepRunner
    plan: Plan
    evaluator: Evaluator
    cost_limit: float
    untrained: float

    def divergence(self, start: State, until: int, cost: float) -> Divergence:
        """The first fault, and the steps that led to it.

        Args:
            start: a sound state, some steps before.
            until: the step after which the divergence was noticed.
            cost: the cost at which it was.
        """
        train = self.runner.train
        steps: list[DivergenceStep] = []
        found: tuple[int, LocatedFault] | None = None
        for number, eta, rows, step_start in self._last_steps(start, until):
            self.runner.restore(step_start)
            step, c = self.runner.run(rows, eta, number, full=True)
            steps.append(DivergenceStep(number, eta, c, _measures(step, c)))
            fault = first_fault(step, c, self.cost_limit)
            if fault is not None and found is None:
                found = number, LocatedFault(fault, rows, train)
        if found is None:  # the last update did it, as other samples have shown
            found = number, self._fault_after(step, rows)
        elif not c < self.cost_limit:
            cost = c
        number, (fault, rows, samples) = found
        return Divergence(
            epoch=(number - 1) // ceil(len(train.index) / self.plan.batch_size) + 1,
            step=number,
            cost=cost,
            untrained=self.untrained,
            layer=fault.layer,
            quantity=fault.quantity,
            unit=fault.unit,
            part="train" if samples is train else "validation",
            sample=int(np.searchsorted(samples.index, rows[fault.place])),
            largest=fault.largest,
            last_steps=tuple(steps),
        )

    def _fault_after(self, step: Step, rows: Rows) -> LocatedFault:
        """The fault after the last update: for the same samples, or for those then evaluated."""
        fault = first_fault(step, step.forward(), self.cost_limit)
        if fault is not None:
            return LocatedFault(fault, rows, self.runner.train)
        worst = np.argmax([cost for _, _, cost in self.evaluator.blocks()])  # NaN is the largest
        rows, step, _ = next(islice(self.evaluator.blocks(), int(worst), None))
        return LocatedFault(forward_fault(step), rows, self.evaluator.samples)

    def _last_steps(self, start: State, until: int) -> deque[StepStart]:
        """The last steps up to the first after which the network or its cost is unsound."""
        runner = self.runner
        index = runner.train.index
        starts: deque[StepStart] = deque(maxlen=REPLAYED_STEPS)
        runner.restore(start.start)
        steps = self.plan.steps(index, start.epoch + 1, start.samples)
        for number, (eta, rows) in zip(count(start.steps_taken + 1), steps, strict=False):
            starts.append(StepStart(number, eta, rows, runner.start()))
            _, cost = runner.run(rows, eta, number, full=False)
            is_unsound = not cost < self.cost_limit or not runner.is_finite()
            if is_unsound or number == until:
                return starts
        raise AssertionError("a plan's steps have no end")


def _measures(step: Step, cost: float) -> tuple[LayerMeasures, ...]:
    if np.isfinite(cost):
        return measure(step)
    # The step ended with its forward pass: gradients and updates are those of an earlier one.
    with np.errstate(over="ignore"):
        norms = [norm(x.parameters["weight"]) if x.parameters else None for x in step.layers]
    return tuple(
        LayerMeasures(layer.name, layer.placed.activation, weight_norm=size)
        for layer, size in zip(step.layers, norms, strict=True)
    )
