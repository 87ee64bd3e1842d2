"""Words as columns have them: true and false, categories, dates."""

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from nncli.data.readers.tables import is_number

PAIRS_OF_WORDS = (("true", "false"), ("yes", "no"), ("t", "f"), ("y", "n"), ("on", "off"))
TRUE_WORDS, FALSE_WORDS = ({pair[k] for pair in PAIRS_OF_WORDS} for k in (0, 1))

DATES = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%b %d %Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%B %d, %Y",
    "%d %B %Y",
    "%Y-%m",
)
TIMES = ("", " %H:%M", " %H:%M:%S", "T%H:%M", "T%H:%M:%S", "T%H:%M:%SZ")
FORMATS = tuple(f"{date}{time}" for date in DATES for time in TIMES)
EPOCH = datetime(1970, 1, 1)
MOST_READ = 1 << 16  # words of a format whose days are kept
DAY = 86400.0  # seconds


@cache
def positions(words: tuple[str, ...]) -> tuple[dict[str, int], dict[float, int]]:
    """Of words, and of the numbers among them that no other is equal to."""
    exact = {word: index for index, word in enumerate(words)}
    numbers: dict[float, list[int]] = {}
    for word, index in exact.items():
        if is_number(word):
            numbers.setdefault(float(word), []).append(index)
    return exact, {number: found[0] for number, found in numbers.items() if len(found) == 1}


def matching(words: tuple[str, ...], word: str) -> int | None:
    """The index of a word; of a number written in another way, that of the equal one."""
    exact, numbers = positions(words)
    index = exact.get(word)
    if index is None and numbers and is_number(word):
        return numbers.get(float(word))
    return index


@cache
def day_reader(format: str) -> Callable[[str], float]:
    """Reads words of a format as days since 1970; NaN where they are none."""

    @lru_cache(MOST_READ)  # a column's words are read when it is recognised, fitted, applied
    def read(word: str) -> float:
        try:
            return (datetime.strptime(word, format) - EPOCH).total_seconds() / DAY
        except ValueError:
            return math.nan

    return read


def formats_of(words: Sequence[str]) -> list[str]:
    """The formats by which all of these words are dates."""
    fitting = [f for f in FORMATS if not math.isnan(day_reader(f)(words[0]))]
    return [f for f in fitting if not any(math.isnan(day_reader(f)(word)) for word in words)]


def date_parts(
    days: NDArray[np.float64],
) -> dict[str, tuple[NDArray[np.float64], float | None]]:
    """Year, month, weekday ... of days since 1970, each with its period; None for the year.

    All but the year count from 0.
    """
    whole = np.floor(days)
    at = whole.astype(np.int64).astype("datetime64[D]")
    months = at.astype("datetime64[M]")
    years = at.astype("datetime64[Y]")
    return {
        "year": (years.astype(np.float64) + 1970, None),
        "month": ((months - years.astype("datetime64[M]")).astype(np.float64), 12.0),
        "day": ((at - months.astype("datetime64[D]")).astype(np.float64), 31.0),
        "weekday": ((whole + 3) % 7, 7.0),  # 1 January 1970 was a Thursday; from Monday
        "hour": ((days - whole) * 24, 24.0),
    }
