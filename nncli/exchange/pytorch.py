"""A trained network as a self-contained PyTorch module, with its weights and numbers to check it.

Three files of one name: the module (.py), its state_dict (.weights.safetensors), and numbers that
nncli computed (.check.safetensors), which the module reproduces when it is run.
"""

import math

import numpy as np

from nncli.core import safetensors_format
from nncli.core.errors import NncliError
from nncli.exchange.pytorch_source import source
from nncli.exchange.trained import BUFFERS, PYTORCH, STATE_IN_PYTORCH, Files, Trained, step_of
from nncli.nn.arrays import Array
from nncli.nn.network import Network


def to_pytorch(trained: Trained) -> Files:
    """The three files.

    Raises:
        NncliError: the cost of its samples is not finite, so there is nothing to check by.
    """
    return {
        ".weights.safetensors": safetensors_format.pack(_state(trained), PYTORCH),
        ".check.safetensors": safetensors_format.pack(_reference(trained), PYTORCH),
        ".py": source(trained).encode(),
    }


def _state(trained: Trained) -> dict[str, Array]:
    """The module's state_dict, its buffers included."""
    state = as_state_dict(trained.network)
    if trained.scaling is not None and not trained.scaling.is_division:
        state |= dict(zip(BUFFERS, trained.scaling, strict=True))
    return state


def as_state_dict(network: Network) -> dict[str, Array]:
    """Parameters and what layers keep, by PyTorch's names and as it lays them out."""
    state = as_pytorch(network, network.parameters)
    for name, array in network.state.items():
        layer, _, key = name.partition(".")
        state[f"{layer}.{STATE_IN_PYTORCH[key]}"] = array
    return state


def as_pytorch(network: Network, flat: Array) -> dict[str, Array]:
    """Parameters, or their gradients, as PyTorch lays them out: weights of dense units x inputs."""
    named = network.named(flat)
    return {name: array.T if array.ndim == 2 else array for name, array in named.items()}


def _reference(trained: Trained) -> dict[str, Array]:
    """The results of one step on its samples, as nncli computes them.

    The step is taken in float64, where rounding can hide no mistake; outputs are given in the
    network's own type too.
    """
    step, cost = step_of(trained, np.float64)
    if not math.isfinite(cost):
        raise NncliError(f"the cost of its first samples is {cost}: there is no step to check by")
    assert step.gradient is not None
    gradients = as_pytorch(step.network, step.gradient)
    own, _ = step_of(trained, trained.network.dtype)
    return {
        "inputs": trained.inputs,
        "targets": step.targets,
        "outputs_in_own_type": np.ascontiguousarray(own.outputs),
        "outputs": np.ascontiguousarray(step.outputs),
        "cost": np.array(cost),
        **{f"gradient.{name}": gradient for name, gradient in gradients.items()},
    }
