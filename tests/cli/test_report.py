"""nncli report, and the pages of compare and evaluate, from the shell."""

import json
import shutil
import webbrowser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Run


@pytest.fixture
def copies(runs: Path, tmp_path: Path) -> Path:
    """Runs in the folder that commands are run in."""
    for name in ("iris", "digits", "plane"):
        shutil.copytree(runs / name, tmp_path / name)
    return tmp_path


def test_a_report_is_a_page(nncli: Run, copies: Path) -> None:
    done = nncli("report", "digits", "-o", "report.html")
    assert (done.status, done.out, done.err) == (0, "", "")
    page = (copies / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    for part in ("Curves", "Flow through the layers", "What it confuses", "The worst samples"):
        assert f">{part}</h" in page
    again = nncli("report", "digits", "-o", "report.html")
    assert again.status == 2
    assert "report.html" in again.err
    assert nncli("report", "digits", "-o", "report.html", "--overwrite").status == 0


def test_without_an_output_it_is_printed(nncli: Run, copies: Path) -> None:
    done = nncli("report", "iris")
    assert (done.status, done.err) == (0, "")
    for words in ("validation", "CRC-32 of train", "threads", "accuracy", "precision"):
        assert words in done.out
    assert not [path for path in copies.iterdir() if path.suffix]


def test_the_verdict_of_its_diagnosis_stands_in_it(nncli: Run, copies: Path) -> None:
    record = json.loads(nncli("report", "iris", "--format", "json").out)["runs"][0]["diagnosis"]
    (verdict,) = [x for x in nncli("report", "iris").out.splitlines() if "diagnosis: " in x]
    found = [cause["cause"] for cause in record["causes"]]
    assert record["healthy"] == (not found) == ("diagnosis: healthy" in verdict)
    assert nncli("report", "iris", "digits", "-o", "two.html").status == 0
    assert (copies / "two.html").read_text().count("diagnosis: ") == 2


def test_its_json_is_the_record(nncli: Run, copies: Path) -> None:
    done = nncli("report", "iris", "digits", "--format", "json")
    record: dict[str, Any] = json.loads(done.out)
    assert record["schema"] == "nncli.report/1"
    lines = (copies / "iris" / "metrics.jsonl").read_text().splitlines()
    assert record["runs"][0]["epochs"] == [json.loads(line) for line in lines]
    evaluation = json.loads(nncli("evaluate", "digits", "--format", "json").out)
    assert record["runs"][1]["evaluation"] == evaluation
    comparison = json.loads(nncli("compare", "iris", "digits", "--format", "json").out)
    assert record["comparison"]["differences"] == comparison["differences"]
    assert record["runs"][0]["data"] == json.loads((copies / "iris" / "data.json").read_text())
    assert nncli("report", "iris", "-o", "r.json").status == 0
    written = json.loads((copies / "r.json").read_text())
    assert written["runs"] == record["runs"][:1]


def test_compare_and_evaluate_write_pages(nncli: Run, copies: Path) -> None:
    assert nncli("compare", "iris", "digits", "-o", "c.html").status == 0
    assert ">In what their specs differ</h2>" in (copies / "c.html").read_text()
    assert nncli("evaluate", "plane", "-o", "e.html").status == 0
    assert ">Each output</h2>" in (copies / "e.html").read_text()
    assert nncli("compare", "iris", "digits", "-o", "c.md").status == 0
    assert (copies / "c.md").read_text().startswith("# Runs side by side")


def test_both_a_page_and_json(nncli: Run, copies: Path) -> None:
    done = nncli("evaluate", "iris", "-o", "e.html", "--format", "json")
    assert json.loads(done.out)["schema"] == "nncli.evaluation/1"
    assert (copies / "e.html").exists()


def test_open_shows_the_page(nncli: Run, copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    def open_it(url: str) -> bool:
        shown.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", open_it)
    assert nncli("report", "iris", "-o", "r.html", "--open").status == 0
    assert shown == [(copies / "r.html").as_uri()]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["report", "iris", "-o", "r.pdf"], "the suffix '.pdf' is not known"),
        (["report", "nowhere"], "there is no such folder"),
        (["report", "iris", "-o", "iris/r.html"], "run folder"),
        (["report", "iris", "-o", "r.md", "--open"], "--open shows a page"),
        (["compare", "iris", "-o", "c.html"], "two run folders"),
        (["evaluate", "iris", "-o", "e.xyz"], "the suffix '.xyz' is not known"),
    ],
)
def test_what_is_refused(nncli: Run, copies: Path, arguments: list[str], words: str) -> None:
    done = nncli(*arguments)
    assert done.status == 2
    assert words in done.err
    assert not [path for path in copies.iterdir() if path.suffix]


@pytest.mark.parametrize("command", ["report", "evaluate"])
def test_nothing_is_written_over_the_data(nncli: Run, tmp_path: Path, command: str) -> None:
    np.savez(tmp_path / "t.npz", x=np.eye(8), y=np.arange(8) % 2)
    (tmp_path / "t.yaml").write_text(
        "data: {train: t.npz}\nnetwork: [{type: dense, units: 2}]\n"
        "train: {eta: 1, epochs: 1, batch_size: 4}\n"
    )
    assert nncli("train", "t.yaml", "--out", "run").status == 0
    before = (tmp_path / "t.npz").read_bytes()
    done = nncli(command, "run", "-o", "t.npz", "--overwrite")
    assert done.status == 2
    assert "t.npz" in done.err
    assert (tmp_path / "t.npz").read_bytes() == before


def test_a_training_that_stopped_early_is_reported(nncli: Run, copies: Path) -> None:
    spec = copies / "iris" / "spec.yaml"
    spec.write_text(spec.read_text().replace("epochs: ", "epochs: 9"))
    done = nncli("report", "iris", "-o", "r.html")
    assert done.status == 0
    assert "did not come to its end" in (copies / "r.html").read_text()


def test_a_training_that_diverged_is_reported_and_forgotten(nncli: Run, copies: Path) -> None:
    spec = (
        "data: {train: iris.npz}\nnetwork: [{type: dense, units: 2, activation: identity}]\n"
        "train: {eta: 1e9, epochs: 9, batch_size: 4}\n"
    )
    np.savez(copies / "iris.npz", x=np.arange(16.0).reshape(8, 2), y=np.arange(8) % 2)
    (copies / "d.yaml").write_text(spec)
    trained = nncli("train", "d.yaml", "--out", "d")
    assert trained.status == 1
    (message,) = [line for line in trained.err.splitlines() if "diverged in epoch" in line]
    record = json.loads((copies / "d" / "divergence.json").read_text())
    assert record["message"].splitlines()[0] == message.removeprefix("nncli: ")
    reported = json.loads(nncli("report", "d", "--format", "json").out)
    assert reported["runs"][0]["divergence"] == record
    assert nncli("report", "d", "-o", "d.html").status == 0
    page = (copies / "d.html").read_text()
    assert record["message"].splitlines()[0] in page
    for step in record["flight"]:
        assert f"<td>{step['step']}<td>" in page
    assert "diverged in epoch" in nncli("report", "d").out
    (copies / "d" / "divergence.json").write_text('{"schema": "nncli.divergence/1"}')
    damaged = nncli("report", "d")
    assert damaged.status == 0
    assert "divergence.json: damaged" in damaged.err
    resumed = nncli("train", "--resume", "d", "--set", "train.eta=1e-3")
    assert resumed.status == 0
    assert not (copies / "d" / "divergence.json").exists()


def test_metrics_that_are_damaged_are_refused(nncli: Run, copies: Path) -> None:
    (copies / "iris" / "metrics.jsonl").write_text("{}\n")
    done = nncli("report", "iris")
    assert done.status == 2
    assert "metrics.jsonl:1" in done.err
