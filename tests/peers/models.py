"""Random models of PyTorch's, of what nncli has a place for."""

from random import Random
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not here: make peers")
nn = torch.nn

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
