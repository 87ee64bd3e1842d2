"""The one list of quantities: what each is called in the record and on the screen."""

from typing import NamedTuple

import numpy as np

from nncli.nn.activations import SATURATED
from nncli.nn.arrays import Array
from nncli.nn.layers import LAYERS
from nncli.nn.links import GRADIENT, UPDATE, VELOCITY
from nncli.nn.symbols import SYMBOLS
from nncli.nn.trace import VELOCITIES, Trace


class Quantity(NamedTuple):
    """`key` is the record's field, `symbol` what a heading says, `tex` the same for LaTeX.

    In a table of numbers, `digits` are shown, and where the width does not suffice the columns of
    the highest `rank` go first; those of rank 0 stay.
    """

    key: str
    symbol: str
    tex: str = ""
    digits: int = 3
    rank: int = 0


MEASURES = (
    Quantity("upstream_norm", "‖∂C/∂a‖", rank=3),
    Quantity("sigma_prime_mean", "mean σ′", rank=4),
    Quantity("saturated", f"σ′<{SATURATED:g}".replace("0.", "."), rank=2),
    Quantity("delta_norm", "‖δ‖"),
    Quantity("passed", "passed", rank=1),
    Quantity("weight_gradient_norm", "‖∂C/∂W‖"),
    Quantity("weight_update_norm", "‖ΔW‖", rank=5),
    Quantity("weight_norm", ""),
    Quantity("relative_update", "‖ΔW‖/‖W‖", digits=2),
)

TEX = {
    "input": r"a^{\text{in}}",
    "z": "z",
    "a": "a",
    "upstream": r"\frac{\partial C}{\partial a}",
    "sigma_prime": r"\sigma'(z)",
    "delta": r"\delta",
    "downstream": r"\frac{\partial C}{\partial a^{\text{in}}}",
    "weight": "W",
    "weight_gradient": r"\frac{\partial C}{\partial W}",
    "weight_update": r"\Delta W",
    "weight_new": r"W_{\text{new}}",
    "bias": "b",
    "bias_gradient": r"\frac{\partial C}{\partial b}",
    "bias_update": r"\Delta b",
    "bias_new": r"b_{\text{new}}",
}

TERMS = (
    *(Quantity(key, symbol, TEX[key]) for key, symbol in SYMBOLS.items()),
    *(Quantity(key, "v", "v") for key in VELOCITIES),
    *(Quantity(q.key, q.symbol, q.tex) for kind in LAYERS.values() for q in kind.quantities),
)

LINK_SYMBOLS = {  # what the vectors and counters of an optimizer are called
    GRADIENT: "∂C/∂W",
    "free_gradient": "0",
    "clipped_gradient": "c ∂C/∂W",
    "decayed_gradient": "g",
    "limited_gradient": "clip(∂C/∂W)",
    "l1_gradient": "g₁",
    VELOCITY: "v new",
    "lookahead": "g + μ v new",
    "first_moment": "m new",
    "second_moment": "v new",
    "first_moment_corrected": "m̂",
    "second_moment_corrected": "v̂",
    "adam_steps": "t",
    "adam_denominator": "√v̂ + ε",
    "adam_direction": "m̂ / (√v̂ + ε)",
    "decayed_direction": "d + λ W",
    UPDATE: "ΔW",
}

SYMBOL = {quantity.key: quantity.symbol for quantity in (*MEASURES, *TERMS)}


def error_words(trace: Trace, words: str) -> str:
    """Words about the outputs' error a − y, which is w (a − y) where classes have weights."""
    if trace.sample_weights is None:
        return words
    return words.replace("(a − y)", "a − y").replace("a − y", "w (a − y)")


def weight_factors(trace: Trace) -> tuple[tuple[str, Array], tuple[str, Array]] | None:
    """w and a − y, both samples x outputs; None where classes have no weights.

    The weight of a sample stands at each of its outputs, as a factor of a Hadamard product.
    """
    if trace.sample_weights is None or trace.difference is None:
        return None
    weights = np.broadcast_to(trace.sample_weights[:, None], trace.difference.shape)
    return ("w", weights), ("a − y", trace.difference)
