"""A runner whose trials are trained by the workers of a Dask cluster."""

import os
import pickle
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from nncli.app.sweeping.places import Cluster
from nncli.app.sweeping.processes import PATIENCE
from nncli.app.sweeping.remote import (
    About,
    Errand,
    Mark,
    Return,
    about,
    file_system,
    read_files,
    run_errand,
    stop_sweep,
    write_files,
)
from nncli.app.sweeping.trial import Outcome, Task, anywhere, versions
from nncli.core.errors import NncliError, RunError
from nncli.core.files import reason
from nncli.core.text import count_of, first_of, printable
from nncli.spec import Spec
from nncli.training.run_files import is_run_folder

MARK = ".seen-by-workers"
A_WORKER = 4  # tasks for each worker, of which it trains one: the next is there when it ends
COUNTED_EVERY = 2.0  # seconds between two counts of the workers
ANSWERED = 10.0  # seconds for workers to tell about themselves


class Dask:
    """Gives trials to the workers of a cluster; a worker that dies costs no more than its own.

    The scheduler gives what that was at to another, which goes on from the last checkpoint where it
    sees the folder of the sweep, or has a store, and else begins anew.
    """

    def __init__(self, cluster: Cluster, folder: Path, store: str | None, spec: Spec) -> None:
        """
        Args:
            folder: of the sweep.
            store: a folder of fsspec's, where workers keep the states of what they train.
            spec: of the sweep, of which workers need the files.

        Raises:
            NncliError: the store is none, or a worker cannot do this sweep's trials.
        """
        self._cluster, self._client, self._folder = cluster, cluster.client, folder
        self._store = None if store is None else _checked(store)
        self._name = os.urandom(8).hex()
        self._mark = Mark(Path(os.path.realpath(folder)) / MARK, self._name)
        self._mark.path.write_text(self._name)
        self._under_way: dict[Any, Task] = {}
        self._ended: SimpleQueue[Any] = SimpleQueue()
        self._spec: tuple[Spec, bytes] | None = None
        self._counted, self._workers = -COUNTED_EVERY, 0
        self.notes = list(cluster.notes)
        try:
            self._check_workers(spec)
        except BaseException:
            self.close()
            raise

    def _check_workers(self, spec: Spec) -> None:
        self._versions = versions()
        if not self._count():
            self.notes.append(
                f"{self._cluster.where} has no workers yet; trials wait for the first"
            )
            return
        paths = [os.path.realpath(path) for path in spec.named_files()]
        found: Mapping[str, About | BaseException] = self._client.run(
            about, self._mark, paths, self._store, on_error="return"
        )
        problems = [
            f"worker {worker}: {what}"
            for worker, told in sorted(found.items())
            if (what := self._why_unfit(told)) is not None
        ]
        if problems:
            raise NncliError("\n".join(problems))
        known = {worker: told for worker, told in found.items() if isinstance(told, About)}
        others = {
            worker: told.versions
            for worker, told in known.items()
            if told.versions != self._versions
        }
        for worker, theirs in sorted(others.items())[:1]:
            words = ", ".join(f"{k} {v}" for k, v in theirs.items() if v != self._versions.get(k))
            count = count_of(len(others), "worker")
            self.notes.append(
                f"{count} of {len(known)} are not like this machine ({worker}: {words}): "
                "the last bits may differ"
            )
        blind = sum(not told.sees_folder for told in known.values())
        if blind:
            kept = "what it did since it last kept its state" if self._store else "its trial again"
            count, folder = count_of(len(known), "worker"), printable(self._folder)
            self.notes.append(
                f"{blind} of {count} do not see {folder}: their runs come back when they end, and "
                f"one that dies costs {kept}"
            )

    def _why_unfit(self, told: About | BaseException) -> str | None:
        own = self._versions["nncli"]
        if isinstance(told, ModuleNotFoundError):
            return f"has no {told.name}; it needs nncli {own}, as is here"
        if isinstance(told, BaseException):
            return f"cannot train: {type(told).__name__}: {told}; it needs nncli {own}, as is here"
        theirs = told.versions["nncli"]
        if theirs != own:
            return f"has nncli {theirs}, and this is {own}; a sweep is of one version"
        if told.missing:
            return f"does not see {first_of(told.missing, 3)}, which the spec names"
        if told.refused is not None:
            store = printable(self._store or "")
            return f"cannot write to the store {store}: {printable(told.refused)}"
        return None

    def _count(self) -> int:
        """How many workers there are, as was known a moment ago."""
        if monotonic() - self._counted > COUNTED_EVERY:
            self._counted = monotonic()
            with suppress(OSError):
                self._workers = len(self._client.scheduler_info(n_workers=-1)["workers"])
        return self._workers

    def wanted(self) -> int:
        return max(1, self._count()) * A_WORKER - len(self._under_way)

    def submit(self, task: Task) -> None:
        sent = anywhere(task)
        if self._spec is None or self._spec[0] is not task.spec:
            self._spec = (task.spec, pickle.dumps(sent.spec))
        files = dict(read_files(task.folder)) if is_run_folder(task.folder) else {}
        bare: Any = sent._replace(spec=None)  # type: ignore[arg-type]
        errand = Errand(
            bare,
            self._spec[1],
            self._name,
            self._versions["nncli"],
            self._mark,
            self._store,
            files,
        )
        key = f"nncli-{task.id}-{os.urandom(4).hex()}"
        future = self._client.submit(run_errand, errand, key=key, pure=False)
        self._under_way[future] = task
        future.add_done_callback(self._ended.put)

    def ended(self, seconds: float) -> list[Outcome]:
        """
        Raises:
            RunError: the scheduler is gone.
        """
        outcomes = []
        with suppress(Empty):
            future = self._ended.get(timeout=seconds)
            while True:
                if future in self._under_way:
                    outcomes.append(self._outcome(future))
                future = self._ended.get_nowait()
        if not outcomes:
            self._check_scheduler()
        return outcomes

    def _check_scheduler(self) -> None:
        if self._client.status != "running":
            raise RunError(
                f"{printable(self._cluster.where)}: the scheduler is gone; what was done is kept. "
                f"Once it is there again, nncli sweep --resume {printable(self._folder)} "
                f"--on {printable(self._cluster.where)} goes on"
            )

    def _outcome(self, future: Any) -> Outcome:
        task = self._under_way.pop(future)
        if future.status == "finished":
            returned: Return = future.result()
            try:
                write_files(task.folder, returned.files)
            except OSError as error:
                text = f"{printable(task.folder)}: cannot be written: {reason(error)}"
                return Outcome(task.id, "failed", None, text, "run")
            return returned.outcome
        if future.status in ("cancelled", "lost"):
            self._check_scheduler()
            return Outcome(task.id, "failed", None, "its task was lost by the scheduler", "killed")
        failure = future.exception()
        if type(failure).__name__ == "KilledWorker":
            # The scheduler has tried it on others by itself.
            text = "each of the workers that trained it died, as where memory is short"
            return Outcome(task.id, "failed", None, text, "killed")
        text = f"{type(failure).__name__}: {failure}"
        return Outcome(task.id, "failed", None, text, "error")

    def stop(self) -> list[Outcome]:
        outcomes = []
        with suppress(Exception):  # a scheduler that is gone: then there is nothing to stop
            self._client.run(stop_sweep, self._name)
            until = monotonic() + PATIENCE
            while self._under_way and (left := until - monotonic()) > 0:
                outcomes += self.ended(min(left, 0.5))
        return outcomes

    def close(self) -> None:
        with suppress(OSError):
            self._mark.path.unlink()
        with suppress(Exception):
            self._client.cancel(list(self._under_way))


def _checked(store: str) -> str:
    try:
        file_system(store)
    except (ImportError, ValueError) as error:
        raise NncliError(
            f"--store {printable(store)}: is no folder to keep runs in: {error}"
        ) from error
    return store if "://" in store else os.path.realpath(store)
