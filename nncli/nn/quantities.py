"""The quantities that a condition may name: what each means, which layers have it, how it is read.

A row is an array of a step, or a number that follows from some of its arrays; of a layer, or of the
whole training. What an array is called here it is called in a `Trace`, and a number as in
`LayerMeasures` and in the metrics of a run.

Numbers are taken of many steps at once: the arrays that a rule is given have the steps as their
first axis, and what it returns is one number a step. A step by itself gives the same numbers, to
the bit.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from nncli.nn.activations import ACTIVATIONS, SATURATED
from nncli.nn.arrays import Array
from nncli.nn.layers import LAYERS, Layer, LayerStep, WeightedLayer

Measure = Callable[..., Array]


# Rules: arrays of steps x anything, in; a number a step, out


# Squares of float32 numbers that BLAS adds in float32: of others some would be lost.
LEAST_SQUARE, MOST_SQUARE = 1e-25, 1e30
LARGEST_COUNT = 2**24  # up to which float32 counts


def norms(steps: Array) -> Array:
    """Frobenius norms, summed in the arrays' own dtype, where none of a sum would be lost."""
    flat = _flat(steps)
    squares: Array = np.matmul(flat[:, None, :], flat[:, :, None])[:, 0, 0]
    sizes: Array = np.sqrt(squares, dtype=np.float64)
    if not (squares.min() > LEAST_SQUARE and squares.max() < MOST_SQUARE):
        for k in np.flatnonzero(~((squares > LEAST_SQUARE) & (squares < MOST_SQUARE))):
            sizes[k] = _exact_norm(flat[k])
    return sizes


def _exact_norm(flat: Array) -> float:
    """Summed in float64; of numbers whose squares are too large, by shares of the largest."""
    flat = flat.astype(np.float64)
    squares = float(flat.dot(flat))
    most = float(np.abs(flat).max()) if math.isinf(squares) else 1.0
    if not math.isfinite(most) or math.isfinite(squares):
        return math.sqrt(squares)
    shares = flat / most
    return most * math.sqrt(shares.dot(shares))


def means(steps: Array) -> Array:
    mean: Array = _flat(steps).mean(axis=1, dtype=np.float64)
    return mean


def sums(steps: Array) -> Array:
    total: Array = _flat(steps).sum(axis=1, dtype=np.float64)
    return total


def smallest(steps: Array) -> Array:
    least: Array = _flat(steps).min(axis=1).astype(np.float64)
    return least


def largest(steps: Array) -> Array:
    most: Array = _flat(steps).max(axis=1).astype(np.float64)
    return most


def saturated_shares(sigma_prime: Array) -> Array:
    """The share of units and samples where |σ'| is below `SATURATED`."""
    return _shares(_flat(np.abs(sigma_prime)) < SATURATED)


def dead_shares(sigma_prime: Array) -> Array:
    """The share of units (of a feature map, its cells) where σ' is 0 for every sample."""
    nonzero = sigma_prime != 0
    if nonzero.all():  # as of most activations: a third of the time
        return np.zeros(len(sigma_prime))
    by_unit = nonzero.reshape(-1, nonzero.shape[-1])
    return _shares((_counts(by_unit) == 0).reshape(len(sigma_prime), -1))


def _counts(rows: Array) -> Array:
    """How many are true in each row: by BLAS, which takes a third of `np.count_nonzero`'s time."""
    if rows.shape[1] > LARGEST_COUNT:
        found: Array = np.count_nonzero(rows, axis=1)
        return found
    ones = np.ones(rows.shape[1], np.float32)
    counts: Array = rows.astype(np.float32) @ ones
    return counts


def _shares(rows: Array) -> Array:
    shares: Array = _counts(rows) / np.float64(rows.shape[1])
    return shares


def norm_ratios(part: Array, whole: Array) -> Array:
    """‖part‖ / ‖whole‖; NaN where the whole is 0."""
    sizes = norms(whole)
    ratios: Array = norms(part) / np.where(sizes == 0, np.nan, sizes)
    return ratios


def _flat(steps: Array) -> Array:
    return steps.reshape(len(steps), -1)


# How much of a count is each unit's: an array of one step in, units first


def dead_units(sigma_prime: Array) -> Array:
    return _by_unit((sigma_prime == 0).all(axis=-1))


def saturated_units(sigma_prime: Array) -> Array:
    return _by_unit(np.abs(sigma_prime) < SATURATED)


def _by_unit(counted: Array) -> Array:
    share: Array = counted.reshape(len(counted), -1).mean(axis=1)
    return share


# Which layers have it


class LayerFacts(NamedTuple):
    """What is known of a layer before there is a step of it.

    Attributes:
        is_last: whether it is the network's output layer.
        is_fused: whether its δ comes from the cost, without ∂C_x/∂a.
    """

    name: str
    kind: type[Layer]
    activation: str | None = None
    has_bias: bool = True
    is_last: bool = False
    is_fused: bool = False


def _every(layer: LayerFacts) -> bool:
    return True


def _weighted(layer: LayerFacts) -> bool:
    return issubclass(layer.kind, WeightedLayer)


def _sloped(layer: LayerFacts) -> bool:
    return layer.activation is not None and ACTIVATIONS[layer.activation].elementwise


def _reached(layer: LayerFacts) -> bool:
    return not layer.is_fused


def _weighted_and_reached(layer: LayerFacts) -> bool:
    return _weighted(layer) and _reached(layer)


def _learning(layer: LayerFacts) -> bool:
    return layer.kind.parameter_shapes is not Layer.parameter_shapes


def _biased(layer: LayerFacts) -> bool:
    return _learning(layer) and layer.has_bias


def _of_kind(kind: type[Layer], layer: LayerFacts) -> bool:
    return layer.kind is kind


class Having(NamedTuple):
    """Which layers have a quantity, in words and as a rule."""

    words: str
    rule: Callable[[LayerFacts], bool]


_REACHED = "all but an output behind cross-entropy"
EVERY = Having("every layer", _every)
WEIGHTED = Having("dense, conv", _weighted)
SLOPED = Having("dense, conv; not softmax", _sloped)
REACHED = Having(_REACHED, _reached)
WEIGHTED_AND_REACHED = Having(f"dense, conv; {_REACHED}", _weighted_and_reached)
LEARNING = Having("layers that learn", _learning)
BIASED = Having("layers with a bias", _biased)

# The table


class LayerArray(NamedTuple):
    """An array of a layer's step, samples last where it has them."""

    key: str
    meaning: str
    having: Having
    by_sample: bool = True


class LayerNumber(NamedTuple):
    """A number of a layer's step.

    Attributes:
        arrays: what it follows from; measure: how.
        units: of a number that counts, how much of it is each unit's.
    """

    key: str
    meaning: str
    having: Having
    arrays: tuple[str, ...]
    measure: Measure
    units: Callable[[Array], Array] | None = None


class TrainingNumber(NamedTuple):
    """A number of the training: of every step, or, `by_epoch`, of every epoch."""

    key: str
    meaning: str
    by_epoch: bool = False


Quantity = LayerArray | LayerNumber | TrainingNumber

PARAMETER_ARRAYS = {  # of `weight` and `bias`: which of the vectors that a network has
    "gradient": "∂C/∂{}",
    "update": "Δ{}, the step really taken",
    "new": "{} after the step",
}
LAYER_ARRAYS: tuple[LayerArray, ...] = (
    LayerArray("input", "what goes into the layer", EVERY),
    LayerArray("z", "z = W input + b", WEIGHTED),
    LayerArray("a", "its output: σ(z), where it has an activation", EVERY),
    LayerArray("upstream", "∂C/∂a of each sample, the error signal that arrives", REACHED),
    LayerArray("sigma_prime", "σ′(z)", SLOPED),
    LayerArray("delta", "δ = ∂C/∂z of each sample = upstream ⊙ σ′(z)", WEIGHTED),
    LayerArray("downstream", "∂C/∂input of each sample, what it hands back", EVERY),
    *(
        LayerArray(f"{parameter}_{vector}", meaning.format(symbol), having, by_sample=False)
        for parameter, symbol, having in (("weight", "W", LEARNING), ("bias", "b", BIASED))
        for vector, meaning in PARAMETER_ARRAYS.items()
    ),
    *(
        LayerArray(
            row.key,
            f"{row.symbol}: {row.meaning}",
            Having(kind.type, partial(_of_kind, kind)),
            row.by_sample,
        )
        for kind in LAYERS.values()
        for row in kind.quantities
    ),
)
LAYER_NUMBERS: tuple[LayerNumber, ...] = (
    LayerNumber("upstream_norm", "‖∂C/∂a‖", REACHED, ("upstream",), norms),
    LayerNumber("delta_norm", "‖δ‖", WEIGHTED, ("delta",), norms),
    LayerNumber(
        "passed",
        "‖δ‖ / ‖∂C/∂a‖, the share of the error that σ′ lets pass",
        WEIGHTED_AND_REACHED,
        ("delta", "upstream"),
        norm_ratios,
    ),
    LayerNumber(
        "sigma_prime_mean", "the mean of σ′ over units and samples", SLOPED, ("sigma_prime",), means
    ),
    LayerNumber(
        "saturated",
        f"the share of units and samples with |σ′| < {SATURATED:g}",
        SLOPED,
        ("sigma_prime",),
        saturated_shares,
        saturated_units,
    ),
    LayerNumber(
        "dead",
        "the share of units with σ′ = 0 for every sample of the mini-batch",
        SLOPED,
        ("sigma_prime",),
        dead_shares,
        dead_units,
    ),
    LayerNumber("weight_gradient_norm", "‖∂C/∂W‖", LEARNING, ("weight_gradient",), norms),
    LayerNumber("weight_update_norm", "‖ΔW‖", LEARNING, ("weight_update",), norms),
    LayerNumber("weight_norm", "‖W‖ after the step", LEARNING, ("weight_new",), norms),
    LayerNumber(
        "relative_update", "‖ΔW‖ / ‖W‖", LEARNING, ("weight_update", "weight_new"), norm_ratios
    ),
    LayerNumber("bias_gradient_norm", "‖∂C/∂b‖", BIASED, ("bias_gradient",), norms),
)
TRAINING_NUMBERS = (
    TrainingNumber("cost", "C of the mini-batch, before the update"),
    TrainingNumber("step", "the step's number in the training, from 1"),
    TrainingNumber("epoch", "the epoch's number, from 1"),
    TrainingNumber("eta", "η, the learning rate"),
    TrainingNumber("untrained_cost", "C of a network that has learnt nothing"),
    TrainingNumber("gradient_norm", "‖∂C/∂W‖ of all weights and biases together"),
    TrainingNumber("update_norm", "‖ΔW‖ of all of them together"),
    TrainingNumber("train_cost", "the mean of C over the epoch, each before its update", True),
    TrainingNumber("train_cost_after", "C on the training data, where none are held back", True),
    TrainingNumber("train_accuracy", "accuracy there", True),
    TrainingNumber("validation_cost", "C on the data held back", True),
    TrainingNumber("validation_accuracy", "accuracy there", True),
    TrainingNumber("train_seconds", "seconds of the epoch's steps", True),
)


def layer_row(key: str, layer: LayerFacts) -> LayerArray | LayerNumber | None:
    """The row of a layer's quantity; None where there is none, or the layer does not have it."""
    rows: list[LayerArray | LayerNumber] = [*LAYER_ARRAYS, *LAYER_NUMBERS]
    return next((row for row in rows if row.key == key and row.having.rule(layer)), None)


LAYER_KEYS = tuple(
    dict.fromkeys([*(row.key for row in LAYER_NUMBERS), *(row.key for row in LAYER_ARRAYS)])
)
BY_KEY: dict[str, LayerNumber] = {row.key: row for row in LAYER_NUMBERS}
OF_TRAINING: dict[str, TrainingNumber] = {row.key: row for row in TRAINING_NUMBERS}


def array_of(layer: LayerStep, key: str) -> Array | None:
    """An array of a step by its key; None where the layer does not have it."""
    parameter, _, vector = key.rpartition("_")
    if vector in PARAMETER_ARRAYS and parameter in ("weight", "bias"):
        vectors = {"gradient": layer.gradients, "update": layer.updates, "new": layer.parameters}
        return vectors[vector].get(parameter)
    array: Array | None = layer.recorded.get(key, getattr(layer, key, None))
    return array


# Functions of arrays


class Function(NamedTuple):
    """What an expression may call.

    Attributes:
        measure: from an array to a number; None for what is taken entry by entry.
        picks: of which entry the number is, that of the largest or of the smallest; 0: of none.
    """

    meaning: str
    measure: Measure | None
    picks: int = 0


FUNCTIONS: dict[str, Function] = {
    "norm": Function("the Frobenius norm of an array", norms),
    "max": Function("the largest entry of an array, or of several numbers", largest, 1),
    "min": Function("the smallest entry, or of several numbers", smallest, -1),
    "mean": Function("the mean of the entries", means),
    "sum": Function("their sum", sums),
    "abs": Function("|x|, of a number or of each entry", None),
}
