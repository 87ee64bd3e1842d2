"""The networks that the engine is tested on: tiny, and between them every kind of everything.

Rows of ACTIVATIONS and COSTS come in by themselves; a new Layer class needs some in LAYER_CASES.
"""

from dataclasses import dataclass, replace
from functools import cache
from itertools import count, product
from math import inf
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from nncli.core.text import sizes
from nncli.nn.activations import ACTIVATIONS, Activation
from nncli.nn.costs import COSTS
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
)
from nncli.nn.network import Network, build_network
from nncli.nn.optimizers import Optimizer, chain_of
from nncli.nn.step import Step
from tests.reference import backprop

IMAGE = (2, 5, 6)  # channels x rows x columns
DRAWS = np.random.SeedSequence(7)  # of what layers draw at random
MARGIN = 1e-3  # how far from every kink the inputs are kept, far wider than a difference's step


@dataclass(frozen=True)
class Case:
    name: str
    layers: tuple[Layer, ...]
    input_shape: tuple[int, ...]
    cost: str = "quadratic"
    n: int = 2

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Setting:
    """A case with numbers: a network, a mini-batch, and what they were drawn from.

    `parameters` are those of one layer after the other, weights before biases, each by rows,
    however the engine lays them out.
    """

    case: Case
    parameters: NDArray[Any]
    inputs: NDArray[Any]
    targets: NDArray[Any]

    def network(self, dtype: Any = np.float64) -> Network:
        network = build_case(self.case).astype(dtype)
        views = network.named(network.parameters).values()
        ends = np.cumsum([view.size for view in views])
        for view, numbers in zip(views, np.split(self.parameters, ends[:-1]), strict=True):
            view[...] = numbers.reshape(view.shape)
        return network

    def step(self, dtype: Any = np.float64, class_weights: Any = None, **settings: Any) -> Step:
        """A step that has its mini-batch and has not run."""
        network = self.network(dtype)
        network.class_weights = class_weights
        step = Step(network, Optimizer(network, chain_of(**settings)), self.case.n)
        step.inputs[...] = self.inputs
        step.targets[...] = self.targets
        if step.is_random:
            step.randomise(DRAWS)
        return step

    def draws(self) -> dict[str, list[Any]]:
        """What `step` draws, as plain lists, samples first."""
        rng, drawn = np.random.default_rng(DRAWS), {}
        for placed in build_case(self.case).layers:
            if placed.layer.type == "dropout":
                uniform = rng.random((*placed.output_shape, self.case.n))
                drawn[placed.name] = np.moveaxis(uniform, -1, 0).tolist()
        return drawn

    def reference(self, network: Network, eta: float = 0.5, **how: Any) -> dict[str, Any]:
        """What plain loops make of the same step from the parameters of `network`."""
        step: dict[str, Any] = backprop.step(
            self.case.layers,
            as_lists(network.views(network.parameters)),
            self.inputs.tolist(),
            self.targets.tolist(),
            self.case.cost,
            eta,
            draws=self.draws(),
            **how,
        )
        return step


def as_lists(views: Any) -> Any:
    return {name: {key: v.tolist() for key, v in keys.items()} for name, keys in views.items()}


def build_case(case: Case) -> Network:
    return build_network(
        case.layers, case.input_shape, case.cost, np.float64, np.random.default_rng(0)
    )


@cache
def settle(case: Case) -> Setting:
    """Numbers for `case`, drawn again until none is near a kink."""
    size = build_case(case).parameters.size
    for seed in count():
        rng = np.random.default_rng(seed)
        setting = Setting(
            case,
            # Biases too: those a network starts with are 0, which would hide a bias left out.
            rng.normal(0, 0.6, size),
            rng.normal(0, 1, (case.n, *case.input_shape)),
            draw_targets(case, rng),
        )
        if distance_from_kinks(setting) > MARGIN:
            return setting
    raise AssertionError


def draw_targets(case: Case, rng: np.random.Generator) -> NDArray[Any]:
    network = build_case(case)
    shape = (case.n, *network.output_shape)
    if case.cost == "quadratic":
        return rng.normal(0, 1, shape)
    y = rng.uniform(0, 1, shape)
    y[0] = np.eye(shape[1])[0]  # one sample with hard targets
    if network.cost.activation == "softmax":
        y /= y.sum(axis=1, keepdims=True)
    return y


def distance_from_kinks(setting: Setting) -> float:
    network = setting.network()
    parameters = as_lists(network.views(network.parameters))
    trace: dict[str, Any] = {}
    placed = backprop.named(setting.case.layers, setting.inputs[0].tolist())
    backprop.forward(trace, placed, parameters, setting.inputs.tolist(), setting.draws())
    nearest = inf
    for name, kind, layer in placed:
        for kink in ACTIVATIONS[getattr(layer, "activation", "identity")].kinks:
            nearest = min(nearest, float(np.abs(np.subtract(trace[f"{name}.z"], kink)).min()))
        if kind == "maxpool":
            for image in trace[f"{name}.input"]:
                for channel, window_row in product(image, backprop.window_grid(layer, image)):
                    for window in window_row:
                        values = sorted(channel[row][column] for _, _, row, column in window)
                        if len(values) > 1:
                            nearest = min(nearest, values[-1] - values[-2])
    return nearest


ELEMENTWISE = [row.name for row in ACTIVATIONS.values() if row.elementwise]
ENDINGS = [  # each cost with each activation that may stand before it
    (row.name, activation)
    for row in COSTS
    for activation in ([row.activation] if row.activation else ELEMENTWISE)
]


TEXTBOOK = {"sigmoid", "tanh", "relu", "identity", "softmax"}


def meet(hidden: str, cost: str, output: str) -> bool:
    """Whether the two activations are tested together.

    The textbook's all are; every other one is under each cost, under itself, and over tanh.
    """
    return {hidden, output} <= TEXTBOOK or hidden in ("tanh", output) or cost == "cross_entropy"


def activation_cases() -> list[Case]:
    """Every activation hidden and last, under every cost, in dense and conv layers."""
    cases = []
    for hidden, (cost, output) in product(ELEMENTWISE, ENDINGS):
        if not meet(hidden, cost, output):
            continue
        ending = f"{hidden}-{cost}-{output}"
        head = Dense(units=3, activation=output)
        dense = Dense(units=4, activation=hidden)
        cases.append(Case(f"dense-{ending}", (dense, head), (3,), cost, n=3))
        conv = Conv(filters=2, kernel=(2, 2), activation=hidden)
        cases.append(Case(f"conv-{ending}", (conv, head), (2, 3, 3), cost, n=3))
    return [*cases, *map(parameter_case, (row for row in ACTIVATIONS.values() if row.parameters))]


def parameter_case(row: Activation) -> Case:
    """A row with another value than its default, in all layers."""
    how: dict[str, Any] = {"activation": row.name, "activation_parameters": (0.3,)}
    conv, last = Conv(filters=2, kernel=(2, 2), **how), Dense(units=3, **how)
    return Case(f"conv-{row.name}_0.3", (conv, last), (2, 3, 3), n=3)


def dense_cases() -> list[Case]:
    tanh, last = Dense(units=3, activation="tanh"), Dense(units=2)
    no_bias = Dense(units=3, activation="tanh", bias=False)
    return [
        Case("dense-alone", (last,), (3,)),
        Case("dense-one_unit", (Dense(units=1),), (1,)),
        Case("dense-one_sample", (tanh, last), (3,), n=1),
        Case("dense-many_samples", (tanh, last), (3,), n=7),
        Case("dense-no_bias", (no_bias, last), (3,)),
        Case("dense-no_bias_last", (tanh, Dense(units=2, bias=False)), (3,)),
        Case("dense-deep", (tanh, no_bias, tanh, last), (4,)),
        Case("dense-on_image", (tanh, last), (2, 2, 3)),
    ]


def above_and_below(layer: Layer) -> tuple[Layer, ...]:
    """`layer` where its own downstream matters and its upstream lies inside a padded array."""
    below = Conv(filters=2, kernel=(1, 1), activation="tanh")
    above = Conv(filters=2, kernel=(2, 2), padding="same", activation="tanh")
    return (below, layer, above, Dense(units=2, activation="identity"))


def conv_cases() -> list[Case]:
    kernels = [(1, 1), (2, 2), (3, 3), (2, 3), (3, 1)]
    paddings = ["valid", "same", 1, (2, 0)]
    strides = [(1, 1), (2, 2), (1, 3)]
    dilations = [(1, 1), (2, 2), (1, 2)]
    cases = []
    for kernel, padding, stride, dilation in product(kernels, paddings, strides, dilations):
        pad = sizes(padding) if isinstance(padding, tuple) else padding
        name = f"conv-{sizes(kernel)}-{pad}-stride_{sizes(stride)}-dilation_{sizes(dilation)}"
        geometry: dict[str, Any] = {
            "kernel": kernel,
            "padding": padding,
            "stride": stride,
            "dilation": dilation,
        }
        layer = Conv(filters=3, activation="tanh", **geometry)
        head = Dense(units=2, activation="identity")
        cases.append(Case(name.replace(" ", ""), (layer, head), IMAGE))
    inside = Conv(filters=3, kernel=(2, 3), padding="same", activation="tanh", bias=False)
    strided = Conv(filters=1, kernel=(3, 2), padding=(2, 1), stride=(2, 1), dilation=(1, 2))
    # Totals of 1 x 3: the odd row and column go after.
    odd_same = Conv(filters=2, kernel=(2, 4), padding="same", activation="sigmoid")
    upper = Conv(
        filters=2, kernel=(3, 3), padding="same_upper", stride=(2, 2), activation="sigmoid"
    )
    apart = Conv(filters=2, kernel=(2, 3), padding=((0, 2), (1, 0)), activation="tanh")
    repeat = (
        Conv(filters=2, kernel=(3, 2), padding=(2, 1), padding_mode="reflect"),
        Conv(filters=2, kernel=(2, 4), padding="same", padding_mode="replicate", groups=2),
        Conv(
            filters=2,
            kernel=(2, 3),
            padding=((3, 1), (0, 4)),
            stride=(2, 1),
            padding_mode="circular",
        ),
    )
    grouped = Conv(filters=4, kernel=(2, 3), groups=2, padding=1, activation="tanh")
    depthwise = Conv(filters=2, kernel=(2, 2), groups=2, stride=(2, 1), activation="tanh")
    shuffled = Conv(filters=6, kernel=(2, 2), groups=3, dilation=(2, 1), activation="sigmoid")
    of_four = (Conv(filters=6, kernel=(1, 1), activation="tanh"), shuffled, Dense(units=2))
    return [
        *cases,
        *(
            Case(f"conv-inside-{layer.padding_mode}", above_and_below(layer), IMAGE)
            for layer in repeat
        ),
        Case("conv-inside-groups", above_and_below(grouped), IMAGE, n=3),
        Case("conv-inside-depthwise", above_and_below(depthwise), IMAGE, n=3),
        Case("conv-groups-of_two", of_four, IMAGE, n=3),
        Case("conv-inside", above_and_below(inside), IMAGE),
        Case("conv-inside-strided", above_and_below(strided), IMAGE, n=1),
        Case("conv-inside-odd_same", above_and_below(odd_same), IMAGE, n=3),
        Case("conv-inside-same_upper", above_and_below(upper), IMAGE, n=3),
        Case("conv-inside-apart", above_and_below(apart), IMAGE, n=3),
    ]


def pool_cases(pool: type[MaxPool] | type[AvgPool]) -> list[Case]:
    windows = [(1, 1), (2, 2), (3, 3), (1, 2), (3, 2), (5, 6)]
    strides = [None, (1, 1), (2, 2), (1, 3), (4, 4)]
    cases = []
    for size, stride in product(windows, strides):
        name = f"{pool.type}-{sizes(size)}-stride_{sizes(stride) if stride else 'size'}"
        head = Dense(units=2, activation="identity")
        layer = pool(size=size, stride=stride)
        cases.append(Case(name.replace(" ", ""), (layer, head), IMAGE))
    side_by_side, overlapping = pool(size=(2, 2)), pool(size=(3, 2), stride=(1, 1))
    inside = (("side_by_side", side_by_side), ("overlapping", overlapping))
    cases += [Case(f"{pool.type}-inside-{n}", above_and_below(p), IMAGE) for n, p in inside]
    padded = pool(size=(3, 2), stride=(2, 2), padding=(1, 1), ceil_mode=True)
    ends = pool(size=(2, 3), stride=(3, 2), padding="same", ceil_mode=True)
    more: list[Any] = [("padded-ceil", padded), ("same-ceil", ends)]
    if pool is MaxPool:
        more.append(("dilated", MaxPool((2, 3), (1, 2), padding=((2, 0), (1, 1)), dilation=(2, 2))))
        more.append(("ceil", MaxPool(size=(3, 4), stride=(3, 2), ceil_mode=True)))
    else:
        more.append(("of_image", replace(cast(AvgPool, padded), count_include_pad=False)))
        more.append(("same", AvgPool(size=(2, 3), stride=(1, 1), padding="same")))
    cases += [Case(f"{pool.type}-inside-{n}", above_and_below(p), IMAGE, n=3) for n, p in more]
    twice = (side_by_side, pool(size=(2, 2), stride=(1, 1)), Dense(units=2))
    return [*cases, Case(f"{pool.type}-twice", twice, IMAGE)]


def global_pool_cases() -> list[Case]:
    head = Dense(units=2)
    return [
        Case("global_avgpool-first", (GlobalAvgPool(), head), IMAGE, n=3),
        Case("global_avgpool-inside", above_and_below(GlobalAvgPool()), IMAGE, n=3),
    ]


def flatten_cases() -> list[Case]:
    conv = Conv(filters=2, kernel=(2, 2), padding="same", activation="tanh")
    head = Dense(units=2)
    return [
        Case("flatten-said", (conv, Flatten(), head), IMAGE),
        Case("flatten-implied", (conv, head), IMAGE),
        Case("flatten-first", (Flatten(), head), IMAGE),
        Case("flatten-of_vector", (Flatten(), head), (4,)),
        Case("flatten-twice", (AvgPool(size=(2, 2)), Flatten(), Flatten(), head), IMAGE),
    ]


def dropout_cases() -> list[Case]:
    tanh, head = Dense(units=6, activation="tanh"), Dense(units=2)
    conv = Conv(filters=2, kernel=(2, 2), activation="tanh")
    return [
        Case("dropout-behind_dense", (tanh, Dropout(rate=0.3), head), (3,), n=4),
        Case("dropout-first", (Dropout(), tanh, head), (5,), n=3),
        Case("dropout-first-on_image", (Dropout(rate=0.25), conv, head), IMAGE, n=3),
        Case("dropout-behind_flatten", (conv, Flatten(), Dropout(), head), IMAGE, n=3),
        Case("dropout-before_flatten", (conv, Dropout(), Flatten(), head), IMAGE, n=3),
        Case("dropout-rate_0", (tanh, Dropout(rate=0.0), head), (3,)),
        Case("dropout-twice", (tanh, Dropout(), Dropout(rate=0.1), head), (3,), n=4),
        Case("dropout-inside", (*above_and_below(Dropout(rate=0.4))[:3], head), IMAGE, n=3),
    ]


def batchnorm_cases() -> list[Case]:
    tanh, head = Dense(units=4, activation="tanh"), Dense(units=2)
    # Without biases, which the mean takes away again: their gradients are but rounding.
    linear = Dense(units=4, activation="identity", bias=False)
    conv = Conv(filters=2, kernel=(2, 2), activation="tanh")
    return [
        Case("batchnorm-behind_linear", (linear, BatchNorm(epsilon=0.1), head), (3,), n=5),
        Case("batchnorm-first", (BatchNorm(), tanh, head), (5,), n=3),
        Case("batchnorm-first-on_image", (BatchNorm(), conv, head), IMAGE, n=3),
        Case("batchnorm-behind_conv", (conv, BatchNorm(epsilon=1e-3), head), IMAGE, n=3),
        Case("batchnorm-one_image", (conv, BatchNorm(epsilon=1e-3), head), IMAGE, n=1),
        Case("batchnorm-behind_flatten", (conv, Flatten(), BatchNorm(), head), IMAGE, n=4),
        Case("batchnorm-twice", (tanh, BatchNorm(), tanh, BatchNorm(epsilon=0.5), head), (3,), n=6),
        Case("batchnorm-and_dropout", (tanh, BatchNorm(), Dropout(), head), (3,), n=5),
        Case("batchnorm-inside", (*above_and_below(BatchNorm())[:3], head), IMAGE, n=3),
        Case("batchnorm-behind_dense", (tanh, BatchNorm(), head), (3,), n=6),
    ]


LAYER_CASES = {
    Dense: dense_cases(),
    Conv: conv_cases(),
    MaxPool: pool_cases(MaxPool),
    AvgPool: pool_cases(AvgPool),
    GlobalAvgPool: global_pool_cases(),
    Flatten: flatten_cases(),
    Dropout: dropout_cases(),
    BatchNorm: batchnorm_cases(),
}
LENET = Case(
    "lenet",
    (
        Conv(filters=2, kernel=(3, 3), padding="same", activation="relu"),
        AvgPool(size=(2, 2)),
        Conv(filters=3, kernel=(2, 2), activation="tanh"),
        MaxPool(size=(1, 2)),
        Dense(units=4),
        Dense(units=3, activation="softmax"),
    ),
    (1, 6, 6),
    "cross_entropy",
    n=3,
)
ALL_CASES = [*activation_cases(), *(c for cases in LAYER_CASES.values() for c in cases), LENET]
SOME_CASES = [LENET, *activation_cases()[::5], *(cases[-1] for cases in LAYER_CASES.values())]


def relative_error(actual: Any, expected: Any) -> float:
    """The largest difference, relative to the largest entry of what is expected."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    difference = np.abs(actual - expected).max()
    return float(difference / np.abs(expected).max()) if difference else 0.0
