"""Per-layer tables: what a network is made of, and what a step did to each layer."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nncli.nn.measures import LayerMeasures
from nncli.nn.network import Network
from nncli.render.notation import SYMBOL
from nncli.render.tables import table
from nncli.render.text import number, percent, plain, shape


def network_table(network: Network) -> Table:
    """Layers, shapes of one sample, parameters."""
    made = table(("layer", "activation", "input", "output", "weights", "parameters"), left=2)
    for placed in network.layers:
        shapes = placed.parameter_shapes
        size = sum(len_of(axes) for axes in shapes.values())
        made.add_row(
            plain(placed.name),
            placed.activation or "",
            shape(placed.input_shape),
            shape(placed.output_shape),
            shape(shapes["weight"]) if shapes else "",
            f"{size:,}" if size else "",
        )
    made.add_section()
    made.add_row("total", "", "", "", "", f"{network.parameters.size:,}")
    return made


def len_of(axes: tuple[int, ...]) -> int:
    size = 1
    for axis in axes:
        size *= axis
    return size


MEASURE_KEYS = (
    "upstream_norm",
    "sigma_prime_mean",
    "saturated",
    "delta_norm",
    "weight_gradient_norm",
    "weight_update_norm",
)


def measures_table(
    layers: tuple[LayerMeasures, ...], momentum: float, weight_decay: float
) -> RenderableType:
    """What a step did: the error signal's way from the output to the input, a row a layer."""
    made = table(
        (
            "layer",
            *(SYMBOL[key] for key in MEASURE_KEYS[:4]),
            "passed",
            *(SYMBOL[key] for key in MEASURE_KEYS[4:]),
            "‖ΔW‖/‖W‖",
        ),
    )
    for layer in reversed(layers):
        made.add_row(
            plain(layer.name),
            number(layer.upstream_norm),
            number(layer.sigma_prime_mean),
            saturation(layer.saturated),
            number(layer.delta_norm),
            percent(ratio(layer.delta_norm, layer.upstream_norm)),
            number(layer.weight_gradient_norm),
            number(layer.weight_update_norm),
            number(ratio(layer.weight_update_norm, layer.weight_norm), 2),
        )
    terms = " and weight decay" if weight_decay else ""
    step = f"ΔW has momentum{terms} in it" if momentum else "ΔW = −η ∂C/∂W"
    if weight_decay and not momentum:
        step = "ΔW has weight decay in it"
    return Group(made, "", plain(f"{LEGEND} {step}.", "dim"))


LEGEND = (
    "The epoch's last step, from the output back: ‖∂C/∂a‖ arrives at a layer, the Hadamard product "
    "with σ′(z) lets ‖δ‖ = ‖∂C/∂a ⊙ σ′(z)‖ of it pass; δ makes the gradient ∂C/∂W. "
    "Norms are over the whole mini-batch."
)


def saturation(share: float | None) -> Text:
    """The saturated share; half of a layer or more stands out."""
    style = "" if share is None or share < 0.5 else "bold red"
    return Text(percent(share), style=style)


def ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole
