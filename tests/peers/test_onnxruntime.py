"""onnxruntime computes from an export what nncli computes."""

from typing import Any

import numpy as np
import pytest

from nncli.exchange.onnx_graph import to_onnx
from nncli.exchange.trained import Affine, step_of
from tests.exchange.networks import ALL_CASES, LENET, SCALINGS, difference, trained

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not here: make peers")


def outputs_of(network: Any, inputs: Any) -> Any:
    session = onnxruntime.InferenceSession(to_onnx(network)[".onnx"])
    return session.run(None, {"input": inputs})[0]


@pytest.mark.parametrize("case", ALL_CASES, ids=str)
def test_equal_outputs(case: Any) -> None:
    for scaling in SCALINGS:
        network = trained(case, scaling=scaling)
        step, _ = step_of(network, np.float32)
        assert difference(outputs_of(network, network.inputs), step.outputs) < 1e-6


@pytest.mark.parametrize("case", ALL_CASES[::5], ids=str)
def test_a_float64_network_in_float32(case: Any) -> None:
    network = trained(case, np.float64)
    step, _ = step_of(network, np.float64)
    outputs = outputs_of(network, network.inputs.astype(np.float32))
    assert difference(outputs, step.outputs) < 1e-6


def test_any_number_of_samples() -> None:
    network = trained(LENET, scaling="number")
    session = onnxruntime.InferenceSession(to_onnx(network)[".onnx"])
    assert [i.shape for i in session.get_inputs()] == [["samples", 1, 6, 6]]
    (one,) = session.run(None, {"input": network.inputs[:1]})
    (many,) = session.run(None, {"input": np.repeat(network.inputs[:1], 100, axis=0)})
    np.testing.assert_allclose(many, np.repeat(one, 100, axis=0), rtol=1e-6)


def test_outputs_are_in_the_targets_own_units() -> None:
    network = trained(LENET, scaling="standard")
    units = Affine(np.array([1e3, 0, -5.0]), np.array([200.0, 1, 1e-3]))
    step, _ = step_of(network, np.float32)
    outputs = outputs_of(network._replace(target_scaling=units), network.inputs)
    own = step.outputs.astype(np.float64) * units.divisor + units.offset
    np.testing.assert_allclose(outputs, own, rtol=1e-6)
