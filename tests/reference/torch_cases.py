"""The networks that PyTorch's step was recorded for, as plain data, and the record itself.

Both `make_torch.py`, which writes the record, and the test that reads it draw the numbers of a case
from here, so that only results are stored. Nothing here knows PyTorch, and nothing knows nncli.

A case holds a network as a spec has it (integers or pairs for what has rows and columns), the shape
of one sample, the number of samples `n`, and what SGD needs. Its place in CASES seeds its numbers.
"""

from collections.abc import Iterator
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np

RECORD = Path(__file__).parent / "torch" / "steps.npz"
ETAS = (0.25, 0.125)  # the learning rates of the two steps, each on a mini-batch of its own

IMAGE = (2, 5, 6)  # channels x rows x columns
ELEMENTWISE = ["sigmoid", "tanh", "relu", "identity"]
CROSS_ENTROPIES = [("cross_entropy", "sigmoid"), ("cross_entropy", "softmax")]
ENDINGS = [*(("quadratic", activation) for activation in ELEMENTWISE), *CROSS_ENTROPIES]


# --- The cases ----------------------------------------------------------------------------------


def dense(units: Any, activation: str = "sigmoid", **more: Any) -> Any:
    return {"type": "dense", "units": units, "activation": activation, **more}


def conv(filters: Any, kernel: Any, activation: str = "tanh", **more: Any) -> Any:
    return {"type": "conv", "filters": filters, "kernel": kernel, "activation": activation, **more}


def pool(kind: Any, size: Any, **more: Any) -> Any:
    return {"type": kind, "size": size, **more}


FLATTEN = {"type": "flatten"}


def case(name: Any, shape: Any, *network: Any, **more: Any) -> Any:
    """`inputs`: "ties" are drawn from -1, 0 and 1; of "zero" the first sample is 0 throughout."""
    return {"name": name, "shape": shape, "network": network} | {
        "cost": "quadratic",
        "n": 3,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "inputs": "any",
        **more,
    }


def activation_cases() -> Iterator[Any]:
    """Each hidden activation under each cost and output activation that go together."""
    sizes = cycle([3, 1, 3])
    for hidden, (cost, output) in product(ELEMENTWISE, ENDINGS):
        layers = dense(4, hidden), dense(3, output)
        yield case(f"dense-{hidden}-{cost}-{output}", (3,), *layers, cost=cost, n=next(sizes))
    for hidden, (cost, output) in product(ELEMENTWISE, ENDINGS[3:]):
        layers = conv(2, 2, hidden), dense(3, output)
        yield case(f"conv-{hidden}-{cost}-{output}", (2, 3, 4), *layers, cost=cost, n=next(sizes))


def dense_cases() -> Iterator[Any]:
    tanh, no_bias, last = dense(3, "tanh"), dense(3, "tanh", bias=False), dense(2)
    yield case("dense-one_unit", (1,), dense(1), n=1)
    yield case("dense-no_bias", (3,), no_bias, dense(2, bias=False))
    yield case("dense-deep", (4,), tanh, no_bias, tanh, last)
    yield case("dense-kink", (3,), dense(4, "relu", bias=False), last, inputs="zero")


def conv_cases() -> Iterator[Any]:
    geometries: dict[str, dict[str, Any]] = {
        "1": {"kernel": 1},
        "2": {"kernel": 2},
        "3": {"kernel": 3},
        "2x3": {"kernel": (2, 3)},
        "3x1": {"kernel": (3, 1)},
        "whole_image": {"kernel": (5, 6)},
        "same-2": {"kernel": 2, "padding": "same"},
        "same-3": {"kernel": 3, "padding": "same"},
        "same-4x3": {"kernel": (4, 3), "padding": "same"},
        "same-1x4": {"kernel": (1, 4), "padding": "same"},
        "same-2-dilation_2": {"kernel": 2, "padding": "same", "dilation": 2},
        "same-2-dilation_1x2": {"kernel": 2, "padding": "same", "dilation": (1, 2)},
        "same-3-stride_2": {"kernel": 3, "padding": "same", "stride": 2},
        "same-2-stride_2x1": {"kernel": 2, "padding": "same", "stride": (2, 1)},
        "padding_1": {"kernel": 3, "padding": 1},
        "padding_2": {"kernel": 2, "padding": 2, "stride": 2},
        "padding_2x0": {"kernel": 2, "padding": (2, 0)},
        "padding_1x2": {"kernel": (2, 3), "padding": (1, 2), "stride": 2},
        "stride_2": {"kernel": 2, "stride": 2},
        "stride_2x1": {"kernel": 2, "stride": (2, 1)},
        "stride_1x4": {"kernel": 2, "stride": (1, 4)},
        "dilation_2": {"kernel": 2, "dilation": 2},
        "dilation_1x2": {"kernel": (3, 2), "dilation": (1, 2)},
        "all": {
            "kernel": (3, 2),
            "padding": (2, 1),
            "stride": (2, 1),
            "dilation": (1, 2),
            "bias": False,
        },
    }
    head = dense(2, "identity")
    for (name, geometry), n in zip(geometries.items(), cycle([1, 3, 1])):
        yield case(f"conv-{name}", IMAGE, conv(2, **geometry), head, n=n)
    yield case("conv-one_channel_one_filter", (1, 4, 5), conv(1, 2), head)
    yield case("conv-many_channels_many_filters", (4, 3, 4), conv(5, 2), head)
    inner = conv(3, (2, 3), padding="same", bias=False), conv(2, (3, 2), stride=(1, 2), padding=1)
    yield case("conv-three", (2, 4, 5), conv(2, 1), *inner, head)


def pool_cases(kind: Any) -> Iterator[Any]:
    pools: dict[str, dict[str, Any]] = {
        "2": {"size": 2},  # leaves the last row uncovered
        "3-stride_1": {"size": 3, "stride": 1},
        "2x3": {"size": (2, 3)},
        "3x2-stride_1x2": {"size": (3, 2), "stride": (1, 2)},
        "2x1-stride_3x2": {"size": (2, 1), "stride": (3, 2)},
    }
    head = dense(2, "identity")
    for (name, geometry), n in zip(pools.items(), cycle([1, 3, 1])):
        yield case(f"{kind}-{name}", IMAGE, pool(kind, **geometry), head, n=n)
    around = conv(2, 2), pool(kind, (2, 3), stride=1), conv(2, 2, padding="same"), head
    yield case(f"{kind}-between_convs", IMAGE, *around)


def tie_cases() -> Iterator[Any]:
    """The first of equal maxima is the one that counts; behind relu, many are 0."""
    head = dense(2, "identity")
    yield case("maxpool-ties", IMAGE, pool("maxpool", 2, stride=1), head, inputs="ties")
    relu = conv(2, 2, "relu", bias=False), pool("maxpool", (2, 3)), head
    yield case("maxpool-ties-behind_relu", IMAGE, *relu, inputs="zero")


def flatten_cases() -> Iterator[Any]:
    head = dense(2)
    yield case("flatten-said", (2, 3, 3), conv(2, 2), FLATTEN, head)
    yield case("flatten-first", (2, 2, 3), FLATTEN, head)
    yield case("flatten-twice", (2, 4, 4), pool("avgpool", 2), FLATTEN, FLATTEN, head)


def sgd_cases() -> Iterator[Any]:
    how = {
        "momentum": {"momentum": 0.9},
        "weight_decay": {"weight_decay": 0.1},
        "momentum-weight_decay": {"momentum": 0.5, "weight_decay": 0.01},
    }
    for name, more in how.items():
        yield case(f"sgd-dense-{name}", (3,), dense(4, "tanh"), dense(2), **more)
        yield case(f"sgd-conv-{name}", (2, 3, 4), conv(2, 2, bias=False), dense(2), **more)


def lenet_cases() -> Iterator[Any]:
    for kind, n, more in (("avgpool", 1, {}), ("maxpool", 3, {"momentum": 0.9})):
        yield case(
            f"lenet-{kind}",
            (1, 12, 12),
            conv(2, 3, "relu", padding="same"),
            pool(kind, 2),
            conv(3, 3, "tanh"),
            pool(kind, 2),
            dense(6, "sigmoid"),
            dense(4, "softmax"),
            cost="cross_entropy",
            n=n,
            **more,
        )


FURTHER = [  # activations, with what a layer says of them
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.25}),
    ("elu", {}),
    ("elu", {"alpha": 0.5}),
    ("softplus", {}),
    ("gelu", {}),
]


def group_cases() -> Iterator[Any]:
    """Each group of filters sees its own channels; as many groups as channels are depthwise."""
    below, head = conv(4, 1), dense(2, "identity")
    grouped = conv(6, (2, 3), groups=2, padding=1, stride=(1, 2))
    depthwise = conv(8, 3, groups=4, padding=2, dilation=2, bias=False)
    yield case("conv-groups_2", (1, 3, 4), below, grouped, head, n=2)
    yield case("conv-depthwise", (1, 3, 4), below, depthwise, head, n=1)


def padding_mode_cases() -> Iterator[Any]:
    below, head = conv(2, 1), dense(2, "identity")
    for mode in ("reflect", "replicate", "circular"):
        layer = conv(2, (3, 2), padding=(2, 1), stride=(1, 2), padding_mode=mode)
        yield case(f"conv-{mode}", (1, 3, 4), below, layer, head, n=1)


def padded_pool_cases() -> Iterator[Any]:
    pools: list[Any] = [
        pool("maxpool", 3, stride=2, padding=1, ceil_mode=True),
        pool("maxpool", 2, stride=1, padding=(0, 1), dilation=(2, 2)),
        pool("avgpool", 3, stride=2, padding=1, ceil_mode=True),
        pool("avgpool", 3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
        pool("avgpool", (2, 3), stride=(3, 2), ceil_mode=True),
        {"type": "global_avgpool"},
    ]
    for number, layer in enumerate(pools):
        name = f"{layer['type']}-padded_{number}" if "size" in layer else layer["type"]
        yield case(name, (1, 4, 5), conv(1, 1), layer, dense(2, "identity"), n=2)


def further_activation_cases() -> Iterator[Any]:
    """Each of FURTHER in dense and conv layers, as an output, and of a z that is exactly 0."""
    sizes = cycle([3, 1, 3])
    for activation, keys in FURTHER:
        name = "-".join([activation, *(f"{value:g}" for value in keys.values())])
        inner, last = dense(4, activation, **keys), dense(3, activation, **keys)
        for cost, output in ENDINGS[2:]:
            layers = inner, dense(3, output)
            yield case(f"dense-{name}-{cost}-{output}", (3,), *layers, cost=cost, n=next(sizes))
        yield case(f"dense-{name}-quadratic-{name}", (3,), inner, last, n=next(sizes))
        layers = conv(2, 2, activation, **keys), dense(3, "softmax")
        yield case(f"conv-{name}", (2, 3, 4), *layers, cost="cross_entropy", n=next(sizes))
        kink = dense(4, activation, bias=False, **keys)
        yield case(f"dense-{name}-kink", (3,), kink, dense(2), inputs="zero")


CASES = [
    *activation_cases(),
    *dense_cases(),
    *conv_cases(),
    *pool_cases("maxpool"),
    *pool_cases("avgpool"),
    *tie_cases(),
    *flatten_cases(),
    *sgd_cases(),
    *lenet_cases(),
    *further_activation_cases(),
    *group_cases(),
    *padding_mode_cases(),
    *padded_pool_cases(),
]
NAMES = [f"{index:03}-{case['name']}" for index, case in enumerate(CASES)]


# --- Their numbers ------------------------------------------------------------------------------


class Draw:
    """The numbers of one case, to be asked for in one order: parameters layer by layer, batches.

    Nothing but multiples of 2^-53 and correctly rounded operations: the same on every machine.
    """

    def __init__(self, index: Any) -> None:
        self.case = CASES[index]
        self.rng = np.random.default_rng(index)

    def between(self, low: Any, high: Any, shape: Any) -> Any:
        return low + (high - low) * self.rng.random(shape)

    def weight(self, shape: Any, fan_in: Any) -> Any:
        return self.between(-2, 2, shape) / np.sqrt(fan_in)

    def bias(self, units: Any) -> Any:
        return self.between(-0.5, 0.5, units)

    def batch(self) -> Any:
        """A mini-batch: inputs and targets."""
        case = self.case
        n, last = case["n"], case["network"][-1]
        inputs = self.between(-1, 1, (n, *case["shape"]))
        if case["inputs"] == "ties":
            inputs = np.rint(1.5 * inputs)
        elif case["inputs"] == "zero":
            inputs[0] = 0
        if case["cost"] == "quadratic":
            return inputs, self.between(-1, 1, (n, last["units"]))
        targets = self.between(0, 1, (n, last["units"]))
        if n > 1:
            targets[0] = np.eye(last["units"])[0]  # a sample with hard targets
        if last["activation"] == "softmax":
            targets /= targets.sum(axis=1, keepdims=True)
        return inputs, targets


# --- The record ---------------------------------------------------------------------------------


def save(version: Any, fields: Any) -> None:
    """`fields`: arrays by key, such as 007/1/conv1/delta (case, step, layer, quantity).

    They are stored end to end: thousands of members of their own would weigh more than the numbers.
    """
    np.savez_compressed(
        RECORD,
        torch=np.array(version),
        cases=np.array(NAMES),
        keys=np.array(list(fields)),
        shapes=np.array([[*v.shape, -1, -1, -1, -1][:4] for v in fields.values()], np.int16),
        values=np.concatenate([v.ravel() for v in fields.values()]),
    )


def load() -> Any:
    """PyTorch's version, the names of the cases when it ran, and per case {1/conv1/delta: ...}."""
    with np.load(RECORD) as file:
        stored = dict(file)
    cases: dict[str, dict[str, Any]] = {name: {} for name in stored["cases"].tolist()}
    by_number = dict(zip((name.partition("-")[0] for name in cases), cases.values(), strict=True))
    start = 0
    for path, row in zip(stored["keys"].tolist(), stored["shapes"].tolist(), strict=True):
        shape = [length for length in row if length >= 0]
        stop = start + int(np.prod(shape))
        number, _, key = path.partition("/")
        by_number[number][key] = stored["values"][start:stop].reshape(shape)
        start = stop
    return str(stored["torch"]), cases
