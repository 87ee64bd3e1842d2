"""nncli compare, from the shell."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nncli as api
from nncli.app.report_records import ComparedRun
from nncli.nn.measures import LayerMeasures
from nncli.training.history import Epoch
from nncli.training.run_files import METRICS
from tests.cli.test_train import in_a_terminal
from tests.conftest import CONFIGS, ROOT, Run

Make = Callable[..., Path]


@pytest.fixture
def run(tmp_path: Path) -> Make:
    """Makes a run folder by training."""

    def make(name: str, config: str = "iris", *overrides: str) -> Path:
        spec = api.load_spec(CONFIGS / f"{config}.yaml", ["train.epochs=5", *overrides])
        api.train(spec, out=tmp_path / name)
        return tmp_path / name

    return make


def rewrite(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes every record of a run's metrics."""
    records = [json.loads(line) for line in (run / METRICS).read_text().splitlines()]
    for record in records:
        change(record)
    (run / METRICS).write_text("".join(json.dumps(record) + "\n" for record in records))


def table(text: str, heading: str) -> dict[str, list[str]]:
    """The rows of the table that begins with this heading, by their first cell."""
    lines = text[text.index(heading) :].splitlines()[2:]
    rows = [re.split(r" {2,}", line.strip()) for line in lines[: lines.index("")]]
    return {row[0]: row[1:] for row in rows}


def test_it_shows_what_differs_and_nothing_else(nncli: Run, run: Make) -> None:
    run("one"), run("two", "iris", "train.eta=0.2", "network[0].activation=relu")
    done = nncli("compare", "one", "two")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("A  one\nB  two\n")
    assert table(done.out, "what differs") == {
        "network[0].activation": ["tanh", "relu"],
        "network[0].init": ["xavier_normal", "kaiming_normal"],
        "train.eta": ["0.1", "0.2"],
    }


def test_the_outcomes_are_those_of_the_trainings(nncli: Run, run: Make) -> None:
    paths = [run("one"), run("two", "iris", "seed=4", "train.epochs=9")]
    epochs = [api.compare(paths).runs[k].history for k in (0, 1)]
    rows = table(nncli("compare", "one", "two").out, "   epochs")
    for name, history, asked in zip("AB", epochs, (5, 9), strict=True):
        costs: list[Any] = [epoch.validation_cost for epoch in history]
        accuracies: list[Any] = [epoch.validation_accuracy for epoch in history]
        shown = rows[name]
        assert shown[0] == f"{asked}/{asked}"
        assert float(shown[1]) == pytest.approx(history[-1].train_cost, rel=1e-3)
        assert float(shown[2]) == pytest.approx(costs[-1], rel=1e-3)
        assert float(shown[3]) == pytest.approx(min(costs), rel=1e-3)
        assert int(shown[4]) == costs.index(min(costs)) + 1
        assert float(shown[5].strip("%")) == pytest.approx(100 * accuracies[-1], abs=0.01)
        assert float(shown[6].strip("%")) == pytest.approx(100 * max(accuracies), abs=0.01)
        assert int(shown[7]) == accuracies.index(max(accuracies)) + 1


def test_the_history_that_is_read_is_the_one_that_was_trained(tmp_path: Path) -> None:
    spec = api.load_spec(CONFIGS / "xor.yaml", ["train.epochs=3"])
    training = api.train(spec, out=tmp_path / "one")
    assert api.compare([tmp_path / "one"] * 2).runs[0].history == training.history


def test_a_layer_more_and_another_type_are_told_as_layers(nncli: Run, run: Make) -> None:
    run("mlp", "digits-mlp", "train.epochs=1"), run("conv", "digits-conv", "train.epochs=1")
    rows = table(nncli("compare", "mlp", "conv").out, "what differs")
    assert rows["network[0]"] == ["dense 30 sigmoid", "conv 8 3×3 same relu"]
    assert rows["network[1]"] == ["dense 10 sigmoid", "avgpool 2×2"]
    assert rows["network[2]"] == ["–", "dense 30 sigmoid"]
    assert rows["data.shape"] == ["null", "[1, 8, 8]"]


def test_the_same_twice_has_no_differences(nncli: Run, run: Make) -> None:
    run("one")
    assert "Their specs are the same." in nncli("compare", "one", "one").out


def test_what_does_not_compare_is_said(nncli: Run, run: Make) -> None:
    run("one"), run("two", "iris", "seed=1"), run("three", "iris", "data.validation=null")
    run("four", "iris", "train.cost=quadratic", "network[1].activation=sigmoid")
    cost, data = "cost functions differ", "Not all were judged by the same samples"
    said = [nncli("compare", "one", x).out.split() for x in ("one", "two", "three", "four")]
    assert [cost in " ".join(words) for words in said] == [False, False, False, True]
    assert [data in " ".join(words) for words in said] == [False, True, True, False]


def test_a_seed_matters_only_where_it_draws_the_judges(run: Make) -> None:
    none = ("iris", "data.validation=null")
    paths = [run("one", *none), run("two", *none, "seed=1")]
    assert api.compare(paths).is_same_data


def test_curves_have_letters_and_no_colour_in_a_pipe(nncli: Run, run: Make) -> None:
    run("one"), run("two", "iris", "train.eta=0.01")
    out = nncli("compare", "one", "two").out
    assert "\x1b" not in out
    drawing = out[out.index("\ncost") : out.index("epoch 1 ")]
    assert len(re.findall("[⠀-⣿]A|A[⠀-⣿]", drawing)) > 1
    assert len(re.findall("[⠀-⣿]B|B[⠀-⣿]", drawing)) > 1


def test_a_terminal_gets_colours_too(tmp_path: Path, run: Make) -> None:
    run("one"), run("two", "iris", "train.eta=0.01")
    shown = in_a_terminal(tmp_path, "compare", "one", "two")
    assert "\x1b[36m" in shown
    assert "\x1b[35m" in shown


@pytest.mark.parametrize("width", [40, 80, 140])
def test_no_line_is_wider_than_the_terminal(nncli: Run, run: Make, width: int) -> None:
    run("one"), run("two", "xor", "train.epochs=3"), run("three", "digits-conv", "train.epochs=1")
    done = nncli("compare", "one", "two", "three", COLUMNS=str(width))
    paths = str(ROOT)[:20]
    lines = [line for line in done.out.splitlines() if "data/" not in line and paths not in line]
    assert max(map(len, lines)) <= width


def test_values_too_long_for_a_column_have_lines_of_their_own(nncli: Run, run: Make) -> None:
    run("one"), run("two", "iris", f"name={'n' * 60}")
    out = nncli("compare", "one", "two", COLUMNS="80").out
    assert f"name\n  A  iris\n  B  {'n' * 60}\n" in out


def test_more_runs_than_letters_and_colours(nncli: Run, run: Make) -> None:
    run("one")
    done = nncli("compare", *["one"] * 28)
    assert "\nZ  one\nAA  one\nAB  one\n" in done.out
    assert "Curves are drawn of 10 runs, A to J." in done.out


def test_json_holds_all_of_it(nncli: Run, run: Make) -> None:
    one, two = run("one"), run("two", "iris", "train.eta=0.2", "train.epochs=7")
    done = nncli("compare", "one", "two", "--format", "json")
    record = json.loads(done.out)
    assert record["schema"] == "nncli.comparison/1"
    assert record["differences"] == [
        {"key": "train.eta", "values": [0.1, 0.2]},
        {"key": "train.epochs", "values": [5, 7]},
    ]
    assert [r["run"] for r in record["runs"]] == ["one", "two"]
    for told, path in zip(record["runs"], (one, two), strict=True):
        written = [json.loads(line) for line in (path / METRICS).read_text().splitlines()]
        assert told["epochs"] == written
        costs = [epoch["validation_cost"] for epoch in written]
        assert told["lowest_cost_epoch"] == costs.index(min(costs)) + 1
    assert (record["same_cost"], record["same_data"]) == (True, True)


def test_a_run_without_an_epoch_yet(nncli: Run, run: Make) -> None:
    run("one")
    (run("two") / METRICS).write_text("")
    rows = table(nncli("compare", "one", "two").out, "   epochs")
    assert rows["B"] == ["0/5", *["–"] * 8]


def test_half_a_line_is_what_a_killed_training_leaves(nncli: Run, run: Make) -> None:
    whole = (run("one") / METRICS).read_text()
    (run("two") / METRICS).write_text(whole[:-30])
    rows = table(nncli("compare", "one", "two").out, "   epochs")
    assert (rows["A"][0], rows["B"][0]) == ("5/5", "4/5")


def test_keys_of_a_newer_version_are_passed_over(nncli: Run, run: Make) -> None:
    run("one")

    def add(record: dict[str, Any]) -> None:
        record["weather"] = record["layers"][0]["mood"] = "fine"

    rewrite(run("two"), add)
    done = nncli("compare", "one", "two")
    assert done.status == 0
    assert "weather" not in done.out


def line_3(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        def only_third(record: dict[str, Any]) -> None:
            if record["epoch"] == 3:
                change(record)

        rewrite(run, only_third)

    return damage


DAMAGE: dict[str, Callable[[Path], object]] = {
    "two/metrics.jsonl:3: damaged: expected the record of epoch 3: it holds no eta, train_cost": (
        line_3(lambda r: (r.pop("eta"), r.pop("train_cost")))
    ),
    'two/metrics.jsonl:3: damaged: expected the record of epoch 3: its train_cost is "low"': (
        line_3(lambda r: r.update(train_cost="low"))
    ),
    "two/metrics.jsonl:3: damaged: expected the record of epoch 3: its layers is 7": (
        line_3(lambda r: r.update(layers=7))
    ),
    "two/metrics.jsonl:3: damaged: expected the record of epoch 3: it is no JSON object": (
        line_3(lambda r: r.update(layers=[1]))
    ),
    "two/metrics.jsonl:1: damaged: expected the record of epoch 1: it is that of epoch 2": (
        lambda run: rewrite(run, lambda r: r.update(epoch=r["epoch"] + 1))
    ),
    "two/metrics.jsonl: there is no such file; a run folder holds one": (
        lambda run: (run / METRICS).unlink()
    ),
    "two: is no run folder: it holds no spec.yaml": lambda run: (run / "spec.yaml").unlink(),
    "two/spec.yaml: the file is empty; a spec needs data, network and train": (
        lambda run: (run / "spec.yaml").write_text("")
    ),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_damage_is_told_with_its_place(nncli: Run, run: Make, message: str) -> None:
    run("one")
    DAMAGE[message](run("two"))
    done = nncli("compare", "one", "two")
    assert (done.status, done.out) == (2, "")
    place, _, what = message.partition(": ")
    assert re.match(rf"nncli: {re.escape(place)}(:1:1)?: ", done.err)
    assert what in done.err


def test_a_line_that_is_no_json_is_told(nncli: Run, run: Make) -> None:
    lines = (run("one") / METRICS).read_text().splitlines(keepends=True)
    (run("two") / METRICS).write_text(lines[0] + "\x1b[31m{\n" + lines[2])
    done = nncli("compare", "one", "two")
    assert done.status == 2
    assert done.err.startswith("nncli: two/metrics.jsonl:2: damaged: expected the record of epoch")
    assert "\x1b" not in done.err


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (["one"], "a comparison takes two run folders or more"),
        (["one", "no"], "no: there is no such folder; a run folder is needed"),
        (["one", "one/spec.yaml"], "one/spec.yaml: is no folder; a run folder is needed"),
    ],
)
def test_what_is_no_run_is_status_2(nncli: Run, run: Make, runs: list[str], message: str) -> None:
    run("one")
    done = nncli("compare", *runs)
    assert (done.status, done.out, done.err) == (2, "", f"nncli: {message}\n")


def test_names_cannot_act_on_the_terminal(nncli: Run, run: Make) -> None:
    run("one"), run("a\x1b[31m[bold]")
    out = nncli("compare", "one", "a\x1b[31m[bold]").out
    assert "B  a\\x1b[31m[bold]\n" in out


def test_a_run_that_diverged_says_so(nncli: Run, run: Make, tmp_path: Path) -> None:
    run("one")
    with pytest.raises(api.NncliError, match="diverged"):
        run("two", "iris", "train.eta=1e9")
    rows = table(nncli("compare", "one", "two").out, "   epochs")
    assert rows["B"][:3] == ["0/5", "–", "diverged"]
    assert "diverged" not in rows["A"]
    record = json.loads(nncli("compare", "one", "two", "--format", "json").out)
    assert [each["diverged"] for each in record["runs"]] == [False, True]


def test_the_best_epoch_is_the_first_of_equals() -> None:
    def epoch(number: int, cost: float, accuracy: float | None) -> Epoch:
        layers = (LayerMeasures("dense1"),)
        return Epoch(number, 0.1, cost, None, None, cost, accuracy, 0.5, 10, layers)

    history = (epoch(1, 3, 0.5), epoch(2, 1, 0.9), epoch(3, 1, 0.9), epoch(4, 2, None))
    run = ComparedRun(Path("x"), api.load_spec(CONFIGS / "xor.yaml"), history)
    assert run.lowest_cost is not None
    assert run.highest_accuracy is not None
    assert run.lowest_cost.epoch == 2
    assert run.highest_accuracy.epoch == 2
    assert run.seconds == 2.0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lines: lines, ""),
        (
            lambda lines: [
                *lines[:2],
                lines[2].replace('"validation_cost": 0.', '"validation_cost": 0.0'),
                *lines[3:],
            ],
            ":3: this line is not as the training wrote it: the checksum is another",
        ),
        (lambda lines: lines[:-1], ":5: the record of epoch 5 is missing"),
    ],
    ids=["untouched", "a better cost", "a line less"],
)
def test_metrics_that_the_training_did_not_write_are_told(
    nncli: Run, run: Make, change: Callable[[list[str]], list[str]], told: str
) -> None:
    metrics = (run("one"), run("two"))[1] / METRICS
    metrics.write_text("".join(change(metrics.read_text().splitlines(keepends=True))))
    message = f"nncli: two/metrics.jsonl{told}; it is compared as it is\n" if told else ""
    for form in ((), ("--format", "json")):
        done = nncli("compare", "one", "two", *form)
        assert (done.status, done.err) == (0, message)


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        (("0.2", "0.3"), "held back"),
        (("null", "null"), "trained on"),
        (("0.2", "null"), "held back, or trained on where none are"),
    ],
)
def test_the_page_says_which_data_the_costs_are_on(
    nncli: Run, run: Make, tmp_path: Path, shares: tuple[str, str], words: str
) -> None:
    for name, share in zip("ab", shares, strict=True):
        run(name, "iris", f"data.validation={share}")
    assert nncli("compare", "a", "b", "-o", "ab.html").status == 0
    page = (tmp_path / "ab.html").read_text(encoding="utf-8")
    assert f"cost on the data {words}<" in page
