"""Every gradient against differences of the cost, which know nothing of backpropagation."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nncli.nn.step import Step
from tests.conftest import mostly_slow

from .cases import ALL_CASES, relative_error, settle

H = 1e-5
TINY = 1e-30  # a complex step subtracts nothing, so it can be as small as one likes


def central_differences(step: Step, array: NDArray[Any]) -> NDArray[Any]:
    """∂(Σ_x C_x) by every entry of `array`, from the cost a little above and a little below."""
    slopes = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        value = array[index]
        costs = []
        for moved in (value + H, value - H):
            array[index] = moved
            step.forward()
            costs.append(step.passes[0].total_cost())
        array[index] = value
        slopes[index] = (costs[0] - costs[1]) / (2 * H)
    return slopes


def complex_steps(step: Step, array: NDArray[Any]) -> NDArray[Any]:
    """∂(Σ_x C_x) by every entry of `array`: Im f(x + ih) / h (Squire and Trapp 1998)."""
    slopes = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + 1j * TINY
        step.forward()
        array[index] = value
        slopes[index] = step.passes[0].total_cost().imag / TINY
    return slopes


def worst_error(case: Any, dtype: Any, differences: Any) -> float:
    """The largest relative error among the gradients of each parameter and ∂C_x/∂input."""
    setting = settle(case)
    step = setting.step()
    step.run(0.0, full=True)
    probe = setting.step(dtype)
    network = probe.network
    slopes = network.views(differences(probe, network.parameters) / case.n)
    errors = [
        relative_error(layer.gradients[key], slopes[layer.name][key])
        for layer in step.layers
        for key in layer.gradients
    ]
    downstream = np.moveaxis(step.layers[0].downstream, -1, 0)
    return max(*errors, relative_error(downstream, differences(probe, probe.inputs)))


@pytest.mark.parametrize("case", mostly_slow(ALL_CASES, 6), ids=str)
def test_gradients_against_central_differences(case: Any) -> None:
    assert worst_error(case, np.float64, central_differences) < 1e-7


@pytest.mark.parametrize("case", mostly_slow(ALL_CASES, 3), ids=str)
def test_gradients_against_complex_steps(case: Any) -> None:
    assert worst_error(case, np.complex128, complex_steps) < 1e-13
