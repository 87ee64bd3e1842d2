"""The networks that init tries on a table."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncli as api
from nncli.app import candidates
from nncli.app.candidates import (
    FOLDS,
    Fold,
    Trial,
    Tried,
    Tries,
    best_of,
    chosen_rows,
    folds_of,
    told,
    try_candidates,
)
from nncli.app.proposal import propose
from nncli.app.proposed_network import CANDIDATES, Candidate, held_share
from nncli.app.records import Prepared
from nncli.data.survey import survey
from nncli.spec import Spec, override_spec, parse_spec


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """600 for each training, where two candidates are tried on five folds."""
    monkeypatch.setattr(candidates, "WORK", 6100)


LINE, SMALL = Candidate(0, "identity", 0.001), Candidate(16, "tanh", 0.001)


def tried_on(
    rows: Sequence[Sequence[Any]], folder: Path, held: Sequence[str] = ()
) -> tuple[Prepared, dict[Candidate, Spec]]:
    path = folder / "t.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([[*"abcdefgh"[: len(rows[0]) - 1], "y"], *rows])
    found = survey(path)
    specs = {
        each: parse_spec(propose("t", "t.csv", found, candidate=each).text, "t.yaml", folder)
        for each in (LINE, SMALL)
    }
    specs = {each: override_spec(spec, held) for each, spec in specs.items()}
    return api.prepare(specs[LINE]), specs


def numbers(n: int, bend: float) -> list[list[float]]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3))
    y = x @ [1.0, -2.0, 0.5] + bend * np.sin(3 * x[:, 0]) + 0.3 * rng.normal(size=n)
    rows: list[list[float]] = np.round(np.column_stack([x, y]), 5).tolist()
    return rows


def test_a_weighted_sum_needs_no_hidden_layer(tmp_path: Path) -> None:
    tries = try_candidates(*tried_on(numbers(60, 0.0), tmp_path))
    assert tries is not None
    assert tries.best.candidate == LINE
    assert tries.samples == 60
    assert tries.folds == FOLDS
    assert not tries.is_accuracy
    assert tries.best.score > 0.95
    assert "R²: no hidden layer 0.9" in told(tries)
    assert told(tries).count("(taken") == 1


def test_of_those_that_score_alike_the_reason_is_told() -> None:
    tried = Tried(LINE, 0.02, 1.0, 5), Tried(SMALL, 0.01, 1.0, 5)
    tries = Tries(tried, best_of(tried), 50, 5, is_accuracy=True, is_cut=False, untold=0.5)
    assert "no hidden layer 100.0%, 16 units 100.0% (taken: its cost is least)" in told(tries)
    tries = tries._replace(tried=(tried[0]._replace(score=0.9), tried[1]))
    assert "no hidden layer 90.0%, 16 units 100.0% (taken)" in told(tries)


def test_what_bends_needs_one(tmp_path: Path) -> None:
    tries = try_candidates(*tried_on(numbers(200, 3.0), tmp_path))
    assert tries is not None
    assert tries.best.candidate == SMALL


def test_it_is_the_same_again(tmp_path: Path) -> None:
    made = tried_on(numbers(30, 1.0), tmp_path)
    assert try_candidates(*made) == try_candidates(*made)


def test_a_trial_is_the_training_of_its_spec(tmp_path: Path) -> None:
    """On the samples that the spec trains on and holds back it comes to what `train` comes to."""
    prepared, specs = tried_on(numbers(60, 1.0), tmp_path, ["data.validation=0.2"])
    data = prepared.data
    assert data.validation is not None
    trial = Trial(prepared, specs[LINE])
    trial.run(Fold(data.train.index, data.validation.index), 10**6)
    last = api.train(specs[LINE]).history[-1]
    assert trial.cost == last.validation_cost
    held_back = data.validation.targets[data.validation.index]
    assert trial.score(held_back.var()) == pytest.approx(1 - 2 * trial.cost / held_back.var())


def test_what_the_spec_holds_back_stays_untouched(tmp_path: Path) -> None:
    prepared, _ = tried_on(numbers(60, 1.0), tmp_path, ["data.validation=0.2"])
    assert prepared.data.validation is not None
    rng = np.random.default_rng(0)
    folds = list(folds_of(prepared, prepared.data.train.index, rng))
    used = np.unique(np.concatenate([part for fold in folds for part in fold]))
    assert not set(used) & set(prepared.data.validation.index)
    held = np.concatenate([fold.held for fold in folds])
    assert np.array_equal(np.sort(held), prepared.data.train.index)
    assert all(not set(fold.train) & set(fold.held) for fold in folds)


def test_folds_have_their_share_of_each_class(tmp_path: Path) -> None:
    rows = [[k % 7, k % 5 / 10, "a" if k % 10 else "b"] for k in range(100)]
    prepared, _ = tried_on(rows, tmp_path)
    folds = list(folds_of(prepared, prepared.data.train.index, np.random.default_rng(0)))
    targets = prepared.data.train.targets
    assert [int(targets[fold.held].sum(axis=0)[1]) for fold in folds] == [2] * FOLDS


def test_of_many_samples_some_take_part() -> None:
    rows = np.arange(0, 2 * candidates.MOST_SAMPLES, dtype=np.int64)
    chosen = chosen_rows(rows, np.random.default_rng(0))
    assert len(np.unique(chosen)) == candidates.MOST_SAMPLES
    assert np.array_equal(chosen_rows(rows[:7], np.random.default_rng(0)), rows[:7])


def test_too_few_samples_tell_nothing(tmp_path: Path) -> None:
    assert try_candidates(*tried_on(numbers(19, 0.0), tmp_path)) is None


def test_steps_that_take_long_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "WORK", 1000)
    assert try_candidates(*tried_on(numbers(60, 0.0), tmp_path)) is None


def test_the_limit_of_time_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "LIMIT", 0.0)
    tries = try_candidates(*tried_on(numbers(60, 0.0), tmp_path))
    assert tries is not None
    assert tries.is_cut
    assert {each.folds for each in tries.tried} == {1}
    assert "another time it may come out otherwise" in told(tries)


def test_of_those_as_good_the_simplest_is_taken() -> None:
    def came(candidate: Candidate, cost: float, folds: int = FOLDS) -> Tried:
        return Tried(candidate, cost, 0.5, folds)

    assert best_of([came(LINE, 1.001), came(SMALL, 1.0)]).candidate == LINE
    assert best_of([came(LINE, 1.01), came(SMALL, 1.0)]).candidate == SMALL
    assert best_of([came(LINE, 0.9, 2), came(SMALL, 1.0)]).candidate == SMALL


def test_inputs_that_tell_nothing_are_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for last in ([f"{y:.4f}" for y in rng.normal(size=60)], ["ab"[k % 3 == 0] for k in range(60)]):
        rows = [[*row, y] for row, y in zip(rng.normal(size=(60, 3)).tolist(), last, strict=True)]
        tries = try_candidates(*tried_on(rows, tmp_path))
        assert tries is not None
        assert tries.untold == (pytest.approx(2 / 3) if tries.is_accuracy else 0)
        assert "none is better than always answering the m" in told(tries)


def test_a_candidate_that_diverges_loses(tmp_path: Path) -> None:
    prepared, specs = tried_on(numbers(60, 0.0), tmp_path)
    specs[SMALL] = override_spec(specs[SMALL], ["train.eta=1e30"])
    tries = try_candidates(prepared, specs)
    assert tries is not None
    assert tries.best.candidate == LINE
    assert [each.cost for each in tries.tried if each.candidate == SMALL] == [np.inf]


def test_of_few_samples_none_are_held_back_once_networks_were_tried(tmp_path: Path) -> None:
    tried_on(numbers(60, 0.0), tmp_path)
    found = survey(tmp_path / "t.csv")
    assert held_share(found, None) == 0.2
    assert held_share(found, LINE) == 0
    assert held_share(found._replace(samples=5000), LINE) == 0.1
    assert held_share(found._replace(samples=10), None) == 0


@pytest.mark.slow
def test_init_tries_and_says_so(
    nncli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "WORK", 30_000)
    tried_on(numbers(60, 0.0), tmp_path)
    done = nncli("init", "net", "--data", "t.csv")
    assert f"trying {len(CANDIDATES)} networks on 60 samples" in done.err
    assert "tried by 5-fold cross-validation of 60 samples, R²: no hidden layer 0.9" in done.out
    text = (tmp_path / "net.yaml").read_text()
    assert "Tried by 5-fold" in text
    quick = nncli("init", "other", "--quick", "--data", "t.csv")
    assert (quick.status, quick.err) == (0, "")
    assert "tried" not in quick.out
