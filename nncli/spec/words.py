"""How a spec's values, keys and paths are put into an error message."""

import difflib
import re
import unicodedata
from collections.abc import Iterable

from nncli.core.text import brief, count_of, join_words, quote
from nncli.nn.activations import ACTIVATIONS
from nncli.nn.costs import COSTS
from nncli.nn.layers import LAYERS

KeyPath = tuple[str | int, ...]

# What other programs and books call it.
_OTHER_NAMES = {
    "eta": ("learning_rate", "lr", "alpha"),
    "cost": ("loss", "objective"),
    "network": ("layers", "model"),
    "expect": ("assert", "asserts", "assertions", "expectations", "require"),
    "break": ("breakpoint", "breakpoints", "breaks", "stop_at", "stop"),
    "data": ("dataset",),
    "seeds": ("seed_count", "num_seeds", "n_seeds", "repeats", "repetitions"),
    "units": ("neurons", "outputs", "out_features"),
    "filters": ("channels", "out_channels"),
    "kernel": ("size", "kernel_size"),
    "size": ("kernel", "kernel_size", "pool_size"),
    **{kind.type: kind.synonyms for kind in LAYERS.values()},
    **{row.name: row.synonyms for row in ACTIVATIONS.values()},
    **{row.name: row.synonyms for row in COSTS},
}
# Letters that look like Latin ones, as they come from a keyboard that was not switched over.
_CYRILLIC, _GREEK = "аеорсухіјѕһԁԛԝкмт", "αοινκρτυχε"
LATIN = str.maketrans(f"{_CYRILLIC}{_GREEK}", "aeopcyxijshdqwkmtaoivkptuxe")
_PLAIN_KEY = re.compile(r"[\w-]{1,40}")


def utf8(text: str) -> str | None:
    """Text from the system, read as UTF-8 whatever the locale; None where it is not UTF-8.

    Python hands over bytes that the locale cannot read as lone surrogates, which no file can hold.
    """
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        return None


def describe(value: object) -> str:
    """What came, as an error message names it: `the string '30'`, `-3`, `a list of 12 values`."""
    if isinstance(value, str):
        return f"the string {quote(value)}" if value else "an empty string"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return _describe_list(value)
    return _scalar(value)


def _describe_list(values: list[object] | tuple[object, ...]) -> str:
    if not values:
        return "an empty list"
    if len(values) <= 6 and not any(isinstance(v, list | tuple | dict) for v in values):
        flow = ", ".join(quote(v) if isinstance(v, str) else _scalar(v) for v in values)
        if len(flow) <= 40:
            return f"the list [{flow}]"
    return f"a list of {count_of(len(values), 'value')}"


def _scalar(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > 200:
        return "an integer of very many digits"  # str() itself refuses past 4300 digits
    return brief(str(value))


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean 'epochs'?` where one is near, else the list of all that there is."""
    known = list(known)
    if len(known) == 1:
        return f"only {known[0]} is possible here"
    near = nearest(word, known)
    return f"did you mean '{near}'?" if near else f"expected {one_of(known)}"


def in_latin(word: str) -> str:
    """A word with the Latin letters that its Cyrillic, Greek and full-width ones look like."""
    return unicodedata.normalize("NFKC", word).translate(LATIN)


def look_alikes(word: str) -> str:
    """` (its 'а' is U+0430, CYRILLIC SMALL LETTER A)`; nothing for a word without such letters."""
    alike = [c for c in dict.fromkeys(word) if not c.isascii() and in_latin(c).isascii()]
    named = (f"{quote(c)} is U+{ord(c):04X}, {unicodedata.name(c, 'unnamed')}" for c in alike)
    return f" (its {join_words(named, 'and')})" if alike else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Which of the known words is meant: by another name of it, or by a word much like it."""
    word, known = in_latin(word[:40]).lower(), list(known)
    for name in known:
        if word in _OTHER_NAMES.get(name, ()):
            return name
    lowered = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word, lowered, n=1, cutoff=0.75)
    near += [name for name in lowered if len(word) >= 3 and name.startswith(word)]
    return lowered[near[0]] if near else None


def one_of(words: Iterable[str]) -> str:
    """Signs among them are put in quotes, that they can be told from the commas between."""
    words = [word if any(map(str.isalnum, word)) else quote(word) for word in words]
    return f"one of {join_words(words)}" if len(words) > 1 else words[0]


def dotted(path: KeyPath) -> str:
    """`("network", 0, "activation")` as `network[0].activation`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _PLAIN_KEY.fullmatch(part) else quote(part)
            text += f".{key}" if text else key
    return text


# Keys of a sweep, and where they belong; a file that has `spec` is no spec, but a sweep's.
OF_A_SWEEP = {
    "spec": "nncli sweep, which takes a file that names a spec",
    "vary": "sweep.vary",
    "zip": "sweep.zip",
}

_STEP = re.compile(r"\.?(?P<key>[^.\[\]=\s]+)|\[(?P<index>[0-9]{1,9})\]")


def parse_path(text: str) -> KeyPath:
    """`network[0].units` as `("network", 0, "units")`; ValueError where it is not such a path."""
    path: list[str | int] = []
    position = 0
    while position < len(text) or not path:
        step = _STEP.match(text, position)
        # A dot belongs between two names and nowhere else.
        if step is None or (step.group().startswith(".") != bool(path) and step["key"]):
            raise ValueError(text)
        path.append(step["key"] if step["key"] else int(step["index"]))
        position = step.end()
    return tuple(path)
