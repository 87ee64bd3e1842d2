"""nncli.sweep: its trials, what they come to, and that neither processes nor kills change it."""

import errno
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import pytest

import nncli as api
from nncli.app.sweep import plan_sweep, reopen_sweep
from nncli.app.sweep_records import SweepRecord, Trial
from nncli.app.sweep_report import report_sweep
from nncli.app.sweeping import processes
from nncli.app.sweeping.planned import planned_trials
from nncli.core.errors import RunError, SpecError
from nncli.render import formats
from nncli.render.document import Paragraph
from nncli.render.pages.sweep import sweep_document, sweep_record
from nncli.spec.trials import read_plan
from tests.conftest import CONFIGS, present

XOR = CONFIGS / "xor.yaml"
SHORT = ["train.epochs=3"]


class Here(Executor):
    """An executor that does at once what it is given."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **more: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(function(*args, **more))
        return future


def run(folder: Path, vary: Any, **more: Any) -> SweepRecord:
    return api.sweep(XOR, SHORT, vary=vary, out=folder, executor=Here(), **more)


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    lines = (folder / "journal.jsonl").read_text().splitlines()
    return [event for line in lines if (event := json.loads(line))["event"] == kind]


def stopped_after(count: int) -> dict[str, Any]:
    """Arguments of a sweep that is interrupted once so many trials have begun."""
    begun: list[str] = []

    def on_trial(trial: Trial) -> None:
        begun.extend([trial.id] * (trial.state == "running"))

    return {"on_trial": on_trial, "should_stop": lambda: len(begun) >= count}


def results(record: SweepRecord) -> dict[str, Any]:
    return {
        trial.id: (trial.state, trial.set, trial.seed, trial.metrics) for trial in record.trials
    }


GRID: dict[str, list[Any]] = {"train.eta": [0.1, 1.0], "network[0].units": [2, 3]}


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> SweepRecord:
    return run(tmp_path_factory.mktemp("grid") / "sweep", GRID, seeds=3)


def test_a_grid_is_the_product_with_each_seed(grid: SweepRecord) -> None:
    made = [(*trial.set.values(), trial.seed) for trial in grid.trials]
    assert made == list(product([0.1, 1.0], [2, 3], range(3)))
    assert {trial.state for trial in grid.trials} == {"done"}


def test_a_trial_is_the_training_that_its_spec_gives(grid: SweepRecord) -> None:
    trial = grid.trials[-1]
    overrides = ["train.eta=1.0", "network[0].units=3", "seed=2", "train.threads=1"]
    alone = api.train(api.load_spec(XOR, [*SHORT, *overrides]))
    assert present(trial.metrics)["train_cost"] == alone.history[-1].train_cost
    assert (trial.folder / "checkpoint.safetensors").is_file()


def test_the_ranking_is_by_medians_over_seeds(grid: SweepRecord) -> None:
    cost = {t.id: present(t.metrics)["train_cost_after"] for t in grid.trials}
    wanted = sorted(
        median(cost[t.id] for t in grid.trials if tuple(t.set.values()) == values)
        for values in product(GRID["train.eta"], GRID["network[0].units"])
    )
    assert [group.median for group in grid.ranking] == wanted
    best = present(grid.best)
    assert best.set == grid.ranking[0].set
    assert cost[best.id] == min(cost[t.id] for t in grid.ranking[0].trials) == grid.ranking[0].low
    effects = {effect.key: effect for effect in grid.effects}
    of_eta = [median(cost[t.id] for t in grid.trials if t.set["train.eta"] == e) for e in (0.1, 1)]
    assert [level.median for level in effects["train.eta"].levels] == of_eta
    assert effects["train.eta"].span == pytest.approx(abs(of_eta[0] - of_eta[1]))


def test_a_report_reads_what_the_sweep_said(grid: SweepRecord, tmp_path: Path) -> None:
    report = report_sweep(grid.folder)
    assert (report.record.trials, report.record.is_complete) == (grid.trials, True)
    assert [run.path for run in report.curves] == [
        present(grid.best_of(group)).folder for group in grid.ranking
    ]
    assert sweep_record(report.record) == sweep_record(grid)
    for format in ("html", "markdown", "json", "latex"):
        assert b"sweep" in formats.write(format, sweep_document(report))


def test_a_report_of_a_sweep_on_its_way(tmp_path: Path) -> None:
    vary = {"train.eta": [5000, 0.5, 1, 2, 3, 4, 5]}
    run(tmp_path / "s", vary, jobs=1, **stopped_after(5))
    record = report_sweep(tmp_path / "s").record
    assert (record.is_complete, record.count("waiting")) == (False, 2)
    state = sweep_document(report_sweep(tmp_path / "s")).page[1]
    assert isinstance(state, Paragraph)
    assert state.text.startswith("4 of 7 trials done, 1 failed")


def test_what_is_done_is_not_trained_again_and_values_are_added(tmp_path: Path) -> None:
    first = run(tmp_path / "s", {"train.eta": [0.1, 1]})
    times = [os.stat(trial.folder / "metrics.jsonl").st_mtime_ns for trial in first.trials]
    more = run(tmp_path / "s", {"train.eta": [1, 0.1, 2, 2.0, 1.0]})
    assert len(more.trials) == 3
    assert len(events(tmp_path / "s", "started")) == 3
    assert [os.stat(t.folder / "metrics.jsonl").st_mtime_ns for t in first.trials] == times
    assert results(first).items() <= results(more).items()
    fewer = run(tmp_path / "s", {"train.eta": [2]})
    assert any("2 trials more" in note for note in fewer.notes)


def test_a_torn_journal_is_gone_on_with(tmp_path: Path) -> None:
    first = run(tmp_path / "s", {"train.eta": [0.1, 1]})
    journal = tmp_path / "s/journal.jsonl"
    whole = journal.read_bytes()
    torn = whole[: whole.index(b'{"event": "complete"') - 20]
    journal.write_bytes(torn)
    again = api.sweep(reopen_sweep(tmp_path / "s"), executor=Here())
    assert results(again) == results(first)
    assert journal.read_bytes().startswith(torn + b"\n")
    added = journal.read_bytes()[len(torn) + 1 :].splitlines()
    assert [json.loads(line)["event"] for line in added] == [
        *("opened", "started", "done", "complete")
    ]


def test_after_a_restart_of_the_computer_runs_are_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tmp_path / "s", {"train.eta": [0.1, 1, 2]})
    (first.trials[0].folder / "checkpoint.safetensors").write_bytes(b"")  # never reached the disk
    monkeypatch.setattr("nncli.app.sweeping.known.boot_id", lambda: "another")
    kept = os.stat(first.trials[1].folder / "metrics.jsonl").st_mtime_ns
    again = api.sweep(reopen_sweep(tmp_path / "s"), executor=Here())
    assert results(again) == results(first)
    assert os.stat(first.trials[1].folder / "metrics.jsonl").st_mtime_ns == kept
    assert (first.trials[0].folder / "checkpoint.safetensors").stat().st_size > 0
    assert len(events(tmp_path / "s", "started")) == 6
    api.sweep(reopen_sweep(tmp_path / "s"), executor=Here())
    assert len(events(tmp_path / "s", "started")) == 6


def test_another_version_is_said(tmp_path: Path) -> None:
    run(tmp_path / "s", {"train.eta": [0.1]})
    journal = tmp_path / "s/journal.jsonl"
    journal.write_text(journal.read_text().replace('"NumPy": "', '"NumPy": "0.'))
    (note,) = run(tmp_path / "s", {"train.eta": [0.1, 1]}).notes
    assert "were trained by nncli" in note
    assert "NumPy 0." in note


def test_one_that_diverges_harms_no_other_and_is_said_once(tmp_path: Path) -> None:
    record = api.sweep(
        XOR,
        ["train.epochs=30"],
        vary={"train.eta": [5000, 0.5]},
        seeds=2,
        out=tmp_path / "s",
        executor=Here(),
    )
    assert [trial.state for trial in record.trials] == ["failed", "failed", "done", "done"]
    (cause,) = record.causes
    assert (cause.cause, len(cause.trials)) == ("diverged", 2)
    assert "diverged in epoch" in cause.error
    first = api.sweep(
        XOR,
        ["train.epochs=30"],
        vary={"train.eta": [5000, 0.5]},
        out=tmp_path / "f",
        executor=Here(),
        fail_fast=True,
    )
    assert first.trials[0].state == "failed"


def test_values_that_are_drawn_follow_from_seed_and_key(tmp_path: Path) -> None:
    def values(samples: int, *more: str) -> list[Any]:
        draw = f"train.eta={{log_uniform: [0.01, 10], samples: {samples}}}"
        plan = read_plan(XOR, vary=[draw, *more])
        return list(dict.fromkeys(choice[0].value for choice in plan.choices()))

    few, many = values(3), values(50, "network[0].units=2,3")
    assert many[:3] == few
    assert len(set(many)) == 50
    assert min(many) >= 0.01
    assert max(many) <= 10
    assert 15 <= sum(value < 0.316 for value in many) <= 35  # half of them, by the logarithm
    whole = read_plan(XOR, vary=["network[0].units={uniform: [2, 4], samples: 40, integer: true}"])
    assert {choice[0].value for choice in whole.choices()} == {2, 3, 4}


def test_a_large_plan_is_named_as_a_small_one() -> None:
    """Its numbers are put into specs that are checked; the names are those of the specs."""
    vary: dict[str, list[Any]] = {
        "train.eta": [k / 100 for k in range(1, 41)],
        "train.momentum": [0, 0.5],
        "network[0].activation": ["sigmoid", "tanh"],
        "train.epochs": [3, 4],
    }
    large = {json.dumps(t.set): t.id for t in planned_trials(read_plan(XOR, vary=vary))}
    assert len(large) == 320
    small = read_plan(XOR, vary={**vary, "train.eta": vary["train.eta"][::13]})
    for trial in planned_trials(small):
        assert large[json.dumps(trial.set)] == trial.id


def test_a_sweep_in_a_file_and_in_a_spec(tmp_path: Path) -> None:
    text = (
        "vary:\n- {train.eta: [0.1, 1]}\n- train.batch_size: 2\n"
        "zip: {train.momentum: [0, 0.9], train.nesterov: [false, true]}\nseeds: [7]\n"
    )
    spec = tmp_path / "net.yaml"
    spec.write_text(XOR.read_text().replace("../data", str(XOR.parents[1] / "data")))
    (tmp_path / "mine.yaml").write_text(f"spec: net.yaml\n{text}")
    of_file = plan_sweep(tmp_path / "mine.yaml")
    assert str(of_file.folder) == "sweeps/mine"
    sets = [trial.set for trial in of_file.trials]
    assert sets[1] == {"train.eta": 0.1, "train.momentum": 0.9, "train.nesterov": True}
    assert len(sets) == 6
    assert {trial.seed for trial in of_file.trials} == {7}
    indented = "".join(f"  {line}\n" for line in text.splitlines())
    spec.write_text(f"{spec.read_text()}\nsweep:\n{indented}")
    assert [t.id for t in plan_sweep(spec).trials] == [t.id for t in of_file.trials]
    assert present(api.load_spec(spec).sweep)["seeds"] == [7]


def test_halving_trains_on_what_ranks_first_by_then(tmp_path: Path) -> None:
    etas = [5, 0.1, 1, 9, 0.3, 3, 2, 0.5, 0.2]
    overrides = ["train.epochs=9", "train.threads=1"]

    def halved(**more: Any) -> SweepRecord:
        return api.sweep(
            XOR, overrides, vary={"train.eta": etas}, out=tmp_path / "s", executor=Here(), **more
        )

    alone = {eta: api.train(api.load_spec(XOR, [*overrides, f"train.eta={eta}"])) for eta in etas}
    going, reached = set(etas), {}
    for epochs in (1, 3, 9):
        costs = {e: present(alone[e].history[epochs - 1].train_cost_after) for e in going}
        reached.update({eta: (epochs, costs[eta]) for eta in going})
        going = set(sorted(going, key=lambda eta: costs[eta])[: max(1, len(going) // 3)])
    assert not halved(halving=3, jobs=1, **stopped_after(11)).is_complete  # and goes on
    record = halved(halving=3)
    assert record.is_complete
    for trial in record.trials:
        epochs, cost = reached[trial.set["train.eta"]]
        metrics = present(trial.metrics)
        assert (trial.state, metrics["epochs"]) == ("done" if epochs == 9 else "stopped", epochs)
        assert metrics["train_cost_after"] == cost
    assert {present(record.best).set["train.eta"]} == going
    assert [group.epochs for group in record.ranking] == [None, *[3] * 2, *[1] * 6]
    began = len(events(tmp_path / "s", "started"))
    whole = halved()  # what was stopped goes on from its checkpoint
    assert len(events(tmp_path / "s", "started")) == began + 8
    for trial in whole.trials:
        last = alone[trial.set["train.eta"]].history[-1]
        assert present(trial.metrics)["train_cost"] == last.train_cost
    kept = (tmp_path / "s/journal.jsonl").read_text().splitlines()
    torn = [line for line in kept if '"until": 3' not in line]
    (tmp_path / "s/journal.jsonl").write_text("".join(f"{line}\n" for line in torn))
    again = halved(halving=3)  # by the metrics in the run folders
    assert results(again) == results(record)
    assert results(report_sweep(tmp_path / "s").record) == results(record)


class Job:
    """What submitit gives in the place of a future: nobody can wait for it, and it can be ended."""

    def __init__(self, work: Callable[[], Any], looks: int) -> None:
        self._work, self._looks, self.is_ended = work, looks, False

    def done(self) -> bool:
        self._looks -= 1
        return self._looks < 0

    def exception(self) -> BaseException | None:
        return None

    def result(self) -> Any:
        return self._work()

    def cancel(self) -> None:
        self.is_ended = True


class Queue:
    def __init__(self, looks: int) -> None:
        self.looks, self.jobs = looks, list[Job]()

    def submit(self, function: Callable[..., Any], /, *args: Any, **more: Any) -> Job:
        self.jobs.append(Job(partial(function, *args, **more), self.looks))
        return self.jobs[-1]


def test_jobs_that_are_no_futures(tmp_path: Path) -> None:
    vary = {"train.eta": [3, 1, 0.1]}
    found = api.sweep(XOR, SHORT, vary=vary, out=tmp_path / "jobs", executor=Queue(2))
    assert results(found) == results(run(tmp_path / "alone", vary))
    stopped = Queue(10**9)
    more: dict[str, Any] = {"executor": stopped, **stopped_after(2)}
    left = api.sweep(XOR, SHORT, vary=vary, out=tmp_path / "stopped", **more)
    assert {trial.state for trial in left.trials} == {"waiting"}
    assert all(job.is_ended for job in stopped.jobs)
    again = api.sweep(XOR, SHORT, vary=vary, out=tmp_path / "stopped", executor=Queue(0))
    assert results(again) == results(found)


def test_who_dies_in_a_round_of_halving_changes_the_next_ones_for_that_sweep_alone(
    tmp_path: Path,
) -> None:
    class Deadly(Here):
        deaths = 0

        def submit(self, function: Callable[..., Any], /, *args: Any, **more: Any) -> "Future[Any]":
            if args[0].values[0].value != 1 or self.deaths == 2:
                return super().submit(function, *args, **more)
            self.deaths += 1
            future: Future[Any] = Future()
            future.set_exception(RuntimeError("the worker died"))
            return future

    def halved(name: str, executor: Executor) -> SweepRecord:
        more: dict[str, Any] = {"vary": {"train.eta": [3, 1, 0.1]}, "halving": 3}
        return api.sweep(XOR, ["train.epochs=30"], out=tmp_path / name, executor=executor, **more)

    alone = halved("alone", Here())
    assert present(alone.best).set == {"train.eta": 1}
    first = halved("s", Deadly())
    assert present(first.best).set != {"train.eta": 1}
    assert [cause.error for cause in first.causes] == ["RuntimeError: the worker died"]
    assert results(halved("s", Here())) == results(alone)
    assert results(report_sweep(tmp_path / "s").record) == results(alone)


def test_a_sampler_proposes_the_same_whatever_was_interrupted(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    vary = {"train.eta": {"log_uniform": [0.01, 10]}, "network[0].units": [2, 3]}

    def sampled(name: str, **more: Any) -> SweepRecord:
        more |= {"sampler": "tpe", "trials": 14, "seeds": 2, "out": tmp_path / name}
        return api.sweep(XOR, SHORT, vary=vary, executor=Here(), **more)

    whole = sampled("a")
    assert whole.is_complete
    assert whole.size == 28
    assert len({trial.set["train.eta"] for trial in whole.trials}) >= 12
    assert not sampled("b", jobs=1, **stopped_after(9)).is_complete
    assert results(api.sweep(reopen_sweep(tmp_path / "b"), executor=Here())) == results(whole)


@pytest.mark.parametrize(
    ("vary", "more", "told"),
    [
        (["train.etaa=0.1"], {}, ["--vary train.etaa=0.1: train.etaa: unknown key", "'eta'"]),
        (["train.eta=1,-1", "network[0].units=0,2"], {}, ["got -1", "units", "got 0"]),
        (["network[9].units=2"], {}, ["--vary network[9].units=2", "[0] to [1]"]),
        (["train.eta"], {}, ["expected KEY=VALUE"]),
        ([], {}, ["nothing to vary"]),
        ({"train.eta": []}, {}, ["names no value"]),
        ([f"seed={','.join(map(str, range(400)))}", "train.epochs=1,2"], {"seeds": 300}, ["seed"]),
        ({"train.eta": list(range(1, 400))}, {"seeds": 300}, ["119,700 trials", "100,000"]),
        (["train.eta={uniform: [1, 0], samples: 3}"], {}, ["the smaller first"]),
        ([], {"zip": {"train.eta": [1], "train.momentum": [0, 0.5]}}, ["train.momentum has 2"]),
        ({"train.eta": [1.0, *range(-400, 0)]}, {}, ["got -400", "more problems"]),
        (["data.train=a.csv,b.csv", "train.eta=1,2"], {}, ["configs/a.csv'", "configs/b.csv'"]),
        (["train.eta={uniform: [0, 1]}"], {}, ["samples: expected how many values", "got none"]),
    ],
)
def test_what_is_wrong_is_told_before_the_first_trial(
    tmp_path: Path, vary: Any, more: dict[str, Any], told: list[str]
) -> None:
    with pytest.raises(SpecError) as error:
        run(tmp_path / "s", vary, **more)
    assert all(words in str(error.value) for words in told), error.value
    assert not (tmp_path / "s").exists()


def test_a_folder_that_is_no_sweep_or_in_use(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"holds no journal.jsonl"):
        reopen_sweep(tmp_path)
    planned = plan_sweep(XOR, SHORT, seeds=1, out=tmp_path / "s")

    def again(_: SweepRecord) -> None:
        with pytest.raises(RunError, match="another sweep is running there"):
            api.sweep(planned, executor=Here())

    api.sweep(planned, executor=Here(), on_start=again)


def test_the_test_data_are_measured_once_for_the_best(tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    data = XOR.parents[1] / "data/iris.csv"
    spec.write_text(
        f"data: {{train: {data}, test: {data}, validation: 0.2, target: species}}\n"
        "network: [{type: dense, units: 3}]\ntrain: {eta: 1, epochs: 2}\n"
    )
    out = tmp_path / "s"
    record = api.sweep(spec, vary={"train.eta": [0.1, 1]}, out=out, executor=Here())
    best = present(record.best)
    costs = {t.id: present(t.metrics)["validation_cost"] for t in record.trials}
    assert record.metric == "validation_cost"
    assert costs[best.id] == min(costs.values())
    assert present(record.test).cost == api.evaluate(best.folder).assessment.cost
    again = api.sweep(spec, vary={"train.eta": [0.1, 1]}, out=out, executor=Here())
    assert again.test == record.test == report_sweep(out).record.test
    assert [event["id"] for event in events(out, "tested")] == [best.id]


def test_blocks_that_overlap_have_each_trial_once() -> None:
    def sets(*blocks: dict[str, Any]) -> list[tuple[Any, ...]]:
        spec = api.load_spec(XOR, [f"sweep={json.dumps({'vary': blocks})}"])
        return [tuple(trial.set.values()) for trial in plan_sweep(spec).trials]

    eta, units = {"train.eta": [1, 2]}, {"network[0].units": [3, 4]}
    assert sets(eta, {"train.eta": [2, 3]}) == [(1,), (2,), (3,)]
    assert sets({**eta, **units}, {"train.eta": 2, **units}) == [(1, 3), (1, 4), (2, 3), (2, 4)]


@pytest.mark.parametrize("most", [0, 1])
def test_fewer_processes_than_asked_for_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    started: list[processes._Process] = []

    def start() -> processes._Process:
        if len(started) == most:
            raise OSError(errno.EMFILE, "Too many open files")
        started.append(process())
        return started[-1]

    process = processes._Process
    monkeypatch.setattr(processes, "_Process", start)
    if most:
        record = api.sweep(XOR, SHORT, seeds=2, out=tmp_path / "s", jobs=2)
        assert record.count("done") == 2
    else:
        told = "no process to train in can be started: too many open files"
        with pytest.raises(RunError, match=told):
            api.sweep(XOR, SHORT, seeds=2, out=tmp_path / "s", jobs=2)


WORKER = """
import ctypes, sys
import numpy
from nncli.app.sweeping import trial, worker

train = trial._train

def wrong(task, goal):
    eta = task.values[0].value
    if eta == 2:
        ctypes.string_at(0)
    if eta == 3:
        numpy.ones(1 << 60, numpy.int8)
    if eta == 4:
        sys.exit(3)
    return train(task, goal)

trial._train = wrong
worker.main(int(sys.argv[-1]))
"""


@pytest.mark.slow
@pytest.mark.serial
def test_trials_that_take_their_process_along_harm_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worker.py").write_text(WORKER)
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {tmp_path}/worker.py "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(script))
    out = tmp_path / "s"
    record = api.sweep(XOR, SHORT, vary={"train.eta": [2, 3, 1, 4]}, out=out, jobs=2)
    found = {t.set["train.eta"]: (t.state, t.cause) for t in record.trials}
    crashed = ("failed", "killed")
    assert found == {1: ("done", None), 2: crashed, 3: ("failed", "memory"), 4: crashed}
    assert sorted(cause.error for cause in record.causes) == [
        "out of memory",
        "the process that trained it ended with status 3",
        "the process that trained it was killed (SIGSEGV)",
    ]
    begun = [event["set"]["train.eta"] for event in events(out, "started")]
    assert sorted(begun) == [1, 2, 2, 3, 3, 4, 4]  # what may pass is tried twice, and again later:
    again = api.sweep(reopen_sweep(out), executor=Here())
    assert {trial.state for trial in again.trials} == {"done"}


@pytest.mark.slow
@pytest.mark.serial
def test_kills_change_nothing(tmp_path: Path, grid: SweepRecord) -> None:
    """Processes that die at random moments; what comes out has the bits of the sweep without."""
    planned = plan_sweep(XOR, SHORT, vary=GRID, seeds=3, out=tmp_path / "s")
    dice, kills = random.Random(5), 0

    def kill(trial: Trial) -> None:
        nonlocal kills
        if trial.state == "done" and dice.random() < 0.4:
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            if children:
                os.kill(int(dice.choice(children)), signal.SIGKILL)
                kills += 1

    record = api.sweep(planned, jobs=2, on_trial=kill)
    for _ in range(5):  # one that dies twice has failed until the next sweep
        if record.count("failed"):
            record = api.sweep(planned, jobs=2, on_trial=kill)
    assert kills >= 3
    assert results(record) == results(grid)
    assert record.ranking[0].set == grid.ranking[0].set
