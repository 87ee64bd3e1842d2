"""The screens of the way back through windows, masks, and whatever else is no dense layer."""

import numpy as np

from nncli.inspection.derivation.base import largest, sum_of_others
from nncli.inspection.derivation.lessons import ConvBack, MaskBack, NormBack, PoolBack, Reshaped
from nncli.nn.layers import Conv, Pool
from nncli.render.document import Grid, Page, Paragraph
from nncli.render.pages.explain.words import (
    aligned,
    cut_words,
    factor,
    listed,
    matrices,
    n,
    note,
    row,
    some,
    table,
    taps_words,
    texts,
)
from nncli.render.text import shape


def conv_back(lesson: ConvBack) -> Page:
    layer, (c, r, col) = lesson.of, lesson.cell
    filters = len(lesson.sums)
    shown = largest(lesson.sums, 5)
    sums = " + ".join(factor(float(lesson.sums[k]), 4) for k in shown.indices)
    if not shown.is_all:
        rest = sum_of_others(lesson.sums, shown)
        sums += f" + [{filters - len(shown.indices)} more: {n(rest, 4)}]"
    which = "all" if filters == layer.placed.output_shape[0] else "its group's"
    taps = lesson.turned.size
    stride = layer.placed.layer.settings()["stride"]
    between = "" if stride in ((1, 1), [1, 1]) else (
        " With a stride the windows are further apart, and 0 stands in δ between them."
    )  # fmt: skip
    conv = layer.placed.layer
    assert isinstance(conv, Conv)
    repeats = conv.repeats(conv.windows(layer.placed.input_shape))
    edge = (
        f"Padding repeats cells of the image ({conv.padding_mode}), so {lesson.windows} windows "
        "lie over this cell or a copy of it, and the δ that meet the same tap are added"
        if repeats
        else "At an edge fewer windows lie over a cell, and 0 stands for those that are missing"
        if lesson.windows == taps
        else f"Only {lesson.windows} windows lie over this cell; 0 stands for the others"
    )
    slides = (
        ". The turned filter slides over δ with zeros all around, and what it leaves on padding is "
        "added to the cell that this repeats."
        if repeats
        else "; so δ gets zeros all around before the turned filter slides over it."
    )
    return [
        Paragraph(
            f"The cell in channel {c}, row {r}, column {col} of the input is under up to {taps} "
            "windows, each time under another tap. A window that begins further right has the cell "
            "under a tap further left, one that begins lower under a tap higher up. So as the "
            "windows go forward, the taps go backward: laid beside δ as it lies in the output, the "
            f"filter is turned by 180 degrees. With filter {lesson.filter}:"
        ),
        matrices(
            "⊙=",
            table("δ around", lesson.around, lesson.rows, lesson.columns),
            table("filter turned", lesson.turned, lesson.rows, lesson.columns),
            table("products", lesson.products, lesson.rows, lesson.columns),
        ),
        *note(taps_words(lesson.rows, lesson.columns)),
        aligned(
            ("∂C/∂a", f"over {which} {filters} filters, {sums}" if filters > 1 else f"{sums}"),
            ("", n(lesson.downstream)),
        ),
        Paragraph(
            "It is the way back through W once more: each z that the cell is in, times the weight "
            f"with which it is in it. {edge}{slides} That is a full convolution.{between}"
        ),
        *note("" if lesson.below is not None else
              "No layer below needs this: it is how C depends on the pixels."),
    ]  # fmt: skip


def pool_back(lesson: PoolBack) -> Page:
    c, r, col = lesson.place
    pool = lesson.of.placed.layer
    assert isinstance(pool, Pool)
    is_mean = pool.is_mean
    overlap = pool.windows(lesson.of.placed.input_shape).overlap
    why = (
        f"The mean answers to each of its {lesson.count} cells by 1/{lesson.count}, so "
        "each is given that share of the error:"
        if is_mean
        else "The maximum answers to its largest cell alone (to the first, of equal ones), so that "
        "one is given all of the error, and the others none:"
    )
    return [
        Paragraph(f"No σ and no weights here: only ∂a/∂input. {why}"),
        *([] if is_mean else [matrices("", table("window", lesson.window))]),
        matrices(
            "→",
            row(f"∂C/∂a_{c},{r},{col}", np.array([lesson.upstream])),
            table("∂C/∂input", lesson.share),
        ),
        Paragraph(
            "Its Jacobian is not diagonal: an output has several inputs. But "
            + (
                "where windows overlap a cell is in several outputs, and is given a share by each: "
                "they add up."
                if overlap
                else "each input has one output, so the sum of the chain rule has one term, and no "
                "product of matrices is needed: the error is handed to its cells."
            )
        ),
    ]


def reshaped(lesson: Reshaped) -> Page:
    placed = lesson.of.placed
    into, out = shape(placed.input_shape), shape(placed.output_shape)
    return [
        Paragraph(
            f"{lesson.of.name} computes nothing: forward it lays the {into} numbers of an image in "
            f"a row of {out}, channel after channel, row after row. So ∂C/∂input holds the same "
            f"numbers as ∂C/∂a, laid back as {into}. Its Jacobian is the identity, and neither ⊙ "
            "nor a product of matrices is left of it."
        )
    ]


def mask_back(lesson: MaskBack) -> Page:
    units = lesson.units
    return [
        Paragraph(
            "a_j = input_j mask_j depends on input_j alone, so the Jacobian is diagonal again, "
            "with the mask on the diagonal, and its product with the error is ⊙ with the same "
            "mask as forward:"
        ),
        matrices(
            "·=",
            row("∂C/∂a", some(lesson.upstream, units)),
            table("∂a/∂input", lesson.jacobian),
            row("∂C/∂input", some(lesson.downstream, units)),
        ),
        *note(cut_words(units, "unit", "one that is left out among them")),
        matrices(
            "⊙=",
            row("∂C/∂a", some(lesson.upstream, units)),
            row("mask", some(lesson.mask, units)),
            row("∂C/∂input", some(lesson.downstream, units)),
        ),
        Paragraph("What did not take part forward gets no error: it learns nothing in this step."),
    ]


def norm_back(lesson: NormBack) -> Page:
    entries = lesson.entries
    shown = entries.indices
    mean = np.full_like(lesson.direct, lesson.through_mean)
    arrays = lesson.upstream, lesson.direct, mean, lesson.through_variance, lesson.downstream
    rows = tuple(zip(map(str, shown), *(texts(q[list(shown)]) for q in arrays), strict=True))
    cut = "" if entries.is_all else (
        f"Shown are values {listed(map(str, entries.indices))} of {entries.total:,} of unit "
        f"{lesson.unit}."
    )  # fmt: skip
    return [
        Paragraph(
            f"One input of unit {lesson.unit} moves μ and s², and with them the outputs of all "
            "samples. Its Jacobian, a row for each output and a column for each input of the "
            "mini-batch, is nowhere 0:"
        ),
        matrices("", table("∂a/∂input", lesson.jacobian)),
        *note(cut),
        Paragraph(
            "So ⊙ does not work here either: each ∂C/∂input depends on the errors of all samples. "
            "Its three terms are the ways on which an input acts: directly, through μ, through s²:"
        ),
        Grid(("value", "∂C/∂a", "directly", "through μ", "through s²", "∂C/∂input"), rows, words=1),
    ]
