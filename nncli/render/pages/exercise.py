"""An exercise: the sheet with its blanks, the solution with every product, and the forms."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import wrap

import numpy as np

from nncli.inspection.exercises.draws import DECIMALS
from nncli.inspection.exercises.sheet import Asked, Given, Sheet
from nncli.inspection.exercises.working import incoming
from nncli.nn.layers import Conv
from nncli.nn.links import Adam, Link, Momentum, WeightDecay
from nncli.nn.symbols import symbol_of
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import Block, Document, Grid, Heading, Lines, Page, Paragraph, equations
from nncli.render.pages.exercise_key import key_record, value_words, working_words
from nncli.render.pages.explain.words import n
from nncli.render.pages.products import backward_lines, forward_lines
from nncli.render.pages.update import symbol_of as link_symbol
from nncli.render.text import Extent
from nncli.render.web.exercise import Field, Part, exercise_page
from nncli.render.web.page import WebPage

DOTS = "........"  # to write on
NAME = Paragraph("Name: ................................")
WIDTH = 76  # characters of a line of working
EXTENT = Extent(full=True, decimals=DECIMALS)
FORWARD = ("z", "a")
BACK = ("upstream", "sigma_prime", "delta", "downstream", "weight_gradient", "bias_gradient")
PARAMETERS = {"weight": "W", "bias": "b"}
ROUNDING = (  # what `Judge.tolerance` allows
    "Carry on with rounded or with unrounded numbers, as you like: off by half a unit of the "
    f"{DECIMALS}th decimal, or by as much as rounding on the way explains, is right."
)
ACTIVATION_LINES = {  # what a reader may have to be told of them
    "relu": "a = relu(z) = max(z, 0)",
    "softmax": "a = softmax(z): e^z of the unit, over the sum of all e^z",
}
SLOPE_LINES = {
    "sigmoid": "σ′(z) of sigmoid = a (1 − a)",
    "relu": "σ′(z) of relu: 1 where z > 0, else 0",
}
OPTIMIZER_LINES = {  # W is the parameter, d what comes from the link before
    "decayed_gradient": "g = ∂C/∂W + λ W",
    "velocity": "v new = μ v + {g}",
    "lookahead": "d = {g} + μ v new",
    "first_moment": "m new = β₁ m + (1 − β₁) {g}",
    "second_moment": "v new = β₂ v + (1 − β₂) ({g})²",
    "first_moment_corrected": "m̂ = m new / (1 − β₁ᵗ)",
    "second_moment_corrected": "v̂ = v new / (1 − β₂ᵗ)",
    "adam_denominator": "√v̂ + ε",
    "adam_direction": "d = m̂ / (√v̂ + ε)",
    "update": "ΔW = −η {d}",
    "new": "W new = W + ΔW",
}


def sheet_page(sheet: Sheet) -> Page:
    """What the student gets."""
    page: Page = [*_head(sheet), *_given(sheet)]
    for title, group in _groups(sheet):
        page.append(Heading(title))
        for asked in group:
            page.append(Paragraph(line_of(sheet, asked)))
            page += _blank_grids(sheet, asked)
    return page


def solution_page(sheet: Sheet) -> Page:
    """The same with its numbers, and the products behind each."""
    page: Page = [*_head(sheet, solved=True), *_given(sheet)]
    for title, group in _groups(sheet):
        page.append(Heading(title))
        for asked in group:
            page.append(Paragraph(line_of(sheet, asked)))
            page += equations([(symbol(asked.name), asked.shown)], "", EXTENT, _axes(asked))
            page.append(Lines(tuple(_working_lines(sheet, asked))))
    return page


def sheet_document(sheet: Sheet, *, solved: bool = False) -> Document:
    """The sheet, or its solution; the record is that of the key."""
    return Document(
        title_of(sheet),
        lambda: solution_page(sheet) if solved else sheet_page(sheet),
        lambda: key_record(sheet),
        lambda: {asked.name: asked.array for asked in sheet.asked},
        None if solved else lambda: web_page(sheet),
    )


def title_of(sheet: Sheet) -> str:
    return f"{sheet.name}: {sheet.kind.title}"


# The parts of a sheet


def _head(sheet: Sheet, *, solved: bool = False) -> Iterator[Block]:
    yield Heading(title_of(sheet), 0)
    if solved:
        checked = sheet.inspection.check
        assert checked is not None
        count = sum(tensor.checked for tensor in checked.tensors)
        yield Paragraph(
            f"The solution, with the products behind every number. All {count} entries of its "
            f"gradients agree with {checked.method} derivatives, which use no backpropagation: "
            "∂C/∂w is the imaginary part of C(w + ih), divided by a tiny h.",
            note=True,
        )
        yield Paragraph(ROUNDING, note=True)
    else:
        yield NAME
        yield Paragraph(
            f"Fill in blanks 1 to {len(sheet.blanks)}, each rounded to {DECIMALS} decimals; whole "
            f"and other short numbers as they are. {ROUNDING}",
            note=True,
        )
    yield Paragraph(
        "Indices count from 0: row i of W belongs to input i, column j to unit j. Where z or ∂C/∂W "
        "is made of a, a is what comes into the layer, the a of the layer before (x for "
        f"{sheet.trace.layers[0].name}); everywhere else it is what comes out of it.",
        note=True,
    )


def _given(sheet: Sheet) -> Iterator[Block]:
    yield Heading("What is given")
    yield Paragraph(" ".join(_network_words(sheet)))
    if words := _training_words(sheet):
        yield Paragraph(words)
    for given in sheet.given:
        yield from equations([(symbol(given.name), given.shown)], "", EXTENT, _axes(given))
    if sheet.table is not None:
        names = [name for name, _ in sheet.table.rows]
        heads = ("z", *(n(z) for z in sheet.table.z))
        rows = [
            (name, *(f"{value:.{DECIMALS}f}" for value in values))
            for name, values in sheet.table.rows
        ]
        yield Paragraph(f"{' and '.join(names)} at round z:")
        yield Grid(heads, tuple(rows), words=1)
        if len(names) > 1:
            yield Paragraph("Left of 0: σ(−z) = 1 − σ(z) and σ′(−z) = σ′(z).", note=True)


def _network_words(sheet: Sheet) -> Iterator[str]:
    """The layers of which something is printed or asked, and what is between them."""
    named = {name.partition(".")[0] for name in (*sheet.kind.given, *sheet.kind.asked)}
    last = max(k for k, layer in enumerate(sheet.trace.layers) if layer.name in named)
    for layer in sheet.trace.layers[: last + 1]:
        kind = layer.placed.layer
        if layer.type == "flatten":
            yield "What comes out is read row by row, as a vector."
            continue
        sizes = (
            f"{'×'.join(map(str, layer.placed.input_shape))} → "
            f"{'×'.join(map(str, layer.placed.output_shape))}"
        )
        words = [f"{layer.name}: {sizes}"]
        if isinstance(kind, Conv):
            words.append(f"filter {'×'.join(map(str, kind.kernel))}")
            words.append(f"stride {kind.stride[0]}")
            words.append("no padding" if kind.padding == "valid" else "padded with a border of 0")
        if layer.activation:
            words.append(layer.activation)
        yield f"{', '.join(words)}."


def _training_words(sheet: Sheet) -> str:
    trace = sheet.trace
    asked = {asked.quantity.rpartition("_")[2] for asked in sheet.asked}
    parts = []
    if asked - {"z", "a"}:
        cost = (
            "C_x = ½ Σ_j (a_j − y_j)²"
            if trace.cost.name == "quadratic"
            else "C_x = −Σ_j y_j ln a_j"
        )
        parts.append(f"The cost of a sample is {trace.cost.name.replace('_', '-')}: {cost}.")
    if len(trace.inputs) > 1:
        parts.append(
            f"The mini-batch is {len(trace.inputs)} samples, a row each; C and its gradients are "
            "means over them."
        )
    if asked & {"update", "new"}:
        parts.append(f"η = {n(trace.eta)}.")
        parts += [_settings(link, trace) for link in trace.links[:-1]]
    return " ".join(parts)


def _settings(link: Link, trace: Trace) -> str:
    match link:
        case WeightDecay():
            return f"Weight decay λ = {n(link.weight_decay)}."
        case Momentum():
            return f"Momentum μ = {n(link.momentum)}."
        case Adam():
            steps = int(trace.scalars["adam_steps"])
            return (
                f"Adam with β₁ = {n(link.beta1)}, β₂ = {n(link.beta2)}; this is step t = {steps}; "
                "ε is too small to be seen."
            )
    return f"{link.words()}."


def _groups(sheet: Sheet) -> list[tuple[str, list[Asked]]]:
    """The quantities under their headings: a layer and a part of the step each."""
    return [
        (title, list(group))
        for title, group in groupby(sheet.asked, lambda asked: _title(sheet, asked))
    ]


def _title(sheet: Sheet, asked: Asked) -> str:
    if not asked.layer:
        return "The cost"
    if asked.quantity in FORWARD:
        part = "forward"
    else:
        part = "back" if asked.quantity in BACK else "the step"
    return f"{asked.layer}, {part}"


def line_of(sheet: Sheet, asked: Asked) -> str:
    """The line of mathematics that makes a quantity."""
    trace, quantity = sheet.trace, asked.quantity
    if not asked.layer:
        return "C = ½ Σ_j (a_j − y_j)²" + (
            ", mean over the samples" if len(trace.inputs) > 1 else ""
        )
    key, _, part = quantity.partition("_")
    if key in PARAMETERS and part in OPTIMIZER_LINES:
        line = _optimizer_line(trace, part)
        if part == "new" and f"{asked.layer}.{key}_update" not in sheet.kind.asked:
            line += f", {_optimizer_line(trace, 'update')}"
        return line.replace("W", PARAMETERS[key])
    rows = [*forward_lines(trace.layers), *backward_lines(trace, trace.layers)]
    for layer, row in rows:
        if (layer.name, row.result) == (asked.layer, quantity):
            line = row.line
            if quantity == "a":
                line = ACTIVATION_LINES.get(str(layer.activation), line)
            if quantity == "delta" and layer is trace.layers[-1] and layer.activation == "identity":
                line = "δ = ∂C/∂a = a − y, since σ′ = 1"
            if quantity == "downstream":
                line += _where_it_arrives(trace, layer)
            if quantity.endswith("gradient") and len(trace.inputs) > 1:
                line = f"{line}, mean over the samples"
            return line
    layer = next(layer for layer in trace.layers if layer.name == asked.layer)
    assert quantity == "sigma_prime"
    return SLOPE_LINES[str(layer.activation)]


def _where_it_arrives(trace: Trace, layer: LayerTrace) -> str:
    """Which ∂C/∂a the ∂C/∂input of a layer is."""
    k = [other.name for other in trace.layers].index(layer.name)
    below = [other for other in trace.layers[:k] if other.type != "flatten"]
    return f", which is the ∂C/∂a of {below[-1].name}" if below else ""


def _optimizer_line(trace: Trace, part: str) -> str:
    coming = incoming(trace.links, part)
    before = link_symbol(coming, "W")
    if coming in ("lookahead", "adam_direction"):
        before = "d"
    return OPTIMIZER_LINES[part].format(g=before, d=before)


def symbol(name: str) -> str:
    """What a quantity is called: `δ of dense1`."""
    layer, _, quantity = name.rpartition(".")
    if not layer:
        return {"inputs": "x", "targets": "y", "cost": "C"}[quantity]
    return f"{_short_symbol(name)} of {layer}"


def _short_symbol(name: str) -> str:
    layer, _, quantity = name.rpartition(".")
    key, _, part = quantity.partition("_")
    own = PARAMETERS.get(key, "")
    is_before = part.endswith("_before")
    vector = part.removesuffix("_before")
    if own and vector in OPTIMIZER_LINES and part not in ("update", "new"):
        made = OPTIMIZER_LINES[vector].split(" = ")[0].replace("W", own)
        made = made.removesuffix(" new") if is_before else made
        return made if own == "W" else f"{made} for b"
    return symbol_of(quantity, layer) if layer else symbol(name)


def _axes(one: Asked | Given) -> Sequence[tuple[str, Sequence[int] | None]]:
    if not one.by_sample:
        return (("filter", None), ("channel", None))
    return (("channel", None),) if len(one.array) == 1 else (("sample", None), ("channel", None))


def _blank_grids(sheet: Sheet, asked: Asked) -> Iterator[Block]:
    for label, grid in _grids(asked):
        if label:
            yield Paragraph(f"{label}:")
        name = _short_symbol(asked.name)
        rows = tuple((head or name, *(f"({k}) {DOTS}" for k in row)) for head, row in grid)
        columns = range(len(rows[0]) - 1)
        heads = tuple(map(str, columns)) if len(columns) > 1 else ("",)
        yield Grid((name if grid[0][0] else "", *heads), rows, words=1)


def _grids(asked: Asked) -> Iterator[tuple[str, list[tuple[str, list[int]]]]]:
    """The numbers of its blanks as tables: a label, and rows with what heads them."""
    numbers = asked.first + np.arange(asked.array.size).reshape(asked.shown.shape)
    matrices = numbers.reshape(-1, *np.atleast_2d(numbers).shape[-2:])
    leading = list(np.ndindex(numbers.shape[:-2])) if numbers.ndim > 2 else [()]
    is_vector = numbers.ndim < 2
    for place, matrix in zip(leading, matrices, strict=True):
        names = [name for name, _ in _axes(asked)][-len(place) :] if place else []
        label = ", ".join(f"{name} {k}" for name, k in zip(names, place, strict=True))
        samples = asked.by_sample and len(asked.array) > 1 and numbers.ndim == 2
        heads = [
            "" if is_vector else f"sample {r}" if samples else str(r) for r in range(len(matrix))
        ]
        yield label, [(head, row.tolist()) for head, row in zip(heads, matrix, strict=True)]


# The solution


def _working_lines(sheet: Sheet, asked: Asked) -> Iterator[str]:
    for blank in sheet.blanks:
        if blank.asked is asked:
            text = working_words(sheet.working(blank))
            value = value_words(blank)
            whole = f"({blank.number}) {text}"
            if text != value:
                whole += f" = {value}"
            first, *rest = wrap(whole, WIDTH, break_long_words=False)
            yield first
            yield from (f"    {line}" for line in rest)


# The page for a browser


def web_page(sheet: Sheet) -> WebPage:
    """The sheet with fields that check themselves."""
    parts: list[Part] = []
    for title, group in _groups(sheet):
        parts.append(Part(Heading(title)))
        for asked in group:
            parts.append(Part(Paragraph(line_of(sheet, asked))))
            for label, rows in _grids(asked):
                fields = [
                    (head, [Field(k, sheet.blanks[k - 1].name) for k in row]) for head, row in rows
                ]
                caption = f"{_short_symbol(asked.name)}{f', {label}' if label else ''}"
                parts.append(Part(None, caption, fields))
    intro = [block for block in (*_head(sheet), *_given(sheet)) if block is not NAME]
    return exercise_page(
        title_of(sheet),
        intro,
        parts,
        sheet.name,
        np.array([blank.value for blank in sheet.blanks]),
        np.array([blank.tolerance for blank in sheet.blanks]),
        DECIMALS,
    )
