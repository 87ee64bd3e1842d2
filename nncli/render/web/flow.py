"""How the error signal flows through the layers over the epochs: curves, and maps of layers.

A map has a row a layer and a column an epoch; a cell has a digit from 0 to 9, a tenth of the scale
each, and the deeper a colour the larger it is.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from nncli.core.text import count_of
from nncli.nn.activations import SATURATED
from nncli.nn.measures import LayerMeasures
from nncli.render.text import number
from nncli.render.web.charts import SPANS, Chart, Curve, chart_html, spread
from nncli.render.web.page import escape
from nncli.training.history import Epoch

COLUMNS = 30  # of a map
LEVELS = 10
NUMBERED = 5  # columns from one heading to the next


class Flow(NamedTuple):
    """A quantity of a layer: its name in `LayerMeasures`, its symbol, and what it says."""

    key: str
    symbol: str
    meaning: str


FLOWS = (
    Flow("delta_norm", "‖δ‖", "the error signal at each layer"),
    Flow("sigma_prime_mean", "mean σ′", "the share of it that an average unit lets pass"),
    Flow("saturated", "saturated", f"the share of units and samples with |σ′| below {SATURATED:g}"),
    Flow("weight_gradient_norm", "‖∂C/∂W‖", "the gradient of each layer's weights"),
    Flow("relative_update", "‖ΔW‖/‖W‖", "how far a step moves them"),
)


def flow_charts(history: Sequence[Epoch], run: int = 0) -> list[Chart]:
    """A chart for each quantity that some layer has, a curve a layer."""
    charts = []
    for flow in FLOWS:
        curves = [
            Curve(name, f"{run}.{name}.{flow.key}", [e.epoch for e in history], values, run)
            for name, values in _by_layer(history, flow.key)
        ]
        if curves:
            key = f"{run}.{flow.key}"
            title = f"{flow.symbol} by layer"
            charts.append(Chart(key, title, curves, f"{flow.meaning}.", share=False))
    return charts


def _by_layer(history: Sequence[Epoch], key: str) -> list[tuple[str, list[float | None]]]:
    """The layers that have a quantity, with its value in each epoch."""
    if not history:
        return []
    rows = []
    for k, layer in enumerate(history[0].layers):
        values = [_measure(epoch.layers[k], key) for epoch in history]
        if any(value is not None for value in values):
            rows.append((layer.name, values))
    return rows


def _measure(layer: LayerMeasures, key: str) -> float | None:
    value: float | None = getattr(layer, key)
    return value


def flow_html(history: Sequence[Epoch], charts: Sequence[Chart], run: int = 0) -> str:
    """The section of one run."""
    if not charts:
        return '<p class="note">No epoch is recorded.</p>'
    last = history[-1]
    epochs = history[0].epoch, last.epoch
    samples = count_of(last.last_batch, "sample")
    note = f"Of the last step of each epoch, on a mini-batch (in the last epoch of {samples})."
    parts = [f'<p class="note">{note}</p>']
    for chart in charts:
        parts.append(
            f'<div class="flow" data-flow="{escape(chart.key.partition(".")[2])}">'
            f"{chart_html(chart, epochs)}{map_html(chart)}</div>"
        )
    return "\n".join(parts)


def map_html(chart: Chart) -> str:
    """A map of layers and epochs, the output layer above."""
    values = [v for curve in chart.curves for _, v in curve.points()]
    if not values:
        return ""
    low, high = min(values), max(values)
    logarithmic = low > 0 and high / low > SPANS
    epochs = chart.curves[0].epochs
    chosen = spread(len(epochs), COLUMNS)
    heads = "".join(
        f'<th scope="col" data-epoch="{epochs[k]}">{_heading(epochs[k], n, len(chosen))}</th>'
        for n, k in enumerate(chosen)
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(curve.name)}</th>'
        f"{''.join(_cell(curve.values[k], low, high, logarithmic) for k in chosen)}</tr>"
        for curve in reversed(chart.curves)
    )
    return (
        f'<div class="scroll map" tabindex="0" role="group" '
        f'aria-label="{escape(f"{chart.title}: a map of layers and epochs")}">'
        f"<table><caption>{escape(_scale(low, high, logarithmic))}"
        f"{_left_out(len(chosen), len(epochs))}</caption>"
        f'<thead><tr><th scope="col">epoch</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _heading(epoch: int, place: int, count: int) -> str:
    """Some epochs are written where there are many; all are there for those who do not see."""
    is_shown = count <= 12 or place % NUMBERED == 0
    return str(epoch) if is_shown else f'<span class="visually-hidden">{epoch}</span>'


def _cell(value: float | None, low: float, high: float, logarithmic: bool) -> str:
    if value is None or not math.isfinite(value):
        return "<td>·</td>"
    k = level(value, low, high, logarithmic=logarithmic)
    return f'<td class="p d{k}">{k}</td>'


def level(value: float, low: float, high: float, *, logarithmic: bool) -> int:
    """Which tenth of the scale a value is in, from 0."""
    if high == low:
        return 0
    scale = math.log if logarithmic else float
    share = (scale(value) - scale(low)) / (scale(high) - scale(low))
    return min(LEVELS - 1, int(share * LEVELS))


def _scale(low: float, high: float, logarithmic: bool) -> str:
    if low == high:
        return f"All are {number(low, 4)}."
    steps = "tenths of its logarithm" if logarithmic else "tenths"
    return f"0 to 9: {steps} of the way from {number(low)} to {number(high)}."


def _left_out(shown: int, count: int) -> str:
    return f" {shown} of {count:,} epochs, evenly spaced." if shown < count else ""
