"""One training of a sweep, in whichever process: a task in, an outcome out."""

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from nncli.app.pipeline import prepare
from nncli.app.records import Training
from nncli.app.resume import reopen, resume
from nncli.app.sources import load_data
from nncli.app.sweep_records import METRICS, State
from nncli.app.sweeping.shared import shared
from nncli.app.train import train
from nncli.core.errors import (
    DataError,
    DivergedError,
    HaltedTraining,
    InterruptedTraining,
    NncliError,
    RunError,
    SpecError,
    UnsavedError,
)
from nncli.core.jsons import to_json
from nncli.core.version import own_version
from nncli.data import Data
from nncli.nn.parallel.blas import arithmetic
from nncli.spec import Spec
from nncli.spec.load import placed
from nncli.spec.trials import Choice, trial_spec
from nncli.training.history import Epoch, Progress
from nncli.training.run_files import is_run_folder
from nncli.training.trainer import Trainer

CAUSES: tuple[tuple[type[Exception], str], ...] = (
    (DivergedError, "diverged"),
    (HaltedTraining, "halted"),
    (SpecError, "spec"),
    (DataError, "data"),
    (UnsavedError, "run"),
    (RunError, "run"),
    (MemoryError, "memory"),
)
PASSING = ("killed", "memory", "run")  # causes that may be gone the next time
LASTING = ("diverged", "halted")  # those that are there each time
DATA_KEPT = 2  # data that a process keeps, as long as trials have them


class Task(NamedTuple):
    """A trial to train. `spec` is that of the sweep, into which `values` are put.

    It is trained up to the epoch `until`, or to its end. `shared` is where the processes of its
    machine share data, see `nncli.app.sweeping.shared`.
    """

    id: str
    spec: Spec
    values: Choice
    folder: Path
    until: int | None = None
    shared: Path | None = None


def anywhere(task: Task) -> Task:
    """The task for a process that may run in another folder, where relative paths lead nowhere."""
    shared = None if task.shared is None else Path(os.path.realpath(task.shared))
    folder = Path(os.path.realpath(task.folder))
    return task._replace(spec=placed(task.spec), folder=folder, shared=shared)


class Outcome(NamedTuple):
    """What became of a task; its attributes are those of `nncli.app.sweep_records.Trial`.

    A trial that came to the epoch `until` of its task has stopped, and has metrics.
    """

    id: str
    state: State
    metrics: dict[str, Any] | None = None
    error: str | None = None
    cause: str | None = None
    seconds: float | None = None
    until: int | None = None


class DataCache:
    """The data of the last specs: trials that share their data share them in memory too."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Data] = OrderedDict()

    def of(self, spec: Spec, folder: Path | None) -> Data:
        """The data of a spec without the test data, which no trial is measured on.

        folder: where the processes of this sweep share theirs.
        """
        key = data_key(spec)
        if key not in self._kept:
            read = partial(_without_test, spec)
            self._kept[key] = read() if folder is None else shared(folder, key, read)
            while len(self._kept) > DATA_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


_CACHE = DataCache()


def data_key(spec: Spec) -> str:
    """The same for specs of the same data."""
    # A share that is held back follows from the seed.
    seed = spec.seed if isinstance(spec.data.validation, float) else None
    return to_json([spec.data.model_dump(), str(spec.folder), spec.dtype, seed])


def _without_test(spec: Spec) -> Data:
    return load_data(spec)._replace(test=None)


def run_trial(task: Task, should_stop: Callable[[], bool] | None = None) -> Outcome:
    """Trains a trial into its run folder; raises nothing but what ends the process.

    A run that is there already is gone on with, from its last checkpoint.
    """
    began = perf_counter()
    outcome = _outcome(task, should_stop or (lambda: False))
    return outcome._replace(seconds=perf_counter() - began, until=task.until)


def _outcome(task: Task, should_stop: Callable[[], bool]) -> Outcome:
    goal = _Goal(task.until, should_stop)
    try:
        training = _train(task, goal)
    except InterruptedTraining:
        last = goal.reached
        return Outcome(task.id, "stopped", None if last is None else _metrics(last, last.epoch))
    except Exception as error:
        cause = next((word for kind, word in CAUSES if isinstance(error, kind)), "error")
        text = str(error) if isinstance(error, NncliError) else f"{type(error).__name__}: {error}"
        if isinstance(error, MemoryError):
            text = "out of memory"
        return Outcome(task.id, "failed", None, text, cause)
    assert training.used is not None
    used = training.history[training.used.epoch - 1]
    return Outcome(task.id, "done", _metrics(used, len(training.history)))


class _Goal:
    """Stops a training at an epoch, or where it is asked to; `reached` is that epoch."""

    def __init__(self, until: int | None, should_stop: Callable[[], bool]) -> None:
        self._until, self._should_stop = until, should_stop
        self.reached: Epoch | None = None

    def look_at(self, history: Sequence[Epoch]) -> None:
        """Takes what a run has done already; raises InterruptedTraining where it went further."""
        if self._until is not None and self._until <= len(history):
            self.reached = history[self._until - 1]
            if self._until < len(history):
                raise InterruptedTraining("interrupted")

    def on_event(self, event: Epoch | Progress, trainer: Trainer) -> None:
        if isinstance(event, Epoch) and event.epoch == self._until and not trainer.is_done:
            self.reached = event
        if self.reached is not None or self._should_stop():
            raise InterruptedTraining("interrupted")


def _train(task: Task, goal: _Goal) -> Training:
    spec = trial_spec(task.spec, task.values)
    data = _CACHE.of(spec, task.shared)
    if is_run_folder(task.folder):
        try:
            run = reopen(task.folder, data=data)
        except (RunError, SpecError, DataError):
            pass  # it is damaged, or of another version: trained anew
        else:
            try:
                goal.look_at(run.point.history)
            except InterruptedTraining:
                run.folder.close()
                raise
            return resume(run, on_event=goal.on_event)
    prepared = prepare(spec, data=data)
    return train(prepared, out=task.folder, overwrite=True, on_event=goal.on_event, durable=False)


def _metrics(epoch: Epoch, epochs: int) -> dict[str, Any]:
    """The numbers of an epoch whose weights a run uses."""
    metrics: dict[str, Any] = {key: getattr(epoch, key) for key in METRICS}
    return {**metrics, "epoch": epoch.epoch, "epochs": epochs}


def versions() -> dict[str, str]:
    """What decides the last bits, besides the specs."""
    return {"nncli": own_version(), **arithmetic()}
