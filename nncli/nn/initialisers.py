"""How weights start: a standard deviation or a half-width from the layer's fan-in and fan-out.

Sources: xavier: Glorot and Bengio 2010, eq. 16; kaiming: He et al. 2015, eq. 10; lecun: LeCun et
al. 1998, "Efficient BackProp", eq. 16. `normal` is N(0, 1), as at the start of Nielsen's book.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nncli.core.text import join_words
from nncli.nn.activations import ACTIVATIONS, DEFAULT
from nncli.nn.arrays import Array, Shape

Draw = Callable[[np.random.Generator, int, int, Shape], Array]


def _normal(deviation: Callable[[int, int], float]) -> Draw:
    return lambda rng, fan_in, fan_out, shape: (
        rng.standard_normal(shape) * deviation(fan_in, fan_out)
    )


def _uniform(deviation: Callable[[int, int], float]) -> Draw:
    # A uniform distribution over [−w, w] has the deviation w/√3.
    return lambda rng, fan_in, fan_out, shape: (
        rng.uniform(-1.0, 1.0, shape) * (math.sqrt(3.0) * deviation(fan_in, fan_out))
    )


def _xavier(fan_in: int, fan_out: int) -> float:
    return math.sqrt(2.0 / (fan_in + fan_out))


def _kaiming(fan_in: int, fan_out: int) -> float:
    return math.sqrt(2.0 / fan_in)


INITIALISERS: dict[str, Draw] = {
    "xavier_normal": _normal(_xavier),
    "xavier_uniform": _uniform(_xavier),
    "kaiming_normal": _normal(_kaiming),
    "kaiming_uniform": _uniform(_kaiming),
    "lecun_normal": _normal(lambda fan_in, fan_out: math.sqrt(1.0 / fan_in)),
    "normal": _normal(lambda fan_in, fan_out: 1.0),
    "zeros": lambda rng, fan_in, fan_out, shape: np.zeros(shape),
}


def default_initialiser(activation: str) -> str:
    """The initialiser of a layer that names none."""
    return ACTIVATIONS[activation].initialiser


def initial_weights(
    name: str, rng: np.random.Generator, shape: Shape, dtype: np.dtype[Any]
) -> Array:
    """Weights drawn by `name`.

    `shape` is inputs x units or filters x channels x rows x columns. The draw is made in float64
    whatever `dtype` is, so that float32 and float64 start from the same numbers.
    """
    if len(shape) == 2:
        fan_in, fan_out = shape
    else:
        field = math.prod(shape[2:])
        fan_in, fan_out = shape[1] * field, shape[0] * field
    return INITIALISERS[name](rng, fan_in, fan_out, shape).astype(dtype)


def default_words() -> str:
    """Which initialiser is the default before which activation, as an option's help says it."""
    common = ACTIVATIONS[DEFAULT].initialiser
    others: dict[str, list[str]] = {}
    for row in ACTIVATIONS.values():
        if row.initialiser != common:
            others.setdefault(row.initialiser, []).append(row.name)
    exceptions = [f"{name} before {join_words(rows)}" for name, rows in others.items()]
    return ", ".join([*exceptions, f"else {common}"])
