"""What the numbers of a step mean: each finding with the numbers that it follows from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.text import sizes
from nncli.inspection.views import is_within, tap_products
from nncli.nn.activations import ACTIVATIONS, SATURATED, SaturationWords
from nncli.nn.arrays import Array
from nncli.nn.measures import norm
from nncli.nn.trace import LayerTrace, Trace

COST_ULPS = 8  # of the cost, by which rounding may change it


class Overflow(NamedTuple):
    """The first quantity that a step computed and that is not finite.

    Attributes:
        layer: None for the cost after the step.
        quantity: its name in the record; of an optimizer's vector, the vector's.
        of: "weight" or "bias", of whose update it is a part; empty for all else.
    """

    layer: str | None
    quantity: str
    of: str = ""


def overflow(trace: Trace) -> Overflow | None:
    """Where a step went beyond the largest number of its type; None where all of it is finite.

    The cost before the step is always finite: there is no trace without.
    """
    return next((place for place, array in _computed(trace) if not np.isfinite(array).all()), None)


def _computed(trace: Trace) -> Iterator[tuple[Overflow, Array]]:
    """All that a step computed, in its order."""
    last = trace.layers[-1]
    forward = ((layer, (*layer.recorded, "z", "a")) for layer in trace.layers)
    backward = (
        (layer, ("upstream", "delta", "weight_gradient", "bias_gradient", "downstream"))
        for layer in reversed(trace.layers)
    )
    for layer, keys in (*forward, *backward):
        for key in keys:
            array = layer.quantity(key)
            # ∂C/∂a of a saturated output is infinite where the step goes from a − y to δ.
            fused = layer is last and trace.cost.error_is_delta and key == "upstream"
            if array is not None and not fused:
                yield Overflow(layer.name, key), array
    for layer in trace.layers:
        for key in ("weight", "bias"):
            for name, array in layer.optimizer.get(key, {}).items():
                yield Overflow(layer.name, name, key), array
            for part in ("update", "new"):
                array = layer.quantity(f"{key}_{part}")
                if array is not None:
                    yield Overflow(layer.name, f"{key}_{part}", key), array
    yield Overflow(None, "cost_after"), np.asarray(trace.cost_after)


ChangeVerdict = Literal["linear", "curved", "overshot", "uphill", "none", "rounded"]


class CostChange(NamedTuple):
    """The change of the cost in this step: predicted by the gradient, and actual.

    Attributes:
        predicted: ∇C · Δ, which is −η‖∇C‖² without momentum and decay.
        actual: C after − C before, on the same samples.
        rounding: the size of a change that rounding explains.
    """

    predicted: float
    actual: float
    rounding: float = 0.0

    @property
    def ratio(self) -> float | None:
        return self.actual / self.predicted if self.predicted else None

    @property
    def verdict(self) -> ChangeVerdict:
        """How the change of C compares with the prediction, in a word.

        linear (within a tenth of it), curved, overshot (C has grown), uphill (as was predicted),
        none (every gradient is 0), or rounded (too little to be seen).
        """
        if max(abs(self.predicted), abs(self.actual)) <= self.rounding:
            return "rounded" if self.predicted else "none"
        if self.predicted > self.rounding:
            return "uphill"
        if not self.actual <= self.rounding:  # NaN too
            return "overshot"
        return "linear" if self.ratio is not None and abs(self.ratio - 1) <= 0.1 else "curved"


def cost_change(trace: Trace) -> CostChange:
    predicted = 0.0
    for layer in trace.layers:
        for key in ("weight", "bias"):
            gradient, update = (getattr(layer, f"{key}_{part}") for part in ("gradient", "update"))
            if gradient is not None:
                wide = gradient.astype(np.float64).ravel(), update.astype(np.float64).ravel()
                with np.errstate(over="ignore"):
                    predicted += float(np.dot(*wide))
    ulp = float(np.finfo(trace.inputs.dtype).eps)
    rounding = COST_ULPS * ulp * max(trace.cost_before, 0.0)
    return CostChange(predicted, trace.cost_after - trace.cost_before, rounding)


class Attenuation(NamedTuple):
    """By how much one product of the backward pass changes the norm of the error signal.

    Attributes:
        cause: the product: "weights", "σ′" or "pooling".
        norm_before, norm_after: of the signal; `factor` is their ratio.
    """

    layer: str
    cause: str
    norm_before: float
    norm_after: float

    @property
    def factor(self) -> float | None:
        return self.norm_after / self.norm_before if self.norm_before else None


def attenuation(trace: Trace) -> list[Attenuation]:
    """From δ of the last layer to δ of the first that learns: the factor of each product.

    All factors multiplied are the ratio of the two norms.
    """
    learners = [k for k, layer in enumerate(trace.layers) if layer.delta is not None]
    rows: list[Attenuation] = []
    signal = _norm(trace.layers[-1].delta)
    for k in range(len(trace.layers) - 1, learners[0], -1):
        above, below = trace.layers[k], trace.layers[k - 1]
        cause = above.placed.layer.attenuates
        if cause is not None:
            rows.append(Attenuation(above.name, cause, signal, _norm(above.downstream)))
            signal = rows[-1].norm_after
        if below.delta is not None:
            rows.append(Attenuation(below.name, "σ′", signal, _norm(below.delta)))
            signal = rows[-1].norm_after
    return rows


def _norm(array: Array | None) -> float:
    assert array is not None
    with np.errstate(over="ignore"):  # of the squares: `norm` takes care of it
        return norm(array)


class Saturation(NamedTuple):
    """The units of a layer by how many samples saturate them (|σ'| below SATURATED).

    Attributes:
        always, sometimes: indices of units, those of all samples and those of some.
        words: what they are called behind the layer's activation.
    """

    layer: str
    units: int
    always: tuple[tuple[int, ...], ...]
    sometimes: tuple[tuple[int, ...], ...]
    words: SaturationWords

    @property
    def dead(self) -> bool:
        """Whether `always` means units that get no error at all."""
        return self.words.dead


def saturation(layer: LayerTrace) -> Saturation | None:
    """None for a layer that has no σ' of its own."""
    if layer.sigma_prime is None:
        return None
    assert layer.activation is not None
    is_saturated = np.abs(layer.sigma_prime) < SATURATED
    count = is_saturated.sum(axis=0)
    always = tuple(tuple(map(int, unit)) for unit in np.argwhere(count == len(layer.input)))
    some = (count > 0) & (count < len(layer.input))
    sometimes = tuple(tuple(map(int, unit)) for unit in np.argwhere(some))
    words = ACTIVATIONS[layer.activation].saturation
    return Saturation(layer.name, count.size, always, sometimes, words)


class Unchanged(NamedTuple):
    """A layer none of whose weights has changed in a step.

    Attributes:
        cause: no error has come to the layer; or rounding has taken the whole update away.
    """

    layer: str
    cause: Literal["no error", "rounding"]


def unchanged(trace: Trace) -> list[Unchanged]:
    """The layers of which a cause is to be told: without η, or an input of 0, there is none."""
    found = []
    for layer in trace.layers:
        if layer.weight is None or not np.array_equal(layer.weight, np.asarray(layer.weight_new)):
            continue
        error = layer.upstream if layer.delta is None else layer.delta
        if np.any(np.asarray(layer.weight_update)):
            found.append(Unchanged(layer.name, "rounding"))
        elif not error.any():
            found.append(Unchanged(layer.name, "no error"))
    return found


class RelativeUpdate(NamedTuple):
    """‖ΔW‖ / ‖W‖ of a layer."""

    layer: str
    update: float
    weight: float

    @property
    def ratio(self) -> float | None:
        return self.update / self.weight if self.weight else None


def relative_updates(trace: Trace) -> list[RelativeUpdate]:
    return [
        RelativeUpdate(layer.name, _norm(layer.weight_update), _norm(layer.weight))
        for layer in trace.layers
        if layer.weight is not None
    ]


class Contribution(NamedTuple):
    """One sample's part of −η ∂C/∂w: −η/n · a_i δ_j (for a filter, summed over its windows)."""

    sample: int
    a: float | None
    delta: float | None
    push: float


@dataclass(frozen=True)
class Why:
    """The contributions to a weight's update, the largest first; `total`, their sum: −η ∂C/∂w."""

    layer: str
    index: tuple[int, ...]
    contributions: tuple[Contribution, ...]
    total: float

    @property
    def cancellation(self) -> float | None:
        """|sum| / sum of |.|: 1 where all samples agree, 0 where they cancel out.

        None where all are 0, or one is not finite.
        """
        strength = sum(abs(c.push) for c in self.contributions)
        return abs(self.total) / strength if strength and np.isfinite(strength) else None


def why(trace: Trace, layer: LayerTrace, index: tuple[int, ...]) -> Why:
    """The samples' contributions to the gradient step of one weight.

    Raises:
        NncliError: the layer has no such weight.
    """
    if layer.weight is None:
        raise NncliError(f"{layer.name} has no weights")
    shape = layer.weight.shape
    if not is_within(index, shape):
        given = ",".join(map(str, index))
        raise NncliError(
            f"{layer.name} has no weight [{given}]: its weights are {sizes(shape)}, counted from 0"
        )
    scale = -trace.eta / len(trace.samples)
    contributions: list[Contribution] = []
    if len(shape) == 2:
        assert layer.delta is not None
        for k, sample in enumerate(trace.samples):
            a, delta = float(layer.input[k, index[0]]), float(layer.delta[k, index[1]])
            contributions.append(Contribution(sample, a, delta, scale * (a * delta)))
    elif layer.delta is None:
        normalised = layer.recorded["normalised"]
        products = (layer.upstream * normalised)[:, index[0]].reshape(len(trace.samples), -1)
        pushes = scale * products.sum(axis=1, dtype=np.float64)
        for sample, push in zip(trace.samples, pushes.tolist(), strict=True):
            contributions.append(Contribution(sample, None, None, push))
    else:
        tap = (index[0], index[1], index[2], index[3])
        for sample, product in zip(trace.samples, tap_products(layer, tap), strict=True):
            push = scale * float(product.product.sum(dtype=np.float64))
            contributions.append(Contribution(sample, None, None, push))
    contributions.sort(key=lambda c: -abs(c.push))
    assert layer.weight_gradient is not None
    total = -trace.eta * float(layer.weight_gradient[index])
    return Why(layer.name, index, tuple(contributions), total)
