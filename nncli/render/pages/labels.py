"""How good a network is at each of several labels: a table's heads and cells, and as JSON."""

from collections.abc import Iterable
from typing import Any

from nncli.render.text import number, percent
from nncli.render.widgets.tables import Column
from nncli.training.counts import LabelCounts

COUNTS = ("samples", "predicted", "right")
SHARES = ("accuracy", "precision", "recall", "F1")
HEADS = ("label", *COUNTS, *SHARES, "ROC area")
LABEL_NOTE = (
    "A label is given where its output is above ½. Right are the samples that have it and get it; "
    "accuracy is over all samples."
)


def label_columns() -> list[Column]:
    ranks = dict(zip(COUNTS, (3, 2, 1), strict=True))
    return [Column(head, words=head == "label", rank=ranks.get(head, 0)) for head in HEADS]


def label_table(names: Iterable[str], counts: LabelCounts) -> list[list[str]]:
    """The cells below HEADS, a row a label."""
    return [
        [name, *(f"{n:,}" for n in numbers), *map(percent, shares), number(area, 4)]
        for name, (numbers, shares, area) in zip(names, counts.each(), strict=True)
    ]


def labels_record(names: Iterable[str], counts: LabelCounts) -> list[dict[str, Any]]:
    heads = (*COUNTS, *(head.lower() for head in SHARES))
    return [
        {"label": name, **dict(zip(heads, (*numbers, *shares), strict=True)), "roc_area": area}
        for name, (numbers, shares, area) in zip(names, counts.each(), strict=True)
    ]
