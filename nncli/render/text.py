"""Small pieces of text: numbers at a readable length, names that cannot act as markup."""

from collections.abc import Iterable

from rich.text import Text

NONE = "–"  # a quantity that does not exist here


def safe(name: object) -> str:
    """A name from a file, with what is not printable written as an escape."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(name))


def plain(text: str, style: str = "") -> Text:
    """Text that rich shows as it is: no markup, no emoji codes, no highlighting."""
    return Text(safe(text) if "\n" not in text else text, style=style)


def number(value: float | None, digits: int = 3) -> str:
    """`value` to `digits` significant digits, in at most digits + 4 characters where it can be."""
    if value is None:
        return NONE
    text = f"{value:.{digits}g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        return f"{mantissa}e{int(exponent)}"
    return text


def percent(value: float | None) -> str:
    """A share as a percentage, short, but never 0 % or 100 % of what is not quite."""
    if value is None:
        return NONE
    if 0 < value < 0.001:
        return "<0.1%"
    if 0.999 < value < 1:
        return ">99.9%"
    return f"{100 * value:.3g}%"


def shape(axes: Iterable[int]) -> str:
    return "×".join(map(str, axes))


def count(n: int, what: str, many: str | None = None) -> str:
    """A number with its noun: 1 epoch, 30 epochs."""
    return f"{n:,} {what if n == 1 else many or what + 's'}"
