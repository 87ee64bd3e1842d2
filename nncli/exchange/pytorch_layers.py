"""The layers of an exported PyTorch module: the line that makes each, and those of its output."""

from collections.abc import Callable, Iterator
from typing import Any

from nncli.nn.activations import ACTIVATIONS
from nncli.nn.arrays import Shape
from nncli.nn.layers import (
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    MaxPool,
    Placed,
    SizedPool,
    WeightedLayer,
)
from nncli.nn.windows import Pair, Windows

Module = tuple[str, list[str]]  # a class of torch.nn and its arguments

WIDTH = 88  # characters, ruff's default


def attribute_lines(placed: Placed) -> Iterator[str]:
    """The line that makes a layer which is a module."""
    module = LAYERS[type(placed.layer)]
    if module is not None:
        name, arguments = module(placed.layer, placed.input_shape)
        yield from call_lines(f"        self.{placed.name} = nn.{name}", arguments)


def _linear(layer: Dense, input_shape: Shape) -> Module:
    return "Linear", [str(input_shape[0]), str(layer.units), *_no_bias(layer.bias)]


def _conv(layer: Conv, input_shape: Shape) -> Module:
    arguments = [str(input_shape[0]), str(layer.filters)]
    arguments.append(f"kernel_size={_size(layer.kernel)}")
    for name, pair, default in (
        ("stride", layer.stride, (1, 1)),
        ("padding", _padding(layer.windows(input_shape)), (0, 0)),
        ("dilation", layer.dilation, (1, 1)),
    ):
        arguments += [f"{name}={_size(pair)}"] if pair not in (default, None) else []
    arguments += [f"groups={layer.groups}"] if layer.groups != 1 else []
    arguments += _no_bias(layer.bias)
    windows = layer.windows(input_shape)
    if layer.repeats(windows) and _padding(windows) is not None:
        arguments.append(f'padding_mode="{layer.padding_mode}"')
    return "Conv2d", arguments


def _pool(name: str) -> Callable[[SizedPool, Shape], Module]:
    def pool(layer: SizedPool, input_shape: Shape) -> Module:
        arguments, stride = [f"kernel_size={_size(layer.size)}"], layer.stride or layer.size
        arguments += [f"stride={_size(stride)}"] if stride != layer.size else []
        is_own = _pads_itself(layer, input_shape)
        if is_own and (padding := _padding(layer.padded_windows(input_shape))) != (0, 0):
            arguments.append(f"padding={_size(padding)}")
        if isinstance(layer, MaxPool) and layer.dilation != (1, 1):
            arguments.append(f"dilation={_size(layer.dilation)}")
        if is_own and layer.ceil_mode:
            arguments.append("ceil_mode=True")
        if is_own and isinstance(layer, AvgPool) and not layer.count_include_pad:
            arguments.append("count_include_pad=False")
        return name, arguments

    return pool


def _pads_itself(layer: SizedPool, input_shape: Shape) -> bool:
    """Whether PyTorch's pool takes the padding: alike on both sides, and half a window at most."""
    windows = layer.padded_windows(input_shape)
    return _padding(windows) is not None and all(2 * a.before <= a.reach for a in windows)


def _padded_pool(placed: Placed, layer: SizedPool) -> Iterator[str]:
    """The lines of a pool whose padding is put around the image first."""
    windows, module = layer.windows(placed.input_shape), f"self.{placed.name}"
    if isinstance(layer, MaxPool):
        yield f"        x = {module}(F.pad(x, {_around(windows)}, value=-torch.inf))"
        return
    assert isinstance(layer, AvgPool)
    if layer.count_include_pad:
        padded = layer.padded_windows(placed.input_shape)
        yield f"        x = F.pad(x, {_around(padded)})"
        rows, columns = (
            whole._replace(before=0, after=whole.after - own.after)
            for whole, own in zip(windows, padded, strict=True)
        )
        windows = Windows(rows, columns)
    if any(axis.before or axis.after for axis in windows):  # of the cells that count
        yield f"        count = F.pad(torch.ones_like(x[:1, :1]), {_around(windows)})"
        yield f"        x = {module}(F.pad(x, {_around(windows)})) / {module}(count)"
    else:
        yield f"        x = {module}(x)"


def _around(windows: Windows) -> str:
    """Padding as F.pad has it, the last axis first."""
    around = [f"{axis.before}, {axis.after}" for axis in (windows.columns, windows.rows)]
    return f"({', '.join(around)})"


def _batchnorm(layer: BatchNorm, input_shape: Shape) -> Module:
    name = "BatchNorm1d" if len(input_shape) == 1 else "BatchNorm2d"
    return name, [str(input_shape[0]), f"eps={layer.epsilon!r}", f"momentum={layer.momentum!r}"]


# By the kind of a layer: the class of PyTorch's that it is, and its arguments; None where it is a
# function.
LAYERS: dict[type[Layer], Callable[[Any, Shape], Module] | None] = {
    Dense: _linear,
    Conv: _conv,
    MaxPool: _pool("MaxPool2d"),
    AvgPool: _pool("AvgPool2d"),
    GlobalAvgPool: lambda layer, input_shape: ("AdaptiveAvgPool2d", ["1"]),
    Flatten: None,
    BatchNorm: _batchnorm,
    Dropout: lambda layer, input_shape: ("Dropout", [f"p={layer.rate!r}"]),
}


def _no_bias(bias: bool) -> list[str]:
    return [] if bias else ["bias=False"]


def _size(pair: Pair | None) -> str:
    assert pair is not None
    return str(pair[0]) if pair[0] == pair[1] else str(pair)


def forward_lines(placed: Placed) -> Iterator[str]:
    """The lines that take x through a layer."""
    layer = placed.layer
    if LAYERS[type(layer)] is None:
        yield "        x = torch.flatten(x, start_dim=1)"
        return
    if isinstance(layer, SizedPool) and not _pads_itself(layer, placed.input_shape):
        yield from _padded_pool(placed, layer)
        return
    if isinstance(layer, Conv):
        windows = layer.windows(placed.input_shape)
        if _padding(windows) is None:
            mode = f', mode="{layer.padding_mode}"' if layer.repeats(windows) else ""
            yield f"        x = F.pad(x, {_around(windows)}{mode})"
    yield f"        x = {activated(layer, f'self.{placed.name}(x)')}"


def activated(layer: Layer, z: str) -> str:
    """The expression of a layer's output where `z` is that of its weighted input."""
    if not isinstance(layer, WeightedLayer):
        return z
    return ACTIVATIONS[layer.activation].pytorch_of(z, layer.activation_values)


def _padding(windows: Windows) -> Pair | None:
    """As PyTorch's modules take it; None where before and after differ, which they cannot say."""
    if any(axis.before != axis.after for axis in windows):
        return None
    return (windows.rows.before, windows.columns.before)


def call_lines(start: str, arguments: list[str], brackets: str = "()") -> Iterator[str]:
    """`start(arguments)` over as many lines as ruff gives it."""
    opening, closing = tuple(brackets)
    indent = " " * (len(start) - len(start.lstrip()))
    inside = ", ".join(arguments)
    if len(f"{start}{opening}{inside}{closing}") <= WIDTH:
        yield f"{start}{opening}{inside}{closing}"
        return
    yield f"{start}{opening}"
    # A call's arguments may stay together on a line of their own; a display's do not.
    if brackets == "()" and len(f"{indent}    {inside}") <= WIDTH:
        yield f"{indent}    {inside}"
    else:
        yield from (f"{indent}    {argument}," for argument in arguments)
    yield f"{indent}{closing}"
