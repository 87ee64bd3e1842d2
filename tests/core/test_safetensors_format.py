"""The safetensors format: what was written comes back, what is damaged is refused."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nncli.core import safetensors_format
from nncli.core.errors import RunError

DTYPES = st.sampled_from([np.dtype(code) for code in safetensors_format.DTYPES.values()])
ARRAYS = DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0)))


@given(st.dictionaries(st.text(min_size=1).filter(lambda n: n != "__metadata__"), ARRAYS))
def test_what_was_packed_comes_back(arrays: safetensors_format.Arrays) -> None:
    again, metadata = safetensors_format.unpack(safetensors_format.pack(arrays, {"format": "x"}))
    assert metadata == {"format": "x"}
    assert again.keys() == arrays.keys()
    for name, array in arrays.items():
        assert again[name].dtype == array.dtype
        np.testing.assert_array_equal(again[name], array)


def test_the_layout_is_the_published_one() -> None:
    content = safetensors_format.pack({"w": np.array([[1.0, 2.0]], np.float32)}, {})
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    assert header["w"] == {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}
    assert content[8 + length :] == struct.pack("<2f", 1.0, 2.0)
    assert length % 8 == 0


WHOLE = safetensors_format.pack(
    {"w": np.arange(6.0).reshape(2, 3), "b": np.zeros(2, "f4")}, {"a": "b"}
)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), st.booleans())
def test_damage_is_refused_or_harmless(at: int, byte: int, cut: bool) -> None:
    damaged = WHOLE[:at] if cut else WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :]
    try:
        arrays, _ = safetensors_format.unpack(damaged)
    except ValueError:
        return
    assert sum(array.nbytes for array in arrays.values()) <= len(WHOLE)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(b"\xff" * 20)
    with pytest.raises(RunError, match=r"checkpoint.safetensors: not a whole safetensors file"):
        safetensors_format.read(path)
    with pytest.raises(RunError, match="cannot be read: no such file"):
        safetensors_format.read(tmp_path / "none")


def entry(**changed: object) -> dict[str, object]:
    return {"w": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16], **changed}}


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({"__metadata__": []}, "its metadata are not strings"),
        ({"__metadata__": None}, "its metadata are not strings"),
        ({"__metadata__": {"format": 1}}, "its metadata are not strings"),
        ({"w": None}, "'w' lacks its dtype, shape or data_offsets"),
        ({"w": {"dtype": "F64"}}, "'w' lacks its dtype, shape or data_offsets"),
        (entry(dtype="F128"), "'w' is of 'F128'; known are F64"),
        (entry(dtype=["F64"]), "known are F64"),
        (entry(shape="ab"), "a shape or a place that is not of whole numbers"),
        (entry(shape=[-2]), "not of whole numbers"),
        (entry(shape=[2.0]), "not of whole numbers"),
        (entry(data_offsets=[16]), "not of whole numbers"),
        (entry(data_offsets=None), "not of whole numbers"),
        (entry(data_offsets=[0, 2**70]), "does not lie where the header says"),
        (entry(shape=[2**70, 0], data_offsets=[0, 0]), "a shape that no array has"),
        (entry(shape=[1] * 100, data_offsets=[0, 8]), "a shape that no array has"),
        ({"x" * 10**5: 1}, "'x{39}…' lacks"),
        ([], "not a JSON object"),
    ],
)
def test_a_header_that_makes_no_sense_is_told_in_plain_words(header: object, told: str) -> None:
    text = json.dumps(header).encode()
    with pytest.raises(ValueError, match=told):
        safetensors_format.unpack(len(text).to_bytes(8, "little") + text + bytes(16))


@pytest.mark.parametrize("text", [b"[" * 100_000, b"{", b"\xff", b'{"a": ' + b"9" * 5000 + b"}"])
def test_a_header_that_is_no_json_is_told_so(text: bytes) -> None:
    with pytest.raises(ValueError, match="its header is no JSON"):
        safetensors_format.unpack(len(text).to_bytes(8, "little") + text)


def test_a_header_larger_than_any_network_has_is_not_parsed() -> None:
    text = b'{"a": [' + b"[]," * (2 << 20) + b"1]}"
    with pytest.raises(ValueError, match="longer than any network's"):
        safetensors_format.unpack(len(text).to_bytes(8, "little") + text)
