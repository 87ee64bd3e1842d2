"""The networks that are measured, and the data that they are measured on."""

import gzip
import sys
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

from nncli.nn.layers import AvgPool, Conv, Dense, Layer  # noqa: E402
from nncli.nn.network import Network, build_network  # noqa: E402
from nncli.nn.parallel.worker_pool import buffers_for  # noqa: E402
from nncli.nn.schedules import Constant  # noqa: E402
from nncli.training.steps import Plan  # noqa: E402


class Workload(NamedTuple):
    """`must` and `goal`: how many times as fast as PyTorch eager; `floor`: at most so many times
    the bare matrix products, (must, goal)."""

    name: str
    layers: tuple[Layer, ...]
    batch_size: int
    must: float
    goal: float
    floor: tuple[float | None, float | None] = (None, None)

    @property
    def is_dense(self) -> bool:
        return all(isinstance(layer, Dense) for layer in self.layers)


def dense(*units: int) -> tuple[Layer, ...]:
    return tuple(Dense(units=count) for count in units)


LENET = (
    Conv(filters=6, kernel=(5, 5), padding="same"),
    AvgPool(size=(2, 2)),
    Conv(filters=16, kernel=(5, 5)),
    AvgPool(size=(2, 2)),
    *dense(120, 84, 10),
)
ONE_CONV = "conv 3x3, 32 -> 32, 16x16, 32"
ONE_CONV_LAYER = Conv(filters=32, kernel=(3, 3), padding="same", activation="identity")
ONE_CONV_SHAPE = (32, 16, 16)
WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("[64, 30, 10], 16", dense(30, 10), 16, 8, 12),
        Workload("[784, 30, 10], 10", dense(30, 10), 10, 5, 8, (None, 2)),
        Workload("[784, 100, 10], 32", dense(100, 10), 32, 2, 3),
        Workload("[784, 512, 512, 10], 128", dense(512, 512, 10), 128, 1.1, 1.3, (1.25, 1.1)),
        Workload("LeNet, 32", LENET, 32, 1.0, 1.5),
        Workload("LeNet, 128", LENET, 128, 1.0, 1.5),
        Workload(ONE_CONV, (ONE_CONV_LAYER,), 32, 0.7, 1.0),
    )
}
ETA = 0.5


class Data(NamedTuple):
    """inputs: samples x features or samples x 1 x 28 x 28, float32; targets: samples x 10."""

    inputs: NDArray[Any]
    targets: NDArray[Any]


def read_idx(path: Path) -> NDArray[Any]:
    with gzip.open(path) as stream:
        content = stream.read()
    shape = np.frombuffer(content, ">u4", content[3], 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def load(workload: Workload, mnist: Path) -> Data:
    """As many samples as fill whole mini-batches, so that every step is of one size."""
    if workload.name.startswith("[64"):
        table = np.loadtxt(REPO / "data" / "digits.csv", delimiter=",", skiprows=1)
        inputs, labels = table[:, :-1] / 16, table[:, -1].astype(int)
    else:
        (images,) = mnist.glob("*images-idx3-ubyte.gz")
        (digits,) = mnist.glob("*labels-idx1-ubyte.gz")
        inputs, labels = read_idx(images)[:, None] / 255, read_idx(digits)
        if workload.is_dense:
            inputs = inputs.reshape(len(inputs), -1)
    count = len(inputs) // workload.batch_size * workload.batch_size
    return Data(inputs[:count].astype(np.float32), np.eye(10, dtype=np.float32)[labels[:count]])


def network(workload: Workload, data: Data) -> Network:
    """The same weights on every side."""
    rng = np.random.default_rng(0)
    shape = data.inputs.shape[1:]
    buffers = buffers_for("auto")
    return build_network(workload.layers, shape, "quadratic", np.float32, rng, buffers)


def plan(workload: Workload) -> Plan:
    """The same mini-batches on every side."""
    return Plan(
        eta=ETA,
        schedule=Constant(),
        epochs=sys.maxsize,
        batch_size=workload.batch_size,
        shuffle=True,
        seed=0,
        reading="classes",
    )


def multiply_adds(workload: Workload, input_shape: tuple[int, ...]) -> int:
    """Of one forward pass over a mini-batch: how long a step takes, roughly."""
    net = build_network(
        workload.layers, input_shape, "quadratic", np.float32, np.random.default_rng(0)
    )
    return workload.batch_size * sum(
        prod(placed.parameter_shapes["weight"]) * prod(placed.output_shape[1:])
        for placed in net.layers
        if placed.parameter_shapes
    )
