"""A network as plain data, for the scripts that make its numbers anew, and as cards."""

from collections.abc import Iterator
from math import isfinite, log10
from typing import Any, NamedTuple

import numpy as np

from nncli.nn.gelu import powers
from nncli.nn.layers import Conv, Placed, Pool
from nncli.nn.measures import norm, ratio
from nncli.nn.padding import sources
from nncli.nn.trace import LayerTrace, Trace
from nncli.nn.windows import Windows
from nncli.render.text import number
from nncli.render.web.page import escape

# σ and σ′ as formulas, and the quantity that σ′ is written with.
WRITTEN = {
    "sigmoid": ("1 / (1 + exp(−z))", "a (1 − a)", "a"),
    "tanh": ("tanh(z)", "1 − a²", "a"),
    "relu": ("max(z, 0)", "1 where z > 0, else 0", "z"),
    "leaky_relu": ("z, or the slope times z where z ≤ 0", "1 where z > 0, else the slope", "z"),
    "elu": ("z, or α (exp(z) − 1) where z ≤ 0", "1 where z > 0, else α exp(z)", "z"),
    "softplus": ("ln(1 + exp(z))", "1 / (1 + exp(−z))", "z"),
    "gelu": ("z Φ(z)", "Φ(z) + z φ(z)", "z"),
    "identity": ("z", "1", "z"),
    "softmax": ("exp(z) / Σ exp(z_k)", "", "z"),
}
UNWRITTEN = ("σ(z)", "the slope of σ at z", "z")


def network_data(trace: Trace) -> dict[str, Any]:
    """Layers with their hyperparameters, shapes and windows, the cost and the optimizer."""
    return {
        "dtype": str(trace.inputs.dtype),
        "eta": trace.eta,
        "cost": {
            "name": trace.cost.name,
            "fused": trace.cost.error_is_delta,
            "class_weights": None if trace.class_weights is None else trace.class_weights.tolist(),
        },
        "layers": [_layer(layer.placed) for layer in trace.layers],
        "links": [{"name": link.name, **link.settings()} for link in trace.links],
        "scalars": {name: scalar.item() for name, scalar in trace.scalars.items()},
    }


def _layer(placed: Placed) -> dict[str, Any]:
    layer = placed.layer
    data: dict[str, Any] = {
        "name": placed.name,
        "type": layer.type,
        "activation": placed.activation,
        "settings": dict(layer.settings()) | _series(placed.activation),
        "input_shape": list(placed.input_shape),
        "output_shape": list(placed.output_shape),
        "written": WRITTEN.get(placed.activation or "", UNWRITTEN),
        "windows": None,
    }
    if layer.has_windows:
        both = windows_of(placed)
        axes = [{**axis._asdict(), "outputs": axis.outputs} for axis in both]
        if isinstance(layer, Pool) and both.is_padded:  # how many cells of a window count
            for axis, counts in zip(axes, layer.counts(placed.input_shape), strict=True):
                axis["counts"] = counts.tolist()
        if isinstance(layer, Conv) and layer.repeats(both):
            for axis, of in zip(axes, both, strict=True):
                axis["sources"] = sources(of, layer.padding_mode).tolist()
        data["windows"] = dict(zip(("rows", "columns"), axes, strict=True))
    return data


def windows_of(placed: Placed) -> Windows:
    """The windows of a layer that has them."""
    assert isinstance(placed.layer, Conv | Pool)
    return placed.layer.windows(placed.input_shape)


def _series(activation: str | None) -> dict[str, list[float]]:
    """The coefficients that an activation is computed with, beside what the spec says."""
    if activation != "gelu":
        return {}
    return {"series": [float(c) for c in powers(np.dtype(np.float64))]}


LOST = 0.1  # a layer that lets less pass of the signal, and the least of all, is told of
ARROW = "<li class=to aria-hidden=true>"


class Flow(NamedTuple):
    """The error signal at a layer.

    Behind cross-entropy the outputs have δ = a − y, which nothing has let pass: there is no
    `upstream` there, and no `passed`.

    Attributes:
        upstream: ‖∂C/∂a‖.
        delta: ‖δ‖.
        passed: the share of the first that is left in the second.
    """

    upstream: float | None
    delta: float | None
    passed: float | None


def flow_of(trace: Trace, layer: LayerTrace) -> Flow:
    fused = layer is trace.layers[-1] and trace.cost.error_is_delta
    with np.errstate(all="ignore"):
        arriving = None if fused else norm(layer.upstream)
        passing = None if layer.delta is None else norm(layer.delta)
        return Flow(arriving, passing, ratio(passing, arriving))


def network_html(trace: Trace) -> str:
    """A section of a page: a card a layer, with the size of the error signal on its way back."""
    flows = [flow_of(trace, layer) for layer in trace.layers]
    seen = [size for flow in flows for size in flow[:2] if size and isfinite(size)]
    low, high = (log10(min(seen)) - 0.5, log10(max(seen))) if seen else (0.0, 1.0)
    least = min((flow.passed for flow in flows if flow.passed is not None), default=1.0)

    def size(layer: str, key: str, symbol: str, value: float | None) -> Iterator[str]:
        if value is not None:
            full = (log10(value) - low) / (high - low) if value > 0 and isfinite(value) else 0
            yield (
                f'<span class=bar>{symbol} <data data-of="{layer}.{key}" '
                f'value="{value!r}">{number(value, 3)}</data>'
                f'<meter value="{full:.3f}" aria-label="{symbol}, logarithmic"></meter>'
                "</span>"
            )

    def card(placed: Placed, flow: Flow) -> Iterator[str]:
        name = escape(placed.name)
        words = f"{placed.activation or ''} {_times(placed.input_shape)} → "
        yield f'{ARROW}<li class=card data-layer="{name}"><strong>{name}</strong>'
        yield f"<small>{words}{_times(placed.output_shape)}</small>"
        yield from size(name, "upstream", "‖∂C/∂a‖", flow.upstream)
        if flow.passed is not None:
            yield f"<small>⊙ σ′ lets {number(100 * flow.passed, 3)} % pass</small>"
        yield from size(name, "delta", "‖δ‖", flow.delta)
        if flow.passed == least < LOST:
            yield '<small class="warning">⚠ most of the signal is lost here</small>'

    cards = "".join(
        part
        for layer, flow in zip(trace.layers, flows, strict=True)
        for part in card(layer.placed, flow)
    )
    costs = "<br>".join(
        f'{words} = <data data-of="{key}" data-digits="6" value="{cost!r}">'
        f"{number(cost, 6) if isfinite(cost) else 'not finite'}</data>"
        for words, key, cost in (
            ("C", "cost_before", trace.cost_before), ("then C", "cost_after", trace.cost_after)
        )
    )  # fmt: skip
    inputs = _times(trace.layers[0].placed.input_shape)
    return f"""<section class="flow"><h2>The network, and the error signal on its way back</h2>
<ol class="network"><li class=end>inputs {inputs}{cards}{ARROW}<li class=end>{costs}</ol>
</section>"""


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
