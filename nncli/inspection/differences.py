"""Two records of one step, compared bit by bit: where they first differ, and by how much."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.notebooks import MimeBundle, mime_bundle
from nncli.core.text import sizes
from nncli.inspection.mistakes.rules import record_of, rules_of
from nncli.inspection.mistakes.scene import Scene
from nncli.nn.arrays import Array
from nncli.nn.links import before
from nncli.nn.trace import Trace

INTEGER_OF: dict[int, type[Any]] = {2: np.int16, 4: np.int32, 8: np.int64}


class QuantityDifference(NamedTuple):
    """One quantity of two steps.

    Attributes:
        layer: "" for what is of the whole step.
        at: the index of the first entry that differs; None where all are equal.
        a, b: what is there.
        ulps: how many numbers of the type lie between those, one more.
        inputs_equal: whether all that it is computed from is equal; None: it is what a step starts
            from.
        entries, different: how many it has, and how many of them differ.
        max_ulps, max_difference, max_relative: the largest of each; relative to the largest entry.
        worst: where the largest difference is.
        dtype: in which the two are compared.
    """

    layer: str
    quantity: str
    at: tuple[int, ...] | None
    a: float
    b: float
    ulps: int
    inputs_equal: bool | None
    entries: int
    different: int
    max_ulps: int
    max_difference: float
    max_relative: float
    worst: tuple[int, ...] | None
    dtype: str

    @property
    def equal(self) -> bool:
        return self.at is None

    @property
    def name(self) -> str:
        return f"{self.layer}.{self.quantity}" if self.layer else self.quantity


@dataclass(frozen=True)
class TraceDifference:
    """Two records of a step, quantity by quantity, in the order in which they are computed.

    Attributes:
        a, b: what they are called.
        step: the number of the step, where it is known.
        all: every quantity that both have.
        only: the names of what one of them has alone.
        notes: warnings on what was compared.
    """

    a: str
    b: str
    step: int | None
    all: tuple[QuantityDifference, ...]
    only: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> QuantityDifference | None:
        """The first that differs."""
        return next((one for one in self.all if not one.equal), None)

    @property
    def equal(self) -> bool:
        return self.first is None

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> MimeBundle:
        return mime_bundle(self)


def quantities(trace: Trace) -> dict[str, Array]:
    """Every array of a step by its name, in order of computation, as recorded."""
    found: dict[str, Array] = {"eta": np.asarray(trace.eta), **trace.scalars}
    found |= {"inputs": trace.inputs, "targets": trace.targets}
    for layer in trace.layers:
        for key, arrays in layer.optimizer.items():
            found[f"{layer.name}.{key}"] = getattr(layer, key)
            for link in trace.links:
                for state in link.state:
                    found[f"{layer.name}.{key}_{before(state)}"] = arrays[before(state)]
        found |= {f"{layer.name}.{key}": array for key, array in layer.recorded.items()}
    record = record_of(trace)
    return found | {name: record[name] for name in rules_of(trace)}


def compare_traces(
    a: Trace, b: Trace, *, names: tuple[str, str] = ("A", "B"), step: int | None = None
) -> TraceDifference:
    """Compares all that two steps recorded.

    Raises:
        NncliError: they are of different networks.
    """
    return compare_arrays(a, quantities(b), names=names, step=step, only=True)


@np.errstate(all="ignore")  # what was given may be of any size
def compare_arrays(
    a: Trace,
    arrays: Mapping[str, Array],
    *,
    names: tuple[str, str] = ("A", "B"),
    step: int | None = None,
    only: bool = False,
) -> TraceDifference:
    """Compares a step with arrays under the names of a trace.

    Args:
        only: whether what one of them has alone is worth a word.

    Raises:
        NncliError: nothing can be compared, or a shape is another.
    """
    left, scene = quantities(a), Scene(a)
    shared = [name for name in left if name in arrays]
    wrong = [
        f"{name} is {sizes(left[name].shape)} in {names[0]} and {sizes(arrays[name].shape)} in "
        f"{names[1]}: these are no steps of one network on as many samples"
        for name in shared
        if left[name].shape != arrays[name].shape
    ]
    if wrong:
        raise NncliError(wrong[0])
    if not shared:
        raise NncliError(f"{names[0]} and {names[1]} have no quantity in common")
    reads = {name: set(read) for name, read in scene.right.reads.items()}
    for parameter in scene.parameters:  # what the links read besides arrays
        for link in a.links:
            for name in (*link.state, *link.terms):
                reads[f"{parameter}_{name}"] |= {"eta", *a.scalars}
    equal: dict[str, bool] = {}
    found = []
    for name in shared:
        inputs: bool | None = None
        if name in reads:
            inputs = all(equal.get(source, True) for source in reads[name])
        one = _compared(name, left[name], np.asarray(arrays[name]), inputs_equal=inputs)
        equal[name] = one.equal
        found.append(one)
    alone = [*(k for k in left if k not in arrays), *(k for k in arrays if k not in left)]
    return TraceDifference(*names, step, tuple(found), tuple(alone) if only else ())


@np.errstate(all="ignore")
def compare_named(
    a: Mapping[str, Array], b: Mapping[str, Array], *, names: tuple[str, str], step: int | None
) -> TraceDifference:
    """Compares arrays of which none is computed from another, such as weights behind a step."""
    shared = [name for name in a if name in b and a[name].shape == b[name].shape]
    found = [_compared(name, a[name], b[name], inputs_equal=None) for name in shared]
    alone = sorted({*a, *b} - {*shared})
    return TraceDifference(*names, step, tuple(found), tuple(alone))


def _compared(name: str, a: Array, b: Array, *, inputs_equal: bool | None) -> QuantityDifference:
    layer, _, quantity = name.rpartition(".")
    dtype = min(a.dtype, b.dtype, key=lambda d: d.itemsize) if a.dtype != b.dtype else a.dtype
    if dtype.kind != "f":
        dtype = np.dtype(np.float64)
    with np.errstate(all="ignore"):
        left, right = a.astype(dtype), b.astype(dtype)
        ulps = _ulps(left, right)
        off = np.abs(left.astype(np.float64) - right.astype(np.float64))
    differs = ulps > 0
    off = np.where(differs & ~np.isfinite(off), np.inf, np.where(differs, off, 0))
    both = np.abs(np.stack([left, right]))
    size = float(np.where(np.isfinite(both), both, 0).max(initial=0))
    if not differs.any():
        return QuantityDifference(
            layer,
            quantity,
            None,
            0.0,
            0.0,
            0,
            inputs_equal,
            a.size,
            0,
            0,
            0.0,
            0.0,
            None,
            str(dtype),
        )
    first = np.unravel_index(int(differs.argmax()), a.shape)
    worst = np.unravel_index(int(off.argmax()), a.shape)
    largest = float(off.max())
    return QuantityDifference(
        layer,
        quantity,
        tuple(map(int, first)),
        float(left[first]),
        float(right[first]),
        int(ulps[first]),
        inputs_equal,
        int(a.size),
        int(differs.sum()),
        int(ulps.max()),
        largest,
        largest / size if size else float("inf"),
        tuple(map(int, worst)),
        str(dtype),
    )


def _ulps(a: Array, b: Array) -> Any:
    """How many steps from one number of the type to the next lie between two; −0 is 0's neighbour.

    Python's integers: between −max and max there are more than 64 bits count.
    """
    integer = INTEGER_OF[a.dtype.itemsize]

    def places(x: Array) -> Array:
        bits = np.ascontiguousarray(x).reshape(x.shape).view(integer)
        least = np.iinfo(integer).min
        return np.asarray(np.where(bits < 0, least - bits - 1, bits))

    left, right = places(a), places(b)
    apart = np.abs(left.astype(np.float64) - right.astype(np.float64))
    near = apart < 2**52
    with np.errstate(over="ignore"):
        exact = np.where(near, np.abs(left - right), 0)
    return np.where(near, exact, np.minimum(apart, 2.0**62).astype(np.int64))
