"""nncli train with conditions in its spec, and what it says of them."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import nncli as api
from nncli.core.errors import HaltedTraining
from nncli.training.conditions import Failure
from tests.conftest import CONFIGS, Outcome, Run

SPEC = """\
name: net
data:
  train: {inputs: [[0, 1], [1, 0], [1, 1], [0, 0], [2, 1], [1, 2]], targets: [0, 1, 0, 1, 0, 1]}
network:
  - {type: dense, units: 3, activation: relu}
  - {type: dense, units: 2}
train: {eta: 0.5, epochs: 4, batch_size: 2}
"""
FAILING = "expect:\n- dense1.delta_norm < 0\n- cost < 1e9\n- {that: epoch < 0, after: 99}\n"


@pytest.fixture
def train(nncli: Run, tmp_path: Path) -> Run:
    """Trains the spec with a text behind it."""

    def run(text: str, *arguments: object) -> Outcome:
        (tmp_path / "net.yaml").write_text(f"{SPEC}{text}")
        return nncli("train", "net.yaml", "--tables", "none", *arguments)

    return run


def test_an_expectation_that_fails_is_said_and_is_the_status(train: Run) -> None:
    done = train(FAILING)
    assert done.status == 1
    failed, end = done.err.splitlines()
    assert re.fullmatch(
        r"nncli: expectation failed at step 1 \(epoch 1\): dense1.delta_norm < 0: "
        r"dense1.delta_norm is [\d.]+ \(its largest entry: unit \d, sample \d\)",
        failed,
    )
    assert end == "nncli: 1 expectation failed: dense1.delta_norm < 0"
    assert "expectations: 1 of 3 held\n  failed       dense1.delta_norm < 0\n" in done.out
    assert "; failed 12 of 12 times\n  not checked  epoch < 0 (after 99)\n" in done.out
    assert "saved in runs/net" in done.out  # the training itself is done


def test_expectations_that_hold(train: Run) -> None:
    done = train("expect: [cost < 1e9, healthy]\n", "--epochs", 70)
    assert (done.status, done.err) == (0, "")
    assert "expectations: 6 of 6 held" in done.out


def test_json_and_junit_say_which_held(train: Run, tmp_path: Path) -> None:
    done = train(FAILING, "--format", "json", "--junit", "report.xml")
    assert done.status == 1
    record = json.loads(done.out)
    assert (record["outcome"], record["halt"]) == ("done", None)
    failed, held, unseen = record["expectations"]
    assert [x["held"] for x in record["expectations"]] == [False, True, None]
    assert (failed["that"], failed["checks"], failed["failures"]) == (
        "dense1.delta_norm < 0",
        12,
        12,
    )
    assert (failed["failed_at"]["step"], failed["failed_at"]["epoch"]) == (1, 1)
    assert failed["value"] == failed["failed_at"]["terms"][0]["value"] > 0
    assert (held["failed_at"], held["value"]) == (None, None)
    assert (unseen["after"], unseen["checks"]) == (99, 0)
    suite = ElementTree.parse(tmp_path / "report.xml").getroot()[0]
    counts = [suite.get(key) for key in ("tests", "failures", "skipped", "errors")]
    assert counts == ["3", "1", "1", "0"]
    cases = {case.get("name"): [child.tag for child in case] for case in suite}
    assert cases == {
        "dense1.delta_norm < 0": ["failure"],
        "cost < 1e9": [],
        "epoch < 0 (after 99)": ["skipped"],
    }
    message = suite[0][0].get("message")
    assert message is not None
    assert message in done.err


def test_a_report_is_written_again_but_no_other_file(train: Run, tmp_path: Path) -> None:
    assert train("expect: cost < 1e9\n", "--junit", "r.xml").status == 0
    assert train("expect: cost < 1e9\n", "--junit", "r.xml", "--out", "runs/b").status == 0
    (tmp_path / "notes.xml").write_text("mine")
    done = train("expect: cost < 1e9\n", "--junit", "notes.xml", "--out", "runs/c")
    assert done.status == 2
    assert "notes.xml: is there already" in done.err
    assert "--junit FILE writes elsewhere" in done.err
    done = train("", "--junit", "r.xml", "--out", "runs/c")
    assert done.status == 2
    assert "--junit: the spec names nothing to expect" in done.err
    assert not (tmp_path / "runs" / "c").exists()


def test_a_break_stops_and_shows_its_step(train: Run, nncli: Run, tmp_path: Path) -> None:
    done = train("break: {that: step == 5, do: [trace, page]}\n")
    assert done.status == 1
    kept, said, going_on = done.err.splitlines()
    assert kept == "nncli: kept step 5 as runs/net/breaks/step-00000005.trace, .json and .html"
    assert said == "nncli: break at step 5 (epoch 2): step == 5: step is 5"
    assert going_on == "nncli: to go on: nncli train --resume runs/net"
    assert "net: step 5 (epoch 2)\n" in done.out
    assert "PASSED" in done.out
    folder = tmp_path / "runs" / "net" / "breaks"
    record = json.loads((folder / "step-00000005.json").read_text())
    assert record["schema"] == "nncli.trace/1"
    assert (folder / "step-00000005.html").read_text().startswith("<!DOCTYPE html>")

    assert nncli("replay", folder / "step-00000005.trace").status == 0

    again = nncli("train", "--resume", "runs/net", "--format", "json")
    assert again.status == 0
    whole = json.loads(train("", "--out", "runs/whole", "--format", "json").out)
    resumed = json.loads(again.out)
    costs = [[e["train_cost"] for e in x["epochs"]] for x in (resumed, whole)]
    assert costs[0] == costs[1]


def test_the_record_of_a_break_is_that_of_inspect_grad(
    train: Run, nncli: Run, tmp_path: Path
) -> None:
    """Which takes the same step of the same spec, counted from the start."""
    train("break: step == 7\n", "--format", "json")
    kept = json.loads((tmp_path / "runs" / "net" / "breaks" / "step-00000007.json").read_text())
    (tmp_path / "plain.yaml").write_text(SPEC)
    done = nncli("inspect-grad", "plain.yaml", "--step", 7, "--format", "json")
    other = json.loads(done.out)
    assert kept["layers"] == other["layers"]
    assert kept["check"]["verdict"] == other["check"]["verdict"] == "passed"


def test_a_break_in_json(train: Run) -> None:
    done = train("expect: cost < 1e9\nbreak: step == 12\n", "--format", "json", "--junit", "r.xml")
    assert done.status == 1
    record = json.loads(done.out)
    assert record["outcome"] == "halted"
    assert len(record["epochs"]) == 4  # the last step of an epoch: it is ended
    assert record["halt"]["step"] == 12
    assert record["expectations"][0]["checks"] == 12


def test_an_expectation_that_stops(train: Run, nncli: Run) -> None:
    done = train("expect: {that: step < 4, do: stop}\n")
    assert done.status == 1
    assert done.err.startswith("nncli: expectation failed at step 4 (epoch 2): step < 4: step is 4")
    rest = nncli("train", "--resume", "runs/net", "--set", "expect=[]")
    assert (rest.status, "expectations" in rest.out) == (0, False)


def test_an_overwritten_run_leaves_no_steps_behind(train: Run, tmp_path: Path) -> None:
    train("break: step == 5\n")
    (tmp_path / "runs" / "net" / "breaks" / "notes.txt").write_text("mine")
    assert train("", "--overwrite").status == 0
    names = [path.name for path in (tmp_path / "runs" / "net" / "breaks").iterdir()]
    assert names == ["notes.txt"]


def test_the_counts_of_a_resumed_training_are_those_of_a_whole_one(train: Run, nncli: Run) -> None:
    """Also through the file of the checkpoint."""
    text = "expect:\n- {that: cost < 0, for: 7}\n- dense2.delta_norm < 0\n- train_accuracy > 2\n"
    whole = json.loads(train(text, "--out", "runs/whole", "--format", "json").out)
    train(f"{text}break: step == 5\n")
    resumed = nncli("train", "--resume", "runs/net", "--format", "json")
    record = json.loads(resumed.out)
    assert record["expectations"] == whole["expectations"]
    assert [x["failures"] for x in record["expectations"]] == [6, 12, 4]


def test_runs_that_differ_in_a_condition_are_compared_by_it(train: Run, nncli: Run) -> None:
    train("expect: [cost < 9, {that: eta > 0, every: 3}]\n", "--out", "runs/a")
    train("expect: [cost < 8]\n", "--out", "runs/b")
    told = nncli("compare", "runs/a", "runs/b").out
    assert "eta > 0, every 3" in told
    assert "cost < 9" in told


def test_from_python(tmp_path: Path) -> None:
    spec = api.load_spec(CONFIGS / "xor.yaml", ["train.epochs=5", "expect=[cost < 0, eta > 0]"])
    failures: list[Failure] = []
    done = api.train(spec, on_failure=failures.append)
    failed, held = done.expectations
    assert (failed.held, failed.failures, held.held) == (False, 5, True)
    assert done.failed == (failed,)
    assert failures == [failed.first]
    spec = api.load_spec(CONFIGS / "xor.yaml", ["train.epochs=5", "break=step == 2"])
    with pytest.raises(HaltedTraining) as caught:
        api.train(spec, on_failure=failures.append)
    trace = caught.value.failure.trace
    assert trace.name == "xor"
    assert api.inspect(trace).check.verdict == "passed"  # type: ignore[union-attr]


def test_accuracy_is_asked_of_numbers(nncli: Run, tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(
        "data: {train: {inputs: [[1], [2]], targets: [[0.5], [0.25]]}}\n"
        "network: [{type: dense, units: 1}]\n"
        "train: {eta: 1}\n"
        "expect: [cost < 9, train_accuracy > 0.5]\n"
    )
    done = nncli("train", "net.yaml")
    assert done.status == 2
    assert done.err == (
        "nncli: net.yaml:4:20: expect[1]: there is no train_accuracy, as the targets are no "
        "classes; name a cost\n"
    )


@pytest.mark.parametrize(
    "name",
    [
        *("xor", "iris", "two-two-two", "seed-3-4-2"),
        *(
            pytest.param(f"digits-{n}", marks=pytest.mark.slow)
            for n in ("mlp", "conv", "batchnorm")
        ),
    ],
)
def test_shipped_networks_are_healthy(nncli: Run, name: str) -> None:
    """Two of them have a step or two: there is nothing to be seen in a row."""
    done = nncli("train", CONFIGS / f"{name}.yaml", "--set", "expect=healthy", "--tables", "none")
    assert (done.status, done.err) == (0, "")
    held = 1 if name in ("two-two-two", "seed-3-4-2") else 5
    assert f"expectations: {held} of 5 held" in done.out


DEEP = ", ".join(["{type: dense, units: 9}"] * 8)
SYMMETRIC = (
    "[{type: dense, units: 4, init: zeros}, "
    "{type: dense, units: 3, init: zeros, activation: softmax}]"
)
SICK = {  # what is done to iris, and the condition that fails
    "deep sigmoid": (f"network=[{DEEP}, {{type: dense, units: 3}}]", "hidden.delta_norm > 0.01"),
    "dead": ("network[0]={type: dense, units: 2, activation: relu, bias: [-9, -9]}", "hidden.dead"),
    "symmetric": (f"network={SYMMETRIC}", "all.relative_update < 0.3"),
    "restless": ("train.eta=20", "train_cost < 0.99 * untrained_cost"),
}


@pytest.mark.parametrize("name", SICK)
def test_sick_networks_are_not(nncli: Run, name: str) -> None:
    change, condition = SICK[name]
    done = nncli("train", CONFIGS / "iris.yaml", "--set", change, "--set", "expect=healthy")
    assert done.status == 1
    assert f"failed       {condition}" in done.out


def test_the_quantities_are_listed(nncli: Run) -> None:
    done = nncli("show", "--quantities")
    assert (done.status, done.err) == (0, "")
    assert all(len(line) <= 80 for line in done.out.splitlines())
    assert "  delta_norm           ‖δ‖ [dense, conv]" in done.out.splitlines()
    assert "{that: hidden.dead < 0.9, for: 5, every: 20}" in done.out
    record = json.loads(nncli("show", "--quantities", "--format", "json").out)
    assert record["schema"] == "nncli.quantities/1"
    assert record["spec"] is None
    rows = {row["name"]: row for row in record["quantities"]}
    assert rows["cost"]["of"] == "training"
    assert rows["validation_cost"]["by_epoch"]
    assert rows["delta"]["is_array"]


def test_the_quantities_of_a_network(nncli: Run) -> None:
    done = nncli("show", CONFIGS / "digits-conv.yaml", "--quantities", "--format", "json")
    record = json.loads(done.out)
    rows = {row["name"]: row["layers"] for row in record["quantities"]}
    assert rows["delta_norm"] == ["conv1", "dense1", "dense2"]
    assert rows["upstream"] == ["conv1", "avgpool1", "dense1"]  # cross-entropy gives δ directly
    assert "mask" not in rows
    assert record["spec"] == "digits-conv"


def test_show_needs_something_to_show(nncli: Run) -> None:
    done = nncli("show")
    assert done.status == 2
    assert "name a SPEC or RUN to show, or --quantities" in done.err
