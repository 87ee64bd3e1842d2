"""The products of a conv layer: those that sum to the gradient at a filter tap or a cell."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.text import sizes
from nncli.nn.arrays import Array
from nncli.nn.layers import Conv
from nncli.nn.trace import LayerTrace
from nncli.nn.windows import Axis, Windows


class TapProduct(NamedTuple):
    """∂C/∂w of one filter tap in one sample: the cells under the tap ⊙ δ, summed.

    Arrays have the shape of the layer's output, rows x columns: cells[p] is the cell under the tap
    in the window of output p. Cells of the padding are 0.
    """

    sample: int
    cells: Array
    delta: Array
    product: Array


class CellProduct(NamedTuple):
    """∂C_x/∂(one input cell) by way of one filter: the δ of the windows over the cell ⊙ the filter.

    Arrays have the filter's shape: delta[i, j] is the δ of the window whose tap (i, j) is on the
    cell, 0 where there is no such window.
    """

    sample: int
    filter: int
    delta: Array
    weights: Array
    product: Array


def windows_of(layer: LayerTrace) -> Windows:
    """The windows of a conv layer.

    Raises:
        NncliError: it is not a conv layer.
    """
    conv = layer.placed.layer
    if not isinstance(conv, Conv):
        raise NncliError(f"{layer.name} is not a conv layer: it has no taps and no cells")
    return conv.windows(layer.placed.input_shape)


def padded(layer: LayerTrace) -> Array:
    """The layer's input with its padding: samples x channels x rows x columns."""
    windows = windows_of(layer)
    samples, channels = layer.input.shape[:2]
    image = np.zeros((samples, channels, *windows.padded_shape), layer.input.dtype)
    image[:, :, windows.rows.interior, windows.columns.interior] = layer.input
    return image


def tap_products(layer: LayerTrace, tap: tuple[int, int, int, int]) -> Iterator[TapProduct]:
    """For each sample, the products that sum to the gradient at a tap.

    ∂C/∂w is the mean over the samples of their sums. `tap` is (filter, channel, row, column).

    Raises:
        NncliError: there is no such tap.
    """
    windows = windows_of(layer)
    assert layer.weight is not None
    assert layer.delta is not None
    _check(tap, layer.weight.shape, f"tap of {layer.name}", "filter, channel, row, column")
    filter, channel, i, j = tap
    for sample, image in enumerate(padded(layer)):
        cells = image[channel, windows.rows.tap(i), windows.columns.tap(j)]
        delta = layer.delta[sample, filter]
        with np.errstate(all="ignore"):  # as in the step
            product = cells * delta
        yield TapProduct(sample, cells, delta, product)


def cell_products(layer: LayerTrace, cell: tuple[int, int, int]) -> Iterator[CellProduct]:
    """For each sample and filter, the products that flow back to `cell`: channel, row, column.

    ∂C_x/∂cell is their sum over the filters.

    Raises:
        NncliError: there is no such cell.
    """
    windows = windows_of(layer)
    assert layer.weight is not None
    assert layer.delta is not None
    _check(cell, layer.input.shape[1:], f"cell of {layer.name}'s input", "channel, row, column")
    channel, row, column = cell
    for sample, deltas in enumerate(layer.delta):
        for filter, delta in enumerate(deltas):
            deltas_at = np.zeros(layer.weight.shape[2:], delta.dtype)
            for i, j in np.ndindex(deltas_at.shape):
                r = output_at(windows.rows.before + row, i, windows.rows)
                c = output_at(windows.columns.before + column, j, windows.columns)
                if r is not None and c is not None:
                    deltas_at[i, j] = delta[r, c]
            weights = layer.weight[filter, channel]
            with np.errstate(all="ignore"):  # as in the step
                product = deltas_at * weights
            yield CellProduct(sample, filter, deltas_at, weights, product)


def output_at(cell: int, tap: int, axis: Axis) -> int | None:
    """The output whose window has `tap` on the padded `cell`, None where there is none."""
    start = cell - tap * axis.dilation
    if start < 0 or start % axis.stride or start // axis.stride >= axis.outputs:
        return None
    return start // axis.stride


def is_within(index: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether an array of this shape has an entry at this index, counted from 0."""
    return len(index) == len(shape) and all(0 <= k < n for k, n in zip(index, shape, strict=True))


def _check(index: tuple[int, ...], shape: tuple[int, ...], what: str, names: str) -> None:
    if not is_within(index, shape):
        given = ",".join(map(str, index))
        raise NncliError(
            f"there is no {what} at {given}: {names} count from 0 within {sizes(shape)}"
        )
