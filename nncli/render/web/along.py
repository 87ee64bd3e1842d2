"""C along the direction of a step as a drawing, with the place where it landed, and as a table."""

from collections.abc import Iterator
from math import isfinite

from nncli.inspection.along import CostAlong
from nncli.nn.trace import Trace
from nncli.render.document import Grid
from nncli.render.text import number
from nncli.render.web.blocks import grid_html
from nncli.render.web.page import escape

LEFT, RIGHT, TOP, BOTTOM = 80, 580, 20, 200  # of the drawing's axes
TICKS = (-0.5, 0, 0.5, 1, 1.5, 2)


def along_html(trace: Trace, along: CostAlong) -> str:
    """A section of a page."""
    finite = [cost for cost in along.cost if isfinite(cost)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    first, last = along.t[0], along.t[-1]

    def x(t: float) -> str:
        return f"{LEFT + (RIGHT - LEFT) * (t - first) / (last - first):.4g}"

    def y(cost: float) -> str:
        return f"{BOTTOM - (BOTTOM - TOP) * (cost - low) / ((high - low) or 1):.4g}"

    def marks() -> Iterator[str]:
        ends = ((0.0, trace.cost_before, "before"), (1.0, trace.cost_after, "where it landed"))
        for t, cost, words in ends:
            if isfinite(cost):
                yield f'<g transform="translate({x(t)} {y(cost)})">'
                yield f'<circle r="5"/><text x="8" y="-8">{words}</text></g>'
        for t in TICKS:
            words = f"{t:g}".replace("-", "−")
            yield f'<text x="{x(t)}" y="228">{words}</text>'
        for place, cost in ((BOTTOM, low), (TOP, high)):
            words = escape(number(cost))
            yield f'<text x="74" y="{place + 4}" class="scale">{words}</text>'

    pairs = list(zip(along.t, along.cost, strict=True))
    points = " ".join(f"{x(t)},{y(cost)}" for t, cost in pairs if isfinite(cost))
    rows = tuple(
        (f"{t:.3g}", number(cost, 6) if isfinite(cost) else "not finite") for t, cost in pairs
    )
    table = grid_html(Grid(("t", "C(W + t ΔW)"), rows))
    words = escape(f"C is {number(trace.cost_before, 6)} before the step; the table has all")
    return f"""<section class="along"><h2>C along the step's direction, in steps</h2>
<svg viewBox="0 0 620 240" role="img" data-range="{low!r} {high!r}" aria-label="{words}">
<polyline points="{points}"/><path d="M{LEFT} 208H{RIGHT}"/>{"".join(marks())}</svg>
<details><summary>as a table</summary>{table}</details></section>"""
