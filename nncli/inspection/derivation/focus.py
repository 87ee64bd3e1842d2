"""Which numbers of a large network a derivation follows: those that tell most."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from nncli.inspection.derivation.base import Excerpt, at_largest, largest, place_of
from nncli.nn.arrays import Array
from nncli.nn.costs import Cost
from nncli.nn.trace import LayerTrace, Trace


@dataclass(frozen=True)
class Focus:
    """The sample that is followed, and of each layer the unit with the largest |δ| at it.

    Attributes:
        at: the sample's position in the mini-batch.
        units: the unit's index in the flat output, by the layer's name.
    """

    trace: Trace
    at: int
    units: Mapping[str, int]

    @classmethod
    def of(cls, trace: Trace, at: int) -> "Focus":
        return cls(trace, at, {layer.name: _unit(layer, at) for layer in trace.layers})

    @property
    def cost(self) -> Cost:
        return self.trace.cost

    @property
    def weight(self) -> float | None:
        """That of the sample's class; None where classes have no weights."""
        weights = self.trace.sample_weights
        return None if weights is None else float(weights[self.at])

    def below(self, layer: LayerTrace) -> LayerTrace | None:
        """The layer that the input comes from."""
        k = self.position(layer)
        return self.trace.layers[k - 1] if k else None

    def position(self, layer: LayerTrace) -> int:
        return [other.name for other in self.trace.layers].index(layer.name)

    def is_last(self, layer: LayerTrace) -> bool:
        return layer is self.trace.layers[-1]

    def is_fused(self, layer: LayerTrace) -> bool:
        """Whether the layer's δ is a − y, or w (a − y) where classes have weights."""
        return self.is_last(layer) and self.cost.error_is_delta

    def unit(self, layer: LayerTrace) -> int:
        return self.units[layer.name]

    def place(self, layer: LayerTrace) -> tuple[int, ...]:
        """The unit's index in the layer's output."""
        return place_of(self.unit(layer), layer.placed.output_shape)

    def input_unit(self, layer: LayerTrace) -> int:
        """The input that is written out: the unit below that is followed, or the largest input.

        An input of 0 has no part in z and in the gradient, so another is taken in its place.
        """
        values = self.of_sample(layer.input)
        below = self.below(layer)
        if below is not None and values[self.unit(below)]:
            return self.unit(below)
        return at_largest(values)

    def of_sample(self, array: Array) -> Array:
        """The numbers of the sample that is followed, as a vector."""
        values: Array = array[self.at].ravel()
        return values

    def shown(self, layer: LayerTrace) -> Excerpt:
        """The units of a layer that are shown: those with the largest |δ|."""
        return largest(error_of(layer, self.at), always=(self.unit(layer),))

    def shown_inputs(self, layer: LayerTrace) -> Excerpt:
        """The inputs of a layer that are shown: those whose δ is shown below, or the largest."""
        below = self.below(layer)
        chosen = self.input_unit(layer)
        if below is not None and prod(below.placed.output_shape) == layer.input[self.at].size:
            return largest(error_of(below, self.at), always=(chosen,))
        return largest(self.of_sample(layer.input), always=(chosen,))


def error_of(layer: LayerTrace, at: int) -> Array:
    """δ of a sample, or the error that arrives where a layer has no δ, as a vector."""
    error = layer.upstream if layer.delta is None else layer.delta
    values: Array = error[at].ravel()
    return values


def _unit(layer: LayerTrace, at: int) -> int:
    return at_largest(error_of(layer, at))
