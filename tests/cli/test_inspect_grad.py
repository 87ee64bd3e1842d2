"""nncli inspect-grad, as it is called from a shell."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncli as api
from nncli.nn.layers import DenseStep
from nncli.render.formats import suffixes
from nncli.render.text import Extent
from nncli.training.run_files import PREVIOUS
from tests.conftest import CONFIGS, Run, mostly_slow, present

TWO, SEED, MLP, CONV = (
    CONFIGS / f"{name}.yaml" for name in ("two-two-two", "seed-3-4-2", "digits-mlp", "digits-conv")
)
IRIS, XOR = CONFIGS / "iris.yaml", CONFIGS / "xor.yaml"


@pytest.fixture
def page(nncli: Run) -> Any:
    """A page that comes out, with nothing on standard error."""

    def run(*arguments: Any, **environment: Any) -> str:
        done = nncli("inspect-grad", *arguments, **environment)
        assert done.err == ""
        assert done.status == 0
        return done.out

    return run


@pytest.fixture
def record(page: Any) -> Any:
    """The record of a step, as JSON."""
    return lambda *arguments: json.loads(
        page(*arguments, "--format", "json"), parse_constant=pytest.fail
    )


@pytest.fixture
def refused(nncli: Run) -> Any:
    """The message for what is wrong: exit status 2, and nothing on standard output."""

    def run(*arguments: Any) -> str:
        done = nncli("inspect-grad", *arguments)
        assert done.out == ""
        assert done.status == 2
        return done.err

    return run


# --- The page ------------------------------------------------------------------------------------


def test_the_page(page: Any) -> None:
    text = page(TWO)
    parts = re.findall(r"^[A-Z][A-Z ():,-]+$", text, re.MULTILINE)
    assert parts == [
        "FORWARD",
        "BACKWARD (HADAMARD VIEW)",
        "UPDATE",
        "WHICH PRODUCT IS USED WHERE",
        "WHAT THE NUMBERS MEAN",
    ]
    for published in (
        *("0.2983711088", "0.2804714468", "0.1384985616", "-0.03809823652", "0.08216704056"),
        *("0.751365", "0.772928", "0.358916", "0.511301", "0.408666", "0.561370"),
        *("0.149781", "0.249751", "0.199561", "0.299502"),
    ):
        assert published in text
    assert "PASSED: the largest relative error is " in text
    assert "linear: the cost is all but straight along this step" in text


@pytest.mark.parametrize("spec", [TWO, SEED, XOR, IRIS, MLP], ids=lambda path: path.stem)
def test_a_page_of_dense_layers_is_as_wide_as_the_terminal(page: Any, spec: Any) -> None:
    for arguments in ((), ("--batch", "--check", "10")):
        text = page(spec, *arguments, COLUMNS="80")
        assert max(map(len, text.splitlines())) <= 80
        assert "PASSED" in text


@pytest.mark.parametrize("view", ["matrix", "hadamard", "kronecker", "index"])
def test_views(page: Any, view: str) -> None:
    assert f"BACKWARD ({view.upper()} VIEW)" in page(SEED, "--view", view)


@pytest.mark.parametrize("view", mostly_slow(["hadamard", "matrix", "kronecker", "index"], 4))
def test_where_there_is_no_greek_symbols_are_spelled_out(nncli_process: Run, view: str) -> None:
    arguments = ("inspect-grad", XOR, "--samples", "0,1", "--view", view, "--check", "5")
    done = nncli_process(*arguments, PYTHONIOENCODING="ascii", COLUMNS="80")
    assert (done.status, done.err) == (0, "")
    assert done.out.isascii()
    assert "?" not in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    for words in ("dC/dW", "delta = a - y", "a (x) delta", "DeltaW = -eta v new", "(2x2 . 2x4"):
        assert words in done.out
    rule = done.out.splitlines().index("-" * 53) if view == "hadamard" else None
    if rule is not None:  # the columns of a table end together
        table = done.out.splitlines()[rule - 1 : rule + 9]
        assert {len(line) for line in table} == {53}
        assert table[0].endswith("(.) sigma'(z)      = delta")


# --- Which step ----------------------------------------------------------------------------------


def test_the_schema_of_the_record(record: Any) -> None:
    made = record(CONV, "--samples", "0,3,7", "--check", "5")
    assert made["schema"] == "nncli.trace/1"
    assert made["name"] == "digits-conv"
    assert (made["batch_size"], made["samples"]) == (3, [0, 3, 7])
    assert made["cost"].keys() >= {"name", "before", "after"}
    assert made["check"].keys() >= {"method", "max_relative_error", "passed"}
    assert np.shape(made["inputs"]) == (3, 1, 8, 8)
    assert np.shape(made["targets"]) == (3, 10)
    names = ["conv1", "avgpool1", "flatten1", "dense1", "dense2"]
    assert [layer["name"] for layer in made["layers"]] == names
    conv, pool, flat, dense, last = made["layers"]
    shapes: dict[str, Any] = {
        "input": (3, 1, 8, 8),
        "z": (3, 8, 8, 8),
        "a": (3, 8, 8, 8),
        "delta": (3, 8, 8, 8),
    }
    shapes |= {"upstream": (3, 8, 8, 8), "sigma_prime": (3, 8, 8, 8), "downstream": (3, 1, 8, 8)}
    for part in ("", "_gradient", "_update", "_new"):
        shapes |= {f"weight{part}": (8, 1, 3, 3), f"bias{part}": (8,)}
    for key, shape in shapes.items():
        assert np.shape(conv[key]) == shape, key
    assert np.shape(pool["a"]) == (3, 8, 4, 4)
    assert np.shape(flat["a"]) == (3, 128)
    assert np.shape(dense["weight"]) == (128, 30)  # inputs x units
    assert np.shape(last["delta"]) == (3, 10)
    for layer in (pool, flat):
        assert layer["activation"] is None
        for key in ("z", "sigma_prime", "delta", "weight", "weight_gradient", "bias_new"):
            assert layer[key] is None
        assert layer["upstream"] is not None is not layer["downstream"]


def test_terms_that_do_not_exist_are_null(record: Any) -> None:
    layers = record(SEED)["layers"]
    assert all(layer[f"bias{part}"] is None for layer in layers for part in ("", "_gradient"))
    assert record(IRIS)["layers"][-1]["sigma_prime"] is None


def test_sample_0_is_the_default_and_batch_is_what_training_draws(record: Any) -> None:
    assert record(IRIS, "--check", "off")["samples"] == [0]
    batch = record(IRIS, "--batch", "--check", "off")
    trace = api.trace_step(IRIS, samples=None)
    assert batch["samples"] == list(trace.samples)
    assert batch["batch_size"] == 10
    assert batch["cost"]["before"] == trace.cost_before


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_a_later_step_follows_on_the_real_ones(record: Any, tmp_path: Path, steps: int) -> None:
    """An epoch of XOR is one mini-batch, so the K-th step is the K-th epoch."""
    text = XOR.read_text().replace("../data", str(CONFIGS.parent / "data"))
    spec = tmp_path / "xor.yaml"
    spec.write_text(text)
    made = record(spec, "--step", steps, "--batch", "--check", "off")
    before = api.train(api.load_spec(spec, [f"train.epochs={steps - 1}"])) if steps > 1 else None
    after = api.train(api.load_spec(spec, [f"train.epochs={steps}"]))
    for name, place in (("weight", before), ("weight_new", after)):
        if place is None:
            continue
        views = place.network.views(place.network.parameters)
        for layer in made["layers"]:
            assert np.array_equal(np.float32(layer[name]), views[layer["name"]]["weight"])
    velocity = np.array(made["layers"][0]["weight_velocity"])
    assert (np.abs(velocity).max() > 0) == (steps > 1)


@pytest.mark.parametrize("step", ["7", "99999999999", "9" * 30])
def test_a_step_after_the_end_is_none(nncli: Run, step: str) -> None:
    """Of six steps; to look for the seventh without end would say nothing for years."""
    six = ("--set", "train.epochs=2", "--set", "train.batch_size=50")
    done = nncli("inspect-grad", IRIS, *six, "--step", step, "--check", "off")
    assert (done.status, done.out) == (2, "")
    assert (
        f"there is no step {int(step):,}: the training has 6 steps (2 epochs of 3 steps)"
        in done.err
    )
    assert nncli("inspect-grad", IRIS, *six, "--step", "6", "--check", "off").status == 0


def test_steps_of_a_run_are_those_that_are_left(nncli: Run, tmp_path: Path) -> None:
    train = ("train", IRIS, "--epochs", "1", "--set", "train.batch_size=50", "--out", "run")
    assert nncli(*train).status == 0
    assert nncli("inspect-grad", "run", "--check", "off").status == 0  # the one that would come
    done = nncli("inspect-grad", "run", "--step", "2", "--check", "off")
    assert done.status == 2
    assert "there is no step 2: the training is done, and 1 is the step that would come" in done.err
    assert "the spec.yaml in it, in place of the run, has step 2 of the training" in done.err
    assert nncli("inspect-grad", "run/spec.yaml", "--step", "2", "--check", "off").status == 0
    more = ("inspect-grad", "run", "--set", "train.epochs=2", "--check", "off", "--step")
    assert nncli(*more, "3").status == 0
    done = nncli(*more, "4")
    assert "there is no step 4: the training has 3 steps left (2 epochs of 3 steps)" in done.err


def test_the_steps_before_are_counted() -> None:
    told: list[tuple[int, int]] = []
    api.trace_step(MLP, step=100, progress=lambda done, total: told.append((done, total)))
    assert told == [(32, 100), (64, 100), (96, 100)]


def test_a_later_step_takes_its_own_mini_batch_unless_samples_are_named(record: Any) -> None:
    own = record(IRIS, "--step", 3, "--check", "off")
    assert own["samples"] == list(api.trace_step(IRIS, samples=None, step=3).samples)
    named = record(IRIS, "--step", 3, "--samples", 5, "--check", "off")
    assert named["samples"] == [5]
    assert named["layers"][0]["weight"] == own["layers"][0]["weight"]


def test_set(record: Any) -> None:
    made = record(TWO, "--set", "train.eta=0.1", "--set", "dtype=float32")
    assert (made["eta"], made["dtype"]) == (0.1, "float32")


# --- Looking closer ------------------------------------------------------------------------------


def test_one_layer(page: Any) -> None:
    text = page(CONV, "--layer", "dense2", "--check", "off")
    assert "dense2: z = a W + b" in text
    assert "conv1: z" not in text


def test_tap_and_cell(page: Any, record: Any) -> None:
    text = page(CONV, "--layer", "conv1", "--tap", "2,0,1,1", "--cell", "0,3,4", "--check", "off")
    conv = record(CONV, "--check", "off")["layers"][0]
    tap = re.search(r"Together ∂C/∂W\[2,0,1,1\] = (\S+?)\.?[ \n]", text)
    assert float(present(tap)[1]) == pytest.approx(conv["weight_gradient"][2][0][1][1], rel=1e-9)
    cell = re.search(r"sample 0: together ∂C/∂input\[0,3,4\] = (\S+?)\.?[ \n]", text)
    assert float(present(cell)[1]) == pytest.approx(conv["downstream"][0][0][3][4], rel=1e-9)


FLOAT32 = ("--set", "dtype=float32")
ADAM = (
    "--set", "train.optimizer.type=adam", "--set", "network[1].weights=[[1e3, 0], [0, 1]]",
    "--set", "network[1].activation=identity",
)  # fmt: skip
OVERFLOWS = {
    "eta": ((*FLOAT32, "--set", "train.eta=1e300"), "dense1: ΔW"),
    "eta of float32": ((*FLOAT32, "--set", "train.eta=1e39"), "dense1: ΔW"),
    "momentum": (
        (*FLOAT32, "--set", "train.eta=1e300", "--set", "train.momentum=0.9"),
        "dense1: ΔW",
    ),
    "weight decay": (
        ("--set", "train.eta=1e300", "--set", "train.weight_decay=1e300"),
        "dense1: ΔW",
    ),
    "decayed gradient": (
        (*FLOAT32, "--set", "train.weight_decay=1e300"),
        "dense1: g of W",
    ),
    "Adam": (
        (*FLOAT32, *ADAM, "--set", "data.train.targets=[[-1e19, 1]]"),
        "dense1: v new of W",
    ),
    "cost after the step": (
        ("--set", "network[1].activation=identity", "--set", "train.eta=1e250"),
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OVERFLOWS)
@pytest.mark.parametrize("kind", ["table", "json"])
def test_a_step_that_overflows_says_so_and_fails(case: str, kind: str, nncli: Run) -> None:
    settings, place = OVERFLOWS[case]
    done = nncli("inspect-grad", TWO, *settings, "--check", "4", "--format", kind)
    assert done.status == 1
    assert re.fullmatch(r"nncli: .*(overflows in|is not finite).*\n", done.err)
    assert place is None or f"overflows in {place} is not finite" in done.err
    assert "nan units" not in done.out
    if kind == "table":
        ends = "float32, which ends at 3.4028e38" if FLOAT32[1] in settings else "float64, which"
        assert done.out.replace("\n", " ").count(ends) == 2


def test_a_large_step_that_does_not_overflow(page: Any) -> None:
    for settings in (("train.eta=1e308",), ("train.eta=1e38", "dtype=float32")):
        text = page(TWO, *(part for s in settings for part in ("--set", s)), "--check", "4")
        assert not re.search(r"\binf\b|\bnan\b|overflow", text)


def test_rows_and_columns(page: Any) -> None:
    text = page(MLP, "--layer", "dense2", "--rows", "0:2", "--columns", "4", "--check", "off")
    update = text[text.index("\nUPDATE") : text.index("\nWHICH")]
    rows = re.findall(r"^[ +=]*\[[^\]]*\]", update, re.MULTILINE)
    assert rows
    assert all(len(row.split("[")[1].split()) == 1 for row in rows)
    assert "W  30×10" in update


def test_everything(page: Any) -> None:
    text = page(MLP, "--layer", "dense2", "--full", "--check", "off")
    assert "…" not in text[text.index("\nUPDATE") : text.index("\nWHICH")]
    assert "…" in page(MLP, "--layer", "dense2", "--check", "off")


def test_an_open_range_costs_nothing() -> None:
    rows = Extent(rows=range(2, 10**18)).row_indices(4)  # one by one it would take for ever
    assert rows == [2, 3]


@pytest.mark.parametrize("digits", [1, 3, 12])
def test_digits(page: Any, digits: int) -> None:
    text = page(TWO, "--digits", digits)
    shown = re.search(r"sigmoid\(z\)  1×2\n.*→ \[(\S+) (\S+)\]", text)
    assert [len(x.split(".")[1]) for x in present(shown).groups()] == [digits, digits]


def test_why(page: Any, record: Any) -> None:
    arguments = (IRIS, "--batch", "--why", "dense1[3,7]", "--check", "off")
    why = record(*arguments)["why"]
    pushes = [c["push"] for c in why["contributions"]]
    assert len(pushes) == 10
    assert sum(pushes) == pytest.approx(why["total"])
    gradient = record(*arguments)["layers"][0]["weight_gradient"][3][7]
    assert why["total"] == pytest.approx(-0.1 * gradient, rel=1e-4)
    text = page(*arguments)
    assert "WHO PUSHED DENSE1[3,7]" in text
    assert text.count("\nsample ") + text.count("\n  sample ") >= 10
    assert "conv1[0,0,1,2]" in page(CONV, "--why", "conv1[0, 0, 1, 2]", "--check", "off").lower()


# --- The proof -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("option", "most"), [("all", 10**12), ("7", 7), ("1", 1)])
def test_check(record: Any, option: str, most: int) -> None:
    check = record(XOR, "--batch", "--check", option)["check"]
    assert check["passed"] is True
    for tensor in check["gradients"]:
        assert tensor["checked"] <= most
        if option == "all":
            assert tensor["checked"] == tensor["entries"]


def test_check_off(page: Any, record: Any) -> None:
    assert "not checked (--check off)" in page(TWO, "--check", "off")
    assert record(TWO, "--check", "off")["check"] is None


def test_h_sweep(page: Any) -> None:
    text = page(TWO, "--h-sweep")
    bars = re.findall(r"^(1\.0\S*|0\.\d+|\d\.\d+e-\d+) +\S+ +(#*)$", text, re.MULTILINE)
    lengths = [len(bar) for _, bar in bars]
    assert len(lengths) == 31
    best = lengths.index(max(lengths))
    assert 5 < best < 20
    assert lengths[0] < max(lengths) > lengths[-1]
    assert "THE STEP SIZE OF CENTRAL DIFFERENCES" in text


def in_process(monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> int:
    from nncli.cli.app import run

    monkeypatch.setattr(sys, "argv", ["nncli", "inspect-grad", *map(str, arguments)])
    return run()


@pytest.mark.parametrize("format", ["table", "json", "markdown", "latex"])
def test_a_failed_check_ends_with_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], format: str
) -> None:
    original = DenseStep.backward

    def wrong(self: Any) -> Iterator[Any]:
        yield from original(self)
        yield lambda: np.multiply(self.gradients["bias"], 2, self.gradients["bias"])

    assert in_process(monkeypatch, TWO, "--format", format) == 0
    capsys.readouterr()
    monkeypatch.setattr(DenseStep, "backward", wrong)
    assert in_process(monkeypatch, TWO, "--format", format) == 1
    done = capsys.readouterr()
    assert done.err == "nncli: a gradient differs from its derivative; see the proof\n"
    if format == "json":
        assert json.loads(done.out)["check"]["passed"] is False
    else:
        assert "FAILED: the first to be wrong is dense" in done.out
    assert in_process(monkeypatch, TWO, "--check", "off") == 0


# --- Formats -------------------------------------------------------------------------------------


def test_json_is_json_alone(nncli: Run) -> None:
    done = nncli("inspect-grad", TWO, "--format", "json", COLUMNS="20")
    assert json.loads(done.out)
    assert done.out.count("\n") == 1
    assert done.err == ""


def test_markdown_and_latex(page: Any) -> None:
    assert page(TWO, "--format", "markdown").startswith("# two-two-two: one step, taken apart\n")
    text = page(TWO, "--format", "latex")
    assert text.startswith("\\documentclass")
    assert text.endswith("\\end{document}\n")


STARTS = {  # of a file in each format
    ".json": b'{"schema"',
    ".md": b"# two",
    ".tex": b"\\doc",
    ".npz": b"PK",
    ".svg": b"<svg",
    ".html": b"<!DOCTYPE",
    ".txt": b"two-two-two",
}


@pytest.mark.parametrize("suffix", suffixes())
def test_output(page: Any, tmp_path: Path, suffix: Any) -> None:
    assert page(TWO, "--check", "5", "--output", f"made{suffix}") == ""
    content = (tmp_path / f"made{suffix}").read_bytes()
    assert content.startswith(STARTS[suffix])
    if suffix == ".npz":
        with np.load(tmp_path / "made.npz", allow_pickle=False) as arrays:
            assert arrays["dense1.weight"].tolist() == [[0.15, 0.25], [0.2, 0.3]]


def test_a_format_may_be_said_beside_a_file(page: Any, tmp_path: Path) -> None:
    page(TWO, "--format", "json", "--output", "made.txt")
    assert json.loads((tmp_path / "made.txt").read_text())["name"] == "two-two-two"


def test_npz_in_a_pipe(nncli_process: Run) -> None:
    done = nncli_process("inspect-grad", TWO, "--format", "npz", PYTHONIOENCODING="latin-1")
    assert done.out.startswith("PK")


# --- Runs ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, api.Training]:
    folder = tmp_path_factory.mktemp("runs") / "iris"
    spec = api.load_spec(IRIS, ["train.epochs=2", "train.momentum=0.5"])
    return folder, api.train(spec, out=folder)


@pytest.fixture
def run_folder(trained: Any, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(trained[0], tmp_path / "run"))
    (folder / PREVIOUS).unlink()  # it would stand in for a damaged one
    return folder


def test_a_run_has_its_trained_weights(record: Any, trained: Any, run_folder: Any) -> None:
    before = {path.name: path.read_bytes() for path in run_folder.iterdir()}
    made = record(run_folder, "--batch")
    network = trained[1].network
    views = network.views(network.parameters)
    for layer in made["layers"]:
        assert np.array_equal(np.float32(layer["weight"]), views[layer["name"]]["weight"])
        assert np.abs(layer["weight_velocity"]).max() > 0
    assert made["check"]["passed"]
    after = {path.name: path.read_bytes() for path in run_folder.iterdir()}
    assert after == before  # nothing is written there


def test_a_damaged_checkpoint(refused: Any, run_folder: Any) -> None:
    (checkpoint,) = run_folder.glob("*.safetensors")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-8])
    assert checkpoint.name in refused(run_folder)


def test_a_checkpoint_of_a_newer_format(refused: Any, run_folder: Any) -> None:
    (checkpoint,) = run_folder.glob("*.safetensors")
    content = checkpoint.read_bytes()
    newer = re.sub(rb"(nncli\.\w+/)1", rb"\g<1>9", content)
    assert newer != content
    checkpoint.write_bytes(newer)
    assert "9" in refused(run_folder)


def test_no_run(refused: Any, run_folder: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "is no run folder: it holds no spec.yaml" in refused("empty")
    (checkpoint,) = run_folder.glob("*.safetensors")
    checkpoint.unlink()
    assert checkpoint.name in refused(run_folder)
    assert "nowhere.yaml" in refused("nowhere.yaml")


# --- What is wrong -------------------------------------------------------------------------------

LISTED = "there is no layer 'dense9'; the network has dense1, dense2"
WRONG = [
    ((TWO, "--layer", "dense9"), LISTED),
    ((TWO, "--why", "dense9[0,0]"), LISTED),
    ((TWO, "--samples", "1"), "there is no sample 1 in the training data: it has 1, 0 to 0"),
    ((TWO, "--samples", "-1"), "there is no sample -1 in the training data: it has 1, 0 to 0"),
    ((TWO, "--samples", "a"), "--samples a: expected whole numbers such as 0,3,7"),
    ((TWO, "--rows", "3:3"), "--rows 3:3: expected a range such as 0:8, or one index"),
    ((TWO, "--columns", "x"), "--columns x: expected a range such as 0:8, or one index"),
    ((TWO, "--check", "0"), "--check 0: expected all, off, or how many entries, from 1"),
    (
        (TWO, "--why", "dense1"),
        "--why dense1: expected a weight such as dense1[3,7] or conv1[0,0,1,2]",
    ),
    (
        (TWO, "--why", "dense1[2,0]"),
        "dense1 has no weight [2,0]: its weights are 2 x 2, counted from 0",
    ),
    ((CONV, "--why", "avgpool1[0]"), "avgpool1 has no weights"),
    (
        (CONV, "--layer", "conv1", "--tap", "8,0,0,0"),
        "there is no tap of conv1 at 8,0,0,0: filter, channel, row, column count from 0 within "
        "8 x 1 x 3 x 3",
    ),
    (
        (CONV, "--layer", "conv1", "--cell", "0,8,0"),
        "there is no cell of conv1's input at 0,8,0: channel, row, column count from 0 within "
        "1 x 8 x 8",
    ),
    (
        (TWO, "--output", "page.pdf"),
        f"the suffix '.pdf' is not known; known are {', '.join(suffixes())}",
    ),
    ((TWO, "--set", "train.etta=1"), "etta"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_what_is_wrong_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: Any,
    message: Any,
) -> None:
    assert in_process(monkeypatch, *arguments) == 2
    done = capsys.readouterr()
    assert done.out == ""
    assert message in done.err


def test_what_is_wrong_is_said_in_a_shell(refused: Any) -> None:
    assert refused(TWO, "--layer", "dense9") == f"nncli: {LISTED}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--batch", "--samples", "0"),
        ("--tap", "0,0,0,0"),
        ("--cell", "0,0,0"),
        ("--view", "tensor"),
        ("--format", "pdf"),
        ("--step", "0"),
        ("--digits", "0"),
    ],
)
def test_options_that_do_not_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert in_process(monkeypatch, TWO, *arguments) == 2
    done = capsys.readouterr()
    assert done.out == ""
    assert arguments[0] in done.err


@pytest.mark.parametrize("option", ["--tap", "--cell"])
def test_only_a_conv_layer_has_taps_and_cells(refused: Any, option: str) -> None:
    index = {"--tap": "0,0,0,0", "--cell": "0,0,0"}[option]
    message = refused(CONV, "--layer", "dense1", option, index)
    assert "dense1 is not a conv layer: it has no taps and no cells" in message


def test_a_step_that_has_diverged(nncli: Run) -> None:
    identity = ("--set", "network[1].activation=identity")
    done = nncli("inspect-grad", MLP, *identity, "--set", "train.eta=1e10", "--step", "30")
    assert done.status == 1
    assert "it has no gradient to show" in done.err
