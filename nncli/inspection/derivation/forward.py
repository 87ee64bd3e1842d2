"""The lessons of the way forward: what is asked, each layer's output, the cost."""

from collections.abc import Iterator
from math import prod

import numpy as np

from nncli.inspection.derivation.base import (
    WHOLE_JACOBIAN,
    Ask,
    Excerpt,
    Lesson,
    around_largest,
    at_largest,
    indexed,
    largest,
    sum_of_others,
)
from nncli.inspection.derivation.focus import Focus
from nncli.inspection.derivation.lessons import (
    ConvForward,
    CostLesson,
    DenseForward,
    MaskForward,
    NormForward,
    PoolForward,
    Question,
)
from nncli.inspection.views import conv_of, window_under
from nncli.nn.arrays import Array
from nncli.nn.layers.pool import Pool
from nncli.nn.trace import LayerTrace


def question(focus: Focus) -> Question:
    trace = focus.trace
    inputs, targets = (focus.of_sample(array) for array in (trace.inputs, trace.targets))
    return Question(
        trace=trace,
        sample=trace.samples[focus.at],
        inputs=inputs,
        targets=targets,
        shown_inputs=largest(inputs, 8),
        shown_targets=largest(targets, WHOLE_JACOBIAN),
        parameters=sum(layer.placed.parameters for layer in trace.layers),
    )


def forward(focus: Focus, layer: LayerTrace, again: str | None) -> Iterator[Lesson]:
    """What a layer computes; nothing of one that only reshapes."""
    make = FORWARD.get(layer.type)
    if make is not None:
        yield make(focus, layer, again)


def _dense(focus: Focus, layer: LayerTrace, again: str | None) -> DenseForward:
    assert layer.weight is not None
    assert layer.z is not None
    j = focus.unit(layer)
    input, z, a = (focus.of_sample(q) for q in (layer.input, layer.z, layer.a))
    with np.errstate(all="ignore"):
        products = input * layer.weight[:, j]
    terms = largest(products)
    wrongs = []
    if layer.bias is not None:
        wrongs.append(("missing_bias", float(z[j] - layer.bias[j])))
    given = [(f"a_{i} {indexed('w', i, j)}", float(products[i])) for i in terms.indices]
    rule = "the sum of these"
    if terms.is_all:
        rule = "Σ_i a_i w_ij" + ("" if layer.bias is None else " + b_j")
        given = [(f"a_{i}", float(input[i])) for i in terms.indices]
        given += [(indexed("w", i, j), float(layer.weight[i, j])) for i in terms.indices]
    else:
        rest = sum_of_others(products, terms)
        given.append(("the other products, added up", rest))
    if layer.bias is not None:
        given.append((f"b_{j}", float(layer.bias[j])))
    return DenseForward(
        layer=layer,
        again=again,
        unit=j,
        products=products,
        input=input,
        weight=layer.weight,
        bias=layer.bias,
        z=z,
        a=a,
        inputs=terms,
        units=focus.shown(layer),
        ask=Ask("z", (j,), rule, tuple(given), float(z[j]), tuple(wrongs)),
    )


def _conv(focus: Focus, layer: LayerTrace, again: str | None) -> ConvForward:
    assert layer.weight is not None
    assert layer.z is not None
    windows = conv_of(layer).windows(layer.placed.input_shape)
    k, row, column = focus.place(layer)
    window = window_under(layer, focus.at, k, (row, column))
    with np.errstate(all="ignore"):
        products = window * layer.weight[k]
        sums = products.sum(axis=(1, 2))
    bias = None if layer.bias is None else float(layer.bias[k])
    z = float(layer.z[focus.at, k, row, column])
    given = [(f"products of channel {c}, added up", float(sums[c])) for c in range(len(sums))]
    shown = largest(sums)
    if not shown.is_all:
        rest = sum_of_others(sums, shown)
        given = [given[c] for c in shown.indices] + [("the other channels", rest)]
    wrongs: list[tuple[str, float]] = []
    if bias is not None:
        given.append((f"b_{k}", bias))
        wrongs.append(("missing_bias", z - bias))
    channel = at_largest(sums)
    shown_rows, shown_columns = around_largest(products[channel])
    return ConvForward(
        layer=layer,
        again=again,
        place=(k, row, column),
        channel=channel,
        window=window,
        filter=layer.weight[k],
        products=products,
        sums=sums,
        bias=bias,
        z=z,
        a=float(layer.a[focus.at, k, row, column]),
        windows=prod(windows.output_shape),
        rows=shown_rows,
        columns=shown_columns,
        ask=Ask("z", (k, row, column), "the sum of these", tuple(given), z, tuple(wrongs)),
    )


def pool_window(focus: Focus, layer: LayerTrace) -> tuple[Array, int]:
    """The cells of the input that the followed output of a pool is made of.

    And how many count in its mean, those of the padding included.
    """
    pool = layer.placed.layer
    assert isinstance(pool, Pool)
    shape = layer.placed.input_shape
    c, *place = focus.place(layer)
    rows, columns = (
        [cell for k in range(axis.kernel) if 0 <= (cell := axis.cell(at, k)) < axis.size]
        for at, axis in zip(place, pool.windows(shape), strict=True)
    )
    count = prod(int(of[at]) for of, at in zip(pool.counts(shape), place, strict=True))
    cells: Array = layer.input[focus.at, c][np.ix_(rows, columns)]
    return cells, count


def _pool(focus: Focus, layer: LayerTrace, again: str | None) -> PoolForward:
    c, row, column = focus.place(layer)
    window, count = pool_window(focus, layer)
    return PoolForward(
        layer=layer,
        again=again,
        place=(c, row, column),
        window=window,
        count=count,
        a=float(layer.a[focus.at, c, row, column]),
    )


def _mask(focus: Focus, layer: LayerTrace, again: str | None) -> MaskForward:
    input, mask, a = (focus.of_sample(q) for q in (layer.input, layer.recorded["mask"], layer.a))
    return MaskForward(
        layer=layer,
        again=again,
        input=input,
        mask=mask,
        a=a,
        units=with_dropped(focus.shown(layer), mask),
        kept=int(np.count_nonzero(mask)),
    )


def with_dropped(units: Excerpt, mask: Array) -> Excerpt:
    """Units of which one is left out, where there is one."""
    dropped = np.flatnonzero(mask == 0)
    if not len(dropped) or any(mask[k] == 0 for k in units.indices):
        return units
    return Excerpt(tuple(sorted({*units.indices[1:], int(dropped[0])})), units.total)


def norm_unit(focus: Focus, layer: LayerTrace) -> int:
    """The unit or channel of a batchnorm layer that is followed."""
    return focus.place(layer)[0]


def norm_entries(focus: Focus, layer: LayerTrace) -> Excerpt:
    """Which entries of a unit, over samples, rows and columns, are shown: the followed one's too.

    They are those at the same place of the first samples; of a single image, others of it.
    """
    shape = layer.placed.output_shape
    each = prod(shape[1:])
    place = int(focus.unit(layer) % each)
    n = len(layer.input)
    order = [focus.at, *(x for x in range(n) if x != focus.at)]
    chosen = [x * each + place for x in order]
    chosen += [k for k in range(each * n) if k not in chosen][: max(0, 4 - len(chosen))]
    return Excerpt(tuple(sorted(chosen[:4])), n * each)


def unit_entries(array: Array, unit: int) -> Array:
    """The numbers of one unit or channel over the mini-batch, as a vector."""
    return array[:, unit].ravel()


def _norm(focus: Focus, layer: LayerTrace, again: str | None) -> NormForward:
    assert layer.weight is not None
    assert layer.bias is not None
    unit = norm_unit(focus, layer)
    return NormForward(
        layer=layer,
        again=again,
        unit=unit,
        input=unit_entries(layer.input, unit),
        normalised=unit_entries(layer.recorded["normalised"], unit),
        a=unit_entries(layer.a, unit),
        mean=float(layer.recorded["mean"][unit]),
        variance=float(layer.recorded["variance"][unit]),
        gamma=float(layer.weight[unit]),
        beta=float(layer.bias[unit]),
        entries=norm_entries(focus, layer),
    )


FORWARD = {
    "dense": _dense,
    "conv": _conv,
    "maxpool": _pool,
    "avgpool": _pool,
    "global_avgpool": _pool,
    "dropout": _mask,
    "batchnorm": _norm,
}


def cost(focus: Focus) -> CostLesson:
    trace, last = focus.trace, focus.trace.layers[-1]
    assert last.z is not None
    z, a, y = (q[focus.at] for q in (last.z, last.a, trace.targets))
    with np.errstate(all="ignore"):
        parts = trace.cost.definition(a, y, 1 - a)
        total = float(trace.cost.each(z[:, None], y[:, None], (a - y)[:, None])[0])
    weight, weighed = focus.weight, tuple[tuple[str, float], ...]()
    if weight is not None:
        parts, total, weighed = weight * parts, weight * total, (("w", weight),)
    j = focus.unit(last)
    upstream = focus.of_sample(last.upstream)
    ask = None
    if not trace.cost.error_is_delta:
        value = float(upstream[j])
        given = (*weighed, (f"a_{j}", float(a[j])), (f"y_{j}", float(y[j])))
        wrongs = (("sign", -value), ("missing_half", 2 * value), ("cost_itself", float(parts[j])))
        rule = "a − y, the derivative of ½ (a − y)² by a"
        if weighed:
            rule = f"w times {rule}"
        ask = Ask("upstream", (j,), rule, given, value, wrongs)
    return CostLesson(
        layer=last,
        trace=trace,
        a=a,
        y=y,
        parts=parts,
        upstream=upstream,
        cost_of_sample=total,
        units=largest(focus.of_sample(last.upstream), WHOLE_JACOBIAN, always=(j,)),
        weight=weight,
        ask=ask,
    )
