"""Random models of PyTorch's, of what nncli has a place for."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not here: make peers")
nn, F = torch.nn, torch.nn.functional

ACTIVATIONS = [
    nn.Sigmoid,
    nn.Tanh,
    nn.ReLU,
    lambda: nn.LeakyReLU(0.2),
    lambda: nn.ELU(0.7),
    lambda: nn.Softplus(threshold=40),
    nn.GELU,
    nn.Identity,
]


PADS = [nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d]
PADS.append(lambda widths: nn.ConstantPad2d(widths, 0.0))


class Maker:
    """Random modules, one behind the other; `shape` is that of a sample there."""

    def __init__(self, random: Random, shape: tuple[int, ...]) -> None:
        self.random, self.shape, self.modules = random, shape, list[Any]()

    def add(self, module: Any) -> None:
        module = module.double()
        with torch.no_grad():
            self.shape = tuple(module.eval()(torch.zeros(1, *self.shape).double()).shape[1:])
        self.modules.append(module)

    def pad(self) -> None:
        if self.random.random() < 0.3:
            self.add(self.random.choice(PADS)(tuple(self.random.choices(range(3), k=4))))

    def activate(self) -> None:
        self.add(self.random.choice(ACTIVATIONS)())

    def convolve(self) -> None:
        self.pad()
        random, channels = self.random, self.shape[0]
        padding = random.choice([0, 1, (1, 0), "same", "valid"])
        self.add(
            nn.Conv2d(
                channels,
                4 * random.randint(1, 2),
                random.choice([1, 3, (2, 3)]),
                stride=1 if padding == "same" else random.choice([1, 2, (2, 1)]),
                padding=padding,
                dilation=random.choice([1, (1, 2)]),
                groups=random.choice([g for g in (1, 2, 4) if channels % g == 0]),
                bias=random.random() < 0.7,
                padding_mode=random.choice(["zeros", "zeros", "circular", "replicate"]),
            )
        )
        if random.random() < 0.4:
            self.add(nn.BatchNorm2d(self.shape[0], affine=random.random() < 0.8))
        if random.random() < 0.8:
            self.activate()

    def pool(self) -> None:
        self.pad()
        random, pad = self.random, self.random.choice([0, 1])
        how = {"stride": random.choice([None, 1]), "padding": pad}
        how["ceil_mode"] = random.random() < 0.3
        if random.random() < 0.5:
            self.add(nn.MaxPool2d(2, **how))
        else:
            self.add(nn.AvgPool2d(2, **how, count_include_pad=random.random() < 0.5))
        if random.random() < 0.2:
            self.activate()

    def connect(self, units: int) -> None:
        random = self.random
        self.add(nn.Linear(self.shape[0], units, bias=random.random() < 0.8))
        if random.random() < 0.3:
            self.add(nn.BatchNorm1d(units))
        self.activate()


def random_model(random: Random) -> tuple[Any, tuple[int, ...]]:
    """An nn.Sequential of what nncli has, and the shape of its samples."""
    shape: tuple[int, ...] = (random.randint(2, 7),)
    if random.random() < 0.65:
        shape = (random.choice([1, 2, 4]), random.randint(6, 9), random.randint(6, 9))
    maker = Maker(random, shape)
    if len(shape) == 3:
        maker.convolve()
        while min(maker.shape[1:]) > 4:
            random.choice([maker.convolve, maker.pool])()
        if random.random() < 0.2:
            maker.add(nn.AdaptiveAvgPool2d(1))
        maker.add(nn.Flatten())
    for _ in range(random.randint(0, 2)):
        maker.connect(random.randint(2, 9))
    if random.random() < 0.9:
        maker.add(nn.Linear(maker.shape[0], random.randint(2, 5)))
    modules = maker.modules
    if random.random() < 0.3:  # within one another
        modules = [nn.Sequential(*modules[:2]), *modules[2:]]
    return nn.Sequential(*modules), shape


# What a forward() calls where an nn.Sequential has a module: functions of the module and of x.
CALLS: dict[Any, list[Callable[[Any, Any], Any]]] = {
    nn.Sigmoid: [lambda m, x: torch.sigmoid(x), lambda m, x: F.sigmoid(x)],
    nn.Tanh: [lambda m, x: torch.tanh(x), lambda m, x: x.tanh()],
    nn.ReLU: [
        lambda m, x: F.relu(x),
        lambda m, x: torch.relu(x),
        lambda m, x: F.relu(x, inplace=True),
        lambda m, x: x.relu(),
    ],
    nn.LeakyReLU: [lambda m, x: F.leaky_relu(x, m.negative_slope)],
    nn.ELU: [lambda m, x: F.elu(x, alpha=m.alpha)],
    nn.Softplus: [lambda m, x: F.softplus(x, threshold=m.threshold)],
    nn.GELU: [lambda m, x: F.gelu(x)],
    nn.Identity: [lambda m, x: x, lambda m, x: x.contiguous()],
    nn.Flatten: [
        lambda m, x: torch.flatten(x, 1),
        lambda m, x: x.flatten(start_dim=1),
        lambda m, x: x.view(x.size(0), -1),
        lambda m, x: x.reshape(x.shape[0], x.shape[1] * x.shape[2] * x.size()[3]),
        lambda m, x: torch.reshape(x, (-1, x.size(1) * x.size(-2) * x.size(3))),
    ],
    nn.MaxPool2d: [
        lambda m, x: F.max_pool2d(x, m.kernel_size, m.stride, m.padding, ceil_mode=m.ceil_mode),
        lambda m, x: torch.max_pool2d(x, 2, m.stride, m.padding, m.dilation, m.ceil_mode),
    ],
    nn.AvgPool2d: [
        lambda m, x: F.avg_pool2d(x, (2, 2), m.stride, m.padding, m.ceil_mode, m.count_include_pad),
    ],
    nn.AdaptiveAvgPool2d: [
        lambda m, x: F.adaptive_avg_pool2d(x, (1, 1)),
        lambda m, x: F.avg_pool2d(x, x.size()[2:]),
        lambda m, x: x.mean([2, 3], keepdim=True),
        lambda m, x: torch.mean(x, dim=(-1, -2), keepdim=True),
    ],
    nn.Linear: [lambda m, x: F.linear(x, m.weight, m.bias)],
    nn.ZeroPad2d: [lambda m, x: F.pad(x, m.padding)],
    nn.ConstantPad2d: [lambda m, x: F.pad(x, m.padding, value=m.value)],
    nn.ReflectionPad2d: [lambda m, x: F.pad(x, m.padding, mode="reflect")],
    nn.ReplicationPad2d: [lambda m, x: F.pad(x, m.padding, "replicate")],
    nn.CircularPad2d: [lambda m, x: F.pad(x, m.padding, "circular")],
}


def convolved(m: Any, x: Any) -> Any:
    if m.padding_mode != "zeros":
        return m(x)
    return F.conv2d(x, m.weight, m.bias, m.stride, m.padding, m.dilation, m.groups)


CALLS[nn.Conv2d] = [convolved]


class OfItsOwn(nn.Module):  # type: ignore[name-defined,misc]
    """The modules of an nn.Sequential, which a forward() of its own calls, or functions instead."""

    def __init__(self, sequential: Any, random: Random) -> None:
        super().__init__()
        modules = [m for m in sequential.modules() if not list(m.children())]
        half = len(modules) // 2
        self.first = nn.ModuleList(modules[:half])
        self.rest = nn.ModuleDict({f"n{k}": m for k, m in enumerate(modules[half:])})
        as_module: list[Callable[[Any, Any], Any]] = [lambda m, x: m(x)]
        self.calls = [(random.choice(CALLS.get(type(m), []) + as_module), m) for m in modules]

    def forward(self, x: Any, scale: Any = None) -> Any:
        if scale is not None:
            x = x * scale
        for call, module in self.calls:
            x = call(module, x)
        return x
