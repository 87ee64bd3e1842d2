"""A derivation, what each of its lessons has, and how a reader is shown some of a long axis."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nncli.core.notebooks import MimeBundle, mime_bundle
from nncli.inspection.derivation.wrong import Wrong
from nncli.nn.arrays import Array, Shape
from nncli.nn.trace import LayerTrace, Trace

SHORT = 4  # entries of an axis that is shown whole
MOST = 3  # entries that are shown of a longer one
WHOLE_JACOBIAN = 10  # classes up to which a softmax's Jacobian is shown in full


class Excerpt(NamedTuple):
    """Entries of an axis, in ascending order: all of a short one, else those that tell most."""

    indices: tuple[int, ...]
    total: int

    @property
    def is_all(self) -> bool:
        return len(self.indices) == self.total

    @property
    def with_gap(self) -> tuple[int | None, ...]:
        """The indices, and None where there are more: of a stretch on its sides, else behind it."""
        first, last = self.indices[0], self.indices[-1]
        is_stretch = last - first == len(self.indices) - 1
        before = (None,) if is_stretch and first > 0 else ()
        after = (None,) if last < self.total - 1 or not is_stretch else ()
        return (*before, *self.indices, *after)


def sum_of_others(values: Array, shown: Excerpt) -> float:
    """What the entries that are not shown come to."""
    with np.errstate(all="ignore"):
        return float(values.sum() - values[list(shown.indices)].sum())


def largest(values: Array, most: int = MOST, always: tuple[int, ...] = ()) -> Excerpt:
    """The entries with the largest |values|, the first of equal ones; `always` are among them."""
    sizes = np.abs(values.astype(np.float64).ravel())
    order = [int(k) for k in np.argsort(-np.nan_to_num(sizes, nan=np.inf), kind="stable")]
    most = max(most, len(always), SHORT if sizes.size <= SHORT else 0)
    chosen = list(dict.fromkeys([*always, *order]))[:most]
    return Excerpt(tuple(sorted(chosen)), sizes.size)


def at_largest(values: Array) -> int:
    """Where the largest |value| is in the flat array, the first of equal ones; NaN counts as 0."""
    return int(np.argmax(np.nan_to_num(np.abs(values))))


def place_of(unit: int, shape: Shape) -> tuple[int, ...]:
    """The index, in an array of that shape, of an entry of the flat one."""
    return tuple(map(int, np.unravel_index(unit, shape)))


def subscript(*index: int) -> str:
    """`12`, or `1,12` where an index has more than a digit."""
    return ("," if max(index, default=0) > 9 else "").join(map(str, index))


def indexed(symbol: str, *index: int) -> str:
    """`w_12`, or `w_1,12` where an index has more than a digit."""
    return f"{symbol}_{subscript(*index)}"


def around_largest(values: Array) -> tuple[Excerpt, Excerpt]:
    """Rows and columns around the largest |value| of a matrix; all of short ones."""
    place = place_of(at_largest(values), values.shape)
    found = []
    for at, size in zip(place, values.shape, strict=True):
        most = size if size <= SHORT else MOST
        first = max(0, min(at - most // 2, size - most))
        found.append(Excerpt(tuple(range(first, first + most)), size))
    return found[0], found[1]


class Ask(NamedTuple):
    """A number that a reader may be asked for.

    Attributes:
        quantity: what it is, a key of the record; `place` which of its entries.
        given: what it follows from, each with its symbol.
        rule: how, as a formula.
        wrongs: what classic mistakes would give instead, by the mistake's word.
    """

    quantity: str
    place: tuple[int, ...]
    rule: str
    given: tuple[tuple[str, float], ...]
    value: float
    wrongs: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Lesson:
    """One statement.

    Attributes:
        layer: that it is about; None: the whole network.
        again: the name of the layer of which the same was derived before.
        ask: the number that a reader could find before it is shown.
    """

    layer: LayerTrace | None = None
    again: str | None = None
    ask: Ask | None = None

    @property
    def of(self) -> LayerTrace:
        """The layer of a lesson that has one."""
        assert self.layer is not None
        return self.layer


@dataclass(frozen=True, eq=False)
class Derivation:
    """A step as a sequence of lessons.

    Attributes:
        at: which sample of the mini-batch is followed, as its position in it.
        chosen: the name of the only layer that is derived; None: all.
        mistake: the one that is shown beside what is right.
        start: which weights the step starts from, in words; "" where there is nothing to say.
    """

    trace: Trace
    at: int
    lessons: tuple[Lesson, ...]
    chosen: str | None = None
    mistake: Wrong | None = None
    start: str = ""

    @property
    def sample(self) -> int:
        """The number of the sample that is followed, in the training data."""
        return self.trace.samples[self.at]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> MimeBundle:
        return mime_bundle(self)
