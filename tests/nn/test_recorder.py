"""A record of a copy of a step's memory is that of the step itself, to the bit."""

from typing import Any

import numpy as np
import pytest

from nncli.nn.layers import Dense, Dropout
from nncli.nn.network import build_network
from nncli.nn.optimizers import sgd
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.recorder import TraceRecorder, named_arrays, record_trace
from nncli.nn.step import Step
from nncli.nn.trace import Start, Trace

from .cases import SOME_CASES, settle

ETA = 0.5


def assert_equal(a: Trace, b: Trace) -> None:
    """To the bit, in every array and number."""
    for key in ("eta", "samples", "cost", "cost_before", "cost_after", "links", "name"):
        assert getattr(a, key) == getattr(b, key), key
    arrays, others = dict(named_arrays(a)), dict(named_arrays(b))
    assert [*arrays] == [*others]
    for key, array in arrays.items():
        assert (array.dtype, array.shape) == (others[key].dtype, others[key].shape), key
        assert array.tobytes() == others[key].tobytes(), key


def assert_reads_as_recorded(step: Step, steps: int = 3) -> None:
    """Takes steps, and has each recorded in all ways that there are."""
    network, optimizer = step.network, step.optimizer
    assert optimizer is not None
    start = Start.of(network, optimizer)
    recorder = TraceRecorder(step, start)
    room = np.empty(recorder.size, np.uint8)
    reader = recorder.reader(room)
    samples = range(step.n)
    for k in range(steps):
        if step.is_random:
            step.randomise(np.random.SeedSequence(k))
        start.update(network, optimizer)
        cost = step.run(ETA, full=True)
        wanted = record_trace(step, eta=ETA, cost=cost, start=start, samples=samples)
        assert_equal(recorder.record(eta=ETA, cost=cost, samples=samples), wanted)
        recorder.copy(room)
        if step.is_random:
            step.randomise(np.random.SeedSequence(100 + k))
        step.run(ETA, full=True)  # the copy is read when the step has moved on
        assert_equal(reader.record(eta=ETA, cost=cost, samples=samples), wanted)


@pytest.mark.parametrize("case", SOME_CASES, ids=str)
def test_a_copy_is_read_as_the_step_is_recorded(case: Any) -> None:
    assert_reads_as_recorded(settle(case).step())


@pytest.mark.parametrize("optimizer", [{"kind": "adam"}, {"momentum": 0.9, "nesterov": True}])
def test_what_an_optimizer_keeps_is_read_too(optimizer: dict[str, Any]) -> None:
    assert_reads_as_recorded(settle(SOME_CASES[0]).step(**optimizer))


@pytest.mark.parametrize("weights", [None, np.array([0.3, 2.0, 1.7])], ids=["equal", "weighted"])
@pytest.mark.parametrize("shares", [1, 3])
def test_of_a_step_in_several_passes(shares: int, weights: Any) -> None:
    layers = [Dense(units=6, activation="tanh"), Dropout(), Dense(units=3, activation="softmax")]
    rng = np.random.default_rng(3)
    network = build_network(layers, (4,), "cross_entropy", np.float32, rng)
    network.class_weights = weights
    with WorkerPool(1) as workers:
        workers.micro_batches = shares
        step = Step(network, sgd(network), 13, workers)
        assert len(step.passes) == shares
        step.inputs[...] = rng.standard_normal((13, 4))
        step.targets[...] = np.eye(3)[np.arange(13) % 3]
        assert_reads_as_recorded(step)
