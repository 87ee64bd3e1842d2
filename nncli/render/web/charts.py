"""Curves over the epochs: drawings with a table behind each, and what scripts read of them."""

import math
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from nncli.render.text import NONE, number
from nncli.render.web.page import escape

WIDTH, HEIGHT = 640, 230
LEFT, RIGHT, TOP, BOTTOM = 62, 124, 10, 26  # around the axes
DRAWN = 80  # stretches of a curve, of each of which the least and the largest value are drawn
ROWS = 40  # of a table behind a chart
STYLES = 10  # patterns of lines that can be told apart, see report.css
APART = 14  # between two names at the ends of curves
SPANS = 20.0  # a factor between the least and the largest from which the axis is logarithmic

Values = Sequence[float | None]


class Curve(NamedTuple):
    """A number an epoch.

    Attributes:
        name: what is written at its end.
        key: of its numbers in the page's record.
        epochs: the number of each epoch.
        values: None where an epoch has none.
        run: which run it is of.
    """

    name: str
    key: str
    epochs: Sequence[int]
    values: Values
    run: int = 0

    def points(self) -> list[tuple[int, float]]:
        """Epochs and values of those that are finite."""
        pairs = zip(self.epochs, self.values, strict=True)
        return [(epoch, v) for epoch, v in pairs if v is not None and math.isfinite(v)]


class Chart(NamedTuple):
    """Curves on one pair of axes. `key` is its name for scripts; shares are from 0 to 1."""

    key: str
    title: str
    curves: Sequence[Curve]
    note: str = ""
    share: bool = False


class Axis(NamedTuple):
    """A vertical axis."""

    low: float
    high: float
    logarithmic: bool

    def place(self, value: float) -> float:
        """How far down a value is drawn."""
        low, high, at = (
            (math.log10(self.low), math.log10(self.high), math.log10(value))
            if self.logarithmic
            else (self.low, self.high, value)
        )
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - at) / (high - low)

    def ticks(self) -> list[float]:
        """Round numbers within it."""
        if not self.logarithmic:
            return _round_numbers(self.low, self.high)
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        factors = (1,) if len(decades) > 3 else (1, 2, 5)
        step = max(1, len(decades) // 5)
        found = [f * 10.0**d for d in decades if d % step == 0 for f in factors]
        return [tick for tick in found if self.low <= tick <= self.high]


def chart_html(chart: Chart, epochs: tuple[int, int]) -> str:
    """A figure: the drawing, linear and logarithmic where both can be, and its table.

    Args:
        epochs: the first and the last of the horizontal axis.
    """
    drawn = [(k, curve) for k, curve in enumerate(chart.curves) if curve.points()]
    if not drawn:
        return ""
    values = [value for _, curve in drawn for _, value in curve.points()]
    axes = _axes(values, chart.share)
    layers = "".join(
        f'<g class="{"log" if axis.logarithmic else "linear"}"{"" if k == 0 else " hidden"}>'
        f"{_frame(axis, epochs)}{''.join(_curve(axis, epochs, *each) for each in drawn)}"
        f"{_names(axis, drawn)}</g>"
        for k, axis in enumerate(axes)
    )
    words = "; ".join(_in_words(curve) for _, curve in drawn)
    scale = " (log scale)" if axes[0].logarithmic else ""
    note = f"<br>{escape(chart.note)}" if chart.note else ""
    return f"""<figure class="chart" data-chart="{escape(chart.key)}">
<figcaption><strong>{escape(chart.title)}</strong><span class="scale">{scale}</span>{note}
</figcaption>
<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(f"{chart.title}: {words}")}">
{layers}<line class="now" y1="{TOP}" y2="{HEIGHT - BOTTOM}" hidden=""/></svg>
<details><summary>Numbers of {escape(chart.title)}</summary>{numbers_table(chart.curves)}</details>
</figure>"""


def numbers_table(curves: Sequence[Curve]) -> str:
    """The numbers of curves, a row an epoch; of long ones some rows."""
    by_epoch = [dict(zip(curve.epochs, curve.values, strict=True)) for curve in curves]
    epochs = sorted(set(chain.from_iterable(by_epoch)))
    rows = [epochs[k] for k in spread(len(epochs), ROWS)]
    cut = f'<p class="note">{len(rows)} of {len(epochs):,} epochs.</p>'
    heads = "".join(f'<th scope="col">{escape(curve.name)}</th>' for curve in curves)
    body = "".join(
        f'<tr><th scope="row">{epoch}</th>'
        f"{''.join(f'<td>{datum(values.get(epoch))}</td>' for values in by_epoch)}</tr>"
        for epoch in rows
    )
    return (
        f"{cut if len(rows) < len(epochs) else ''}"
        f'<div class="scroll" tabindex="0" role="group" aria-label="numbers">'
        f'<table><thead><tr><th scope="col">epoch</th>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def datum(value: float | None, digits: int = 4) -> str:
    """A number to read, with every digit of it behind."""
    if value is None:
        return NONE
    return f'<data value="{value!r}">{number(value, digits)}</data>'


def spread(count: int, most: int) -> list[int]:
    """At most `most` of `count` places, evenly, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(k * (count - 1) / (most - 1)) for k in range(most)})


def extremes(values: Values, stretches: int) -> list[int]:
    """The places of the least and the largest value in each stretch, and of both ends.

    So no peak of a curve is lost, however long it is.
    """
    there = [(v, k) for k, v in enumerate(values) if v is not None and math.isfinite(v)]
    if len(there) <= 2 * stretches:
        return [k for _, k in there]
    kept = {there[0], there[-1]}
    for n in range(stretches):
        part = there[n * len(there) // stretches : (n + 1) * len(there) // stretches]
        kept |= {min(part), max(part)}
    return sorted(k for _, k in kept)


def _axes(values: Sequence[float], share: bool) -> list[Axis]:
    """The axes that a chart can have, the one that it is shown with first."""
    low, high = min(values), max(values)
    logarithmic = Axis(low, high, True) if 0 < low < high else None
    linear = Axis(min(low, 0) if share else low, high, False)
    if linear.low == linear.high:
        linear = Axis(low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2, False)
    if logarithmic is None:
        return [linear]
    is_wide = not share and high / low > SPANS
    return [logarithmic, linear] if is_wide else [linear, logarithmic]


def _round_numbers(low: float, high: float) -> list[float]:
    """Four to nine multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(f * power for f in (1, 2, 5) if f * power <= rough)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def across(epoch: float, epochs: tuple[int, int]) -> float:
    """How far to the right an epoch is drawn."""
    first, last = epochs
    return LEFT + (WIDTH - LEFT - RIGHT) * (epoch - first) / max(1, last - first)


def _frame(axis: Axis, epochs: tuple[int, int]) -> str:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for tick in axis.ticks():
        y = f"{axis.place(tick):.1f}"
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y}">{_tick(tick)}</text>')
    labels = {round(epoch) for epoch in _round_numbers(*epochs)} if epochs[1] > epochs[0] else set()
    for epoch in sorted({epochs[0], *(e for e in labels if e > epochs[0])}):
        x = f"{across(epoch, epochs):.1f}"
        parts.append(f'<text class="epoch" x="{x}" y="{HEIGHT - 8}">{epoch}</text>')
    parts.append(f'<text class="epoch" x="{right + 44}" y="{HEIGHT - 8}">epoch</text>')
    return f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}"/>{"".join(parts)}'


def _tick(value: float) -> str:
    return "0" if value == 0 else f"{value:.4g}".replace("e-0", "e-").replace("-", "−")


def _curve(axis: Axis, epochs: tuple[int, int], place: int, curve: Curve) -> str:
    kept = extremes(curve.values, DRAWN)
    points = [(across(curve.epochs[k], epochs), axis.place(curve.values[k] or 0)) for k in kept]
    style = place % STYLES
    if len(points) == 1:
        x, y = points[0]
        return (
            f'<circle class="dot s{style}" data-curve="{place}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
        )
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="curve s{style}" data-curve="{place}" points="{path}"/>'


def _names(axis: Axis, drawn: Sequence[tuple[int, Curve]]) -> str:
    """The names of curves at their ends, none over another, a sample of the line before each."""
    ends = sorted((axis.place(curve.points()[-1][1]), k, curve) for k, curve in drawn)
    lowest = HEIGHT - BOTTOM - APART * (len(ends) - 1)
    parts, before = [], TOP - APART + 4.0
    for n, (y, k, curve) in enumerate(ends):
        before = max(before + APART, min(y, lowest + n * APART))
        x, name = WIDTH - RIGHT + 4, short(curve.name)
        parts.append(
            f'<line class="curve s{k % STYLES}" data-curve="{k}" x1="{x}" x2="{x + 22}" '
            f'y1="{before:.1f}" y2="{before:.1f}"/>'
            f'<text class="name" data-curve="{k}" x="{x + 27}" y="{before:.1f}">'
            f"{escape(name)}</text>"
        )
    return "".join(parts)


def short(name: str, most: int = 13) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _in_words(curve: Curve) -> str:
    points = curve.points()
    (first, start), (last, end) = points[0], points[-1]
    if first == last:
        return f"{curve.name} {number(start, 4)} in epoch {first}"
    return f"{curve.name} from {number(start, 4)} in epoch {first} to {number(end, 4)} in {last}"


def scripted(charts: Sequence[Chart]) -> Iterator[dict[str, object]]:
    """What the script reads of charts."""
    for chart in charts:
        curves = [{"name": c.name, "key": c.key, "run": c.run} for c in chart.curves]
        yield {"key": chart.key, "title": chart.title, "curves": curves}
