"""How much memory a step takes, known before any of it is asked for."""

from collections.abc import Sequence
from math import prod

from nncli.nn.layers.base import Conv, Learner, Pool
from nncli.nn.layers.conv_step import collects, gradient_rows, gradient_width
from nncli.nn.network import Placed
from nncli.nn.patches import product_width, room_numbers


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
            weight = placed.parameter_shapes["weight"]
            weights, taps = prod(weight), prod(weight[1:])
            if collects(windows, channels, filters):
                back, wide = windows.turned(), product_width(weights)
                way_down = inputs + filters * prod(back.padded_shape) * n
                way_down += room_numbers(back, filters, n, wide) + weights
            else:
                way_down = padded + taps * prod(windows.output_shape) * n
            rooms = sum(
                room_numbers(windows, channels, n, wide)
                for wide in (product_width(weights), gradient_width(taps))
            )
            rooms += (gradient_rows(windows, weights) + 3) * weights
            numbers = 4 * outputs + padded * windows.is_padded + rooms + way_down
        case Learner():
            numbers = 5 * outputs + inputs
        case Pool():
            numbers = 3 * outputs + inputs
        case _:
            numbers = 0
    return numbers + 3 * sum(map(prod, placed.parameter_shapes.values()))


def step_bytes(layers: Sequence[Placed], n: int, itemsize: int) -> int:
    """About how many bytes a step takes."""
    first = layers[0]
    # The mini-batch as it was gathered and, where there are windows, with the samples last.
    copies = 2 if isinstance(first.layer, Conv | Pool) else 1
    given = copies * prod(first.input_shape) * n
    return itemsize * (given + sum(layer_numbers(placed, n) for placed in layers))
