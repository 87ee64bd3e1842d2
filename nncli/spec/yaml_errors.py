"""PyYAML's complaints in plain words. libyaml and the Python parser word them differently."""

from yaml import MarkedYAMLError

from nncli.core.text import brief

_MISFIT = "this does not fit the lines above; check indentation and quotes"
# A part of the parser's complaint, and what to tell the user. The first that fits is taken.
_WORDS = [
    (
        "mapping values are not allowed",
        "a ':' is out of place; check the indentation, or put text that holds ': ' in quotes",
    ),
    ("node content", "a value is missing here"),
    ("end of stream", "a quotation mark is never closed"),
    ("document separator", "a quotation mark is never closed"),
    ("document indicator", "a quotation mark is never closed"),
    ("block end", _MISFIT),
    ("expected key", _MISFIT),
    ("'-' indicator", _MISFIT),
    ("could not find expected ':'", "a ':' is missing after a key"),
    ("sequence entries", "a '-' is out of place; put each item of a list on a line of its own"),
    ("incompatible", "lines that begin with '%' have no place in a spec"),
    ("directive", "lines that begin with '%' have no place in a spec"),
    ("document start", "lines that begin with '%' have no place in a spec"),
    ("tab", "a tab cannot indent; use spaces"),
]


BAD_ESCAPE = "a wrong escape with '\\'; use single quotes for text as it stands"
_UNKNOWN = "this cannot be read; put text with special characters in quotes"
# A part of what the parser was reading, and what to say of a mistake in it, where it began.
_CONTEXTS = [
    ("tag", "a tag, which begins with '!', has no place in a spec; put the text in quotes"),
    ("anchor", "'&' begins a name for a value; put text that begins with '&' in quotes"),
    ("alias", "'*' begins the name of a value; put text that begins with '*' in quotes"),
    ("block scalar", "behind '|' or '>' the line ends; put text that begins so in quotes"),
]


def explain(error: MarkedYAMLError, text: str) -> tuple[int, int, str]:
    """Line, column and words for a syntax error; an unclosed bracket is reported where it opens."""
    problem, context = error.problem or "", error.context or ""
    mark = error.problem_mark or error.context_mark
    opening = error.context_mark
    reason = ""
    if "flow" in context and opening is not None and ("']'" in problem or "'}'" in problem):
        mark, reason = opening, _unclosed(context)
    elif "cannot start any token" in problem and mark is not None:
        reason = _bad_start(text, mark.line, mark.column)
    elif "undefined tag" in problem:
        mark, reason = (opening or mark), _CONTEXTS[0][1]
    elif "quoted scalar" in context and opening is not None:
        # libyaml places a wrong escape at the opening quote, at the backslash, or behind it.
        mark = opening
        if "escape" in problem or "hexdecimal" in problem or "Unicode" in problem:
            reason = BAD_ESCAPE
    elif opening is not None:
        reason = next((words for part, words in _CONTEXTS if part in context), "")
        mark = opening if reason else mark
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    if not reason:
        reason = next((words for part, words in _WORDS if part in problem), _UNKNOWN)
    return line, column, f"not valid YAML: {reason}"


def _unclosed(context: str) -> str:
    opening, closing = "{}" if "mapping" in context else "[]"
    return f"after this '{opening}' a ',' or the closing '{closing}' is missing"


def _bad_start(text: str, line: int, column: int) -> str:
    lines = text.splitlines()
    char = lines[line][column] if line < len(lines) and column < len(lines[line]) else ""
    if char == "\t":
        return "a tab cannot indent; use spaces"
    return f"text cannot begin with '{brief(char)}'; put it in quotes"
