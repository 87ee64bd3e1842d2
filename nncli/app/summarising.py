"""What a network is made of, and what a step of it costs."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nncli.app.assemble import bare_network, load_data, placed_layers
from nncli.app.opening import spec_file
from nncli.app.running import read_recipe
from nncli.inspection.timing import LayerTime, time_step
from nncli.nn.layers import Placed
from nncli.spec import Spec, load_spec

ITEMSIZE = {"float32": 4, "float64": 8}


class LayerSummary(NamedTuple):
    """One layer. Shapes are those of one sample.

    Attributes:
        parameter_shapes: of `weight` and `bias`; empty where it learns nothing.
        parameters: how many numbers they are.
        multiply_adds: products of a weight and a number in its forward pass, for one sample.
        backward_multiply_adds: those of its way back: of ∂C/∂W and, but for the first layer, of
            ∂C/∂input.
        memory: bytes that its part of a step on one mini-batch takes, its parameters included.
        time: for one mini-batch, where it was measured.
    """

    name: str
    type: str
    activation: str | None
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameter_shapes: dict[str, tuple[int, ...]]
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
    """

    name: str
    dtype: str
    itemsize: int
    batch_size: int
    layers: tuple[LayerSummary, ...]
    step_seconds: float | None

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


def summary(
    source: Spec | str | Path, overrides: Sequence[str] = (), *, timed: bool = False
) -> Summary:
    """Layers, shapes, parameters, arithmetic and memory of a network.

    Data are read only where neither a run folder nor `data.shape` tells the shape of the inputs.

    Args:
        source: a spec, or the path of one or of a run folder.
        overrides: as `train.batch_size=32`, for a path.
        timed: also measures each layer, on random inputs and with weights as they are drawn.

    Raises:
        SpecError, DataError: the spec or its data are wrong. RunError: the run cannot be read.
    """
    spec, shape = _spec_and_shape(source, overrides)
    placed = placed_layers(spec, shape)
    n, itemsize = spec.train.batch_size, ITEMSIZE[spec.dtype]
    times: Sequence[LayerTime | None] = [None] * len(placed)
    seconds = None
    if timed:
        measured = time_step(bare_network(spec, shape), n)
        times, seconds = measured.layers, measured.step
    return Summary(
        spec.name,
        spec.dtype,
        itemsize,
        n,
        tuple(_layer(p, k, n, itemsize, times[k]) for k, p in enumerate(placed)),
        seconds,
    )


def _spec_and_shape(
    source: Spec | str | Path, overrides: Sequence[str]
) -> tuple[Spec, tuple[int, ...]]:
    """The spec, and the shape of its inputs from wherever it is told soonest."""
    folder = None
    if not isinstance(source, Spec):
        folder = Path(source) if os.path.isdir(source) else None
        source = load_spec(spec_file(source), overrides)
    if source.data.shape is not None:
        return source, source.data.shape
    if folder is not None:
        return source, read_recipe(folder).input_shape
    return source, load_data(source).input_shape


def _layer(
    placed: Placed, index: int, n: int, itemsize: int, time: LayerTime | None
) -> LayerSummary:
    forward = placed.multiply_adds
    return LayerSummary(
        placed.name,
        placed.layer.type,
        placed.activation,
        placed.input_shape,
        placed.output_shape,
        placed.parameter_shapes,
        placed.parameters,
        forward,
        forward if index == 0 else 2 * forward,
        placed.workspace_size(n) * itemsize,
        time,
    )
