"""The matrices of a step, written out."""

from collections.abc import Iterator

import numpy as np
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from nncli.nn.arrays import Array
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.notation import SYMBOL
from nncli.render.text import NONE, count, plain, shape

DIGITS = 6
EDGE = 3  # entries left at each end where a long axis is shortened


class Equation:
    """Matrices side by side with a sign between each two, as many as the width takes."""

    def __init__(self, blocks: list[list[str]], signs: str) -> None:
        self.blocks = blocks
        self.signs = signs

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        row: list[list[str]] = []
        for block, sign in zip(self.blocks, f" {self.signs}", strict=True):
            signed = ["  ", f"{sign} "][bool(row or sign != " ")]
            lines = [f"{signed if k == 1 else '  '}{line}" for k, line in enumerate(block)]
            if row and sum(map(width_of, row)) + width_of(lines) + len(row) > options.max_width:
                yield from joined(row)
                row = []
            row.append(lines)
        yield from joined(row)


def width_of(lines: list[str]) -> int:
    return max(map(len, lines))


def joined(blocks: list[list[str]]) -> Iterator[Text]:
    """Blocks of lines side by side; the first line, their headings, is bold."""
    for k in range(max(map(len, blocks))):
        lines = [block[k] if k < len(block) else "" for block in blocks]
        padded = (line.ljust(width_of(b)) for line, b in zip(lines, blocks, strict=True))
        text = Text(" ".join(padded).rstrip(), no_wrap=True, overflow="ignore")
        if k == 0:
            text.stylize("bold")
        yield text


def matrix_lines(array: Array, width: int) -> list[str]:
    """An array to DIGITS places, a line a row, shortened as NumPy does it where it is long."""
    lines = np.array2string(
        array, precision=DIGITS, threshold=200, edgeitems=EDGE, max_line_width=width
    ).splitlines()
    if array.ndim == 2:  # one pair of brackets a row is enough
        lines = [line[1:] for line in lines]
        lines[-1] = lines[-1][:-1]
    return lines


def block(layer: LayerTrace, key: str, width: int) -> list[str]:
    """A term's symbol and shape, and its matrix below."""
    array: Array | None = getattr(layer, key)
    if array is None:
        return [SYMBOL[key], NONE]
    return [f"{SYMBOL[key]}  {shape(array.shape)}", *matrix_lines(array, width)]


EQUATIONS = (
    (("upstream", "sigma_prime", "delta"), "⊙="),
    (("weight_gradient",), ""),
    (("weight", "weight_update", "weight_new"), "+="),
    (("bias_gradient",), ""),
    (("bias", "bias_update", "bias_new"), "+="),
)


def layer_matrices(layer: LayerTrace, width: int) -> RenderableType:
    parts: list[RenderableType] = [plain(f"{layer.name} ({layer.activation})", "bold cyan")]
    for keys, signs in EQUATIONS:
        if keys[0].startswith("bias") and layer.bias is None:
            continue
        parts += [Equation([block(layer, key, width - 2) for key in keys], signs), ""]
    return Group(*parts)


def step_matrices(trace: Trace, width: int) -> RenderableType:
    """Every matrix of a step that its update depends on, from the output to the input."""
    head = f"the matrices of this step: {count(len(trace.samples), 'sample')}, η = {trace.eta:g}"
    note = f"One row a sample in ∂C/∂a, σ′(z) and δ; numbers are rounded to {DIGITS} places."
    learned = [layer for layer in reversed(trace.layers) if layer.weight is not None]
    return Group(
        plain(head, "bold"),
        plain(note, "dim"),
        "",
        *(layer_matrices(layer, width) for layer in learned),
    )
