"""Trainings in micro-batches: the same bits on any number of threads, and of ranks."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncli as api
from nncli.app.pipeline import prepare
from nncli.core.errors import DivergedError, SpecError
from nncli.spec import load_spec
from tests.conftest import CONFIGS
from tests.nn.parallel.thread_ranks import Threads

MLP = CONFIGS / "digits-mlp.yaml"
FEW = ["data.validation=0.5", "train.batch_size=33"]


def prepared_with(*sets: str) -> Any:
    return prepare(load_spec(MLP, [*FEW, *sets]))


def results(training: Any) -> Any:
    """Weights, metrics but for the time they took, and what the last step was like, as bits."""
    told = [record.__class__(**{**vars(record), "train_seconds": 0}) for record in training.history]
    return training.network.parameters.tobytes(), repr(told)


def test_the_number_of_threads_changes_no_bit() -> None:
    sets = ("train.micro_batches=4", "train.epochs=2")
    runs = [api.train(prepared_with(*sets, f"train.threads={k}")) for k in (1, 3)]
    assert results(runs[0]) == results(runs[1])
    whole = api.train(prepared_with("train.epochs=2", "train.threads=1"))
    assert results(whole) != results(runs[0])
    assert np.allclose(whole.network.parameters, runs[0].network.parameters, atol=1e-4)


def test_ranks_train_to_the_bits_of_one_process() -> None:
    sets = ("train.micro_batches=3", "train.epochs=2", "train.momentum=0.9", "train.eta=0.5")
    alone = results(api.train(prepared_with(*sets)))

    def job(ranks: Any) -> Any:
        return results(api.train(prepared_with(*sets)._replace(ranks=ranks)))

    threads = Threads(2)
    assert threads.run(job) == [alone] * 2
    steps = -(-len(prepared_with(*sets).data.train) // 33)
    assert threads.calls == 2 * (steps - 1 + 1)  # but for each epoch's last, which is looked at


def test_a_divergence_is_told_by_each_rank_as_by_one_process() -> None:
    sets = ("train.micro_batches=2", "train.eta=1e9", "network[1].activation=identity")

    def told(ranks: Any = None) -> str:
        with pytest.raises(DivergedError) as raised:
            api.train(prepared_with(*sets)._replace(ranks=ranks))
        return f"{raised.value} {raised.value.divergence}"

    assert Threads(2).run(told) == [told()] * 2


def test_a_run_goes_on_with_any_number_of_threads(tmp_path: Path) -> None:
    sets = ("train.micro_batches=2", "train.threads=2")
    api.train(prepared_with(*sets, "train.epochs=1"), out=tmp_path / "run")
    notes: list[str] = []
    changed = ["train.epochs=2", "train.threads=1"]
    gone_on = api.resume(tmp_path / "run", overrides=changed, on_warning=notes.append)
    assert notes == []
    assert results(gone_on) == results(api.train(prepared_with(*sets, "train.epochs=2")))


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (
            ["train.micro_batches=9"],
            "9, but a mini-batch of 33 samples makes at most 8 of at least 4; micro_batches: 8 "
            "would do, or train.batch_size: 36",
        ),
        (
            ["train.micro_batches=2", "network[0]={type: batchnorm}"],
            "2, but batchnorm1 takes its means and variances over the whole mini-batch, which so "
            "cannot be split; micro_batches: 1 would do",
        ),
        (["train.micro_batches=0"], "expected a positive integer, got 0"),
    ],
)
def test_a_mini_batch_that_cannot_be_split_is_refused(sets: list[str], message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(f"train.micro_batches: {message}")):
        prepared_with(*sets)
