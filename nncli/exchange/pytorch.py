"""A trained network as a self-contained PyTorch module, with its weights and numbers to check it.

Three files of one name: the module (.py), its state_dict (.weights.safetensors), and numbers that
nncli computed (.check.safetensors), which the module reproduces when it is run.
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nncli.core import safetensors_format
from nncli.core.errors import NncliError
from nncli.core.text import sizes
from nncli.exchange.trained import (
    BUFFERS,
    PYTORCH,
    STATE_IN_PYTORCH,
    Affine,
    Files,
    Trained,
    step_of,
)
from nncli.nn.activations import ACTIVATIONS
from nncli.nn.arrays import Array, Shape
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
from nncli.nn.network import Network
from nncli.nn.windows import Pair, Windows


def to_pytorch(trained: Trained) -> Files:
    """The three files.

    Raises:
        NncliError: the cost of its samples is not finite, so there is nothing to check by.
    """
    return {
        ".weights.safetensors": safetensors_format.pack(_state(trained), PYTORCH),
        ".check.safetensors": safetensors_format.pack(_reference(trained), PYTORCH),
        ".py": source(trained).encode(),
    }


def _state(trained: Trained) -> dict[str, Array]:
    """The module's state_dict, its buffers included."""
    state = as_state_dict(trained.network)
    if trained.scaling is not None and not trained.scaling.is_division:
        state |= dict(zip(BUFFERS, trained.scaling, strict=True))
    return state


def as_state_dict(network: Network) -> dict[str, Array]:
    """Parameters and what layers keep, by PyTorch's names and as it lays them out."""
    state = as_pytorch(network, network.parameters)
    for name, array in network.state.items():
        layer, _, key = name.partition(".")
        state[f"{layer}.{STATE_IN_PYTORCH[key]}"] = array
    return state


def as_pytorch(network: Network, flat: Array) -> dict[str, Array]:
    """Parameters, or their gradients, as PyTorch lays them out: weights of dense units x inputs."""
    named = network.named(flat)
    return {name: array.T if array.ndim == 2 else array for name, array in named.items()}


def _reference(trained: Trained) -> dict[str, Array]:
    """The results of one step on its samples, as nncli computes them.

    The step is taken in float64, where rounding can hide no mistake; outputs are given in the
    network's own type too.
    """
    step, cost = step_of(trained, np.float64)
    if not math.isfinite(cost):
        raise NncliError(f"the cost of its first samples is {cost}: there is no step to check by")
    assert step.gradient is not None
    gradients = as_pytorch(step.network, step.gradient)
    own, _ = step_of(trained, trained.network.dtype)
    return {
        "inputs": trained.inputs,
        "targets": step.targets,
        "outputs_in_own_type": np.ascontiguousarray(own.outputs),
        "outputs": np.ascontiguousarray(step.outputs),
        "cost": np.array(cost),
        **{f"gradient.{name}": gradient for name, gradient in gradients.items()},
    }


Module = tuple[str, list[str]]  # a class of torch.nn and its arguments

WIDTH = 88  # characters, ruff's default

HEAD = '''\
"""{name}

A network trained by nncli, as a PyTorch module.
Needs PyTorch and safetensors: pip install torch safetensors

Two files of the same name lie beside it: its weights (.weights.safetensors), and
numbers that nncli computed (.check.safetensors). Run as a program, it reproduces those:
the outputs, and the gradients of one step.
"""

import sys
from pathlib import Path

try:
    import torch
{functional}    from safetensors.torch import load_file
    from torch import nn
except ImportError as error:
    raise ImportError(f"{{error}}: pip install torch safetensors") from error

WEIGHTS = Path(__file__).with_suffix(".weights.safetensors")
REFERENCE = Path(__file__).with_suffix(".check.safetensors")
'''

TAIL = '''\
def load() -> Network:
    """The network with its trained weights{mode}."""
    model = Network(){double}
    model.load_state_dict(load_file(WEIGHTS))
    return model{evaluation}


def cost(model: Network, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """{cost}."""
{cost_lines}


def check() -> bool:
    """Whether PyTorch computes what nncli computed; prints the largest differences."""
    model, reference = load(), load_file(REFERENCE)
    x, y = reference["inputs"], reference["targets"]
    print(f"samples: {{len(x)}}; differences relative to the largest number:")
    with torch.no_grad():
        own = reference["outputs_in_own_type"]
        here, exact = model(x), reference["outputs"]
        # PyTorch's own rounding may be larger, as behind a batchnorm of inputs that are
        # far from 0.
        largest = max(exact.abs().max().item(), 1e-3)
        rounding = (here - exact).abs().max().item() / largest
        allowed = max({own_tolerance}, 1.5 * rounding)
        results = [agrees(f"outputs in {{own.dtype}}", here, own, allowed)]
    # The step is compared in float64, where rounding can hide no mistake.
    model.double()
    c = cost(model, x.double(), y)
    c.backward()
    results.append(agrees("outputs", model(x.double()), reference["outputs"]))
    results.append(agrees("cost", c, reference["cost"]))
    for name, parameter in model.named_parameters():
        gradient = reference[f"gradient.{{name}}"]
        results.append(agrees(f"gradient of {{name}}", parameter.grad, gradient))
    print("PASSED" if all(results) else "FAILED")
    return all(results)


def agrees(
    name: str, here: torch.Tensor, there: torch.Tensor, allowed: float = 1e-9
) -> bool:
    # Numbers below 1e-3 count as 1e-3: of a gradient that has vanished only rounding
    # is left.
    largest = max(there.abs().max().item(), 1e-3)
    difference = (here.detach() - there).abs().max().item() / largest
    passed = difference <= allowed
    verdict = "" if passed else f"  more than {{allowed:.0e}}"
    print(f"  {{name:30}}  {{difference:.1e}}{{verdict}}")
    return passed


if __name__ == "__main__":
    sys.exit(0 if check() else 1)
'''


def source(trained: Trained) -> str:
    """The module's text."""
    network = trained.network
    cost = network.cost
    module = "\n".join(module_lines(trained))
    functional = "    import torch.nn.functional as F\n"
    head = HEAD.format(
        name=plain(trained.name),
        functional=functional if needs_functional(trained) else "",
    )
    is_modal = any(placed.layer.has_modes for placed in network.layers)
    tail = TAIL.format(
        double=".double()" if network.dtype == "float64" else "",
        mode=", in evaluation mode" if is_modal else "",
        evaluation=".eval()" if is_modal else "",
        cost=cost.meaning,
        cost_lines="\n".join(f"    {line}" for line in cost.pytorch),
        own_tolerance="1e-9" if network.dtype == "float64" else "1e-5",
    )
    classes = "" if trained.classes is None else "\n".join(_classes(trained.classes)) + "\n"
    return f"{head}{classes}\n\n{module}\n\n\n{tail}"


def needs_functional(trained: Trained) -> bool:
    """Whether its module or its cost names F, torch.nn.functional."""
    return "F." in "".join((*module_lines(trained), *trained.network.cost.pytorch))


def plain(name: str) -> str:
    """A name as it may be written in a docstring: letters, digits, and little else."""
    return re.sub(r"[^\w .,+-]", "_", name).strip() or "network"


def literal(text: str) -> str:
    """A string literal, in the quotes that ruff prefers; what does not print is escaped."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    inside = (
        f"\\{c}" if c in (quote, "\\") else c if c.isprintable() else repr(c)[1:-1] for c in text
    )
    return f"{quote}{''.join(inside)}{quote}"


def _classes(classes: tuple[str, ...]) -> Iterator[str]:
    yield from call_lines("CLASSES = ", [literal(name) for name in classes], brackets="[]")


def module_lines(trained: Trained) -> Iterator[str]:
    """The class of the network."""
    network, scaling = trained.network, trained.scaling
    by_logits = network.cost.activation is not None
    shapes = (sizes(shape) for shape in (network.input_shape, network.output_shape))
    raw = "raw inputs" if scaling is not None else "inputs"
    yield "class Network(nn.Module):"
    yield '    """From {} to {}: samples x {} to samples x {}."""'.format(raw, "outputs", *shapes)
    yield ""
    yield "    def __init__(self) -> None:"
    yield "        super().__init__()"
    if scaling is not None and not scaling.is_division:
        for name, array in zip(BUFFERS, scaling, strict=True):
            shape = ", ".join(map(str, array.shape))
            zeros = [f'"{name}"', f"torch.zeros({shape}, dtype=torch.float64)"]
            yield from call_lines("        self.register_buffer", zeros)
    for placed in network.layers:
        yield from _attribute(placed)
    if scaling is not None:
        yield ""
        yield from _scale(network, scaling)
    yield ""
    *hidden, last = network.layers
    begin = [] if scaling is None else ["        x = self.scale(x)"]
    body = [*begin, *(line for placed in hidden for line in _forward(placed))]
    z = f"self.{last.name}(x)"
    if by_logits:
        yield "    def logits(self, x: torch.Tensor) -> torch.Tensor:"
        yield '        """z of the last layer."""'
        yield from body
        yield f"        return {z}"
        yield ""
        body, z = [], "self.logits(x)"
    yield "    def forward(self, x: torch.Tensor) -> torch.Tensor:"
    yield from body
    yield f"        return {_activated(last.layer, z)}"


def _scale(network: Network, scaling: Affine) -> Iterator[str]:
    weight = next(f"self.{p.name}.weight" for p in network.layers if p.activation is not None)
    formula = "((x.double() - self.offset) / self.divisor)"
    if scaling.is_division:
        formula = f"(x.double() / {scaling.divisor.item()!r})"
    yield "    def scale(self, x: torch.Tensor) -> torch.Tensor:"
    yield '        """Raw inputs as the layers were trained on them."""'
    yield f"        return {formula}.to({weight}.dtype)"


def _attribute(placed: Placed) -> Iterator[str]:
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


def _forward(placed: Placed) -> Iterator[str]:
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
    yield f"        x = {_activated(layer, f'self.{placed.name}(x)')}"


def _activated(layer: Layer, z: str) -> str:
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
