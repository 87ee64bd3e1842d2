"""Trainings, reported: the documents of `report`, `compare` and `evaluate`, for every format.

Each has a page of blocks, its record as plain data, its arrays, and an interactive page.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Group, RenderableType

from nncli.app.evaluation_records import Evaluated
from nncli.app.records import Training
from nncli.app.report_records import (
    ComparedRun,
    Comparison,
    Report,
    ReportedRun,
    accuracy_of,
    cost_of,
)
from nncli.app.summary_records import Summary
from nncli.core.text import capitalised, count_of, printable
from nncli.nn.arrays import Array
from nncli.nn.network import Network
from nncli.render.document import Block, Document, Grid, Heading, Lines, Page, Paragraph
from nncli.render.pages.comparison import (
    SideBySide,
    comparison_record,
    letter,
    outcome_grid,
    outcome_notes,
    run_record,
    value_words,
)
from nncli.render.pages.diagnosis import diagnose_command, diagnosis_record, short_verdict
from nncli.render.pages.evaluation import (
    evaluation_arrays,
    evaluation_blocks,
    evaluation_record,
    heading,
)
from nncli.render.pages.evaluation import evaluation_page as evaluation_screen
from nncli.render.pages.layers import network_table, summary_record
from nncli.render.pages.training import curves, fit_words, outcome, training_record
from nncli.render.terminal import TerminalPage
from nncli.render.text import NONE, duration, number, percent, shape, without_folders
from nncli.render.web.charts import spread
from nncli.render.web.flow import FLOWS
from nncli.render.web.report import comparison_page, report_page
from nncli.render.widgets.tables import Facts
from nncli.training.history import Epoch, History

MOST_LISTED = 12  # classes or columns that are named
MOST_EPOCHS = 12  # rows of a table of epochs


def report_document(report: Report) -> Document:
    """Of one training, or of several side by side."""
    return Document(
        title_of(report),
        lambda: report_blocks(report),
        lambda: report_record(report),
        lambda: report_arrays(report),
        lambda: report_page(
            title_of(report),
            _heading(report),
            _named([each.run for each in report.runs]),
            [_parts(each, several=len(report.runs) > 1) for each in report.runs],
            [],
        ),
    )


def training_document(training: Training, run: ComparedRun) -> Document:
    """Of a training as it comes from `train`; `run` is the same as a run folder would have it."""
    title = f"{training.spec.name}: training"
    top: Page = [Heading(title, 0), Paragraph(went(run))]
    if training.test is not None:
        words = f"On the test data: cost {number(training.test.cost, 4)}"
        if training.test.accuracy is not None:
            words += f", accuracy {percent(training.test.accuracy, 2)}"
        top.append(Paragraph(f"{words}."))
    if training.fit is not None:
        words = fit_words(training.fit)
        top.append(Paragraph(f"{capitalised(words)}."))
    network: Page = [Heading("The network", 1), placed_grid(training.network)]
    return Document(
        title,
        lambda: [*top, *_epochs("", run), *network],
        lambda: training_record(training),
        lambda: _columns([run]),
        lambda: report_page(title, top, [("", run)], [([], None, network)], []),
    )


def comparison_document(comparison: Comparison) -> Document:
    title = "Runs side by side"
    runs = comparison.runs
    top: Page = [Heading(title, 0), *_results(comparison)]
    return Document(
        title,
        lambda: [*top, *(block for named in _named(runs) for block in _epochs(*named))],
        lambda: comparison_record(comparison),
        lambda: _columns(runs),
        lambda: comparison_page(title, top, _named(runs), []),
    )


def report_screen(report: Report) -> RenderableType:
    """For a terminal: how each training went, and how good its network is."""
    if report.comparison is not None:
        return SideBySide(report.comparison)
    (each,) = report.runs
    run, parts = each.run, list[RenderableType]()
    if run.history:
        history = History(run.history)
        parts += [curves(history, run.chance), outcome(history), ""]
    parts += [TerminalPage([*_warnings(each), *_verdict(each)]), ""]
    parts += [Facts(list(_facts(each))), ""]
    parts += [TerminalPage([Paragraph(line, note=True)]) for line in each.missing]
    if each.evaluated is not None:
        parts.append(evaluation_screen(each.evaluated))
    return Group(TerminalPage([Heading(printable(run.spec.name), 0)]), "", *parts)


def title_of(report: Report) -> str:
    if report.comparison is None:
        return f"{report.runs[0].run.spec.name}: training"
    return f"{count_of(len(report.runs), 'training')} side by side"


def _named(runs: Sequence[ComparedRun]) -> list[tuple[str, ComparedRun]]:
    """Each run with its letter."""
    return [(letter(k), run) for k, run in enumerate(runs)]


# As blocks


def report_blocks(report: Report) -> Page:
    page = _heading(report)
    for (name, run), each in zip(
        _named([each.run for each in report.runs]), report.runs, strict=True
    ):
        several = report.comparison is not None
        if several:
            page.append(Heading(f"{name}  {printable(run.path)}", 1))
        page += _epochs(name if several else "", run)
        above, evaluated, below = _parts(each, several=several)
        page += above
        if evaluated is not None:
            page += evaluation_blocks(evaluated)
        page += below
    return page


def _heading(report: Report) -> Page:
    title = title_of(report)
    if report.comparison is not None:
        return [Heading(title, 0), *_results(report.comparison)]
    (each,) = report.runs
    page = [Heading(title, 0), Paragraph(went(each.run)), *_warnings(each)]
    return [*page, *_verdict(each)]


def went(run: ComparedRun) -> str:
    """How a training went, in a sentence."""
    if not run.history:
        return f"No epoch of {run.spec.train.epochs:,} is recorded."
    last, asked = run.history[-1], run.spec.train.epochs
    parts = [f"{last.epoch:,} of {count_of(asked, 'epoch')} in {duration(run.seconds)} of steps"]
    parts.append(f"cost {number(cost_of(last), 4)}")
    lowest, highest = run.lowest_cost, run.highest_accuracy
    if lowest is not None and lowest.epoch != last.epoch:
        parts[-1] += f" (lowest {number(cost_of(lowest), 4)} in epoch {lowest.epoch})"
    if highest is not None:
        parts.append(f"accuracy {percent(accuracy_of(last), 2)}")
        if highest.epoch != last.epoch:
            best = percent(accuracy_of(highest), 2)
            parts[-1] += f" (highest {best} in epoch {highest.epoch})"
    return f"{'; '.join(parts)}."


def _warnings(each: ReportedRun) -> Iterator[Block]:
    run = each.run
    done = run.history[-1].epoch if run.history else 0
    if each.divergence is not None:
        yield from _divergence(each.divergence)
    elif run.has_stopped_early:
        yield Paragraph("The training ended early: no epoch had been better for a while.")
    elif done < run.spec.train.epochs:
        yield Paragraph(
            "The training did not come to its end: it was stopped, or it still goes on; "
            "nncli train --resume would go on with it."
        )
    yield from (Paragraph(line, note=True) for line in run.notes)


def _verdict(each: ReportedRun) -> Iterator[Block]:
    """What its training tells of what is wrong."""
    if each.diagnosis is not None:
        yield Lines(tuple(short_verdict(each.diagnosis, diagnose_command(each.run.path))))


def _divergence(record: Mapping[str, Any]) -> Iterator[Block]:
    """Where a training diverged, and its last steps from the output back."""
    yield Paragraph(". ".join(map(printable, str(record["message"]).splitlines())))
    steps = record.get("flight")
    keys = ("delta_norm", "weight_gradient_norm", "weight_update_norm", "weight_norm")
    try:
        rows = [
            (str(step["step"]), _number(step["cost"]), printable(layer["name"]),
             *(_number(layer[key]) for key in keys))
            for step in steps or ()
            for layer in reversed(step["layers"])
            if layer["weight_norm"] is not None
        ]  # fmt: skip
    except (TypeError, KeyError):
        return  # another version wrote it
    yield Grid(("step", "C", "layer", "‖δ‖", "‖∂C/∂W‖", "‖ΔW‖", "‖W‖"), tuple(rows), words=0)
    yield Paragraph("The last steps before it diverged; – is what was not finite.", note=True)


def _number(value: Any) -> str:
    return number(value, 4) if isinstance(value, int | float) else NONE


def _results(comparison: Comparison) -> Page:
    """Which runs there are, how they ended, and in what their specs differ."""
    runs = _named(comparison.runs)
    page: Page = [
        Grid(
            ("run", "folder", "spec"),
            tuple((name, printable(run.path), printable(run.spec.name)) for name, run in runs),
            words=3,
        ),
        Heading("Results", 1),
        outcome_grid(comparison),
        Paragraph(" ".join(outcome_notes(comparison)), note=True),
        Heading("In what their specs differ", 1),
    ]
    if not comparison.differences:
        return [*page, Paragraph("Their specs are the same.")]
    rows = (
        (printable(d.key), *(printable(value_words(value)) for value in d.values))
        for d in comparison.differences
    )
    return [*page, Grid(("key", *(name for name, _ in runs)), tuple(rows), len(runs) + 1)]


def _epochs(name: str, run: ComparedRun) -> Page:
    """The epochs of a run as a table, some rows of a long one."""
    if not run.history:
        return []
    chosen = [run.history[k] for k in spread(len(run.history), MOST_EPOCHS)]
    rows = tuple(
        (
            str(epoch.epoch),
            number(epoch.eta, 4),
            number(epoch.train_cost, 4),
            number(cost_of(epoch), 4),
            percent(accuracy_of(epoch), 2),
        )
        for epoch in chosen
    )
    page: Page = [
        Heading(f"{name}: epochs" if name else "Epochs", 2 if name else 1),
        Grid(("epoch", "η", "train", "cost", "accuracy"), rows, words=0),
    ]
    if len(chosen) < len(run.history):
        page.append(Paragraph(f"{len(chosen)} of {len(run.history):,} epochs.", note=True))
    return [*page, Heading("The last step, layer by layer", 2), _flow_grid(run.history[-1])]


def _flow_grid(epoch: Epoch) -> Grid:
    rows = (
        (layer.name, *(number(getattr(layer, flow.key), 4) for flow in FLOWS))
        for layer in reversed(epoch.layers)
    )
    return Grid(("layer", *(flow.symbol for flow in FLOWS)), tuple(rows))


def _parts(each: ReportedRun, *, several: bool) -> tuple[Page, Evaluated | None, Page]:
    """What is said of a run above its measurement, that, and what is said below it."""
    above: Page = []
    if several:
        above += [*_warnings(each), *_verdict(each)]
    above.append(Heading("How good it is", 1))
    if each.evaluated is None:
        above.append(Paragraph("It could not be measured; the lines below say why."))
    else:
        above.append(Paragraph(heading(each.evaluated).plain))
        above += [Paragraph(note, note=True) for note in each.evaluated.notes]
    above += [Paragraph(line, note=True) for line in (*each.missing, *each.notes)]
    below: Page = []
    if each.layers is not None:
        below += [Heading("The network", 1), network_grid(each.layers)]
    below += [
        Heading("What it was trained on, and how", 1),
        Grid(("what", "of this run"), tuple(_facts(each)), words=2),
        Heading("The spec, with every default", 1),
        Lines(tuple(without_folders(printable(line, len(line) + 1)) for line in each.spec)),
    ]
    return above, each.evaluated, below


NETWORK = ("layer", "activation", "input", "output", "weights", "parameters")


def placed_grid(network: Network) -> Grid:
    """Layers, shapes of one sample, parameters."""
    table = network_table(network)
    rows = (tuple(cell.plain for cell in row) for row in (*table.rows, table.total))
    return Grid(NETWORK, tuple(rows), words=2)


def network_grid(summary: Summary) -> Grid:
    """The same of a summary."""
    rows = [
        (
            layer.name,
            layer.activation or "",
            shape(layer.input_shape),
            shape(layer.output_shape),
            shape(layer.parameter_shapes["weight"]) if "weight" in layer.parameter_shapes else "",
            f"{layer.parameters:,}" if layer.parameters else "",
        )
        for layer in summary.layers
    ]
    rows.append(("total", "", "", "", "", f"{summary.parameters:,}"))
    return Grid(NETWORK, tuple(rows), words=2)


def _facts(each: ReportedRun) -> Iterator[tuple[str, str]]:
    """What it was trained on, with what, and for how long."""
    run = each.run
    yield "run", without_folders(printable(run.path))
    for part in ("train", "validation", "test"):
        given = getattr(run.spec.data, part)
        if given is not None:
            words = value_words(run.spec.absolute()["data"][part])
            yield f"data.{part}", without_folders(printable(words))
    yield from _data_facts(each.data or {})
    if each.identity is not None:
        for part, numbers in each.identity.data.items():
            yield f"samples of {part}", f"{numbers[0]:,.0f}"
        for part, sums in each.identity.checksums.items():
            words = f"inputs {sums['inputs']:08x}, targets {sums['targets']:08x}"
            yield f"CRC-32 of {part}", words
        yield "threads", str(each.identity.threads)
        for name, version in each.identity.arithmetic.items():
            yield printable(name), printable(version)
    yield "seed", str(run.spec.seed)
    if run.history:
        mean = run.seconds / len(run.history)
        yield "time", f"{duration(run.seconds)} of steps, {duration(mean)} an epoch"


def _data_facts(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """How its data were read."""
    if isinstance(axes := data.get("input_shape"), list):
        yield "inputs of a sample", shape(axes)
    for key, words in (
        ("classes", "classes"),
        ("columns", "columns"),
        ("target_columns", "targets"),
    ):
        if isinstance(names := data.get(key), list) and names:
            yield words, f"{len(names):,}: {_listed(names)}"
    for key in ("offset", "divisor"):
        if key in data:
            yield f"inputs, {key}", _scaling(data[key])


def _scaling(value: Any) -> str:
    numbers = value if isinstance(value, list) else [value]
    return _listed([number(x, 4) if isinstance(x, float) else str(x) for x in numbers])


def _listed(names: Sequence[Any]) -> str:
    text = ", ".join(printable(str(name)) for name in names[:MOST_LISTED])
    return text if len(names) <= MOST_LISTED else f"{text}, …"


# As plain data


def report_record(report: Report) -> dict[str, Any]:
    """The schema nncli.report/1."""
    return {
        "schema": "nncli.report/1",
        "runs": [reported_record(each) for each in report.runs],
        "comparison": None
        if report.comparison is None
        else {k: v for k, v in comparison_record(report.comparison).items() if k != "runs"},
    }


def reported_record(each: ReportedRun) -> dict[str, Any]:
    identity = each.identity
    return {
        **run_record(each.run),
        "spec": each.run.spec.absolute(),
        "layers": None if each.layers is None else [summary_record(x) for x in each.layers.layers],
        "data": each.data,
        "checksums": None if identity is None else identity.checksums,
        "threads": None if identity is None else identity.threads,
        "arithmetic": None if identity is None else identity.arithmetic,
        "evaluation": None if each.evaluated is None else evaluation_record(each.evaluated),
        "divergence": each.divergence,
        "diagnosis": None if each.diagnosis is None else diagnosis_record(each.diagnosis),
        "missing": list(each.missing),
        "notes": list(each.run.notes),
    }


def report_arrays(report: Report) -> dict[str, Array]:
    arrays = _columns([each.run for each in report.runs])
    for k, each in enumerate(report.runs):
        if each.evaluated is not None:
            own = evaluation_arrays(each.evaluated)
            arrays |= {f"{letter(k)}.{name}": array for name, array in own.items()}
    return arrays


def _columns(runs: Sequence[ComparedRun]) -> dict[str, Array]:
    """The numbers of epochs: A.train_cost, A.dense1.delta_norm, ...; NaN where there is none."""
    arrays: dict[str, Array] = {}
    for name, run in _named(runs):
        history = History(run.history)
        for k in range(len(history)):
            record = history.record(k)
            for layer in record.pop("layers"):
                own = {f"{layer['name']}.{key}": value for key, value in layer.items()}
                record |= {key: v for key, v in own.items() if not isinstance(v, str)}
            for key, value in record.items():
                if f"{name}.{key}" not in arrays:
                    arrays[f"{name}.{key}"] = np.full(len(history), np.nan)
                arrays[f"{name}.{key}"][k] = np.nan if value is None else value
    return arrays
