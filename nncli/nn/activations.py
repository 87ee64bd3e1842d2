"""The activation functions, each with its derivative beside it.

A rule yields the calls that write a = σ(z) and σ'(z) into the arrays it is given. Rows of this
table are tested against differences by themselves, so a new activation is a new row and nothing
else. Overflow on the way to a right result (e^z at z = 1e4) is part of the rules: they run under
`np.errstate`, see `Step`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nncli.nn.arrays import Array, Operations, bind

Rule = Callable[[Array, Array, Array, Array], Operations]


class Activation(NamedTuple):
    """One row: the calls of `rule(z, a, sigma_prime, one)` fill `a` and `sigma_prime` from `z`.

    `elementwise`: whether σ' is one factor per unit (softmax mixes its units, so it has none).
    `analytic`: whether σ continues to complex z, which the complex-step derivative needs.
    """

    name: str
    rule: Rule
    elementwise: bool = True
    analytic: bool = True


def sigmoid(z: Array, a: Array, sigma_prime: Array, one: Array) -> Operations:
    # σ(z) = 1/(1 + e^−z) and 1 − σ(z) = 1/(1 + e^z). Taking the second from its own formula, rather
    # than as 1 − a, keeps every digit of σ' = σ(z) (1 − σ(z)) where the unit is saturated.
    yield bind(np.exp, z, a)
    yield bind(np.add, a, one, sigma_prime)
    yield bind(np.divide, one, sigma_prime, sigma_prime)
    yield bind(np.divide, one, a, a)
    yield bind(np.add, a, one, a)
    yield bind(np.divide, one, a, a)
    yield bind(np.multiply, a, sigma_prime, sigma_prime)


def tanh(z: Array, a: Array, sigma_prime: Array, one: Array) -> Operations:
    # 1 − tanh² z = (2 / (e^z + e^−z))², which keeps its digits where 1 − a² cancels.
    yield bind(np.exp, z, sigma_prime)
    yield bind(np.divide, one, sigma_prime, a)
    yield bind(np.add, sigma_prime, a, sigma_prime)
    yield bind(np.divide, one + one, sigma_prime, sigma_prime)
    yield bind(np.multiply, sigma_prime, sigma_prime, sigma_prime)
    yield bind(np.tanh, z, a)


def relu(z: Array, a: Array, sigma_prime: Array, one: Array) -> Operations:
    # At the kink z = 0 the derivative is taken as 0, as PyTorch does.
    yield bind(np.maximum, z, 0, out=a)
    yield bind(np.sign, a, sigma_prime)


def identity(z: Array, a: Array, sigma_prime: Array, one: Array) -> Operations:
    yield bind(np.copyto, a, z)
    yield bind(np.copyto, sigma_prime, one)


def softmax(z: Array, a: Array, sigma_prime: Array, one: Array) -> Operations:
    of_sample = sigma_prime[0]  # which serves, since there is no σ': the largest z, then the sum
    yield bind(z.max, axis=0, out=of_sample)
    yield bind(np.subtract, z, of_sample, a)
    yield bind(np.exp, a, a)
    yield bind(a.sum, axis=0, out=of_sample)
    yield bind(np.divide, a, of_sample, a)


ACTIVATIONS = {
    row.name: row
    for row in (
        Activation("sigmoid", sigmoid),
        Activation("tanh", tanh),
        Activation("relu", relu, analytic=False),
        Activation("identity", identity),
        Activation("softmax", softmax, elementwise=False),
    )
}
