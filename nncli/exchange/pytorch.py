"""A trained network as a self-contained PyTorch module, with its weights and numbers to check it.

Three files of one name: the module (.py), its state_dict (.weights.safetensors), and numbers that
nncli computed (.check.safetensors), which the module reproduces when it is run.
"""

import math
import re
from collections.abc import Iterator

import numpy as np

from nncli.core import safetensors_format
from nncli.core.errors import NncliError
from nncli.core.text import sizes
from nncli.exchange.pytorch_layers import activated, attribute_lines, call_lines, forward_lines
from nncli.exchange.trained import (
    BUFFERS,
    PYTORCH,
    STATE_IN_PYTORCH,
    TARGET_BUFFERS,
    Affine,
    Files,
    Trained,
    step_of,
)
from nncli.nn.arrays import Array
from nncli.nn.network import Network


def to_pytorch(trained: Trained) -> Files:
    """The three files.

    Raises:
        NncliError: the cost of its samples is not finite, so there is nothing to check by.
    """
    return {
        ".weights.safetensors": safetensors_format.pack(state_of(trained), PYTORCH),
        ".check.safetensors": safetensors_format.pack(_reference(trained), PYTORCH),
        ".py": source(trained).encode(),
    }


def state_of(trained: Trained) -> dict[str, Array]:
    """The module's state_dict, its buffers included."""
    state = as_state_dict(trained.network)
    if trained.scaling is not None and not trained.scaling.is_division:
        state |= dict(zip(BUFFERS, trained.scaling, strict=True))
    if trained.target_scaling is not None:
        state |= dict(zip(TARGET_BUFFERS, trained.target_scaling, strict=True))
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
        "outputs_in_own_type": np.ascontiguousarray(trained.in_own_units(own.outputs)),
        "outputs": np.ascontiguousarray(trained.in_own_units(step.outputs)),
        "cost": np.array(cost),
        **{f"gradient.{name}": gradient for name, gradient in gradients.items()},
    }


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
    module = list(module_lines(trained))
    head = HEAD.format(name=plain(trained.name), functional=functional_import(trained, module))
    is_modal = any(placed.layer.has_modes for placed in network.layers)
    tail = TAIL.format(
        double=".double()" if network.dtype == "float64" else "",
        mode=", in evaluation mode" if is_modal else "",
        evaluation=".eval()" if is_modal else "",
        cost=cost.meaning,
        cost_lines="\n".join(f"    {line}" for line in _cost_lines(trained)),
        own_tolerance="1e-9" if network.dtype == "float64" else "1e-5",
    )
    classes = "" if trained.classes is None else "\n".join(class_lines(trained.classes)) + "\n"
    return "\n".join([f"{head}{classes}\n", *module, "", "", tail])


def _cost_lines(trained: Trained) -> Iterator[str]:
    """The cost, which is of outputs as the layers were trained to give them."""
    for line in trained.network.cost.pytorch:
        is_scaled = trained.target_scaling is not None
        yield line.replace("model(x)", "model.scaled_outputs(x)") if is_scaled else line


def functional_import(trained: Trained, module: list[str]) -> str:
    """The line that imports torch.nn.functional, where the module's lines or the cost name it."""
    is_named = any("F." in line for line in (*module, *trained.network.cost.pytorch))
    return "    import torch.nn.functional as F\n" if is_named else ""


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


def class_lines(classes: tuple[str, ...]) -> Iterator[str]:
    """The names of the classes, as a list."""
    return call_lines("CLASSES = ", [literal(name) for name in classes], brackets="[]")


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
        yield from _buffers(BUFFERS, scaling)
    if trained.target_scaling is not None:
        yield from _buffers(TARGET_BUFFERS, trained.target_scaling)
    for placed in network.layers:
        yield from attribute_lines(placed)
    if scaling is not None:
        yield ""
        yield from _scale(network, scaling)
    yield ""
    *hidden, last = network.layers
    begin = [] if scaling is None else ["        x = self.scale(x)"]
    body = [*begin, *(line for placed in hidden for line in forward_lines(placed))]
    z = f"self.{last.name}(x)"
    if by_logits:
        yield "    def logits(self, x: torch.Tensor) -> torch.Tensor:"
        yield '        """z of the last layer."""'
        yield from body
        yield f"        return {z}"
        yield ""
        body, z = [], "self.logits(x)"
    outputs = activated(last.layer, z)
    if trained.target_scaling is not None:
        yield "    def scaled_outputs(self, x: torch.Tensor) -> torch.Tensor:"
        yield '        """Outputs as the layers were trained to give them, of scaled targets."""'
        yield from body
        yield f"        return {outputs}"
        yield ""
        body = [
            "        scaled = self.scaled_outputs(x)",
            "        own = scaled.double() * self.target_divisor + self.target_offset",
        ]
        outputs = "own.to(scaled.dtype)"
    yield "    def forward(self, x: torch.Tensor) -> torch.Tensor:"
    yield from body
    yield f"        return {outputs}"


def _buffers(names: tuple[str, ...], scaling: Affine) -> Iterator[str]:
    for name, array in zip(names, scaling, strict=True):
        shape = ", ".join(map(str, array.shape))
        zeros = [f'"{name}"', f"torch.zeros({shape or '()'}, dtype=torch.float64)"]
        yield from call_lines("        self.register_buffer", zeros)


def _scale(network: Network, scaling: Affine) -> Iterator[str]:
    weight = next(f"self.{p.name}.weight" for p in network.layers if p.activation is not None)
    formula = "((x.double() - self.offset) / self.divisor)"
    if scaling.is_division:
        formula = f"(x.double() / {scaling.divisor.item()!r})"
    yield "    def scale(self, x: torch.Tensor) -> torch.Tensor:"
    yield '        """Raw inputs as the layers were trained on them."""'
    yield f"        return {formula}.to({weight}.dtype)"
