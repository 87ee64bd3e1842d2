"""What the quantities of a step are called, on pages and in messages."""

from nncli.nn.layers import LAYERS
from nncli.nn.links import VELOCITY

SYMBOLS = {  # of the quantities that every kind of layer may have
    "input": "input",
    "z": "z",
    "a": "a",
    "upstream": "∂C/∂a",
    "sigma_prime": "σ′(z)",
    "delta": "δ",
    "downstream": "∂C/∂input",
    "weight": "W",
    "weight_gradient": "∂C/∂W",
    "weight_update": "ΔW",
    "weight_new": "W new",
    "bias": "b",
    "bias_gradient": "∂C/∂b",
    "bias_update": "Δb",
    "bias_new": "b new",
}
STATES = {VELOCITY: "v", "first_moment": "Adam's m", "second_moment": "Adam's v"}


def symbol_of(quantity: str, layer: str) -> str:
    """The symbol of a quantity, such as weight_update, of a layer, such as batchnorm1.

    What an optimizer keeps is `weight_second_moment`, "Adam's v of W". Other words stay.
    """
    key, _, state = quantity.partition("_")
    kept = f"{STATES[state]} of {SYMBOLS[key]}" if state in STATES else quantity
    own = LAYERS[layer.rstrip("0123456789")].symbols
    symbol = SYMBOLS.get(quantity, kept)
    return symbol.replace(SYMBOLS[key], own[key]) if key in own else symbol
