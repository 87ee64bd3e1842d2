"""The formats of a breakdown, each from the same record. A new format is a new row."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from nncli.core.errors import NncliError
from nncli.core.text import printable
from nncli.inspection.findings import Why
from nncli.inspection.record import Inspection
from nncli.render.formats.document import Page
from nncli.render.notation import TERMS
from nncli.render.terminal import OnTerminal

WIDTH = 100  # characters, of formats that are text of a fixed width


class Drawing(NamedTuple):
    """What a format is made from: the record, and the page that was made of it."""

    inspection: Inspection
    page: Page
    why: Why | None = None


def as_text(drawing: Drawing) -> bytes:
    console = _recording()
    console.print(OnTerminal(drawing.page))
    return console.export_text().encode()


def as_svg(drawing: Drawing) -> bytes:
    console = _recording()
    console.print(OnTerminal(drawing.page))
    return console.export_svg(title=f"nncli: {printable(drawing.inspection.trace.name)}").encode()


def as_html(drawing: Drawing) -> bytes:
    console = _recording()
    console.print(OnTerminal(drawing.page))
    return console.export_html().encode()


def as_json(drawing: Drawing) -> bytes:
    from nncli.render.formats.trace_json import trace_json

    return (trace_json(drawing.inspection, drawing.why) + "\n").encode()


def as_markdown(drawing: Drawing) -> bytes:
    from nncli.render.formats.markdown import to_markdown

    return to_markdown(drawing.page).encode()


def as_latex(drawing: Drawing) -> bytes:
    from nncli.render.formats.latex import to_latex

    return to_latex(drawing.page).encode()


def as_npz(drawing: Drawing) -> bytes:
    """Every array of the trace, named layer.quantity; no pickle."""
    trace = drawing.inspection.trace
    arrays = {"inputs": trace.inputs, "targets": trace.targets, "samples": np.array(trace.samples)}
    arrays["cost"] = np.array([trace.cost_before, trace.cost_after])
    for layer in trace.layers:
        for term in TERMS:
            array = layer.quantity(term.key)
            if array is not None:
                arrays[f"{layer.name}.{term.key}"] = array
        for key, vectors in layer.optimizer.items():
            arrays |= {f"{layer.name}.{key}.{name}": array for name, array in vectors.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _recording() -> Console:
    return Console(
        record=True,
        file=io.StringIO(),
        width=WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
        force_terminal=True,
        color_system="truecolor",
    )


Writer = Callable[[Drawing], bytes]

FORMATS: dict[str, Writer] = {
    "table": as_text,
    "json": as_json,
    "markdown": as_markdown,
    "latex": as_latex,
    "npz": as_npz,
    "svg": as_svg,
    "html": as_html,
}
SUFFIXES = {
    ".txt": "table",
    ".json": "json",
    ".md": "markdown",
    ".tex": "latex",
    ".npz": "npz",
    ".svg": "svg",
    ".html": "html",
}


def format_of(path: Path) -> str:
    """The format that a file's suffix asks for.

    Raises:
        NncliError: none does.
    """
    if path.suffix not in SUFFIXES:
        raise NncliError(
            f"--output {path}: the suffix {path.suffix!r} is not known; known are "
            + ", ".join(SUFFIXES)
        )
    return SUFFIXES[path.suffix]
