"""Pages to look at, made as the command makes them; and numbers read back from them.

A checked step takes long, so each is made once a session: `checked_step` and `checked_lenet`.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from rich.console import Console, RenderableType

from nncli.app.records import InspectedStep
from nncli.inspection.findings import Why
from nncli.inspection.record import Inspection, inspect
from nncli.nn.arrays import Array
from nncli.nn.trace import Trace
from nncli.render.document import Document, Page
from nncli.render.pages.breakdown import document
from nncli.render.pages.kinds import Choices
from nncli.render.terminal import TerminalPage
from tests.inspection.traces import spec_trace, trace_of
from tests.nn.cases import LENET

WORKED = ("two-two-two", "seed-3-4-2")  # of one sample each
VIEWS = ("matrix", "hadamard", "kronecker", "index")


@cache
def checked_step(name: str, samples: tuple[int, ...] = (0,)) -> Inspection:
    """A step of a shipped spec, its gradients checked."""
    return inspect(spec_trace(name, samples=samples))


@cache
def checked_lenet() -> Inspection:
    """A step of a network with every kind of layer that has weights or windows, checked."""
    return inspect(trace_of(LENET, momentum=0.5))


def document_of(step: Trace | Inspection, *, why: Why | None = None, **choices: Any) -> Document:
    """What there is to read of a step; of a trace alone nothing is checked."""
    inspection = inspect(step, checked=False) if isinstance(step, Trace) else step
    return document(InspectedStep(inspection, why), Choices(**choices))


def page_of(step: Trace | Inspection, **choices: Any) -> Page:
    return document_of(step, **choices).page


def on_screen(page: Page, width: int = 80) -> str:
    return shown(TerminalPage(page), width)


def shown(renderable: RenderableType, width: int = 80) -> str:
    """What rich prints of it, without colour."""
    file = io.StringIO()
    console = Console(file=file, width=width, highlight=False, markup=False, emoji=False)
    console.print(renderable)
    return file.getvalue()


@dataclass(frozen=True)
class Term:
    """A matrix as a page shows it; `sign` is the one before it."""

    symbol: str
    sign: str
    values: Array


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
            for (symbol, _, first, _), sign, cells in zip(headings, signs, rows, strict=True):
                if first and terms and sign == " " and terms[-1].symbol == symbol:
                    joined = np.hstack([terms[-1].values, cells])
                    terms[-1] = Term(symbol, terms[-1].sign, joined)
                else:
                    terms.append(Term(symbol, sign.strip(), np.array(cells)))
        else:
            if terms:
                yield terms
            terms = []
            k += 1
    if terms:
        yield terms


def signs_of(equation: list[Term]) -> str:
    return "".join(term.sign for term in equation)
