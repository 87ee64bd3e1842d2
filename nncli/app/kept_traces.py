"""Steps of a training that are recorded whole, in its run folder."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from queue import Queue
from threading import Thread
from types import TracebackType

from nncli.app.records import Prepared
from nncli.core.errors import RunError
from nncli.core.files import reason, write_whole
from nncli.core.text import count_of, printable
from nncli.core.version import own_version
from nncli.nn.parallel.blas import arithmetic
from nncli.spec.dump import dump_portable
from nncli.training.run_files import TRACES
from nncli.training.trace_file import SUFFIX, StepFacts, pack_trace, size_of
from nncli.training.trace_times import Traced

WAITING = 2  # records that wait to be written
LARGE = 32 << 20  # bytes of a record


def facts_of(prepared: Prepared, step: int, threads: int) -> StepFacts:
    """What a step is taken with, for its file."""
    batch, split = batch_of(prepared), prepared.spec.train.micro_batches
    spec = dump_portable(prepared.spec)
    return StepFacts(spec, step, threads, batch, arithmetic(), own_version(), split)


def batch_of(prepared: Prepared) -> int:
    """For how many samples the workers are begun."""
    return min(prepared.plan.batch_size, len(prepared.data.train))


class TraceKeeper:
    """Writes records of a training's steps into its run folder, from a thread of its own.

    The training goes on meanwhile, but few steps ahead: a record takes memory until it is written,
    and a large one is waited for. A context manager: leaving it waits until all are written, unless
    it is left by a KeyboardInterrupt or the like.
    """

    def __init__(
        self,
        prepared: Prepared,
        threads: int,
        run: Path,
        warn: Callable[[str], None],
        folder: str = TRACES,
    ) -> None:
        """
        Args:
            warn: called, in the thread of `keep`, with what could not be written.
        """
        self.folder = run / folder
        self._name = prepared.spec.name
        self._facts = facts_of(prepared, 1, threads)
        self._warn = warn
        self._waiting: Queue[Traced | None] = Queue(WAITING)
        self._thread: Thread | None = None
        # Written by the thread, one after the other:
        self._failures: list[RunError] = []
        self._bug: BaseException | None = None
        self._is_told = self._is_large = False

    def keep(self, traced: Traced) -> None:
        """Hands over a step to be written; a failing computer may lose it."""
        if self._thread is None:
            self._is_large = size_of(traced.trace) > LARGE
            self._thread = Thread(target=self._run, name="nncli traces", daemon=True)
            self._thread.start()
        self._waiting.put(traced)
        if self._is_large:
            self.flush()
        self._tell_first()

    def flush(self) -> None:
        """Waits until all that was handed over is written."""
        self._waiting.join()

    def __enter__(self) -> "TraceKeeper":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._thread is None or not (error is None or isinstance(error, Exception)):
            return
        self._waiting.put(None)
        self._thread.join()
        if self._bug is not None:
            raise self._bug
        self._tell_first()
        if (lost := len(self._failures)) > 1:
            steps = f"{count_of(lost, 'step')} that could not be written"
            self._warn(f"{printable(self.folder)}: lacks {steps}")

    def _tell_first(self) -> None:
        if self._failures and not self._is_told:
            self._is_told = True
            self._warn(f"{self._failures[0]}; the training goes on without")

    def _run(self) -> None:
        while (traced := self._waiting.get()) is not None:
            try:
                if self._bug is None:
                    self._write(traced)
            except RunError as error:
                self._failures.append(error)
            except Exception as bug:  # raised where the training ends, not lost with the thread
                self._bug = bug
            finally:
                self._waiting.task_done()

    def _write(self, traced: Traced) -> None:
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            message = f"{printable(self.folder)}: cannot be made: {reason(error)}"
            raise RunError(message) from error
        trace = replace(traced.trace, name=self._name)
        content = pack_trace(trace, self._facts._replace(step=traced.step))
        write_whole(self.folder / f"step-{traced.step:08}{SUFFIX}", content, durable=False)
