"""Random networks, between them every kind of layer, activation, cost and optimizer's link."""

from typing import Any

import numpy as np

from nncli.nn.activations import ACTIVATIONS, ELEMENTWISE
from nncli.nn.arrays import Shape
from nncli.nn.layers import (
    PADDING_MODES,
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    MaxPool,
)
from nncli.nn.layers.base import ShapeMismatch
from tests.nn.cases import ENDINGS, Case, Setting, build_case, draw_targets

Rng = np.random.Generator
DECAYS = ("weight_decay", "decoupled_weight_decay")


def random_setting(seed: int) -> tuple[Setting, dict[str, Any]]:
    """A network with numbers, on 1 to 8 samples; and how `trace_of` steps with it."""
    rng = np.random.default_rng(seed)
    shape: Shape = (int(rng.integers(1, 13)),)
    if seed // len(ENDINGS) % 2:
        shape = (int(rng.integers(1, 4)), *(int(n) for n in rng.integers(4, 8, 2)))
    n = int(rng.integers(1, 9))
    cost, activation = ENDINGS[seed % len(ENDINGS)]
    layers = (*body(rng, shape, n), last(rng, activation))
    case = Case(f"random-{seed}", layers, shape, cost, n)
    network = build_case(case)
    setting = Setting(
        case,
        rng.normal(0, 0.6, network.parameters.size),
        rng.normal(0, 1, (n, *shape)),
        draw_targets(case, rng),
    )
    how: dict[str, Any] = {"steps": int(rng.integers(0, 3)), "eta": float(rng.uniform(0.01, 1))}
    if rng.random() < 0.3:
        names = [f"{x.name}.{key}" for x in network.layers for key in x.parameter_shapes]
        how["frozen"] = (str(rng.choice(names)),)
    return setting, how | optimizer(rng)


def last(rng: Rng, activation: str) -> Layer:
    """The last layer; a softmax of a single unit would be 1 whatever its z."""
    units = int(rng.integers(1 + (activation == "softmax"), 7))
    return Dense(units=units, activation=activation, **parameters(rng, activation))


def body(rng: Rng, shape: Shape, n: int) -> list[Layer]:
    """One to five layers that fit on each other."""
    layers: list[Layer] = []
    for _ in range(rng.integers(1, 6)):
        layer = any_layer(rng, is_image=len(shape) == 3)
        try:
            shape = layer.output_shape(shape)
        except ShapeMismatch:  # the image is too small for the window
            continue
        if layer.smallest_batch(shape) <= n:
            layers.append(layer)
    return layers


def any_layer(rng: Rng, *, is_image: bool) -> Layer:
    activation = str(rng.choice(ELEMENTWISE))
    sigma: dict[str, Any] = {"activation": activation, "bias": bool(rng.random() < 0.8)}
    sigma |= parameters(rng, activation)
    either: list[Any] = [
        lambda: BatchNorm(epsilon=float(rng.choice([1e-5, 1e-3, 0.1]))),
        lambda: Dropout(rate=float(rng.choice([0.0, 0.2, 0.5]))),
    ]
    if not is_image:
        units = int(rng.integers(1, 17))
        return chosen(rng, [lambda: Dense(units=units, **sigma)] * 3 + either)
    size, stride = pair(rng, 3), pair(rng, 2)
    paddings: list[Any] = ["valid", "same", 1, pair(rng, 2)]
    geometry: dict[str, Any] = {
        "kernel": pair(rng, 3),
        "stride": stride,
        "dilation": pair(rng, 2),
        "padding": paddings[int(rng.integers(len(paddings)))],
    }
    of_pool: dict[str, Any] = {
        "size": size,
        "stride": stride if rng.random() < 0.5 else None,
        "padding": paddings[int(rng.integers(2))],
        "ceil_mode": bool(rng.random() < 0.5),
    }
    filters = int(rng.integers(1, 4))
    geometry["groups"] = filters if rng.random() < 0.3 else 1
    geometry["padding_mode"] = str(rng.choice(PADDING_MODES))
    image: list[Any] = [
        lambda: Conv(filters=filters, **geometry, **sigma),
        lambda: MaxPool(**of_pool, dilation=geometry["dilation"]),
        lambda: AvgPool(**of_pool, count_include_pad=bool(rng.random() < 0.5)),
        GlobalAvgPool if rng.random() < 0.3 else Flatten,
    ]
    return chosen(rng, image[:1] * 2 + image + either)


def chosen(rng: Rng, makers: list[Any]) -> Layer:
    made: Layer = makers[int(rng.integers(len(makers)))]()
    return made


def pair(rng: Rng, most: int) -> tuple[int, int]:
    rows, columns = rng.integers(1, most + 1, 2)
    return int(rows), int(columns)


def parameters(rng: Rng, activation: str) -> dict[str, Any]:
    """Of σ: its defaults, or others."""
    row = ACTIVATIONS[activation]
    if not row.parameters or rng.random() < 0.5:
        return {}
    return {"activation_parameters": tuple(float(rng.uniform(0.1, 1)) for _ in row.parameters)}


def optimizer(rng: Rng) -> dict[str, Any]:
    """The settings of a chain of links."""
    decay: dict[str, Any] = {
        key: float(rng.uniform(0.001, 0.1)) for key in DECAYS if rng.random() < 0.4
    }
    if rng.random() < 0.3:
        decay |= {"l1": float(rng.uniform(0.001, 0.1)), "decay_biases": bool(rng.random() < 0.5)}
    if rng.random() < 0.3:
        decay["clip"] = {str(rng.choice(["norm", "value"])): float(rng.uniform(0.01, 0.3))}
    if rng.random() < 0.4:
        betas = {"beta1": float(rng.uniform(0, 0.95)), "beta2": float(rng.uniform(0.9, 0.9999))}
        return {"kind": "adam", "epsilon": float(rng.choice([1e-8, 1e-3])), **betas, **decay}
    if rng.random() < 0.3:
        return decay
    nesterov = bool(rng.random() < 0.5)
    return {"momentum": float(rng.uniform(0.1, 0.99)), "nesterov": nesterov, **decay}
