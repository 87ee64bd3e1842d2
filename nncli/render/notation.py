"""The one list of quantities: what each is called in the record, on the screen and in words."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """`key` is the record's field, `symbol` what a heading says, `meaning` its words."""

    key: str
    symbol: str
    meaning: str


MEASURES = (
    Quantity("upstream_norm", "‖∂C/∂a‖", "the error signal that arrives"),
    Quantity("sigma_prime_mean", "mean σ′", "the Hadamard factor, on average"),
    Quantity("saturated", "σ′<.01", "share of it that is saturated"),
    Quantity("delta_norm", "‖δ‖", "‖∂C/∂a ⊙ σ′(z)‖, what that leaves"),
    Quantity("weight_gradient_norm", "‖∂C/∂W‖", "the gradient"),
    Quantity("weight_update_norm", "‖ΔW‖", "the step taken"),
    Quantity("weight_norm", "‖W‖", "the weights after it"),
)

TERMS = (
    Quantity("input", "input", "what the layer takes"),
    Quantity("z", "z", "the weighted input"),
    Quantity("a", "a", "the activation σ(z)"),
    Quantity("upstream", "∂C/∂a", "the error signal that arrives"),
    Quantity("sigma_prime", "σ′(z)", "how much of it the activation lets through"),
    Quantity("delta", "δ = ∂C/∂a ⊙ σ′(z)", "∂C/∂z, their Hadamard product"),
    Quantity("downstream", "∂C/∂input", "what flows on to the layer below"),
    Quantity("weight", "W before", "the weights"),
    Quantity("weight_gradient", "∂C/∂W", "their gradient"),
    Quantity("weight_update", "ΔW", "the step taken"),
    Quantity("weight_new", "W after", "W before + ΔW"),
    Quantity("bias", "b before", "the biases"),
    Quantity("bias_gradient", "∂C/∂b", "their gradient"),
    Quantity("bias_update", "Δb", "the step taken"),
    Quantity("bias_new", "b after", "b before + Δb"),
)

SYMBOL = {quantity.key: quantity.symbol for quantity in (*MEASURES, *TERMS)}
