"""How mistakes in data are worded: foreign text shortened and escaped, many mistakes collected."""

import difflib
from collections.abc import Iterable

from nncli.errors import DataError

SHOWN_PROBLEMS = 10
SHOWN_NAMES = 10
SHOWN_CHARACTERS = 40


def quote(text: object) -> str:
    """`text` in quotes, on one line whatever it holds, and not longer than can be read."""
    text = str(text)
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "...")


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size(shape: Iterable[int]) -> str:
    return " x ".join(str(length) for length in shape)


def listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - SHOWN_NAMES:,} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(quote(name) for name in names[:SHOWN_NAMES]) + more


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'digit'?`, or nothing where no known name is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {quote(near[0])}?" if near else ""


class Problems:
    """Collects the mistakes of one file; ten are told, the rest are counted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = 0
        self.told: list[str] = []

    def add(self, problem: str) -> None:
        self.total += 1
        if len(self.told) < SHOWN_PROBLEMS:
            self.told.append(problem)

    def raise_any(self) -> None:
        """Raise DataError with what was collected, if anything was."""
        if not self.total:
            return
        more = self.total - len(self.told)
        raise DataError([*self.told, *([f"{self.name}: and {more:,} more"] if more else [])])
