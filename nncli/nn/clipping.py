"""The links that clip gradients."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nncli.nn.arrays import Array, Operations, bind, constant
from nncli.nn.links import Link, Vectors

CLIPPED_STEPS = "clipped_steps"


@dataclass(frozen=True)
class Clip(Link):
    """Makes a gradient smaller that is too large, before any other link but `Freeze` acts on it.

    It looks at all parameters first. `clipped_steps` counts the steps in which it acted; whoever
    reads it may set it back to 0.
    """

    @property
    def tallies(self) -> tuple[str, ...]:
        return (CLIPPED_STEPS,)


@dataclass(frozen=True)
class ClipNorm(Clip):
    """c g, with c = min(1, norm / (‖g‖ + 1e-6)) and the norm over all parameters.

    As PyTorch's clip_grad_norm_ has it (Pascanu, Mikolov and Bengio 2013, algorithm 1).
    """

    name = "clipping by norm"
    norm: float
    EPSILON: ClassVar[float] = 1e-6

    @property
    def terms(self) -> tuple[str, ...]:
        return ("clipped_gradient",)

    @property
    def scalars(self) -> tuple[str, ...]:
        return ("gradient_norm", "clip_factor")

    def words(self) -> str:
        return f"clipped to ‖∇C‖ ≤ {self.norm:g}"

    def measure(self, incoming: str, parts: Sequence[Mapping[str, Array]]) -> float:
        return math.fsum(_squares(part[incoming]) for part in parts)

    def settle(self, measured: Sequence[float], scalars: Vectors, *, counts: bool) -> None:
        norm = math.sqrt(math.fsum(measured))
        factor = min(1.0, self.norm / (norm + self.EPSILON))
        scalars["gradient_norm"][()], scalars["clip_factor"][()] = norm, factor
        if counts and factor < 1:
            scalars[CLIPPED_STEPS][()] += 1

    def rule(self, incoming: str, vectors: Vectors) -> Operations:
        yield bind(np.multiply, vectors[incoming], vectors["clip_factor"], vectors[self.outgoing])

    def formula(self, incoming: Array, values: Vectors) -> dict[str, Array]:
        return {self.outgoing: values["clip_factor"] * incoming}


def _squares(vector: Array) -> float:
    """The sum of squares; in float64 where it is beyond the vector's own type."""
    found = float(vector.dot(vector))
    if math.isfinite(found):
        return found
    wide = vector.astype(np.float64)
    return float(wide.dot(wide))


@dataclass(frozen=True)
class ClipValue(Clip):
    """Each entry of g, made to lie from −value to value; as PyTorch's clip_grad_value_ does it."""

    name = "clipping by value"
    value: float

    @property
    def terms(self) -> tuple[str, ...]:
        return ("limited_gradient",)

    @property
    def scalars(self) -> tuple[str, ...]:
        return ("gradient_largest",)

    def words(self) -> str:
        return f"clipped to |∂C/∂w| ≤ {self.value:g}"

    def measure(self, incoming: str, parts: Sequence[Mapping[str, Array]]) -> float:
        arrays = [part[incoming] for part in parts if part[incoming].size]
        return max((max(float(a.max()), -float(a.min())) for a in arrays), default=0.0)

    def settle(self, measured: Sequence[float], scalars: Vectors, *, counts: bool) -> None:
        scalars["gradient_largest"][()] = max(measured)
        if counts and max(measured) > self.value:
            scalars[CLIPPED_STEPS][()] += 1

    def rule(self, incoming: str, vectors: Vectors) -> Operations:
        made = vectors[self.outgoing]
        value, least = (constant(x, made.dtype) for x in (self.value, -self.value))
        yield bind(np.minimum, vectors[incoming], value, out=made)
        yield bind(np.maximum, made, least, out=made)

    def formula(self, incoming: Array, values: Vectors) -> dict[str, Array]:
        return {self.outgoing: np.clip(incoming, -self.value, self.value)}
