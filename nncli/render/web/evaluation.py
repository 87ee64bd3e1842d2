"""How good a network is: what it confuses, its classes or outputs, the worst samples."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from nncli.app.evaluation_records import Evaluated, WorstSample
from nncli.core.text import count_of
from nncli.nn.arrays import Array
from nncli.render.text import NONE, number, percent
from nncli.render.web.charts import datum
from nncli.render.web.images import image_html
from nncli.render.web.page import escape

MOST_CLASSES = 40  # of a confusion matrix that is shown
MOST_ROWS = 100  # of a table of classes or outputs
MOST_INPUTS = 16  # of a sample that is no image
OFTEN = 0.1  # the share of a class that is deepest in colour where it is mistaken
LEVELS = 9
LABEL_HEADS = (
    *("label", "samples", "predicted", "right"),
    *("accuracy", "precision", "recall", "F1", "ROC area"),
)


def evaluation_html(evaluated: Evaluated, heading: int = 3) -> str:
    """The parts below the sentence that says what was measured.

    Args:
        heading: the level of their headings.
    """
    parts = [_figures(evaluated)]
    counts, fit = evaluated.assessment.counts, evaluated.assessment.fit
    labels = evaluated.assessment.labels
    if counts is not None and evaluated.classes is not None:
        if counts.confusion is not None and len(evaluated.classes) <= MOST_CLASSES:
            parts.append(f"<h{heading}>What it confuses</h{heading}>")
            parts.append(confusion_html(evaluated.classes, counts.confusion))
        parts.append(f"<h{heading}>Each class</h{heading}>")
        heads = ("class", "samples", "predicted", "right", "precision", "recall")
        columns = (counts.samples, counts.predicted, counts.right)
        rows = (
            [*(f"{column[k]:,}" for column in columns), _share(precision), _share(recall)]
            for k, (precision, recall) in enumerate(
                zip(counts.precision, counts.recall, strict=True)
            )
        )
        parts.append(_table(heads, evaluated.classes, rows, "classes"))
    if labels is not None:
        parts.append(f"<h{heading}>Each label</h{heading}>")
        cells = (
            [*(f"{n:,}" for n in numbers), *map(_share, shares), datum(area)]
            for numbers, shares, area in labels.each()
        )
        parts.append(_table(LABEL_HEADS, evaluated.outputs, cells, "labels"))
    if fit is not None:
        parts.append(f"<h{heading}>Each output</h{heading}>")
        cells = (
            [datum(mse), datum(math.sqrt(mse)), datum(mae), datum(r2)]
            for mse, mae, r2 in zip(*fit, strict=True)
        )
        parts.append(
            _table(("output", "MSE", "RMSE", "MAE", "R²"), evaluated.outputs, cells, "outputs")
        )
    if evaluated.worst:
        parts.append(f"<h{heading}>The worst samples</h{heading}>")
        parts.append(_worst(evaluated))
    return "\n".join(parts)


def _figures(evaluated: Evaluated) -> str:
    assessment = evaluated.assessment
    lines = [f"Cost {datum(assessment.cost)} ({escape(evaluated.cost_name)})"]
    if assessment.counts is not None:
        right = int(assessment.counts.right.sum())
        share = _share(assessment.counts.accuracy, 2)
        lines.append(f"accuracy {share}: {right:,} of {assessment.samples:,}")
        if len(evaluated.outputs) == 1:
            lines.append(f"ROC area {datum(assessment.counts.roc_area)}")
    if assessment.labels is not None:
        labels = assessment.labels
        share = _share(labels.exact_match, 2)
        lines.append(
            f"accuracy {share}: {labels.exact:,} of {labels.total:,} have all labels right"
        )
    return f"<p>{', '.join(lines)}.</p>"


def _share(value: float | None, places: int = 1) -> str:
    if value is None:
        return NONE
    return f'<data value="{value!r}">{escape(percent(value, places))}</data>'


def _table(heads: Sequence[str], names: Sequence[str], rows: Iterator[list[str]], what: str) -> str:
    columns = "".join(f'<th scope="col">{head}</th>' for head in heads)
    lines = [
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{cell}</td>" for cell in row)}</tr>'
        for name, row in zip(names, rows, strict=True)
    ]
    left = len(lines) - MOST_ROWS
    cut = f'<p class="note">… and {left:,} more {what}.</p>' if left > 0 else ""
    return _scroll(
        what,
        f"<table><thead><tr>{columns}</tr></thead><tbody>{''.join(lines[:MOST_ROWS])}</tbody>"
        f"</table>{cut}",
    )


def _scroll(words: str, content: str) -> str:
    return f'<div class="scroll" tabindex="0" role="group" aria-label="{words}">{content}</div>'


def confusion_html(names: Sequence[str], matrix: Array) -> str:
    """Counts, framed where the network is right, the deeper in colour the more of a class."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    often = max(OFTEN, float((shares * (1 - np.eye(len(matrix)))).max()))
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = []
    for i, name in enumerate(names):
        cells = "".join(
            f'<td class="{_class(float(shares[i, j]), often, right=i == j)}">'
            f"{f'{matrix[i, j]:,}' if matrix[i, j] or i == j else '·'}</td>"
            for j in range(len(names))
        )
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    caption = (
        "Rows are what the samples are, columns what the network takes them for; right ones are "
        "framed, · is none."
    )
    return _scroll(
        "confusion matrix",
        f'<table class="confusion"><caption>{caption}</caption>'
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>",
    )


def _class(share: float, often: float, *, right: bool) -> str:
    if right:
        return f"right p d{round(share * LEVELS)}"
    # The root, so that a few mistakes among many samples can be seen.
    return f"m d{min(LEVELS, round(math.sqrt(share / often) * LEVELS))}" if share else "none"


def _worst(evaluated: Evaluated) -> str:
    worst = evaluated.worst
    note = f"The {count_of(len(worst), 'sample')} of the largest cost C; the first sample is 0."
    if worst[0].inputs.ndim == 3:
        return f'<p class="note">{note}</p><ul class="worst">{"".join(map(_image, worst))}</ul>'
    heads = ["sample"]
    if worst[0].line is not None:
        heads.append("row of the file")
    classes = evaluated.classes is not None
    heads += ["is", "taken for"] if classes else ["output", "y", "a"]
    heads.append("C")
    shown = min(MOST_INPUTS, worst[0].inputs.size)
    heads += [f"x{k}" for k in range(shown)]
    if shown < worst[0].inputs.size:
        note += f" Of {worst[0].inputs.size:,} inputs the first {shown} are shown."
    columns = "".join(f'<th scope="col">{head}</th>' for head in heads)
    rows = "".join(
        f'<tr><th scope="row">{sample.sample}</th>'
        f"{''.join(f'<td>{cell}</td>' for cell in _cells(sample, evaluated.outputs, shown))}</tr>"
        for sample in worst
    )
    table = f"<table><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<p class="note">{note}</p>{_scroll("worst samples", table)}'


def _cells(sample: WorstSample, outputs: Sequence[str], shown: int) -> Iterator[str]:
    if sample.line is not None:
        yield str(sample.line)
    if sample.target is not None:
        yield escape(sample.target)
        wrong = sample.target != sample.predicted
        yield f"{'wrong: ' if wrong else ''}{escape(sample.predicted)}"
    else:
        k = int(np.abs(sample.outputs - sample.targets).argmax())
        yield escape(outputs[k])
        yield datum(float(sample.targets[k]))
        yield datum(float(sample.outputs[k]))
    yield datum(sample.cost)
    yield from (datum(float(value)) for value in sample.inputs.reshape(-1)[:shown])


def _image(sample: WorstSample) -> str:
    words = [f"sample {sample.sample}"]
    if sample.line is not None:
        words.append(f"row {sample.line} of the file")
    if sample.target is not None:
        wrong = sample.target != sample.predicted
        words.append(f"is {sample.target}{'' if wrong else ', as it is taken for'}")
        if wrong:
            a = f"a {number(float(sample.outputs.max()))}"
            if len(sample.outputs) > 1:
                own = float(sample.outputs[sample.targets.argmax()])
                a += f"; of {sample.target} {number(own)}"
            words.append(f"wrong: taken for {sample.predicted} ({a})")
    lines = "<br>".join(escape(line) for line in words)
    picture = image_html(sample.inputs, ", ".join(words[:1] + words[-1:]))
    lines += f"<br>C {datum(sample.cost)}"
    return f"<li><figure>{picture}<figcaption>{lines}</figcaption></figure></li>"
