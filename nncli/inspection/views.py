"""The same gradient in other ways: by four formulas, and product by product.

Each view (matrices, Hadamard products, Kronecker products, indices) takes the forward pass and
∂C/∂a from the record and computes everything else anew, in the record's own dtype; `agreement` says
how far it is from what the step computed. Of a conv layer, `tap_products` and `cell_products` list
the products that sum to the gradient at a filter tap or at a cell of the input.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.text import sizes
from nncli.nn.arrays import Array
from nncli.nn.layers import Conv, OuterFactors, WeightedLayer
from nncli.nn.padding import sources
from nncli.nn.trace import LayerTrace
from nncli.nn.windows import Axis

DIAGONAL = 512  # units up to which diag(σ'(z)) is really written out as a matrix

Gradients = dict[str, Array]


class Agreement(NamedTuple):
    """How far a view's gradients are from the record's: in ulps of the largest entry of each."""

    view: str
    layer: str
    ulps: float


def patches(layer: LayerTrace, group: int = 0) -> Array:
    """The windows of a conv layer as columns, see `Conv.patches`."""
    return conv_of(layer).patches(layer.input, group)


def deltas(layer: LayerTrace, group: int = 0) -> Array:
    """δ of a group of filters as filters x windows, in the order of `patches`."""
    return _factors(layer)[group].delta.T


def _factors(layer: LayerTrace) -> list[OuterFactors]:
    assert layer.delta is not None
    assert isinstance(layer.placed.layer, WeightedLayer)
    return layer.placed.layer.outer_factors(layer.input, layer.delta)


def _summed(
    layer: LayerTrace, products: Callable[[Array, Array], Array], sums: Callable[[Array], Array]
) -> Gradients:
    """Gradients in the layouts of the record.

    Args:
        products: n ∂C/∂W from left and right factors.
        sums: n ∂C/∂b from δ.
    """
    assert layer.weight is not None
    n, factors = len(layer.input), _factors(layer)
    weights = np.concatenate([products(left, right).ravel() for left, right, _ in factors])
    biases = np.concatenate([sums(delta) for *_, delta in factors])
    gradients = {"weight_gradient": (weights / n).astype(weights.dtype).reshape(layer.weight.shape)}
    if layer.bias is not None:
        gradients["bias_gradient"] = (biases / n).astype(biases.dtype)
    return gradients


def matrix(layer: LayerTrace) -> Gradients:
    """∂C/∂W = 1/n aᵀ δ, one matrix product; ∂C/∂b = 1/n 1ᵀ δ."""
    return _summed(
        layer,
        lambda left, right: left.T @ right,
        lambda delta: np.ones(len(delta), delta.dtype) @ delta,
    )


def hadamard(layer: LayerTrace) -> Gradients:
    """δ = ∂C/∂a ⊙ σ'(z); then row i of ∂C/∂W is 1/n Σ_x of (a_i, a_i, ...) ⊙ δ."""

    def products(left: Array, right: Array) -> Array:
        weights = np.zeros((left.shape[1], right.shape[1]), left.dtype)
        for x, y in zip(left, right, strict=True):
            weights += np.repeat(x[:, None], len(y), axis=1) * np.repeat(y[None, :], len(x), axis=0)
        return weights

    gradients = _summed(layer, products, lambda delta: np.asarray(np.add.reduce(delta, axis=0)))
    if layer.sigma_prime is not None and np.isfinite(layer.upstream).all():
        gradients["delta"] = layer.upstream * layer.sigma_prime
    return gradients


def kronecker(layer: LayerTrace) -> Gradients:
    """vec(∂C/∂W) = 1/n Σ_x a ⊗ δ, and δ = diag(σ'(z)) ∂C/∂a, the diagonal matrix written out."""

    def products(left: Array, right: Array) -> Array:
        vec = np.zeros(left.shape[1] * right.shape[1], left.dtype)
        for x, y in zip(left, right, strict=True):
            vec += np.kron(x, y)
        return vec

    def sums(delta: Array) -> Array:
        return np.asarray(np.array([np.kron(1, d) for d in delta], delta.dtype).sum(axis=0))

    gradients = _summed(layer, products, sums)
    if layer.sigma_prime is not None and layer.sigma_prime[0].size <= DIAGONAL:
        prime, upstream = (q.reshape(len(q), -1) for q in (layer.sigma_prime, layer.upstream))
        if np.isfinite(upstream).all():
            slopes = [np.diag(s) @ u for s, u in zip(prime, upstream, strict=True)]
            gradients["delta"] = np.array(slopes).reshape(layer.sigma_prime.shape)
    return gradients


def index(layer: LayerTrace) -> Gradients:
    """∂C/∂w_ij = 1/n Σ_x a_xi δ_xj, summed index by index in the order of the samples."""
    return _summed(
        layer,
        lambda left, right: np.einsum("xi,xj->ij", left, right, optimize=False),
        lambda delta: np.einsum("xj->j", delta),
    )


VIEWS: dict[str, Callable[[LayerTrace], Gradients]] = {
    "matrix": matrix,
    "hadamard": hadamard,
    "kronecker": kronecker,
    "index": index,
}


def agreement(view: str, layer: LayerTrace) -> Agreement:
    """How far a view's gradients of a layer are from the record's."""
    with np.errstate(all="ignore"):  # as in the step
        gradients = VIEWS[view](layer)
    distances = [ulps_of_largest(array, getattr(layer, key)) for key, array in gradients.items()]
    return Agreement(view, layer.name, max(distances))


def ulps_of_largest(array: Array, recorded: Array) -> float:
    """max |array − recorded| in units in the last place of the largest recorded entry.

    Where neither is finite they agree if they are the same infinity, or both NaN.
    """
    made, kept = array.astype(np.float64), recorded.astype(np.float64)
    same = (made == kept) | (np.isnan(made) & np.isnan(kept))
    if same.all():
        return 0.0
    if not np.isfinite(made[~same]).all() or not np.isfinite(kept[~same]).all():
        return float("inf")
    largest = np.abs(recorded[np.isfinite(recorded)]).max()
    return float(np.abs(made[~same] - kept[~same]).max() / np.spacing(largest))


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
    cell, 0 where there is no such window. Where padding repeats the cell, the δ of windows over its
    copies are added.
    """

    sample: int
    filter: int
    delta: Array
    weights: Array
    product: Array


def conv_of(layer: LayerTrace) -> Conv:
    """A conv layer's hyperparameters.

    Raises:
        NncliError: it is not a conv layer.
    """
    conv = layer.placed.layer
    if not isinstance(conv, Conv):
        raise NncliError(f"{layer.name} is not a conv layer: it has no taps and no cells")
    return conv


def window_under(layer: LayerTrace, sample: int, filter: int, place: tuple[int, int]) -> Array:
    """The cells, channels x rows x columns, that a filter meets for one output; padding is in."""
    conv = conv_of(layer)
    seen = conv.channels_of(filter, layer.input.shape[1])
    image = conv.padded(layer.input[sample : sample + 1])[0, seen]
    rows, columns = (
        [at * axis.stride + tap * axis.dilation for tap in range(axis.kernel)]
        for at, axis in zip(place, conv.windows(layer.placed.input_shape), strict=True)
    )
    window: Array = image[:, rows][:, :, columns]
    return window


def tap_products(layer: LayerTrace, tap: tuple[int, int, int, int]) -> Iterator[TapProduct]:
    """For each sample, the products that sum to the gradient at a tap.

    ∂C/∂w is the mean over the samples of their sums. `tap` is (filter, channel, row, column), the
    channel being counted among those that the filter sees.

    Raises:
        NncliError: there is no such tap.
    """
    conv = conv_of(layer)
    windows = conv.windows(layer.placed.input_shape)
    assert layer.weight is not None
    assert layer.delta is not None
    _check_index(tap, layer.weight.shape, f"tap of {layer.name}", "filter, channel, row, column")
    filter, channel, i, j = tap
    seen = conv.channels_of(filter, layer.input.shape[1])
    for sample, image in enumerate(conv.padded(layer.input)):
        cells = image[seen][channel, windows.rows.tap(i), windows.columns.tap(j)]
        delta = layer.delta[sample, filter]
        with np.errstate(all="ignore"):  # as in the step
            product = cells * delta
        yield TapProduct(sample, cells, delta, product)


def cell_products(layer: LayerTrace, cell: tuple[int, int, int]) -> Iterator[CellProduct]:
    """For each sample and filter, the products that flow back to `cell`: channel, row, column.

    ∂C_x/∂cell is their sum over the filters that see the channel.

    Raises:
        NncliError: there is no such cell.
    """
    conv = conv_of(layer)
    windows = conv.windows(layer.placed.input_shape)
    assert layer.weight is not None
    assert layer.delta is not None
    _check_index(
        cell, layer.input.shape[1:], f"cell of {layer.name}'s input", "channel, row, column"
    )
    channel, row, column = cell
    group, own = divmod(channel, layer.weight.shape[1])
    filters = range(conv.filters)[conv.parted(conv.filters)[group]]
    for sample, of_sample in enumerate(layer.delta):
        for filter in filters:
            delta = of_sample[filter]
            deltas_at = np.zeros(layer.weight.shape[2:], delta.dtype)
            for i, j in np.ndindex(deltas_at.shape):
                r = outputs_over(windows.rows, conv.padding_mode, row, i)
                c = outputs_over(windows.columns, conv.padding_mode, column, j)
                deltas_at[i, j] = np.add.reduce(delta[np.ix_(r, c)], axis=None)
            weights = layer.weight[filter, own]
            with np.errstate(all="ignore"):  # as in the step
                product = deltas_at * weights
            yield CellProduct(sample, filter, deltas_at, weights, product)


def outputs_over(axis: Axis, padding_mode: str, cell: int, tap: int) -> list[int]:
    """The outputs whose windows have `tap` on a cell, or on a copy of it in the padding."""
    starts = np.flatnonzero(sources(axis, padding_mode) == cell) - tap * axis.dilation
    found = [divmod(int(start), axis.stride) for start in starts if start >= 0]
    return [output for output, rest in found if not rest and output < axis.outputs]


def is_within(index: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether an array of this shape has an entry at this index, counted from 0."""
    return len(index) == len(shape) and all(0 <= k < n for k, n in zip(index, shape, strict=True))


def _check_index(index: tuple[int, ...], shape: tuple[int, ...], what: str, names: str) -> None:
    if not is_within(index, shape):
        given = ",".join(map(str, index))
        raise NncliError(
            f"there is no {what} at {given}: {names} count from 0 within {sizes(shape)}"
        )
