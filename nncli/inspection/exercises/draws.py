"""Networks whose numbers can be computed by hand, drawn at random.

Weights, biases and inputs are whole or half, and every z of a sigmoid or a softmax is on the table
that a sheet prints: the bias is chosen for it. Above a hidden
layer of sigmoids it is one of four decimals, with which the a that the table gives make a round z.
"""

import math
from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

Vector = list[float]
Matrix = list[list[float]]

STEP = 0.5  # of the tables
WHOLE = (-3.0, -2.0, -1.0, 1.0, 2.0, 3.0)
HALVES = (-2.0, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0)
LOW = (-2.0, -1.0, 1.0, 2.0)
SMALL = (-1.0, -0.5, 0.5, 1.0)
POINTS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)  # for z
APART = tuple(z for z in POINTS if z)  # from the kink of relu
PIXELS = (0.0, 1.0, 2.0, 3.0)
MOST_BIAS = 4.0
DECIMALS = 4  # of tables and answers
UNSEEN = 4e-5  # what is off by less is not seen in so many decimals


class Net(NamedTuple):
    """A network and its samples, as a spec has them."""

    network: list[dict[str, Any]]
    inputs: list[Any]
    targets: Matrix
    shape: tuple[int, int, int] | None = None


class Redraw(Exception):
    """The numbers do not suit; others are to be drawn."""


def affine(a: Sequence[float], weights: Matrix, bias: Sequence[float]) -> Vector:
    return [
        sum(x * row[j] for x, row in zip(a, weights, strict=True)) + b for j, b in enumerate(bias)
    ]


class Draw:
    """Draws numbers, all from one seed."""

    def __init__(self, seed: str) -> None:
        self.rng = Random(seed)

    def vector(self, size: int, of: Sequence[float]) -> Vector:
        return [self.rng.choice(of) for _ in range(size)]

    def matrix(self, rows: int, columns: int, of: Sequence[float] = HALVES) -> Matrix:
        """Rows that differ: equal ones would hide a mistake in which of them was taken."""
        found = [self.vector(columns, of) for _ in range(rows)]
        if columns > 1 and any(row in found[:k] for k, row in enumerate(found)):
            raise Redraw
        return found

    def different(self, size: int, of: Sequence[float]) -> Vector:
        return self.rng.sample(list(of), size)

    def target(self, units: int) -> Vector:
        """One unit that should be 1, the others 0."""
        at = self.rng.randrange(units)
        return [float(j == at) for j in range(units)]

    def missed(self, outputs: Vector) -> Vector:
        """Round targets that these outputs do not hit."""
        errors = self.vector(len(outputs), HALVES)
        return [a - e for a, e in zip(outputs, errors, strict=True)]

    def biases(self, a: Sequence[float], weights: Matrix, z: Sequence[float]) -> Vector:
        """Those with which the layer's z become these."""
        zero = [0.0] * len(z)
        found = [wanted - made for wanted, made in zip(z, affine(a, weights, zero), strict=True)]
        if max(map(abs, found)) > MOST_BIAS:
            raise Redraw
        return found

    # Whole networks

    def one_layer(self, inputs: int, units: int, activation: str) -> Net:
        """A layer of which every z is on the table."""
        x, w = self.different(inputs, WHOLE), self.matrix(inputs, units)
        z = self.different(units, POINTS)
        layer = dense(w, self.biases(x, w, z), activation)
        return Net([layer], [x], [self.target(units)])

    def linear(self, inputs: int, units: int, samples: int = 1) -> Net:
        """A layer without σ; targets are round, and never hit."""
        w, b = self.matrix(inputs, units), self.vector(units, HALVES)
        xs = [self.different(inputs, WHOLE) for _ in range(samples)]
        ys = [self.missed(affine(x, w, b)) for x in xs]
        return Net([dense(w, b, "identity")], xs, ys)

    def two_sigmoids(self, inputs: int, units: int) -> Net:
        """Two hidden sigmoids below others; z above is on the table for the a that it gives."""
        x, w1 = self.different(inputs, WHOLE), self.matrix(inputs, 2)
        z1, z2 = self.different(2, POINTS), self.different(units, POINTS)
        w2 = self.matrix(2, units, LOW)
        exact = [1 / (1 + math.exp(-z)) for z in z1]
        biases = self.biases([round(a, DECIMALS) for a in exact], w2, z2)
        b2 = [round(b, DECIMALS) for b in biases]
        made = affine(exact, w2, b2)
        if any(abs(z - point) > UNSEEN for z, point in zip(made, z2, strict=True)):
            raise Redraw
        below = dense(w1, self.biases(x, w1, z1), "sigmoid")
        return Net([below, dense(w2, b2, "sigmoid")], [x], [self.target(units)])

    def rectified(self, inputs: int, hidden: int, units: int, activation: str) -> Net:
        """A hidden layer of relu with a round a, of which one at least is on and one is off."""
        x, w1 = self.different(inputs, WHOLE), self.matrix(inputs, hidden)
        z1 = self.different(hidden, APART)
        if not 0 < sum(z > 0 for z in z1) < hidden and hidden > 2:
            raise Redraw
        if not any(z > 0 for z in z1):
            raise Redraw
        a1 = [max(z, 0.0) for z in z1]
        w2, z2 = self.matrix(hidden, units, LOW), self.different(units, POINTS)
        layers = [
            dense(w1, self.biases(x, w1, z1), "relu"),
            dense(w2, self.biases(a1, w2, z2), activation),
        ]
        target = self.target(units)
        if activation == "identity":
            target = self.missed(z2)
        return Net(layers, [x], [target])

    def batch(self, inputs: int, hidden: int, units: int, activation: str) -> Net:
        """Two samples through relu; every z of the output is on the table for both."""
        w1, b1 = self.matrix(inputs, hidden, SMALL), self.vector(hidden, SMALL)
        w2 = self.matrix(hidden, units, LOW)
        xs = [self.different(inputs, WHOLE) for _ in range(2)]
        hidden_z = [affine(x, w1, b1) for x in xs]
        hidden_a = [[max(z, 0.0) for z in row] for row in hidden_z]
        is_on = [z > 0 for row in hidden_z for z in row]
        if any(z == 0 for row in hidden_z for z in row) or all(is_on) or sum(is_on) < 2:
            raise Redraw
        b2 = self.biases(hidden_a[0], w2, self.different(units, POINTS))
        z2 = [affine(a, w2, b2) for a in hidden_a]
        if any(z not in POINTS for row in z2 for z in row) or z2[0] == z2[1]:
            raise Redraw
        ys = [self.target(units) for _ in xs]
        if activation == "identity":
            ys = [self.missed(row) for row in z2]
        return Net([dense(w1, b1, "relu"), dense(w2, b2, activation)], xs, ys)

    def image(
        self,
        size: int,
        kernel: int,
        outputs: int,
        *,
        channels: int = 1,
        activation: str = "identity",
        pool: bool = False,
        **conv: Any,
    ) -> Net:
        """A conv layer of one filter, and one linear unit on its `outputs` numbers."""
        image = [self.matrix(size, size, PIXELS) for _ in range(channels)]
        filters = [[self.matrix(kernel, kernel, (-1.0, 0.0, 1.0, 2.0)) for _ in range(channels)]]
        layers: list[dict[str, Any]] = [
            {
                "type": "conv",
                "filters": 1,
                "kernel": kernel,
                "activation": activation,
                "weights": filters,
                "bias": self.vector(1, SMALL),
                **conv,
            }
        ]
        if pool:
            layers.append({"type": "maxpool", "size": 2})
        layers.append(dense(self.matrix(outputs, 1, HALVES), self.vector(1, HALVES), "identity"))
        flat = [pixel for channel in image for row in channel for pixel in row]
        return Net(layers, [flat], [self.vector(1, WHOLE)], (channels, size, size))


def dense(weights: Matrix, bias: Vector, activation: str) -> dict[str, Any]:
    return {
        "type": "dense",
        "units": len(bias),
        "activation": activation,
        "weights": weights,
        "bias": bias,
    }
