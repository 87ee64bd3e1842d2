"""How numbers, names and lists are put into words, the same in every message and on every page.

It imports next to nothing, since every command needs it.
"""

import re
from collections.abc import Iterable, Sequence

SHORT = 40  # characters
# Control characters, separators of lines and paragraphs, marks that turn the direction of writing.
ACTING = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
LISTED_NAMES = 10
LISTED_DIMENSIONS = 8


def count_of(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: `1 epoch`, `1,797 samples`; `plural` where an s does not make it."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def printable(text: object, limit: int | None = None) -> str:
    """Text in which control characters and all else that is not printable are escapes.

    So nothing in it can act on a terminal or end a line. Beyond `limit` characters it is cut.
    """
    whole = str(text)
    # Cut before escaping as well: what comes from a file may be megabytes long.
    some = whole if limit is None else whole[: limit + 1]
    if not some.isprintable():
        some = "".join(c if c.isprintable() else repr(c)[1:-1] for c in some)
    return some if limit is None or len(some) <= limit else f"{some[: limit - 1]}…"


ASCII = {
    "∂": "d", "∇": "grad ", "δ": "delta", "Δ": "Delta", "η": "eta", "σ": "sigma", "Σ": "sum",
    "α": "alpha", "β": "beta", "γ": "gamma", "ε": "epsilon", "λ": "lambda", "μ": "mu",
    "φ": "phi", "Φ": "Phi", "√": "sqrt ", "′": "'",
    "‖": "||", "⊙": "(.)", "⊗": "(x)", "⊘": "(/)", "·": ".", "×": "x", "→": "->", "←": "<-",
    "−": "-", "–": "-", "—": "--", "…": "...", "≤": "<=", "≥": ">=", "½": "1/2", "µ": "u",
    "ᵀ": "^T", "ᵗ": "^t", "²": "^2", "₁": "1", "₂": "2", "\u0302": "_hat",
    "≠": "!=", "°": " degrees", "⋆": "(*)", "⚠": "(!)",
    "█": "#", "─": "-", "│": "|", "┤": "|",
}  # fmt: skip


def in_ascii(text: str) -> str:
    """Text for a terminal or a pipe that cannot take its symbols: each is spelled out.

    What has no spelling becomes a question mark.
    """
    if text.isascii():
        return text
    return "".join(c if c.isascii() else ASCII.get(c, "?") for c in text)


def without_controls(text: str) -> str:
    """Text in which what acts on a terminal or ends a line is an escape, and all else stays."""
    return ACTING.sub(lambda match: repr(match[0])[1:-1], text)


def shell_word(path: object) -> str:
    """A path as a word of a command line that is pasted: nothing in it acts, it is no option."""
    import shlex

    word = printable(path)
    return shlex.quote(f"./{word}" if word.startswith("-") else word)


def brief(text: object) -> str:
    """The printable text, cut where it is longer than a message can carry."""
    return printable(text, SHORT)


def quote(text: object) -> str:
    """`text` in quotes, printable and brief."""
    inside = brief(text)
    return f'"{inside}"' if "'" in inside and '"' not in inside else f"'{inside}'"


def quote_all(names: Iterable[str]) -> str:
    """The first names in quotes, and how many more there are."""
    names = list(names)
    left = len(names) - LISTED_NAMES
    more = f" and {left:,} more" if left > 0 else ""
    return ", ".join(map(quote, names[:LISTED_NAMES])) + more


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'digit'?`, or nothing where no known name is near."""
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {quote(near[0])}?" if near else ""


def join_words(words: Iterable[str], last: str = "or") -> str:
    """Words in a sentence: `sigmoid, tanh or relu`."""
    *rest, final = words
    return f"{', '.join(rest)} {last} {final}" if rest else final


def capitalised(words: str) -> str:
    """A sentence's beginning with a capital; symbols stay as they are, for Δ is not δ."""
    return f"{words[:1].upper()}{words[1:]}" if words[:1].isascii() else words


def first_of(items: Sequence[object], most: int) -> str:
    """A list as `0, 1, 2, …`: of a longer one the first."""
    return ", ".join(map(str, items[:most])) + (", …" if len(items) > most else "")


def sizes(shape: Iterable[int], sign: str = " x ") -> str:
    """A shape in words: `3 x 4` in messages, which may end in an ASCII log; pages write 3×4."""
    lengths = [str(length) for length in shape]
    more = ["..."] if len(lengths) > LISTED_DIMENSIONS else []
    return sign.join([*lengths[:LISTED_DIMENSIONS], *more])
