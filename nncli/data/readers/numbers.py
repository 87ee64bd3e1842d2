"""Lines of separated decimal numbers, parsed by operations on arrays of their bytes.

What is not simply numbers (a word, an empty cell, a quote, a comment, a blank line) is not told
apart here: `parse` gives None, and the exact readers look at the cells one by one. Every number is
the float64 nearest to what is written, as `float` gives it.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
Words = NDArray[np.uint64]

MARGIN = 24  # bytes before a text, so that three words of digits can be read before any cell
WORD = 8  # digits that are parsed at once
MOST_DIGITS = 19  # of a mantissa, which then fits uint64
LONGEST_INTEGER = 15  # digits; longer ones may be labels, which stay as they are written
MOST_EXPONENT_DIGITS = 3
POWERS = np.array([10.0**k for k in range(23)])  # all that are float64 numbers exactly
INTEGER_POWERS = np.array([10**k for k in range(MOST_DIGITS + 1)], np.uint64)
EXACT = np.uint64(2**53)
SPLIT = 2.0**27 + 1
NEAR = 1e-9  # of half a unit in the last place: what is nearer to a tie is left to `float`
KEPT = 1 << 22  # bytes; arrays made of a block of text are smaller, and twice that together
NEWLINE, RETURN, BLANK, ZERO, POINT, MINUS, PLUS, MARK = b"\n\r 0.-+e"


class Block(NamedTuple):
    """The numbers of some lines.

    Attributes:
        values: rows x width; integers of any size where all are integers, else float64.
        plain: width; whether all cells of a column are integers as Python writes them.
    """

    values: NDArray[Any]
    plain: Mask


class Cells(NamedTuple):
    """Where the parts of each cell are: `[sign] before [. behind] [e exponent]`.

    Attributes:
        begins, stops: of the mantissa, without its sign.
        points: where `before` ends.
        behind: how many digits follow the point.
        exponents: as they are written; None where no cell has one.
        minus, integer: whether there is a minus sign; whether there are digits alone.
        plain: whether it is an integer as Python writes it.
    """

    begins: Indices
    stops: Indices
    points: Indices
    behind: Indices
    exponents: Indices | None
    minus: Mask
    integer: Mask
    plain: Mask


def keep_freed_memory() -> None:
    """Makes the C library keep the memory of a block of text for the next one.

    glibc hands back what is free beyond twice the largest array that it freed before, and pages
    that it asks for again are zeroed first, which takes longer than parsing does.
    """
    np.empty(KEPT, np.uint8)


def parse(text: bytes, delimiter: str, width: int) -> Block | None:
    """The numbers of lines of `width` cells each; None where the text is not just that.

    Args:
        text: of whole lines, a newline after the last one too.
        delimiter: the character between cells.
    """
    buffer = np.frombuffer(bytes(MARGIN) + text, np.uint8)
    found = _cells(buffer, ord(delimiter), width)
    if found is None:
        return None
    plain: Mask = np.logical_and.reduce(found.plain.reshape(-1, width), axis=0)
    before = found.points - found.begins
    if found.integer.all():
        values = _digits(buffer, found.points, before)
        if found.minus.any():
            values = values.astype(np.int64)
            np.negative(values, out=values, where=found.minus)
        return Block(values.reshape(-1, width), plain)
    numbers = _decimals(buffer, found, before)
    return None if numbers is None else Block(numbers.reshape(-1, width), plain)


def narrowed(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Integers in the smallest type that holds them; other numbers as they are."""
    if values.dtype.kind == "f":
        return values
    low, high = int(values.min()), int(values.max())
    for dtype in (np.uint8, np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return values.astype(dtype)
    return values.astype(np.int64)


def _cells(buffer: Bytes, delimiter: int, width: int) -> Cells | None:
    """The parts of all cells; None unless every byte is part of a number, or between two."""
    text = buffer[MARGIN:]
    newlines = text == NEWLINE
    ends = np.flatnonzero(newlines | (text == delimiter))
    rows = np.count_nonzero(newlines)
    if rows == 0 or len(ends) != rows * width or not newlines[ends[width - 1 :: width]].all():
        return None
    ends += MARGIN
    begins = np.empty_like(ends)
    begins[0] = MARGIN
    np.add(ends[:-1], 1, out=begins[1:])
    left = len(text) - len(ends) - np.count_nonzero(text - ZERO <= 9)  # to be accounted for
    if left and buffer[ends[width - 1] - 1] == RETURN:
        last = ends[width - 1 :: width]
        last -= 1
        if not (buffer.take(last) == RETURN).all():
            return None
        left -= rows
    first = buffer.take(begins)
    if left and (blank := first == BLANK).any():
        begins += blank
        first = buffer.take(begins)
        left -= np.count_nonzero(blank)
    if (ends <= begins).any():
        return None
    nothing = np.zeros(len(ends), np.bool_)
    if left == 0:
        lengths = ends - begins
        integer = lengths <= LONGEST_INTEGER
        plain = (first != ZERO) | (lengths == 1)
        if not integer.all():
            return None
        return Cells(begins, ends, ends, np.zeros_like(ends), None, nothing, integer, plain)
    minus = first == MINUS
    signed = minus | (first == PLUS)
    begins += signed
    left -= np.count_nonzero(signed)
    stops, exponents = ends, None
    marks = np.flatnonzero(text | BLANK == MARK) + MARGIN  # of either case
    if len(marks):
        cells = _cells_of(marks, ends)
        parsed = None if cells is None else _exponents(buffer, marks, ends[cells])
        if cells is None or parsed is None:
            return None
        stops, exponents = ends.copy(), np.zeros_like(ends)
        stops[cells] = marks
        exponents[cells], signs = parsed
        left -= len(marks) + signs
    points, behind, integer = stops, np.zeros_like(ends), stops == ends
    found = _points(buffer, stops)
    if len(found):
        cells = _cells_of(found, ends)
        if cells is None or (found >= stops[cells]).any():
            return None
        if isinstance(cells, slice):
            points, behind = found, stops - found - 1
        else:
            points = stops.copy()
            points[cells] = found
            behind[cells] = stops[cells] - found - 1
        integer &= points == stops
    before = points - begins
    if left != len(found) or before.min() < 0 or (before + behind).min() < 1:
        return None
    if (integer & (before > LONGEST_INTEGER)).any():
        return None
    leading = buffer.take(begins) == ZERO
    plain = integer & (minus == signed) & ~(leading & (minus | (before > 1)))
    return Cells(begins, stops, points, behind, exponents, minus, integer, plain)


def _points(buffer: Bytes, stops: Indices) -> Indices:
    """Where the decimal points are, in order."""
    is_point = buffer[MARGIN:] == POINT
    if np.count_nonzero(is_point) == len(stops):
        # Often as many digits follow each; a look there takes half as long as a search.
        guess: Indices = stops - (int(stops[0]) - MARGIN - int(is_point.argmax()))
        if guess[-1] < len(buffer) and (buffer.take(guess) == POINT).all():
            return guess
    return np.flatnonzero(is_point) + MARGIN


def _cells_of(positions: Indices, ends: Indices) -> Indices | slice | None:
    """The cells that characters are in, a slice where that is all; None where two are in one."""
    if len(positions) == len(ends):
        inside = (positions < ends).all() and (positions[1:] > ends[:-1]).all()
        return slice(None) if inside else None
    cells = np.searchsorted(ends, positions)
    return cells if (np.diff(cells) > 0).all() else None


def _exponents(buffer: Bytes, marks: Indices, ends: Indices) -> tuple[Indices, int] | None:
    """The exponents behind `marks`, and how many signs they have; None where one has no digits."""
    sign = buffer.take(marks + 1)
    minus = sign == MINUS
    signed = minus | (sign == PLUS)
    counts = ends - marks - 1 - signed
    if counts.min() < 1 or counts.max() > MOST_EXPONENT_DIGITS:
        return None
    values = _digits(buffer, ends, counts).astype(np.int64)
    np.negative(values, out=values, where=minus)
    return values, int(np.count_nonzero(signed))


def _digits(buffer: Bytes, ends: Indices, counts: Indices) -> NDArray[Any]:
    """The integers of `counts` digits that end before `ends`: of the last MARGIN, modulo 2**64."""
    most = int(counts.max())
    if most <= 3:
        last = ends - 1
        values = (buffer.take(last) - ZERO).astype(np.int16)
        values *= counts > 0
        for k in range(1, most):
            last -= 1
            digits = (buffer.take(last) - ZERO).astype(np.int16)
            digits *= counts > k
            digits *= np.int16(10**k)
            values += digits
        return values
    all_words: Words = np.ndarray((len(buffer) - WORD + 1,), "<u8", buffer.data, 0, (1,))
    total = np.zeros(len(ends), np.uint64)
    for k in range(0, min(most, MARGIN), WORD):
        # A word's last byte, its highest, is its last digit; what is before the digits becomes 0.
        words = all_words[ends - (k + WORD)]
        bits = 8 * (WORD + k - counts)
        if most > WORD:
            bits = bits.clip(0, 8 * WORD)
        unused = np.uint64(bits[0]) if (bits == bits[0]).all() else bits.view(np.uint64)
        words >>= unused
        words <<= unused
        # Eight digits to four pairs, two fours and one number, each beside the others in the word.
        words &= np.uint64(0x0F0F0F0F0F0F0F0F)
        words *= np.uint64((10 << 8) + 1)
        words >>= np.uint64(8)
        words &= np.uint64(0x00FF00FF00FF00FF)
        words *= np.uint64((100 << 16) + 1)
        words >>= np.uint64(16)
        words &= np.uint64(0x0000FFFF0000FFFF)
        words *= np.uint64((10_000 << 32) + 1)
        words >>= np.uint64(32)
        if k:
            words *= np.uint64(10**k)
        total += words
    return total


def _decimals(buffer: Bytes, cells: Cells, before: Indices) -> NDArray[np.float64] | None:
    whole = _digits(buffer, cells.points, before).astype(np.uint64)
    mantissas = whole * INTEGER_POWERS.take(cells.behind, mode="clip")
    mantissas += _digits(buffer, cells.stops, cells.behind).astype(np.uint64)
    longest = int((before + cells.behind).max())
    if longest <= LONGEST_INTEGER and cells.exponents is None:
        # Both sides are exact, and so one rounding is all that there is (Clinger, 1990).
        values = mantissas.astype(np.float64)
        values /= POWERS.take(cells.behind)
        np.negative(values, out=values, where=cells.minus)
        return values
    digits = np.where(whole == 0, np.where(before > MARGIN, before, 0), before) + cells.behind
    powers = -cells.behind if cells.exponents is None else cells.exponents - cells.behind
    values = mantissas.astype(np.float64)
    small = (mantissas <= EXACT) & (digits <= MOST_DIGITS)
    if powers.max() > 0:
        values *= POWERS.take(powers.clip(0, len(POWERS) - 1))
    values /= POWERS.take((-powers).clip(0, len(POWERS) - 1))
    known = small & (np.abs(powers) < len(POWERS))
    if not known.all():
        is_long = ~known & (digits <= MOST_DIGITS) & (powers < 0) & (powers > -len(POWERS))
        if is_long.any():
            long = np.flatnonzero(is_long)
            values[long], known[long] = _quotients(mantissas[long], POWERS.take(-powers[long]))
        rest = np.flatnonzero(~known)
        if len(rest) > len(values) // 8:
            return None
        for cell in rest.tolist():
            end = cells.stops[cell]
            text = buffer[cells.begins[cell] : end].tobytes()
            exponent = 0 if cells.exponents is None else int(cells.exponents[cell])
            values[cell] = float(text + b"e%d" % exponent)
        if not np.isfinite(values).all():
            return None
    np.negative(values, out=values, where=cells.minus)
    return values


def _quotients(mantissas: Words, powers: NDArray[np.float64]) -> tuple[NDArray[np.float64], Mask]:
    """mantissas / powers, and whether that is known to be rounded to the nearest float64.

    The quotient q of the mantissas' high parts is corrected by what is left, high - q power + low,
    which Dekker's product ("A floating-point technique for extending the available precision",
    1971) gives without rounding.
    """
    high = mantissas.astype(np.float64)
    low = (mantissas - high.astype(np.uint64)).view(np.int64).astype(np.float64)
    quotients = high / powers
    product = quotients * powers
    q, p = _high_half(quotients), _high_half(powers)
    error = ((q * p - product) + q * (powers - p) + (quotients - q) * p) + (quotients - q) * (
        powers - p
    )
    correction = ((high - product) - error + low) / powers
    values = quotients + correction
    rest = np.abs(correction - (values - quotients))
    half = np.spacing(values) / 2
    # Below a power of two, numbers are twice as near to each other.
    near = (np.abs(rest - half) < NEAR * half) | (np.abs(rest - half / 2) < NEAR * half)
    return values, ~near


def _high_half(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """The upper 26 bits of each."""
    scaled = SPLIT * numbers
    upper: NDArray[np.float64] = scaled - (scaled - numbers)
    return upper
