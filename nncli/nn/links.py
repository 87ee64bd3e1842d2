"""The links that an optimizer is made of.

A link states its rule twice: as recorded NumPy operations, which a step runs, and as the formula
that a textbook has, which the inspector and the tests hold the operations to.

Every vector is as long as `network.parameters` and in the same order. A link that treats some
parameters otherwise has a mask for them in its rule; `on` gives the link as it acts on one of them,
which is what its formula says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from nncli.nn.arrays import Array, Operations, bind, constant

Vectors = Mapping[str, Array]
GRADIENT, UPDATE, PARAMETERS, MINUS_ETA = "gradient", "update", "parameters", "minus_eta"
VELOCITY = "velocity"  # as checkpoints have it


def before(state: str) -> str:
    """What a state is called in a record as it was before the step."""
    return f"{state}_before"


@dataclass(frozen=True)
class Link:
    """One transformation of a chain. Its dataclass fields are its settings.

    Attributes:
        name: in a word or two.
    """

    name: ClassVar[str]

    @property
    def spares(self) -> tuple[str, ...]:
        """The parameters that it acts otherwise on: full names, or the last part of such."""
        return ()

    @property
    def mask(self) -> str:
        """What the rule knows the vector by that is 0 where it `spares`, and 1 elsewhere."""
        return f"{self.outgoing}_mask"

    def is_spared(self, parameter: str) -> bool:
        """Whether a parameter, such as dense1.bias, is one of those that it `spares`."""
        return parameter in self.spares or parameter.rpartition(".")[2] in self.spares

    def on(self, parameter: str) -> "Link":
        """The link as it acts on a parameter, such as dense1.bias."""
        return self

    @property
    def state(self) -> tuple[str, ...]:
        """Vectors that the next step starts from; 0 before the first."""
        return ()

    @property
    def counters(self) -> tuple[str, ...]:
        """Integers that the next step starts from; 0 before the first."""
        return ()

    @property
    def tallies(self) -> tuple[str, ...]:
        """Integers that count steps, which no step depends on."""
        return ()

    @property
    def scalars(self) -> tuple[str, ...]:
        """Numbers that `begin` or `settle` sets for a step."""
        return ()

    @property
    def terms(self) -> tuple[str, ...]:
        """Vectors that a step writes besides the state, in the order in which it does."""
        return ()

    @property
    def outgoing(self) -> str:
        """The name of the vector with what the link makes."""
        return (*self.state, *self.terms)[-1]

    def begin(self, scalars: Vectors) -> None:
        """Sets counters and scalars, arrays without axes, for the step to come."""

    def rule(self, incoming: str, vectors: Vectors) -> Operations:
        """The operations that fill state and terms.

        Args:
            incoming: the name of the vector with what it is given.
            vectors: some entries of every vector, the same of each, and the scalars, by name.
        """
        raise NotImplementedError

    def measure(self, incoming: str, parts: Sequence[Mapping[str, Array]]) -> float:
        """What it needs to know of some entries of all parameters before its rule, see `Clip`.

        Args:
            parts: these entries of every vector, a mapping a stretch.
        """
        raise NotImplementedError

    def settle(self, measured: Sequence[float], scalars: Vectors, *, counts: bool) -> None:
        """Sets its scalars by what was measured of all parameters, in whatever parts.

        Args:
            counts: whether the counters are to be set too: not by each of several workers.
        """
        raise NotImplementedError

    def formula(self, incoming: Array, values: Vectors) -> dict[str, Array]:
        """State and terms after a step, by their definition; of a link `on` its parameter.

        Args:
            values: `parameters` and the state before the step (`before(name)`), and the scalars.
        """
        raise NotImplementedError

    def words(self) -> str:
        """The link with its settings, in a few words."""
        return f"{self.name} {' '.join(f'{value:g}' for value in self.settings().values())}".strip()

    def settings(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class WeightDecay(Link):
    """d + λ W, but for the parameters that it spares.

    At the head of a chain it makes the gradient that of C + ½ λ ‖W‖². `decoupled` comes after the
    other links, so that the decay does not pass through them (Loshchilov and Hutter 2019,
    algorithm 2): AdamW behind Adam, SGDW behind momentum.
    """

    name = "weight decay"
    weight_decay: float
    decoupled: bool = False
    spares: tuple[str, ...] = ()

    @property
    def strength(self) -> float:
        return self.weight_decay

    def on(self, parameter: str) -> "WeightDecay":
        return replace(self, weight_decay=0.0) if self.is_spared(parameter) else self

    @property
    def terms(self) -> tuple[str, ...]:
        return ("decayed_direction" if self.decoupled else "decayed_gradient",)

    def words(self) -> str:
        of = "" if "bias" not in self.spares else " of weights"
        return f"{'decoupled ' if self.decoupled else ''}{self.name}{of} {self.weight_decay:g}"

    def rule(self, incoming: str, vectors: Vectors) -> Operations:
        decayed = vectors[self.outgoing]
        factor = constant(self.weight_decay, decayed.dtype)
        yield bind(np.multiply, vectors[PARAMETERS], factor, decayed)
        if self.mask in vectors:
            yield bind(np.multiply, decayed, vectors[self.mask], decayed)
        yield bind(np.add, vectors[incoming], decayed, decayed)

    def formula(self, incoming: Array, values: Vectors) -> dict[str, Array]:
        return {self.outgoing: incoming + self.weight_decay * values[PARAMETERS]}


@dataclass(frozen=True)
class L1(Link):
    """g + λ sign(W): the gradient of C + λ Σ |W|, with 0 for that of |W| at W = 0."""

    name = "L1"
    l1: float
    spares: tuple[str, ...] = ()

    @property
    def terms(self) -> tuple[str, ...]:
        return ("l1_gradient",)

    @property
    def strength(self) -> float:
        return self.l1

    def on(self, parameter: str) -> "L1":
        return replace(self, l1=0.0) if self.is_spared(parameter) else self

    def words(self) -> str:
        of = "" if "bias" not in self.spares else " of weights"
        return f"{self.name}{of} {self.l1:g}"

    def rule(self, incoming: str, vectors: Vectors) -> Operations:
        made = vectors[self.outgoing]
        yield bind(np.sign, vectors[PARAMETERS], made)
        yield bind(np.multiply, made, constant(self.l1, made.dtype), made)
        if self.mask in vectors:
            yield bind(np.multiply, made, vectors[self.mask], made)
        yield bind(np.add, vectors[incoming], made, made)

    def formula(self, incoming: Array, values: Vectors) -> dict[str, Array]:
        return {self.outgoing: incoming + self.l1 * np.sign(values[PARAMETERS])}


@dataclass(frozen=True)
class Freeze(Link):
    """0 in place of the gradient of what is frozen; the first link of a chain.

    Behind it, nothing moves such a parameter, as long as decays spare it too.
    """

    name = "frozen"
    spares: tuple[str, ...] = ()
    is_frozen: bool = False

    @property
    def terms(self) -> tuple[str, ...]:
        return ("free_gradient",)

    def on(self, parameter: str) -> "Freeze":
        return replace(self, is_frozen=self.is_spared(parameter))

    def words(self) -> str:
        return f"frozen {', '.join(self.spares)}"

    def settings(self) -> dict[str, Any]:
        return {"spares": self.spares}

    def rule(self, incoming: str, vectors: Vectors) -> Operations:
        yield bind(np.multiply, vectors[incoming], vectors[self.mask], vectors[self.outgoing])

    def formula(self, incoming: Array, values: Vectors) -> dict[str, Array]:
        return {self.outgoing: incoming * 0 if self.is_frozen else incoming}


@dataclass(frozen=True)
class Momentum(Link):
    """v = μ v + g, at first v = g, as PyTorch has it. With `nesterov`, g + μ v is passed on."""

    name = "momentum"
    momentum: float
    nesterov: bool = False

    @property
    def state(self) -> tuple[str, ...]:
        return (VELOCITY,)

    @property
    def terms(self) -> tuple[str, ...]:
        return ("lookahead",) if self.nesterov else ()

    def words(self) -> str:
        return f"{'Nesterov ' if self.nesterov else ''}{self.name} {self.momentum:g}"

    def rule(self, incoming: str, vectors: Vectors) -> Operations:
        direction, velocity = vectors[incoming], vectors[VELOCITY]
        momentum = constant(self.momentum, velocity.dtype)
        yield bind(np.multiply, velocity, momentum, velocity)
        yield bind(np.add, velocity, direction, velocity)
        if self.nesterov:
            lookahead = vectors["lookahead"]
            yield bind(np.multiply, velocity, momentum, lookahead)
            yield bind(np.add, direction, lookahead, lookahead)

    def formula(self, incoming: Array, values: Vectors) -> dict[str, Array]:
        velocity = self.momentum * values[before(VELOCITY)] + incoming
        lookahead = {"lookahead": incoming + self.momentum * velocity} if self.nesterov else {}
        return {VELOCITY: velocity, **lookahead}


@dataclass(frozen=True)
class Adam(Link):
    """m̂ / (√v̂ + ε), with means of g and of g² that forget: m = β₁ m + (1 − β₁) g, v likewise.

    m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ) take out that both start from 0 (Kingma and Ba 2015,
    algorithm 1), t being the number of the step. As in PyTorch, ε is outside the root.
    """

    name = "Adam"
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    @property
    def state(self) -> tuple[str, ...]:
        return ("first_moment", "second_moment")

    @property
    def counters(self) -> tuple[str, ...]:
        return ("adam_steps",)

    @property
    def scalars(self) -> tuple[str, ...]:
        return ("first_correction", "second_correction")

    @property
    def terms(self) -> tuple[str, ...]:
        corrected = ("first_moment_corrected", "second_moment_corrected")
        return (*corrected, "adam_denominator", "adam_direction")

    def begin(self, scalars: Vectors) -> None:
        scalars["adam_steps"][()] += 1
        t = int(scalars["adam_steps"])
        scalars["first_correction"][()] = 1 - self.beta1**t
        scalars["second_correction"][()] = 1 - self.beta2**t

    def words(self) -> str:
        return f"β₁ {self.beta1:g}, β₂ {self.beta2:g}, ε {self.epsilon:g}"

    def rule(self, incoming: str, vectors: Vectors) -> Operations:
        gradient, (m, v) = vectors[incoming], (vectors[name] for name in self.state)
        m_hat, v_hat, denominator, direction = (vectors[name] for name in self.terms)
        beta1, beta2, rest1, rest2, epsilon = (
            constant(x, m.dtype)
            for x in (self.beta1, self.beta2, 1 - self.beta1, 1 - self.beta2, self.epsilon)
        )
        yield bind(np.multiply, gradient, rest1, m_hat)
        yield bind(np.multiply, m, beta1, m)
        yield bind(np.add, m, m_hat, m)
        yield bind(np.multiply, gradient, gradient, v_hat)
        yield bind(np.multiply, v_hat, rest2, v_hat)
        yield bind(np.multiply, v, beta2, v)
        yield bind(np.add, v, v_hat, v)
        yield bind(np.divide, m, vectors["first_correction"], m_hat)
        yield bind(np.divide, v, vectors["second_correction"], v_hat)
        yield bind(np.sqrt, v_hat, denominator)
        yield bind(np.add, denominator, epsilon, denominator)
        yield bind(np.divide, m_hat, denominator, direction)

    def formula(self, incoming: Array, values: Vectors) -> dict[str, Array]:
        m = self.beta1 * values[before("first_moment")] + (1 - self.beta1) * incoming
        v = self.beta2 * values[before("second_moment")] + (1 - self.beta2) * incoming**2
        m_hat = m / values["first_correction"]
        v_hat = v / values["second_correction"]
        denominator = np.sqrt(v_hat) + self.epsilon
        return dict(
            zip(
                (*self.state, *self.terms),
                (m, v, m_hat, v_hat, denominator, m_hat / denominator),
                strict=True,
            )
        )


@dataclass(frozen=True)
class ScaleByEta(Link):
    """ΔW = −η d, the last link of every chain."""

    name = "learning rate"

    @property
    def scalars(self) -> tuple[str, ...]:
        return (MINUS_ETA,)

    @property
    def terms(self) -> tuple[str, ...]:
        return (UPDATE,)

    def rule(self, incoming: str, vectors: Vectors) -> Operations:
        yield bind(np.multiply, vectors[incoming], vectors[MINUS_ETA], vectors[UPDATE])

    def formula(self, incoming: Array, values: Vectors) -> dict[str, Array]:
        return {UPDATE: values[MINUS_ETA] * incoming}
