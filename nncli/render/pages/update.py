"""The update of a step: from the gradient, link by link, to the new parameters."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from nncli.core.text import count_of
from nncli.inspection.findings import Overflow
from nncli.inspection.record import link_ulps, ulps, values_of
from nncli.nn.arrays import Array
from nncli.nn.clipping import ClipNorm, ClipValue
from nncli.nn.links import (
    GRADIENT,
    L1,
    PARAMETERS,
    VELOCITY,
    Adam,
    Freeze,
    Link,
    Momentum,
    WeightDecay,
    before,
)
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import Block, Heading, Paragraph, equations
from nncli.render.notation import LINK_SYMBOLS, SYMBOL
from nncli.render.pages.matrices import WEIGHTS
from nncli.render.text import Extent, largest, number


class Line(NamedTuple):
    """Matrices with a sign between each two, the last being what the others make."""

    terms: tuple[tuple[str, Array], ...]
    signs: str


Values = dict[str, Array]
Lines = Callable[[Any, str, str, Values], list[Line]]


def update(
    trace: Trace, layer: LayerTrace, extent: Extent, *, sums: bool = True
) -> Iterator[Block]:
    """W old, how each link makes its part of ΔW, W new; and that they add up to the last digit.

    Args:
        sums: False leaves out how exact that is; `all_sums` says it of all layers at once.
    """
    yield Heading(layer.name, 2)
    own = layer.placed.layer.symbols
    for key, symbol in (("weight", "W"), ("bias", "b")):
        if getattr(layer, key) is not None:
            yield from _parameter(trace, layer, key, own.get(key, symbol), extent, sums=sums)


def all_sums(layers: Sequence[LayerTrace]) -> Iterator[Block]:
    """By how much the sums of all parameters are off."""
    keys = [
        (layer, key)
        for layer in layers
        for key in ("weight", "bias")
        if layer.quantity(key) is not None
    ]
    if keys:
        parts = [
            np.concatenate([getattr(layer, f"{key}{part}").ravel() for layer, key in keys])
            for part in ("", "_update", "_new")
        ]
        yield Paragraph(sum_words("w", *parts), note=True)


def _parameter(
    trace: Trace, layer: LayerTrace, key: str, symbol: str, extent: Extent, *, sums: bool
) -> Iterator[Block]:
    values = values_of(trace, layer, key)
    old, step, new = (getattr(layer, f"{key}{part}") for part in ("", "_update", "_new"))
    incoming, factor = GRADIENT, symbol_of(GRADIENT, symbol)
    for link in trace.links[:-1]:
        with np.errstate(all="ignore"):  # as in the step
            lines_of = LINES.get(type(link), _vectors)
            own = link.on(f"{layer.name}.{key}")
            lines = lines_of(own, symbol, factor, values | {"incoming": values[incoming]})
        for line in lines:
            yield from equations(line.terms, line.signs, extent, WEIGHTS)
        yield from _notes(own, values)
        if not lines:  # it leaves this parameter alone: what comes is what goes
            values = values | {link.outgoing: values[incoming]}
            incoming = link.outgoing
            continue
        incoming = link.outgoing
        factor = symbol_of(incoming, symbol)
    terms = [(symbol, old), (f"Δ{symbol} = −η {_factor(factor)}", step), (f"{symbol} new", new)]
    yield from equations(terms, "+=", extent, WEIGHTS)
    if sums:
        yield Paragraph(sum_words(symbol, old, step, new), note=True)
    if sums and len(trace.links) > 1:
        for name in (name for link in trace.links for name in link.counters):
            yield Paragraph(f"{_counted(name, int(trace.scalars[name]))}.", note=True)
        found = link_ulps(trace, values, f"{layer.name}.{key}")
        each = ", ".join(f"{name} {off:g}" for name, off in found)
        yield Paragraph(
            f"What each link wrote is off its formula by, in units in the last place: {each}.",
            note=True,
        )


def sum_words(symbol: str, old: Array, step: Array, new: Array) -> str:
    """By how much W + ΔW = W new is off, where all of that is finite."""
    finite = np.isfinite(old) & np.isfinite(step) & np.isfinite(new)
    beyond = new.size - np.count_nonzero(finite)
    entries = count_of(new.size, "entry", "entries")
    if beyond == new.size:
        return f"{symbol} new overflows: none of its {entries} is finite."
    off = ulps(old[finite] + step[finite], new[finite])
    difference = f"{symbol} new − ({symbol} + Δ{symbol}) = {off:g} units in the last place"
    if new.size == 1:
        return f"{difference}, at its one entry."
    text = f"{difference}, at every one "
    if beyond:
        return f"{text}of its finite entries; {beyond:,} of {entries} overflow."
    return f"{text}of {entries}."


def overflow_words(trace: Trace, found: Overflow) -> str:
    """Where a step went beyond its type."""
    ends = largest(trace.inputs.dtype)
    if found.layer is None:
        return f"After the step the cost on the same samples is not finite: beyond {ends}."
    layer = next(layer for layer in trace.layers if layer.name == found.layer)
    own = layer.placed.layer.symbols.get(found.of, {"weight": "W", "bias": "b"}.get(found.of, ""))
    parts = {f"{found.of}_update": f"Δ{own}", f"{found.of}_new": f"{own} new"}
    name = parts.get(found.quantity) or SYMBOL.get(found.quantity)
    if name is None:
        vector = symbol_of(found.quantity.removesuffix(before("")), own)
        is_before = found.quantity.endswith(before(""))
        name = vector.removesuffix(" new") if is_before else vector
        name = f"{name} of {own}" if own not in name else name
    return f"The step overflows in {layer.name}: {name} is not finite, beyond {ends}."


def symbol_of(vector: str, symbol: str) -> str:
    """What a vector of an optimizer is called, of the parameters `symbol`.

    One that has no symbol is called by its name.
    """
    return LINK_SYMBOLS.get(vector, vector.replace("_", " ")).replace("W", symbol)


def _counted(counter: str, count: int) -> str:
    if counter in LINK_SYMBOLS:
        return f"{LINK_SYMBOLS[counter]} = {count}, the number of the step"
    return f"{counter.replace('_', ' ')}: {count}"


def _factor(factor: str) -> str:
    return f"({factor})" if " + " in factor else factor


def _vectors(link: Link, symbol: str, factor: str, values: Values) -> list[Line]:
    """What a link of any kind is given and writes, a line a vector."""
    made = {name: (symbol_of(name, symbol), values[name]) for name in (*link.state, *link.terms)}
    old = {name: (f"{made[name][0]} before", values[before(name)]) for name in link.state}
    given = (factor, values["incoming"])
    return [Line((old.get(name, given), made[name]), "→") for name in made]


def _weight_decay(link: WeightDecay, symbol: str, factor: str, values: Values) -> list[Line]:
    if not link.weight_decay:
        return []
    outgoing = link.outgoing
    decay = link.weight_decay * values[PARAMETERS]
    terms = ((factor, values["incoming"]), (f"λ {symbol}", decay))
    return [Line((*terms, (symbol_of(outgoing, symbol), values[outgoing])), "+=")]


def _l1(link: L1, symbol: str, factor: str, values: Values) -> list[Line]:
    if not link.l1:
        return []
    push = link.l1 * np.sign(values[PARAMETERS])
    terms = ((factor, values["incoming"]), (f"λ₁ sign({symbol})", push))
    return [Line((*terms, (symbol_of(link.outgoing, symbol), values[link.outgoing])), "+=")]


def _freeze(link: Freeze, symbol: str, factor: str, values: Values) -> list[Line]:
    if not link.is_frozen:
        return []
    made = (symbol_of(link.outgoing, symbol), values[link.outgoing])
    return [Line(((factor, values["incoming"]), made), "→")]


def _notes(link: Link, values: Values) -> Iterator[Block]:
    """Why a link has made of a gradient what it has."""
    if isinstance(link, Freeze) and link.is_frozen:
        yield Paragraph("Frozen: 0 in place of its gradient, so that it stays as it is.", note=True)
    elif isinstance(link, WeightDecay | L1) and not link.strength:
        yield Paragraph(f"No {link.name}: it spares this parameter.", note=True)
    elif isinstance(link, ClipNorm):
        norm, factor = (number(float(values[key]), 7) for key in ("gradient_norm", "clip_factor"))
        yield Paragraph(
            f"Clipped: c = min(1, {link.norm:g} / (‖∇C‖ + 1e-6)) = {factor}, with ‖∇C‖ = {norm} "
            "over all parameters.",
            note=True,
        )
    elif isinstance(link, ClipValue):
        most = number(float(values["gradient_largest"]), 7)
        yield Paragraph(
            f"Clipped: each entry from {-link.value:g} to {link.value:g}; the largest of all "
            f"parameters' is {most}.",
            note=True,
        )


def _momentum(link: Momentum, symbol: str, factor: str, values: Values) -> list[Line]:
    old, new = values[before(VELOCITY)], values[VELOCITY]
    incoming, v = values["incoming"], symbol_of(VELOCITY, symbol)
    lines = [Line((("μ v", link.momentum * old), (factor, incoming), (v, new)), "+=")]
    if link.nesterov:
        ahead = (symbol_of("lookahead", symbol), values["lookahead"])
        lines.append(Line(((factor, incoming), (f"μ {v}", link.momentum * new), ahead), "+="))
    return lines


def _adam(link: Adam, symbol: str, factor: str, values: Values) -> list[Line]:
    gradient = values["incoming"]
    m, v = (values[before(name)] for name in link.state)
    made = {name: (symbol_of(name, symbol), values[name]) for name in (*link.state, *link.terms)}
    m_new, v_new, m_hat, v_hat, denominator, direction = made.values()
    return [
        Line(
            (("β₁ m", link.beta1 * m), (f"(1−β₁) {factor}", (1 - link.beta1) * gradient), m_new),
            "+=",
        ),
        Line(
            (
                ("β₂ v", link.beta2 * v),
                (f"(1−β₂) ({factor})²", (1 - link.beta2) * gradient**2),
                v_new,
            ),
            "+=",
        ),
        Line((m_new, ("m̂ = m new / (1 − β₁ᵗ)", m_hat[1])), "→"),
        Line((v_new, ("v̂ = v new / (1 − β₂ᵗ)", v_hat[1])), "→"),
        Line((v_hat, denominator), "→"),
        Line((m_hat, (f"({denominator[0]})", denominator[1]), direction), "⊘="),
    ]


LINES: dict[type[Link], Lines] = {
    Freeze: _freeze,
    WeightDecay: _weight_decay,
    L1: _l1,
    Momentum: _momentum,
    Adam: _adam,
}
