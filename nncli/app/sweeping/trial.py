"""One training of a sweep, in whichever process: a task in, an outcome out."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from nncli.app.pipeline import prepare
from nncli.app.records import Training
from nncli.app.resume import resume
from nncli.app.sources import load_data
from nncli.app.sweep_records import State
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
from nncli.data import Data
from nncli.spec import Spec
from nncli.spec.trials import Choice, trial_spec
from nncli.training.run_files import is_run_folder

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
EPOCH_METRICS = ("train_cost", "train_accuracy", "validation_cost", "validation_accuracy")
DATA_KEPT = 2  # data that a process keeps, as long as trials have them


class Task(NamedTuple):
    """A trial to train. `spec` is that of the sweep, into which `values` are put."""

    id: str
    spec: Spec
    values: Choice
    folder: Path


class Outcome(NamedTuple):
    """What became of a trial; its attributes are those of `nncli.app.sweep_records.Trial`."""

    id: str
    state: State
    metrics: dict[str, Any] | None = None
    error: str | None = None
    cause: str | None = None
    seconds: float | None = None


class DataCache:
    """The data of the last specs: trials that share their data share them in memory too."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Data] = OrderedDict()

    def of(self, spec: Spec) -> Data:
        """The data of a spec without the test data, which no trial is measured on."""
        values = spec.absolute()
        # A share that is held back follows from the seed.
        seed = spec.seed if isinstance(spec.data.validation, float) else None
        key = to_json([values["data"], spec.dtype, seed])
        if key not in self._kept:
            self._kept[key] = load_data(spec)._replace(test=None)
            while len(self._kept) > DATA_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


_CACHE = DataCache()


def run_trial(task: Task, should_stop: Callable[[], bool] | None = None) -> Outcome:
    """Trains a trial into its run folder; raises nothing but what ends the process.

    A run that is there already is gone on with, from its last checkpoint.
    """
    began = perf_counter()

    def stop(*_: object) -> None:
        if should_stop is not None and should_stop():
            raise InterruptedTraining("interrupted")

    try:
        training = _train(task, stop)
    except InterruptedTraining:
        return Outcome(task.id, "stopped", seconds=perf_counter() - began)
    except Exception as error:
        cause = next((word for kind, word in CAUSES if isinstance(error, kind)), "error")
        text = str(error) if isinstance(error, NncliError) else f"{type(error).__name__}: {error}"
        if isinstance(error, MemoryError):
            text = "out of memory"
        return Outcome(task.id, "failed", None, text, cause, perf_counter() - began)
    return Outcome(task.id, "done", metrics_of(training), seconds=perf_counter() - began)


def _train(task: Task, stop: Callable[..., None]) -> Training:
    spec = trial_spec(task.spec, task.values)
    if is_run_folder(task.folder):
        try:
            return resume(task.folder, on_event=stop)
        except (RunError, SpecError, DataError):
            pass  # it is damaged, or of another version: trained anew
    prepared = prepare(spec, data=_CACHE.of(spec))
    return train(prepared, out=task.folder, overwrite=True, on_event=stop, durable=False)


def metrics_of(training: Training) -> dict[str, Any]:
    """The numbers of the epoch whose weights a run uses."""
    assert training.used is not None
    epoch = training.history[training.used.epoch - 1]
    metrics: dict[str, Any] = {key: getattr(epoch, key) for key in EPOCH_METRICS}
    return {**metrics, "epoch": epoch.epoch, "epochs": len(training.history)}
