"""A training that was ended goes on to the end that it would have come to."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncli
from nncli.app.opening import open_run, open_spec_or_run
from nncli.core import safetensors_format
from nncli.core.errors import InterruptedTraining, Malformed, RunError, SpecError, UnsavedError
from nncli.nn.parallel.blas import arithmetic
from nncli.spec import load_spec, parse_spec
from nncli.training.checkpoint import CHECKSUM_KEY, NO_CHECKSUM, _checksum
from nncli.training.history import Epoch, Progress, marks_of
from nncli.training.run_data import checksums_from
from nncli.training.run_files import CHECKPOINT, DATA, METRICS, PREVIOUS
from nncli.training.run_folder import RunFolder
from nncli.training.trainer import Trainer
from tests.conftest import CONFIGS, mostly_slow
from tests.soak.kills import ending

SPEC = """
name: little
seed: 3
data:
  train:
    inputs: [[0, 1], [1, 0], [1, 1], [0, 0], [2, 1], [1, 2], [2, 2]]
    targets: [0, 1, 0, 1, 0, 1, 0]
network:
  - {type: dense, units: 3}
  - {type: dense, units: 2}
train: {eta: 0.5, epochs: 6, batch_size: 2, momentum: 0.5}
"""
ADAM = "train={eta: 0.05, epochs: 6, batch_size: 2, optimizer: adam}"
SCHEDULES = ("constant", "{type: step, step_size: 2}", "{type: cosine}")


def spec_of(*overrides: str) -> nncli.Spec:
    return parse_spec(SPEC, overrides=overrides)


def interrupt_at(number: int) -> Callable[[Epoch | Progress, Trainer], None]:
    """Interrupts at the `number`-th event."""
    left = iter(range(number - 1, -1, -1))

    def watch(event: Epoch | Progress, trainer: Trainer) -> None:
        if next(left) == 0:
            raise InterruptedTraining("stop")

    return watch


def interrupted(run: Path, number: int, *overrides: str) -> None:
    with pytest.raises(InterruptedTraining):
        nncli.train(spec_of(*overrides), out=run, on_event=interrupt_at(number))


@pytest.fixture
def undisturbed(tmp_path: Path) -> Path:
    nncli.train(spec_of(), out=tmp_path / "undisturbed")
    return tmp_path / "undisturbed"


MORE = {
    "plain": [],
    "validation": ["data.validation=0.3"],
    "float64": ["dtype=float64", "train.weight_decay=0.01"],
    "adamw": [ADAM, "train.decoupled_weight_decay=0.01"],
}


@pytest.mark.parametrize("how", mostly_slow(product(MORE, SCHEDULES), 4), ids="-".join)
def test_any_number_of_interruptions_leave_no_trace(
    how: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more, schedule = MORE[how[0]], how[1]
    monkeypatch.setattr(
        "nncli.training.trainer.PROGRESS_INTERVAL", -1.0
    )  # an event after every step
    overrides = [*more, f"train.schedule={schedule}"]
    whole = nncli.train(spec_of(*overrides), out=tmp_path / "whole")
    interrupted(tmp_path / "run", 2, *overrides)
    ends = 1
    while ends < 40:
        try:
            done = nncli.resume(tmp_path / "run", on_event=interrupt_at(1 + ends % 3))
            break
        except InterruptedTraining:
            ends += 1
    assert ends > 5
    assert ending(tmp_path / "run") == ending(tmp_path / "whole")
    assert done.network.parameters.tobytes() == whole.network.parameters.tobytes()
    assert [e.train_cost for e in done.history] == [e.train_cost for e in whole.history]
    assert done.history[-1].layers == whole.history[-1].layers


def test_it_goes_on_with_as_many_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares of a mini-batch are added up in an order of their own, whatever is there by now."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", x=rng.standard_normal((90, 40)), y=rng.integers(0, 2, 90))
    overrides = [f"data.train={tmp_path / 'a.npz'}", "train.batch_size=30"]
    monkeypatch.setattr("nncli.nn.parallel.worker_pool.WORTH_A_THREAD", 1)
    monkeypatch.setattr("nncli.nn.parallel.worker_pool.available_threads", lambda: 3)
    nncli.train(spec_of(*overrides), out=tmp_path / "three")
    interrupted(tmp_path / "run", 2, *overrides)
    monkeypatch.setattr("nncli.nn.parallel.worker_pool.available_threads", lambda: 1)
    nncli.train(spec_of(*overrides), out=tmp_path / "one")
    nncli.resume(tmp_path / "run")
    assert ending(tmp_path / "run") == ending(tmp_path / "three") != ending(tmp_path / "one")
    last = {
        run: (tmp_path / run / "spec.yaml").read_text().splitlines()[-1] for run in ("one", "run")
    }
    assert last == {"one": "# Trained with 1 thread.", "run": "# Trained with 3 threads."}


def test_another_number_of_threads_is_said_once(tmp_path: Path) -> None:
    interrupted(tmp_path / "run", 1, "train.threads=1")
    notes: list[str] = []
    for overrides in (["train.threads=1"], ["train.threads=2"], []):
        with pytest.raises(InterruptedTraining):
            nncli.resume(
                tmp_path / "run",
                overrides=overrides,
                on_warning=notes.append,
                on_event=interrupt_at(1),
            )
    assert notes == [
        "so far it was trained with 1 thread, here it goes on with 2 threads: the last bits may "
        "differ from those of a training that was not interrupted"
    ]
    kept = (tmp_path / "run" / "spec.yaml").read_text().splitlines()
    assert kept[-2] == "# Trained with 1 thread."
    assert kept[-1].endswith(": train.threads was 1, is 2.")


def test_other_kernels_are_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits follow from the processor's kernels too; a run goes on with others, but says so."""
    own = arithmetic()
    assert own["NumPy"] == np.__version__
    monkeypatch.setattr("nncli.app.train.arithmetic", lambda: own | {"BLAS": "OpenBLAS 0.1 Zen"})
    interrupted(tmp_path / "run", 2)
    notes: list[str] = []
    with pytest.raises(InterruptedTraining):
        nncli.resume(tmp_path / "run", on_warning=notes.append, on_event=interrupt_at(1))
    assert notes == [
        f"so far it was trained with BLAS OpenBLAS 0.1 Zen, here it goes on with BLAS {own['BLAS']}"
        ": the last bits may differ from those of a training that was not interrupted"
    ]
    notes.clear()
    nncli.resume(tmp_path / "run", on_warning=notes.append)
    assert notes == []


CORES = """
import os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv.pop(1))])
from nncli.cli import main
sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs two cores",
)
@pytest.mark.parametrize(("first", "then"), [(1, 2), (2, 1)])
def test_a_run_keeps_its_bits_on_other_cores(first: int, then: int, tmp_path: Path) -> None:
    """The number of threads decides the order of sums; auto depends on the cores, a resume not."""
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}

    def nncli_on(cores: int, *arguments: str) -> None:
        command = [sys.executable, "-c", CORES, str(cores), *arguments]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)

    spec = str(CONFIGS / "digits-conv.yaml")
    whole, run = tmp_path / "whole", tmp_path / "run"
    nncli_on(first, "train", spec, "--epochs", "2", "--out", str(whole))
    nncli_on(first, "train", spec, "--epochs", "1", "--out", str(run))
    nncli_on(then, "train", "--resume", str(run), "--epochs", "2")
    assert ending(run) == ending(whole)


@pytest.mark.slow
@pytest.mark.serial
def test_a_kill_at_any_call_loses_nothing() -> None:
    command = [sys.executable, "-m", "tests.training.kill_points", "14"]
    done = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    assert done["lost"] == []
    assert done["tried"] >= 5


def test_a_checkpoint_of_another_optimizer_is_refused(tmp_path: Path) -> None:
    interrupted(tmp_path / "run", 2)
    interrupted(tmp_path / "other", 2, ADAM)
    for name in (CHECKPOINT, PREVIOUS):
        if (tmp_path / "other" / name).exists():
            shutil.copy(tmp_path / "other" / name, tmp_path / "run" / name)
    with pytest.raises(SpecError, match=r"train.optimizer: {type: sgd}, but .* {type: adam, beta1"):
        nncli.resume(tmp_path / "run")
    for name in (CHECKPOINT, PREVIOUS):  # of a version that did not keep what of the spec is fixed
        if (tmp_path / "run" / name).exists():
            (tmp_path / "run" / name).write_bytes(without(tmp_path / "run" / name, "spec"))
    with pytest.raises(RunError, match="keeps adam_steps and first_moment and second_moment"):
        nncli.resume(tmp_path / "run")


def test_the_test_data_are_used_at_the_end(tmp_path: Path) -> None:
    test = "data.test={inputs: [[0, 2], [3, 1]], targets: [0, 1]}"
    whole = nncli.train(spec_of(test))
    interrupted(tmp_path / "run", 3, test)
    assert nncli.resume(tmp_path / "run").test == whole.test


def test_a_complete_run_is_given_as_it_is(undisturbed: Path) -> None:
    before = {path.name: path.read_bytes() for path in undisturbed.iterdir()}
    done = nncli.resume(undisturbed)
    assert len(done.history) == 6
    assert {path.name: path.read_bytes() for path in undisturbed.iterdir()} == before


def edited(**changes: Any) -> Callable[[list[bytes]], list[bytes]]:
    """Changes the record in the second line."""

    def edit(lines: list[bytes]) -> list[bytes]:
        record = json.loads(lines[1]) | changes
        return [lines[0], json.dumps(record).encode() + b"\n", *lines[2:]]

    return edit


class TestMetrics:
    """Records behind the checkpoint are cut off, half a line too; those before it must be there."""

    @pytest.mark.parametrize("rest", [b"", b'{"epoch": 3, "eta', b'{"epoch": 3}\n{"epoch": 4}\n'])
    def test_what_stands_behind(self, rest: bytes, undisturbed: Path, tmp_path: Path) -> None:
        interrupted(tmp_path / "run", 2)
        metrics = tmp_path / "run" / METRICS
        metrics.write_bytes(metrics.read_bytes() + rest)
        nncli.resume(tmp_path / "run")
        assert ending(tmp_path / "run") == ending(undisturbed)

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (lambda lines: lines[:1], ":2: the record of epoch 2 is missing"),
            (lambda lines: [lines[0], lines[1][:20]], ":2: the record of epoch 2 is missing"),
            (
                lambda lines: lines[::-1],
                ":1: damaged: expected the record of epoch 1: it is that of epoch 2",
            ),
            (lambda lines: [b"x\n", lines[1]], ":1: damaged: expected the record of epoch 1: "),
        ],
    )
    def test_what_is_missing_before(
        self, spoil: Callable[[list[bytes]], list[bytes]], said: str, tmp_path: Path
    ) -> None:
        interrupted(tmp_path / "run", 2)
        (tmp_path / "run" / PREVIOUS).unlink(missing_ok=True)
        metrics = tmp_path / "run" / METRICS
        metrics.write_bytes(b"".join(spoil(metrics.read_bytes().splitlines(keepends=True))))
        with pytest.raises(RunError, match=said):
            nncli.resume(tmp_path / "run")

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            pytest.param(edited(train_cost=0.125), "{}:2: this line is not as", id="another cost"),
            pytest.param(
                edited(train_cost=None), "{}:2: damaged: {}its train_cost is null", id="null"
            ),
            pytest.param(
                edited(train_cost=10**400),
                "{}:2: damaged: {}its train_cost is 1000",
                id="400 digits",
            ),
            pytest.param(
                edited(train_cost=float("inf")),
                "{}:2: damaged: {}its train_cost is Inf",
                id="infinite",
            ),
            pytest.param(edited(epoch=2.0), "{}:2: damaged: {}its epoch is 2.0", id="no integer"),
            pytest.param(
                edited(layers=[]),
                "{}:2: damaged: {}it is of no layers, not of 'dense1', 'dense2'",
                id="no layers",
            ),
            pytest.param(
                edited(layers=[{"name": "dense1"}, {"name": "conv1"}]),
                "{}:2: damaged: {}it is of 'dense1', 'conv1', not of 'dense1', 'dense2'",
                id="other layers",
            ),
            pytest.param(
                edited(layers=[{"name": "dense1"}, {"name": "\x1b[31mdense2"}]),
                r'{}:2: damaged: {}its name is "\u001b[31mdense2"',
                id="escape codes",
            ),
            pytest.param(
                edited(layers=[3, 4]), "{}:2: damaged: {}it is no JSON object", id="numbers"
            ),
            pytest.param(
                lambda lines: [lines[0], b" " + lines[1]], "{}:2: this line is", id="a blank"
            ),
            pytest.param(lambda lines: [b"[]\n", lines[1]], "{}:1: damaged: ", id="a list"),
        ],
    )
    def test_what_the_training_did_not_write(
        self, spoil: Callable[[list[bytes]], list[bytes]], said: str, tmp_path: Path
    ) -> None:
        interrupted(tmp_path / "run", 2)
        (tmp_path / "run" / PREVIOUS).unlink(missing_ok=True)
        metrics = tmp_path / "run" / METRICS
        metrics.write_bytes(b"".join(spoil(metrics.read_bytes().splitlines(keepends=True))))
        with pytest.raises(RunError) as caught:
            nncli.resume(tmp_path / "run")
        expected = said.format(metrics, "expected the record of epoch 2: ")
        assert str(caught.value).startswith(expected)
        assert str(caught.value).isprintable() or "\n" in str(caught.value)
        assert "\x1b" not in str(caught.value)

    def test_those_of_another_run(self, undisturbed: Path, tmp_path: Path) -> None:
        nncli.train(spec_of("seed=4"), out=tmp_path / "other")
        shutil.copy(tmp_path / "other" / METRICS, undisturbed / METRICS)
        (undisturbed / PREVIOUS).unlink(missing_ok=True)
        with pytest.raises(RunError, match=r"metrics\.jsonl:1: this line is not as the training"):
            nncli.resume(undisturbed, overrides=["train.epochs=7"])

    def test_an_edited_line_behind_the_checkpoint_before_is_written_anew(
        self, undisturbed: Path, tmp_path: Path
    ) -> None:
        interrupted(tmp_path / "run", 2)
        with pytest.raises(InterruptedTraining):
            nncli.resume(tmp_path / "run", on_event=interrupt_at(2))
        metrics = tmp_path / "run" / METRICS
        lines = metrics.read_bytes().splitlines(keepends=True)
        metrics.write_bytes(b"".join([*lines[:3], lines[3].replace(b'"eta": 0.5', b'"eta": 0.7')]))
        said: list[str] = []
        nncli.resume(tmp_path / "run", on_warning=said.append)
        assert said == [
            f"{metrics}:4: this line is not as the training wrote it: the checksum is another; the "
            "checkpoint before it is used"
        ]
        assert ending(tmp_path / "run") == ending(undisturbed)

    def test_an_older_checkpoint_without_marks_does_not_make_an_edited_line_good(
        self, tmp_path: Path
    ) -> None:
        run = tmp_path / "run"
        interrupted(run, 2)
        older = without_checksums(run / CHECKPOINT)
        with pytest.raises(InterruptedTraining):
            nncli.resume(run, on_event=interrupt_at(2))
        (run / PREVIOUS).write_bytes(older)
        lines = (run / METRICS).read_bytes().splitlines(keepends=True)
        (run / METRICS).write_bytes(b"".join(edited(eta=0.7)(lines)))
        with pytest.raises(RunError, match=r"metrics\.jsonl:2: this line is not as the training"):
            nncli.resume(run)

    def test_of_many_epochs_the_lines_are_narrowed_down(self, tmp_path: Path) -> None:
        nncli.train(spec_of("train.epochs=40"), out=tmp_path / "run")
        (tmp_path / "run" / PREVIOUS).unlink(missing_ok=True)
        metrics = tmp_path / "run" / METRICS
        lines = metrics.read_bytes().splitlines(keepends=True)
        lines[19] = lines[19].replace(b'"eta": 0.5', b'"eta": 0.7')
        metrics.write_bytes(b"".join(lines))
        with pytest.raises(
            RunError, match=r"metrics\.jsonl:(\d+): a line from here to (\d+) is not"
        ):
            nncli.resume(tmp_path / "run")

    @pytest.mark.parametrize("epochs", [1, 2, 15, 16, 17, 100, 1000])
    def test_marks_end_with_the_last_line(self, epochs: int) -> None:
        marks = marks_of(range(100, 100 + epochs))
        lines = [line for line, _ in marks]
        assert lines == sorted(set(lines))
        assert len(lines) == min(epochs, 16)
        assert (lines[0] >= 1, marks[-1]) == (True, (epochs, 99 + epochs))
        assert marks_of([]) == ()

    @pytest.mark.parametrize("size", [0, 100])
    def test_what_can_be_done_without_them_is_said_once(self, size: int, undisturbed: Path) -> None:
        shutil.copy(undisturbed / CHECKPOINT, undisturbed / PREVIOUS)
        os.truncate(undisturbed / METRICS, size)
        with pytest.raises(RunError) as caught:
            nncli.resume(undisturbed)
        assert str(caught.value) == (
            f"{undisturbed / METRICS}:1: the record of epoch 1 is missing\n"
            f"{undisturbed}: there is nothing to go on from; train anew, with --overwrite in its "
            "place, or with --out DIR elsewhere"
        )


class TestDamage:
    """The checkpoint before the last takes over."""

    @pytest.fixture
    def run(self, tmp_path: Path) -> Path:
        """A run with a last checkpoint after epoch 4 and one before it, after epoch 2."""
        interrupted(tmp_path / "run", 2)
        with pytest.raises(InterruptedTraining):
            nncli.resume(tmp_path / "run", on_event=interrupt_at(2))
        return tmp_path / "run"

    def test_the_last_two_are_kept(self, run: Path) -> None:
        for name, epoch in ((CHECKPOINT, 4), (PREVIOUS, 2)):
            _, metadata = safetensors_format.read(run / name)
            assert json.loads(metadata["place"])["epoch"] == epoch

    @pytest.mark.parametrize("spoil", [lambda c: c[:-5], lambda c: c[:-1] + b"\xff", lambda c: b""])
    def test_a_damaged_one_is_said(
        self, spoil: Callable[[bytes], bytes], run: Path, undisturbed: Path
    ) -> None:
        checkpoint = run / CHECKPOINT
        checkpoint.write_bytes(spoil(checkpoint.read_bytes()))
        said: list[str] = []
        nncli.resume(run, on_warning=said.append)
        assert len(said) == 1
        assert said[0].startswith(f"{checkpoint}: damaged: ")
        assert said[0].endswith("; the checkpoint before it is used")
        assert ending(run) == ending(undisturbed)

    def test_a_damaged_one_never_becomes_the_one_before(self, run: Path) -> None:
        (run / CHECKPOINT).write_bytes(b"x")
        good = (run / PREVIOUS).read_bytes()
        with pytest.raises(InterruptedTraining):
            nncli.resume(run, on_event=interrupt_at(1))
        assert (run / PREVIOUS).read_bytes() == good

    def test_a_missing_one_is_said(self, run: Path, undisturbed: Path) -> None:
        (run / CHECKPOINT).unlink()
        said: list[str] = []
        nncli.resume(run, on_warning=said.append)
        assert "there is no such file" in said[0]
        assert ending(run) == ending(undisturbed)

    def test_where_files_have_one_name_only(
        self, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*names: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr("os.link", refuse)
        interrupted(tmp_path / "run", 2)
        nncli.resume(tmp_path / "run")
        assert ending(tmp_path / "run") == ending(undisturbed)
        _, metadata = safetensors_format.read(tmp_path / "run" / PREVIOUS)
        assert json.loads(metadata["place"])["epoch"] == 2

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (Path.mkdir, "is a directory"),
            (os.mkfifo, "it is no regular file"),
            (lambda file: file.symlink_to("/dev/zero"), "it is no regular file"),
        ],
    )
    def test_what_is_no_file_at_all(
        self, make: Callable[[Path], object], said: str, run: Path
    ) -> None:
        (run / CHECKPOINT).unlink()
        make(run / CHECKPOINT)
        (note,) = open_spec_or_run(run).notes
        what = f"{run / CHECKPOINT}: cannot be read: {said}"
        assert note == f"{what}; the checkpoint before it is used"

    def test_two_damaged_ones(self, run: Path) -> None:
        for name in (CHECKPOINT, PREVIOUS):
            (run / name).write_bytes(b"x")
        with pytest.raises(RunError, match=rf"(?s){CHECKPOINT}: damaged.*{PREVIOUS}: damaged"):
            nncli.resume(run)

    def test_other_commands_use_the_one_before_too(self, run: Path) -> None:
        (run / CHECKPOINT).write_bytes(b"x")
        opened = open_spec_or_run(run)
        assert opened.state is not None
        assert opened.state.epoch == 2
        assert "the checkpoint before it is used" in opened.notes[0]


class TestChanges:
    def test_more_epochs(self, undisturbed: Path, tmp_path: Path) -> None:
        nncli.resume(undisturbed, overrides=["train.epochs=9"])
        nncli.train(spec_of("train.epochs=9"), out=tmp_path / "whole")
        assert ending(undisturbed) == ending(tmp_path / "whole")
        text = (undisturbed / "spec.yaml").read_text()
        assert text.endswith("# Changed after epoch 6: train.epochs was 6, is 9.\n")
        assert load_spec(undisturbed / "spec.yaml").train.epochs == 9

    def test_another_eta_from_there_on(self, tmp_path: Path) -> None:
        run = tmp_path / "run"
        interrupted(run, 2)
        done = nncli.resume(run, overrides=["train.eta=0.25"], on_event=None)
        assert [epoch.eta for epoch in done.history] == [0.5] * 2 + [0.25] * 4
        nncli.resume(run, overrides=["train.schedule={type: cosine}", "train.epochs=7"])
        assert (run / "spec.yaml").read_text().splitlines()[-3:] == [
            "# Changed after epoch 2: train.eta was 0.5, is 0.25.",
            "# Changed after epoch 6: train.epochs was 6, is 7.",
            "# Changed after epoch 6: train.schedule was {type: constant}, is {type: cosine, "
            "eta_min: 0.0, t_max: null}.",
        ]

    def test_a_change_survives_the_next_interruption(self, tmp_path: Path) -> None:
        interrupted(tmp_path / "run", 2)
        with pytest.raises(InterruptedTraining):
            nncli.resume(tmp_path / "run", overrides=["train.eta=0.25"], on_event=interrupt_at(1))
        assert [epoch.eta for epoch in nncli.resume(tmp_path / "run").history][3:] == [0.25] * 3

    @pytest.mark.parametrize("is_latest", [True, False])
    def test_what_came_before_a_change_is_never_done_again(
        self, is_latest: bool, tmp_path: Path
    ) -> None:
        """Killed right after a change, with its last checkpoint damaged then."""

        def killed() -> None:
            raise InterruptedTraining("before the first save")

        run = tmp_path / "run"
        interrupted(run, 2)
        with pytest.raises(InterruptedTraining):
            nncli.resume(run, on_event=interrupt_at(2))
        if not is_latest:
            (run / CHECKPOINT).write_bytes(b"x")
        with pytest.raises(InterruptedTraining):
            nncli.resume(run, overrides=["train.eta=0.25"], on_start=killed)
        os.truncate(run / CHECKPOINT, 500)
        began = 4 if is_latest else 2
        assert [epoch.eta for epoch in nncli.resume(run).history] == (
            [0.5] * began + [0.25] * (6 - began)
        )

    @pytest.mark.parametrize(
        ("override", "said"),
        [
            ("seed=4", "seed: 4, but the run was begun with 3"),
            ("network[0].units=4", r"network\[0\].units: 4, but the run was begun with 3"),
            ("train.batch_size=3", "train.batch_size: 3, but the run was begun with 2"),
            ("train.momentum=0.9", "train.momentum: 0.9, but the run was begun with 0.5"),
            ("dtype=float64", "dtype: float64, but the run was begun with float32"),
            (
                "network[0]={type: dense, units: 3, init: zeros}",
                "init: zeros, but .* xavier_normal",
            ),
            ("train.epochs=1", "train.epochs: 1, but the run has begun epoch 2 already"),
        ],
    )
    def test_what_cannot_change(self, override: str, said: str, tmp_path: Path) -> None:
        run = tmp_path / "run"
        interrupted(run, 2)
        before = {path.name: path.read_bytes() for path in run.iterdir()}
        with pytest.raises(SpecError, match=said):
            nncli.resume(run, overrides=[override])
        assert {path.name: path.read_bytes() for path in run.iterdir()} == before
        nncli.resume(run)  # and the lock is off

    @pytest.mark.parametrize(
        ("before", "after", "said"),
        [
            ("seed: 3", "seed: 0", ":2:7: seed: 0, but the run was begun with 3"),
            ("batch_size: 2", "batch_size: 4", "train.batch_size: 4, but the run was begun with 2"),
            ("momentum: 0.5", "momentum: 0.25", "train.momentum: 0.25, but .* begun with 0.5"),
            ("activation: sigmoid", "activation: tanh", "activation: tanh, but .* sigmoid"),
            ("init: xavier_normal", "init: zeros", "init: zeros, but .* xavier_normal"),
            ("bias: true", "bias: false", "bias: false, but the run was begun with true"),
            ("scale: none", "scale: standard", "data.scale: standard, but .* begun with none"),
            ("cost: quadratic", "cost: cross_entropy", "train.cost: .*, but .* with quadratic"),
        ],
    )
    def test_what_cannot_change_by_an_edit(
        self, before: str, after: str, said: str, tmp_path: Path
    ) -> None:
        """The run's own spec.yaml is compared with what its checkpoint was trained with."""
        run = tmp_path / "run"
        interrupted(run, 2, "data.validation=0.3")
        kept = (run / "spec.yaml").read_text()
        assert before in kept
        (run / "spec.yaml").write_text(kept.replace(before, after, 1))
        for overrides in ([], ["train.epochs=9"]):
            with pytest.raises(SpecError, match=said):
                nncli.resume(run, overrides=overrides)
        (run / "spec.yaml").write_text(kept)
        nncli.resume(run)

    def test_other_commands_warn_of_such_an_edit(self, tmp_path: Path) -> None:
        run = tmp_path / "run"
        interrupted(run, 2)
        assert open_run(run).notes == open_spec_or_run(run, ["seed=4"]).notes == ()
        text = (run / "spec.yaml").read_text()
        (run / "spec.yaml").write_text(text.replace("activation: sigmoid", "activation: tanh", 1))
        (note,) = open_run(run).notes
        assert note.endswith(
            ": network[0].activation: tanh, but the run was trained with sigmoid; "
            "it is used as it is"
        )
        assert note.startswith(f"{run / 'spec.yaml'}:")
        assert open_spec_or_run(run).notes == open_spec_or_run(run, ["seed=4"]).notes == (note,)

    def test_an_edit_of_what_may_change_is_as_good_as_an_override(self, tmp_path: Path) -> None:
        run = tmp_path / "run"
        interrupted(run, 2)
        for old, new in ((6, 4), (4, 5)):
            spec = run / "spec.yaml"
            text = spec.read_text().replace(f"epochs: {old}", f"epochs: {new}")
            spec.write_text(text.replace("name: little", "name: other") + "# a comment\n")
            assert len(nncli.resume(run).history) == new
        assert len(nncli.resume(run, overrides=["train.epochs=7"]).history) == 7
        assert len(nncli.resume(run, overrides=["train.eta=0.1", "train.epochs=8"]).history) == 8

    def test_a_run_of_a_version_that_did_not_keep_them(self, tmp_path: Path) -> None:
        """Its spec is believed, and kept from there on."""
        run = tmp_path / "run"
        interrupted(run, 2)
        (run / PREVIOUS).unlink(missing_ok=True)
        (run / CHECKPOINT).write_bytes(without(run / CHECKPOINT, "spec"))
        text = (run / "spec.yaml").read_text()
        (run / "spec.yaml").write_text(text.replace("batch_size: 2", "batch_size: 3"))
        nncli.resume(run)
        (run / "spec.yaml").write_text(text)
        with pytest.raises(SpecError, match=r"batch_size: 2, but the run was begun with 3"):
            nncli.resume(run, overrides=["train.epochs=7"])

    def test_what_can_change_is_said(self, tmp_path: Path) -> None:
        interrupted(tmp_path / "run", 2)
        with pytest.raises(SpecError) as caught:
            nncli.resume(tmp_path / "run", overrides=["seed=4"])
        assert str(caught.value).endswith(
            "; what can change on the way is train.epochs, train.eta, train.schedule, "
            "train.threads, train.early_stop, expect, break, and where the data lie (data.train, "
            "data.validation, data.test)"
        )

    def test_another_spec_names_what_differs(self, tmp_path: Path) -> None:
        interrupted(tmp_path / "run", 2)
        spec = tmp_path / "little.yaml"
        spec.write_text(SPEC.replace("eta: 0.5", "eta: 0.1").replace("units: 3", "units: 4"))
        with pytest.raises(SpecError) as caught:
            nncli.resume(tmp_path / "run", spec=spec)
        run = tmp_path / "run"
        assert caught.value.problems == (
            f"{spec}:9:26: network[0].units: 4, but {run} was trained with 3",
            f"{spec}:11:14: train.eta: 0.1, but {run} was trained with 0.5",
        )

    def test_the_same_spec_goes_on(self, tmp_path: Path, undisturbed: Path) -> None:
        interrupted(tmp_path / "run", 2)
        (tmp_path / "little.yaml").write_text(SPEC)
        nncli.resume(tmp_path / "run", spec=tmp_path / "little.yaml")
        assert ending(tmp_path / "run") == ending(undisturbed)

    def test_the_same_command_goes_on(self, tmp_path: Path) -> None:
        (tmp_path / "little.yaml").write_text(SPEC)
        interrupted(tmp_path / "run", 2, "train.eta=0.1", "network[0].units=5")
        overrides = ["train.eta=0.1", "network[0].units=5"]
        nncli.train(spec_of(*overrides), out=tmp_path / "whole")
        nncli.resume(tmp_path / "run", spec=tmp_path / "little.yaml", overrides=overrides)
        assert ending(tmp_path / "run") == ending(tmp_path / "whole")


def without_checksums(checkpoint: Path) -> bytes:
    """A checkpoint as versions wrote it that knew nothing of checksums of data and metrics."""
    return without(checkpoint, "checksums", "metrics")


def without(checkpoint: Path, *keys: str) -> bytes:
    """A checkpoint as versions wrote it that knew nothing of these keys of its terms."""
    arrays, metadata = safetensors_format.read(checkpoint)
    terms = json.loads(metadata["terms"])
    for key in keys:
        del terms[key]
    plain = {**metadata, "terms": json.dumps(terms), "checksum": NO_CHECKSUM.decode()}
    content = safetensors_format.pack(arrays, plain)
    at = content.index(CHECKSUM_KEY) + len(CHECKSUM_KEY)
    return content[:at] + _checksum(content) + content[at + len(NO_CHECKSUM) :]


def test_a_key_without_effect_keeps_no_older_run_from_going_on(tmp_path: Path) -> None:
    interrupted(tmp_path / "run", 2)
    spec = tmp_path / "run" / "spec.yaml"
    spec.write_text(spec.read_text().replace("  header: null", "  header: true"))
    for name in (CHECKPOINT, PREVIOUS):
        (tmp_path / "run" / name).write_bytes(without(tmp_path / "run" / name, "spec"))
    assert nncli.resume(tmp_path / "run").spec.data.header is True


class TestData:
    """A run goes on with its own data, wherever they lie."""

    @pytest.fixture
    def run(self, tmp_path: Path) -> Path:
        rng = np.random.default_rng(0)
        np.savez(tmp_path / "a.npz", x=rng.standard_normal((50, 2)), y=rng.integers(0, 2, 50))
        interrupted(tmp_path / "run", 2, f"data.train={tmp_path / 'a.npz'}", "data.scale=standard")
        return tmp_path / "run"

    def change(self, path: Path, change: Callable[[dict[str, Any]], None]) -> None:
        with np.load(path) as file:
            arrays = dict(file)
        change(arrays)
        np.savez(path, **arrays)

    def test_moved_data(self, run: Path, tmp_path: Path) -> None:
        (tmp_path / "a.npz").rename(tmp_path / "b.npz")
        nncli.resume(run, overrides=[f"data.train={tmp_path / 'b.npz'}"])
        assert f"a.npz, is {tmp_path}/b.npz." in (run / "spec.yaml").read_text()

    def test_more_samples(self, run: Path, tmp_path: Path) -> None:
        def change(arrays: dict[str, Any]) -> None:
            arrays |= {key: np.concatenate([array, array[:1]]) for key, array in arrays.items()}

        self.change(tmp_path / "a.npz", change)
        with pytest.raises(RunError, match="train has 51 samples now, it had 50"):
            nncli.resume(run)

    @pytest.mark.parametrize("key", ["x", "y"])
    def test_another_order(self, run: Path, tmp_path: Path, key: str) -> None:
        def change(arrays: dict[str, Any]) -> None:
            arrays[key] = arrays[key][::-1]

        self.change(tmp_path / "a.npz", change)
        what = {"x": "inputs", "y": "targets"}[key]
        with pytest.raises(RunError, match=f"have changed: train has other {what} than it had"):
            nncli.resume(run)

    @pytest.mark.parametrize("row", range(0, 50, 7))
    @pytest.mark.parametrize("key", ["x", "y"])
    def test_a_single_value(self, run: Path, tmp_path: Path, row: int, key: str) -> None:
        def change(arrays: dict[str, Any]) -> None:
            if key == "x":
                arrays["x"][row, 1] = np.nextafter(arrays["x"][row, 1], 9)
            else:
                arrays["y"][row] = 1 - arrays["y"][row]

        self.change(tmp_path / "a.npz", change)
        with pytest.raises(RunError, match="have changed: train has other "):
            nncli.resume(run)

    def test_a_single_value_of_validation_data(self, tmp_path: Path) -> None:
        held = tmp_path / "v.csv"
        held.write_text("".join(f"{i},{i + 1},{i % 2}\n" for i in range(40)))
        interrupted(tmp_path / "run", 2, f"data.validation={held}")
        held.write_text(held.read_text().replace("21,22,1", "21,22.5,1"))
        with pytest.raises(RunError, match="have changed: validation has other inputs than it had"):
            nncli.resume(tmp_path / "run")

    @pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
    def test_a_single_value_of_a_mapped_file(self, tmp_path: Path, dtype: Any) -> None:
        x = np.arange(4000).reshape(1000, 4).astype(dtype)
        np.save(tmp_path / "x.npy", x)
        np.save(tmp_path / "y.npy", np.arange(1000) % 2)
        pair = f"{{inputs: {tmp_path / 'x.npy'}, targets: {tmp_path / 'y.npy'}}}"
        interrupted(tmp_path / "run", 2, f"data.train={pair}", "train.batch_size=100")
        x[777, 3] += 1
        np.save(tmp_path / "x.npy", x)
        with pytest.raises(RunError, match="have changed: train has other inputs than it had"):
            nncli.resume(tmp_path / "run")
        x[777, 3] -= 1
        np.save(tmp_path / "x.npy", x)
        nncli.resume(tmp_path / "run")

    def test_the_same_numbers_stored_in_another_type(self, run: Path, tmp_path: Path) -> None:
        self.change(tmp_path / "a.npz", lambda arrays: arrays.update(x=arrays["x"].astype("f4")))
        said: list[str] = []
        nncli.resume(run, on_warning=said.append)
        assert said == [
            f"{run}: the inputs of train are stored as <f4 now, they were <f8; 16 of its samples "
            "were compared, not all"
        ]

    def test_the_same_table_in_another_file(self, tmp_path: Path) -> None:
        rows = "".join(f"{i * 7 % 20},{i * 3 % 20 + 0.5},{i % 2}\n" for i in range(20))
        (tmp_path / "a.csv").write_text(rows)
        interrupted(tmp_path / "run", 2, f"data.train={tmp_path / 'a.csv'}")
        (tmp_path / "b.csv").write_text("a,b,y\n" + rows.replace(".5,", ".50,"))
        said: list[str] = []
        where = f"data.train={tmp_path / 'b.csv'}"
        nncli.resume(tmp_path / "run", overrides=[where], on_warning=said.append)
        assert said == []

    def test_a_run_of_a_version_without_checksums(
        self, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for file in (run / CHECKPOINT, run / PREVIOUS):
            if file.exists():
                file.write_bytes(without_checksums(file))
        x = np.load(tmp_path / "a.npz")["x"]
        unseen = 1  # none of the 16 samples that are compared
        x[unseen] += 1e-9
        self.change(tmp_path / "a.npz", lambda arrays: arrays.update(x=x))
        said: list[str] = []
        nncli.resume(run, on_warning=said.append)
        assert said == []
        _, metadata = safetensors_format.read(run / CHECKPOINT)
        terms = json.loads(metadata["terms"])
        assert terms["checksums"]["train"].keys() == {"inputs", "targets", "type"}
        assert [line for line, _ in terms["metrics"]] == [1, 2, 3, 4, 5, 6]

    def test_every_byte_of_mapped_integers(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Which nothing else reads from end to end."""
        monkeypatch.setattr("nncli.data.scaling.BLOCK", 100)
        x = np.zeros((1000, 10), np.uint8)
        np.save(tmp_path / "x.npy", x)
        np.save(tmp_path / "y.npy", np.arange(1000) % 2)
        pair = f"{{inputs: {tmp_path / 'x.npy'}, targets: {tmp_path / 'y.npy'}}}"
        interrupted(tmp_path / "run", 1, f"data.train={pair}")
        for place in ((501, 3), (999, 9), (0, 0)):
            changed = x.copy()
            changed[place] = 1
            np.save(tmp_path / "x.npy", changed)
            with pytest.raises(RunError, match="have changed: train has other inputs"):
                nncli.resume(tmp_path / "run")
        np.save(tmp_path / "x.npy", x)
        nncli.resume(tmp_path / "run")

    def test_only_who_asks_reads_mapped_integers(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("nncli.data.dataset.checksum_of", pytest.fail)
        np.save(tmp_path / "x.npy", np.zeros((100, 10), np.uint8))
        np.save(tmp_path / "y.npy", np.arange(100) % 2)
        text = (
            "data: {train: {inputs: x.npy, targets: y.npy}}\n"
            "network: [{type: dense, units: 2}]\n"
            "train: {eta: 1, epochs: 1, batch_size: 10, cost: quadratic}"
        )
        spec = parse_spec(text, folder=tmp_path)
        nncli.inspect(spec, checked=False)
        nncli.summary(spec)

    def test_a_checksum_of_some_bytes_of_an_older_version(self, run: Path) -> None:
        """It is none: the data are compared as those of a version without any."""
        older = {"inputs": 1, "targets": 2, "type": "<f8", "covered": 10, "size": 20}
        assert checksums_from({"train": older}) == {}
        whole = {**older, "covered": 20}
        assert checksums_from({"train": whole}) == {"train": whole}
        with pytest.raises(Malformed):
            checksums_from({"train": {**older, "covered": -1}})

    def test_another_scale(self, run: Path) -> None:
        with pytest.raises(
            SpecError, match=r"data\.scale: minmax, but the run was begun with standard"
        ):
            nncli.resume(run, overrides=["data.scale=minmax"])

    def test_validation_where_there_was_none(self, run: Path) -> None:
        with pytest.raises(RunError, match="have changed: train has 40 samples now"):
            nncli.resume(run, overrides=["data.validation=0.2"])


class TestWhatWasLost:
    """A file of a run that was removed or damaged is written again by who has its content."""

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (Path.unlink, "there is no such file; a run folder holds one"),
            (lambda file: os.truncate(file, 40), "damaged: it is no JSON"),
            (
                lambda file: file.write_text('{"format": "nncli.data/1"}'),
                "damaged: it holds no 'input_shape'",
            ),
        ],
    )
    def test_data_json_before_a_resume(
        self, spoil: Callable[[Path], object], said: str, undisturbed: Path
    ) -> None:
        file = undisturbed / DATA
        before = file.read_bytes()
        spoil(file)
        warned: list[str] = []
        nncli.resume(undisturbed, on_warning=warned.append)
        assert file.read_bytes() == before
        assert len(warned) == 1
        assert warned[0].startswith(f"{file}: {said}")
        assert warned[0].endswith("; it is written again")

    def test_data_json_that_tells_of_other_data(self, undisturbed: Path) -> None:
        file = undisturbed / DATA
        before = file.read_text()
        file.write_text(before.replace('"outputs": 2', '"outputs": 1'))
        assert file.read_text() != before
        nncli.resume(undisturbed)
        assert file.read_text() == before

    @pytest.mark.parametrize("is_resumed", [False, True])
    def test_files_removed_during_a_training(
        self, is_resumed: bool, undisturbed: Path, tmp_path: Path
    ) -> None:
        run = tmp_path / "run"

        def watch(event: Epoch | Progress, trainer: Trainer) -> None:
            if event.epoch == 4:
                (run / "spec.yaml").unlink()
                (run / DATA).unlink()

        if is_resumed:
            interrupted(run, 2)
            nncli.resume(run, on_event=watch)
        else:
            nncli.train(spec_of(), out=run, on_event=watch)
        assert ending(run) == ending(undisturbed)
        for name in ("spec.yaml", DATA):
            assert (run / name).read_bytes() == (undisturbed / name).read_bytes()

    def test_metrics_removed_during_a_training(self, undisturbed: Path, tmp_path: Path) -> None:
        """They hold the lock, so the training is not saved on; what was saved can go on."""
        run = tmp_path / "run"

        def watch(event: Epoch | Progress, trainer: Trainer) -> None:
            if event.epoch == 1:
                (run / METRICS).unlink()

        with pytest.raises(UnsavedError, match=r"metrics\.jsonl: cannot be written: no such file"):
            nncli.train(spec_of(), out=run, on_event=watch)
        nncli.resume(run)
        assert ending(run) == ending(undisturbed)

    @pytest.mark.parametrize("is_there", [False, True], ids=["missing", "empty"])
    def test_metrics_before_a_resume(
        self, is_there: bool, undisturbed: Path, tmp_path: Path
    ) -> None:
        run = tmp_path / "run"
        interrupted(run, 2)
        (run / METRICS).unlink()
        if is_there:
            (run / METRICS).touch()
        warned: list[str] = []
        nncli.resume(run, on_warning=warned.append)
        told = f"{run / METRICS}:1: the record of epoch 1 is missing"
        assert warned == [f"{told}; the checkpoint before it is used"]
        assert ending(run) == ending(undisturbed)

    def test_a_spec_alone_is_no_run_to_add_metrics_to(self, tmp_path: Path) -> None:
        (tmp_path / "spec.yaml").write_text(SPEC)
        with pytest.raises(RunError, match=r"metrics\.jsonl: cannot be opened: no such file"):
            nncli.resume(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["spec.yaml"]


class TestOneAtATime:
    def test_a_second_training_refuses(self, tmp_path: Path) -> None:
        tried: list[str] = []

        def watch(event: Epoch | Progress, trainer: Trainer) -> None:
            if not tried:
                attempts: tuple[Callable[[], object], ...] = (
                    lambda: nncli.resume(tmp_path / "run"),
                    lambda: nncli.train(spec_of(), out=tmp_path / "run", overwrite=True),
                )
                for again in attempts:
                    with pytest.raises(
                        RunError, match="another training is writing there"
                    ) as error:
                        again()
                    tried.append(str(error.value))

        nncli.train(spec_of(), out=tmp_path / "run", on_event=watch)
        assert len(tried) == 2
        nncli.resume(tmp_path / "run")  # it has let go

    def test_two_that_begin_at_once(self, tmp_path: Path, undisturbed: Path) -> None:
        """The second comes to the new folder while the first has but locked it."""
        first = RunFolder._locked(make(tmp_path / "run"), 0o100)
        with pytest.raises(RunError, match="another training is writing there"):
            nncli.train(spec_of(), out=tmp_path / "run")
        first.close()
        nncli.train(spec_of(), out=tmp_path / "run")
        assert ending(tmp_path / "run") == ending(undisturbed)

    def test_metrics_that_are_a_pipe_are_not_waited_for(self, undisturbed: Path) -> None:
        (undisturbed / METRICS).unlink()
        os.mkfifo(undisturbed / METRICS)
        with pytest.raises(RunError, match=r"metrics\.jsonl: cannot be opened: it is no regular"):
            nncli.resume(undisturbed, overrides=["train.epochs=9"])

    def test_a_link_to_elsewhere_is_not_followed(self, undisturbed: Path, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        (undisturbed / METRICS).rename(elsewhere)
        (undisturbed / METRICS).symlink_to(elsewhere)
        before = elsewhere.read_bytes()
        with pytest.raises(RunError, match=f"{METRICS}: cannot be opened: "):
            nncli.resume(undisturbed, overrides=["train.epochs=9"])
        assert elsewhere.read_bytes() == before


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_what_a_killed_training_left_half_written_goes(tmp_path: Path) -> None:
    interrupted(tmp_path / "run", 2)
    left = tmp_path / "run" / f".{CHECKPOINT}.0123456789ab"
    left.write_bytes(b"half")
    mine = tmp_path / "run" / f".{METRICS}.swp"
    mine.write_bytes(b"an editor's")
    nncli.resume(tmp_path / "run")
    assert not left.exists()
    assert mine.exists()


@pytest.mark.parametrize(
    ("name", "why"),
    [("none", "there is no such folder"), ("empty", r"it holds no spec\.yaml")],
)
def test_what_is_no_run(name: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=f"is no run folder: {why}"):
        nncli.resume(tmp_path / name)
    assert list((tmp_path / "empty").iterdir()) == []
