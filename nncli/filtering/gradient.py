"""The backward pass of `correlate`: ∂C/∂image and ∂C/∂filter from ∂C/∂output."""

from typing import Unpack

import numpy as np

from nncli.filtering.options import Options
from nncli.filtering.padding import fill_padded, sources
from nncli.nn.arrays import Array
from nncli.nn.windows import Windows, place_windows


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
