"""Pages to look at, made as the command makes them; and numbers read back from them."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from nncli.inspection.record import Inspection, inspect
from nncli.nn.trace import Trace
from nncli.render.formats.document import Page
from nncli.render.formats.registry import Drawing
from nncli.render.pages.backward import Choices
from nncli.render.pages.breakdown import breakdown
from nncli.render.terminal import OnTerminal

WORKED = ("two-two-two", "seed-3-4-2")  # of one sample each
VIEWS = ("matrix", "hadamard", "kronecker", "index")


def drawing_of(trace: Trace, *, checked: bool = False, why: Any = None, **choices: Any) -> Drawing:
    inspection: Inspection = inspect(trace, checked=checked)
    return Drawing(inspection, breakdown(inspection, Choices(**choices), why), why)


def on_screen(page: Page, width: int = 80) -> str:
    return shown(OnTerminal(page), width)


def shown(renderable: Any, width: int = 80) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, highlight=False, markup=False, emoji=False)
    console.print(renderable)
    return file.getvalue()


@dataclass(frozen=True)
class Term:
    """A matrix as a page shows it; `sign` is the one before it."""

    symbol: str
    sign: str
    values: NDArray[Any]


HEADING = re.compile(r"(\S(?:.*?\S)??)  (\d+(?:×\d+)+)(?:  columns (\d+)–(\d+))?(?=\s|$)\s*")
ROW = re.compile(r"\[([^\]]*)\]")


def equations_of(text: str) -> Iterator[list[Term]]:
    """Every equation of matrices on a page, in order. Pieces of one matrix are put together."""
    lines = text.splitlines()
    k = 0
    terms: list[Term] = []
    while k < len(lines):
        headings = HEADING.findall(lines[k])
        following = lines[k + 1] if k + 1 < len(lines) else ""
        if headings and following[2:3] == "[":
            starts = [match.start() for match in ROW.finditer(following)]
            rows: list[list[list[float]]] = [[] for _ in starts]
            signs = [following[start - 2] for start in starts]
            k += 1
            while k < len(lines) and ROW.search(lines[k]) and not HEADING.search(lines[k]):
                for match in ROW.finditer(lines[k]):
                    values = [float(x) for x in match[1].split()]
                    rows[starts.index(match.start())].append(values)
                k += 1
            for (symbol, _, first, _), sign, values in zip(headings, signs, rows, strict=True):
                if first and terms and sign == " " and terms[-1].symbol == symbol:
                    joined = np.hstack([terms[-1].values, values])
                    terms[-1] = Term(symbol, terms[-1].sign, joined)
                else:
                    terms.append(Term(symbol, sign.strip(), np.array(values)))
        else:
            if terms:
                yield terms
            terms = []
            k += 1
    if terms:
        yield terms


def signs_of(equation: list[Term]) -> str:
    return "".join(term.sign for term in equation)
