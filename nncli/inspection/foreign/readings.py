"""What numbers themselves say: how far arrays are apart, and forms that are no shape of a trace."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from nncli.inspection.foreign.checking import Named
from nncli.inspection.foreign.digits import digits_of
from nncli.nn.arrays import Array
from nncli.nn.trace import Trace

NOT_SUMMED = "not summed"
NEAR = 0.05  # of its largest entry: a quantity is itself, but for digits or a mistake
SAME = 1e-3


class Target(NamedTuple):
    """A quantity that an array may be: its name in the trace, and what is there."""

    name: str
    value: Array
    by_sample: bool


def not_summed(trace: Trace, name: str, array: Array, targets: Iterable[Target]) -> Named | None:
    """Something of biases with one row, or one column, for each sample: a mistake, not a shape.

    None: it is none.
    """
    for target in targets:
        shape = (len(trace.inputs), *target.value.shape)
        if ".bias_" in target.name and len(shape) == 2 and shape[0] > 1:
            for how, turned in ((NOT_SUMMED, array), (f"{NOT_SUMMED}, transposed", array.T)):
                if turned.shape == shape:
                    return Named(name, target.name, np.asarray(turned, order="C"), how)
    return None


def class_numbers(trace: Trace, name: str, array: Array, targets: Iterable[Target]) -> Named | None:
    """One-hot targets of what was given as the number of each sample's class, from 0 or from 1.

    None: it is no such thing.
    """
    samples, classes = (*trace.targets.shape, 0)[:2]
    numbers = array.ravel()
    if [target.name for target in targets] != ["targets"] or classes < 2:
        return None
    if len(numbers) != samples or not (numbers == np.round(numbers)).all():
        return None
    first = 1 if numbers.min() > 0 and numbers.max() == classes else 0
    if numbers.min() < first or numbers.max() >= first + classes:
        return None
    return Named(name, "targets", np.eye(classes)[numbers.astype(int) - first], "as class numbers")


def was_multiplied(trace: Trace, layer: str, array: Array) -> bool | None:
    """Whether what is called ∂C/∂a of a layer is its δ; None: nothing tells.

    Many loops go on in the same array: dh[h <= 0] = 0, or dh *= h * (1 - h). Of the mean C, both
    have 1/n in them. Units that pass nothing on tell δ even where its other numbers are wrong.
    """
    of = next(x for x in trace.layers if x.name == layer)
    prime, upstream, delta = of.sigma_prime, of.upstream, of.delta
    if prime is None or upstream is None or delta is None:
        return False
    off_upstream, off_delta = (
        min(distance(factor * array, value) for factor in (1, len(trace.inputs)))
        for value in (upstream, delta)
    )
    if off_upstream < SAME or off_delta < NEAR:
        return off_delta < off_upstream
    stopped = prime == 0
    if stopped.any():
        return not array[stopped].any()
    return None


def agrees(array: Array, value: Array) -> bool:
    """Whether an array is `value`, to the digits that it has."""
    digits = digits_of({"": array}).shared
    off = np.abs(array.astype(np.float64) - value)
    allowed = 1.01 * digits.half_units(array) + 4 * np.finfo(value.dtype).eps * np.abs(value)
    return bool((off <= allowed).all())


def distance(array: Array, value: Array) -> float:
    """The largest difference, relative to the largest entry of `value`."""
    off = float(np.abs(array.astype(np.float64) - value).max(initial=0))
    size = float(np.abs(value).max(initial=0))
    return off / size if size else (0.0 if off == 0 else np.inf)
