"""Steps shared out among ranks, of which threads play the part here, against one that is alone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nncli.nn.layers import Dense, Dropout
from nncli.nn.optimizers import Optimizer, chain_of
from nncli.nn.parallel import ranks as ranks_module
from nncli.nn.parallel.ranks import AtOnce, Distributed, InPieces
from nncli.nn.parallel.worker_pool import WorkerPool, start_workers
from nncli.nn.step import Step
from tests.conftest import mostly_slow, present
from tests.nn.cases import DRAWS, LAYER_CASES, LENET, settle
from tests.nn.parallel.thread_ranks import ThreadRank, Threads

CASES = [LENET, LAYER_CASES[Dense][-1], LAYER_CASES[Dropout][-1]]


def step_of(case: Any, workers: WorkerPool, dtype: Any, **settings: Any) -> Step:
    network = settle(case).network(dtype)
    step = Step(network, Optimizer(network, chain_of(**settings)), case.n, workers)
    step.inputs[...], step.targets[...] = settle(case).inputs, settle(case).targets
    if step.is_random:
        step.randomise(DRAWS)
    return step


def bits(step: Step, fulls: Sequence[bool] = (False, True, False)) -> bytes:
    costs = [step.run(0.3, full=full) for full in fulls]
    return np.array([*costs, *step.network.parameters, *present(step.gradient)]).tobytes()


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize(
    "chosen",
    mostly_slow(
        [
            (case, dtype, size, count, n)
            for size, count, n in [(2, 2, 13), (3, 5, 21), (3, 3, 9), (1, 4, 16)]
            for case in CASES
            for dtype in (np.float32, np.float64)
        ],
        4,
    ),
    ids=lambda chosen: "-".join(getattr(each, "__name__", str(each)) for each in chosen),
)
def test_ranks_give_the_bits_of_one_process(chosen: Any, in_pieces: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(ranks_module, "IN_PIECES", 0 if in_pieces else 1 << 30)
    case, dtype, size, count, n = chosen
    case = replace(case, n=n)
    how: dict[str, Any] = {"kind": "adam", "clip": {"norm": 0.1}, "weight_decay": 0.01}
    network = settle(case).network(dtype)
    with start_workers(network, n, 1, count) as alone:
        step = step_of(case, alone, dtype, **how)
        assert len(step.passes) == min(count, n // 4)
        expected = bits(step)

    def job(ranks: Any) -> bytes:
        with start_workers(network, n, 1, count, ranks) as workers:
            return bits(step_of(case, workers, dtype, **how))

    threads = Threads(size)
    assert threads.run(job) == [expected] * size
    kind = ranks_module.exchange_for([np.zeros(3)] * min(count, n // 4), ThreadRank(threads, 0))
    assert isinstance(kind, InPieces if in_pieces and min(count, n // 4) > 2 else AtOnce)
    assert threads.calls > 0


def test_micro_batches_give_the_same_bits_on_any_number_of_threads() -> None:
    found = []
    case = replace(LENET, n=21)
    network = settle(case).network()
    for threads in (1, 2, 5):
        with start_workers(network, case.n, threads, 5) as workers:
            assert workers.size == threads
            found.append(bits(step_of(case, workers, np.float64)))
    assert len(set(found)) == 1
    with start_workers(network, case.n, 5) as workers:  # each thread a share, as ever
        workers.processes = False
        assert bits(step_of(case, workers, np.float64)) == found[0]


def test_a_cost_that_is_not_finite_on_one_rank_leaves_the_parameters_of_all() -> None:
    case = replace(LENET, n=12)

    def job(ranks: Any) -> bool:
        with start_workers(settle(case).network(), case.n, 1, 3, ranks) as workers:
            step = step_of(case, workers, np.float64, kind="adam")
            step.run(0.5)
            step.inputs[-1] = np.nan
            before = step.network.parameters.copy()
            assert not np.isfinite(step.run(0.5))
            assert present(step.optimizer).state["adam_steps"] == 1
            return np.array_equal(step.network.parameters, before)

    assert Threads(3).run(job) == [True] * 3


def test_a_step_that_is_looked_at_is_whole_on_each_rank() -> None:
    case = replace(LENET, n=12)
    network = settle(case).network()
    with start_workers(network, case.n, 1, 3) as alone:
        step = step_of(case, alone, np.float64)
        step.run(0.5, full=True)
        expected = [layer.delta for layer in step.layers if layer.delta is not None]

    def job(ranks: Any) -> list[Any]:
        with start_workers(network, case.n, 1, 3, ranks) as workers:
            step = step_of(case, workers, np.float64)
            step.run(0.5, full=True)
            return [present(layer.delta) for layer in step.layers if layer.delta is not None]

    threads = Threads(3)
    for deltas in threads.run(job):
        for ours, theirs in zip(deltas, expected, strict=True):
            assert np.array_equal(ours, theirs)
    assert threads.calls == 0


def test_a_rank_that_is_left_alone_goes_on_to_the_same_bits() -> None:
    case = replace(LENET, n=12)
    network = settle(case).network()

    def job(ranks: Any) -> bytes:
        with start_workers(network, case.n, 1, 3, ranks) as workers:
            step = step_of(case, workers, np.float64)
            assert isinstance(step.partition, Distributed)
            step.run(0.3)
            if ranks.rank:
                return b""
            workers.ranks = None
            return bits(step)

    with start_workers(network, case.n, 1, 3) as alone:
        step = step_of(case, alone, np.float64)
        step.run(0.3)
        assert Threads(3).run(job)[0] == bits(step)
