"""A step writes into arrays that are there: what it allocates does not grow with the network."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

from nncli.nn.layers import AvgPool, Conv, Dense, MaxPool
from nncli.nn.network import build_network
from nncli.nn.optimizers import sgd
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.step import Step
from tests.conftest import mostly_slow, present

# What NumPy buffers to mix dtypes (8192 numbers) and what Python takes for frames and floats: the
# same for every network. The arrays of the steps here are all larger, most by far.
MOST = 150_000
IMAGE = (3, 32, 32)

NETWORKS: dict[str, Any] = {
    "dense-quadratic": ((1500,), [Dense(units=1000), Dense(units=900)], "quadratic"),
    "dense-sigmoid": (
        (1500,),
        [Dense(units=1000, activation="tanh"), Dense(units=900)],
        "cross_entropy",
    ),
    "dense-softmax": (
        (1500,),
        [Dense(units=1000, activation="relu"), Dense(units=900, activation="softmax")],
        "cross_entropy",
    ),
    "conv-avgpool": (
        IMAGE,
        [
            Conv(filters=8, kernel=(3, 3), padding="same", activation="identity"),
            AvgPool(size=(2, 2)),
            Conv(filters=8, kernel=(3, 3), stride=(2, 2), activation="relu"),
            Dense(units=900),
        ],
        "quadratic",
    ),
    "conv-maxpool": (
        IMAGE,
        [
            Conv(filters=8, kernel=(3, 3), padding="same"),
            MaxPool(size=(2, 2)),
            Conv(filters=16, kernel=(5, 5), activation="tanh"),
            Dense(units=900),
        ],
        "quadratic",
    ),
}


def peak_of(steps: Any) -> int:
    """The most bytes that were held at once above those held before."""
    tracemalloc.start()
    steps()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", mostly_slow(NETWORKS, 3))
def test_a_step_allocates_nothing_that_grows_with_the_network(name: Any, threads: int) -> None:
    shape, layers, cost = NETWORKS[name]
    network = build_network(layers, shape, cost, np.float32, np.random.default_rng(0))
    with WorkerPool(threads) as workers:
        step = Step(network, sgd(network, momentum=0.9, weight_decay=1e-4), 300, workers)
        step.inputs[...] = np.random.default_rng(1).random(step.inputs.shape)
        step.targets[:, 0] = 1
        step.run(0.01)
        smallest = min(
            a.nbytes for p in step.passes for a in (p.inputs, p.last.a, present(p.gradient))
        )
        assert smallest > 3 * MOST

        def steps() -> None:
            for _ in range(2):
                step.run(0.01)

        assert peak_of(steps) < MOST
        assert peak_of(lambda: Step(network, sgd(network), 1)) > MOST, "what would be seen"
