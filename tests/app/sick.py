"""Networks with something wrong with them, and healthy ones: random sizes, data and seeds.

Each is a spec and its samples, written into a folder. A healthy one learns its task well, as a
training shows; a sick one is such a network in which one thing has been spoilt, and which does
badly. `KINDS` says what a diagnosis has to name first. `unseen.py` has other tasks and other ways
to spoil them.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import nncli
from nncli import NncliError

Array = npt.NDArray[Any]
Rng = np.random.Generator


class Case(NamedTuple):
    """Samples, and a spec for them as plain data."""

    x: Array
    y: Array
    spec: dict[str, Any]

    @property
    def layers(self) -> list[dict[str, Any]]:
        layers: list[dict[str, Any]] = self.spec["network"]
        return layers

    @property
    def train(self) -> dict[str, Any]:
        train: dict[str, Any] = self.spec["train"]
        return train

    @property
    def is_classes(self) -> bool:
        return self.y.dtype.kind == "i"


def write(case: Case, folder: Path, name: str = "case") -> Path:
    """The path of the spec; JSON is YAML."""
    np.savez(folder / f"{name}.npz", x=case.x, y=case.y)
    case.spec["data"]["train"] = f"{name}.npz"
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(case.spec))
    return path


# Tasks


def blobs(rng: Rng, n: int) -> tuple[Array, Array]:
    """Gaussian clouds, one a class."""
    classes, d = int(rng.integers(2, 6)), int(rng.integers(3, 9))
    centres = 2.2 * rng.standard_normal((classes, d))
    y = rng.integers(0, classes, n)
    x = centres[y] + rng.standard_normal((n, d))
    return (x - x.mean(axis=0)) / x.std(axis=0), y


def rings(rng: Rng, n: int) -> tuple[Array, Array]:
    """Two rings around each other: no line divides them."""
    y = rng.integers(0, 2, n)
    angle = rng.uniform(0, 2 * np.pi, n)
    radius = np.where(y == 0, 0.5, 1.4) + 0.1 * rng.standard_normal(n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), y


def waves(rng: Rng, n: int) -> tuple[Array, Array]:
    """A smooth function of a few numbers, with a little noise."""
    d = int(rng.integers(2, 5))
    x = rng.uniform(-1, 1, (n, d))
    direction = rng.standard_normal(d)
    direction /= np.linalg.norm(direction)
    y = np.sin(2.5 * x @ direction) + 0.5 * x[:, 0] * x[:, 1] + 0.05 * rng.standard_normal(n)
    return x, y


def slopes(rng: Rng, n: int) -> tuple[Array, Array]:
    """Two numbers, each nearly linear in many."""
    d = int(rng.integers(5, 12))
    x = rng.standard_normal((n, d))
    w = rng.standard_normal((d, 2)) / np.sqrt(d)
    return x, np.tanh(x @ w) + 0.05 * rng.standard_normal((n, 2))


TASKS = (blobs, rings, waves, slopes)
FOR_CLASSES, FOR_NUMBERS = (blobs, rings), (waves, slopes)


def healthy(rng: Rng, tasks: tuple[Any, ...] = TASKS) -> Case:
    n = int(rng.integers(200, 420))
    x, y = tasks[int(rng.integers(len(tasks)))](rng, n)
    activation = str(rng.choice(["relu", "tanh", "sigmoid", "leaky_relu"]))
    eta = eta_for(activation, y) * float(rng.uniform(0.7, 1.4))
    units = int(rng.integers(20, 40))
    depth = 1 if activation == "sigmoid" else int(rng.integers(1, 3))
    return Case(x, y, spec_of(rng, x, y, [units] * depth, activation, eta))


def eta_for(activation: str, y: Array) -> float:
    """An η that is about right."""
    is_classes = y.dtype.kind == "i"
    if activation == "sigmoid":
        return 1.5 if is_classes else 0.25
    return 0.3 if is_classes else 0.05


def spec_of(
    rng: Rng, x: Array, y: Array, hidden: list[int], activation: str, eta: float
) -> dict[str, Any]:
    is_classes = y.dtype.kind == "i"
    outputs = int(y.max()) + 1 if is_classes else 1 if y.ndim == 1 else y.shape[1]
    layers: list[dict[str, Any]] = [
        {"type": "dense", "units": units, "activation": activation} for units in hidden
    ]
    last = "softmax" if is_classes else "identity"
    layers.append({"type": "dense", "units": outputs, "activation": last})
    train = {
        "eta": round(eta, 4),
        "epochs": int(rng.integers(40, 70)) * (1 if is_classes else 2),
        "batch_size": int(rng.integers(8, 24)),
        "cost": "cross_entropy" if is_classes else "quadratic",
    }
    data = {"validation": 0.25} if rng.random() < 0.75 else {}
    return {
        "seed": int(rng.integers(10**6)),
        "data": data,
        "network": layers,
        "train": train,
    }


# Ways to spoil it


def vanishing(rng: Rng) -> Case:
    case = healthy(rng)
    depth, units = int(rng.integers(5, 8)), int(rng.integers(10, 20))
    layer = {"type": "dense", "units": units, "activation": "sigmoid"}
    case.layers[:-1] = [dict(layer) for _ in range(depth)]
    case.train["eta"] = 0.3
    return case


def exploding(rng: Rng) -> Case:
    case = healthy(rng)
    activation = str(rng.choice(["relu", "leaky_relu", "identity"]))
    units, depth = int(rng.integers(60, 120)), int(rng.integers(4, 7))
    layer = {"type": "dense", "units": units, "activation": activation, "init": "normal"}
    case.layers[:-1] = [dict(layer) for _ in range(depth)]
    case.layers[-1]["init"] = "normal"
    case.train["eta"] = 0.05
    return case


def dead(rng: Rng) -> Case:
    case = healthy(rng)
    for layer in case.layers[:-1]:
        layer["activation"] = "relu"
        layer["bias"] = [-float(b) for b in rng.uniform(20, 40, layer["units"])]
    case.train["eta"] = 0.05
    return case


def saturated(rng: Rng) -> Case:
    case = healthy(rng, (rings, waves, slopes))
    size = float(rng.uniform(50, 150))
    activation = str(rng.choice(["sigmoid", "tanh"]))
    case.train["eta"] = eta_for(activation, case.y)
    d = case.x.shape[1]
    for layer in case.layers[:-1]:
        layer["units"] = int(rng.integers(6, 12))
        layer["activation"] = activation
        weights = size * rng.standard_normal((d, layer["units"])) / np.sqrt(d)
        layer["weights"] = np.round(weights, 3).tolist()
        d = layer["units"]
    return case


def eta_large(rng: Rng) -> Case:
    case = healthy(rng)
    case.train["eta"] = round(case.train["eta"] * float(rng.uniform(30, 100)), 3)
    return case


def momentum(rng: Rng) -> Case:
    case = healthy(rng)
    case.train["eta"] = round(case.train["eta"] * 3, 4)
    case.train["momentum"] = float(rng.choice([0.95, 0.97, 0.98]))
    return case


def eta_small(rng: Rng) -> Case:
    case = healthy(rng)
    case.train["eta"] = float(case.train["eta"] * 10 ** rng.uniform(-4, -2.7))
    return case


def scale_large(rng: Rng) -> Case:
    """All inputs by a large factor, or in other units each."""
    case = healthy(rng)
    d = case.x.shape[1]
    factors = (
        np.full(d, 10 ** rng.uniform(2, 3)) if rng.random() < 0.5 else 10 ** rng.uniform(1, 4, d)
    )
    return case._replace(x=case.x * factors)


def scale_offset(rng: Rng) -> Case:
    """Inputs far from 0 that differ by little."""
    case = healthy(rng)
    return case._replace(x=case.x + 10 ** rng.uniform(1.5, 2.5))


def scale_small(rng: Rng) -> Case:
    case = healthy(rng)
    return case._replace(x=case.x * 10 ** rng.uniform(-4, -3))


def constant(rng: Rng) -> Case:
    case = healthy(rng)
    x = np.zeros_like(case.x)
    x[:] = rng.standard_normal(x.shape[1])
    return case._replace(x=x)


def out_of_range(rng: Rng) -> Case:
    case = healthy(rng, FOR_NUMBERS)
    case.layers[-1]["activation"] = activation = str(rng.choice(["sigmoid", "tanh", "relu"]))
    y = case.y * 3 + (0 if activation == "relu" else rng.uniform(2, 8))
    return case._replace(y=y)


def wrong_cost(rng: Rng) -> Case:
    """Sigmoid outputs behind the quadratic cost, which begin saturated and wrong."""
    case = healthy(rng, FOR_CLASSES)
    last = case.layers[-1]
    last["activation"] = "sigmoid"
    last["bias"] = [float(rng.choice([-1, 1]) * rng.uniform(9, 14)) for _ in range(last["units"])]
    last["bias"][0] = 10.0
    case.train["cost"] = "quadratic"
    return case


def shuffled(rng: Rng) -> Case:
    case = healthy(rng)
    return case._replace(y=rng.permutation(case.y))


def imbalanced(rng: Rng) -> Case:
    """Few of one class, which lie within the others."""
    n = int(rng.integers(400, 600))
    d = int(rng.integers(3, 7))
    y = (rng.random(n) < rng.uniform(0.04, 0.06)).astype(np.int64)
    x = rng.standard_normal((n, d))
    x[:, 0] += 1.3 * y
    spec = spec_of(rng, x, y, [8], "tanh", 0.1)
    spec["train"] |= {"epochs": 20, "weight_decay": 0.003}
    return Case(x, y, spec)


def overfitted(rng: Rng) -> Case:
    """Few noisy samples of many numbers, and a large network for long."""
    n, d = int(rng.integers(80, 130)), int(rng.integers(20, 40))
    x = rng.standard_normal((n, d))
    w = rng.standard_normal(d) / np.sqrt(d)
    z = x @ w * 1.5
    if rng.random() < 0.5:
        y: Array = (z + 0.8 * rng.standard_normal(n) > 0).astype(np.int64)
    else:
        y = z + 0.8 * rng.standard_normal(n)
    spec = spec_of(rng, x, y, [int(rng.integers(40, 80))], "relu", 0.05)
    spec["data"]["validation"] = 0.3
    spec["train"] |= {"epochs": int(rng.integers(100, 160))}
    return Case(x, y, spec)


def too_few_units(rng: Rng) -> Case:
    n = int(rng.integers(250, 400))
    x, y = rings(rng, n) if rng.random() < 0.5 else chessboard(rng, n)
    return Case(x, y, spec_of(rng, x, y, [1], "tanh", 0.3))


def chessboard(rng: Rng, n: int) -> tuple[Array, Array]:
    x = rng.uniform(-1.5, 1.5, (n, 2))
    return x, ((x[:, 0] > 0) ^ (x[:, 1] > 0)).astype(np.int64)


def large_batch(rng: Rng) -> Case:
    case = healthy(rng)
    case.train["batch_size"] = int(rng.integers(600, 3000))
    case.train["epochs"] = int(rng.integers(12, 18)) * (1 if case.is_classes else 2)
    return case


def symmetric(rng: Rng) -> Case:
    case = healthy(rng)
    for layer in case.layers:
        layer["init"] = "zeros"
    return case


def spoilt_sample(rng: Rng) -> Case:
    """One number of one sample that is beyond all others."""
    case = healthy(rng, FOR_NUMBERS)
    case.spec["data"] = {}
    y = case.y.copy()
    y[int(rng.integers(len(y)))] = 10 ** float(rng.uniform(15, 25))
    return case._replace(y=y)


class Kind(NamedTuple):
    make: Callable[[Rng], Case]
    cause: str  # what a diagnosis has to name first


KINDS = (
    Kind(vanishing, "vanishing_signal"),
    Kind(exploding, "exploding_signal"),
    Kind(dead, "dead_units"),
    Kind(saturated, "saturated_units"),
    Kind(eta_large, "eta_too_large"),
    Kind(momentum, "eta_too_large"),
    Kind(eta_small, "eta_too_small"),
    Kind(scale_large, "input_scale"),
    Kind(scale_offset, "input_scale"),
    Kind(scale_small, "input_scale"),
    Kind(constant, "constant_inputs"),
    Kind(out_of_range, "output_range"),
    Kind(wrong_cost, "cost_mismatch"),
    Kind(shuffled, "labels_unrelated"),
    Kind(imbalanced, "class_imbalance"),
    Kind(overfitted, "overfitting"),
    Kind(too_few_units, "underfitting"),
    Kind(large_batch, "underfitting"),
    Kind(symmetric, "symmetric_start"),
    Kind(spoilt_sample, "diverged"),
)


# What counts as sick, and as healthy, is decided by a training alone
BAD, WELL = 0.7, 0.85
BY_THEMSELVES = ("class_imbalance", "labels_unrelated")  # to be measured otherwise, or always bad


def skill(case: Case, folder: Path) -> float:
    """What a training of it comes to: 1 is perfect, 0 chance or the mean; -1 a divergence."""
    spec = nncli.load_spec(write(case, folder, "drawn"))
    try:
        last = nncli.train(spec).history[-1]
    except NncliError:
        return -1.0
    if case.is_classes:
        chance = 1 / (int(case.y.max()) + 1)
        assert last.accuracy is not None
        return (last.accuracy - chance) / (1 - chance)
    cost = last.train_cost_after if last.validation_cost is None else last.validation_cost
    assert cost is not None
    return float(1 - 2 * cost / case.y.reshape(len(case.y), -1).var(axis=0).sum())


def draw(make: Callable[[Rng], Case], rng: Rng, is_right: Callable[[float], bool]) -> Case:
    """The first of the cases made whose training is as it should be."""
    with TemporaryDirectory() as folder:
        return next(
            case for case in (make(rng) for _ in range(50)) if is_right(skill(case, Path(folder)))
        )


def draw_sick(kinds: Sequence[Kind], count: int, seed: int) -> list[tuple[str, str, Case]]:
    """`count` of them, of each kind in turn: the kind's name, the cause, and the case."""
    made = []
    for k in range(count):
        kind = kinds[k % len(kinds)]
        rng = np.random.default_rng([seed, k])
        if kind.cause in BY_THEMSELVES:
            case = kind.make(rng)
        else:
            case = draw(kind.make, rng, lambda found: found <= BAD)
        made.append((kind.make.__name__, kind.cause, case))
    return made


def draw_healthy(make: Callable[[Rng], Case], count: int, seed: int) -> list[Case]:
    rngs = (np.random.default_rng([seed, 1000 + k]) for k in range(count))
    return [draw(make, rng, lambda found: found >= WELL) for rng in rngs]


def sick_cases(count: int, seed: int) -> list[tuple[str, str, Case]]:
    """As `draw_sick`; the seed chooses which kinds come first."""
    order = np.random.default_rng(seed).permutation(len(KINDS))
    return draw_sick([KINDS[k] for k in order], count, seed)


def healthy_cases(count: int, seed: int) -> list[Case]:
    return draw_healthy(healthy, count, seed)
