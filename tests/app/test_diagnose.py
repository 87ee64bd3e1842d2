"""Networks that are sick on purpose, and healthy ones: what a diagnosis says of them.

A few of them here; `make slow` takes 30 and 30 of each of the two sets of `sick` and `unseen`.
"""

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import nncli
from nncli import Diagnosis, NncliError
from nncli.app.diagnose import run_diagnosis
from tests.app import sick, unseen
from tests.app.sick import Case
from tests.conftest import ROOT, mostly_slow

SOME = ("dead", "eta_large", "constant", "out_of_range", "spoilt_sample")
QUICK_ONES = [kind for kind in sick.KINDS if kind.make.__name__ in SOME]


def diagnose(case: Case, folder: Path) -> Diagnosis:
    return nncli.diagnose(sick.write(case, folder))


@pytest.mark.parametrize("kind", mostly_slow(QUICK_ONES, 2), ids=lambda kind: kind.make.__name__)
def test_the_first_cause(kind: sick.Kind, tmp_path: Path) -> None:
    found = diagnose(kind.make(np.random.default_rng(5)), tmp_path)
    assert found.findings[0].cause == kind.cause
    tried = found.findings[0].tried
    if kind.cause == "constant_inputs":
        assert tried is None
    else:
        assert tried is not None
        assert tried.after is not None
        assert tried.before is None or tried.after > tried.before


def test_a_cure_does_in_a_training_what_it_did_in_a_copy(tmp_path: Path) -> None:
    case = sick.symmetric(np.random.default_rng(5))
    case.spec["data"] = {"validation": 0.25}
    path = sick.write(case, tmp_path)
    finding = nncli.diagnose(path).findings[0]
    assert finding.tried is not None
    before, after = (
        nncli.train(nncli.load_spec(path, sets)).history[-1]
        for sets in ([], [f"{key}={value}" for key, value in finding.cure.set.items()])
    )
    if case.is_classes:
        assert finding.tried.metric == "validation_accuracy"
        assert finding.tried.before == before.validation_accuracy
        assert finding.tried.after == after.validation_accuracy
    else:
        assert before.validation_cost is not None
        assert after.validation_cost is not None
        ratio = (1 - finding.tried.after) / (1 - finding.tried.before)  # type: ignore[operator]
        assert after.validation_cost / before.validation_cost == pytest.approx(ratio, rel=1e-4)


def test_units_that_the_training_killed(tmp_path: Path) -> None:
    """Alive at the start, and none after: the verdict of the training says so as a diagnosis."""
    hidden = {"type": "dense", "units": 6, "activation": "relu"}
    output = {"type": "dense", "units": 1, "activation": "identity"}
    table, target = str(ROOT / "data" / "iris.csv"), "sepal_length"
    spec = {
        "data": {"train": table, "target": target, "ignore": ["species"], "validation": 0.2},
        "network": [hidden, output],
        "train": {"eta": 0.5, "epochs": 20, "batch_size": 10, "cost": "quadratic"},
    }
    path = tmp_path / "killed.yaml"
    path.write_text(json.dumps(spec))
    found = nncli.diagnose(path)
    assert found.evidence.base is not None
    assert [state.dead for state in found.evidence.base.end[:1]] == [1.0]
    assert found.evidence.start[0].dead < 0.5
    # The root before what it has brought about.
    assert [finding.cause for finding in found.findings] == ["eta_too_large", "dead_units"]
    assert found.findings[1].layers == ("dense1",)
    nncli.train(path, out=tmp_path / "run")
    assert run_diagnosis(tmp_path / "run").findings[0].cause == "dead_units"


def test_a_healthy_network_hears_that_it_is(tmp_path: Path) -> None:
    found = diagnose(sick.healthy(np.random.default_rng(8)), tmp_path)
    assert found.healthy
    assert found.evidence.base is not None
    assert found.evidence.base.score > 0.8


def test_the_range_test_brackets_eta(tmp_path: Path) -> None:
    found = diagnose(sick.eta_large(np.random.default_rng(5)), tmp_path)
    scores = {
        float(trial.cure.set["train.eta"]): trial.course.score
        for suspect in found.trials
        for trial in suspect.trials
        if list(trial.cure.set) == ["train.eta"] and trial.course is not None
    }
    assert max(scores) / min(scores) >= 100
    assert max(scores, key=scores.__getitem__) < found.evidence.settings.eta


@pytest.mark.parametrize("eta", [1e4, 1e9])
def test_eta_is_looked_for_far_below_one_that_no_thousandth_of_trains(
    eta: float, tmp_path: Path
) -> None:
    case = sick.eta_large(np.random.default_rng(5))
    case.train["eta"] = eta
    found = diagnose(case, tmp_path)
    finding = found.findings[0]
    assert finding.cause == "eta_too_large"
    assert finding.tried is not None
    assert finding.tried.metric.startswith("validation")  # what is shown is what it is judged by
    assert finding.tried.after is not None
    assert finding.tried.after > 0.8
    assert finding.cure.set["train.eta"] < eta / 1000
    by_skill = {
        trial.cure.set["train.eta"]: trial.course.score
        for suspect in found.trials
        if suspect.cause.word == "eta_too_large"
        for trial in suspect.trials
        if trial.course is not None and "train.eta" in trial.cure.set
    }
    assert by_skill[finding.cure.set["train.eta"]] >= max(by_skill.values()) - 0.02


def test_quick_trains_nothing(tmp_path: Path) -> None:
    estimates: list[float] = []
    path = sick.write(sick.dead(np.random.default_rng(5)), tmp_path)
    found = nncli.diagnose(path, quick=True, on_estimate=estimates.append)
    assert [finding.cause for finding in found.findings] == ["dead_units"]
    assert found.evidence.base is None
    assert found.findings[0].tried is None
    assert estimates == []


def test_it_says_how_long_it_will_take_and_how_far_it_is(tmp_path: Path) -> None:
    estimates: list[float] = []
    seen: list[tuple[int, int]] = []
    path = sick.write(sick.eta_large(np.random.default_rng(5)), tmp_path)
    nncli.diagnose(
        path,
        on_estimate=estimates.append,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert len(estimates) == 1
    assert 0 < estimates[0] < 60
    assert [done for done, _ in seen] == [*range(1, len(seen) + 1)]


@pytest.mark.slow
def test_nothing_is_written_and_a_run_is_diagnosed_as_its_spec(tmp_path: Path) -> None:
    path = sick.write(sick.symmetric(np.random.default_rng(5)), tmp_path)
    nncli.train(path, out=tmp_path / "run")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    of_spec, of_run = nncli.diagnose(path), nncli.diagnose(tmp_path / "run")
    quick = nncli.diagnose(tmp_path / "run", quick=True)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    assert of_run.findings == of_spec.findings
    assert quick.findings[0].cause == of_spec.findings[0].cause
    assert quick.evidence.base is not None


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_few_samples(rows: int, tmp_path: Path) -> None:
    case = sick.healthy(np.random.default_rng(1), (sick.waves,))
    found = diagnose(case._replace(x=case.x[:rows], y=case.y[:rows]), tmp_path)
    assert found.evidence.baselines.relation is None


def test_samples_that_are_left_over_are_too_few_for_batchnorm(tmp_path: Path) -> None:
    """48 samples in mini-batches of 7; of the 36 that are not held back one would be left over."""
    case = sick.healthy(np.random.default_rng(1), (sick.waves,))
    case.layers.insert(1, {"type": "batchnorm"})
    case.spec["data"] = {}
    case.train.update(batch_size=7, epochs=5)
    assert diagnose(case._replace(x=case.x[:48], y=case.y[:48]), tmp_path).epochs == 5


def test_a_cure_that_the_data_do_not_allow_is_passed_over(tmp_path: Path) -> None:
    """Inputs whose squares are beyond float64 cannot be scaled to deviation 1."""
    case = sick.healthy(np.random.default_rng(1), (sick.waves,))
    case.spec["dtype"] = "float64"
    found = diagnose(case._replace(x=1e200 * case.x), tmp_path)
    assert found.findings[0].cause == "input_scale"
    assert found.findings[0].tried is None


@pytest.mark.slow
def test_targets_that_are_all_equal_are_no_shuffled_ones(tmp_path: Path) -> None:
    case = sick.healthy(np.random.default_rng(1), (sick.waves,))
    found = diagnose(case._replace(y=np.ones_like(case.y)), tmp_path)
    assert [finding.cause for finding in found.findings] == ["constant_targets"]


def test_samples_held_back_that_say_nothing_of_new_ones(tmp_path: Path) -> None:
    """Rows that are there twice, on both sides; and a class that one side has alone."""
    case = sick.healthy(np.random.default_rng(1), (sick.blobs,))
    case.spec["data"].pop("validation", None)
    path = sick.write(case, tmp_path)
    trained = case.y > 0
    for name, rows, cause in (
        ("same", np.arange(len(case.y)), "seen_samples"),
        ("new", np.flatnonzero(~trained), "unseen_class"),
    ):
        kept = trained if cause == "unseen_class" else slice(None)
        np.savez(tmp_path / "case.npz", x=case.x[kept], y=case.y[kept])
        np.savez(tmp_path / f"{name}.npz", x=case.x[rows], y=case.y[rows])
        classes = [str(k) for k in range(case.y.max() + 1)]
        sets = [f"data.validation={name}.npz", f"data.classes={json.dumps(classes)}"]
        assert nncli.diagnose(path, sets, quick=True).findings[0].cause == cause


def test_what_is_wrong_with_the_spec_is_said_as_everywhere(tmp_path: Path) -> None:
    path = sick.write(sick.dead(np.random.default_rng(5)), tmp_path)
    with pytest.raises(NncliError, match=r"train\.nosuch"):
        nncli.diagnose(path, ["train.nosuch=3"])
    with pytest.raises(NncliError, match="there is no such file"):
        nncli.diagnose(tmp_path / "nosuch.yaml")


# All of them


@pytest.mark.slow
@pytest.mark.parametrize(("cases", "seed"), [(sick, 7), (unseen, 7)], ids=["seen", "unseen"])
def test_thirty_sick_and_thirty_healthy_networks(
    cases: ModuleType, seed: int, tmp_path: Path
) -> None:
    right, better, wrong = 0, 0, []
    for k, (name, cause, case) in enumerate(cases.sick_cases(30, seed)):
        found = nncli.diagnose(sick.write(case, tmp_path, f"sick{k}"))
        causes = [finding.cause for finding in found.findings]
        right += causes[:1] == [cause]
        if causes[:1] != [cause]:
            wrong.append((name, causes))
        tried = found.findings[0].tried if found.findings else None
        if tried is not None and tried.after is not None:
            better += tried.before is None or tried.after > tried.before
    alarms = [
        [finding.cause for finding in found.findings]
        for k, case in enumerate(cases.healthy_cases(30, seed))
        if not (found := nncli.diagnose(sick.write(case, tmp_path, f"healthy{k}"))).healthy
    ]
    print(f"{right} of 30 right, {better} cures help, {len(alarms)} false alarms: {wrong} {alarms}")
    assert right >= 27, wrong
    assert better >= 20
    assert len(alarms) <= 1, alarms
