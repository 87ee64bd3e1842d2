"""The textbook's formulas of each kind of layer, samples first: what mistakes are variants of.

They are not the engine's, whose record is what is right. Here every formula is a function of its
own, so that one of them can be replaced by a wrong one and the rest of a step follow from it.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from nncli.nn.activations import ACTIVATIONS
from nncli.nn.arrays import Array, Shape, constant, execute
from nncli.nn.costs import Cost
from nncli.nn.padding import fold, pad
from nncli.nn.windows import Windows

# --- Activations and costs


def activate(name: str, z: Array, parameters: tuple[float, ...]) -> tuple[Array, Array]:
    """σ(z) and σ′(z) by the row of nn.activations; units are the second axis."""
    last = np.ascontiguousarray(np.moveaxis(z, 0, -1))
    a, prime = np.zeros_like(last), np.zeros_like(last)
    values = [constant(value, z.dtype) for value in parameters]
    with np.errstate(all="ignore"):
        execute(ACTIVATIONS[name].rule(last, a, prime, constant(1, z.dtype), *values))
    return np.moveaxis(a, -1, 0), np.moveaxis(prime, -1, 0)


SLOPE_BY_A: dict[str, Callable[[Array], Array]] = {  # σ′ as a function of a = σ(z)
    "sigmoid": lambda a: a * (1 - a),
    "tanh": lambda a: 1 - a**2,
    "relu": lambda a: (a > 0).astype(a.dtype),
    "identity": np.ones_like,
}


def cost_upstream(cost: Cost, z: Array, a: Array, y: Array) -> Array:
    """∂C_x/∂a, of cross-entropy by a alone: whatever z it came from."""
    with np.errstate(all="ignore"):
        if cost.name != "cross_entropy":
            return cost.upstream(z.T, y.T, (a - y).T).T
        of_ones = np.where(y != 0, -y / a, 0)
        return (
            of_ones
            if cost.activation == "softmax"
            else of_ones + np.where(y != 1, (1 - y) / (1 - a), 0)
        )


def cost_mean(
    cost: Cost, z: Array, a: Array, y: Array, sample_weights: Array | None = None
) -> Array:
    """C, by the definition from a: what the outputs say, whatever z they came from."""
    with np.errstate(all="ignore"):
        terms = cost.definition(a.T, y.T, 1 - a.T)
        terms = terms if sample_weights is None else sample_weights * terms
    return np.asarray(terms.sum() / len(a))


# --- Dense


def dense_z(x: Array, weight: Array, bias: Array | None) -> Array:
    return x @ weight if bias is None else x @ weight + bias


def dense_weight_gradient(x: Array, delta: Array) -> Array:
    return x.T @ delta / len(x)


def dense_downstream(weight: Array, delta: Array) -> Array:
    return delta @ weight.T


# --- Conv and pools


class Taps(NamedTuple):
    """Where each tap of a window meets the padded image, over all outputs.

    groups: of filters, each of which sees its own channels.
    mode: of the padding.
    """

    windows: Windows
    groups: int = 1
    mode: str = "zeros"

    def __iter__(self) -> Iterator[Any]:
        rows, columns = self.windows.rows, self.windows.columns
        for i in range(rows.kernel):
            for j in range(columns.kernel):
                yield i, j, (..., rows.tap(i), columns.tap(j))

    def pad(self, x: Array, fill: float = 0) -> Array:
        if self.mode != "zeros":
            return pad(x, self.windows, self.mode)
        padded = np.full((*x.shape[:2], *self.windows.padded_shape), fill, x.dtype)
        padded[self.interior] = x
        return padded

    def empty(self, shape: Shape) -> Array:
        """A padded image of zeros for images of `shape`, samples x channels x rows x columns."""
        return np.zeros((*shape[:2], *self.windows.padded_shape))

    def unpad(self, gradient: Array) -> Array:
        """∂C_x/∂image from ∂C_x/∂(padded image): padding's is that of the cells that it repeats."""
        folded = gradient.copy()
        if self.mode != "zeros":
            execute(fold(folded, self.windows, self.mode, 2))
        inner: Array = folded[self.interior]
        return inner

    def parted(self, array: Array, axis: int) -> Array:
        """An axis of channels or filters as groups x those of a group."""
        return np.stack(np.split(array, self.groups, axis), axis)

    @property
    def interior(self) -> tuple[Any, ...]:
        return (..., self.windows.rows.interior, self.windows.columns.interior)


def conv_z(taps: Taps, x: Array, weight: Array, bias: Array | None) -> Array:
    padded = taps.pad(x)
    cells, filters = taps.parted(padded, 1), taps.parted(weight, 0)
    parts = sum(np.einsum("ngcrs,gfc->ngfrs", cells[at], filters[..., i, j]) for i, j, at in taps)
    z = np.concatenate(np.moveaxis(np.asarray(parts), 1, 0), 1)
    return z if bias is None else np.asarray(z + bias[:, None, None])


def conv_weight_gradient(taps: Taps, x: Array, delta: Array) -> Array:
    return gradient_at(taps, taps, taps.pad(x), delta)


def gradient_at(taps: Taps, cells: Iterable[Any], padded: Array, delta: Array) -> Array:
    """∂C/∂W where each tap meets these cells of the padded image."""
    kernel = (taps.windows.rows.kernel, taps.windows.columns.kernel)
    deltas, images = taps.parted(delta, 1), taps.parted(padded, 1)
    gradient = np.zeros((taps.groups, deltas.shape[2], images.shape[2], *kernel))
    for i, j, at in cells:
        gradient[..., i, j] = np.einsum("ngfrs,ngcrs->gfc", deltas, images[at]) / len(delta)
    return np.concatenate(gradient)


def conv_downstream(taps: Taps, shape: Shape, weight: Array, delta: Array) -> Array:
    return taps.unpad(padded_downstream(taps, taps, shape, weight, delta))


def padded_downstream(
    taps: Taps, cells: Iterable[Any], shape: Shape, weight: Array, delta: Array
) -> Array:
    """∂C_x/∂(padded image) where each tap meets these cells of it."""
    deltas, filters = taps.parted(delta, 1), taps.parted(weight, 0)
    padded = taps.parted(taps.empty(shape), 1)
    for i, j, at in cells:
        padded[at] += np.einsum("ngfrs,gfc->ngcrs", deltas, filters[..., i, j])
    return np.concatenate(np.moveaxis(padded, 1, 0), 1)


def bias_gradient(delta: Array) -> Array:
    """The mean over samples of the sum over the positions that share a bias."""
    return np.asarray(delta.sum(axis=(0, *range(2, delta.ndim))) / len(delta))


def windows_of(taps: Taps, x: Array) -> Array:
    """The cells of each window, taps first; padding is −∞."""
    padded = taps.pad(x, -np.inf)
    return np.array([padded[at] for _, _, at in taps])


def maxpool_a(taps: Taps, x: Array) -> Array:
    return np.asarray(windows_of(taps, x).max(axis=0))


def shared_downstream(taps: Taps, x: Array, shares: Iterable[Array]) -> Array:
    """∂C_x/∂input from what each tap's cell is given by each window, tap by tap."""
    padded = taps.pad(np.zeros_like(x))
    given = iter(shares)
    for _, _, at in taps:
        padded[at] += next(given)
    inner: Array = padded[taps.interior]
    return inner


def maxpool_downstream(taps: Taps, x: Array, upstream: Array, *, last: bool = False) -> Array:
    """The whole gradient to the first maximum of each window, or to the last."""
    cells = windows_of(taps, x)
    winner = len(cells) - 1 - cells[::-1].argmax(axis=0) if last else cells.argmax(axis=0)
    return shared_downstream(taps, x, [upstream * (winner == k) for k in range(len(cells))])


def avgpool_a(taps: Taps, x: Array, share: Array) -> Array:
    """The sum of each window times `share`, which has its rows and columns."""
    padded = taps.pad(x)
    return np.asarray(share * np.sum([padded[at] for _, _, at in taps], axis=0))


def spread_downstream(taps: Taps, x: Array, upstream: Array, share: Array) -> Array:
    """`share` of the gradient to every cell of each window."""
    return shared_downstream(taps, x, [share * upstream for _ in taps])


# --- Batch normalisation


def by_unit(vector: Array, like: Array) -> Array:
    return vector.reshape(1, -1, *[1] * (like.ndim - 2))


def mean_over(x: Array) -> Array:
    """The mean of each unit or channel, over samples and positions."""
    return np.asarray(x.mean(axis=(0, *range(2, x.ndim))))


def normalise(x: Array, epsilon: float) -> tuple[Array, Array]:
    """x̂ = (x − μ) / √(s² + ε), and the root."""
    root = by_unit(np.sqrt(mean_over((x - by_unit(mean_over(x), x)) ** 2) + epsilon), x)
    return (x - by_unit(mean_over(x), x)) / root, root


def batchnorm_downstream(x: Array, weight: Array, epsilon: float, upstream: Array) -> Array:
    normalised, root = normalise(x, epsilon)
    g = upstream * by_unit(weight, x)
    mean, slope = by_unit(mean_over(g), x), by_unit(mean_over(g * normalised), x)
    return np.asarray((g - mean - normalised * slope) / root)
