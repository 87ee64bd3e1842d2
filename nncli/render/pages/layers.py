"""Tables of layers: what a network is made of, and what a step did to each layer.

The first is the page of `nncli summary` too, with arithmetic, memory and times; and its JSON.
"""

from collections.abc import Sequence
from math import prod

from rich.console import Group, RenderableType
from rich.text import Text

from nncli.app.summary_records import LayerSummary, Summary
from nncli.core.jsons import to_json
from nncli.core.text import count_of
from nncli.nn.activations import ACTIVATIONS
from nncli.nn.links import Link
from nncli.nn.measures import LayerMeasures
from nncli.nn.network import Network
from nncli.render.notation import MEASURES
from nncli.render.text import duration, number, percent, plain, shape
from nncli.render.widgets.tables import Column, Columns
from nncli.training.history import Divergence, Epoch


def network_table(network: Network) -> Columns:
    """Layers, shapes of one sample, parameters."""
    columns = [
        Column("layer", words=True),
        Column("activation", words=True, rank=1),
        Column("input", rank=3),
        Column("output"),
        Column("weights", rank=2),
        Column("parameters"),
    ]
    rows: list[list[str | Text]] = []
    for placed in network.layers:
        shapes = placed.parameter_shapes
        size = sum(map(prod, shapes.values()))
        rows.append(
            [
                placed.name,
                placed.activation or "",
                shape(placed.input_shape),
                shape(placed.output_shape),
                shape(shapes["weight"]) if shapes else "",
                f"{size:,}" if size else "",
            ]
        )
    total: list[str | Text] = ["total", "", "", "", "", f"{network.parameters.size:,}"]
    return Columns(columns, rows, total)


def measures_table(epoch: Epoch, links: Sequence[Link] = ()) -> RenderableType:
    """What an epoch's last step did: the error signal from the output back, a row a layer."""
    columns = [Column("layer", words=True)]
    columns += [Column(q.symbol, rank=q.rank) for q in MEASURES if q.symbol]
    rows: list[list[str | Text]] = []
    for layer in reversed(epoch.layers):
        cells = {q.key: number(getattr(layer, q.key), q.digits) for q in MEASURES}
        rows.append(
            [
                layer.name,
                cells["upstream_norm"],
                cells["sigma_prime_mean"],
                saturation(layer),
                cells["delta_norm"],
                percent(layer.passed),
                cells["weight_gradient_norm"],
                cells["weight_update_norm"],
                cells["relative_update"],
            ]
        )
    legend = f"{LEGEND} {update_rule(links)}"
    if any(layer.upstream_norm is None for layer in epoch.layers):
        legend += " " + FUSED
    samples = f"The last step of the epoch, on a mini-batch of {epoch.last_batch}:"
    return Group(Columns(columns, rows), "", plain(f"{samples} {legend}", "dim"))


def divergence_table(divergence: Divergence) -> list[RenderableType]:
    """The last steps before a training diverged, with the norms of each layer in each."""
    norms = [q for q in MEASURES if q.key in DIVERGENCE_NORMS]
    columns = [Column("step"), Column("C"), Column("layer", words=True)]
    columns += [Column(q.symbol or "‖W‖", rank=q.rank) for q in norms]
    rows: list[list[str | Text]] = []
    for step in divergence.last_steps:
        heads = [f"{step.step:,}", number(step.cost)]
        for layer in reversed(step.layers):
            if layer.weight_norm is not None:
                cells = [number(getattr(layer, q.key), q.digits) for q in norms]
                rows.append([*heads, layer.name, *cells])
                heads = ["", ""]
    legend = DIVERGENCE_LEGEND
    if divergence.part == "validation":
        legend += f" After the last one the validation data cost {number(divergence.cost)}."
    return [
        plain(f"the last {'steps' if len(divergence.last_steps) > 1 else 'step'}", "bold"),
        "",
        Columns(columns, rows),
        "",
        plain(legend, "dim"),
    ]


DIVERGENCE_NORMS = ("delta_norm", "weight_gradient_norm", "weight_update_norm", "weight_norm")
DIVERGENCE_LEGEND = (
    "Each step from the output back. C is the cost of its mini-batch, before the update; ‖W‖ is "
    "taken after it. A step ends where its cost is not finite."
)
LEGEND = (
    "‖∂C/∂a‖ arrives at a layer from above; the Hadamard product with σ′(z) lets "
    "‖δ‖ = ‖∂C/∂a ⊙ σ′(z)‖ of it pass. Both are per sample, and ∂C/∂W is the mean of a δᵀ over "
    "the samples. Norms are over the whole mini-batch, ‖W‖ is taken after the step."
)
FUSED = "Behind cross-entropy the outputs have δ = a − y: σ′ has cancelled."


def update_rule(links: Sequence[Link]) -> str:
    each = ((link.name, link.words()) for link in links)
    words = " and ".join(words if name in words else f"{name} ({words})" for name, words in each)
    return f"ΔW has {words} in it." if words else "ΔW = −η ∂C/∂W."


def saturation(layer: LayerMeasures) -> Text:
    """The saturated share, highlighted where it is most of a layer and starves that layer."""
    row = ACTIVATIONS.get(layer.activation or "")  # a run may hold what this version lacks
    starved = layer.passed is not None and row is not None and row.saturation.starves
    style = "bold red" if starved and (layer.saturated or 0) > 0.5 else ""
    return Text(percent(layer.saturated), style=style)


# The summary of a network


UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def summary_page(summary: Summary) -> RenderableType:
    parts: list[RenderableType] = [plain(summary.name, "bold"), "", summary_table(summary), ""]
    return Group(
        *parts,
        *(plain(line) for line in summary_facts(summary)),
        "",
        plain(summary_note(summary), "dim"),
    )


def summary_table(summary: Summary) -> Columns:
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
    rows = [summary_row(layer) for layer in summary.layers]
    total = ["total", "", "", "", "", f"{summary.parameters:,}", f"{summary.multiply_adds:,}"]
    total.append(memory(summary.memory))
    times = [layer.time for layer in summary.layers if layer.time is not None]
    if times:
        total += [microseconds(sum(time.forward for time in times))]
        total += [microseconds(sum(time.backward for time in times))]
    return Columns(columns, rows, total)


def summary_row(layer: LayerSummary) -> list[str]:
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


def summary_facts(summary: Summary) -> list[str]:
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
        kept = count_of(numbers, "number")
        facts.insert(1, f"state       {kept} kept from step to step: {names}")
    if summary.step_seconds is not None:
        speed = n * both / summary.step_seconds / 1e9
        rate = n / summary.step_seconds
        facts.append(
            f"time        {duration(summary.step_seconds)} a step: {rate:,.0f} samples/s, "
            f"{speed:.3g} billion multiply-adds/s"
        )
    return facts


def summary_note(summary: Summary) -> str:
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
            "layers": [summary_record(layer) for layer in summary.layers],
        },
        indent=2,
    )


def summary_record(layer: LayerSummary) -> dict[str, object]:
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
