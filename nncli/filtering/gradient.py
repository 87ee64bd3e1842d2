"""The way back through `correlate`: what ∂C/∂output says of the image and of the filter."""

from typing import Unpack

import numpy as np

from nncli.filtering.correlate import How
from nncli.filtering.padding import fill_padded, sources
from nncli.nn.arrays import Array
from nncli.nn.windows import Windows, place_windows


def correlate_gradient(
    image: Array, filter: Array, upstream: Array, **how: Unpack[How]
) -> tuple[Array, Array]:
    """∂C/∂image and ∂C/∂filter, in float64, where `upstream` is ∂C/∂correlate(image, filter).

    For each tap of the filter the cells that it met ⊙ upstream are summed; and upstream ⊙ filter
    flows back to the cells, those of the padding to where they were read from.
    """
    planes = image[None] if image.ndim == 2 else image
    filters = np.broadcast_to(filter, (len(planes), *filter.shape[-2:]))
    flows = np.broadcast_to(upstream, (len(planes), *upstream.shape[-2:]))
    windows = place_windows(
        planes.shape[-2:],
        filters.shape[-2:],
        how.get("stride", (1, 1)),
        how.get("padding", "valid"),
        how.get("dilation", (1, 1)),
    )
    mode, flip = how.get("padding_mode", "zeros"), how.get("flip", False)
    by_image, by_filter = np.zeros(planes.shape), np.zeros(filters.shape)
    for k, (plane, taps, flow) in enumerate(zip(planes, filters, flows, strict=True)):
        laid = taps[::-1, ::-1] if flip else taps
        by_image[k], gradient = _plane_gradient(plane, laid, flow, windows, mode)
        by_filter[k] = gradient[::-1, ::-1] if flip else gradient
    if filter.ndim == 2:  # one filter for all channels has had a part in all of them
        by_filter = by_filter.sum(axis=0)
    return by_image.reshape(image.shape), by_filter.reshape(filter.shape)


def _plane_gradient(
    plane: Array, filter: Array, upstream: Array, windows: Windows, mode: str
) -> tuple[Array, Array]:
    padded = np.zeros((1, *windows.padded_shape))
    fill_padded(padded[0], plane, windows, mode, 0, 0)
    back = np.zeros_like(padded)
    gradient = np.zeros(filter.shape)
    cells_back = windows.taps(back)
    for (i, j, cells), (_, _, to) in zip(windows.taps(padded), cells_back, strict=True):
        gradient[i, j] = np.vdot(cells[0], upstream)
        to += filter[i, j] * upstream
    return _unpadded(back[0], windows, mode), gradient


def _unpadded(back: Array, windows: Windows, mode: str) -> Array:
    """What flowed to the cells of a padded image, those of the padding added to their sources."""
    for axis, which in ((windows.rows, 0), (windows.columns, 1)):
        read = sources(axis, mode)
        kept = np.moveaxis(back, which, 0)
        folded = np.zeros((axis.size, kept.shape[1]))
        np.add.at(folded, read[read >= 0], kept[read >= 0])
        back = np.moveaxis(folded, 0, which)
    return back
