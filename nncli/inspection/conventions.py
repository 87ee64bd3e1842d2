"""One step as other texts and programs write it: a row a convention, and the record written so.

Nothing is computed anew. Arrays are the record's: turned where samples are columns or weights have
units first, and scaled by powers of two or by the number of samples where a convention puts ½ or
the mean elsewhere. The update is the same to the last digit in each.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from nncli.inspection.record import ulps
from nncli.nn.arrays import Array, constant
from nncli.nn.step import QUANTITIES
from nncli.nn.trace import LayerTrace, Trace

ERRORS = ("upstream", "delta", "downstream")
GRADIENTS = ("weight_gradient", "bias_gradient")
PARAMETERS = tuple(
    f"{key}{part}" for key in ("weight", "bias") for part in ("", "_gradient", "_update", "_new")
)


class Convention(NamedTuple):
    """How a step is written.

    Attributes:
        title: whose way it is.
        samples_are_columns: a dense layer's arrays are units x samples, its biases a column.
        units_first: a dense layer's weights are units x inputs.
        is_halved: whether the quadratic cost has its ½; without, errors and gradients are doubled,
            and for the same step the learning rate is half of η.
        error_is_mean: whether an error signal is that of the mean over samples, so that it is
            divided by their number n, and gradients are plain sums of its products.
        gradient_is_sum: whether gradients are summed over the samples, and n divides η.
        eta: what the learning rate is called.
        letters: of weights and biases.
        symbols: of quantities, by their names in the record, "y" being the target and "turned" what
            stands in z's formula for the weights. Those of "input" and "downstream" are for the
            first layer; "_below" is added where a layer with weights lies below, "_other" where a
            pool or the like does.
        formulas: by what they give; "error" is that at the output, "fused" δ behind cross-entropy,
            "step" what plain gradient descent adds to the weights.

    In symbols and formulas {k} counts layers with parameters from 1, {l} from 2 and {k0}, {l0} are
    one less; {W} and {b} are the letters, {name} the layer's name. {mean}, {over} and {sum} are
    empty for a single sample.
    """

    title: str
    samples_are_columns: bool
    units_first: bool
    is_halved: bool
    error_is_mean: bool
    gradient_is_sum: bool
    eta: str
    letters: tuple[str, str]
    symbols: Mapping[str, str]
    formulas: Mapping[str, str]


_OURS = {
    "input": "a", "input_below": "a", "input_other": "a", "z": "z", "a": "a", "y": "y",
    "upstream": "∂C/∂a", "sigma_prime": "σ′(z)", "delta": "δ",
    "downstream": "∂C/∂input", "downstream_below": "∂C/∂input", "downstream_other": "∂C/∂input",
    "weight": "{W}", "turned": "{W}", "weight_gradient": "∂C/∂{W}", "weight_new": "{W} new",
    "bias": "{b}", "bias_gradient": "∂C/∂{b}", "bias_new": "{b} new",
}  # fmt: skip
_OUR_FORMULAS = {
    "z": "z = a {W} + {b}",
    "error": "∂C/∂a = a − y",
    "fused": "δ = a − y",
    "delta": "δ = ∂C/∂a ⊙ σ′(z)",
    "weight_gradient": "∂C/∂{W} = {mean}aᵀ δ",
    "bias_gradient": "∂C/∂{b} = {mean}{sum}δ",
    "downstream": "∂C/∂input = δ {W}ᵀ",
    "step": "−η ∂C/∂{W}",
}

CONVENTIONS: dict[str, Convention] = {
    "rows": Convention(
        title="nncli's own: samples are rows",
        samples_are_columns=False,
        units_first=False,
        is_halved=True,
        error_is_mean=False,
        gradient_is_sum=False,
        eta="η",
        letters=("W", "b"),
        symbols=_OURS,
        formulas=_OUR_FORMULAS,
    ),
    "columns": Convention(
        title="samples are columns, as in many textbooks",
        samples_are_columns=True,
        units_first=True,
        is_halved=True,
        error_is_mean=False,
        gradient_is_sum=False,
        eta="η",
        letters=("W", "b"),
        symbols=_OURS,
        formulas={
            **_OUR_FORMULAS,
            "z": "z = {W} a + {b}",
            "weight_gradient": "∂C/∂{W} = {mean}δ aᵀ",
            "downstream": "∂C/∂input = {W}ᵀ δ",
        },
    ),
    "nielsen": Convention(
        title="Nielsen, Neural Networks and Deep Learning",
        samples_are_columns=True,
        units_first=True,
        is_halved=True,
        error_is_mean=False,
        gradient_is_sum=True,
        eta="η",
        letters=("w", "b"),
        symbols={
            "input": "a^{l0}", "input_below": "a^{l0}", "input_other": "input",
            "z": "z^{l}", "a": "a^{l}", "y": "y",
            "upstream": "∂C/∂a^{l}", "sigma_prime": "σ′(z^{l})", "delta": "δ^{l}",
            "downstream": "∂C/∂a^{l0}", "downstream_below": "∂C/∂a^{l0}",
            "downstream_other": "∂C/∂input",
            "weight": "{W}^{l}", "turned": "{W}^{l}", "weight_gradient": "nabla_{W}^{l}",
            "weight_new": "{W}^{l} new",
            "bias": "{b}^{l}", "bias_gradient": "nabla_{b}^{l}", "bias_new": "{b}^{l} new",
        },
        formulas={
            "z": "z^{l} = {W}^{l} {input} + {b}^{l}",
            "error": "∂C/∂a^{l} = a^{l} − y",
            "fused": "δ^{l} = a^{l} − y",
            "delta": "δ^{l} = ∂C/∂a^{l} ⊙ σ′(z^{l})",
            "weight_gradient": "nabla_{W}^{l} = {sum}δ^{l} ({input})ᵀ",
            "bias_gradient": "nabla_{b}^{l} = {sum}δ^{l}",
            "downstream": "{downstream} = ({W}^{l})ᵀ δ^{l}",
            "step": "−(η/m) nabla_{W}^{l}",
        },
    ),
    "cs231n": Convention(
        title="Stanford's course CS231n",
        samples_are_columns=False,
        units_first=False,
        is_halved=False,
        error_is_mean=True,
        gradient_is_sum=False,
        eta="step_size",
        letters=("W", "b"),
        symbols={
            "input": "X", "input_below": "h{k0}", "input_other": "input",
            "z": "z{k}", "a": "h{k}", "y": "y",
            "upstream": "dh{k}", "sigma_prime": "σ′(z{k})", "delta": "dz{k}",
            "downstream": "dX", "downstream_below": "dh{k0}", "downstream_other": "dinput",
            "weight": "{W}{k}", "turned": "{W}{k}", "weight_gradient": "d{W}{k}",
            "weight_new": "{W}{k} new",
            "bias": "{b}{k}", "bias_gradient": "d{b}{k}", "bias_new": "{b}{k} new",
        },
        formulas={
            "z": "z{k} = {input}.dot({W}{k}) + {b}{k}",
            "error": "dh{k} = 2 * (h{k} - y){over}",
            "fused": "dz{k} = (h{k} - y){over}",
            "delta": "dz{k} = dh{k} * σ′(z{k})",
            "weight_gradient": "d{W}{k} = {input}.T.dot(dz{k})",
            "bias_gradient": "d{b}{k} = np.sum(dz{k}, axis=0)",
            "downstream": "{downstream} = dz{k}.dot({W}{k}.T)",
            "step": "-step_size * d{W}{k}",
        },
    ),
    "torch": Convention(
        title="PyTorch, nn.Linear and autograd",
        samples_are_columns=False,
        units_first=True,
        is_halved=True,
        error_is_mean=True,
        gradient_is_sum=False,
        eta="lr",
        letters=("weight", "bias"),
        symbols={
            "input": "x", "input_below": "a{k0}", "input_other": "input",
            "z": "z{k}", "a": "a{k}", "y": "y",
            "upstream": "a{k}.grad", "sigma_prime": "σ′(z{k})", "delta": "z{k}.grad",
            "downstream": "x.grad", "downstream_below": "a{k0}.grad",
            "downstream_other": "input.grad",
            "weight": "{name}.weight", "turned": "{name}.weight.T",
            "weight_gradient": "{name}.weight.grad", "weight_new": "{name}.weight new",
            "bias": "{name}.bias", "bias_gradient": "{name}.bias.grad",
            "bias_new": "{name}.bias new",
        },
        formulas={
            "z": "z{k} = {input} @ {name}.weight.T + {name}.bias",
            "error": "a{k}.grad = (a{k} - y){over}",
            "fused": "z{k}.grad = (a{k} - y){over}",
            "delta": "z{k}.grad = a{k}.grad * σ′(z{k})",
            "weight_gradient": "{name}.weight.grad = z{k}.grad.T @ {input}",
            "bias_gradient": "{name}.bias.grad = z{k}.grad.sum(0)",
            "downstream": "{downstream} = z{k}.grad @ {name}.weight",
            "step": "-lr * {name}.weight.grad",
        },
    ),
}  # fmt: skip


class WrittenLayer(NamedTuple):
    """A layer's record as a convention writes it.

    Attributes:
        arrays: by the names of the record.
        symbols, formulas: of this layer.
    """

    layer: LayerTrace
    arrays: Mapping[str, Array]
    symbols: Mapping[str, str]
    formulas: Mapping[str, str]


class WrittenStep(NamedTuple):
    """A step as a convention writes it.

    Attributes:
        eta: the learning rate that takes the same step.
        cost_factor: what C has to be multiplied by.
        targets: turned as outputs are.
        off: by how many units in the last place a scaled array, scaled back, misses the record.
    """

    convention: Convention
    trace: Trace
    layers: tuple[WrittenLayer, ...]
    eta: float
    cost_factor: int
    targets: Array
    off: float


def written(trace: Trace, convention: Convention) -> WrittenStep:
    """A step in a convention."""
    doubled = trace.cost.name == "quadratic" and not convention.is_halved
    factor = 2 if doubled else 1
    layers, off, k = [], 0.0, 0
    for position, layer in enumerate(trace.layers):
        k += layer.weight is not None
        below = trace.layers[position - 1] if position else None
        arrays, missed = _arrays(convention, layer, factor, len(trace.samples))
        off = max(off, missed)
        layers.append(WrittenLayer(layer, arrays, *_names(convention, layer, below, k, trace)))
    targets = _turned(convention, "a", trace.targets)
    return WrittenStep(convention, trace, tuple(layers), trace.eta / factor, factor, targets, off)


def _arrays(
    convention: Convention, layer: LayerTrace, factor: int, n: int
) -> tuple[dict[str, Array], float]:
    arrays: dict[str, Array] = {}
    off = 0.0
    for key in (*QUANTITIES, *PARAMETERS):
        array = layer.quantity(key)
        if array is None:
            continue
        made = array
        if factor != 1 and key in (*ERRORS, *GRADIENTS):
            with np.errstate(over="ignore"):
                made = factor * made
        divided = convention.error_is_mean and key in ERRORS
        multiplied = convention.gradient_is_sum and key in GRADIENTS
        if n > 1 and (divided or multiplied):
            # As a step does it: δ times 1/n, rounded, once.
            by = constant(1 / n, made.dtype) if divided else n
            wide = made if divided else made.astype(np.float64)
            with np.errstate(all="ignore"):
                scaled = by * wide
                back = (n * scaled if divided else scaled / n).astype(made.dtype)
            off = max(off, ulps(made, back))
            made = scaled
        arrays[key] = _turned(convention, key, made)
    return arrays, off


def _turned(convention: Convention, key: str, array: Array) -> Array:
    """Views only: arrays of images, and numbers a channel, stay as they are."""
    if key in QUANTITIES:
        return array.T if convention.samples_are_columns and array.ndim == 2 else array
    if key.startswith("weight"):
        return array.T if convention.units_first and array.ndim == 2 else array
    return array[:, None] if convention.samples_are_columns else array


def _names(
    convention: Convention, layer: LayerTrace, below: LayerTrace | None, k: int, trace: Trace
) -> tuple[dict[str, str], dict[str, str]]:
    n, own = len(trace.samples), layer.placed.layer.symbols
    weights, biases = convention.letters
    if weights.isupper():
        weights, biases = own.get("weight", weights), own.get("bias", biases)
    several = n > 1
    names = {
        "k": str(k),
        "k0": str(k - 1),
        "l": str(k + 1),
        "l0": str(k),
        "name": layer.name,
        "W": weights,
        "b": biases,
        "mean": f"1/{n} " if several else "",
        "over": f" / {n}" if several else "",
        "sum": "Σ " if several else "",
    }
    symbols = {key: text.format_map(names) for key, text in convention.symbols.items()}
    if below is not None:
        ending = "_below" if below.weight is not None and below.delta is not None else "_other"
        symbols |= {key: symbols[f"{key}{ending}"] for key in ("input", "downstream")}
    if layer.weight is None:
        symbols |= {"a": "output", "downstream": symbols["downstream_other"]}
    names |= {key: symbols[key] for key in ("input", "downstream")}
    formulas = {key: text.format_map(names) for key, text in convention.formulas.items()}
    if layer.placed.layer.has_windows:
        z, x, w, b = (symbols[key] for key in ("z", "input", "weight", "bias"))
        formulas["z"] = f"{z} = Σ window of {x} ⊙ {w} + {b}"
    if layer.bias is None:
        formulas["z"] = formulas["z"].rpartition(" + ")[0]
    return symbols, formulas
