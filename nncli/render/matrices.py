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
GAP = 3


class Beside:
    """Blocks of lines side by side, as many as the width takes, the rest below."""

    def __init__(self, blocks: list[list[str]]) -> None:
        self.blocks = blocks

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        row: list[list[str]] = []
        used = 0
        for block in self.blocks:
            width = max(map(len, block))
            if row and used + width > options.max_width:
                yield from _join(row)
                row, used = [], 0
            row.append(block)
            used += width + GAP
        yield from _join(row)


def _join(blocks: list[list[str]]) -> Iterator[Text]:
    widths = [max(map(len, block)) for block in blocks]
    for k in range(max(map(len, blocks))):
        lines = [block[k] if k < len(block) else "" for block in blocks]
        padded = (line.ljust(width) for line, width in zip(lines, widths, strict=True))
        text = Text((" " * GAP).join(padded).rstrip(), no_wrap=True, overflow="ignore")
        if k == 0:
            text.stylize("bold")
        yield text


def matrix_lines(array: Array, width: int) -> list[str]:
    """An array as NumPy writes it, to DIGITS significant places, shortened where it is long."""
    text = np.array2string(
        array,
        precision=DIGITS,
        threshold=200,
        edgeitems=EDGE,
        max_line_width=width,
        suppress_small=bool(np.abs(array).max(initial=0) < 1e6),
    )
    return text.splitlines()


def block(layer: LayerTrace, key: str, width: int) -> list[str]:
    """A term's symbol and shape, and its matrix below."""
    array: Array | None = getattr(layer, key)
    if array is None:
        return [SYMBOL[key], NONE]
    return [f"{SYMBOL[key]}  {shape(array.shape)}", *matrix_lines(array, width)]


HADAMARD = ("upstream", "sigma_prime", "delta")
WEIGHTS = ("weight_gradient", "weight_update", "weight", "weight_new")
BIASES = ("bias_gradient", "bias_update", "bias", "bias_new")


def layer_matrices(layer: LayerTrace, width: int) -> RenderableType:
    parts: list[RenderableType] = [plain(f"{layer.name} ({layer.activation})", "bold cyan")]
    for keys in (HADAMARD, WEIGHTS, BIASES):
        if keys is BIASES and layer.bias is None:
            continue
        parts += [Beside([block(layer, key, width) for key in keys]), ""]
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
