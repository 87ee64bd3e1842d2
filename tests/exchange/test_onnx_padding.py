"""Padding in ONNX graphs: Pad nodes of any version, and what exporters write in its place."""

import re
from typing import Any

import numpy as np
import pytest

from nncli.core.errors import NncliError
from nncli.exchange.onnx_constants import MOST_NUMBERS, folded
from tests.exchange.networks import built, difference, forward

onnx = pytest.importorskip("onnx", reason="onnx is not here: pip install 'nncli[onnx]'")

SHAPE = (2, 4, 5)
WEIGHT = np.random.default_rng(0).standard_normal((3, 2, 3, 3)).astype(np.float32)
IMAGE = np.random.default_rng(1).standard_normal((2, *SHAPE)).astype(np.float32)


def read(nodes: list[Any], shape: Any = SHAPE, **arrays: Any) -> Any:
    """The network of nodes from x to p, and of a conv node behind it."""
    from nncli.exchange.from_onnx import network_of

    h, numpy_helper = onnx.helper, onnx.numpy_helper
    arrays = {"w": WEIGHT, **arrays}
    held = [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
    ends = [
        h.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims)
        for name, dims in (("x", (None, *shape)), ("y", None))
    ]
    conv = h.make_node("Conv", ["p", "w"], ["y"], name="conv")
    return network_of(h.make_model(h.make_graph([*nodes, conv], "g", ends[:1], ends[1:], held)))


def node(operator: str, inputs: str, output: str, **attributes: Any) -> Any:
    inputs_ = [name.strip("-") for name in inputs.split()]
    return onnx.helper.make_node(operator, inputs_, [output], name=operator.lower(), **attributes)


def correlated(padded: Any) -> Any:
    """What the conv node makes of images."""
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("scrkij,fcij->sfrk", windows, WEIGHT)


def check(foreign: Any, padded: Any) -> None:
    """Its first layer pads as NumPy does, and is all that there is but for the output."""
    assert [layer["type"] for layer in foreign.layers] == ["conv", "flatten", "dense"]
    right = correlated(padded).reshape(len(IMAGE), -1)
    assert difference(forward(built(foreign), IMAGE), right) < 1e-6


WIDTHS = [0, 0, 1, 2, 0, 0, 0, 1]
AROUND = [(0, 0), (0, 0), (1, 0), (2, 1)]
MODES = {"constant": "constant", "reflect": "reflect", "edge": "edge", "wrap": "wrap"}


@pytest.mark.parametrize("mode", MODES)
def test_a_pad_node(mode: str) -> None:
    how: Any = MODES[mode]
    right = np.pad(IMAGE, AROUND, mode=how)
    check(read([node("Pad", "x n", "p", mode=mode)], n=WIDTHS), right)
    # Older versions have attributes, newer ones axes.
    check(read([node("Pad", "x", "p", mode=mode, pads=WIDTHS)]), right)
    axes = [node("Pad", "x n - a", "p", mode=mode)]
    check(read(axes, n=[2, 1, 1, 0], a=[-1, 2]), right)


def test_widths_that_the_graph_computes() -> None:
    """As PyTorch writes them: from the last axis on, filled up and turned round."""
    nodes = [
        node("ConstantOfShape", "four", "zeros"),
        node("Concat", "pairs zeros", "all", axis=0),
        node("Cast", "all", "whole", to=onnx.TensorProto.INT64),
        node("Reshape", "whole two", "rows"),
        node("Slice", "rows last first axis step", "turned"),
        node("Transpose", "turned", "columns", perm=[1, 0]),
        node("Reshape", "columns one", "n"),
        node("Identity", "n", "m"),
        node("Pad", "x m", "p", mode="reflect"),
    ]
    arrays: dict[str, Any] = {
        "four": [4],
        "pairs": np.array([2, 1, 1, 0], np.float32),
        "two": [-1, 2],
        "last": [-1],
        "first": [np.iinfo(np.int64).min + 1],
        "axis": [0],
        "step": [-1],
        "one": [-1],
    }
    check(read(nodes, **arrays), np.pad(IMAGE, AROUND, mode="reflect"))


def test_only_small_constants_are_computed() -> None:
    huge = np.array([MOST_NUMBERS, MOST_NUMBERS])
    assert folded("ConstantOfShape", [huge], {}) is None
    assert folded("Concat", [np.zeros(MOST_NUMBERS), np.zeros(1)], {"axis": 0}) is None
    assert folded("Concat", [np.zeros(2), np.zeros((1, 1))], {"axis": 0}) is None  # cannot be
    assert folded("Reshape", [np.zeros(2), np.array([3])], {}) is None
    assert folded("Add", [np.zeros(2), np.zeros(2)], {}) is None


def test_lines_that_are_repeated() -> None:
    """Circular padding before a version of ONNX had it: slices that are joined, or indices."""
    right = np.pad(IMAGE, [(0, 0), (0, 0), (1, 1), (2, 0)], mode="wrap")
    end = np.iinfo(np.int64).max
    slices = [
        node("Slice", "x last end rows", "above"),
        node("Slice", "x first one rows", "below"),
        node("Concat", "above x below", "r", axis=2),
        node("Slice", "r two end columns", "left"),
        node("Concat", "left r", "p", axis=3),
    ]
    arrays = {"last": [-1], "end": [end], "rows": [2], "first": [0], "one": [1], "two": [-2]}
    check(read(slices, **arrays, columns=[3]), right)
    gathers = [node("Gather", "x i", "r", axis=2), node("Gather", "r j", "p", axis=-1)]
    check(read(gathers, i=[3, 0, 1, 2, 3, 0], j=[3, 4, 0, 1, 2, 3, 4]), right)
    other = [slices[1], node("Concat", "below x below", "p", axis=2)]
    with pytest.raises(NncliError, match=r"concat \(Concat\): takes parts of its input"):
        read(other, **arrays)


def test_the_mean_of_each_channel() -> None:
    from nncli.exchange.from_onnx import network_of

    h = onnx.helper
    ends = [
        h.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (None, *dims))
        for name, dims in (("x", SHAPE), ("y", (2,)))
    ]
    for attributes, fits in (
        ({"axes": [-1, -2], "keepdims": 0}, True),
        ({"axes": [2, 3]}, True),
        ({"axes": [1]}, False),
        ({}, False),
    ):
        nodes = [node("ReduceMean", "x", "m", **attributes), node("Flatten", "m", "f")]
        nodes.append(node("LogSoftmax", "f", "y", axis=1))
        model = h.make_model(h.make_graph(nodes, "g", ends[:1], ends[1:]))
        if not fits:
            with pytest.raises(NncliError, match=r"reducemean \(ReduceMean\): is a mean over"):
                network_of(model)
            continue
        foreign = network_of(model)
        assert [layer["type"] for layer in foreign.layers] == ["global_avgpool", "flatten", "dense"]
        assert "logsoftmax (LogSoftmax) is a softmax, and its logarithm is" in foreign.notes[0]
        z = np.exp(IMAGE.mean((2, 3)))
        assert difference(forward(built(foreign), IMAGE), z / z.sum(1, keepdims=True)) < 1e-6


def test_what_has_no_place_is_refused() -> None:
    for nodes, arrays, message in (
        ([node("Pad", "x n", "p")], {"n": [0, 1, 0, 0, 0, 0, 0, 0]}, "pads the channels"),
        ([node("Pad", "x n", "p")], {"n": [0, 0, 0, 0, 1, 0, 0, 0]}, "pads the samples"),
        ([node("Pad", "x n", "p")], {"n": [0, 0, 0, 0, 0, 0, -1, 0]}, "cuts cells off the image"),
        ([node("Pad", "x n f", "p")], {"n": WIDTHS, "f": np.float32(2)}, "pads with 2; nncli pads"),
        ([node("Pad", "x n", "p", mode="mirror")], {"n": WIDTHS}, "pads by mirror, which nncli"),
        ([node("Pad", "x n", "p", mode="wrap")], {"n": [0, 0, 5, 0, 0, 0, 0, 0]}, "by 5 rows"),
        ([node("Pad", "x x", "p")], {}, "takes a second value that is computed"),
        ([node("Gather", "x i", "p", axis=1)], {"i": [0, 1]}, "takes parts of its input"),
        ([node("Gather", "x i", "p", axis=2)], {"i": [[0, 1]]}, "takes parts of its input"),
        ([node("Gather", "x i", "p", axis=3)], {"i": [0, 1, 2]}, "takes parts of its input"),
    ):
        with pytest.raises(NncliError, match=re.escape(message)):
            read(nodes, **arrays)
    vector = [node("Pad", "x n", "p")]
    with pytest.raises(NncliError, match="pads a vector; nncli pads images"):
        read(vector, (4,), n=[0, 1, 0, 0])
