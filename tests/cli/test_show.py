"""nncli show, from the shell."""

import json
import os
import re
from pathlib import Path

import pytest
import yaml

import nncli as api
from nncli.app.pipeline import with_defaults
from nncli.spec import load_spec, parse_spec
from tests.cli.test_train import in_a_terminal
from tests.conftest import CONFIGS, Run, mostly_slow

SPEC = """\
data: {train: x.csv}
network:
  - {type: conv, filters: 2, kernel: 3}
  - {type: avgpool, size: 2}
  - type: dense
    units: 1
train: {η: 1}
"""
ALL = sorted(CONFIGS.glob("*.yaml"))


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "net.yaml").write_text(SPEC)
    return tmp_path / "net.yaml"


def comments(text: str) -> dict[str, str]:
    """The comment behind each line of YAML, by the line."""
    lines = (line.partition("#") for line in text.splitlines())
    return {line.strip(): comment.strip() for line, mark, comment in lines if mark}


def test_it_says_where_each_value_came_from(nncli: Run, spec: Path) -> None:
    done = nncli("show", "net.yaml", "--set", "train.epochs=5")
    assert (done.status, done.err) == (0, "")
    found = comments(done.out)
    assert found["name: net"] == "default: the file's stem"
    assert found["seed: 0"] == "default"
    assert found["target: null"] == "default: the last column"
    assert found["kernel: [3, 3]"] == "net.yaml:3"
    assert found["units: 1"] == "net.yaml:6"
    assert found["eta: 1.0"] == "net.yaml:7"
    assert found["epochs: 5"] == "--set train.epochs=5"
    assert found["init: xavier_normal"] == "default"
    assert found["type: constant"] == "default"


def test_no_value_is_left_without_its_origin(spec: Path) -> None:
    shown = api.show(spec)
    for line in shown.lines:
        assert line.origin is not None or line.text.endswith(":"), line.text
    values = [line.key for line in shown.lines if line.origin is not None]
    assert len(set(values)) == len(values) > 30


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_what_is_printed_is_the_same_spec_wherever_it_is_put(
    nncli: Run, path: Path, tmp_path: Path
) -> None:
    done = nncli("show", os.path.relpath(path, tmp_path))
    assert parse_spec(done.out, folder=Path("/elsewhere")) == with_defaults(load_spec(path))


def test_what_is_printed_trains(nncli: Run, tmp_path: Path) -> None:
    (tmp_path / "full.yaml").write_text(nncli("show", CONFIGS / "xor.yaml").out)
    assert nncli("train", "full.yaml", "--set", "train.epochs=2").status == 0


def test_a_run_is_shown_by_its_spec(nncli: Run, tmp_path: Path) -> None:
    nncli("train", CONFIGS / "xor.yaml", "--set", "train.epochs=2", "--out", "run")
    done = nncli("show", "run")
    assert comments(done.out)["epochs: 2"].startswith("spec.yaml:")
    assert yaml.safe_load(done.out) == yaml.safe_load((tmp_path / "run/spec.yaml").read_text())


def test_json_holds_the_spec_and_the_origins(nncli: Run, spec: Path) -> None:
    done = nncli("show", "net.yaml", "--set", "seed=3", "--format", "json")
    record = json.loads(done.out)
    assert record["schema"] == "nncli.show/1"
    assert record["file"] == "net.yaml"
    assert record["spec"]["network"][0]["kernel"] == [3, 3]
    assert record["origins"]["seed"] == {"kind": "set", "where": "--set seed=3"}
    assert record["origins"]["network[0].kernel"] == {"kind": "file", "where": "net.yaml:3:38"}
    assert record["origins"]["network[0].stride"] == {"kind": "default", "where": ""}


@pytest.mark.parametrize("width", mostly_slow([40, 80, 140], 3))
def test_comments_stay_within_the_terminal(tmp_path: Path, spec: Path, width: int) -> None:
    shown = in_a_terminal(tmp_path, "show", "net.yaml", NO_COLOR="1", COLUMNS=str(width))
    plain = re.sub(r"\x1b\[\d*m", "", shown)
    lines = [line for line in plain.splitlines() if "#" in line]
    assert len(lines) > 30
    assert max(map(len, lines[1:])) <= width


def test_a_terminal_gets_dim_comments_and_long_values_whole(tmp_path: Path, spec: Path) -> None:
    long = "a" * 150
    override = ("--set", f"data.train={long}.csv")
    shown = in_a_terminal(tmp_path, "show", "net.yaml", *override)
    assert "\x1b[2m# default" in shown
    assert f"{long}.csv" in shown


def test_names_cannot_act_on_the_terminal(nncli: Run, tmp_path: Path) -> None:
    spec = SPEC.replace("x.csv", '"x\\e[31m\\u202e.csv"')
    (tmp_path / "a\x1b[1m.yaml").write_text(spec)
    done = nncli("show", "a\x1b[1m.yaml")
    assert done.status == 0
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out
    again = parse_spec(done.out, folder=Path("/elsewhere"))
    assert str(again.data.train).endswith("x\x1b[31m\u202e.csv")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.yaml"], "no.yaml: there is no such file; check the path"),
        (["."], ".: is no run folder: it holds no spec.yaml"),
        (
            ["net.yaml", "--set", "train.eta=0"],
            "--set train.eta=0: train.eta: expected a positive number, got 0",
        ),
    ],
)
def test_bad_input_is_status_2(nncli: Run, spec: Path, arguments: list[str], message: str) -> None:
    done = nncli("show", *arguments)
    assert (done.status, done.out, done.err) == (2, "", f"nncli: {message}\n")
