"""Constants of an ONNX graph that it computes from others: the widths of padding, shapes.

Exporters leave such arithmetic in graphs, PyTorch's that of its padding. Only small arrays are
computed, so that no graph can ask for large ones.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from nncli.nn.arrays import Array

MOST_NUMBERS = 4096  # of what is computed
NUMBERS = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}  # as ONNX has them


def folded(
    operator: str, given: Sequence[Array | None], attributes: Mapping[str, Any]
) -> Array | None:
    """What a node makes of constants.

    Args:
        given: its inputs; None: one that is left out.

    Returns:
        None: it is not known here, or too large, or it cannot be computed.
    """
    if operator == "Identity":
        return given[0]
    if operator not in OPERATORS or sum(a.size for a in given if a is not None) > MOST_NUMBERS:
        return None
    try:
        return OPERATORS[operator](attributes, *given)
    except (ValueError, TypeError, IndexError, AttributeError, KeyError):
        return None  # the graph is wrong there, and its reader says what it lacks


def _constant_of_shape(attributes: Mapping[str, Any], shape: Array) -> Array | None:
    from onnx import numpy_helper

    wanted = tuple(map(int, shape))
    if prod(wanted) > MOST_NUMBERS:
        return None
    value = attributes.get("value")
    fill = np.zeros(1, np.float32) if value is None else numpy_helper.to_array(value)
    return np.full(wanted, fill[0], fill.dtype)


def _slice(
    attributes: Mapping[str, Any],
    array: Array,
    starts: Array,
    ends: Array,
    axes: Array | None = None,
    steps: Array | None = None,
) -> Array:
    along = np.arange(len(starts)) if axes is None else axes
    paces = np.ones(len(starts), int) if steps is None else steps
    cut = [slice(None)] * array.ndim
    for axis, start, end, pace in zip(along, starts, ends, paces, strict=True):
        cut[int(axis)] = slice(int(start), int(end), int(pace))
    return array[tuple(cut)]


# By a node's operator, what makes its output of its attributes and inputs.
OPERATORS: dict[str, Callable[..., Array | None]] = {
    "Cast": lambda attributes, array: array.astype(NUMBERS[attributes["to"]]),
    "Concat": lambda attributes, *arrays: np.concatenate(arrays, attributes["axis"]),
    "ConstantOfShape": _constant_of_shape,
    "Reshape": lambda attributes, array, shape: array.reshape(shape.tolist()),
    "Slice": _slice,
    "Transpose": lambda attributes, array: array.transpose(attributes.get("perm")),
}
