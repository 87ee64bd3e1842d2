"""Numbers, sums and matrices as the screens of a derivation write them."""

from collections.abc import Iterable, Sequence
from textwrap import wrap

import numpy as np
from rich.cells import cell_len

from nncli.core.text import join_words
from nncli.inspection.derivation.base import Excerpt, place_of, sum_of_others
from nncli.nn.arrays import Array, Shape
from nncli.render.document import Equation, Indices, Lines, MatrixTerm, Paragraph
from nncli.render.terminal import rows_of_blocks
from nncli.render.text import NumberFormat, number_formats

WIDTH, HEIGHT = 80, 24  # of a screen, its line of progress included
DECIMALS = (6, 5, 4, 3)  # of matrices: the first with which an equation fits into a line


def n(value: float, digits: int = 6) -> str:
    """A number to so many significant digits, without trailing zeros."""
    text = f"{value or 0.0:.{digits}g}"  # of −0 as well
    if "e" in text:
        mantissa, exponent = text.split("e")
        return f"{mantissa}e{int(exponent)}"
    return text


def factor(value: float, digits: int = 6) -> str:
    """A number within a product or a sum: in parentheses where it is negative."""
    text = n(value, digits)
    return f"({text})" if text.startswith("-") else text


def product(*values: float, digits: int = 6) -> str:
    return "·".join(factor(value, digits) for value in values)


def unit_name(unit: int, shape: Shape) -> str:
    """How a unit is named in a subscript: by its number, or by channel, row and column."""
    return ",".join(map(str, place_of(unit, shape)))


def listed(names: Iterable[str]) -> str:
    return join_words(names, "and")


def cut_words(excerpt: Excerpt, noun: str, why: str, shape: Shape | None = None) -> str:
    """Which of how many are shown; empty where all are."""
    if excerpt.is_all:
        return ""
    sizes = (excerpt.total,) if shape is None else shape
    names = listed(
        unit_name(k, sizes) if len(sizes) == 1 else f"({unit_name(k, sizes)})"
        for k in excerpt.indices
    )
    plural = {"class": "classes"}.get(noun, f"{noun}s")
    return f" Shown are {plural} {names} of {excerpt.total:,}, {why}."


def taps_words(rows: Excerpt, columns: Excerpt) -> str:
    """How many products of a window are shown, where not all are."""
    if rows.is_all and columns.is_all:
        return ""
    shown, total = len(rows.indices) * len(columns.indices), rows.total * columns.total
    return f"Shown are {shown} of the {total} products, around the largest."


def sum_of(products: Array, shown: Excerpt, factors: Sequence[tuple[float, float]]) -> str:
    """The shown products of a sum, and what the others come to."""
    text = " + ".join(product(*pair) for pair in factors)
    if shown.is_all:
        return text
    more = shown.total - len(shown.indices)
    return f"{text} + [{more:,} more: {n(sum_of_others(products, shown))}]"


def aligned(*lines: tuple[str, str]) -> Lines:
    """Equations under each other, by the sign = ; an empty left side goes on with the one above."""
    left = max(cell_len(name) for name, _ in lines)
    made: list[str] = []
    for name, value in lines:
        first, *rest = wrap(value, WIDTH - left - 3, break_long_words=False) or [""]
        made.append(f"{' ' * (left - cell_len(name))}{name} = {first}")
        made += [f"{' ' * (left + 5)}{line}" for line in rest]
    return Lines(tuple(made))


Term = tuple[str, Array, Indices, Indices]


def row(symbol: str, values: Array, columns: Excerpt | None = None) -> Term:
    """A vector as a matrix of one row."""
    made = np.atleast_2d(values)
    return symbol, made, [0], whole(made.shape[1]) if columns is None else columns.with_gap


def column(symbol: str, values: Array, rows: Excerpt | None = None) -> Term:
    made = values.reshape(-1, 1)
    return symbol, made, whole(len(made)) if rows is None else rows.with_gap, [0]


def table(
    symbol: str, values: Array, rows: Excerpt | None = None, columns: Excerpt | None = None
) -> Term:
    return (
        symbol,
        values,
        whole(len(values)) if rows is None else rows.with_gap,
        whole(values.shape[1]) if columns is None else columns.with_gap,
    )


def some(values: Array, shown: Excerpt) -> Array:
    """The entries of a vector that are shown."""
    return values[list(shown.indices)]


def whole(size: int) -> Indices:
    return list(range(size))


def matrices(signs: str, *terms: Term, label: str = "", width: int = WIDTH) -> Equation:
    """An equation, with as many decimals as let it stand in one line."""
    for decimals in DECIMALS:
        made = _equation(signs, terms, label, decimals)
        if len(list(rows_of_blocks(made, width))) == 1:
            return made
    return _equation(signs, terms, label, 4)


def _equation(signs: str, terms: Sequence[Term], label: str, decimals: int) -> Equation:
    shown = [_shown(array, rows, columns) for _, array, rows, columns in terms]
    kinds = [
        _Sparse(*kind) if _is_diagonal(array) else kind
        for kind, array in zip(number_formats(shown, decimals), shown, strict=True)
    ]
    return Equation(
        tuple(
            MatrixTerm(symbol, array, rows, columns, kind)
            for (symbol, array, rows, columns), kind in zip(terms, kinds, strict=True)
        ),
        signs,
        label,
    )


class _Sparse(NumberFormat):
    """Of a diagonal matrix, in which a 0 is to be seen as one."""

    def __call__(self, value: float) -> str:
        return "0" if value == 0 else super().__call__(value)


def _is_diagonal(array: Array) -> bool:
    return array.shape[0] == array.shape[1] > 1 and not (array - np.diag(np.diag(array))).any()


def _shown(array: Array, rows: Indices, columns: Indices) -> Array:
    kept = np.ix_([r for r in rows if r is not None], [c for c in columns if c is not None])
    return array[kept]


def note(text: str) -> list[Paragraph]:
    """Words about the page; none for an empty text."""
    return [Paragraph(text.strip(), note=True)] if text.strip() else []


def texts(values: Array) -> list[str]:
    """The numbers of a column of a table, written alike."""
    (kind,) = number_formats([values])
    return [kind(value) for value in values]
