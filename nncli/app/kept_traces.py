"""Steps of a training that are recorded whole, in its run folder."""

import mmap
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np

from nncli.app.records import Prepared
from nncli.core.errors import NncliError, RunError
from nncli.core.files import reason, write_whole
from nncli.core.text import count_of, printable
from nncli.core.version import own_version
from nncli.nn.arrays import LINE
from nncli.nn.parallel.blas import arithmetic
from nncli.nn.parallel.process_worker import ProcessWorker, can_fork
from nncli.nn.recorder import TraceReader, TraceRecorder
from nncli.nn.trace import Trace
from nncli.spec.dump import dump_portable
from nncli.training.run_files import TRACES
from nncli.training.trace_file import SUFFIX, Packing, StepFacts, pack, packing_of
from nncli.training.trace_times import Traced, read_step


def facts_of(prepared: Prepared, step: int, threads: int) -> StepFacts:
    """What a step is taken with, for its file."""
    batch, split = batch_of(prepared), prepared.spec.train.micro_batches
    spec = dump_portable(prepared.spec)
    return StepFacts(spec, step, threads, batch, arithmetic(), own_version(), split)


def batch_of(prepared: Prepared) -> int:
    """For how many samples the workers are begun."""
    return min(prepared.plan.batch_size, len(prepared.data.train))


class TraceKeeper:
    """Writes records of a training's steps into its run folder, where it can from a second process.

    The training goes on meanwhile. A thread would take turns with it at Python's lock, at every
    call to the system, and hold it up for as long as writing takes.

    A context manager: leaving it waits until all are written, unless it is left by a
    KeyboardInterrupt or the like.
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
            warn: called with what could not be written.
        """
        self.folder = run / folder
        self._name = prepared.spec.name
        self._facts = facts_of(prepared, 1, threads)
        self._warn = warn
        self._writers: dict[TraceRecorder, _Writer] = {}
        self._can_fork = can_fork()
        self._lost = 0
        self._is_made = False

    @property
    def pids(self) -> list[int]:
        """Of the processes that write; there is one for each size of mini-batch."""
        return [writer.process.pid for writer in self._writers.values()]

    @property
    def is_idle(self) -> bool:
        """Whether all that was handed over is written."""
        return not any(writer.process.is_busy for writer in self._writers.values())

    def keep(self, traced: Traced) -> None:
        """Takes a step, to be written; a failing computer may lose it."""
        self.flush()
        if self._can_fork:
            try:
                writer = self._writers.get(traced.recorder)
                if writer is None:
                    writer = self._writers[traced.recorder] = _Writer(
                        traced, self._facts, self._write
                    )
                writer.take(traced)
                return
            except (OSError, NncliError):  # the system allows no more processes, or ended this one
                self._stop()
                self._can_fork = False
        self.keep_record(traced.step, traced.trace())

    def keep_record(self, step: int, trace: Trace) -> None:
        """Writes the record of a step."""
        try:
            self._write(step, trace, packing_of(trace, self._facts))
        except RunError as error:
            self._tell(error)

    def flush(self) -> None:
        """Waits until all that was handed over is written."""
        for writer in self._writers.values():
            try:
                writer.process.wait()
                writer.process.raise_error()
            except RunError as error:
                self._tell(error)
            except NncliError:
                self._stop()
                self._can_fork = False
                self._tell(
                    RunError(
                        f"{printable(self.folder)}: a record was lost with the process that wrote "
                        "it, which was ended from outside"
                    )
                )
                return

    def __enter__(self) -> "TraceKeeper":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, Exception):
            try:
                self.flush()
            finally:
                self._stop()
            if self._lost > 1:
                steps = f"{count_of(self._lost, 'step')} that could not be written"
                self._warn(f"{printable(self.folder)}: lacks {steps}")

    def _stop(self) -> None:
        for writer in self._writers.values():
            writer.process.stop()
        self._writers = {}

    def _tell(self, error: RunError) -> None:
        if not self._lost:
            self._warn(f"{error}; the training goes on without")
        self._lost += 1

    def _write(self, step: int, trace: Trace, packing: Packing) -> None:
        try:
            if not self._is_made:
                self.folder.mkdir(exist_ok=True)
        except OSError as error:
            message = f"{printable(self.folder)}: cannot be made: {reason(error)}"
            raise RunError(message) from error
        self._is_made = True
        content = pack(trace, self._name, step, packing)
        write_whole(self.folder / f"step-{step:08}{SUFFIX}", content, durable=False)


class _Writer:
    """Memory for a copy of a step's, and a process that sees it too and writes what it comes to.

    Args:
        traced: a step whose recorder is that of all that are to be written.
        facts: what these steps are taken with.
        write: writes a record, given its step and its packing.

    Attributes:
        process: sleeps between two records.

    Raises:
        OSError: the system allows no more processes.
    """

    def __init__(
        self, traced: Traced, facts: StepFacts, write: Callable[[int, Trace, Packing], None]
    ) -> None:
        self._recorder, self._among = traced.recorder, traced.among
        self._facts, self._write = facts, write
        self._packing: Packing | None = None
        n = len(traced.rows)
        in_front = -(-(24 + 8 * n) // LINE) * LINE
        memory = mmap.mmap(-1, in_front + traced.recorder.size)
        self._numbers = np.frombuffer(memory, np.float64, 2)
        self._step = np.frombuffer(memory, np.int64, 1, 16)
        self._rows = np.frombuffer(memory, np.int64, n, 24)
        self._room = np.frombuffer(memory, np.uint8, offset=in_front)
        self.process = ProcessWorker([[_yield_first], [self._write_next]], 0, spins=0)
        self.process.start(0)

    def take(self, traced: Traced) -> None:
        """Copies a step's memory, and has it written.

        Raises:
            NncliError: the process has been ended from outside.
        """
        self.process.wait()
        self._numbers[:] = traced.eta, traced.cost
        self._step[0] = traced.step
        self._rows[:] = traced.rows
        traced.recorder.copy(self._room)
        self.process.start(1)

    # What follows is the process's own.

    def _write_next(self) -> None:
        eta, cost = self._numbers.tolist()
        trace = read_step(self._reader, eta, cost, self._rows, self._among)
        if self._packing is None:  # their arrays are the same
            self._packing = packing_of(trace, self._facts)
        self._write(int(self._step[0]), trace, self._packing)

    @cached_property
    def _reader(self) -> TraceReader:
        return self._recorder.reader(self._room)


def _yield_first() -> None:
    """Has a process wait for a core rather than take that of the training when it wakes."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
