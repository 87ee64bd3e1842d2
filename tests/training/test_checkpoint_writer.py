"""What happens to a training whose run folder cannot be written."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nncli
from nncli.core.errors import DivergedError, InterruptedTraining, RunError, UnsavedError
from nncli.training import checkpoint_writer as writer
from nncli.training.history import Epoch, Progress
from nncli.training.run_files import METRICS
from nncli.training.run_folder import RunFolder
from nncli.training.trainer import Trainer
from tests.soak.kills import ending
from tests.training.test_resume import interrupt_at, spec_of

FULL = "no space left on device"


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saves without a pause."""
    monkeypatch.setattr(writer, "MIN_PAUSE", 0.0)
    monkeypatch.setattr(writer, "PAUSE_FACTOR", 0)
    monkeypatch.setattr(writer, "RETRY_PAUSE", 0.0)


class Disk:
    """A disk that fills up, and may be emptied again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = False
        self.refused = threading.Event()
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fsync(self, handle: int) -> None:
        if self.is_full:
            self.refused.set()
            raise OSError(28, "No space left on device")
        self._fsync(handle)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def full_from_epoch_2(disk: Disk, until: int = 99) -> Callable[[Epoch | Progress, Trainer], None]:
    """Fills the disk after epoch 2; and empties it after `until`, once that was noticed."""

    def watch(event: Epoch | Progress, trainer: Trainer) -> None:
        disk.is_full = 2 <= event.epoch < until
        if disk.is_full:
            disk.refused.wait(10)

    return watch


@pytest.mark.usefixtures("eager")
class TestAFullDisk:
    def test_the_training_goes_on_and_says_so_once(self, disk: Disk, tmp_path: Path) -> None:
        said: list[str] = []
        with pytest.raises(
            UnsavedError, match=f"done, but its end is not saved\n.*{FULL}"
        ) as error:
            nncli.train(
                spec_of(),
                out=tmp_path / "run",
                on_event=full_from_epoch_2(disk),
                on_warning=said.append,
            )
        assert len(error.value.training.history) == 6
        assert error.value.is_done
        assert len(said) == 1
        assert said[0].endswith(f"cannot be written: {FULL}; the training goes on, and tries again")

    def test_what_was_saved_before_goes_on(self, disk: Disk, tmp_path: Path) -> None:
        with pytest.raises(UnsavedError):
            nncli.train(spec_of(), out=tmp_path / "run", on_event=full_from_epoch_2(disk))
        disk.is_full = False
        nncli.resume(tmp_path / "run")
        nncli.train(spec_of(), out=tmp_path / "whole")
        assert ending(tmp_path / "run") == ending(tmp_path / "whole")

    def test_once_there_is_room_again_all_is_saved(self, disk: Disk, tmp_path: Path) -> None:
        nncli.train(spec_of(), out=tmp_path / "run", on_event=full_from_epoch_2(disk, until=4))
        nncli.train(spec_of(), out=tmp_path / "whole")
        assert ending(tmp_path / "run") == ending(tmp_path / "whole")

    def test_an_interruption_that_cannot_be_saved(self, disk: Disk, tmp_path: Path) -> None:
        disk.is_full = True
        with pytest.raises(UnsavedError, match="interrupted, but its end is not saved") as error:
            nncli.train(spec_of(), out=tmp_path / "run", on_event=interrupt_at(2))
        assert not error.value.is_done

    def test_a_divergence_comes_first(self, disk: Disk, tmp_path: Path) -> None:
        disk.is_full = True
        said: list[str] = []
        linear = ["network[0].activation=identity", "network[1].activation=identity"]
        spec = spec_of("train.eta=0.35", "train.epochs=50", *linear)
        with pytest.raises(DivergedError) as error:
            nncli.train(spec, out=tmp_path / "run", on_warning=said.append)
        assert len(error.value.training.history) > 0
        assert FULL in said[0]


def test_a_folder_that_is_taken_away(tmp_path: Path) -> None:
    def watch(event: Epoch | Progress, trainer: Trainer) -> None:
        if event.epoch == 2:
            (tmp_path / "run").rename(tmp_path / "elsewhere")

    with pytest.raises(UnsavedError, match=f"run/{METRICS}: cannot be written: no such file"):
        nncli.train(spec_of(), out=tmp_path / "run", on_event=watch)


def test_a_file_in_the_folders_place(tmp_path: Path) -> None:
    def watch(event: Epoch | Progress, trainer: Trainer) -> None:
        if event.epoch == 2:
            (tmp_path / "run").rename(tmp_path / "elsewhere")
            (tmp_path / "run").write_text("x")

    with pytest.raises(UnsavedError, match="cannot be written: not a directory"):
        nncli.train(spec_of(), out=tmp_path / "run", on_event=watch)


def test_another_run_in_the_folders_place_is_left_alone(tmp_path: Path) -> None:
    def watch(event: Epoch | Progress, trainer: Trainer) -> None:
        if event.epoch == 2:
            (tmp_path / "run").rename(tmp_path / "elsewhere")
            nncli.train(spec_of("seed=9"), out=tmp_path / "run")

    nncli.train(spec_of("seed=9"), out=tmp_path / "whole")
    with pytest.raises(UnsavedError, match="another file is there by now"):
        nncli.train(spec_of(), out=tmp_path / "run", on_event=watch)
    assert ending(tmp_path / "run") == ending(tmp_path / "whole")


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("left", [0, 500])
def test_metrics_that_another_program_cut_off_are_written_again(left: int, tmp_path: Path) -> None:
    metrics = tmp_path / "run" / METRICS

    def watch(event: Epoch | Progress, trainer: Trainer) -> None:
        if event.epoch == 4:
            while metrics.stat().st_size <= left:
                time.sleep(0.01)
            os.truncate(metrics, left)

    nncli.train(spec_of(), out=tmp_path / "run", on_event=watch)
    nncli.train(spec_of(), out=tmp_path / "whole")
    assert ending(tmp_path / "run") == ending(tmp_path / "whole")


def test_a_bug_in_the_thread_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(writer, "pack_checkpoint", wrong)
    with pytest.raises(ZeroDivisionError):
        nncli.train(spec_of(), out=tmp_path / "run")


def test_a_short_training_is_written_at_its_end_and_waits_for_nothing(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.is_full = True  # of the disk's, only waiting for it would tell

    def watch(event: Epoch | Progress, trainer: Trainer) -> None:
        assert [path.name for path in (tmp_path / "run").iterdir()] == [METRICS]

    monkeypatch.setattr(writer, "Thread", None)
    nncli.train(spec_of(), out=tmp_path / "run", on_event=watch, durable=False)
    disk.is_full = False
    nncli.train(spec_of(), out=tmp_path / "whole")
    assert ending(tmp_path / "run") == ending(tmp_path / "whole")


def test_an_impatient_interruption_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A KeyboardInterrupt leaves while the disk hangs; the thread ends by itself."""
    released = threading.Event()
    fsync = os.fsync

    def hanging(handle: int) -> None:
        released.wait(30)
        fsync(handle)

    def watch(event: Epoch | Progress, trainer: Trainer) -> None:
        if event.epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", hanging)
    with pytest.raises(KeyboardInterrupt):
        nncli.train(spec_of(), out=tmp_path / "run", on_event=watch)
    with pytest.raises(RunError, match="another training is writing there"):
        nncli.resume(tmp_path / "run")
    released.set()
    for thread in threading.enumerate():
        if thread.name == "nncli writer":
            thread.join()
    nncli.resume(tmp_path / "run")
    nncli.train(spec_of(), out=tmp_path / "whole")
    assert ending(tmp_path / "run") == ending(tmp_path / "whole")


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(("every", "is_saved"), [(0.0, True), (1000.0, False)])
def test_long_epochs_are_saved_within(
    every: float, is_saved: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nncli.training.trainer.PROGRESS_INTERVAL", -1.0)
    saved = threading.Event()
    save = RunFolder.save

    def seen(*arguments: Any, durable: bool) -> None:
        save(*arguments, durable=durable)
        saved.set()

    def watch(event: Epoch | Progress, trainer: Trainer) -> None:
        if trainer.samples == 4:  # of 7 in the first epoch
            assert saved.wait(10 if is_saved else 0.1) == is_saved
            raise InterruptedTraining("enough")

    monkeypatch.setattr(RunFolder, "save", seen)
    with pytest.raises(InterruptedTraining):
        nncli.train(spec_of(), out=tmp_path / "run", checkpoint_every=every, on_event=watch)
