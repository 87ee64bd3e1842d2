"""Records what PyTorch makes of every case in `torch_cases.py`: two SGD steps, each quantity.

To be run by hand, from the root of the repository, in an environment of its own:

    pip install torch==2.13.0 numpy
    python -m tests.reference.make_torch

The forward pass is in PyTorch's own functions; everything behind it comes from autograd and from
torch.optim.SGD. Nothing of nncli is used.
"""

import math
import warnings
from collections import Counter
from typing import Any

import torch
import torch.nn.functional as F

from tests.reference.torch_cases import CASES, ETAS, RECORD, Draw, save

SIGMA = {  # of z, with the parameters that a layer names
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "softplus": F.softplus,
    "gelu": F.gelu,
    "identity": torch.clone,  # a node of its own, so that a and z have a gradient each
    "softmax": lambda z: torch.softmax(z, dim=1),
}


def activated(layer: Any, z: Any) -> Any:
    keys = {key: layer[key] for key in ("negative_slope", "alpha") if key in layer}
    return SIGMA[layer["activation"]](z, **keys)


def pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int) else tuple(value)


def convolve(layer: Any, x: Any, weight: Any, bias: Any) -> Any:
    how = {"stride": pair(layer.get("stride", 1)), "dilation": pair(layer.get("dilation", 1))}
    how["groups"] = layer.get("groups", 1)
    padding = layer.get("padding", "valid")
    if padding == "valid":
        return F.conv2d(x, weight, bias, **how)
    if "padding_mode" in layer:
        rows, columns = pair(padding)
        x = F.pad(x, (columns, columns, rows, rows), mode=layer["padding_mode"])
        return F.conv2d(x, weight, bias, **how)
    if padding != "same":
        return F.conv2d(x, weight, bias, padding=pair(padding), **how)
    around = []  # as F.pad has it: the last axis first; what is odd goes after
    for size, dilation in zip(weight.shape[:1:-1], how["dilation"][::-1], strict=True):
        total = dilation * (size - 1)
        around += [total // 2, total - total // 2]
    z = F.conv2d(F.pad(x, around), weight, bias, **how)
    if how["stride"] == (1, 1):  # where PyTorch knows `same` too, it means the same
        with warnings.catch_warnings(action="ignore"):
            same = F.conv2d(x, weight, bias, padding="same", **how)
        torch.testing.assert_close(z, same, rtol=1e-13, atol=1e-13)
    return z


def pooling(layer: Any) -> Any:
    return {
        "kernel_size": pair(layer["size"]),
        "stride": pair(layer.get("stride", layer["size"])),
        "padding": layer.get("padding", 0),
        "ceil_mode": layer.get("ceil_mode", False),
    }


def image_or_vector(layer: Any, x: Any, parameters: Any) -> Any:
    """z of a layer with weights, or the output of one without."""
    match layer["type"]:
        case "dense":
            return F.linear(x, parameters["weight"].T, parameters.get("bias"))
        case "conv":
            return convolve(layer, x, parameters["weight"], parameters.get("bias"))
        case "maxpool":
            return F.max_pool2d(x, **pooling(layer), dilation=layer.get("dilation", 1))
        case "avgpool":
            counts = layer.get("count_include_pad", True)
            return F.avg_pool2d(x, **pooling(layer), count_include_pad=counts)
        case "global_avgpool":
            return F.adaptive_avg_pool2d(x, 1)
        case "flatten":
            return torch.flatten(x, 1)
    raise ValueError(layer["type"])


def costs(case: Any, z: Any, a: Any, y: Any) -> Any:
    """C of the mini-batch by the last layer's z, and again by its a."""
    n = len(y)
    match case["cost"], case["network"][-1]["activation"]:
        case "quadratic", _:
            cost = F.mse_loss(a, y, reduction="sum") / 2 / n
            return cost, cost
        case "cross_entropy", "sigmoid":
            by_z = F.binary_cross_entropy_with_logits(z, y, reduction="sum")
            return by_z / n, F.binary_cross_entropy(a, y, reduction="sum") / n
        case "cross_entropy", "softmax":
            return F.cross_entropy(z, y, reduction="sum") / n, -(y * torch.log(a)).sum() / n
    raise ValueError(case)


class Network:
    """The layers of a case under nncli's names, with an implied flatten put in, and parameters."""

    def __init__(self, case: Any, draw: Any) -> None:
        self.case = case
        self.layers: list[Any] = []  # (name, layer, parameters)
        counts: Counter[str] = Counter()

        def place(layer: Any, x: Any) -> Any:
            counts[layer["type"]] += 1
            name = f"{layer['type']}{counts[layer['type']]}"
            parameters = draw_parameters(layer, x.shape[1:], draw)
            self.layers.append((name, layer, parameters))
            return image_or_vector(layer, x, parameters)

        x = torch.zeros(1, *case["shape"], dtype=torch.float64)
        for layer in case["network"]:
            if layer["type"] == "dense" and x.dim() > 2:
                x = place({"type": "flatten"}, x)
            x = place(layer, x)

    def parameters(self) -> Any:
        return [value for _, _, parameters in self.layers for value in parameters.values()]

    def forward(self, inputs: Any, targets: Any) -> Any:
        """C by z, C by a, and per layer its input, z (None without weights) and a, as tensors."""
        tensors = {}
        x = inputs
        for name, layer, parameters in self.layers:
            out = image_or_vector(layer, x, parameters)
            z, a = (out, activated(layer, out)) if parameters else (None, out)
            tensors[name] = {"input": x, "z": z, "a": a}
            x = a
        return *costs(self.case, z, a, targets), tensors


def draw_parameters(layer: Any, shape: Any, draw: Any) -> Any:
    match layer["type"]:
        case "dense":
            units = layer["units"]
            parameters = {"weight": draw.weight((shape[0], units), fan_in=shape[0])}
        case "conv":
            units = layer["filters"]
            window = (shape[0] // layer.get("groups", 1), *pair(layer["kernel"]))
            parameters = {"weight": draw.weight((units, *window), fan_in=math.prod(window))}
        case _:
            return {}
    if layer.get("bias", True):
        parameters["bias"] = draw.bias(units)
    return {key: torch.from_numpy(v).requires_grad_() for key, v in parameters.items()}


def one_step(network: Any, optimizer: Any, inputs: Any, targets: Any) -> Any:
    """Every quantity of a step, by layer and name; per sample where nncli has it per sample."""
    n = len(inputs)
    fields = {}
    inputs.requires_grad_()
    optimizer.zero_grad()
    cost, cost_by_a, tensors = network.forward(inputs, targets)
    torch.testing.assert_close(cost, cost_by_a, rtol=1e-13, atol=1e-13)
    last = tensors[network.layers[-1][0]]
    (last_upstream,) = torch.autograd.grad(cost_by_a, last["a"], retain_graph=True)
    for name, layer, parameters in network.layers:
        if parameters and layer["activation"] != "softmax":
            z, a = tensors[name]["z"], tensors[name]["a"]
            fields[f"{name}/sigma_prime"] = torch.autograd.grad(a.sum(), z, retain_graph=True)[0]
    # Only now, for torch.autograd.grad would add to a gradient that is to be retained.
    for layer in tensors.values():
        for tensor in layer.values():
            if tensor is not None:
                tensor.retain_grad()
    cost.backward()
    fields["cost_before"] = cost
    for name, _, parameters in network.layers:
        x, z, a = tensors[name].values()
        fields |= {f"{name}/input": x, f"{name}/a": a, f"{name}/downstream": n * x.grad}
        fields[f"{name}/upstream"] = n * (last_upstream if a is last["a"] else a.grad)
        if z is not None:
            fields |= {f"{name}/z": z, f"{name}/delta": n * z.grad}
        for key, value in parameters.items():
            fields[f"{name}/{key}"] = value.detach().clone()
            fields[f"{name}/{key}_gradient"] = value.grad.clone()
    optimizer.step()
    for name, _, parameters in network.layers:
        for key, value in parameters.items():
            new = value.detach().clone()
            fields[f"{name}/{key}_new"] = new
            fields[f"{name}/{key}_update"] = new - fields[f"{name}/{key}"]
    fields["cost_after"] = network.forward(inputs, targets)[0]
    return {key: value.detach().numpy() for key, value in fields.items()}


def record(index: Any) -> Any:
    """Both steps of a case: arrays by step, layer and quantity."""
    case, draw = CASES[index], Draw(index)
    network = Network(case, draw)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=ETAS[0],
        momentum=case["momentum"],
        weight_decay=case["weight_decay"],
    )
    fields: dict[str, Any] = {}
    for number, eta in enumerate(ETAS, 1):
        optimizer.param_groups[0]["lr"] = eta
        inputs, targets = (torch.from_numpy(array) for array in draw.batch())
        step = one_step(network, optimizer, inputs, targets)
        fields |= {f"{number}/{key}": value for key, value in step.items()}
    return fields


def main() -> None:
    torch.set_num_threads(1)
    fields: dict[str, Any] = {}
    for index in range(len(CASES)):
        fields |= {f"{index:03}/{key}": value for key, value in record(index).items()}
    RECORD.parent.mkdir(exist_ok=True)
    save(torch.__version__, fields)
    print(f"{len(CASES)} cases, {len(fields)} arrays, {RECORD.stat().st_size} bytes")


if __name__ == "__main__":
    main()
