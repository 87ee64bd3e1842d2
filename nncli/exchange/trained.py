"""A trained network to be exported, with all that other programs need to use its numbers."""

from typing import Any, NamedTuple

import numpy as np

from nncli.core.jsons import to_json
from nncli.nn.activations import ACTIVATIONS
from nncli.nn.arrays import Array
from nncli.nn.layers import Placed, WeightedLayer
from nncli.nn.network import Network
from nncli.nn.step import Step

# Names in files of weights, besides those of weights and biases.
FORMAT = "nncli.weights/1"  # in the metadata of files in nncli's own layout
OFFSET, DIVISOR = "scaling.offset", "scaling.divisor"
TARGET_OFFSET, TARGET_DIVISOR = "target_scaling.offset", "target_scaling.divisor"
# Of an exported PyTorch module, besides its layers' parameters.
BUFFERS, TARGET_BUFFERS = ("offset", "divisor"), ("target_offset", "target_divisor")
# The metadata of a file of PyTorch's weights, which tells readers the layout.
PYTORCH = {"format": "pt", "written_by": "nncli"}
# What the modules of PyTorch call what a layer keeps from step to step.
STATE_IN_PYTORCH = {
    "running_mean": "running_mean",
    "running_variance": "running_var",
    "batches": "num_batches_tracked",
}

_HOW_IT_STARTED = {"init", "weights", "biases"}

Files = dict[str, bytes]  # what a format writes: by the end of each file's name


class Affine(NamedTuple):
    """scaled = (raw - offset) / divisor in float64, each a number or of the shape of one sample.

    A divisor may be infinite: what was constant in training scales to 0.
    """

    offset: Array
    divisor: Array

    @property
    def is_division(self) -> bool:
        """Whether it only divides by one number."""
        return self.divisor.ndim == 0 and not self.offset.any()


class Trained(NamedTuple):
    """A network to be exported.

    scaling: what is done to raw inputs first; None where they are taken as they are.
    classes: their names in the order of the outputs; None where outputs are plain numbers.
    inputs, targets: some samples, inputs raw, for formats that come with a check; targets are as
        the network learns them.
    target_scaling: what is undone to the outputs last; None where they are given as they are.
    features: what the inputs are, where they were made of columns of another kind.
    """

    name: str
    network: Network
    scaling: Affine | None
    classes: tuple[str, ...] | None
    inputs: Array
    targets: Array
    target_scaling: Affine | None = None
    features: tuple[str, ...] | None = None

    def in_own_units(self, outputs: Array) -> Array:
        """The outputs of the last layer as the targets are."""
        if self.target_scaling is None:
            return outputs
        offset, divisor = self.target_scaling
        return (outputs.astype(np.float64) * divisor + offset).astype(outputs.dtype)

    def scaled(self, raw: Array, dtype: Any) -> Array:
        """Raw inputs (samples x the shape of one) as the first layer takes them."""
        if self.scaling is None:
            return raw.astype(dtype)
        return ((raw.astype(np.float64) - self.scaling.offset) / self.scaling.divisor).astype(dtype)

    def arrays(self) -> dict[str, Array]:
        """Weights, biases, what layers keep and the scaling, by name and by rows:

        dense1.weight, batchnorm1.running_mean, scaling.offset, ...
        """
        named = self.network.arrays().items()
        arrays = {name: np.asarray(array, order="C") for name, array in named}
        if self.scaling is not None:
            arrays |= {OFFSET: self.scaling.offset, DIVISOR: self.scaling.divisor}
        if self.target_scaling is not None:
            of_targets = (TARGET_OFFSET, TARGET_DIVISOR)
            arrays |= dict(zip(of_targets, self.target_scaling, strict=True))
        return arrays

    def metadata(self) -> dict[str, str]:
        """What the arrays mean, as JSON texts."""
        return {
            "format": FORMAT,
            "name": self.name,
            "input_shape": to_json(self.network.input_shape),
            "classes": to_json(self.classes),
            "features": to_json(self.features),
            "scaling": self.scaling_formula(),
            "target_scaling": self.target_formula(),
            "layers": to_json([_described(placed) for placed in self.network.layers]),
            "cost": self.network.cost.name,
        }

    def scaling_formula(self) -> str:
        return "none" if self.scaling is None else f"(input - {OFFSET}) / {DIVISOR}"

    def target_formula(self) -> str:
        return (
            "none"
            if self.target_scaling is None
            else f"output * {TARGET_DIVISOR} + {TARGET_OFFSET}"
        )


def _described(placed: Placed) -> dict[str, Any]:
    layer = placed.layer
    how = {key: value for key, value in vars(layer).items() if key not in _HOW_IT_STARTED}
    if isinstance(layer, WeightedLayer):
        del how["activation_parameters"]
        how |= ACTIVATIONS[layer.activation].named(layer.activation_values)
    return {
        "name": placed.name,
        "type": layer.type,
        **how,
        "input_shape": placed.input_shape,
        "output_shape": placed.output_shape,
    }


def step_of(trained: Trained, dtype: Any) -> tuple[Step, float]:
    """One step on its samples in evaluation mode, without changing the network; and its C.

    dtype: what it is computed in.
    """
    network = trained.network.astype(dtype)
    step = Step(network, None, len(trained.inputs), is_training=False, differentiable=True)
    step.inputs[...] = trained.scaled(trained.inputs, dtype)
    step.targets[...] = trained.targets
    return step, step.differentiate()
