"""What `summary` returns: records of data, as those in `records`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nncli.inspection.timing import LayerTime


class LayerSummary(NamedTuple):
    """One layer. Shapes are those of one sample.

    Attributes:
        parameter_shapes: of `weight` and `bias`; empty where it learns nothing.
        state_shapes: of what it keeps from step to step and is no parameter.
        parameters: how many numbers the parameters are.
        multiply_adds: products of a weight and a number in its forward pass, for one sample.
        backward_multiply_adds: those of its backward pass: of ∂C/∂W and, above the first layer with
            weights, of ∂C/∂input.
        memory: bytes that its part of a step on one mini-batch takes, its parameters included.
        time: for one mini-batch, where it was measured.
    """

    name: str
    type: str
    activation: str | None
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameter_shapes: dict[str, tuple[int, ...]]
    state_shapes: dict[str, tuple[int, ...]]
    parameters: int
    multiply_adds: int
    backward_multiply_adds: int
    memory: int
    time: LayerTime | None


class Summary(NamedTuple):
    """A network, layer by layer.

    Attributes:
        batch_size: samples in the mini-batch that memory and times are of.
        itemsize: bytes of a number.
        step_seconds: of a whole step with its update, where it was measured.
        notes: of the data, where they were read, and of the shape of the inputs.
    """

    name: str
    dtype: str
    itemsize: int
    batch_size: int
    layers: tuple[LayerSummary, ...]
    step_seconds: float | None
    notes: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def backward_multiply_adds(self) -> int:
        return sum(layer.backward_multiply_adds for layer in self.layers)

    @property
    def memory(self) -> int:
        """Bytes of a step's workspace."""
        return sum(layer.memory for layer in self.layers)
