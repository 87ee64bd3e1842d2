"""ONNX, by the reference evaluator of the onnx package; onnxruntime has its turn in tests/peers."""

import sys
from typing import Any

import numpy as np
import pytest
from onnx import checker, load_from_string
from onnx.reference import ReferenceEvaluator

from nncli.core.errors import NncliError
from nncli.exchange import onnx_graph
from nncli.exchange.onnx_graph import notes, to_onnx
from nncli.exchange.trained import Trained, step_of
from tests.exchange.networks import FEW, LENET, SCALINGS, trained
from tests.nn.cases import Case, relative_error


def model_of(network: Trained) -> Any:
    return load_from_string(to_onnx(network)[".onnx"])


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("case", FEW, ids=str)
def test_it_computes_what_nncli_computes(case: Case, scaling: str) -> None:
    network = trained(case, scaling=scaling)
    step, _ = step_of(network, np.float32)
    outputs: Any
    (outputs,) = ReferenceEvaluator(model_of(network)).run(None, {"input": network.inputs})
    assert outputs.dtype == np.float32
    assert relative_error(outputs, step.outputs) < 1e-6


def test_the_model_says_what_it_is() -> None:
    model = model_of(trained(LENET, classes=("a", "b", "ß")))
    checker.check_model(model, full_check=True)
    (tensor,) = model.graph.input
    sizes = [d.dim_param or d.dim_value for d in tensor.type.tensor_type.shape.dim]
    assert (tensor.name, sizes) == ("input", ["samples", 1, 6, 6])
    assert [tensor.name for tensor in model.graph.output] == ["output"]
    properties = {p.key: p.value for p in model.metadata_props}
    assert properties["classes"] == '["a", "b", "\\u00df"]'
    names = [node.name for node in model.graph.node]
    assert names == ["conv1.z", "conv1", "avgpool1", "conv2.z", "conv2", "maxpool1", "flatten1",
                     "dense1.z", "dense1", "dense2.z", "dense2"]  # fmt: skip
    assert {w.name for w in model.graph.initializer} >= {"conv1.weight", "dense2.bias"}


def test_any_number_of_samples() -> None:
    network = trained(LENET)
    evaluator = ReferenceEvaluator(model_of(network))
    one: Any
    many: Any
    (one,) = evaluator.run(None, {"input": network.inputs[:1]})
    (many,) = evaluator.run(None, {"input": np.repeat(network.inputs[:1], 5, axis=0)})
    np.testing.assert_allclose(many, np.repeat(one, 5, axis=0), rtol=1e-6)


def test_float64_becomes_float32_and_that_is_said() -> None:
    network = trained(LENET, np.float64)
    assert [w.data_type for w in model_of(network).graph.initializer] == [1] * 8
    assert list(notes(network)) == ["the weights were rounded from float64 to float32"]
    assert list(notes(trained(LENET))) == []


def test_numbers_too_large_for_float32_are_refused() -> None:
    network = trained(LENET, np.float64)
    network.network.views(network.network.parameters)["conv2"]["bias"][1] = 1e39
    with pytest.raises(NncliError, match=r"conv2\.bias holds numbers too large for float32"):
        to_onnx(network)


def test_more_than_two_gibibytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_graph, "LARGEST_FILE", 4 * 70)
    assert trained(LENET).network.parameters.size == 90
    with pytest.raises(NncliError, match="90 parameters do not fit in an ONNX file"):
        to_onnx(trained(LENET))


def test_without_the_extra_it_names_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(NncliError, match=r"needs onnx: pip install 'nncli\[onnx\]'"):
        to_onnx(trained(LENET))
