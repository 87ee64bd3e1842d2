"""How much memory a step takes, known before any of it is asked for."""

from collections.abc import Sequence
from math import prod

from nncli.nn.layers import Conv, Learner, Pool
from nncli.nn.network import Placed


def layer_numbers(placed: Placed, n: int) -> int:
    """How many numbers a layer's part of a step holds, its parameters' gradients included.

    n: the samples of a mini-batch.
    """
    outputs, inputs = prod(placed.output_shape) * n, prod(placed.input_shape) * n
    match placed.layer:
        case Conv() as conv:
            windows = conv.windows(placed.input_shape)
            padded = placed.input_shape[0] * prod(windows.padded_shape) * n
            patches = prod(placed.parameter_shapes["weight"][1:]) * prod(windows.output_shape) * n
            numbers = 4 * outputs + 2 * padded + patches
        case Learner():
            numbers = 5 * outputs + inputs
        case Pool():
            numbers = 3 * outputs + inputs
        case _:
            numbers = 0
    return numbers + 3 * sum(map(prod, placed.parameter_shapes.values()))


def step_bytes(layers: Sequence[Placed], n: int, itemsize: int) -> int:
    """About how many bytes a step takes."""
    return itemsize * sum(layer_numbers(placed, n) for placed in layers)
