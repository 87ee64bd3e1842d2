"""The cost functions, each with its derivative beside it.

Both start from the error a − y of the output layer. For the quadratic cost that is ∂C_x/∂a; for
cross-entropy behind sigmoid or softmax it is δ itself, because σ' cancels. Taking δ from there,
and the cost from z rather than from log a, is what keeps cross-entropy finite everywhere.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nncli.nn.activations import ELEMENTWISE
from nncli.nn.arrays import Array, bind


class Cost(NamedTuple):
    """One row: a cost behind one kind of output activation.

    `total(z, y, error)` gives a function of nothing, which is Σ_x C_x of what these arrays hold
    when it is called; what it needs besides them is allocated once. `each(z, y, error)` is C_x, a
    number a sample, `upstream(z, y, error)` is ∂C_x/∂a, units x samples. `error_is_delta` says
    which of ∂C_x/∂a and δ the error a − y is.

    `definition(a, y, rest)` is what each output adds to C_x by the definition, from the outputs
    and 1 − a alone: no stable sum, and independent of z. `of_probabilities` says whether targets
    are from 0 to 1, `meaning` what it is in words, `pytorch` is the body of a function of `model`,
    `x` and `y` (and `F`, torch.nn.functional), `synonyms` are what other programs call it.
    """

    name: str
    activation: str | None  # None: any elementwise one
    total: Callable[[Array, Array, Array], Callable[[], complex]]
    each: Callable[[Array, Array, Array], Array]
    upstream: Callable[[Array, Array, Array], Array]
    error_is_delta: bool
    definition: Callable[[Array, Array, Array], Array]
    meaning: str
    pytorch: tuple[str, ...]
    of_probabilities: bool = False
    synonyms: tuple[str, ...] = ()


def quadratic_total(z: Array, y: Array, error: Array) -> Callable[[], complex]:
    flat = error.reshape(-1)
    square, number = bind(flat.dot, flat), number_type(z)
    return lambda: 0.5 * number(square())


def quadratic_each(z: Array, y: Array, error: Array) -> Array:
    squares: Array = np.square(error).sum(axis=0)
    return 0.5 * squares


def quadratic_upstream(z: Array, y: Array, error: Array) -> Array:
    return error


def quadratic_definition(a: Array, y: Array, rest: Array) -> Array:
    terms: Array = 0.5 * (a - y) ** 2
    return terms


def sigmoid_cross_entropy_terms(z: Array, y: Array) -> Callable[[], Array]:
    # −y ln σ(z) − (1 − y) ln(1 − σ(z)) = ln(1 + e^−|z|) + max(z, 0) − y z. The last two terms are
    # taken together first: they cancel where a unit is right, and the logarithm is what remains.
    positive = np.zeros(z.shape, bool)
    rest, work = np.zeros_like(z), np.zeros_like(z)

    def terms() -> Array:
        np.greater(z.real, 0, positive)
        rest.fill(0)
        np.copyto(rest, z, where=positive)
        np.subtract(rest, np.multiply(y, z, work), rest)
        np.copyto(work, z)
        np.negative(z, work, where=positive)
        np.log1p(np.exp(work, work), work)
        return np.add(work, rest, work)

    return terms


def sigmoid_cross_entropy_total(z: Array, y: Array, error: Array) -> Callable[[], complex]:
    terms, number = sigmoid_cross_entropy_terms(z, y), number_type(z)
    return lambda: number(np.add.reduce(terms(), None))


def sigmoid_cross_entropy_each(z: Array, y: Array, error: Array) -> Array:
    costs: Array = sigmoid_cross_entropy_terms(z, y)().sum(axis=0)
    return costs


def sigmoid_cross_entropy_upstream(z: Array, y: Array, error: Array) -> Array:
    # (1 − y)/(1 − a) − y/a, where 1/a = 1 + e^−z and 1/(1 − a) = 1 + e^z. A term whose factor is 0
    # is left out, so that 0 · ∞ cannot arise; one that overflows is infinite, its right rounding.
    without = np.where(y != 1, (1 - y) * (1 + np.exp(z)), 0)
    with_ = np.where(y != 0, y * (1 + np.exp(-z)), 0)
    return without - with_


def sigmoid_cross_entropy_definition(a: Array, y: Array, rest: Array) -> Array:
    terms = softmax_cross_entropy_definition(a, y, rest)
    return terms - np.where(y != 1, (1 - y) * np.log(np.where(y != 1, rest, 1)), 0)


def softmax_cross_entropy_terms(z: Array, y: Array) -> Callable[[], Array]:
    """Of −C_x."""
    shifted, work = np.zeros_like(z), np.zeros_like(z)
    of_sample = np.zeros(z.shape[1:], z.dtype)  # the largest z, then ln Σ e^(z − largest)

    def terms() -> Array:
        # The ufuncs' own reductions: the arrays' methods take half a µs more to come to them.
        np.subtract(z, np.maximum.reduce(z, axis=0, out=of_sample), shifted)
        np.add.reduce(np.exp(shifted, work), axis=0, out=of_sample)
        np.log(of_sample, of_sample)
        return np.multiply(y, np.subtract(shifted, of_sample, shifted), work)

    return terms


def softmax_cross_entropy_total(z: Array, y: Array, error: Array) -> Callable[[], complex]:
    terms, number = softmax_cross_entropy_terms(z, y), number_type(z)
    return lambda: -number(np.add.reduce(terms(), None))


def softmax_cross_entropy_each(z: Array, y: Array, error: Array) -> Array:
    costs: Array = softmax_cross_entropy_terms(z, y)().sum(axis=0)
    return -costs


def softmax_cross_entropy_upstream(z: Array, y: Array, error: Array) -> Array:
    shifted = z - z.max(axis=0)
    one_over_a = np.exp(-shifted) * np.exp(shifted).sum(axis=0)
    return np.where(y != 0, -y * one_over_a, 0)


def softmax_cross_entropy_definition(a: Array, y: Array, rest: Array) -> Array:
    return np.where(y != 0, -y * np.log(np.where(y != 0, a, 1)), 0)


def number_type(z: Array) -> Callable[[Array], complex]:
    """What makes a NumPy number Python's: float, or complex where a complex step is taken.

    Either takes a tenth of a microsecond, `item` three times as long.
    """
    return complex if z.dtype.kind == "c" else float


def activations_of(cost: str) -> tuple[str, ...]:
    """The output activations that a cost goes with: those its rows name, else all elementwise."""
    named = tuple(row.activation for row in COSTS if row.name == cost and row.activation)
    return named or ELEMENTWISE


COSTS = (
    Cost(
        "quadratic",
        None,
        quadratic_total,
        quadratic_each,
        quadratic_upstream,
        error_is_delta=False,
        definition=quadratic_definition,
        meaning="½ ‖a − y‖², the mean over the samples",
        pytorch=("return 0.5 * (model(x) - y).square().sum() / len(x)",),
        synonyms=("mse", "squared_error"),
    ),
    Cost(
        "cross_entropy",
        "sigmoid",
        sigmoid_cross_entropy_total,
        sigmoid_cross_entropy_each,
        sigmoid_cross_entropy_upstream,
        error_is_delta=True,
        definition=sigmoid_cross_entropy_definition,
        meaning="Cross-entropy of each output, their sum, the mean over the samples",
        pytorch=(
            "z = model.logits(x)",
            'return F.binary_cross_entropy_with_logits(z, y, reduction="sum") / len(x)',
        ),
        of_probabilities=True,
    ),
    Cost(
        "cross_entropy",
        "softmax",
        softmax_cross_entropy_total,
        softmax_cross_entropy_each,
        softmax_cross_entropy_upstream,
        error_is_delta=True,
        definition=softmax_cross_entropy_definition,
        meaning="Cross-entropy, the mean over the samples",
        pytorch=("return F.cross_entropy(model.logits(x), y)",),
        of_probabilities=True,
    ),
)
