"""The safetensors package reads what nncli writes, and nncli what it writes."""

from pathlib import Path

import numpy as np
import pytest

from nncli.core import safetensors_format as ours
from nncli.exchange.formats import to_safetensors
from tests.exchange.networks import LENET, trained

theirs = pytest.importorskip("safetensors", reason="safetensors is not here: make peers")
numpy = pytest.importorskip("safetensors.numpy", reason="safetensors is not here: make peers")


@pytest.mark.parametrize("scaling", ["none", "number", "standard"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_they_read_an_export(dtype: str, scaling: str, tmp_path: Path) -> None:
    network = trained(LENET, dtype, scaling, classes=("a", "ß", '"'))
    path = tmp_path / "w.safetensors"
    path.write_bytes(to_safetensors(network)[".safetensors"])
    read = numpy.load_file(path)
    assert read.keys() == network.arrays().keys()
    for name, array in network.arrays().items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)
    with theirs.safe_open(path, "np") as file:
        assert file.metadata() == network.metadata()


def test_we_read_what_they_write() -> None:
    arrays = {
        "a": np.arange(6.0).reshape(2, 3),
        "b": np.array([1, 2], np.float32),
        "c": np.array(3),
    }
    again, metadata = ours.unpack(numpy.save(arrays, metadata={"format": "np"}))
    assert metadata == {"format": "np"}
    assert again.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)
