"""Many float32 numbers as text at once, each as `str` has it: the shortest that reads back equal.

Such a number has at most nine digits. Of the decimals with six, at most one reads back as a given
number; where none does, seven, eight and nine are tried. Within the BOUNDS the number times a power
of ten is exact in float64, and so is what is nearest to it. All else is left to NumPy's own `str`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]
Integers = NDArray[np.int64]

BOUNDS = 1e-4, 1e6  # beyond them an exponent is written
PLACES = 12  # behind the point at most
POWERS = np.array([10.0**k for k in range(PLACES + 1)])
INTEGER_POWERS = POWERS.astype(np.int64)
HALF, TEN = 10**6, np.uint32(10)
NEAR = 1e-6  # of half the distance of two numbers; what is nearer to their middle is left to `str`
POINT = 7  # where it is in a text: behind a sign and six digits
END = POINT + 1 + PLACES


def lines_of(numbers: Singles) -> str:
    """Rows x columns of numbers as lines, with commas between the numbers of each."""
    flat = np.ascontiguousarray(numbers).reshape(-1)
    mantissas, places, known = _shortest(flat)
    whole = mantissas // INTEGER_POWERS[places]
    behind = (mantissas - whole * INTEGER_POWERS[places]) * INTEGER_POWERS[PLACES - places]
    upper = behind // HALF
    sixes = (whole, 1), (upper, POINT + 1), (behind - upper * HALF, POINT + 7)
    text = np.zeros((END + 1, len(flat)), np.uint8)
    for integers, begin in sixes:
        _write(text[begin : begin + 6], integers.astype(np.uint32))
    _clear(text[1 : POINT - 1])
    _clear(text[END - 1 : POINT + 1 : -1])
    text[POINT] = ord(".")
    text[0] = np.signbit(flat) * np.uint8(ord("-"))
    if not known.all():
        rest = np.flatnonzero(~known)
        text[:END, rest] = flat[rest].astype(f"S{END}").view(np.uint8).reshape(-1, END).T
    text[END] = ord(",")
    text[END, numbers.shape[1] - 1 :: numbers.shape[1]] = ord("\n")
    return text.T.tobytes().translate(None, b"\0").decode()


def _write(text: NDArray[np.uint8], integers: NDArray[np.uint32]) -> None:
    """Writes all digits of each integer, leading zeros too: a row for the first of each."""
    for row in text[::-1]:
        quotients = integers // TEN
        row[:] = integers - quotients * TEN
        integers = quotients
    text += np.uint8(ord("0"))


def _clear(text: NDArray[np.uint8]) -> None:
    """Takes out the zeros that the columns begin with."""
    zeros = np.ones(text.shape[1], np.bool_)
    for row in text:
        zeros &= row == ord("0")
        row *= ~zeros


def _shortest(numbers: Singles) -> tuple[Integers, Integers, NDArray[np.bool_]]:
    """Integers and powers of ten whose quotients are the shortest, and where they are known."""
    with np.errstate(invalid="ignore"):  # of NaN
        sizes = np.abs(numbers).astype(np.float64)
    known = (sizes >= BOUNDS[0]) & (sizes < BOUNDS[1])
    left: Any = np.flatnonzero(known)
    known |= sizes == 0
    mantissas, places = np.zeros((2, len(numbers)), np.int64)
    sizes = sizes[left]
    before = np.floor(np.log10(sizes)).astype(np.int64) + 1
    for digits in range(6, 10):
        moved = digits - before
        powers = POWERS[moved]
        nearest = np.rint(sizes * powers)
        decimals = nearest / powers
        singles = sizes.astype(np.float32)
        same = decimals.astype(np.float32) == singles
        if digits > 6:
            half = np.spacing(singles) / 2
            odd = np.abs(np.abs(decimals - sizes) - half) < NEAR * half
            odd |= np.frexp(sizes)[0] == 0.5  # below it, numbers are twice as near to each other
            known[left[odd]] = False
            same |= odd
        mantissas[left[same]], places[left[same]] = nearest[same], moved[same]
        left, sizes, before = left[~same], sizes[~same], before[~same]
    return mantissas, places, known
