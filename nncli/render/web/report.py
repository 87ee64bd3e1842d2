"""The pages of trainings: one or several, compared or measured; each complete without scripts."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nncli.app.evaluation_records import Evaluated
from nncli.app.report_records import ComparedRun, accuracy_of, cost_of
from nncli.nn.arrays import Array
from nncli.render.document import Page
from nncli.render.web.blocks import to_html
from nncli.render.web.charts import Chart, Curve, chart_html, extremes, scripted
from nncli.render.web.evaluation import evaluation_html
from nncli.render.web.flow import FLOWS, flow_charts, flow_html
from nncli.render.web.page import WebPage, escape
from nncli.training.history import Epoch

MOST_CURVES = 10  # on one pair of axes
CARRIED = 8_000  # numbers of a run that a page carries for its script
LEAST = 50  # epochs that it carries in any case

Measure = Callable[[Epoch], float | None]


def report_page(
    title: str,
    heading: Page,
    runs: Sequence[tuple[str, ComparedRun]],
    parts: Sequence[tuple[Page, Evaluated | None, Page]],
    after: Page,
) -> WebPage:
    """Trainings, side by side where there are several.

    Args:
        heading: what stands above all, the results of several runs among it.
        runs: each with the name that its curves bear.
        parts: of each run: what is said above its measurement, that, and what is said below.
        after: what stands at the end.
    """
    several = len(runs) > 1
    charts = curves_of(runs)
    flows = [flow_charts(run.history, k) for k, (_, run) in enumerate(runs)]
    sections = [
        _section(runs[k], k, flows[k], part, several=several) for k, part in enumerate(parts)
    ]
    body = f"""<main class="report">
{to_html(heading)}
<div class="app"></div>
{curves_html(runs, charts)}
{"".join(sections)}
{to_html(after)}
</main>"""
    return _page(title, body, runs, [*charts, *(chart for each in flows for chart in each)])


def comparison_page(
    title: str, heading: Page, runs: Sequence[tuple[str, ComparedRun]], after: Page
) -> WebPage:
    """Runs side by side: what is said of them, and their curves."""
    charts = curves_of(runs)
    body = f"""<main class="report">
{to_html(heading)}
<div class="app"></div>
{curves_html(runs, charts)}
{to_html(after)}
</main>"""
    return _page(title, body, runs, charts)


def evaluation_page(title: str, heading: Page, evaluated: Evaluated) -> WebPage:
    """A network measured on some samples."""
    body = f'<main class="report">\n{to_html(heading)}\n{evaluation_html(evaluated, 2)}\n</main>'
    return WebPage(title, body, styles=("report",))


def _judged_on(runs: Sequence[tuple[str, ComparedRun]]) -> str:
    """Which data `cost_of` is on, in these runs."""
    held = [any(e.validation_cost is not None for e in run.history) for _, run in runs]
    if all(held):
        return "held back"
    return "held back, or trained on where none are" if any(held) else "trained on"


def curves_of(runs: Sequence[tuple[str, ComparedRun]]) -> list[Chart]:
    """Cost, accuracy and η over the epochs: of one run train and validation, of several each."""
    if len(runs) > 1:
        judged: list[tuple[str, str, Measure]] = [
            ("cost", f"cost on the data {_judged_on(runs)}", cost_of),
            ("train_cost", "mean cost within each epoch of training", lambda e: e.train_cost),
            ("accuracy", "accuracy", accuracy_of),
            ("eta", "learning rate η", lambda e: e.eta),
        ]
        return [
            Chart(key, title, _curves(runs, key, measure), share=key == "accuracy")
            for key, title, measure in judged
        ]
    history = runs[0][1].history
    epochs = [epoch.epoch for epoch in history]

    def curve(name: str, key: str) -> Curve:
        return Curve(name, f"0.{key}", epochs, [getattr(epoch, key) for epoch in history])

    held_back = any(epoch.validation_cost is not None for epoch in history)
    costs = [curve("train", "train_cost")]
    shares = [curve("train", "train_accuracy")]
    if held_back:
        costs.append(curve("validation", "validation_cost"))
        shares = [curve("validation", "validation_accuracy")]
    else:
        costs.append(curve("train, after", "train_cost_after"))
    note = "train: the mean within each epoch; the other: after it."
    return [
        Chart("cost", "cost", costs, note),
        Chart("accuracy", "accuracy", shares, share=True),
        Chart("eta", "learning rate η", [curve("η", "eta")]),
    ]


def _curves(runs: Sequence[tuple[str, ComparedRun]], key: str, measure: Measure) -> list[Curve]:
    return [
        Curve(
            name,
            f"{k}.{key}",
            [epoch.epoch for epoch in run.history],
            [measure(epoch) for epoch in run.history],
            k,
        )
        for k, (name, run) in enumerate(runs[:MOST_CURVES])
    ]


def curves_html(runs: Sequence[tuple[str, ComparedRun]], charts: Sequence[Chart]) -> str:
    last = max((run.history[-1].epoch for _, run in runs if run.history), default=0)
    if not last:
        return '<h2>Curves</h2><p class="note">No epoch is recorded.</p>'
    drawn = "\n".join(chart_html(chart, (1, last)) for chart in charts)
    left = len(runs) - MOST_CURVES
    cut = (
        f'<p class="note">Curves are drawn of the first {MOST_CURVES} runs.</p>' if left > 0 else ""
    )
    return f'<h2>Curves</h2>{cut}\n<div class="charts">{drawn}</div>'


def _section(
    run: tuple[str, ComparedRun],
    place: int,
    flows: Sequence[Chart],
    part: tuple[Page, Evaluated | None, Page],
    *,
    several: bool,
) -> str:
    """All that is said of one run alone."""
    above, evaluated, below = part
    name, compared = run
    prefix = f"{escape(name)}: " if several else ""
    measured = "" if evaluated is None else evaluation_html(evaluated)
    content = f"""<h2>{prefix}Flow through the layers</h2>
{flow_html(compared.history, flows, place)}
{to_html(above)}
{measured}
{to_html(below)}"""
    if not several:
        return content
    opened = f"{escape(name)}  {escape(compared.path)}: its layers, its network and its data"
    return f'<details class="run" data-run="{place}"><summary>{opened}</summary>{content}</details>'


def _page(
    title: str,
    body: str,
    runs: Sequence[tuple[str, ComparedRun]],
    charts: Sequence[Chart],
) -> WebPage:
    arrays: dict[str, Array] = {}
    for k, (_, run) in enumerate(runs):
        own = [c for chart in charts for c in chart.curves if c.run == k]
        kept = carried_epochs(run.history, len(own) + 1)
        arrays[f"{k}.epoch"] = np.array([run.history[i].epoch for i in kept], np.int32)
        for curve in own:
            values = [curve.values[i] for i in kept]
            arrays[curve.key] = np.array([np.nan if v is None else v for v in values], np.float64)
    record: dict[str, Any] = {
        "kind": "report",
        "runs": [{"name": name, "epochs": len(run.history)} for name, run in runs],
        "charts": list(scripted(charts)),
        "flows": [{"key": flow.key, "symbol": flow.symbol} for flow in FLOWS],
    }
    return WebPage(
        title,
        body,
        scripts=("record", "report"),
        styles=("report",),
        start="startReport",
        record=record,
        arrays=arrays,
    )


def carried_epochs(history: Sequence[Epoch], numbers: int) -> list[int]:
    """The places of the epochs that a page carries: all, or of a long training some.

    Those are the ends, and in each stretch those of the least and the largest cost.
    """
    most = max(LEAST, CARRIED // max(1, numbers))
    if len(history) <= most:
        return list(range(len(history)))
    kept = extremes([cost_of(epoch) for epoch in history], most // 2)
    return sorted({0, *kept, len(history) - 1})
