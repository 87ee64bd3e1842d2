"""Optimizers: from the gradient of a step to its update.

An optimizer is a chain of links (`links`). The first is given the gradient, each of the others what
the one before has made of it, and the last scales by −η: what it writes is ΔW. Each link writes
arrays of its own, so that all of them can be read after a step: what went into a link, what came
out, and its state.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from nncli.nn.arrays import Array, Operation, all_finite, bind, execute
from nncli.nn.clipping import Clip, ClipNorm, ClipValue
from nncli.nn.links import (
    GRADIENT,
    L1,
    MINUS_ETA,
    PARAMETERS,
    UPDATE,
    Adam,
    Freeze,
    Link,
    Momentum,
    ScaleByEta,
    Vectors,
    WeightDecay,
)
from nncli.nn.network import Network

MOST_PARTS = 256  # that a step is done in, see `Optimizer.stages`


class Optimizer:
    """A chain of links at work on a network: its vectors and scalars.

    Attributes:
        links: the chain; the last scales by −η.
        gradient: ∂C/∂W of the last step.
        update: ΔW of the last step.
        state: what the next step starts from, by name: vectors, and counters without axes.
        vectors: every vector of the chain by name, those of `state` among them.
        scalars: every number of the chain by name, arrays without axes.
        masks: of links that spare some parameters, see `Link.mask`.
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
            **{name: zeros((), np.int64) for link in self.links for name in link.tallies},
            **{name: zeros((), dtype) for link in self.links for name in link.scalars},
        }
        self.state = {
            name: self.vectors[name] if name in self.vectors else self.scalars[name]
            for link in self.links
            for name in (*link.state, *link.counters, *link.tallies)
        }
        self.masks = {link.mask: _mask(network, link) for link in self.links if link.spares}
        # What workers have measured of their parts, where a link needs all of it first.
        self._measured = zeros(MOST_PARTS, np.float64)
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
        gradient = self.gradient[entries]
        sums = [bind(np.add, gradient, other[entries], gradient) for other in others]
        return [*sums, *(operation for stage in self.stages([entries]) for operation in stage)]

    def stages(
        self, stretches: Sequence[slice], part: int = 0, parts: int = 1
    ) -> list[list[Operation]]:
        """From the gradient to new parameters, for one of several parts of their entries.

        Args:
            stretches: the entries of this part.

        Returns:
            operations in stages: all parts have to end one before any begins the next.
        """
        known = [self._vectors(entries) for entries in stretches]
        stages: list[list[Operation]] = [[]]
        direction = GRADIENT
        for link in self.links:
            if isinstance(link, Clip):
                stages[-1].append(partial(self._measure, link, direction, known, part))
                stages.append([partial(self._settle, link, part, parts)])
            for vectors in known:
                stages[-1] += link.rule(direction, vectors)
            direction = link.outgoing
        for vectors in known:
            parameters = vectors[PARAMETERS]
            stages[-1].append(bind(np.add, parameters, vectors[direction], parameters))
        return stages

    def _vectors(self, entries: slice) -> dict[str, Array]:
        vectors = {name: vector[entries] for name, vector in self.vectors.items()}
        vectors |= {name: mask[entries] for name, mask in self.masks.items()}
        return vectors | {PARAMETERS: self.network.parameters[entries], **self.scalars}

    def _measure(
        self, link: Link, incoming: str, known: Sequence[Mapping[str, Array]], part: int
    ) -> None:
        self._measured[part] = link.measure(incoming, known)

    def _settle(self, link: Link, part: int, parts: int) -> None:
        link.settle(self._measured[:parts].tolist(), self.scalars, counts=part == 0)

    def apply(self, eta: float) -> None:
        """Moves the parameters by one step with the learning rate `eta`."""
        self.begin(eta)
        execute(self.operations())

    def is_finite(self) -> bool:
        """Whether the whole state is: Adam divides by a v that overflowed without a trace."""
        return all_finite(self.state.values())

    def copy_state(self) -> dict[str, Array]:
        return {name: array.copy() for name, array in self.state.items()}

    def restore(self, state: Vectors) -> None:
        """Sets the state to a copy of what `copy_state` gave."""
        for name, array in self.state.items():
            array[...] = state[name]


def _mask(network: Network, link: Link) -> Array:
    """0 for the entries of the parameters that a link spares, 1 for the others."""
    mask = network.buffers.zeros(network.parameters.size, network.dtype)
    for name, entries in network.named(mask).items():
        entries[...] = 0 if link.is_spared(name) else 1
    return mask


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


CLIPS: dict[str, Callable[[float], Clip]] = {"norm": ClipNorm, "value": ClipValue}


def chain_of(
    kind: str = "sgd",
    *,
    weight_decay: float = 0.0,
    decoupled_weight_decay: float = 0.0,
    l1: float = 0.0,
    decay_biases: bool = True,
    clip: Mapping[str, float] = MappingProxyType({}),
    frozen: Sequence[str] = (),
    **settings: Any,
) -> list[Link]:
    """The links of an optimizer of a kind, and what comes before and behind its own.

    Args:
        l1: λ of L1, whose gradient is added as that of a weight decay is.
        decay_biases: whether decays, and L1, are of biases too.
        clip: {"norm": most} or {"value": most}: the gradient is clipped before all that.
        frozen: the parameters that stay as they are, such as dense1.bias.
        settings: those of the kind.
    """
    spares = (*(() if decay_biases else ("bias",)), *frozen)
    chain: list[Link] = [Freeze(tuple(frozen))] if frozen else []
    chain += [CLIPS[key](most) for key, most in clip.items()]
    if weight_decay:
        chain.append(WeightDecay(weight_decay, spares=spares))
    if l1:
        chain.append(L1(l1, spares))
    chain += OPTIMIZERS[kind].links(**settings)
    if decoupled_weight_decay:
        chain.append(WeightDecay(decoupled_weight_decay, decoupled=True, spares=spares))
    return chain


def sgd(network: Network, **settings: Any) -> Optimizer:
    """Stochastic gradient descent, with the meaning that PyTorch gives its settings."""
    return Optimizer(network, chain_of("sgd", **settings))
