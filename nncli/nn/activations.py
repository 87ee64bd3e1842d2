"""The activation functions: one row each, which holds all that the rest of nncli knows of them.

A rule yields the NumPy operations that write a = σ(z) and σ'(z) into the arrays it is given.
Overflow on the way to a right result (e^z at z = 1e4) is part of the rules: they run under
`np.errstate`, see `Step`. The spec's schema, its checks, the proof of gradients, the pages and the
exporters read the rows, and one test walks the table through all of them, so a new activation is a
new row here and nothing else.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from nncli.nn.arrays import Array, Operations, bind
from nncli.nn.gelu import gelu

Rule = Callable[..., Operations]
Piece = Callable[..., Array]

COMPLEX_STEP = 1e-30  # no difference is taken, so nothing cancels however small it is


class Parameter(NamedTuple):
    """A number that a rule takes besides z, from `least` to `most`; `key` names it in a layer."""

    key: str
    default: float
    least: float
    most: float
    description: str


class OnnxNode(NamedTuple):
    """An ONNX node on the value before it. `operands` follow that value among the node's inputs:

    a number is a constant, "z" is what the activation is taken of.
    """

    operator: str
    operands: tuple[float | str, ...] = ()
    attributes: Mapping[str, float] = MappingProxyType({})


class SaturationWords(NamedTuple):
    """What a unit with |σ'| below `SATURATED` is called, and whether that is a bad sign.

    Attributes:
        word: of a unit at one sample.
        lasting: of a unit in a sentence, with the condition.
        dead: whether a unit that is so at every sample gets no error at all.
        starves: whether a layer learns little once most of its units are so.
    """

    word: str = "saturated"
    lasting: str = "saturated (σ′ < 0.01)"
    dead: bool = False
    starves: bool = True


SATURATING = SaturationWords()
SATURATED = 0.01  # a unit whose |σ'| is below this passes on less than a hundredth of its error


@dataclass(frozen=True)
class Activation:
    """One row of the table.

    Attributes:
        rule: `rule(z, a, sigma_prime, one, *parameters)` yields the operations that fill `a` and
            `sigma_prime` from `z`; `one` and the parameters are arrays without axes of its dtype.
        pytorch: the expression of `{z}` (and the parameters by key) in a PyTorch module.
        onnx: `onnx(*parameters)` gives the nodes behind a layer's z; none where a is z.
        elementwise: whether σ' is one factor per unit (softmax mixes its units, so it has none).
        kinks: where σ or one of its derivatives jumps, in ascending order. A kink belongs to the
            piece below it, as PyTorch's derivatives have it.
        pieces: `piece(z, *parameters)` for each stretch between kinks: the smooth function that σ
            is there, also beyond its ends. One more than kinks; empty without kinks.
        parameters: what the rule takes besides z, keys of a layer in a spec.
        initialiser: how weights before it are drawn by default, a key of INITIALISERS.
        saturation: what units with a small σ' are called.
        synonyms: what other programs and books call it.
    """

    name: str
    rule: Rule
    pytorch: str
    onnx: Callable[..., tuple[OnnxNode, ...]]
    elementwise: bool = True
    kinks: tuple[float, ...] = ()
    pieces: tuple[Piece, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    initialiser: str = "xavier_normal"
    saturation: SaturationWords = SATURATING
    synonyms: tuple[str, ...] = ()

    @property
    def defaults(self) -> tuple[float, ...]:
        return tuple(parameter.default for parameter in self.parameters)

    def named(self, values: Sequence[float]) -> dict[str, float]:
        """Values of the parameters by their keys."""
        return {p.key: value for p, value in zip(self.parameters, values, strict=True)}

    def piece_at(self, z: Array) -> Array:
        """Which of the pieces each entry of a real `z` is on, counted from 0."""
        return np.searchsorted(self.kinks, z)

    def evaluate_pieces(
        self, z: Array, a: Array, piece: Array, parameters: Sequence[float | Array]
    ) -> Operations:
        """Fills `a` as the given pieces have it, on whichever side of the kinks `z` is."""
        for k, smooth in enumerate(self.pieces):
            yield bind(_fill, a, bind(smooth, z, *parameters), piece == k)

    def differentiate_pieces(
        self, z: Array, sigma_prime: Array, piece: Array, parameters: Sequence[float | Array]
    ) -> Operations:
        """Fills `sigma_prime` as the given pieces have it, like `evaluate_pieces`; z is real."""
        for k, smooth in enumerate(self.pieces):
            yield bind(_fill, sigma_prime, bind(_slope, smooth, z, parameters), piece == k)

    def slopes(self, kink: int, parameters: Sequence[float]) -> tuple[float, float]:
        """The one-sided derivatives below and above a kink, by its index."""
        z = np.array(self.kinks[kink])
        below, above = (
            float(_slope(piece, z, parameters)) for piece in self.pieces[kink : kink + 2]
        )
        return below, above

    def pytorch_of(self, z: str, values: Sequence[float]) -> str:
        """The PyTorch expression of `z`, itself an expression."""
        return self.pytorch.format(z=z, **{k: repr(v) for k, v in self.named(values).items()})


def _fill(a: Array, values: Callable[[], Array], where: Array) -> None:
    np.copyto(a, values(), where=where)


def _slope(piece: Piece, z: Array, parameters: Sequence[float | Array]) -> Array:
    """The derivative of a smooth function, by a complex step."""
    slope: Array = piece(z + COMPLEX_STEP * 1j, *parameters).imag / COMPLEX_STEP
    return slope


def sigmoid(z: Array, a: Array, sigma_prime: Array, one: Array) -> Operations:
    # σ(z) = 1/(1 + e^−z) and 1 − σ(z) = 1/(1 + e^z). Taking the second from its own formula, rather
    # than as 1 − a, keeps every digit of σ' = σ(z) (1 − σ(z)) where the unit is saturated.
    if z.dtype.kind == "c":  # where an infinite e^z would leave nothing of the imaginary part
        yield bind(_complex_sigmoid, z, a, sigma_prime)
        return
    yield bind(np.exp, z, a)
    yield bind(np.add, a, one, sigma_prime)
    yield bind(np.divide, one, sigma_prime, sigma_prime)
    yield bind(np.divide, one, a, a)
    yield bind(np.add, a, one, a)
    yield bind(np.divide, one, a, a)
    yield bind(np.multiply, a, sigma_prime, sigma_prime)


def _complex_sigmoid(z: Array, a: Array, sigma_prime: Array) -> None:
    right = z.real >= 0
    small = np.exp(np.where(right, -z, z))  # |e^−z| or |e^z|, at most 1
    one_over = 1 / (1 + small)
    np.copyto(a, np.where(right, one_over, small * one_over))
    np.copyto(sigma_prime, small * one_over**2)


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


def leaky_relu(
    z: Array, a: Array, sigma_prime: Array, one: Array, negative_slope: Array
) -> Operations:
    # At the kink z = 0 the derivative is that of the left side, as PyTorch does. A slope is at most
    # 1, so that the larger of it and the sign of z is σ', and z σ' is σ, both without a branch.
    yield bind(np.sign, z.real, sigma_prime)  # of a complex step, the side that z is on
    yield bind(np.maximum, sigma_prime, negative_slope, out=sigma_prime)
    yield bind(np.multiply, z, sigma_prime, a)


def elu(z: Array, a: Array, sigma_prime: Array, one: Array, alpha: Array) -> Operations:
    # σ(z) = α (e^z − 1) up to z = 0, z above it. At 0 the derivative is α, as PyTorch has it.
    is_positive = np.zeros(z.shape, bool)
    yield bind(np.greater, z.real, 0, is_positive)
    yield bind(np.minimum, z, 0, out=sigma_prime)
    yield bind(np.expm1, sigma_prime, a)
    yield bind(np.multiply, a, alpha, a)
    yield bind(np.copyto, a, z, where=is_positive)
    yield bind(np.exp, sigma_prime, sigma_prime)
    yield bind(np.multiply, sigma_prime, alpha, sigma_prime)
    yield bind(np.copyto, sigma_prime, one, where=is_positive)


def softplus(z: Array, a: Array, sigma_prime: Array, one: Array) -> Operations:
    # σ(z) = ln(1 + e^z), of which nothing but z is left from z = 40 on, in float64 as well; and σ'
    # is the sigmoid, 1/(1 + 1/e^z) with all its digits on the left.
    yield bind(np.minimum, z, 40 * one, out=a)
    yield bind(np.exp, a, sigma_prime)
    yield bind(_complex_log1p if z.dtype.kind == "c" else np.log1p, sigma_prime, a)
    yield bind(np.maximum, a, z, out=a)
    yield bind(np.divide, one, sigma_prime, sigma_prime)
    yield bind(np.add, sigma_prime, one, sigma_prime)
    yield bind(np.divide, one, sigma_prime, sigma_prime)


def _complex_log1p(w: Array, out: Array) -> None:
    # NumPy's own adds 1 to w first, which leaves nothing of a small real part.
    a, b = w.real, w.imag
    out.real = 0.5 * np.log1p(a * (2 + a) + b * b)
    out.imag = np.arctan2(b, 1 + a)


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
        Activation(
            "sigmoid",
            sigmoid,
            "torch.sigmoid({z})",
            lambda: (OnnxNode("Sigmoid"),),
            synonyms=("logistic",),
        ),
        Activation("tanh", tanh, "torch.tanh({z})", lambda: (OnnxNode("Tanh"),)),
        Activation(
            "relu",
            relu,
            "torch.relu({z})",
            lambda: (OnnxNode("Relu"),),
            kinks=(0.0,),
            pieces=(np.zeros_like, np.positive),
            initialiser="kaiming_normal",
            saturation=SaturationWords("off", "dead (σ′ = 0)", dead=True, starves=False),
        ),
        Activation(
            "leaky_relu",
            leaky_relu,
            "F.leaky_relu({z}, negative_slope={negative_slope})",
            lambda slope: (OnnxNode("LeakyRelu", attributes={"alpha": slope}),),
            kinks=(0.0,),
            pieces=(np.multiply, lambda z, slope: z),
            parameters=(
                Parameter("negative_slope", 0.01, 0.0, 1.0, "σ' where z is not positive."),
            ),
            initialiser="kaiming_normal",
            saturation=SaturationWords("off", "off (σ′ < 0.01)", starves=False),
            synonyms=("leakyrelu", "lrelu"),
        ),
        Activation(
            "elu",
            elu,
            "F.elu({z}, alpha={alpha})",
            lambda alpha: (OnnxNode("Elu", attributes={"alpha": alpha}),),
            kinks=(0.0,),
            pieces=(lambda z, alpha: alpha * np.expm1(z), lambda z, alpha: z),
            parameters=(Parameter("alpha", 1.0, 0.0, math.inf, "σ falls towards minus this."),),
            initialiser="kaiming_normal",
        ),
        Activation(
            "softplus",
            softplus,
            # By default PyTorch leaves ln(1 + e^z) at z = 20, where 2e-9 of it are left.
            "F.softplus({z}, threshold=40.0)",
            lambda: (OnnxNode("Softplus"),),
            initialiser="kaiming_normal",
        ),
        Activation(
            "gelu",
            gelu,
            "F.gelu({z})",
            lambda: (  # z (½ + ½ erf(z/√2)); an operator of its own came with a later opset
                OnnxNode("Div", (math.sqrt(2),)),
                OnnxNode("Erf"),
                OnnxNode("Add", (1.0,)),
                OnnxNode("Mul", ("z",)),
                OnnxNode("Mul", (0.5,)),
            ),
            initialiser="kaiming_normal",
            saturation=SaturationWords("saturated", "saturated (|σ′| < 0.01)"),
        ),
        Activation("identity", identity, "{z}", lambda: (), synonyms=("linear", "none")),
        Activation(
            "softmax",
            softmax,
            "torch.softmax({z}, dim=1)",
            lambda: (OnnxNode("Softmax", attributes={"axis": 1}),),
            elementwise=False,
        ),
    )
}
DEFAULT = "sigmoid"  # of a layer that names none
ELEMENTWISE = tuple(row.name for row in ACTIVATIONS.values() if row.elementwise)
MIXING = tuple(row.name for row in ACTIVATIONS.values() if not row.elementwise)
PARAMETERS = {p.key: p for row in ACTIVATIONS.values() for p in row.parameters}
