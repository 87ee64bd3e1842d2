"""The same gradient by four formulas: matrices, Hadamard products, Kronecker products, indices.

Each view takes the forward pass and ∂C/∂a from the record and computes everything else anew, in
the record's own dtype; `agreement` says how far it is from what the step computed.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nncli.inspection.products import padded, windows_of
from nncli.nn.arrays import Array
from nncli.nn.layers import Dense
from nncli.nn.trace import LayerTrace

DIAGONAL = 512  # units up to which diag(σ'(z)) is really written out as a matrix

Gradients = dict[str, Array]


class Agreement(NamedTuple):
    """How far a view's gradients are from the record's: in ulps of the largest entry of each."""

    view: str
    layer: str
    ulps: float


def patches(layer: LayerTrace) -> Array:
    """The windows of a conv layer as columns: (channels · rows · columns of the filter) x windows.

    Windows run over the samples, then the output's rows, then its columns.
    """
    windows = windows_of(layer)
    assert layer.weight is not None
    kernel = layer.weight.shape[2:]
    image = np.moveaxis(padded(layer), 0, 1)  # channels x samples x rows x columns
    rows = [
        image[channel][:, windows.rows.tap(i), windows.columns.tap(j)].ravel()
        for channel in range(len(image))
        for i, j in np.ndindex(kernel)
    ]
    return np.array(rows)


def deltas(layer: LayerTrace) -> Array:
    """δ of a conv layer as filters x windows, in the order of `patches`."""
    assert layer.delta is not None
    return np.moveaxis(layer.delta, 1, 0).reshape(layer.delta.shape[1], -1)


def _pieces(layer: LayerTrace) -> tuple[Array, Array]:
    """(a, δ) such that Σ a δᵀ over their rows is n ∂C/∂W: a row for each sample, or each window."""
    assert layer.delta is not None
    if isinstance(layer.placed.layer, Dense):
        return layer.input, layer.delta
    return patches(layer).T, deltas(layer).T


def _shaped(layer: LayerTrace, weights: Array, biases: Array) -> Gradients:
    """Sums over the samples as means, in the layouts of the record."""
    assert layer.weight is not None
    n = len(layer.input)
    if not isinstance(layer.placed.layer, Dense):
        weights = weights.T
    gradients = {"weight_gradient": (weights / n).astype(weights.dtype).reshape(layer.weight.shape)}
    if layer.bias is not None:
        gradients["bias_gradient"] = (biases / n).astype(biases.dtype)
    return gradients


def matrix(layer: LayerTrace) -> Gradients:
    """∂C/∂W = 1/n aᵀ δ, one matrix product; ∂C/∂b = 1/n 1ᵀ δ."""
    a, delta = _pieces(layer)
    return _shaped(layer, a.T @ delta, np.ones(len(delta), delta.dtype) @ delta)


def hadamard(layer: LayerTrace) -> Gradients:
    """δ = ∂C/∂a ⊙ σ'(z); then row i of ∂C/∂W is 1/n Σ_x of (a_i, a_i, ...) ⊙ δ."""
    a, delta = _pieces(layer)
    weights = np.zeros((a.shape[1], delta.shape[1]), delta.dtype)
    for row, d in zip(a, delta, strict=True):
        weights += np.repeat(row[:, None], len(d), axis=1) * np.repeat(d[None, :], len(row), axis=0)
    gradients = _shaped(layer, weights, np.add.reduce(delta, axis=0))
    if layer.sigma_prime is not None and np.isfinite(layer.upstream).all():
        gradients["delta"] = layer.upstream * layer.sigma_prime
    return gradients


def kronecker(layer: LayerTrace) -> Gradients:
    """vec(∂C/∂W) = 1/n Σ_x a ⊗ δ, and δ = diag(σ'(z)) ∂C/∂a, the diagonal matrix written out."""
    a, delta = _pieces(layer)
    vec = np.zeros(a.shape[1] * delta.shape[1], delta.dtype)
    for row, d in zip(a, delta, strict=True):
        vec += np.kron(row, d)
    biases = np.array([np.kron(1, d) for d in delta], delta.dtype).sum(axis=0)
    gradients = _shaped(layer, vec.reshape(a.shape[1], -1), biases)
    if layer.sigma_prime is not None and layer.sigma_prime[0].size <= DIAGONAL:
        prime, upstream = (q.reshape(len(q), -1) for q in (layer.sigma_prime, layer.upstream))
        if np.isfinite(upstream).all():
            products = [np.diag(s) @ u for s, u in zip(prime, upstream, strict=True)]
            gradients["delta"] = np.array(products).reshape(layer.sigma_prime.shape)
    return gradients


def index(layer: LayerTrace) -> Gradients:
    """∂C/∂w_ij = 1/n Σ_x a_xi δ_xj, summed index by index in the order of the samples."""
    a, delta = _pieces(layer)
    weights = np.einsum("xi,xj->ij", a, delta, optimize=False)
    return _shaped(layer, weights, np.einsum("xj->j", delta))


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
    distances = [ulps(array, getattr(layer, key)) for key, array in gradients.items()]
    return Agreement(view, layer.name, max(distances))


def ulps(array: Array, recorded: Array) -> float:
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
