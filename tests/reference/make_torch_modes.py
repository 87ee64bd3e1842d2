"""Records what PyTorch's modules make of networks with BatchNorm1d, BatchNorm2d and Dropout.

To be run by hand, from the root of the repository, in an environment of its own:

    pip install torch==2.13.0 numpy
    python -m tests.reference.make_torch_modes

Of each case: three SGD steps in training mode on mini-batches of their own, every quantity by
autograd, the masks that PyTorch drew, the buffers after each step; and in evaluation mode the
outputs, and the gradients by autograd. Nothing of nncli is used.
"""

from typing import Any

import torch
from torch import nn

from tests.reference.torch_modes import CASES, ETA, RECORD, STEPS, save


def module_of(layer: Any, shape: Any) -> Any:
    """The module of a layer, and that of its activation (or None)."""
    kind, more = layer["type"], {key: v for key, v in layer.items() if key != "type"}
    sigma = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh}.get(more.pop("activation", None))
    match kind:
        case "dense":
            module = nn.Linear(shape[0], more["units"])
        case "conv":
            module = nn.Conv2d(shape[0], more["filters"], more["kernel"])
        case "flatten":
            module = nn.Flatten()
        case "dropout":
            module = nn.Dropout(more["rate"])
        case "batchnorm":
            own = nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d
            module = own(shape[0], eps=more["epsilon"], momentum=more["momentum"])
        case _:
            raise ValueError(kind)
    return module.double(), None if sigma is None else sigma()


def network_of(case: Any) -> Any:
    layers, x = [], torch.zeros(2, *case["shape"], dtype=torch.float64)
    for layer in case["network"]:
        module, sigma = module_of(layer, tuple(x.shape[1:]))
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.copy_(torch.randn_like(parameter) * 0.7)
        layers.append((module, sigma))
        x = module(x) if sigma is None else sigma(module(x))
    for module, _ in layers:
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
    return layers


def forward(layers: Any, x: Any) -> Any:
    """The input and output of each layer, its activation included."""
    pairs = []
    for module, sigma in layers:
        out = module(x) if sigma is None else sigma(module(x))
        pairs.append((x, out))
        x = out
    return pairs


def one_step(layers: Any, inputs: Any, targets: Any) -> Any:
    """C and every quantity; the gradients stay in the modules."""
    n = len(inputs)
    inputs = inputs.clone().requires_grad_()
    pairs = forward(layers, inputs)
    for x, out in pairs:
        if x.requires_grad:
            x.retain_grad()
        out.retain_grad()
    cost = ((pairs[-1][1] - targets) ** 2).sum() / 2 / n
    cost.backward()
    fields = {"cost": cost}
    for k, ((module, _), (x, out)) in enumerate(zip(layers, pairs, strict=True)):
        fields |= {f"{k}/input": x, f"{k}/a": out, f"{k}/upstream": n * out.grad}
        fields[f"{k}/downstream"] = n * x.grad
        if isinstance(module, nn.Dropout) and module.training:
            fields[f"{k}/mask"] = (out != 0).double() / (1 - module.p)
        for key, parameter in module.named_parameters():
            fields[f"{k}/{key}"] = parameter.detach().clone()
            fields[f"{k}/{key}_gradient"] = parameter.grad.clone()
    return {key: value.detach().numpy().copy() for key, value in fields.items()}


def record(case: Any) -> Any:
    layers = network_of(case)
    found: dict[str, Any] = {}
    optimizer = torch.optim.SGD([p for m, _ in layers for p in m.parameters()], lr=ETA)
    for number in range(1, STEPS + 1):
        inputs = torch.randn(case["n"], *case["shape"], dtype=torch.float64) * 2 + 1
        outputs = case["network"][-1]["units"]
        targets = torch.rand(case["n"], outputs, dtype=torch.float64)
        optimizer.zero_grad()
        step = {"inputs": inputs.numpy(), "targets": targets.numpy()}
        step |= one_step(layers, inputs, targets)
        optimizer.step()
        for k, (module, _) in enumerate(layers):
            step |= {f"{k}/{key}": b.numpy().copy() for key, b in module.named_buffers()}
            step |= {
                f"{k}/{key}_new": p.detach().numpy().copy() for key, p in module.named_parameters()
            }
        found |= {f"{number}/{key}": value for key, value in step.items()}
    for module, _ in layers:
        module.eval()
    optimizer.zero_grad()
    found |= {f"evaluation/{key}": v for key, v in one_step(layers, inputs, targets).items()}
    return found


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    fields: dict[str, Any] = {}
    for case in CASES:
        fields |= {f"{case['name']}/{key}": value for key, value in record(case).items()}
    save(torch.__version__, fields)
    print(f"{len(CASES)} cases, {len(fields)} arrays, {RECORD.stat().st_size} bytes")


if __name__ == "__main__":
    main()
