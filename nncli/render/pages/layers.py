"""Per-layer tables: what a network is made of, and what a step did to each layer."""

from collections.abc import Sequence
from math import prod

from rich.console import Group, RenderableType
from rich.text import Text

from nncli.nn.activations import ACTIVATIONS
from nncli.nn.measures import LayerMeasures
from nncli.nn.network import Network
from nncli.nn.optimizers import Link
from nncli.render.notation import MEASURES
from nncli.render.text import number, percent, plain, shape
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
