"""Cross-correlation of a matrix with a filter, in memory or from file to file; its gradient."""

from collections.abc import Callable
from typing import Unpack

import numpy as np

from nncli.core.text import sizes
from nncli.filtering.options import CorrelationError, Options, fill_padded, output_like
from nncli.filtering.plan import MAPPED_BYTES, plan_correlation
from nncli.nn.arrays import Array
from nncli.nn.padding import sources
from nncli.nn.windows import Padding, Pair, Windows, place_windows


def correlate(
    image: Array,
    filter: Array,
    *,
    stride: Pair = (1, 1),
    padding: Padding = "valid",
    padding_mode: str = "zeros",
    dilation: Pair = (1, 1),
    flip: bool = False,
    summed: bool = False,
    algorithm: str | None = None,
    threads: int | None = None,
) -> Array:
    """The cross-correlation of `image` with `filter`: y_rc = Σ_ij f_ij x_(r·s + i·d)(c·s + j·d).

    Args:
        image: rows x columns, or channels x rows x columns; booleans, integers or floats.
        filter: rows x columns, or channels x rows x columns: a filter for each channel.
        padding: valid, same (an odd one goes after), full (every window that meets a cell),
            a width, or (rows, columns).
        padding_mode: zeros, reflect, replicate, circular (as PyTorch has them), or symmetric (as
            NumPy has it).
        flip: true convolution: the filter is turned by 180 degrees first.
        summed: add the channels up, as a conv layer does; the output has no channels then.
        algorithm: direct, im2col, separable, toeplitz or fft; None for the one that is estimated
            to be the fastest.
        threads: None for as many as OPENBLAS_NUM_THREADS, OMP_NUM_THREADS or the machine allow.

    Returns:
        [channels x] output rows x output columns. A floating image gives its own dtype; integers
        give int64, or, with a floating filter, NumPy's common floating dtype. Sums are carried in
        float64 and rounded once; sums of integers are exact.

    Raises:
        CorrelationError: the filter does not fit, an argument makes no sense, or an output of
            integers does not fit into int64.
    """
    options = Options(stride=stride, padding=padding, padding_mode=padding_mode, dilation=dilation)
    options |= Options(flip=flip, summed=summed, algorithm=algorithm, threads=threads)
    plan = plan_correlation(image, filter, **options)
    out = np.empty(plan.output_shape, plan.output_dtype)
    plan.run(out)
    return out


def correlate_blocks(
    image: Array,
    filter: Array,
    out: Array,
    *,
    budget: int = MAPPED_BYTES,
    progress: Callable[[int, int], None] | None = None,
    **options: Unpack[Options],
) -> None:
    """`correlate` from one memory-mapped array into another, either of them larger than memory.

    The outputs are those of `correlate` to the bit. After every `budget` bytes read and written
    the pages behind them are handed back to the system; what was written is in the file.

    Args:
        out: of the shape and dtype that `output_like` gives; written.
        progress: called from time to time with the number of tiles done and of all tiles.

    Raises:
        CorrelationError: as `correlate`; or `out` has another shape or dtype.
    """
    shape, dtype = output_like(image, filter, **options)
    if (out.shape, out.dtype) != (shape, dtype):
        raise CorrelationError(
            f"the output is {sizes(shape)} of {dtype}, not {sizes(out.shape)} of {out.dtype}", "out"
        )
    plan_correlation(image, filter, **options).run(out, budget, progress)


# The backward pass


def correlate_gradient(
    image: Array, filter: Array, upstream: Array, **options: Unpack[Options]
) -> tuple[Array, Array]:
    """∂C/∂image and ∂C/∂filter, in float64, where `upstream` is ∂C/∂correlate(image, filter).

    ∂C/∂tap is the sum of upstream ⊙ the cells under the tap. ∂C/∂cell adds up upstream times tap
    over the windows that hold the cell; that of a cell of padding belongs to the cell that it
    repeats.
    """
    channels = image[None] if image.ndim == 2 else image
    filters = np.broadcast_to(filter, (len(channels), *filter.shape[-2:]))
    upstreams = np.broadcast_to(upstream, (len(channels), *upstream.shape[-2:]))
    windows = place_windows(
        channels.shape[-2:],
        filters.shape[-2:],
        options.get("stride", (1, 1)),
        options.get("padding", "valid"),
        options.get("dilation", (1, 1)),
    )
    mode, flip = options.get("padding_mode", "zeros"), options.get("flip", False)
    image_gradient, filter_gradient = np.zeros(channels.shape), np.zeros(filters.shape)
    for k, (channel, taps, flow) in enumerate(zip(channels, filters, upstreams, strict=True)):
        applied = taps[::-1, ::-1] if flip else taps
        image_gradient[k], gradient = _channel_gradient(channel, applied, flow, windows, mode)
        filter_gradient[k] = gradient[::-1, ::-1] if flip else gradient
    if filter.ndim == 2:  # the same filter for all channels
        filter_gradient = filter_gradient.sum(axis=0)
    return image_gradient.reshape(image.shape), filter_gradient.reshape(filter.shape)


def _channel_gradient(
    image: Array, filter: Array, upstream: Array, windows: Windows, mode: str
) -> tuple[Array, Array]:
    padded = np.zeros((1, *windows.padded_shape))
    fill_padded(padded[0], image, windows, mode, 0, 0)
    padded_gradient = np.zeros_like(padded)
    filter_gradient = np.zeros(filter.shape)
    taps = zip(windows.taps(padded), windows.taps(padded_gradient), strict=True)
    for (i, j, cells), (_, _, cells_gradient) in taps:
        filter_gradient[i, j] = np.vdot(cells[0], upstream)
        cells_gradient += filter[i, j] * upstream
    return _unpadded_gradient(padded_gradient[0], windows, mode), filter_gradient


def _unpadded_gradient(gradient: Array, windows: Windows, mode: str) -> Array:
    """∂C/∂image from ∂C/∂padded image: cells of padding are added to those that they repeat."""
    for axis, which in ((windows.rows, 0), (windows.columns, 1)):
        read = sources(axis, mode)
        along = np.moveaxis(gradient, which, 0)
        folded = np.zeros((axis.size, along.shape[1]))
        np.add.at(folded, read[read >= 0], along[read >= 0])
        gradient = np.moveaxis(folded, 0, which)
    return gradient
