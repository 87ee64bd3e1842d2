"""To how many digits numbers were given, and by how much each may therefore be off.

Whoever writes 0.1234 says that it is right to half a unit of the fourth decimal. Digits are told
from the values: all of an array are whole multiples of 10⁻⁴, or all have four significant digits,
or all are numbers of float32. An array of few digits, such as 0 and 1, tells nothing by itself,
and so does one of numbers that are short by nature: z = 0.3775, of inputs and weights of two
decimals, is all of that z, and not a longer number rounded.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from nncli.nn.arrays import Array

MOST_DIGITS = 12  # more are as good as all of float64
FEW = 3  # an array of fewer decimals and significant digits tells nothing
USUAL = 6  # decimals that people write
SINGLE, DOUBLE = 2.0**-24, 2.0**-53


class Digits(NamedTuple):
    """Decimals and significant digits, None: all that the type has; and the relative half unit."""

    decimals: int | None
    significant: int | None
    relative: float

    @property
    def is_coarse(self) -> bool:
        return self.decimals is not None or self.significant is not None

    def half_units(self, array: Array) -> Array:
        """By how much each entry of numbers like these may be off."""
        size = np.abs(array.astype(np.float64))
        half = size * self.relative
        if self.decimals is not None:
            half = np.maximum(half, 0.5 * 10.0**-self.decimals)
        if self.significant is not None:
            half = np.maximum(half, 0.5 * _power(size) * 10.0 ** (1 - self.significant))
        return half

    def words(self) -> str:
        """The digits in words; of few decimals it is these that somebody wrote down."""
        if not self.is_coarse:
            return "float32" if self.relative >= SINGLE else "float64"
        if self.decimals is not None and (self.significant is None or self.decimals <= USUAL):
            return f"{self.decimals} decimals"
        return f"{self.significant} digits"


ON_PAPER = Digits(4, None, DOUBLE)


class Told(NamedTuple):
    """What arrays tell of their digits.

    Attributes:
        own: of each array.
        shared: of all together: of what was computed in between.
        rounded: the arrays that tell that somebody rounded.
    """

    own: dict[str, Digits]
    shared: Digits
    rounded: frozenset[str]


def digits_of(arrays: Mapping[str, Array], exact: Collection[str] = ()) -> Told:
    """The digits to which arrays were given.

    Args:
        exact: those that nobody rounded, however short their numbers are.
    """
    own = {name: _digits(array) for name, array in arrays.items()}
    if not any(array.any() for array in arrays.values()):  # zeros alone may be anything rounded
        return Told(dict.fromkeys(arrays, ON_PAPER), ON_PAPER, frozenset(arrays))
    short = {name for name, d in own.items() if d.is_coarse}
    silent = {name for name in short if name in exact or _tells_nothing(own[name])}
    telling = [own[name] for name in own if name in short - silent]
    if not telling:
        fine = [d for d in own.values() if not d.is_coarse]
        telling = fine or [d for d in own.values() if d.decimals]
    shared = together(telling)
    told = {name: shared if name in silent else d for name, d in own.items()}
    return Told(told, shared, frozenset(short - silent))


def together(found: Collection[Digits]) -> Digits:
    """The finest of them."""
    decimals = [d.decimals for d in found]
    significant = [d.significant for d in found]
    return Digits(
        None if None in decimals else max((d for d in decimals if d is not None), default=None),
        None
        if None in significant
        else max((s for s in significant if s is not None), default=None),
        max((d.relative for d in found), default=DOUBLE),
    )


def _tells_nothing(digits: Digits) -> bool:
    return (
        digits.decimals is not None
        and digits.significant is not None
        and max(digits.decimals, digits.significant) < FEW
    )


def _digits(array: Array) -> Digits:
    if array.dtype.kind in "iub":
        return Digits(0, 0, DOUBLE)
    relative = float(np.finfo(array.dtype).eps) / 2
    values = array.astype(np.float64).ravel()
    values = values[np.isfinite(values) & (values != 0)]
    if relative > SINGLE * 1.5 or not values.size:
        return Digits(None, None, relative) if values.size else Digits(0, 0, relative)
    decimals = next((d for d in range(MOST_DIGITS) if _has_decimals(values, d, relative)), None)
    significant = next(
        (s for s in range(1, MOST_DIGITS) if _has_significant(values, s, relative)), None
    )
    if decimals is None and significant is None and relative == DOUBLE:
        single = values.astype(np.float32).astype(np.float64)
        relative = SINGLE if np.array_equal(single, values) else relative
    return Digits(decimals, significant, relative)


def _has_decimals(values: Array, decimals: int, relative: float) -> bool:
    """Whether all are whole multiples of 10^−decimals, which they cannot be by chance."""
    scaled = values * 10.0**decimals
    off = np.abs(scaled - np.rint(scaled))
    return bool(
        (off <= 4 * relative * np.abs(scaled)).all() and np.abs(scaled).max() < 0.01 / relative
    )


def _has_significant(values: Array, digits: int, relative: float) -> bool:
    scaled = np.abs(values) / _power(np.abs(values)) * 10.0 ** (digits - 1)
    off = np.abs(scaled - np.rint(scaled))
    return bool((off <= 4 * relative * scaled).all() and 10.0**digits < 0.01 / relative)


def _power(size: Array) -> Array:
    """The power of ten of the first digit; 0 of 0."""
    with np.errstate(divide="ignore"):
        power: Array = np.where(size > 0, 10.0 ** np.floor(np.log10(size)), 0)
    return power
