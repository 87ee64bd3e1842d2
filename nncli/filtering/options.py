"""The arguments of a correlation, and the checks that they make sense together."""

from math import prod
from typing import Any, TypedDict, Unpack

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.text import sizes
from nncli.filtering.padding import PADDING_MODES, widest
from nncli.nn.arrays import Array, Shape
from nncli.nn.windows import Padding, Pair, Windows, place_windows


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
    elif min((padding,) if isinstance(padding, int) else padding) < 0:
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
