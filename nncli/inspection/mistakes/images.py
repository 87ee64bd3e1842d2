"""Mistakes in conv and pool layers."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nncli.inspection.mistakes import formulas as f
from nncli.inspection.mistakes.graph import Rule, Values
from nncli.inspection.mistakes.rules import share_of, taps_of, to_input, z_of
from nncli.inspection.mistakes.scene import Change, Mistake, Scene
from nncli.nn.arrays import Array
from nncli.nn.layers import Conv, Pool
from nncli.nn.trace import LayerTrace
from nncli.nn.windows import Axis

Downstream = Callable[[f.Taps, tuple[int, ...], Array, Array], Array]
Gradient = Callable[[f.Taps, Array, Array], Array]


def _convs(s: Scene) -> Iterator[tuple[LayerTrace, f.Taps]]:
    for layer in s.trace.layers:
        if isinstance(layer.placed.layer, Conv):
            yield layer, taps_of(layer.placed.layer, layer.placed.input_shape)


def _back(layer: LayerTrace, taps: f.Taps, function: Downstream) -> dict[str, Rule]:
    """The layer's ∂C_x/∂input by another function."""
    name = layer.name

    def rule(v: Values) -> Array:
        shape = v[f"{name}.input"].shape
        return function(taps, shape, v[f"{name}.weight"], v[f"{name}.delta"])

    return {f"{name}.downstream": rule}


def _gradient(layer: LayerTrace, taps: f.Taps, function: Gradient) -> dict[str, Rule]:
    """The layer's ∂C/∂W by another function."""
    name = layer.name
    return {
        f"{name}.weight_gradient": lambda v: function(taps, v[f"{name}.input"], v[f"{name}.delta"])
    }


def _turned(weight: Array) -> Array:
    return weight[:, :, ::-1, ::-1]


def _filter_turned(s: Scene) -> Iterator[Change]:
    def forward(layer: LayerTrace) -> Rule:
        name = layer.name

        def rule(v: Values) -> Array:
            bias = v[f"{name}.bias"] if layer.bias is not None else None
            return z_of(layer, v[f"{name}.input"], _turned(v[f"{name}.weight"]), bias)

        return rule

    for layer, taps in _convs(s):
        way = "on the way back δ met the filter unturned (or turned twice)"
        yield Change(way, layer.name, _back(layer, taps, _unturned_downstream))
        gradient = _gradient(layer, taps, lambda *given: _turned(f.conv_weight_gradient(*given)))
        yield Change("∂C/∂W is turned by 180°", layer.name, gradient)
        way = "on the way forward the filter is turned: a convolution for a correlation"
        yield Change(way, layer.name, {f"{layer.name}.z": forward(layer)})


def _unturned_downstream(
    taps: f.Taps, shape: tuple[int, ...], weight: Array, delta: Array
) -> Array:
    return f.conv_downstream(taps, shape, _turned(weight), delta)


def _near_cells(taps: f.Taps, delta: Array) -> Iterator[tuple[int, int, Any]]:
    """For each tap the padded cells that it meets where outputs are taken to be neighbours."""
    rows, columns = taps.windows.rows, taps.windows.columns
    for i in range(rows.kernel):
        for j in range(columns.kernel):
            r, c = i * rows.dilation, j * columns.dilation
            yield i, j, (..., slice(r, r + delta.shape[2]), slice(c, c + delta.shape[3]))


def _dense_downstream(taps: f.Taps, shape: tuple[int, ...], weight: Array, delta: Array) -> Array:
    return taps.unpad(f.padded_downstream(taps, _near_cells(taps, delta), shape, weight, delta))


def _dense_gradient(taps: f.Taps, x: Array, delta: Array) -> Array:
    return f.gradient_at(taps, _near_cells(taps, delta), taps.pad(x), delta)


def _stride_ignored(s: Scene) -> Iterator[Change]:
    for layer, taps in _convs(s):
        if (taps.windows.rows.stride, taps.windows.columns.stride) != (1, 1):
            way = "on the way back no zeros stand between the entries of δ"
            yield Change(way, layer.name, _back(layer, taps, _dense_downstream))
            way = "in ∂C/∂W the windows are taken side by side"
            yield Change(way, layer.name, _gradient(layer, taps, _dense_gradient))
            both = {
                **_back(layer, taps, _dense_downstream),
                **_gradient(layer, taps, _dense_gradient),
            }
            yield Change("on the way back and in ∂C/∂W", layer.name, both)


def _uncropped(taps: f.Taps, shape: tuple[int, ...], weight: Array, delta: Array) -> Array:
    padded = f.padded_downstream(taps, taps, shape, weight, delta)
    return padded[:, :, : shape[2], : shape[3]]


def _not_folded(taps: f.Taps, shape: tuple[int, ...], weight: Array, delta: Array) -> Array:
    inner: Array = f.padded_downstream(taps, taps, shape, weight, delta)[taps.interior]
    return inner


def _inside_only(taps: f.Taps, delta: Array) -> Array:
    """δ with 0 where the window reaches into the padding."""
    kept = np.zeros_like(delta)
    rows, columns = (_inside(axis) for axis in taps.windows)
    kept[:, :, rows, columns] = delta[:, :, rows, columns]
    return kept


def _inside(axis: Axis) -> slice:
    first = -(-axis.before // axis.stride)
    last = (axis.before + axis.size - axis.reach) // axis.stride
    return slice(first, max(first, last + 1))


def _unpadded(taps: f.Taps, x: Array) -> Array:
    """The image in the corner of its padded room, as if all padding were behind."""
    padded = taps.empty(x.shape)
    padded[:, :, : x.shape[2], : x.shape[3]] = x
    return padded


def _corner_gradient(taps: f.Taps, x: Array, delta: Array) -> Array:
    return f.gradient_at(taps, taps, _unpadded(taps, x), delta)


def _padding_lost(s: Scene) -> Iterator[Change]:
    for layer, taps in _convs(s):
        if not taps.windows.is_padded:
            continue
        way = "the padding is cut off at one end of ∂C/∂input, not at both"
        yield Change(way, layer.name, _back(layer, taps, _uncropped))
        if taps.mode != "zeros":
            way = "what flows back to padding is not added to the cells that it repeats"
            yield Change(way, layer.name, _back(layer, taps, _not_folded))
        way = "∂C/∂W is taken of the image without its padding"
        yield Change(way, layer.name, _gradient(layer, taps, _corner_gradient))

        def inner_gradient(taps: f.Taps, x: Array, delta: Array) -> Array:
            return f.conv_weight_gradient(taps, x, _inside_only(taps, delta))

        def inner_downstream(
            taps: f.Taps, shape: tuple[int, ...], weight: Array, delta: Array
        ) -> Array:
            return f.conv_downstream(taps, shape, weight, _inside_only(taps, delta))

        way = "windows that reach into the padding are left out of ∂C/∂W"
        yield Change(way, layer.name, _gradient(layer, taps, inner_gradient))
        way = "windows that reach into the padding are left out of ∂C/∂input"
        yield Change(way, layer.name, _back(layer, taps, inner_downstream))


def _pool_gradient_spread(s: Scene) -> Iterator[Change]:
    def to_all_maxima(taps: f.Taps, x: Array, upstream: Array) -> Array:
        cells = f.windows_of(taps, x)
        return f.shared_downstream(taps, x, upstream * (cells == cells.max(axis=0)))

    for layer in s.trace.layers:
        kind = layer.placed.layer
        if not isinstance(kind, Pool):
            continue
        taps, mean = taps_of(kind, layer.placed.input_shape), share_of(layer)
        if mean.min() == 1:
            continue

        def spread(share: Array, taps: f.Taps = taps) -> Callable[[Array, Array], Array]:
            return lambda x, u: f.spread_downstream(taps, x, u, share)

        def last(x: Array, u: Array, taps: f.Taps = taps) -> Array:
            return f.maxpool_downstream(taps, x, u, last=True)

        def maxima(x: Array, u: Array, taps: f.Taps = taps) -> Array:
            return to_all_maxima(taps, x, u)

        def first(x: Array, u: Array, taps: f.Taps = taps) -> Array:
            return f.maxpool_downstream(taps, x, u)

        whole, share = "the whole gradient went to every cell", "every cell got its share"
        ways = {
            "largest": {
                whole: spread(np.ones_like(mean)),
                f"{share} as if it were a mean": spread(mean),
                "it went to the last maximum": last,
                "it went to every cell that is equal to the maximum": maxima,
            },
            "mean": {
                whole: spread(np.ones_like(mean)),
                "it went to the maximum": first,
                "it was divided by the size twice": spread(mean**2),
            },
        }
        for way, function in ways["mean" if kind.is_mean else "largest"].items():
            yield Change(way, layer.name, to_input(layer, function))


IMAGES = (
    Mistake(
        "filter_turned",
        "A filter is turned where it should not be, or not turned where it should.",
        "z = input ⋆ w, ∂C/∂w = input ⋆ δ, ∂C/∂input = δ (padded) ⋆ w turned by 180°",
        "flips of the filter: none forward, one on the way back",
        _filter_turned,
    ),
    Mistake(
        "stride_ignored",
        "The stride is left out on the way back.",
        "between two entries of δ stand stride − 1 zeros",
        "which cells of the input each output was made of",
        _stride_ignored,
    ),
    Mistake(
        "padding_lost",
        "The padding's share is lost.",
        "windows go over the padded image, also on the way back; then the padding is cut off",
        "where the image begins within its padding",
        _padding_lost,
    ),
    Mistake(
        "pool_gradient_spread",
        "The gradient went through a pool layer to the wrong cells, or in the wrong shares.",
        "maxpool: all of it to the first maximum of the window; avgpool: 1/size to each cell",
        "the way back through the pool layer",
        _pool_gradient_spread,
    ),
)
