"""The products behind a number of a step: what a solution writes out.

Each number is a function of a sum of products of numbers that the step computed before, perhaps
over a divisor. The factors come from the record; nothing is added up here.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from nncli.inspection.views import cell_products, tap_products, window_under
from nncli.nn.arrays import Array
from nncli.nn.layers import Conv, MaxPool
from nncli.nn.links import Adam, Momentum, WeightDecay
from nncli.nn.trace import LayerTrace, Trace
from nncli.nn.windows import Windows

Index = tuple[int, ...]
Terms = tuple[tuple[float, ...], ...]
SQUARE_ROOT, LARGEST = "√", "max"


class Working(NamedTuple):
    """`function` of the sum of the products of `terms`, over `divisor`.

    The largest of the terms instead of their sum, where the function is `LARGEST`; "" is none.
    """

    terms: Terms
    function: str = ""
    divisor: float = 1.0


def working(trace: Trace, name: str, index: Index) -> Working:
    """The products behind one entry of a quantity; `index` has the sample first, if it has one."""
    if name == "cost":
        errors = trace.layers[-1].upstream.ravel()
        return Working(tuple((0.5, float(e), float(e)) for e in errors), "", len(trace.inputs))
    layer_name, _, quantity = name.partition(".")
    layer = next(layer for layer in trace.layers if layer.name == layer_name)
    if quantity in QUANTITIES:
        return QUANTITIES[quantity](trace, layer, index)
    key, _, part = quantity.partition("_")
    return OPTIMIZERS[part](_Scene(trace, layer, key, index))


def _floats(*arrays: Array) -> Terms:
    """Products of entries at the same place of several arrays."""
    return tuple(zip(*(map(float, array.ravel()) for array in arrays), strict=True))


def _present(array: Array | None) -> Array:
    assert array is not None
    return array


def _z(trace: Trace, layer: LayerTrace, index: Index) -> Working:
    weight = _present(layer.weight)
    biases = () if layer.bias is None else ((float(layer.bias[index[1]]),),)
    if layer.type == "dense":
        sample, unit = index
        return Working((*_floats(layer.input[sample], weight[:, unit]), *biases))
    sample, filter, row, column = index
    terms = _floats(window_under(layer, sample, filter, (row, column)), weight[filter])
    return Working((*terms, *biases))


def _a(trace: Trace, layer: LayerTrace, index: Index) -> Working:
    kind = layer.placed.layer
    if isinstance(kind, MaxPool):
        windows = kind.windows(layer.placed.input_shape)
        image = layer.input[index[:2]]
        rows, columns = windows.rows, windows.columns
        cells = [
            float(image[rows.tap(i), columns.tap(j)][index[2:]])
            for i in range(rows.kernel)
            for j in range(columns.kernel)
        ]
        return Working(tuple((cell,) for cell in cells), LARGEST)
    z = _present(layer.z)
    if layer.activation == "softmax":
        powers = np.exp(z[index[0]])
        return Working(((float(powers[index[1]]),),), "", float(powers.sum()))
    return Working(((float(z[index]),),), str(layer.activation))


def _sigma_prime(trace: Trace, layer: LayerTrace, index: Index) -> Working:
    if layer.activation == "sigmoid":
        a = float(layer.a[index])
        return Working(((a, 1 - a),))
    return Working(((float(_present(layer.z)[index]),),), f"{layer.activation}′")


def _minus_target(trace: Trace, layer: LayerTrace, index: Index) -> Working:
    a, y = float(layer.a[index]), float(trace.targets[index])
    if trace.sample_weights is None:
        return Working(((a,), (-y,)))
    weight = float(trace.sample_weights[index[0]])
    return Working(((weight, a), (-weight, y)))


def _delta(trace: Trace, layer: LayerTrace, index: Index) -> Working:
    is_last = layer is trace.layers[-1]
    if is_last and (trace.cost.error_is_delta or layer.activation == "identity"):
        return _minus_target(trace, layer, index)
    return Working(((float(layer.upstream[index]), float(_present(layer.sigma_prime)[index])),))


def _downstream(trace: Trace, layer: LayerTrace, index: Index) -> Working:
    kind = layer.placed.layer
    if isinstance(kind, MaxPool):
        windows = kind.windows(layer.placed.input_shape)
        places = list(np.ndindex(layer.a.shape[2:]))
        reached = [
            place
            for place in places
            if _largest_cell(layer.input[index[:2]], windows, place) == index[2:]
        ]
        terms = tuple((float(layer.upstream[(*index[:2], *place)]),) for place in reached)
        return Working(terms or ((0.0,),))
    if isinstance(kind, Conv):
        channel, row, column = index[1:]
        products = [p for p in cell_products(layer, (channel, row, column)) if p.sample == index[0]]
        return Working(tuple(t for p in products for t in _floats(p.delta, p.weights)))
    # Where a flatten layer is between, the index is that of the vector all the same.
    sample, unit = index
    return Working(_floats(_present(layer.delta)[sample], _present(layer.weight)[unit]))


def _largest_cell(image: Array, windows: Windows, place: Index) -> Index:
    """Where the first maximum of a window is in the image."""
    rows, columns = windows.rows, windows.columns
    cells = {
        (i, j): float(image[rows.tap(i), columns.tap(j)][place])
        for i in range(rows.kernel)
        for j in range(columns.kernel)
    }
    i, j = max(cells, key=lambda tap: cells[tap])
    return (rows.stride * place[0] + i, columns.stride * place[1] + j)


def _weight_gradient(trace: Trace, layer: LayerTrace, index: Index) -> Working:
    n = len(trace.inputs)
    if isinstance(layer.placed.layer, Conv):
        filter, channel, row, column = index
        products = tap_products(layer, (filter, channel, row, column))
        return Working(tuple(t for p in products for t in _floats(p.cells, p.delta)), "", n)
    row, column = index
    return Working(_floats(layer.input[:, row], _present(layer.delta)[:, column]), "", n)


def _bias_gradient(trace: Trace, layer: LayerTrace, index: Index) -> Working:
    return Working(_floats(_present(layer.delta)[:, index[0]]), "", len(trace.inputs))


QUANTITIES: dict[str, Callable[[Trace, LayerTrace, Index], Working]] = {
    "z": _z,
    "a": _a,
    "sigma_prime": _sigma_prime,
    "upstream": _minus_target,
    "delta": _delta,
    "downstream": _downstream,
    "weight_gradient": _weight_gradient,
    "bias_gradient": _bias_gradient,
}


class _Scene(NamedTuple):
    """One entry of `weight` or `bias` of a layer, and what the optimizer has of it."""

    trace: Trace
    layer: LayerTrace
    key: str
    at: Index

    def of(self, name: str) -> float:
        """What a link wrote, or the gradient."""
        own: Mapping[str, Array] = self.layer.optimizer[self.key]
        array = own[name] if name in own else getattr(self.layer, f"{self.key}_{name}")
        return float(array[self.at])

    @property
    def parameter(self) -> float:
        return float(getattr(self.layer, self.key)[self.at])

    def link(self, kind: type) -> "object":
        return next(link for link in self.trace.links if isinstance(link, kind))

    def incoming(self, name: str) -> str:
        """What goes into the link that writes `name`."""
        coming = "gradient"
        for link in self.trace.links:
            if name in (*link.state, *link.terms):
                return coming
            coming = link.outgoing
        return coming


def _update(s: _Scene) -> Working:
    return Working(((-s.trace.eta, s.of(s.incoming("update"))),))


def _decayed(s: _Scene) -> Working:
    link = s.link(WeightDecay)
    assert isinstance(link, WeightDecay)
    return Working(((s.of(s.incoming("decayed_gradient")),), (link.weight_decay, s.parameter)))


def _velocity(s: _Scene) -> Working:
    link = s.link(Momentum)
    assert isinstance(link, Momentum)
    return Working(((link.momentum, s.of("velocity_before")), (s.of(s.incoming("velocity")),)))


def _lookahead(s: _Scene) -> Working:
    link = s.link(Momentum)
    assert isinstance(link, Momentum)
    return Working(((s.of(s.incoming("velocity")),), (link.momentum, s.of("velocity"))))


def _adam(s: _Scene) -> Adam:
    link = s.link(Adam)
    assert isinstance(link, Adam)
    return link


def _first_moment(s: _Scene) -> Working:
    beta, g = _adam(s).beta1, s.of(s.incoming("first_moment"))
    return Working(((beta, s.of("first_moment_before")), (1 - beta, g)))


def _second_moment(s: _Scene) -> Working:
    beta, g = _adam(s).beta2, s.of(s.incoming("second_moment"))
    return Working(((beta, s.of("second_moment_before")), (1 - beta, g, g)))


def _corrected(which: str) -> Callable[[_Scene], Working]:
    return lambda s: Working(
        ((s.of(f"{which}_moment"),),), "", float(s.trace.scalars[f"{which}_correction"])
    )


OPTIMIZERS: dict[str, Callable[[_Scene], Working]] = {
    "update": _update,
    "new": lambda s: Working(((s.parameter,), (-s.trace.eta, s.of(s.incoming("update"))))),
    "decayed_gradient": _decayed,
    "velocity": _velocity,
    "lookahead": _lookahead,
    "first_moment": _first_moment,
    "second_moment": _second_moment,
    "first_moment_corrected": _corrected("first"),
    "second_moment_corrected": _corrected("second"),
    "adam_denominator": lambda s: Working(((s.of("second_moment_corrected"),),), SQUARE_ROOT),
    "adam_direction": lambda s: Working(
        ((s.of("first_moment_corrected"),),), "", s.of("adam_denominator")
    ),
}
