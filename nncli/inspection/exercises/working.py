"""The products behind a number of a step: what a solution writes out.

Each number is a function of a sum of products of numbers that the step computed before, perhaps
over a divisor. The factors come from the record; nothing is added up here.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np

from nncli.inspection.views import cell_products, tap_products, window_under
from nncli.nn.arrays import Array
from nncli.nn.layers import Conv, MaxPool
from nncli.nn.links import GRADIENT, Adam, Link, Momentum, WeightDecay
from nncli.nn.trace import LayerTrace, Trace

Index = tuple[int, ...]
Terms = tuple[tuple[float, ...], ...]
L = TypeVar("L", bound=Link)
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
        cells = _pooled(kind, layer, index)
        return Working(tuple((cell,) for cell in cells.values()), LARGEST)
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
        outputs = [(*index[:2], *place) for place in np.ndindex(layer.a.shape[2:])]
        terms = tuple(
            (float(layer.upstream[output]),)
            for output in outputs
            if _largest_cell(_pooled(kind, layer, output)) == index[2:]
        )
        return Working(terms or ((0.0,),))
    if isinstance(kind, Conv):
        channel, row, column = index[1:]
        products = [p for p in cell_products(layer, (channel, row, column)) if p.sample == index[0]]
        return Working(tuple(t for p in products for t in _floats(p.delta, p.weights)))
    # Where a flatten layer is between, the index is that of the vector all the same.
    sample, unit = index
    return Working(_floats(_present(layer.delta)[sample], _present(layer.weight)[unit]))


def _pooled(pool: MaxPool, layer: LayerTrace, index: Index) -> dict[Index, float]:
    """The cells of the window behind an output of a pool without padding, by where they are."""
    rows, columns = pool.windows(layer.placed.input_shape)
    image, (row, column) = layer.input[index[:2]], index[2:]
    cells = ((rows.cell(row, i), columns.cell(column, j)) for i, j in np.ndindex(pool.size))
    return {cell: float(image[cell]) for cell in cells}


def _largest_cell(cells: Mapping[Index, float]) -> Index:
    """The first of equal ones."""
    return max(cells, key=lambda cell: cells[cell])


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

    def link(self, kind: type[L]) -> L:
        return next(link for link in self.trace.links if isinstance(link, kind))

    def coming(self, name: str) -> float:
        """The entry of what goes into the link that writes `name`."""
        return self.of(incoming(self.trace.links, name))


def incoming(links: Iterable[Link], name: str) -> str:
    """What goes into the link that writes `name`."""
    coming = GRADIENT
    for link in links:
        if name in (*link.state, *link.terms):
            break
        coming = link.outgoing
    return coming


def _update(s: _Scene) -> Working:
    return Working(((-s.trace.eta, s.coming("update")),))


def _decayed(s: _Scene) -> Working:
    decay = s.link(WeightDecay).weight_decay
    return Working(((s.coming("decayed_gradient"),), (decay, s.parameter)))


def _velocity(s: _Scene) -> Working:
    momentum = s.link(Momentum).momentum
    return Working(((momentum, s.of("velocity_before")), (s.coming("velocity"),)))


def _lookahead(s: _Scene) -> Working:
    momentum = s.link(Momentum).momentum
    return Working(((s.coming("velocity"),), (momentum, s.of("velocity"))))


def _first_moment(s: _Scene) -> Working:
    beta, g = s.link(Adam).beta1, s.coming("first_moment")
    return Working(((beta, s.of("first_moment_before")), (1 - beta, g)))


def _second_moment(s: _Scene) -> Working:
    beta, g = s.link(Adam).beta2, s.coming("second_moment")
    return Working(((beta, s.of("second_moment_before")), (1 - beta, g, g)))


def _corrected(which: str) -> Callable[[_Scene], Working]:
    return lambda s: Working(
        ((s.of(f"{which}_moment"),),), "", float(s.trace.scalars[f"{which}_correction"])
    )


OPTIMIZERS: dict[str, Callable[[_Scene], Working]] = {
    "update": _update,
    "new": lambda s: Working(((s.parameter,), (-s.trace.eta, s.coming("update")))),
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
