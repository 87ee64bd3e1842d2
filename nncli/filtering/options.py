"""The arguments of a correlation, the checks that they make sense together, and the padding.

The cells that padding adds around an image are computed for one tile at a time.
"""

from itertools import pairwise
from math import prod
from typing import Any, TypedDict, Unpack

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.text import sizes
from nncli.nn.arrays import Array, Shape
from nncli.nn.padding import SOURCES, widest
from nncli.nn.windows import Axis, Padding, Pair, Windows, place_windows


class CorrelationError(NncliError):
    """A filter that cannot be applied; `key` is the argument to blame."""

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.key = key


MOST_OUTPUTS = 1 << 42  # cells of an output, or of a padded matrix


class Options(TypedDict, total=False):
    """The keyword arguments of `correlate`, described there; what is missing has its default."""

    stride: Pair
    padding: Padding
    padding_mode: str
    dilation: Pair
    flip: bool
    summed: bool
    algorithm: str | None
    threads: int | None


def output_like(
    image: Array, filter: Array, **options: Unpack[Options]
) -> tuple[Shape, np.dtype[Any]]:
    """The shape and dtype of what `correlate` returns; the numbers are not read.

    Raises:
        CorrelationError: the filter does not fit, or an argument makes no sense.
    """
    summed = options.get("summed", False)
    _check_shapes(image, filter, summed)
    windows = checked_windows(image, filter, **options)
    shape = windows.output_shape if summed else (*image.shape[:-2], *windows.output_shape)
    return shape, _output_dtype(image.dtype, filter.dtype)


def checked_windows(image: Array, filter: Array, **options: Unpack[Options]) -> Windows:
    """The windows of the filter on one channel of the image.

    Raises:
        CorrelationError: there are none, or stride, dilation or padding make no sense.
    """
    stride, dilation = options.get("stride", (1, 1)), options.get("dilation", (1, 1))
    padding, mode = options.get("padding", "valid"), options.get("padding_mode", "zeros")
    for key, pair in (("stride", stride), ("dilation", dilation)):
        if min(pair) < 1:
            raise CorrelationError(f"{key} must be at least 1, not {sizes(pair)}", key)
    _check_padding(padding, mode)
    rows, columns = image.shape[-2:]
    windows = place_windows((rows, columns), filter.shape[-2:], stride, padding, dilation)
    if min(windows.output_shape) < 1:
        raise CorrelationError(_too_large(windows), "filter")
    _check_padding_width(windows, mode)
    if prod(windows.output_shape) > MOST_OUTPUTS or prod(windows.padded_shape) > MOST_OUTPUTS:
        raise CorrelationError(
            f"with this padding the matrix of {sizes((rows, columns))} becomes "
            f"{sizes(windows.padded_shape)}, more than any machine holds; take less",
            "padding",
        )
    return windows


def _check_shapes(image: Array, filter: Array, summed: bool) -> None:
    shapes = f"the matrix is {sizes(image.shape)}, the filter {sizes(filter.shape)}"
    if image.ndim not in (2, 3) or not 2 <= filter.ndim <= image.ndim:
        raise CorrelationError(
            f"{shapes}; each takes rows x columns, or channels x rows x columns", "filter"
        )
    if filter.ndim == 3 and len(filter) != len(image):
        raise CorrelationError(f"{shapes}; they differ in their channels", "filter")
    if summed and image.ndim == 2:
        raise CorrelationError(f"{shapes}; there are no channels to be summed", "summed")
    if 0 in image.shape or 0 in filter.shape:
        raise CorrelationError(f"{shapes}; neither may be empty", "filter")


def _check_padding(padding: Padding, mode: str) -> None:
    if isinstance(padding, str):
        if padding not in ("valid", "same", "full"):
            raise CorrelationError(
                f"{padding!r} is no padding; there are valid, same, full, and widths", "padding"
            )
    elif np.min(padding) < 0:
        raise CorrelationError(f"padding must be at least 0, not {padding}", "padding")
    if mode not in PADDING_MODES:
        raise CorrelationError(
            f"{mode!r} is no padding mode; there are {', '.join(PADDING_MODES)}", "padding_mode"
        )


def _too_large(windows: Windows) -> str:
    kernel, reach = _by(windows, "kernel"), _by(windows, "reach")
    dilated = f" (reaching over {reach})" if reach != kernel else ""
    padded = f", {_by(windows, 'padded')} with its padding" if windows.is_padded else ""
    matrix = _by(windows, "size")
    return f"a filter of {kernel}{dilated} is larger than the matrix of {matrix}{padded}"


def _check_padding_width(windows: Windows, mode: str) -> None:
    for axis, name in ((windows.rows, "rows"), (windows.columns, "columns")):
        limit, width = widest(mode, axis.size), max(axis.before, axis.after)
        if limit is not None and width > limit:
            raise CorrelationError(
                f"{mode} can pad a matrix of {_by(windows, 'size')} by at most {limit} {name} on "
                f"a side, not by {width} for a filter of {_by(windows, 'kernel')}",
                "padding",
            )


def _by(windows: Windows, name: str) -> str:
    return sizes((getattr(windows.rows, name), getattr(windows.columns, name)))


def _output_dtype(image: np.dtype[Any], filter: np.dtype[Any]) -> np.dtype[Any]:
    for name, dtype in (("matrix", image), ("filter", filter)):
        if dtype.kind not in "biuf" or dtype.itemsize > 8:
            raise CorrelationError(
                f"a {name} of {dtype} cannot be used; it takes booleans, integers, or floats of "
                "at most 64 bits",
                name,
            )
    if image.kind == "f":
        return image.newbyteorder("=")
    return np.result_type(image, filter) if filter.kind == "f" else np.dtype(np.int64)


# The cells of the padding


PADDING_MODES = ("zeros", *SOURCES)

_Segment = tuple[slice, slice | Array | None]  # cells of a tile, and of the image; None: zeros


def fill_padded(
    cells: Array, image: Array, windows: Windows, mode: str, rows: int, columns: int
) -> None:
    """Fills `cells` with the part of the padded image that begins at (rows, columns).

    Args:
        cells: rows x columns, not beyond the end of the padded image; written.
        image: rows x columns, without its padding.
        mode: one of PADDING_MODES.
    """
    axes = zip((windows.rows, windows.columns), (rows, columns), cells.shape, strict=True)
    row_segments, column_segments = (
        _segments(axis, mode, start, size) for axis, start, size in axes
    )
    for to_rows, from_rows in row_segments:
        for to_columns, from_columns in column_segments:
            if from_rows is None or from_columns is None:
                cells[to_rows, to_columns] = 0
            else:
                part = cells[to_rows, to_columns]
                np.copyto(part, image[from_rows, :][:, from_columns], casting="unsafe")


def _segments(axis: Axis, mode: str, start: int, size: int) -> list[_Segment]:
    """The `size` cells from `start` on, cut at the edges of the image; no segment is empty."""
    first, last = start - axis.before, start - axis.before + size  # as positions of the image
    cuts = (first, min(max(0, first), last), max(min(axis.size, last), first), last)
    segments: list[_Segment] = []
    for k, (a, b) in enumerate(pairwise(cuts)):
        if a < b:
            inside = slice(a, b) if k == 1 else _outside(mode, a, b, axis.size)
            segments.append((slice(a - first, b - first), inside))
    return segments


def _outside(mode: str, start: int, stop: int, size: int) -> Array | None:
    return None if mode == "zeros" else SOURCES[mode](np.arange(start, stop), size)
