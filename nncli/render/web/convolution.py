"""The interactive page of a filter over a matrix: a window that slides, forward and backward.

Three views, each a player of `assets/windows.js`: the output; and where an upstream gradient was
given, ∂C/∂filter, whose windows are the cells that a tap meets, and ∂C/∂matrix, the full
correlation of ∂C/∂output with the filter turned. It reads the records of `filtering`.
"""

from typing import Any

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.text import sizes
from nncli.filtering.record import Backward, Filtering
from nncli.nn.arrays import Array
from nncli.nn.padding import sources
from nncli.nn.windows import Axis
from nncli.render.document import Page
from nncli.render.web.blocks import to_html
from nncli.render.web.page import WebPage

LARGEST = 20_000_000  # bytes of arrays that a page may carry
EXACT = 2**53  # integers up to which a browser counts exactly
SCRIPTS = ("record", "matrix", "picture", "play", "windows", "convolution")


def convolution_page(
    title: str,
    filtering: Filtering,
    backward: Backward | None,
    page: Page,
    at: tuple[int, ...] | None = None,
) -> WebPage:
    """The page.

    Args:
        page: the same as text, which stays readable without scripts.
        at: the output that is shown first, in place of the first.

    Raises:
        NncliError: it is too large for a page, or has integers that a browser cannot count.
    """
    arrays = carried(filtering, backward)
    _check_size(filtering, arrays)
    _check_integers(filtering, arrays)
    record = page_record(filtering, backward) | {
        "title": title,
        "at": None if at is None else [*at],
    }
    body = f"""<main class="convolution">
{to_html(page[:2])}
<div class="app"><noscript><p class="note">Scripts are off. What follows is the output and what was
asked for, as text, large matrices in part; with scripts on, the window can be slid to every cell of
the output, with its products.</p></noscript></div>
<article class="text">
<h2>As text</h2>
{to_html(page[2:])}
</article>
</main>"""
    return WebPage(
        title,
        body,
        scripts=SCRIPTS,
        styles=("matrix", "picture", "windows"),
        start="startConvolution",
        record=record,
        arrays=arrays,
    )


def carried(filtering: Filtering, backward: Backward | None) -> dict[str, Array]:
    """The numbers of the record by name: matrices are channels x rows x columns."""
    arrays = {
        "matrix": filtering.matrix,
        "filter": filtering.applied,
        "output": filtering.output,
    }
    if backward is not None:
        arrays |= {
            "upstream": backward.upstream,
            "filter_gradient": backward.filter_gradient,
            "matrix_gradient": backward.matrix_gradient,
        }
    return {name: _for_browsers(_planes(array)) for name, array in arrays.items()}


def page_record(filtering: Filtering, backward: Backward | None) -> dict[str, Any]:
    """What the script reads besides the numbers: where windows are, and what the matrix is."""
    mode, turned = filtering.padding_mode, bool(filtering.options.get("flip"))
    both = filtering.windows.rows, filtering.windows.columns
    views = {"output": [forward_axis(axis, mode) for axis in both]}
    if backward is not None:
        views["filter"] = [tap_axis(axis, mode, turned=turned) for axis in both]
        views["matrix"] = [cell_axis(axis, mode) for axis in both]
    return {
        "views": views,
        "filter_name": "turned filter" if turned else "filter",
        "is_summed": bool(filtering.options.get("summed")),
        "is_picture": filtering.matrix.dtype == np.uint8,
        "is_stack": filtering.matrix.ndim == 3,
    }


def forward_axis(axis: Axis, mode: str) -> dict[str, Any]:
    """An axis of the windows behind the output, as `windows.js` takes it."""
    return {**axis._asdict(), "outputs": axis.outputs, "sources": _sources(axis, mode)}


def tap_axis(axis: Axis, mode: str, *, turned: bool) -> dict[str, Any]:
    """An axis of the windows behind ∂C/∂filter: the cells that each tap meets, an output each.

    Tap i of a window is multiplied with cell r·stride + i·dilation. So tap i meets cells a stride
    apart, and the next tap those that are a dilation further on: the two change their parts.
    """
    step, start = axis.dilation, 0
    if turned:  # tap i of the filter as it was given is tap kernel − 1 − i of the one applied
        step, start = -step, (axis.kernel - 1) * axis.dilation
    data = axis._replace(kernel=axis.outputs, stride=step, dilation=axis.stride)._asdict()
    return {**data, "outputs": axis.kernel, "sources": _sources(axis, mode), "start": start}


def cell_axis(axis: Axis, mode: str) -> dict[str, Any]:
    """An axis of the windows behind ∂C/∂matrix: ∂C/∂output, a stride apart, under a turned filter.

    Cell p of the padded matrix is under tap i of the window at r where r·stride + i·dilation = p.
    Backwards from tap kernel − 1, these are the taps of a window on ∂C/∂output that begins at
    p − (reach − 1), which needs zeros before the first output and between outputs.
    A cell that padding repeats has a window for each of its copies.
    """
    before = axis.reach - 1
    copies = None
    if mode != "zeros" and axis.padded != axis.size:
        read = sources(axis, mode)
        copies = [
            (np.flatnonzero(read == cell) - axis.before).tolist() for cell in range(axis.size)
        ]
    start = axis.before if copies else max(0, axis.before - before)
    before = start + before - axis.before
    last = axis.size - 1 + (axis.after if copies else 0)
    spread = (axis.outputs - 1) * axis.stride + 1
    return {
        "size": axis.outputs,
        "kernel": axis.kernel,
        "stride": 1,
        "dilation": axis.dilation,
        "before": before,
        "after": max(0, start + last + axis.reach - before - spread),
        "outputs": axis.size,
        "gap": axis.stride,
        "start": start,
        "copies": copies,
    }


def _sources(axis: Axis, mode: str) -> list[int] | None:
    """The cell that each padded cell repeats; None where padding is zeros, or there is none."""
    if mode == "zeros" or axis.padded == axis.size:
        return None
    read: list[int] = sources(axis, mode).tolist()
    return read


def _planes(array: Array) -> Array:
    return array[None] if array.ndim == 2 else array


def _for_browsers(array: Array) -> Array:
    """Integers beyond 32 bits as float64, which holds them exactly up to EXACT."""
    is_wide = (
        array.dtype.kind in "iu" and array.size and np.abs(array.astype(np.float64)).max() >= 2**31
    )
    return array.astype(np.float64) if is_wide else array


def _check_size(filtering: Filtering, arrays: dict[str, Array]) -> None:
    size = sum(max(4, array.itemsize) * array.size for array in arrays.values())
    if size > LARGEST:
        raise NncliError(
            f"a page of a matrix of {sizes(filtering.matrix.shape)} would carry {size / 1e6:.0f} MB"
            f" of numbers, and a browser is at ease with {LARGEST / 1e6:.0f}; take a part of the "
            "matrix or a larger --stride, or look at single outputs by --at without a page"
        )


def _check_integers(filtering: Filtering, arrays: dict[str, Array]) -> None:
    """Raises NncliError where a product, or the output, is an integer that a browser rounds."""
    if filtering.output.dtype.kind == "f":
        return
    largest = {
        name: float(np.abs(array.astype(np.float64)).max()) for name, array in arrays.items()
    }
    most = max(largest["matrix"] * largest["filter"], largest["output"])
    if most >= EXACT:
        raise NncliError(
            f"a page would show integers of up to {most:.3g}, and a browser counts exactly up to "
            f"2^53, {EXACT:.3g}; write --output FILE.json or .npy instead"
        )
