"""nncli sweep, as it is called from a shell."""

import json
from pathlib import Path

import pytest

from nncli.app.sweep_records import SweepRecord, Trial
from nncli.render.pages.sweep import last_parts, notes_on
from tests.conftest import CONFIGS, Run

XOR = CONFIGS / "xor.yaml"


def test_results_and_progress_go_apart_and_a_wide_table_fits(nncli: Run, tmp_path: Path) -> None:
    vary = [f"{key}={values}" for key, values in KEYS.items()]
    words = [word for one in vary for word in ("--vary", one)]
    words += ["--set", "train.epochs=1", "--halving", "2", "--seeds", "2", "--jobs", "1"]
    made = nncli("sweep", XOR, *words, "--out", "s", "--format", "json")
    assert (made.status, json.loads(made.out)["complete"]) == (0, True)
    assert made.err.splitlines()[0] == "4 trials in s"
    assert made.err.count("seed=") == 4
    assert max(map(len, made.err.splitlines())) <= 80
    shown = nncli("sweep", XOR, *words, "--out", "s")
    assert shown.status == 0
    assert shown.err == "4 trials in s, 4 of them ended before\n\n"
    first = shown.out.splitlines()[0]
    assert first.split()[:5] == ["eta", "batch_size", "units", "l1", "training"]
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "Too narrow" not in shown.out
    assert "stopped before the last epoch" not in shown.out  # since none was


KEYS = {
    "train.eta": "0.1,1",
    "train.batch_size": "2",
    "network[0].units": "2",
    "train.l1": "0",
}


def test_last_parts_of_keys_where_no_two_are_the_same() -> None:
    keys = ("train.eta", "network[0].units", "network[1].units")
    assert last_parts(keys) == ["eta", "network[0].units", "network[1].units"]


def test_the_best_epoch_is_named_where_it_is_not_the_last() -> None:
    def notes(epoch: int) -> str:
        metrics = {"validation_cost": 0.1, "epoch": epoch, "epochs": 3}
        trial = Trial("a", {"train.eta": 1}, 0, Path("t"), "done", metrics)
        return " ".join(notes_on(SweepRecord("s", Path("s"), "validation_cost", (), (trial,), 1)))

    assert notes(2) == "A trial counts by its best epoch, whose weights it uses."
    assert notes(3) == ""


def test_what_is_wrong_in_a_file_is_told_at_once(nncli: Run, tmp_path: Path) -> None:
    (tmp_path / "sw.yaml").write_text(
        f"spec: {XOR}\nvary: {{train.etta: [0.1, 1]}}\nseed_count: 2\n"
    )
    done = nncli("sweep", "sw.yaml")
    assert (done.status, done.out) == (2, "")
    assert "sw.yaml:3:1: seed_count: unknown key 'seed_count'; did you mean 'seeds'?" in done.err
    assert "sw.yaml:2:21: train.etta: unknown key 'etta'; did you mean 'eta'?" in done.err


@pytest.mark.parametrize(
    ("written", "options", "told"),
    [
        (
            "vary: {seed: 1}\nvary: {seed: 2}",
            [],
            "sw.yaml:3:1: vary: the key 'vary' is given twice",
        ),
        (
            "vary: {train.eta: 1, train.η: 2}",
            [],
            "sw.yaml:2:22: vary.'train.η': train.η is in vary too; keep one of them",
        ),
        (
            "zip: [{train.eta: [1]}, {train.eta: [2]}]",
            [],
            "sw.yaml:2:26: zip[1].'train.eta': train.eta is in zip too; keep one of them",
        ),
        (
            "zip: {train.eta: [1]}",
            ["--vary", "train.eta=2"],
            "sw.yaml:2:7: zip.'train.eta': train.eta is in vary too; keep one of them",
        ),
        (
            "vary: {train.eta: {uniform: [1, 2]}}",
            [],
            "sw.yaml:2:19: vary.'train.eta'.samples: expected how many values to draw, "
            "1 to 100,000, got none",
        ),
        (
            "seeds: 2",
            ["--vary", "train.eta=1", "--vary", "train.η=2"],
            "--vary train.η=2: --vary train.eta=1 varies it too; name all values in one",
        ),
    ],
)
def test_what_is_varied_twice_or_drawn_without_end_is_told_where_it_is(
    nncli: Run, tmp_path: Path, written: str, options: list[str], told: str
) -> None:
    (tmp_path / "sw.yaml").write_text(f"spec: {XOR}\n{written}\n")
    done = nncli("sweep", "sw.yaml", *options)
    assert (done.status, done.out) == (2, "")
    assert told in done.err


def test_a_sweep_in_place_of_a_run_is_told_as_one(nncli: Run) -> None:
    nncli("sweep", XOR, "--seeds", 1, "--set", "train.epochs=1", "--jobs", 1, "--out", "s")
    done = nncli("evaluate", "s")
    assert done.status == 2
    assert done.err == "nncli: s: is no run folder: it is a sweep's, whose runs are in s/trials\n"


def test_who_reads_a_file_of_a_sweep_is_said(nncli: Run, tmp_path: Path) -> None:
    (tmp_path / "sw.yaml").write_text(f"spec: {XOR}\nvary: {{train.eta: 1}}\n")
    told = nncli("train", "sw.yaml").err
    assert "sw.yaml:1:1: spec: unknown key 'spec'; did you mean nncli sweep, which takes a " in told
    assert "sw.yaml:2:1: vary: unknown key 'vary'; did you mean sweep.vary?" in told


def test_blocks_of_vary_may_share_a_key(nncli: Run, tmp_path: Path) -> None:
    (tmp_path / "sw.yaml").write_text(
        f"spec: {XOR}\nvary: [{{train.eta: 1, seed: 1}}, {{train.eta: 2}}]\n"
    )
    assert nncli("sweep", "sw.yaml", "--dry-run").out.splitlines()[0] == "2 trials in sweeps/sw"


def test_a_trial_that_diverges_is_a_result(nncli: Run, tmp_path: Path) -> None:
    words = ("--set", "train.epochs=4", "--jobs", "1")
    done = nncli("sweep", XOR, "--vary", "train.eta=1,1e300", *words)
    assert done.status == 0
    assert "1 trial failed" in done.out
    done = nncli("sweep", XOR, "--vary", "train.eta=1e300", *words)
    assert done.status == 1
    assert "none of 1 trial came to its end" in done.err
