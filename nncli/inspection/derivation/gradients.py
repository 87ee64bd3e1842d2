"""The lessons of the gradients: by weights and biases, of one sample and of several."""

from collections.abc import Iterator

import numpy as np

from nncli.inspection.derivation.base import (
    Ask,
    Lesson,
    around_largest,
    at_largest,
    largest,
    place_of,
    subscript,
)
from nncli.inspection.derivation.focus import Focus
from nncli.inspection.derivation.forward import norm_entries, norm_unit, unit_entries
from nncli.inspection.derivation.lessons import (
    ConvGradient,
    NormGradient,
    Outer,
    Samples,
    Update,
    WeightStep,
)
from nncli.inspection.findings import cost_change
from nncli.inspection.views import tap_products
from nncli.nn.trace import LayerTrace, Trace

SHOWN_SAMPLES = 6


def gradients(focus: Focus, layer: LayerTrace, again: str | None) -> Iterator[Lesson]:
    """What a layer's parameters are told; nothing of a layer without any."""
    make = GRADIENTS.get(layer.type)
    if make is not None:
        yield from make(focus, layer, again)


def _dense(focus: Focus, layer: LayerTrace, again: str | None) -> Iterator[Lesson]:
    assert layer.delta is not None
    assert layer.weight_gradient is not None
    input, delta = focus.of_sample(layer.input), focus.of_sample(layer.delta)
    i, j = focus.input_unit(layer), focus.unit(layer)
    inputs, units = focus.shown_inputs(layer), focus.shown(layer)
    n = len(layer.input)
    with np.errstate(all="ignore"):
        product = np.outer(input, delta)
    value = float(product[i, j])
    given = ((f"a_{i}", float(input[i])), (f"δ_{j}", float(delta[j])))
    wrongs = [("sign", -value), ("output_for_input", float(layer.a[focus.at, j] * delta[j]))]
    yield Outer(
        layer=layer,
        again=again,
        weight=(i, j),
        input=input,
        delta=delta,
        product=product,
        inputs=inputs,
        units=units,
        samples=n,
        ask=Ask("outer", (i, j), "a_i δ_j", given, value, tuple(wrongs)),
    )
    if n == 1:
        return
    with np.errstate(all="ignore"):
        products = layer.input[:, i] * layer.delta[:, j]
        total = float(products.sum())
    samples = largest(products, SHOWN_SAMPLES, always=(focus.at,))
    value = float(layer.weight_gradient[i, j])
    asked = (("the sum of all products", total), ("n", float(n)))
    yield Samples(
        layer=layer,
        again=again,
        weight=(i, j),
        sample_numbers=focus.trace.samples,
        input=layer.input,
        delta=layer.delta,
        products=products,
        summed=layer.input.T @ layer.delta,
        gradient=layer.weight_gradient,
        inputs=inputs,
        units=units,
        samples=samples,
        ask=Ask(
            "weight_gradient",
            (i, j),
            "the sum divided by n",
            asked,
            value,
            (("sum_for_mean", total), ("sign", -value)),
        ),
    )


def _conv(focus: Focus, layer: LayerTrace, again: str | None) -> Iterator[Lesson]:
    assert layer.weight_gradient is not None
    k, c, i, j = place_of(at_largest(layer.weight_gradient), layer.weight_gradient.shape)
    found = list(tap_products(layer, (k, c, i, j)))
    with np.errstate(all="ignore"):
        sums = np.array([p.product.sum() for p in found])
    own = found[focus.at]
    rows, columns = around_largest(own.product)
    value = float(layer.weight_gradient[k, c, i, j])
    n = len(found)
    given = (("the sums of all samples, added up", float(sums.sum())), ("n", float(n)))
    wrongs = (("sum_for_mean", float(sums.sum())), ("sign", -value)) if n > 1 else ()
    yield ConvGradient(
        layer=layer,
        again=again,
        tap=(k, c, i, j),
        cells=own.cells,
        delta=own.delta,
        products=own.product,
        sums=sums,
        gradient=value,
        rows=rows,
        columns=columns,
        ask=Ask("weight_gradient", (k, c, i, j), "the sum divided by n", given, value, wrongs),
    )


def _norm(focus: Focus, layer: LayerTrace, again: str | None) -> Iterator[Lesson]:
    assert layer.weight_gradient is not None
    assert layer.bias_gradient is not None
    unit = norm_unit(focus, layer)
    upstream = unit_entries(layer.upstream, unit)
    hat = unit_entries(layer.recorded["normalised"], unit)
    with np.errstate(all="ignore"):
        products = upstream * hat
    yield NormGradient(
        layer=layer,
        again=again,
        unit=unit,
        upstream=upstream,
        normalised=hat,
        products=products,
        gamma_gradient=float(layer.weight_gradient[unit]),
        beta_gradient=float(layer.bias_gradient[unit]),
        entries=norm_entries(focus, layer),
    )


GRADIENTS = {"dense": _dense, "conv": _conv, "batchnorm": _norm}


def update(focus: Focus, layers: tuple[LayerTrace, ...]) -> Update:
    """The step of one weight of each layer: the one whose gradient was derived."""
    trace = focus.trace
    steps = tuple(_step(focus, layer) for layer in layers if layer.weight is not None)
    last = steps[-1] if steps else None
    ask = None
    if last is not None and _is_plain(trace):
        name = ",".join(map(str, last.place)) if len(last.place) != 2 else subscript(*last.place)
        given = ((f"w_{name}", last.weight), ("η", trace.eta), (f"∂C/∂w_{name}", last.gradient))
        wrongs = (("uphill", last.weight + trace.eta * last.gradient),)
        ask = Ask("weight_new", last.place, "w − η ∂C/∂w", given, last.new, wrongs)
    return Update(trace=trace, steps=steps, predicted=cost_change(trace).predicted, ask=ask,
                  layer=last.layer if last is not None else None)  # fmt: skip


def _is_plain(trace: Trace) -> bool:
    return len(trace.links) == 1


def _step(focus: Focus, layer: LayerTrace) -> WeightStep:
    assert layer.weight is not None
    assert layer.weight_gradient is not None
    assert layer.weight_update is not None
    assert layer.weight_new is not None
    if layer.type == "dense":
        index: tuple[int, ...] = (focus.input_unit(layer), focus.unit(layer))
    elif layer.type == "batchnorm":
        index = (norm_unit(focus, layer),)
    else:
        index = place_of(at_largest(layer.weight_gradient), layer.weight.shape)
    values = (layer.weight, layer.weight_gradient, layer.weight_update, layer.weight_new)
    return WeightStep(layer, index, *(float(array[index]) for array in values))
