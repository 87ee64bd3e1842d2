"""The lessons of the way back: how the error passes σ, weights, windows and what else there is."""

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
    place_of,
    sum_of_others,
)
from nncli.inspection.derivation.focus import Focus
from nncli.inspection.derivation.forward import (
    norm_entries,
    norm_unit,
    pool_window,
    unit_entries,
    with_dropped,
)
from nncli.inspection.derivation.lessons import (
    ConvBack,
    DenseBack,
    MaskBack,
    NormBack,
    PoolBack,
    Reshaped,
    Sigma,
    SoftmaxError,
    SoftmaxJacobian,
)
from nncli.inspection.mistakes.rules import sigma
from nncli.inspection.views import cell_products, conv_of, outputs_over
from nncli.nn.layers import Pool
from nncli.nn.trace import LayerTrace


def is_telling(focus: Focus, layer: LayerTrace) -> bool:
    """Whether ⊙ does something in a layer: where σ′ cancels, or σ is the identity, it does not."""
    return not focus.is_fused(layer) and layer.activation != "identity"


def through_sigma(focus: Focus, layer: LayerTrace, again: str | None) -> Iterator[Lesson]:
    """From ∂C_x/∂a to δ; nothing where there is no σ."""
    if layer.delta is None:
        return
    if layer.sigma_prime is not None:
        yield _elementwise(focus, layer, again)
    else:
        yield from _softmax(focus, layer)


def _elementwise(focus: Focus, layer: LayerTrace, again: str | None) -> Sigma:
    assert layer.delta is not None
    assert layer.sigma_prime is not None
    assert layer.z is not None
    upstream, prime, delta, a = (
        focus.of_sample(q) for q in (layer.upstream, layer.sigma_prime, layer.delta, layer.a)
    )
    fused, j = focus.is_fused(layer), focus.unit(layer)
    units, others = _units(focus, layer)
    place = focus.place(layer)
    name = ",".join(map(str, place))
    value = float(delta[j])
    y = focus.of_sample(focus.trace.targets) if focus.is_last(layer) else None
    if fused:
        assert y is not None
        given = (*_weighed(focus), (f"a_{name}", float(a[j])), (f"y_{name}", float(y[j])))
        wrongs = [("sign", -value), ("sigma_prime_twice", value * float(prime[j]))]
        rule = "a − y" if focus.weight is None else "w (a − y)"
    else:
        given = ((f"∂C/∂a_{name}", float(upstream[j])), (f"σ′(z_{name})", float(prime[j])))
        kind = "output" if focus.is_last(layer) else "hidden"
        of_a = sigma(layer, layer.a)[1][focus.at].ravel()
        wrongs = [
            (f"missing_sigma_prime_{kind}", float(upstream[j])),
            ("sign", -value),
            ("sigma_prime_of_a", float(upstream[j] * of_a[j])),
            ("sigma_prime_twice", value * float(prime[j])),
        ]
        rule = "∂C/∂a σ′(z)"
    return Sigma(
        layer=layer,
        again=again,
        units=units,
        has_off=others,
        shape=layer.placed.output_shape,
        jacobian=np.diag(prime[list(units.indices)]),
        upstream=upstream,
        sigma_prime=prime,
        delta=delta,
        fused=fused,
        a=a,
        y=y,
        weight=focus.weight,
        ask=Ask("delta", place, rule, given, value, tuple(wrongs)),
    )


def _weighed(focus: Focus) -> tuple[tuple[str, float], ...]:
    return () if focus.weight is None else (("w", focus.weight),)


def _units(focus: Focus, layer: LayerTrace) -> tuple[Excerpt, bool]:
    """The units that are shown; of a σ that lets most pass whole, one that it stops among them.

    Whether there is such a one besides those with the largest |δ|.
    """
    assert layer.sigma_prime is not None
    units, prime = focus.shown(layer), focus.of_sample(layer.sigma_prime)
    stopped = np.flatnonzero(prime == 0)
    if units.is_all or not len(stopped) or any(prime[k] != 1 for k in units.indices):
        return units, False
    upstream = focus.of_sample(layer.upstream)[stopped]
    off = int(stopped[at_largest(upstream)])
    least = min(
        (k for k in units.indices if k != focus.unit(layer)),
        key=lambda k: abs(float(focus.of_sample(layer.upstream)[k])),
    )
    return Excerpt(tuple(sorted({*units.indices, off} - {least})), units.total), True


def _softmax(focus: Focus, layer: LayerTrace) -> Iterator[Lesson]:
    assert layer.delta is not None
    a, upstream, delta = (focus.of_sample(q) for q in (layer.a, layer.upstream, layer.delta))
    y, j = focus.of_sample(focus.trace.targets), focus.unit(layer)
    with np.errstate(all="ignore"):
        jacobian = np.diag(a) - np.outer(a, a)
        diagonal = upstream * np.diag(jacobian)
    most = WHOLE_JACOBIAN if len(a) <= WHOLE_JACOBIAN else 6
    right = tuple(int(k) for k in np.flatnonzero(y)[:1])
    units = largest(delta, most, always=tuple(dict.fromkeys((j, *right))))
    k = (j + 1) % len(a)
    given = ((f"a_{k}", float(a[k])), (f"a_{j}", float(a[j])))
    value = float(jacobian[k, j])
    rule = f"−a_{k} a_{j}: a_{k} depends on z_{j}, though that is another unit's"
    yield SoftmaxJacobian(
        layer=layer,
        a=a,
        jacobian=jacobian,
        units=units,
        ask=Ask("softmax", (k, j), rule, given, value, (("sign", -value), ("diagonal", 0.0))),
    )
    value = float(delta[j])
    of_error = (*_weighed(focus), (f"a_{j}", float(a[j])), (f"y_{j}", float(y[j])))
    wrongs = (("sign", -value), ("diagonal", float(diagonal[j])))
    rule, difference = "a − y: all else cancels", focus.trace.difference
    if focus.weight is not None:
        rule = "w (a − y): all else cancels"
    yield SoftmaxError(
        layer=layer,
        upstream=upstream,
        jacobian=jacobian,
        a=a,
        y=y,
        delta=delta,
        diagonal=diagonal,
        missed=at_largest(diagonal - delta),
        units=units,
        weight=focus.weight,
        difference=None if difference is None else focus.of_sample(difference),
        ask=Ask("delta", (j,), rule, of_error, value, wrongs),
    )


def to_input(focus: Focus, layer: LayerTrace, again: str | None) -> Iterator[Lesson]:
    """From a layer's δ, or what arrives at it, to ∂C_x/∂input."""
    make = BACK.get(layer.type)
    if make is not None:
        yield make(focus, layer, again)


def _below(focus: Focus, layer: LayerTrace) -> str | None:
    below = focus.below(layer)
    return None if below is None else below.name


def _dense(focus: Focus, layer: LayerTrace, again: str | None) -> DenseBack:
    assert layer.weight is not None
    assert layer.delta is not None
    delta, downstream = focus.of_sample(layer.delta), focus.of_sample(layer.downstream)
    i = focus.input_unit(layer)
    with np.errstate(all="ignore"):
        products = layer.weight[i] * delta
    units = focus.shown(layer)
    value = float(downstream[i])
    wrongs = [("sign", -value)]
    inputs, outputs = layer.weight.shape
    if inputs == outputs:
        wrongs.insert(0, ("untransposed", float(layer.weight[:, i] @ delta)))
    new = layer.weight_new
    if new is not None:
        wrongs.append(("updated_weights", float(new[i] @ delta)))
    terms = largest(products)
    given = [(f"{indexed('w', i, j)} δ_{j}", float(products[j])) for j in terms.indices]
    rule = "the sum of these"
    if terms.is_all:
        rule = "Σ_j w_ij δ_j"
        given = [(indexed("w", i, j), float(layer.weight[i, j])) for j in terms.indices]
        given += [(f"δ_{j}", float(delta[j])) for j in terms.indices]
    else:
        rest = sum_of_others(products, terms)
        given.append(("the other products, added up", rest))
    return DenseBack(
        layer=layer,
        again=again,
        input=i,
        products=products,
        weight=layer.weight,
        delta=delta,
        downstream=downstream,
        inputs=focus.shown_inputs(layer),
        units=units,
        below=_below(focus, layer),
        ask=Ask(
            "downstream",
            (i,),
            rule,
            tuple(given),
            value,
            tuple(wrongs),
        ),
    )


def _conv(focus: Focus, layer: LayerTrace, again: str | None) -> ConvBack:
    shape = layer.placed.input_shape
    flat = focus.of_sample(layer.downstream)
    cell = place_of(at_largest(flat), shape)
    found = [p for p in cell_products(layer, (cell[0], cell[1], cell[2]))
             if p.sample == focus.at]  # fmt: skip
    with np.errstate(all="ignore"):
        sums = np.array([p.product.sum() for p in found])
    k = at_largest(sums)
    shown = found[k]
    value = float(layer.downstream[(focus.at, *cell)])
    with np.errstate(all="ignore"):
        untouched = sum(float((p.delta[::-1, ::-1] * p.weights).sum()) for p in found)
    given = [(f"products of filter {p.filter}, added up", float(total))
             for p, total in zip(found, sums, strict=True)]  # fmt: skip
    terms = largest(sums)
    if not terms.is_all:
        rest = sum_of_others(sums, terms)
        given = [given[f] for f in terms.indices] + [("the other filters", rest)]
    rows, columns = around_largest(shown.product[::-1, ::-1])
    return ConvBack(
        layer=layer,
        again=again,
        cell=(cell[0], cell[1], cell[2]),
        filter=shown.filter,
        around=shown.delta[::-1, ::-1],
        turned=shown.weights[::-1, ::-1],
        untouched=shown.weights,
        products=shown.product[::-1, ::-1],
        sums=sums,
        downstream=value,
        windows=_windows_over(layer, cell),
        rows=rows,
        columns=columns,
        below=_below(focus, layer),
        ask=Ask(
            "downstream",
            cell,
            "their sum",
            tuple(given),
            value,
            (("filter_not_turned", untouched), ("sign", -value)),
        ),
    )


def _windows_over(layer: LayerTrace, cell: tuple[int, ...]) -> int:
    """How many windows hold a cell."""
    conv = conv_of(layer)
    windows = conv.windows(layer.placed.input_shape)
    counts = [
        sum(len(outputs_over(axis, conv.padding_mode, at, tap)) for tap in range(size))
        for at, axis, size in zip(
            cell[1:], (windows.rows, windows.columns), conv.kernel, strict=True
        )
    ]
    return prod(counts)


def _pool(focus: Focus, layer: LayerTrace, again: str | None) -> PoolBack:
    c, row, column = focus.place(layer)
    window, count = pool_window(focus, layer)
    upstream = float(layer.upstream[focus.at, c, row, column])
    share = np.zeros_like(window)
    pool = layer.placed.layer
    assert isinstance(pool, Pool)
    if pool.is_mean:
        share[...] = upstream / count
    else:
        share.flat[int(np.argmax(window))] = upstream
    ask = None
    if pool.is_mean:
        given = ((f"∂C/∂a_{c},{row},{column}", upstream), ("cells", float(count)))
        wrongs = (("not_shared", upstream), ("sign", -upstream / count))
        value = upstream / count
        ask = Ask("share", (c, row, column), "an equal share each", given, value, wrongs)
    return PoolBack(
        layer=layer,
        again=again,
        place=(c, row, column),
        upstream=upstream,
        window=window,
        count=count,
        share=share,
        ask=ask,
    )


def _reshaped(focus: Focus, layer: LayerTrace, again: str | None) -> Reshaped:
    return Reshaped(layer=layer, again=again)


def _mask(focus: Focus, layer: LayerTrace, again: str | None) -> MaskBack:
    upstream, mask, downstream = (
        focus.of_sample(q) for q in (layer.upstream, layer.recorded["mask"], layer.downstream)
    )
    units = with_dropped(focus.shown(layer), mask)
    return MaskBack(
        layer=layer,
        again=again,
        units=units,
        jacobian=np.diag(mask[list(units.indices)]),
        upstream=upstream,
        mask=mask,
        downstream=downstream,
    )


def _norm(focus: Focus, layer: LayerTrace, again: str | None) -> NormBack:
    assert layer.weight is not None
    unit, entries = norm_unit(focus, layer), norm_entries(focus, layer)
    chosen = list(entries.indices)
    hat = unit_entries(layer.recorded["normalised"], unit)
    epsilon = layer.placed.layer.settings()["epsilon"]
    assert isinstance(epsilon, float)
    scale = layer.weight[unit] / np.sqrt(layer.recorded["variance"][unit] + epsilon)
    some = hat[chosen]
    m = len(hat)
    jacobian = scale * (np.eye(len(some)) - 1 / m - np.outer(some, some) / m)
    return NormBack(
        layer=layer,
        again=again,
        unit=unit,
        entries=entries,
        jacobian=jacobian,
        upstream=unit_entries(layer.upstream, unit),
        direct=unit_entries(layer.recorded["direct"], unit),
        through_mean=float(layer.recorded["through_mean"][unit]),
        through_variance=unit_entries(layer.recorded["through_variance"], unit),
        downstream=unit_entries(layer.downstream, unit),
    )


BACK = {
    "dense": _dense,
    "conv": _conv,
    "maxpool": _pool,
    "avgpool": _pool,
    "global_avgpool": _pool,
    "flatten": _reshaped,
    "dropout": _mask,
    "batchnorm": _norm,
}
