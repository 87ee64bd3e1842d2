"""Records in a notebook: each as text for a terminal, and as its interactive page."""

import io
from collections.abc import Callable
from functools import singledispatch
from pathlib import Path

from rich.cells import cell_len, chop_cells
from rich.console import Console, Group, RenderableType

from nncli.app.evaluation_records import Evaluated
from nncli.app.records import ExplainedFilter, InspectedStep, Training
from nncli.app.report_records import ComparedRun, Comparison, Report
from nncli.core.errors import NncliError
from nncli.core.notebooks import MimeBundle
from nncli.filtering.record import Filtering
from nncli.inspection.derivation.base import Derivation
from nncli.inspection.differences import TraceDifference
from nncli.inspection.exercises.marking import Grades
from nncli.inspection.exercises.sheet import Sheet
from nncli.inspection.foreign.record import Checked
from nncli.inspection.record import Inspection, inspect
from nncli.nn.trace import Trace
from nncli.render.document import Document
from nncli.render.pages import breakdown, filtering
from nncli.render.pages.checked import checked_document
from nncli.render.pages.comparison import SideBySide
from nncli.render.pages.differences import difference_document
from nncli.render.pages.evaluation import evaluation_document, evaluation_page
from nncli.render.pages.exercise import sheet_document
from nncli.render.pages.explain import screens
from nncli.render.pages.grades import grades_document
from nncli.render.pages.kinds import Choices
from nncli.render.pages.report import (
    comparison_document,
    report_document,
    report_screen,
    training_document,
)
from nncli.render.pages.training import curves, training_outcome
from nncli.render.terminal import TerminalPage
from nncli.render.text import Extent

WIDTH = 80  # columns of the text
Shown = tuple[Document, Callable[[], RenderableType]]


def mime_bundle(record: object) -> MimeBundle:
    """The text of a record, and its page for within a notebook.

    Of what is too large for a page there is the text alone, and why.
    """
    made, screen = shown(record)
    text = as_text(screen())
    try:
        web = made.web() if made.web is not None else None
    except NncliError as error:
        return {"text/plain": f"{text}\n{as_text(str(error))}"}
    page = {} if web is None else {"text/html": web.fragment(text)}
    return {"text/plain": text, **page}


def as_text(renderable: RenderableType) -> str:
    """Text without control codes, whose lines are of at most 80 columns."""
    file = io.StringIO()
    console = Console(
        file=file,
        width=WIDTH,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.print(renderable, crop=False)
    lines = (line.rstrip() for line in file.getvalue().rstrip("\n").split("\n"))
    return "\n".join(
        part
        for line in lines
        for part in (chop_cells(line, WIDTH) if cell_len(line) > WIDTH else [line])
    )


@singledispatch
def shown(record: object) -> Shown:
    """The document of a record, and what is printed of it."""
    raise TypeError(f"there is no page of a {type(record).__name__}")


@shown.register
def _(record: InspectedStep) -> Shown:
    made = breakdown.document(record, Choices(is_short=True))
    return made, lambda: TerminalPage(made.page)


@shown.register
def _(record: Inspection) -> Shown:
    return shown(InspectedStep(record))


@shown.register
def _(record: Trace) -> Shown:
    return shown(inspect(record, checked=False))


@shown.register
def _(record: Derivation) -> Shown:
    made = screens.document(record)
    return made, lambda: TerminalPage(screens.text_page(record))


@shown.register
def _(record: Sheet) -> Shown:
    made = sheet_document(record)
    return made, lambda: TerminalPage(made.page)


@shown.register
def _(record: Grades) -> Shown:
    made = grades_document(record.marked)
    return made, lambda: TerminalPage(made.page)


@shown.register
def _(record: Checked) -> Shown:
    made = checked_document(record)
    return made, lambda: TerminalPage(made.page)


@shown.register
def _(record: TraceDifference) -> Shown:
    made = difference_document(record)
    return made, lambda: TerminalPage(made.page)


@shown.register
def _(record: ExplainedFilter) -> Shown:
    made = filtering.document(record, Extent(), WIDTH)
    return made, lambda: TerminalPage(made.page)


@shown.register
def _(record: Filtering) -> Shown:
    return shown(ExplainedFilter(record, ("the matrix", "the filter")))


@shown.register
def _(record: Training) -> Shown:
    def screen() -> RenderableType:
        if not len(record.history):
            return "No epoch was completed."
        return Group(curves(record.history, record.chance), training_outcome(record))

    folder = record.folder or Path(record.spec.name)
    stopped = record.has_stopped_early
    run = ComparedRun(folder, record.spec, tuple(record.history), has_stopped_early=stopped)
    return training_document(record, run), screen


@shown.register
def _(record: Evaluated) -> Shown:
    return evaluation_document(record), lambda: evaluation_page(record)


@shown.register
def _(record: Comparison) -> Shown:
    return comparison_document(record), lambda: SideBySide(record)


@shown.register
def _(record: Report) -> Shown:
    return report_document(record), lambda: report_screen(record)
