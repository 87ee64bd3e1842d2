"""How much memory a step takes, known before any of it is asked for."""

from collections.abc import Sequence
from math import prod

from nncli.nn.conv_step import collects, gradient_room
from nncli.nn.layers import Conv, Learner, Pool
from nncli.nn.network import Placed
from nncli.nn.patches import BLOCK


def layer_numbers(placed: Placed, n: int) -> int:
    """How many numbers a layer's part of a step holds, its parameters' gradients included.

    n: the samples of a mini-batch.
    """
    outputs, inputs = prod(placed.output_shape) * n, prod(placed.input_shape) * n
    match placed.layer:
        case Conv() as conv:
            windows = conv.windows(placed.input_shape)
            filters, channels = conv.filters, placed.input_shape[0]
            padded = channels * prod(windows.padded_shape) * n
            weight, count = placed.parameter_shapes["weight"], prod(windows.output_shape) * n
            patches = prod(weight[1:]) * count
            if collects(windows, channels, filters):
                way_down = inputs + filters * prod(windows.turned().padded_shape) * n
            else:
                way_down = padded + patches
            blocks = min(patches, BLOCK // filters) + gradient_room(weight, count)
            numbers = 4 * outputs + padded + blocks + way_down
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
