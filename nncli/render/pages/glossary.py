"""The symbols of a step: each with a line, and a number that it stands for."""

from typing import Any

from nncli.inspection.glossary import Entry, Number, glossary
from nncli.nn.trace import Trace
from nncli.render.document import Document, Grid, Heading, Page, Paragraph
from nncli.render.pages.exercise_key import working_words
from nncli.render.pages.explain.words import n

DIGITS = 4
SIGNS = ("⊙", "⊗")  # which stand between the factors of their numbers
HEADINGS = ("symbol", "what it is", "here")


def glossary_page(trace: Trace) -> Page:
    return [
        Heading(f"{trace.name}: the symbols of a step", 0),
        Paragraph(
            "Each with a number of this network: of its first step, of the sample and the unit "
            "that explain follows. Indices count from 0.",
            note=True,
        ),
        glossary_grid(trace),
    ]


def glossary_grid(trace: Trace) -> Grid:
    """A row a symbol."""
    return Grid(HEADINGS, tuple(map(_row, glossary(trace))), words=3)


def glossary_document(trace: Trace) -> Document:
    return Document(
        f"{trace.name}: the symbols of a step",
        lambda: glossary_page(trace),
        lambda: glossary_record(trace),
        dict,
    )


def _row(entry: Entry) -> tuple[str, str, str]:
    number = number_words(entry.number)
    if entry.symbol in SIGNS:
        number = number.replace("·", f" {entry.symbol} ")
    return entry.symbol, f"{entry.name}: {entry.line}", number


def number_words(number: Number) -> str:
    """`δ_0 = 0.7414·0.1868 = 0.1385 (dense2)`."""
    value = n(number.value, DIGITS)
    parts = [number.symbol]
    if number.working is not None:
        text = working_words(number.working, lambda factor: n(factor, DIGITS))
        parts += [text] if text != value else []
    where = f" ({number.where})" if number.where else ""
    return f"{' = '.join([*parts, value])}{where}"


def glossary_record(trace: Trace) -> dict[str, Any]:
    return {
        "schema": "nncli.glossary/1",
        "name": trace.name,
        "entries": [
            {
                "symbol": entry.symbol,
                "name": entry.name,
                "line": entry.line,
                "number": {
                    "symbol": entry.number.symbol,
                    "value": entry.number.value,
                    "layer": entry.number.where or None,
                },
            }
            for entry in glossary(trace)
        ],
    }
