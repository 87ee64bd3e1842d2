"""Small pieces of text: numbers at a readable length, names that cannot act as markup."""

from collections.abc import Iterable

from rich.text import Text

from nncli.core.text import printable, sizes

NONE = "–"  # a quantity that does not exist here


def plain(text: str, style: str = "") -> Text:
    """Text that rich shows as it is: no markup, no emoji codes, no highlighting."""
    return Text(printable(text), style=style)


def number(value: float | None, digits: int = 3) -> str:
    """`value` to `digits` significant digits, trailing zeros included; small ones as 1.23e-5."""
    if value is None:
        return NONE
    if value == 0:
        return "0"
    text = f"{value:#.{digits}g}".removesuffix(".")
    if "e" in text:
        mantissa, exponent = text.split("e")
        return f"{mantissa.removesuffix('.')}e{int(exponent)}"
    return text


def percent(share: float | None, places: int = 1) -> str:
    """A share as a percentage, but never 0 % or 100 % of what is not quite."""
    if share is None:
        return NONE
    least = 10.0**-places
    if 0 < 100 * share < least:
        return f"<{least:g}%"
    if 100 - least < 100 * share < 100:
        return f">{100 - least:g}%"
    return f"{100 * share:.{places}f}%"


def shape(lengths: Iterable[int]) -> str:
    return sizes(lengths, "×")


def duration(seconds: float) -> str:
    if seconds < 0.1:
        return f"{number(1000 * seconds)} ms"
    if seconds < 60:
        return f"{number(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
