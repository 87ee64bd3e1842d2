"""How good a network is: as a page for the terminal, and as JSON."""

import math
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from nncli.app.evaluation_records import Evaluated, WorstSample
from nncli.core.jsons import to_json
from nncli.core.text import count_of, printable
from nncli.nn.arrays import Array
from nncli.render.document import Document, Grid, Heading, Interactive, Page, Paragraph
from nncli.render.pages.labels import HEADS, LABEL_NOTE, label_columns, label_table, labels_record
from nncli.render.text import NONE, number, percent, plain, without_folders
from nncli.render.widgets.pictures import ConfusionMap, Gallery, Picture
from nncli.render.widgets.tables import Column, Columns
from nncli.training.best import UsedWeights
from nncli.training.counts import ClassCounts
from nncli.training.evaluate import Fit

MOST_CLASSES = 30  # of a confusion matrix that is shown
MOST_ROWS = 40  # of a table of classes or outputs
LONGEST_NAME = 20  # characters of a class
IN_SPEC = "inputs"  # the source of data that the spec itself holds
PARTS = {
    "test": "its test data",
    "validation": "its validation data",
    "train": "its training data",
    "data": "",
}


def evaluation_page(evaluated: Evaluated) -> RenderableType:
    """Everything there is to say, for reading."""
    assessment = evaluated.assessment
    parts: list[RenderableType] = [heading(evaluated), "", *figures(evaluated)]
    if assessment.counts is not None and evaluated.classes is not None:
        names = [short_name(name) for name in evaluated.classes]
        parts += ["", *confusion(names, assessment.counts)]
        parts += ["", *class_table(names, assessment.counts)]
    if assessment.labels is not None:
        names = [short_name(name) for name in evaluated.outputs]
        parts += ["", *cut(label_columns(), label_table(names, assessment.labels), "labels")]
        parts += ["", plain(LABEL_NOTE, "dim")]
    if assessment.fit is not None:
        parts += ["", *fit_table(evaluated.outputs, assessment.fit)]
    if evaluated.worst:
        parts += ["", *worst_samples(evaluated)]
    return Group(*parts)


def heading(evaluated: Evaluated) -> Text:
    n = count_of(evaluated.assessment.samples, "sample")
    source = "" if evaluated.source == IN_SPEC else printable(evaluated.source)
    if evaluated.part != "data":
        source = without_folders(source)
    where = " of ".join(filter(None, [PARTS[evaluated.part], source]))
    text = plain(evaluated.name, "bold")
    text.append(f" {trained(evaluated.used)}, on {n}: {where}", "not bold")
    return text


def trained(used: UsedWeights) -> str:
    """After how many epochs the weights are those that are used."""
    if used.which == "last" or used.epoch == used.last_epoch:
        return f"after {count_of(used.epoch, 'epoch')}"
    return f"after epoch {used.epoch:,} of {used.last_epoch:,}, the best by {used.metric}"


def figures(evaluated: Evaluated) -> list[RenderableType]:
    assessment = evaluated.assessment
    lines = [Text(f"cost      {number(assessment.cost, 4)} ({evaluated.cost_name})")]
    if assessment.counts is not None:
        right = int(assessment.counts.right.sum())
        share = percent(assessment.counts.accuracy, 2)
        lines.append(Text(f"accuracy  {share}: {right:,} of {assessment.samples:,}"))
        if len(evaluated.outputs) == 1:
            lines.append(Text(f"ROC area  {number(assessment.counts.roc_area, 4)}"))
    if assessment.labels is not None:
        labels = assessment.labels
        share = percent(labels.exact_match, 2)
        words = "have all labels right"
        lines.append(Text(f"accuracy  {share}: {labels.exact:,} of {labels.total:,} {words}"))
    return list(lines)


def short_name(name: str) -> str:
    name = printable(name)
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def confusion(names: list[str], counts: ClassCounts) -> list[RenderableType]:
    if counts.confusion is None or len(names) > MOST_CLASSES:
        return often_confused(names, counts.confusion)
    note = "Rows are what the samples are, columns what the network takes them for."
    return [ConfusionMap(names, counts.confusion), "", Text(note, "dim")]


def often_confused(names: list[str], matrix: Array | None) -> list[RenderableType]:
    """Of many classes, the pairs that are confused most often."""
    if matrix is None:
        return [Text(f"confusion of {len(names):,} classes: too many to count", "dim")]
    wrong = matrix * (1 - np.eye(len(names), dtype=matrix.dtype))
    order = np.argsort(-wrong, axis=None, kind="stable")[:10]
    pairs = [divmod(int(k), len(names)) for k in order if wrong.flat[k]]
    rows = [[names[i], names[j], f"{wrong[i, j]:,}"] for i, j in pairs]
    columns = [Column("class", words=True), Column("often taken for", words=True), Column("times")]
    return [Columns(columns, rows)] if rows else []


def class_table(names: list[str], counts: ClassCounts) -> list[RenderableType]:
    columns = [
        Column("class", words=True),
        Column("samples", rank=3),
        Column("predicted", rank=2),
        Column("right", rank=1),
        Column("precision"),
        Column("recall"),
    ]
    rows = [
        [name, f"{n:,}", f"{predicted:,}", f"{right:,}", percent(precision), percent(recall)]
        for name, n, predicted, right, precision, recall in zip(
            names,
            counts.samples.tolist(),
            counts.predicted.tolist(),
            counts.right.tolist(),
            counts.precision,
            counts.recall,
            strict=True,
        )
    ]
    return cut(columns, rows, "classes")


def cut(columns: list[Column], rows: list[list[str]], what: str) -> list[RenderableType]:
    """A table, and how many rows were left out of it."""
    table = Columns(columns, rows[:MOST_ROWS])
    left = len(rows) - MOST_ROWS
    return [table] if left <= 0 else [table, Text(f"… and {left:,} more {what}", "dim")]


def fit_table(names: tuple[str, ...], fit: Fit) -> list[RenderableType]:
    columns = [Column("output", words=True), Column("MSE"), Column("RMSE", rank=1)]
    columns += [Column("MAE"), Column("R²")]
    rows = [
        [short_name(name), number(mse, 4), number(math.sqrt(mse), 4), number(mae, 4), number(r2, 4)]
        for name, mse, mae, r2 in zip(names, *fit, strict=True)
    ]
    note = (
        "MSE is the mean of (a − y)², MAE that of |a − y|. R² = 1 − Σ (a − y)² / Σ (y − mean y)² "
        "over these samples."
    )
    if None in fit.r2:
        note += f" It is {NONE} where all y are equal."
    return [*cut(columns, rows, "outputs"), "", plain(note, "dim")]


def worst_samples(evaluated: Evaluated) -> list[RenderableType]:
    worst = evaluated.worst
    lines = worst[0].line is not None
    columns = [Column("sample"), *([Column("row", rank=1)] if lines else [])]
    if evaluated.classes is not None:
        columns += [Column("is", words=True), Column("taken for", words=True)]
        columns += [Column(head, rank=2 + k) for k, head in enumerate(output_heads(evaluated))]
        columns.append(Column("C"))
        cells = [class_cells(sample) for sample in worst]
    else:
        columns += [Column("output", words=True, rank=2), Column("y"), Column("a"), Column("C")]
        cells = [number_cells(sample, evaluated.outputs) for sample in worst]
    rows = [
        [plain(str(sample.sample)), *([plain(str(sample.line))] if lines else []), *row]
        for sample, row in zip(worst, cells, strict=True)
    ]
    note = f"The {count_of(len(worst), 'sample')} of the largest cost C; the first sample is 0."
    if lines:
        note += " Rows are those of the file."
    if evaluated.classes is None and len(evaluated.outputs) > 1:
        note += " Of each, the output that misses most."
    parts: list[RenderableType] = [Columns(columns, rows), "", plain(note, "dim")]
    if worst[0].inputs.ndim == 3:
        parts += ["", Gallery([Picture(s.inputs, caption(s)) for s in worst])]
    return parts


def output_heads(evaluated: Evaluated) -> tuple[str, ...]:
    """What is shown of the outputs for a sample of classes."""
    if len(evaluated.outputs) == 1:
        return (f"a of {short_name(evaluated.outputs[0])}",)
    return ("a of its class", "a of that")


def class_cells(sample: WorstSample) -> list[Text]:
    wrong = sample.target != sample.predicted
    outputs = sample.outputs
    if len(outputs) > 1:
        outputs = outputs[[sample.targets.argmax(), outputs.argmax()]]
    return [
        plain(short_name(sample.target or "")),
        plain(short_name(sample.predicted or ""), "bold red" if wrong else ""),
        *(plain(number(a)) for a in outputs.tolist()),
        plain(number(sample.cost)),
    ]


def number_cells(sample: WorstSample, names: tuple[str, ...]) -> list[Text]:
    k = int(np.abs(sample.outputs - sample.targets).argmax())
    return [
        plain(short_name(names[k])),
        plain(number(float(sample.targets[k]), 4)),
        plain(number(float(sample.outputs[k]), 4)),
        plain(number(sample.cost)),
    ]


def worst_cells(evaluated: Evaluated) -> Grid:
    """The worst samples as a block of a page."""
    if evaluated.classes is None:
        heads: tuple[str, ...] = ("sample", "output", "y", "a", "C")
        cells = [number_cells(sample, evaluated.outputs) for sample in evaluated.worst]
    else:
        heads = ("sample", "is", "taken for", *output_heads(evaluated), "C")
        cells = [class_cells(sample) for sample in evaluated.worst]
    rows = (
        (str(sample.sample), *(cell.plain for cell in row))
        for sample, row in zip(evaluated.worst, cells, strict=True)
    )
    return Grid(heads, tuple(rows), words=1)


def caption(sample: WorstSample) -> tuple[str, ...]:
    if sample.target is None:
        return (f"sample {sample.sample}", f"C {number(sample.cost)}")
    taken = f"{short_name(sample.target)}, taken for {short_name(sample.predicted or '')}"
    right = sample.target == sample.predicted
    return (f"sample {sample.sample}", short_name(sample.target) if right else taken)


def evaluation_document(evaluated: Evaluated) -> Document:
    top: Page = [Heading(printable(evaluated.name), 0), Paragraph(heading(evaluated).plain)]
    top += [Paragraph(note, note=True) for note in evaluated.notes]

    def web() -> Interactive:
        from nncli.render.web.report import evaluation_page as page  # of a browser alone

        return page(f"{evaluated.name}: evaluation", top, evaluated)

    return Document(
        f"{evaluated.name}: evaluation",
        lambda: [*top, *evaluation_blocks(evaluated)],
        lambda: evaluation_record(evaluated),
        lambda: evaluation_arrays(evaluated),
        web,
    )


def evaluation_blocks(evaluated: Evaluated) -> Page:
    """How good a network is."""
    assessment = evaluated.assessment
    words = f"Cost {number(assessment.cost, 4)} ({evaluated.cost_name})"
    page: Page = [Paragraph(f"{words}.")]
    counts, fit = assessment.counts, assessment.fit
    names = [printable(name) for name in evaluated.classes or ()]
    if counts is not None:
        words += f", accuracy {percent(counts.accuracy, 2)}"
        if len(evaluated.outputs) == 1:
            words += f", ROC area {number(counts.roc_area, 4)}"
        page = [Paragraph(f"{words}.")]
        if counts.confusion is not None:
            rows = (
                (name, *(f"{n:,}" for n in row))
                for name, row in zip(names, counts.confusion.tolist(), strict=True)
            )
            page.append(Heading("What it confuses", 2))
            page.append(Grid(("is, taken for", *names), tuple(rows)))
        heads = ("class", "samples", "predicted", "right", "precision", "recall")
        columns = zip(
            names,
            *(
                map("{:,}".format, a.tolist())
                for a in (counts.samples, counts.predicted, counts.right)
            ),
            map(percent, counts.precision),
            map(percent, counts.recall),
            strict=True,
        )
        page += [Heading("Each class", 2), Grid(heads, tuple(columns))]
    if assessment.labels is not None:
        labels = assessment.labels
        share = percent(labels.exact_match, 2)
        page = [Paragraph(f"{words}, accuracy {share}: the samples that have all labels right.")]
        cells = label_table(map(printable, evaluated.outputs), labels)
        page += [Heading("Each label", 2), Grid(HEADS, tuple(map(tuple, cells)))]
    if fit is not None:
        outputs = map(printable, evaluated.outputs)
        fits = (
            (name, *(number(value, 4) for value in values))
            for name, *values in zip(outputs, *fit, strict=True)
        )
        page += [Heading("Each output", 2), Grid(("output", "MSE", "MAE", "R²"), tuple(fits))]
    if evaluated.worst:
        page += [Heading("The worst samples", 2), worst_cells(evaluated)]
    return page


def evaluation_json(evaluated: Evaluated) -> str:
    return to_json(evaluation_record(evaluated), indent=None)


def evaluation_record(evaluated: Evaluated) -> dict[str, Any]:
    """The schema nncli.evaluation/1: every number in full; what is undefined is null."""
    assessment = evaluated.assessment
    counts, fit = assessment.counts, assessment.fit
    return {
        "schema": "nncli.evaluation/1",
        "name": evaluated.name,
        "run": str(evaluated.run),
        "epoch": evaluated.epoch,
        "weights": evaluated.used._asdict(),
        "data": {"part": evaluated.part, "source": evaluated.source},
        "samples": assessment.samples,
        "cost": {"name": evaluated.cost_name, "value": assessment.cost},
        "accuracy": assessment.accuracy,
        "roc_area": None if counts is None else counts.roc_area,
        "classes": None if counts is None else classes_record(evaluated, counts),
        "confusion": None
        if counts is None or counts.confusion is None
        else counts.confusion.tolist(),
        "labels": None
        if assessment.labels is None
        else labels_record(evaluated.outputs, assessment.labels),
        "outputs": None if fit is None else outputs_record(evaluated, fit),
        "worst": [worst_record(sample) for sample in evaluated.worst],
    }


def classes_record(evaluated: Evaluated, counts: ClassCounts) -> list[dict[str, Any]]:
    return [
        {
            "class": name,
            "samples": int(counts.samples[k]),
            "predicted": int(counts.predicted[k]),
            "right": int(counts.right[k]),
            "precision": counts.precision[k],
            "recall": counts.recall[k],
        }
        for k, name in enumerate(evaluated.classes or ())
    ]


def outputs_record(evaluated: Evaluated, fit: Fit) -> list[dict[str, Any]]:
    return [
        {"output": name, "mse": mse, "mae": mae, "r2": r2}
        for name, mse, mae, r2 in zip(evaluated.outputs, *fit, strict=True)
    ]


def worst_record(sample: WorstSample) -> dict[str, Any]:
    return {
        "sample": sample.sample,
        "row": sample.line,
        "cost": sample.cost,
        "class": sample.target,
        "predicted": sample.predicted,
        "targets": sample.targets.tolist(),
        "outputs": sample.outputs.tolist(),
        "inputs": sample.inputs.tolist(),
    }


def evaluation_arrays(evaluated: Evaluated) -> dict[str, Array]:
    assessment = evaluated.assessment
    arrays: dict[str, Array] = {"cost": np.array(assessment.cost)}
    if assessment.counts is not None and assessment.counts.confusion is not None:
        arrays["confusion"] = assessment.counts.confusion
    if assessment.fit is not None:
        arrays["mse"] = np.array(assessment.fit.mse)
        arrays["mae"] = np.array(assessment.fit.mae)
    if evaluated.worst:
        arrays["worst"] = np.array([sample.sample for sample in evaluated.worst])
        arrays["worst_inputs"] = np.stack([sample.inputs for sample in evaluated.worst])
    return arrays
