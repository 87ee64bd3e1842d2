"""safetensors and npz: the interface's names, the interface's layouts, and what they mean."""

import io
import json
from typing import Any

import numpy as np
import pytest

from nncli.core import safetensors_format
from nncli.exchange.formats import to_npz, to_safetensors
from nncli.exchange.trained import step_of
from nncli.nn.arrays import Array
from tests.exchange.networks import LENET, trained
from tests.nn.cases import relative_error
from tests.reference import backprop

SHAPES = {  # of LENET, by the interface's layouts
    "conv1.weight": (2, 1, 3, 3),
    "conv1.bias": (2,),
    "conv2.weight": (3, 2, 2, 2),
    "conv2.bias": (3,),
    "dense1.weight": (6, 4),
    "dense1.bias": (4,),
    "dense2.weight": (4, 3),
    "dense2.bias": (3,),
}


def as_read(content: dict[str, bytes]) -> tuple[dict[str, Array], dict[str, str]]:
    ((suffix, data),) = content.items()
    if suffix == ".safetensors":
        return safetensors_format.unpack(data)
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays = dict(file)
    return arrays, json.loads(str(arrays.pop("metadata")))


@pytest.mark.parametrize("write", [to_safetensors, to_npz])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
class TestBoth:
    def test_names_layouts_and_numbers(self, write: Any, dtype: Any) -> None:
        network = trained(LENET, dtype)
        arrays, _ = as_read(write(network))
        assert {name: array.shape for name, array in arrays.items()} == SHAPES
        assert all(array.dtype == dtype for array in arrays.values())
        for name, array in network.network.named(network.network.parameters).items():
            np.testing.assert_array_equal(arrays[name], array)
            assert arrays[name].flags.c_contiguous

    def test_metadata_and_arrays_are_enough_to_compute_by(self, write: Any, dtype: Any) -> None:
        """Nothing but the file, and loops that know none of nncli."""
        network = trained(LENET, dtype, "standard", classes=("a", "b", "c"))
        arrays, metadata = as_read(write(network))
        offset, divisor = arrays.pop("scaling.offset"), arrays.pop("scaling.divisor")
        assert metadata["scaling"] == "(input - scaling.offset) / scaling.divisor"
        scaled = (network.inputs.astype(float) - offset) / divisor
        record: dict[str, Any] = {}
        parameters: dict[str, Any] = {}
        for name, array in arrays.items():
            layer, key = name.split(".")
            parameters.setdefault(layer, {})[key] = array.astype(float).tolist()
        placed = backprop.named(LENET.layers, scaled[0].tolist())
        assert [p[0] for p in placed] == [x["name"] for x in json.loads(metadata["layers"])]
        backprop.forward(record, placed, parameters, scaled.tolist())
        step, _ = step_of(network, np.float64)
        assert relative_error(record["dense2.a"], step.outputs) < (1e-6 if dtype == "f4" else 1e-12)

    def test_metadata(self, write: Any, dtype: Any) -> None:
        _, metadata = as_read(write(trained(LENET, dtype, classes=("ä", '"', "[b]"))))
        assert metadata["format"] == "nncli.weights/1"
        assert (metadata["name"], metadata["cost"]) == ("lenet", "cross_entropy")
        assert json.loads(metadata["input_shape"]) == [1, 6, 6]
        assert json.loads(metadata["classes"]) == ["ä", '"', "[b]"]
        assert metadata["scaling"] == "none"
        conv = json.loads(metadata["layers"])[0]
        assert conv["padding"] == "same"
        assert (conv["kernel"], conv["activation"]) == ([3, 3], "relu")
