"""Optimizers: from the gradient of a step to its update.

An optimizer is a chain of links. The first is given the gradient, each of the others what the one
before has made of it, and the last scales by −η: what it writes is ΔW. Each link writes arrays of
its own, so that all of them can be read after a step: what went into a link, what came out, and its
state. Every vector is as long as `network.parameters` and in the same order.

A link states its rule twice: as recorded NumPy operations, which a step runs, and as the formula
that a textbook has, which the inspector and the tests hold the operations to.

A schedule says how η changes from epoch to epoch.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from nncli.nn.arrays import Array, Operation, Operations, bind, constant, execute
from nncli.nn.network import Network

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
    def state(self) -> tuple[str, ...]:
        """Vectors that the next step starts from; 0 before the first."""
        return ()

    @property
    def counters(self) -> tuple[str, ...]:
        """Integers that the next step starts from; 0 before the first."""
        return ()

    @property
    def scalars(self) -> tuple[str, ...]:
        """Numbers that `begin` sets for a step."""
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

    def formula(self, incoming: Array, values: Vectors) -> dict[str, Array]:
        """State and terms after a step, by their definition.

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
    """d + λ W, biases included.

    At the head of a chain it makes the gradient that of C + ½ λ ‖W‖². `decoupled` comes after the
    other links, so that the decay does not pass through them (Loshchilov and Hutter 2019,
    algorithm 2): AdamW behind Adam, SGDW behind momentum.
    """

    name = "weight decay"
    weight_decay: float
    decoupled: bool = False

    @property
    def terms(self) -> tuple[str, ...]:
        return ("decayed_direction" if self.decoupled else "decayed_gradient",)

    def words(self) -> str:
        return f"{'decoupled ' if self.decoupled else ''}{self.name} {self.weight_decay:g}"

    def rule(self, incoming: str, vectors: Vectors) -> Operations:
        decayed = vectors[self.outgoing]
        factor = constant(self.weight_decay, decayed.dtype)
        yield bind(np.multiply, vectors[PARAMETERS], factor, decayed)
        yield bind(np.add, vectors[incoming], decayed, decayed)

    def formula(self, incoming: Array, values: Vectors) -> dict[str, Array]:
        return {self.outgoing: incoming + self.weight_decay * values[PARAMETERS]}


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


class Optimizer:
    """A chain of links at work on a network: its vectors and scalars.

    Attributes:
        links: the chain; the last scales by −η.
        gradient: ∂C/∂W of the last step.
        update: ΔW of the last step.
        state: what the next step starts from, by name: vectors, and counters without axes.
        vectors: every vector of the chain by name, those of `state` among them.
        scalars: every number of the chain by name, arrays without axes.
    """

    def __init__(self, network: Network, links: Iterable[Link] = ()) -> None:
        self.network = network
        self.links = (*links, ScaleByEta())
        zeros, size, dtype = network.buffers.zeros, network.parameters.size, network.dtype
        names = [GRADIENT, *(name for link in self.links for name in (*link.state, *link.terms))]
        self.vectors: dict[str, Array] = {name: zeros(size, dtype) for name in names}
        self.gradient, self.update = self.vectors[GRADIENT], self.vectors[UPDATE]
        self.scalars: dict[str, Array] = {
            **{name: zeros((), np.int64) for link in self.links for name in link.counters},
            **{name: zeros((), dtype) for link in self.links for name in link.scalars},
        }
        self.state = {
            name: self.vectors[name] if name in self.vectors else self.scalars[name]
            for link in self.links
            for name in (*link.state, *link.counters)
        }
        self._counters = [name for link in self.links for name in link.counters]
        self._eta = math.nan  # what `minus_eta` was set from
        self._begins = [link.begin for link in self.links if type(link).begin is not Link.begin]

    def begin(self, eta: float) -> None:
        """Sets what the operations of a step read besides vectors, once a step."""
        if eta != self._eta:
            self.scalars[MINUS_ETA][()] = -eta
            self._eta = eta
        for link_begins in self._begins:
            link_begins(self.scalars)

    def counters(self) -> dict[str, int]:
        """The counters by name, as the next step starts from them."""
        return {name: int(self.scalars[name]) for name in self._counters}

    def restore_counters(self, counters: Mapping[str, int]) -> None:
        """Sets the counters to what `counters` gave before a step that was not taken after all."""
        for name, count in counters.items():
            self.scalars[name][()] = count

    def operations(
        self, entries: slice = slice(None), others: Sequence[Array] = ()
    ) -> list[Operation]:
        """From the gradient to new parameters, for some of their entries; after `begin`.

        Args:
            others: gradients that are added to `gradient` first, those of the other workers'
                samples.
        """
        return [*self._rule(entries, others)]

    def _rule(self, entries: slice, others: Sequence[Array]) -> Operations:
        vectors = {name: vector[entries] for name, vector in self.vectors.items()}
        vectors |= {PARAMETERS: self.network.parameters[entries], **self.scalars}
        for other in others:
            yield bind(np.add, vectors[GRADIENT], other[entries], vectors[GRADIENT])
        direction = GRADIENT
        for link in self.links:
            yield from link.rule(direction, vectors)
            direction = link.outgoing
        parameters = vectors[PARAMETERS]
        yield bind(np.add, parameters, vectors[direction], parameters)

    def apply(self, eta: float) -> None:
        """Moves the parameters by one step with the learning rate `eta`."""
        self.begin(eta)
        execute(self.operations())

    def is_finite(self) -> bool:
        """Whether the whole state is: Adam divides by a v that overflowed without a trace."""
        return all(bool(np.isfinite(array).all()) for array in self.state.values())

    def copy_state(self) -> dict[str, Array]:
        return {name: array.copy() for name, array in self.state.items()}

    def restore(self, state: Vectors) -> None:
        """Sets the state to a copy of what `copy_state` gave."""
        for name, array in self.state.items():
            array[...] = state[name]


class Kind(NamedTuple):
    """A kind of optimizer: what it is called, and the links that its settings make."""

    title: str
    links: Callable[..., list[Link]]


def sgd_links(*, momentum: float = 0.0, nesterov: bool = False) -> list[Link]:
    return [Momentum(momentum, nesterov)] if momentum else []


OPTIMIZERS = {
    "sgd": Kind("SGD", sgd_links),
    "adam": Kind("Adam", lambda **settings: [Adam(**settings)]),
}


def chain_of(
    kind: str = "sgd",
    *,
    weight_decay: float = 0.0,
    decoupled_weight_decay: float = 0.0,
    **settings: Any,
) -> list[Link]:
    """The links of an optimizer of a kind, with a weight decay before or behind its own.

    Args:
        settings: those of the kind.
    """
    chain = OPTIMIZERS[kind].links(**settings)
    if weight_decay:
        chain.insert(0, WeightDecay(weight_decay))
    if decoupled_weight_decay:
        chain.append(WeightDecay(decoupled_weight_decay, decoupled=True))
    return chain


def sgd(network: Network, **settings: Any) -> Optimizer:
    """Stochastic gradient descent, with the meaning that PyTorch gives its settings."""
    return Optimizer(network, chain_of("sgd", **settings))


class Schedule(Protocol):
    """η in every epoch, the first being 1; `start` is η in the first."""

    def eta(self, start: float, epoch: int) -> float: ...


class Constant:
    """The same η throughout."""

    def eta(self, start: float, epoch: int) -> float:
        return start


class StepDecay(NamedTuple):
    """η times `gamma` after each `step_size` epochs."""

    step_size: int
    gamma: float

    def eta(self, start: float, epoch: int) -> float:
        return start * self.gamma ** ((epoch - 1) // self.step_size)


class Exponential(NamedTuple):
    """η times `gamma` after each epoch."""

    gamma: float

    def eta(self, start: float, epoch: int) -> float:
        return start * self.gamma ** (epoch - 1)


class Cosine(NamedTuple):
    """Half a cosine from η in the first epoch down to `eta_min` after `t_max` epochs.

    Loshchilov and Hutter 2017, eq. 5, without restarts.
    """

    t_max: int
    eta_min: float = 0.0

    def eta(self, start: float, epoch: int) -> float:
        cosine = math.cos(math.pi * (epoch - 1) / self.t_max)
        return self.eta_min + (start - self.eta_min) * (1 + cosine) / 2


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "constant": Constant,
    "step": StepDecay,
    "exponential": Exponential,
    "cosine": Cosine,
}
