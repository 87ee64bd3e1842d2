"""More networks, sick and healthy, of other tasks than those of `sick.py` and spoilt in other ways.

The rules of a diagnosis were made without them: they measure it, and nothing is to be tuned on
them.
"""

import numpy as np

from tests.app.sick import Array, Case, Kind, Rng, draw_healthy, draw_sick

# Tasks


def moons(rng: Rng, n: int) -> tuple[Array, Array]:
    """Two half circles that reach into each other."""
    y = rng.integers(0, 2, n)
    angle = np.pi * rng.random(n)
    x = np.where(y == 0, np.cos(angle), 1 - np.cos(angle)) - 0.5
    z = np.where(y == 0, np.sin(angle), 0.5 - np.sin(angle)) - 0.25
    return 1.5 * np.stack([x, z], axis=1) + 0.12 * rng.standard_normal((n, 2)), y


def switches(rng: Rng, n: int) -> tuple[Array, Array]:
    """Switches of -1 and 1, of which each class has its own pattern, a tenth of them turned."""
    classes, d = int(rng.integers(3, 8)), int(rng.integers(20, 40))
    patterns = rng.choice([-1.0, 1.0], (classes, d))
    y = rng.integers(0, classes, n)
    return patterns[y] * np.where(rng.random((n, d)) < 0.1, -1, 1), y


def bars(rng: Rng, n: int) -> tuple[Array, Array]:
    """Images of 8 x 8 with a bar that lies, stands or is oblique."""
    y = rng.integers(0, 3, n)
    x = 0.15 * rng.random((n, 1, 8, 8))
    for image, kind in zip(x[:, 0], y, strict=True):
        k = int(rng.integers(1, 7))
        if kind == 0:
            image[k, 1:7] += 0.85
        elif kind == 1:
            image[1:7, k] += 0.85
        else:
            for i in range(1, 7):
                image[i, (i + k) % 8] += 0.85
    return x, y


def friedman(rng: Rng, n: int) -> tuple[Array, Array]:
    """Friedman's first function ("Multivariate adaptive regression splines", 1991)."""
    x = rng.random((n, 5))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    y += 10 * x[:, 3] + 5 * x[:, 4] + 0.5 * rng.standard_normal(n)
    return 2 * x - 1, (y - y.mean()) / y.std()


def hills(rng: Rng, n: int) -> tuple[Array, Array]:
    """How near the nearest of two hills is."""
    x = rng.uniform(-1.5, 1.5, (n, 2))
    tops = rng.uniform(-1, 1, (2, 2))
    near = np.exp(-np.square(x[:, None] - tops).sum(axis=2)).sum(axis=1)
    return x, near + 0.02 * rng.standard_normal(n)


FOR_CLASSES, FOR_NUMBERS = (moons, switches), (friedman, hills)


def network(rng: Rng, task: object) -> Case:
    """A network that is made for its task."""
    n = int(rng.integers(240, 500))
    x, y = task(rng, n)  # type: ignore[operator]
    is_classes = y.dtype.kind == "i"
    activation = str(rng.choice(["elu", "relu", "tanh", "softplus"]))
    units = int(rng.integers(16, 48))
    hidden: list[dict[str, object]] = [
        {"type": "dense", "units": units, "activation": activation}
        for _ in range(int(rng.integers(1, 3)))
    ]
    if task is bars:
        filters = int(rng.integers(4, 9))
        hidden = [
            {"type": "conv", "filters": filters, "kernel": 3, "activation": activation},
            {"type": "maxpool", "size": 2},
        ]
    outputs = int(y.max()) + 1 if is_classes else 1
    last = {
        "type": "dense",
        "units": outputs,
        "activation": "softmax" if is_classes else "identity",
    }
    momentum = float(rng.choice([0.0, 0.5, 0.8]))
    eta = (0.25 if is_classes else 0.06) * (1 - momentum) * float(rng.uniform(0.7, 1.5))
    train = {
        "eta": round(eta, 5),
        "momentum": momentum,
        "epochs": int(rng.integers(60, 90)) if task is not bars else 25,
        "batch_size": int(rng.choice([10, 16, 20, 32])),
        "cost": "cross_entropy" if is_classes else "quadratic",
    }
    data = {"validation": float(rng.choice([0.2, 0.3]))} if rng.random() < 0.7 else {}
    spec = {
        "seed": int(rng.integers(10**6)),
        "dtype": str(rng.choice(["float32", "float64"])),
        "data": data,
        "network": [*hidden, last],
        "train": train,
    }
    return Case(x, y, spec)


def one_of(rng: Rng, tasks: tuple[object, ...]) -> Case:
    return network(rng, tasks[int(rng.integers(len(tasks)))])


def healthy(rng: Rng) -> Case:
    return one_of(rng, (moons, switches, bars, friedman, hills))


def dense(rng: Rng) -> Case:
    """A healthy one without images."""
    return one_of(rng, (*FOR_CLASSES, *FOR_NUMBERS))


# Ways to spoil it


def deep_sigmoid(rng: Rng) -> Case:
    case = dense(rng)
    units = int(rng.integers(8, 16))
    layer = {"type": "dense", "units": units, "activation": "sigmoid"}
    case.layers[:-1] = [dict(layer) for _ in range(int(rng.integers(5, 8)))]
    return case


def tiny_weights(rng: Rng) -> Case:
    """A deep tanh network that begins near 0."""
    case = dense(rng)
    depth, units, d = int(rng.integers(4, 6)), int(rng.integers(8, 16)), case.x.shape[1]
    case.layers[:-1] = []
    for k in range(depth):
        w = 0.02 * rng.standard_normal((d, units))
        layer = {"type": "dense", "units": units, "activation": "tanh"}
        case.layers.insert(k, {**layer, "weights": np.round(w, 5).tolist()})
        d = units
    return case


def large_weights(rng: Rng) -> Case:
    case = dense(rng)
    activation = str(rng.choice(["elu", "relu", "softplus"]))
    layer = {
        "type": "dense",
        "units": int(rng.integers(50, 90)),
        "activation": activation,
        "init": "normal",
    }
    case.layers[:-1] = [dict(layer) for _ in range(int(rng.integers(4, 6)))]
    return case


def negative_weights(rng: Rng) -> Case:
    """Weights below 0 for inputs above 0: no relu is ever on."""
    case = one_of(rng, (friedman, switches))
    x = np.abs(case.x) + 0.1 * rng.random(case.x.shape)
    first = {**case.layers[0], "activation": "relu"}
    first["weights"] = np.round(-rng.uniform(0.3, 1, (x.shape[1], first["units"])), 4).tolist()
    case.layers[:-1] = [first]
    # The targets follow from the inputs as they are now.
    w = rng.standard_normal(x.shape[1])
    z = np.sin(2 * (x - x.mean(axis=0)) @ w / np.linalg.norm(w))
    y = (z - z.mean()) / z.std()
    case.layers[-1] |= {"units": 1, "activation": "identity"}
    case.train.update(cost="quadratic", eta=0.03, momentum=0.0)
    return case._replace(x=x, y=y)


def many_inputs(rng: Rng) -> Case:
    """N(0, 1) weights behind some hundred switches: z of 10 and more."""
    n, d = int(rng.integers(300, 400)), int(rng.integers(300, 500))
    x = rng.choice([-1.0, 1.0], (n, d))
    w = rng.standard_normal((d, 3)) * (rng.random((d, 1)) < 0.06)
    y = (x @ w + 0.1 * rng.standard_normal((n, 3))).argmax(axis=1)
    case = one_of(rng, FOR_CLASSES)._replace(x=x, y=y)
    units = int(rng.integers(6, 12))
    layer = {"type": "dense", "units": units, "activation": "sigmoid", "init": "normal"}
    case.layers[:-1] = [layer]
    case.layers[-1] |= {"units": 3}
    case.train.update(eta=1.0, momentum=0.0)
    return case


def too_fast(rng: Rng) -> Case:
    case = healthy(rng)
    case.train["eta"] = float(case.train["eta"] * rng.uniform(40, 150))
    return case


def too_much_momentum(rng: Rng) -> Case:
    case = dense(rng)
    eta = case.train["eta"] / (1 - case.train["momentum"])
    case.train.update(eta=round(1.5 * eta, 4), momentum=float(rng.choice([0.96, 0.97, 0.98])))
    return case


def too_slow(rng: Rng) -> Case:
    case = healthy(rng)
    case.train["eta"] = float(case.train["eta"] * 10 ** rng.uniform(-4, -3))
    return case


def pixels(rng: Rng) -> Case:
    """Bytes that are not scaled."""
    case = network(rng, bars)
    return case._replace(x=np.round(255 * case.x.clip(0, 1)))


def years(rng: Rng) -> Case:
    """A year, and a sum of money, among small numbers."""
    case = one_of(rng, (moons, friedman, hills))
    x = case.x.copy()
    x[:, 0] = 2000 + 10 * x[:, 0]
    x[:, 1] = 40_000 * (x[:, 1] + 2)
    return case._replace(x=x)


def metres(rng: Rng) -> Case:
    """What is of micrometres, in metres."""
    case = dense(rng)
    return case._replace(x=1e-5 * case.x)


def nothing(rng: Rng) -> Case:
    case = healthy(rng)
    return case._replace(x=np.full_like(case.x, float(rng.choice([0.0, 1.0, 7.5]))))


def hundreds(rng: Rng) -> Case:
    """Targets that the outputs do not reach."""
    case = one_of(rng, FOR_NUMBERS)
    case.layers[-1]["activation"] = activation = str(rng.choice(["sigmoid", "tanh", "relu"]))
    y = {"sigmoid": 2 * case.y, "tanh": 6 * case.y, "relu": -3 - np.abs(case.y)}[activation]
    return case._replace(y=y)


def wrong_outputs(rng: Rng) -> Case:
    """Quadratic cost behind sigmoid outputs that begin far on the wrong side."""
    case = one_of(rng, FOR_CLASSES)
    units = case.layers[-1]["units"]
    case.layers[-1] = {
        "type": "dense",
        "units": units,
        "activation": "sigmoid",
        "bias": [float(rng.uniform(8, 12)) for _ in range(units)],
    }
    case.train.update(cost="quadratic")
    return case


def random_labels(rng: Rng) -> Case:
    case = healthy(rng)
    if case.is_classes:
        return case._replace(y=rng.integers(0, int(case.y.max()) + 1, len(case.y)))
    return case._replace(y=rng.standard_normal(len(case.y)))


def rare_classes(rng: Rng) -> Case:
    n, d = int(rng.integers(450, 650)), int(rng.integers(4, 8))
    y = rng.choice(3, n, p=[0.9, 0.055, 0.045])
    x = rng.standard_normal((n, d))
    x[:, 0] += 1.2 * (y == 1)
    x[:, 1] += 1.2 * (y == 2)
    case = one_of(rng, FOR_CLASSES)._replace(x=x, y=y)
    case.layers[:-1] = [{"type": "dense", "units": 10, "activation": "tanh"}]
    case.layers[-1] |= {"units": 3}
    case.train.update(eta=0.05, momentum=0.0, epochs=15, weight_decay=0.003)
    return case


def noisy_labels(rng: Rng) -> Case:
    """A large network, for long, on few samples of which a part has wrong labels."""
    n, d = int(rng.integers(90, 140)), int(rng.integers(12, 25))
    x = rng.standard_normal((n, d))
    y = (x[:, :4].sum(axis=1) > 0).astype(np.int64)
    y = np.where(rng.random(n) < 0.2, 1 - y, y)
    case = one_of(rng, FOR_CLASSES)._replace(x=x, y=y)
    units = int(rng.integers(60, 120))
    case.layers[:-1] = [{"type": "dense", "units": units, "activation": "tanh"}]
    case.layers[-1] |= {"units": 2}
    case.spec["data"] = {"validation": 0.3}
    case.train.update(epochs=int(rng.integers(120, 180)), eta=0.3, momentum=0.0)
    return case


def no_hidden_layer(rng: Rng) -> Case:
    case = network(rng, moons)
    angle = np.arctan2(case.x[:, 1], case.x[:, 0])
    y = (np.sin(3 * angle) > 0).astype(np.int64)
    case.layers[:-1] = []
    return case._replace(y=y)


def two_units(rng: Rng) -> Case:
    case = network(rng, moons)
    angle = np.arctan2(case.x[:, 1], case.x[:, 0])
    y = (np.sin(3 * angle) > 0).astype(np.int64)
    case.layers[:-1] = [{"type": "dense", "units": 2, "activation": "tanh"}]
    case.train.update(eta=0.4, momentum=0.0, epochs=60)
    return case._replace(y=y)


def one_step_an_epoch(rng: Rng) -> Case:
    case = dense(rng)
    case.train.update(batch_size=len(case.y) * int(rng.integers(1, 4)), epochs=15)
    return case


def equal_weights(rng: Rng) -> Case:
    case = dense(rng)
    d = case.x.shape[1]
    for layer in case.layers:
        layer["weights"] = np.full((d, layer["units"]), round(float(rng.uniform(-0.4, 0.4)), 3))
        layer["weights"] = layer["weights"].tolist()
        d = layer["units"]
    return case


def one_bad_number(rng: Rng) -> Case:
    case = dense(rng)
    x = case.x.copy()
    x[int(rng.integers(len(x))), int(rng.integers(x.shape[1]))] = 10 ** float(rng.uniform(12, 20))
    return case._replace(x=x)


KINDS = (
    Kind(deep_sigmoid, "vanishing_signal"),
    Kind(tiny_weights, "vanishing_signal"),
    Kind(large_weights, "exploding_signal"),
    Kind(negative_weights, "dead_units"),
    Kind(many_inputs, "saturated_units"),
    Kind(too_fast, "eta_too_large"),
    Kind(too_much_momentum, "eta_too_large"),
    Kind(too_slow, "eta_too_small"),
    Kind(pixels, "input_scale"),
    Kind(years, "input_scale"),
    Kind(metres, "input_scale"),
    Kind(nothing, "constant_inputs"),
    Kind(hundreds, "output_range"),
    Kind(wrong_outputs, "cost_mismatch"),
    Kind(random_labels, "labels_unrelated"),
    Kind(rare_classes, "class_imbalance"),
    Kind(noisy_labels, "overfitting"),
    Kind(no_hidden_layer, "underfitting"),
    Kind(two_units, "underfitting"),
    Kind(one_step_an_epoch, "underfitting"),
    Kind(equal_weights, "symmetric_start"),
    Kind(one_bad_number, "diverged"),
)


def sick_cases(count: int, seed: int) -> list[tuple[str, str, Case]]:
    order = np.random.default_rng(seed).permutation(len(KINDS))
    return draw_sick([KINDS[k] for k in order], count, seed)


def healthy_cases(count: int, seed: int) -> list[Case]:
    return draw_healthy(healthy, count, seed)
