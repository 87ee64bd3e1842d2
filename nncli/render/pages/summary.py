"""What a network is made of: as a page for the terminal, and as JSON."""

from math import prod

from rich.console import Group, RenderableType

from nncli.app.records import LayerSummary, Summary
from nncli.core.jsons import to_json
from nncli.render.text import duration, number, plain, shape
from nncli.render.widgets.tables import Column, Columns

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def summary_page(summary: Summary) -> RenderableType:
    parts: list[RenderableType] = [plain(summary.name, "bold"), "", table(summary), ""]
    return Group(*parts, *(plain(line) for line in facts(summary)), "", plain(note(summary), "dim"))


def table(summary: Summary) -> Columns:
    timed = summary.step_seconds is not None
    columns = [
        Column("layer", words=True),
        Column("activation", words=True, rank=4),
        Column("input", rank=6),
        Column("output"),
        Column("weights", rank=5),
        Column("parameters", rank=1 if timed else 0),
        Column("multiply-adds", rank=2 if timed else 0),
        Column("memory", rank=3),
    ]
    if timed:
        columns += [Column("forward µs"), Column("backward µs")]
    rows = [row(layer) for layer in summary.layers]
    total = ["total", "", "", "", "", f"{summary.parameters:,}", f"{summary.multiply_adds:,}"]
    total.append(memory(summary.memory))
    times = [layer.time for layer in summary.layers if layer.time is not None]
    if times:
        total += [microseconds(sum(time.forward for time in times))]
        total += [microseconds(sum(time.backward for time in times))]
    return Columns(columns, rows, total)


def row(layer: LayerSummary) -> list[str]:
    weight = layer.parameter_shapes.get("weight")
    cells = [
        layer.name,
        layer.activation or "",
        shape(layer.input_shape),
        shape(layer.output_shape),
        "" if weight is None else shape(weight),
        f"{layer.parameters:,}" if layer.parameters else "",
        f"{layer.multiply_adds:,}" if layer.multiply_adds else "",
        memory(layer.memory) if layer.memory else "",
    ]
    if layer.time is not None:
        cells += [microseconds(layer.time.forward), microseconds(layer.time.backward)]
    return cells


def facts(summary: Summary) -> list[str]:
    n = summary.batch_size
    both = summary.multiply_adds + summary.backward_multiply_adds
    weights = memory(summary.parameters * summary.itemsize)
    facts = [
        f"parameters  {summary.parameters:,} of {summary.dtype}: {weights}",
        f"a step      on a mini-batch of {n:,}: {n * both:,} multiply-adds, forward and backward",
        f"workspace   {memory(summary.memory)}",
    ]
    keeping = [layer for layer in summary.layers if layer.state_shapes]
    if keeping:
        numbers = sum(prod(axes) for layer in keeping for axes in layer.state_shapes.values())
        names = ", ".join(layer.name for layer in keeping)
        facts.insert(1, f"state       {numbers:,} numbers kept from step to step: {names}")
    if summary.step_seconds is not None:
        speed = n * both / summary.step_seconds / 1e9
        rate = n / summary.step_seconds
        facts.append(
            f"time        {duration(summary.step_seconds)} a step: {rate:,.0f} samples/s, "
            f"{speed:.3g} billion multiply-adds/s"
        )
    return facts


def note(summary: Summary) -> str:
    text = (
        "Shapes are those of one sample, and so are multiply-adds: the products of a weight and a "
        "number on the way forward, biases and activations not counted. "
        f"Memory is that of a step on a mini-batch of {summary.batch_size:,}, parameters, "
        "gradients and updates included."
    )
    if summary.step_seconds is not None:
        text += (
            " Times are medians of many passes for one mini-batch of random numbers, after a "
            "warm-up; the step besides has its cost and its update."
        )
    return text


def memory(size: int) -> str:
    """Bytes at a readable length."""
    amount, unit = float(size), 0
    while amount >= 1024 and unit < len(UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{size:,} {UNITS[0]}" if unit == 0 else f"{digits(amount)} {UNITS[unit]}"


def microseconds(seconds: float) -> str:
    return digits(1e6 * seconds)


def digits(value: float) -> str:
    """Three of them before and behind the point together, more only before it."""
    return f"{value:,.0f}" if value >= 1000 else number(value)


def summary_json(summary: Summary) -> str:
    """The schema nncli.summary/1."""
    return to_json(
        {
            "schema": "nncli.summary/1",
            "name": summary.name,
            "dtype": summary.dtype,
            "batch_size": summary.batch_size,
            "parameters": summary.parameters,
            "multiply_adds": summary.multiply_adds,
            "backward_multiply_adds": summary.backward_multiply_adds,
            "workspace_bytes": summary.memory,
            "step_seconds": summary.step_seconds,
            "layers": [layer_record(layer) for layer in summary.layers],
        },
        indent=2,
    )


def layer_record(layer: LayerSummary) -> dict[str, object]:
    return {
        "name": layer.name,
        "type": layer.type,
        "activation": layer.activation,
        "input_shape": list(layer.input_shape),
        "output_shape": list(layer.output_shape),
        "parameter_shapes": {key: list(axes) for key, axes in layer.parameter_shapes.items()},
        "state_shapes": {key: list(axes) for key, axes in layer.state_shapes.items()},
        "parameters": layer.parameters,
        "multiply_adds": layer.multiply_adds,
        "backward_multiply_adds": layer.backward_multiply_adds,
        "workspace_bytes": layer.memory,
        "forward_seconds": None if layer.time is None else layer.time.forward,
        "backward_seconds": None if layer.time is None else layer.time.backward,
    }
