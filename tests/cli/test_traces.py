"""Steps that are saved, taken again and compared: to the bit."""

import json
import os
import re
import shutil
import signal
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

import nncli as package
from nncli.app import kept_traces
from nncli.app.opening import open_spec_or_run
from nncli.app.trace_files import diff, read_trace, replay, save_trace, take_again
from nncli.core import files, safetensors_format
from nncli.core.errors import NncliError, RunError
from nncli.inspection.differences import compare_traces, quantities
from nncli.spec import load_spec
from nncli.training.trace_file import checksum, read_stored
from nncli.training.trace_times import Traced, trace_times
from tests.conftest import CONFIGS, Run
from tests.soak import flips

IRIS, TWO = CONFIGS / "iris.yaml", CONFIGS / "two-two-two.yaml"


def saved(source: Path, path: Path, *overrides: str, step: int = 1) -> Any:
    """The trace of a mini-batch of a spec, in a file."""
    opened = open_spec_or_run(source, overrides)
    trace = package.trace_step(opened, samples=None, step=step)
    save_trace(trace, opened, path, step=step)
    return trace


SPECS = [
    (TWO, ()),
    (IRIS, ("train.optimizer=adam", "train.weight_decay=0.01")),
    (IRIS, ("train.clip={norm: 0.1}", "train.weight_decay=0.1", "train.decay_biases=false")),
    (IRIS, ("train.momentum=0.9", "train.nesterov=true", "dtype=float64")),
    (CONFIGS / "digits-batchnorm.yaml", ()),
    (CONFIGS / "digits-conv.yaml", ("train.threads=2", "train.batch_size=40")),
    (
        CONFIGS / "digits-mlp.yaml",
        ("network=[{type: dense, units: 9}, {type: dropout}, {type: dense, units: 10}]",),
    ),
]


@pytest.mark.parametrize(
    ("source", "overrides"),
    SPECS,
    ids=["two", "adam", "clip", "nesterov", "batchnorm", "threads", "drop"],
)
def test_a_step_comes_back_and_is_computed_again_to_the_bit(
    source: Path, overrides: Any, tmp_path: Path
) -> None:
    trace = saved(source, tmp_path / "a.trace", *overrides, step=2 if source != TWO else 1)
    read = read_trace(tmp_path / "a.trace")
    same = compare_traces(trace, read.trace)
    assert same.equal
    assert same._repr_mimebundle_()["text/plain"].startswith("A and B: equal to the bit")
    for field in ("name", "eta", "samples", "cost", "cost_before", "cost_after", "links"):
        assert getattr(read.trace, field) == getattr(trace, field)
    assert replay(tmp_path / "a.trace").difference.equal
    assert take_again(read).cost_after == trace.cost_after


def test_nothing_of_the_machine_is_in_a_file(tmp_path: Path) -> None:
    saved(IRIS, tmp_path / "a.trace")
    content = (tmp_path / "a.trace").read_bytes()
    assert str(CONFIGS.parent).encode() not in content
    assert b"iris.csv" in content


def test_inspect_grad_saves_and_takes_a_trace(nncli: Run, tmp_path: Path) -> None:
    chosen = ("--samples", "3,5", "--check", "5")
    done = nncli("inspect-grad", IRIS, *chosen, "--save", "a.trace")
    assert (done.status, done.err) == (0, "")
    again = nncli("inspect-grad", "a.trace", "--check", "5")
    assert again.out == done.out
    assert nncli("explain", "a.trace").status == 0
    for words, message in (
        (("inspect-grad", "a.trace", "--samples", "1"), "is a step that was taken"),
        (("explain", "a.trace", "--set", "train.eta=1"), "is a step that was taken"),
        (("inspect-grad", "a.trace", "--save", "b.trace"), "is a trace already"),
        (("inspect-grad", IRIS, "--save", "b.npz"), "a trace is called FILE.trace"),
        (("inspect-grad", IRIS, "--save", "a.trace"), "--save FILE.trace writes elsewhere"),
    ):
        refused = nncli(*words)
        assert refused.status == 2
        assert message in refused.err
    assert nncli("inspect-grad", IRIS, "--save", "a.trace", "--overwrite").status == 0


def test_replay_and_diff_in_words(nncli: Run, tmp_path: Path) -> None:
    saved(IRIS, tmp_path / "a.trace")
    done = nncli("replay", "a.trace")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("iris, step 1: equal to the bit\n")
    done = nncli("diff", "a.trace", "a.trace", "--format", "json")
    record = json.loads(done.out)
    assert (done.status, record["equal"], record["first"]) == (0, True, None)
    assert all(one["equal"] for one in record["all"])
    saved(IRIS, tmp_path / "b.trace", "train.eta=0.2")
    done = nncli("diff", "a.trace", "b.trace")
    assert done.status == 1
    assert "b.trace: eta is the first that differs" in done.out
    assert "eta at step 1 is 0.10000000000000001 in a.trace and 0.2" in done.out
    assert "A tolerance of 0.500 of each quantity's largest entry would pass." in done.out


def test_a_trace_beside_arrays_of_ones_own(nncli: Run, tmp_path: Path) -> None:
    trace = saved(IRIS, tmp_path / "a.trace")
    gradient = trace.layers[0].weight_gradient
    np.savez(tmp_path / "mine.npz", dW1=gradient.T, b1=trace.layers[0].bias)
    assert nncli("diff", "a.trace", "mine.npz").status == 0
    changed = gradient.copy()
    changed[2, 1] = np.nextafter(changed[2, 1], np.float32(9))
    np.savez(tmp_path / "mine.npz", dW1=changed)
    record = json.loads(nncli("diff", "a.trace", "mine.npz", "--format", "json").out)
    first = record["first"]
    assert (first["layer"], first["quantity"]) == ("dense1", "weight_gradient")
    assert (first["index"], first["ulps"], first["inputs_equal"]) == ([2, 1], 1, True)
    assert nncli("check", "a.trace", "mine.npz").status == 0  # one ulp is rounding
    assert nncli("diff", "mine.npz", "a.trace").status == 2
    assert nncli("check", "a.trace", "a.trace").status == 0


def test_a_single_flipped_bit_is_named(tmp_path: Path) -> None:
    assert flips.run(4, tmp_path).lost == []


def test_a_step_that_was_changed_is_not_equal_to_its_replay(tmp_path: Path) -> None:
    saved(IRIS, tmp_path / "a.trace", "train.momentum=0.9", step=2)
    name, index = flips.flip(tmp_path / "a.trace", Random(4))
    found = replay(tmp_path / "a.trace").difference
    assert not found.equal
    assert (name, index) in [(one.name, one.at) for one in found.all if not one.equal] or (
        name in ("inputs", "targets", "dense1.weight", "dense2.weight")
    )


def test_what_follows_is_told_from_what_is_wrong_by_itself(tmp_path: Path) -> None:
    trace = saved(TWO, tmp_path / "a.trace")
    other = take_again(read_trace(tmp_path / "a.trace"))
    assert list(quantities(trace)) == list(quantities(other))
    saved(TWO, tmp_path / "b.trace", "network[1].bias=[0.61, 0.6]")
    found = diff(tmp_path / "a.trace", tmp_path / "b.trace")
    by_name = {one.name: one for one in found.all}
    assert found.first is by_name["dense2.bias"]
    assert by_name["dense2.bias"].inputs_equal is None
    assert by_name["dense1.a"].equal
    assert by_name["dense2.z"].inputs_equal is False


def test_train_keeps_steps(nncli: Run, tmp_path: Path) -> None:
    words = ("train", IRIS, "--epochs", "3", "--tables", "none")
    times = ("--trace", "every=10", "--trace", "steps=1,12", "--trace", "last=2")
    assert nncli(*words, "--out", "a", *times).status == 0
    kept = sorted((tmp_path / "a/traces").iterdir())
    assert [int(file.stem[5:]) for file in kept] == [1, 10, 12, 20, 30, 35, 36]
    for file in kept:
        assert replay(file).difference.equal
    # They are those steps, and the training is what it is without.
    for step in (1, 12):
        trace = package.trace_step(IRIS, samples=None, step=step)
        assert compare_traces(trace, read_trace(kept[0 if step == 1 else 2]).trace).equal
    assert nncli(*words, "--out", "b").status == 0
    checkpoints = [
        safetensors_format.read(tmp_path / run / "checkpoint.safetensors")[0] for run in "ab"
    ]
    assert all(np.array_equal(checkpoints[0][k], checkpoints[1][k]) for k in checkpoints[0])
    # A run that replaces it has none of its steps.
    assert nncli(*words, "--out", "a", "--overwrite").status == 0
    assert not (tmp_path / "a/traces").exists()


@pytest.mark.parametrize(
    ("source", "overrides"),
    [
        *SPECS[1:],
        (IRIS, ("data.class_weights={setosa: 0.5, virginica: 4}", "train.micro_batches=3")),
    ],
    ids=["adam", "clip", "nesterov", "batchnorm", "threads", "drop", "weighted"],
)
def test_what_train_keeps_is_what_inspect_grad_saves(
    source: Path, overrides: Any, tmp_path: Path
) -> None:
    """The writing process reads a copy of memory; an epoch's last step has fewer samples."""
    words = (*overrides, "train.epochs=2", "train.batch_size=44")
    prepared = package.prepare(load_spec(source, words))
    each, left = divmod(len(prepared.data.train), 44)
    assert left
    steps = (2, each + 1, each + 2)
    package.train(prepared, out=tmp_path / "run", traces=(f"steps={','.join(map(str, steps))}",))
    for step in steps:
        kept = tmp_path / f"run/traces/step-{step:08}.trace"
        by_itself = tmp_path / f"{step}.trace"
        trace = saved(source, by_itself, *words, step=step)
        found = read_trace(kept)
        assert compare_traces(trace, found.trace).equal
        assert found.trace.cost_after == trace.cost_after
        assert found.facts == read_trace(by_itself).facts
        assert replay(kept).difference.equal


def test_two_runs_are_compared_step_by_step(nncli: Run, tmp_path: Path) -> None:
    words = ("train", IRIS, "--epochs", "2", "--tables", "none", "--trace", "every=5")
    assert nncli(*words, "--out", "a").status == 0
    assert nncli(*words, "--out", "b").status == 0
    assert nncli("diff", "a", "b").status == 0
    # What a run recorded is believed, where its steps are not so when they are taken again.
    name, index = flips.flip(tmp_path / "b/traces/step-00000010.trace", Random(7))
    done = nncli("diff", "a", "b", "--format", "json")
    record = json.loads(done.out)
    assert (done.status, record["first"]["step"], record["first"]["index"]) == (1, 10, list(index))
    assert name == f"{record['first']['layer']}.{record['first']['quantity']}"
    assert "taken again here, both are equal up to there" in done.err


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Runs of the same training, but for what is changed, by the change."""
    folder = tmp_path_factory.mktemp("runs")

    def run(*changes: str, epochs: int = 3) -> Path:
        path = folder / re.sub(r"\W+", "-", f"{epochs}{changes}")
        if not path.exists():
            spec = load_spec(IRIS, (*changes, f"train.epochs={epochs}"))
            package.train(spec, out=path)
        return path

    return run


HALVED = "train.schedule={type: step, step_size: 2, gamma: 0.5}"


@pytest.mark.parametrize(
    ("changes", "step", "name"),
    [
        (("train.eta=0.2",), 1, "eta"),
        (("seed=4",), 1, "inputs"),
        ((HALVED,), 25, "eta"),
        (("train.momentum=0.5",), 2, "dense1.weight_update"),
        (("train.weight_decay=1e-9",), 1, ""),
        (("network[0].activation=relu",), 1, ""),
    ],
    ids=["eta", "seed", "schedule", "momentum", "decay", "activation"],
)
def test_the_first_step_of_two_runs_that_differs(
    apart: Callable[..., Path], changes: tuple[str, ...], step: int, name: str
) -> None:
    a, b = apart(), apart(*changes)
    found = diff(a, b)
    assert found.first is not None
    specs = [load_spec(IRIS, (*some, "train.epochs=3")) for some in ((), changes)]
    for number in range(1, step + 1):  # by the steps themselves, each taken from the start
        left, right = (package.trace_step(s, samples=None, step=number) for s in specs)
        same = compare_traces(left, right)
        if not same.equal:
            break
    assert same.first is not None
    assert (found.step, found.first.name) == (number, same.first.name)
    assert found.first == same.first
    assert found.step == step or not name
    assert found.first.name == name or not name
    assert found.notes[0].startswith("the specs differ: ")


def test_two_runs_that_do_not_differ(apart: Callable[..., Path], tmp_path: Path) -> None:
    a = apart()
    b = shutil.copytree(a, tmp_path / "b")
    found = diff(a, b)
    assert (found.equal, found.step, found.notes) == (True, 36, ())
    assert "dense1.weight" in [one.name for one in found.all]
    found = diff(a, apart(epochs=2))
    assert (found.equal, found.step) == (True, 24)
    assert any("took 36 steps" in note and "24; what both took" in note for note in found.notes)
    # Resumed with another η: the checkpoint of both is where they part.
    c = shutil.copytree(apart(epochs=2), tmp_path / "c")
    d = shutil.copytree(apart(epochs=2), tmp_path / "d")
    for run, eta in ((c, 0.05), (d, 0.02)):
        package.resume(run, overrides=(f"train.eta={eta}", "train.epochs=3"))
        (run / "checkpoint.safetensors.before").write_bytes(
            (apart(epochs=2) / "checkpoint.safetensors").read_bytes()
        )
    found = diff(c, d)
    assert found.first is not None
    assert (found.step, found.first.name) == (25, "eta")
    assert len(found.notes) == 1
    # From the start it is found too, and so is what is not as it was trained.
    (d / "checkpoint.safetensors.before").unlink()
    assert diff(a, d).step == 25
    metrics = (d / "metrics.jsonl").read_text()
    (d / "metrics.jsonl").write_text(metrics.replace('"train_cost": 0.', '"train_cost": 0.9', 1))
    assert any("taken again, epoch 1 comes to a cost of 0." in note for note in diff(a, d).notes)


def test_runs_that_no_step_can_be_compared_of(
    nncli: Run, apart: Callable[..., Path], tmp_path: Path
) -> None:
    done = nncli("diff", apart(), apart("train.batch_size=5"))
    assert done.status == 2
    assert "inputs is 10 x 4 in" in done.err
    assert "the specs differ: train.batch_size is 10 and 5" in done.err
    (tmp_path / "none").mkdir()
    done = nncli("diff", apart(), "none")
    assert (done.status, "none" in done.err) == (2, True)


def test_a_resumed_training_keeps_the_same_steps(nncli: Run, tmp_path: Path) -> None:
    words = ("--tables", "none", "--trace", "every=7")
    assert nncli("train", IRIS, "--epochs", "4", "--out", "a", *words).status == 0
    assert nncli("train", IRIS, "--epochs", "2", "--out", "b", *words).status == 0
    assert nncli("train", "--resume", "b", "--epochs", "4", *words).status == 0
    files = [sorted(f.name for f in (tmp_path / run / "traces").iterdir()) for run in "ab"]
    assert files[0] == files[1]
    assert nncli("diff", "a", "b").status == 0


@pytest.mark.parametrize("word", ["", "every", "every=0", "every=x", "steps=1,,2", "on=fire", "on"])
def test_times_that_are_none(nncli: Run, tmp_path: Path, word: str) -> None:
    done = nncli("train", IRIS, "--trace", word, "--out", "a")
    assert (done.status, done.out) == (2, "")
    assert re.search(
        "takes every=100, steps=1,10,100, last=5 or on=break|on is break or expect", done.err
    )
    assert not (tmp_path / "a").exists()


def test_steps_that_a_training_does_not_come_to_are_told(nncli: Run, tmp_path: Path) -> None:
    words = ("--trace", "steps=1,31,32", "--trace", "every=40", "--tables", "none")
    done = nncli("train", CONFIGS / "xor.yaml", "--epochs", 30, "--out", "a", *words)
    assert done.err.splitlines()[:2] == [
        "nncli: --trace: the training has 30 steps, so it does not come to step 31 or 32",
        "nncli: --trace: the training has 30 steps, so it does not come to any whole multiple of "
        "40",
    ]
    more = nncli("train", "--resume", "a", "--epochs", 35, "--trace", "steps=33,36")
    assert "the training has 35 steps, so it does not come to step 36\n" in more.err
    assert len(list((tmp_path / "a/traces").iterdir())) == 2


def test_where_a_training_breaks_its_step_is_kept(nncli: Run, tmp_path: Path) -> None:
    words = ("train", IRIS, "--epochs", "9", "--tables", "none")
    stop, warn = "break={that: step == 15, do: stop}", "expect={that: step < 9, do: warn}"
    times = ("--trace", "on=break", "--trace", "on=expect", "--trace", "steps=2")
    done = nncli(*words, "--out", "a", "--set", stop, "--set", warn, *times)
    assert done.status == 1
    kept = sorted((tmp_path / "a/traces").iterdir())
    assert [int(file.stem[5:]) for file in kept] == [2, 9, 15]
    assert not (tmp_path / "a/breaks").exists()
    for file, step in zip(kept, (2, 9, 15), strict=True):
        trace = package.trace_step(IRIS, samples=None, step=step)
        assert compare_traces(trace, read_trace(file).trace).equal
    done = nncli(*words, "--out", "b", *times[:2])
    assert (done.status, "--trace on=break: the spec has no break" in done.err) == (2, True)
    assert not (tmp_path / "b").exists()


def test_times() -> None:
    times = trace_times(["every=4", "last=2", "steps=9,1"])
    found, taken = [], 0
    while (step := times.next_after(taken, 11)) is not None:
        found.append(step)
        taken = step
    assert found == [1, 4, 8, 9, 10, 11]
    assert trace_times([]).next_after(0, 9) is None


def test_other_networks_are_not_compared(nncli: Run, tmp_path: Path) -> None:
    saved(IRIS, tmp_path / "a.trace")
    saved(IRIS, tmp_path / "b.trace", "network[0].units=9")
    done = nncli("diff", "a.trace", "b.trace")
    assert done.status == 2
    assert "dense1.weight is 4 x 8 in a.trace and 4 x 9 in b.trace" in done.err


ODD: list[Any] = [None, -1, "x", [], {}, 10**30]


def rewritten(path: Path, **metadata: str) -> None:
    arrays, found = safetensors_format.read(path)
    path.write_bytes(safetensors_format.pack(arrays, {**found, **metadata}))


def test_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    saved(TWO, path)
    whole = path.read_bytes()
    arrays, _ = safetensors_format.read(path)

    def with_same(same: dict[str, Any]) -> None:
        text = json.dumps(same)
        rewritten(path, same=text, checksum=checksum(arrays, text))

    damages: dict[str, Callable[[], object]] = {
        "their checksum differs": lambda: path.write_bytes(whole[:-1] + b"\1"),
        "is a trace of version '4', and 1, 2 and 3 are": lambda: rewritten(
            path, format="nncli.trace-file/4"
        ),
        "is damaged: it holds no 'nothing'": lambda: with_same({"z": ["nothing", [1]]}),
        "is damaged: 'inputs' is there twice": lambda: with_same({"inputs": ["targets", [1, 2]]}),
        "is damaged: 'z' .*has no shape": lambda: with_same({"z": ["inputs", [-1]]}),
        "is damaged: its content is not": lambda: with_same({"z": ["inputs", [7]]}),
        "is no trace, but a safetensors file; nncli inspect-grad SPEC --save": lambda: rewritten(
            path, format="other"
        ),
        "is damaged": lambda: path.write_bytes(whole[: len(whole) // 2]),
        "it is no JSON": lambda: rewritten(path, about="{"),
        "it holds no 'spec'": lambda: rewritten(path, about="{}"),
    }
    for message, change in damages.items():
        path.write_bytes(whole)
        change()
        with pytest.raises(NncliError, match=message):
            read_trace(path)


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_trace_of_an_older_version_is_read(tmp_path: Path, version: str) -> None:
    path = tmp_path / "a.trace"
    saved(TWO, path)
    arrays = read_stored(path).arrays  # each by its own name
    about = safetensors_format.read(path)[1]["about"]
    found = 0
    names = [f"{name} {array.dtype.str[1:]} {array.shape}" for name, array in arrays.items()]
    if version == "2":
        found = zlib.crc32("\n".join(names).encode())
    for name, array in zip(names, arrays.values(), strict=True):
        found = zlib.crc32(f"{name}\n".encode(), found) if version == "1" else found
        found = zlib.crc32(array.tobytes(), found)
    form = f"nncli.trace-file/{version}"
    metadata = {"format": form, "about": about, "checksum": f"{found:08x}"}
    path.write_bytes(safetensors_format.pack(arrays, metadata))
    assert replay(path).difference.equal
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(NncliError, match="their checksum differs"):
        read_trace(path)


def test_what_is_the_same_memory_is_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    trace = saved(CONFIGS / "digits-conv.yaml", path)
    kept, metadata = safetensors_format.read(path)
    same = json.loads(metadata["same"])
    assert {"avgpool1.input", "dense1.input", "dense2.input"} < same.keys()
    assert same["dense1.input"] == ["avgpool1.a", [10, 128]]
    assert not same.keys() & kept.keys()
    read = read_trace(path).trace
    assert compare_traces(trace, read).equal
    for name, (of, shape) in same.items():
        assert name.endswith((".input", ".a", ".upstream", ".downstream"))
        assert kept[of].size == np.prod(shape)


def test_what_is_no_trace_is_told_as_what_it_is(nncli: Run, tmp_path: Path) -> None:
    saved(TWO, tmp_path / "a.trace")
    words = ("--epochs", "1", "--out", "run", "--trace", "steps=2", "--tables", "none")
    assert nncli("train", IRIS, *words).status == 0
    (tmp_path / "xor.yaml").write_text("name: ξ\n")
    (tmp_path / "rows.csv").write_text("1,2\n")
    np.savez(tmp_path / "m.npz", x=np.zeros(3))
    (tmp_path / "z.trace").write_bytes((tmp_path / "m.npz").read_bytes())
    (tmp_path / "empty.trace").write_bytes(b"")
    (tmp_path / "x.bin").write_bytes(b"\xff\x00\x01\xfe\xff\x00")
    (tmp_path / "folder").mkdir()
    makes = "nncli inspect-grad SPEC --save FILE.trace writes one"
    for file, says in {
        "xor.yaml": "but text; nncli inspect-grad xor.yaml --save FILE.trace writes one",
        "rows.csv": f"but text; {makes}",
        "m.npz": f"but a zip archive, as an .npz is; {makes}",
        "z.trace": f"but a zip archive, as an .npz is; {makes}",
        "empty.trace": f"but empty; {makes}",
        "x.bin": f"nor called FILE.trace; {makes}",
        "folder": f"but a folder; {makes}",
        "run": "but a folder; its traces are in run/traces, the first is run/traces/step-00000002",
        "run/checkpoint.safetensors": f"but a safetensors file; {makes}",
    }.items():
        done = nncli("replay", file)
        assert (done.status, done.err.startswith(f"nncli: {file}: is no trace, {says}")) == (
            2,
            True,
        )
    for given, says in (
        (
            ("diff", "a.trace", "xor.yaml"),
            "xor.yaml: is neither a trace nor a file of arrays; nncli",
        ),
        (("diff", "run", "nope"), "nncli: nope: is no run folder: there is no such folder"),
        (("diff", "run", "xor.yaml"), "nncli: xor.yaml: is a spec; a run is compared with another"),
        (("diff", "run", "x.bin"), "nncli: x.bin: is a file; a run is compared with another run"),
        (("diff", "run", "m.npz"), "run: is no trace, but a folder; its traces are in run/traces"),
        (("diff", "a.trace", "nope"), "nncli: nope: no such file"),
        (("diff", "a.trace", "run"), "run: is neither a trace nor a file of arrays; its traces"),
        (("diff", "xor.yaml", "a.trace"), "xor.yaml: is no trace, but text"),
        (("diff", "rows.csv", "a.trace"), "give the trace first: nncli diff a.trace rows.csv"),
        (
            ("show", "a.trace"),
            "a.trace: is a trace of a step; a spec is a YAML file; inspect-grad,",
        ),
        (("inspect-grad", "m.npz"), "m.npz: is a zip archive, as an .npz is; a spec is a YAML"),
    ):
        done = nncli(*given)
        assert (done.status, says in done.err) == (2, True), done.err


def test_a_step_of_a_momentum_s_training_is_checked_by_its_own_trace(
    nncli: Run, tmp_path: Path
) -> None:
    saved(CONFIGS / "xor.yaml", tmp_path / "a.trace")
    assert nncli("check", CONFIGS / "xor.yaml", "a.trace").status == 0


def test_no_damage_gets_past_the_messages(tmp_path: Path) -> None:
    from tests.soak.damage import ANY

    path, random = tmp_path / "a.trace", Random(0)
    saved(TWO, path)
    whole = path.read_bytes()
    about = json.loads(safetensors_format.read(path)[1]["about"])
    for _ in range(40):
        path.write_bytes(random.choice(ANY).change(whole, random))
        try:
            read_trace(path)
        except NncliError:
            continue
    for key in about:
        for value in ODD:
            path.write_bytes(whole)
            rewritten(path, about=json.dumps({**about, key: value}))
            try:
                read_trace(path)
            except NncliError:
                continue


def test_from_python(tmp_path: Path) -> None:
    trace = saved(TWO, tmp_path / "a.trace")
    path = str(tmp_path / "a.trace")
    assert compare_traces(package.trace_step(path), trace).equal
    assert package.inspect(path, checked=False).trace.samples == trace.samples
    assert package.explain(path)
    assert package.check(path, {"dW1": trace.layers[0].weight_gradient}).right
    assert package.replay(path).difference.equal
    assert package.diff(path, path).equal
    with pytest.raises(NncliError, match="is a step that was taken"):
        package.trace_step(path, samples=(0,))


def test_a_full_disk_is_told_once_and_the_training_goes_on(
    nncli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def refuse(path: Path, content: Any, **how: Any) -> None:
        if len(written) > 1:
            raise RunError(f"{path.name}: cannot be written: no space left on device")
        written.append(path.name)
        files.write_whole(path, content, **how)

    monkeypatch.setattr("nncli.app.kept_traces.write_whole", refuse)
    done = nncli("train", IRIS, "--epochs", "3", "--out", "a", "--trace", "every=4")
    assert done.status == 0
    assert done.err.count("no space left") == 1
    assert "step-00000012.trace: cannot be written: no space left on device" in done.err
    assert "a/traces: lacks 7 steps that could not be written" in done.err
    assert len(list((tmp_path / "a/traces").iterdir())) == 2
    assert nncli("evaluate", "a").status == 0


@pytest.mark.parametrize("how", ["no processes", "refused", "killed"])
def test_what_no_process_writes_the_training_writes_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise BlockingIOError

    if how == "no processes":
        monkeypatch.setattr(kept_traces, "can_fork", lambda: False)
    elif how == "refused":
        monkeypatch.setattr(kept_traces, "ProcessWorker", refuse)
    else:
        taken = kept_traces.TraceKeeper.keep

        def keep(self: Any, traced: Traced) -> None:
            taken(self, traced)
            if traced.step == 8 and self.pids:
                self.flush()
                os.kill(self.pids[0], signal.SIGKILL)
                os.waitpid(self.pids[0], 0)

        monkeypatch.setattr(kept_traces.TraceKeeper, "keep", keep)
    spec = load_spec(IRIS, ["train.epochs=2"])
    package.train(spec, out=tmp_path / "a", traces=("every=4",))
    kept = sorted((tmp_path / "a/traces").iterdir())
    assert [int(file.stem[5:]) for file in kept] == [4, 8, 12, 16, 20, 24]
    assert all(replay(file).difference.equal for file in kept)


def test_a_bug_of_the_writing_process_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("nncli.app.kept_traces.pack", fail)
    with pytest.raises(ZeroDivisionError):
        package.train(IRIS, out=tmp_path / "a", traces=("every=4",))
