"""Steps of a training that are recorded whole, in its run folder."""

import mmap
import os
import pickle
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from nncli.app.records import Prepared
from nncli.core.errors import NncliError, RunError
from nncli.core.files import reason, write_whole
from nncli.core.text import count_of, printable
from nncli.core.version import own_version
from nncli.nn.arrays import Array
from nncli.nn.parallel.blas import arithmetic
from nncli.nn.parallel.process_worker import ProcessWorker, can_fork
from nncli.nn.trace import LayerTrace
from nncli.spec.dump import dump_portable
from nncli.training.run_files import TRACES
from nncli.training.trace_file import SUFFIX, Packing, StepFacts, numbers_of, pack, packing_of
from nncli.training.trace_times import Traced

MESSAGE = 1 << 20  # bytes for all of a record but its arrays; pages that are not used cost nothing
LENGTH = 8  # bytes in front of it, for its length


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
        self._writer: _Writer | None = None
        self._can_fork = can_fork()
        self._layers: tuple[LayerTrace, ...] = ()  # whose packing is known
        self._packing = Packing("", "", ())
        self._lost = 0
        self._is_made = False

    @property
    def pid(self) -> int | None:
        """Of the process that writes, where there is one."""
        process = None if self._writer is None else self._writer.process
        return None if process is None else process.pid

    @property
    def is_idle(self) -> bool:
        """Whether all that was handed over is written."""
        process = None if self._writer is None else self._writer.process
        return process is None or not process.is_busy

    def room(self, size: int) -> Array:
        """Memory for the next record, of so many bytes, once the one that lies there is written.

        It is the same as before, where that is large enough.
        """
        self.flush()
        if self._writer is None or len(self._writer.room) < size:
            self._stop()
            self._writer = _Writer(size, self._write)
        return self._writer.room

    def keep(self, traced: Traced) -> None:
        """Hands over a step to be written; a failing computer may lose it."""
        trace = traced.trace
        if trace.layers is not self._layers:
            self._layers, self._packing = trace.layers, packing_of(trace)
        work = traced.step, {**numbers_of(trace), "name": self._name}, self._packing
        if self._can_fork and self._writer is not None:
            try:
                if self._writer.take(*work):
                    return
            except (OSError, NncliError):  # the system allows no more processes, or ended this one
                self._can_fork = False
                self._writer.stop()
        try:
            self._write(*work)
        except RunError as error:
            self._tell(error)

    def flush(self) -> None:
        """Waits until all that was handed over is written."""
        process = None if self._writer is None else self._writer.process
        if process is None:
            return
        try:
            process.wait()
        except NncliError:
            self._stop()
            self._can_fork = False
            ended = "a record was lost with the process that wrote it, which was ended from outside"
            self._tell(RunError(f"{printable(self.folder)}: {ended}"))
        try:
            process.raise_error()
        except RunError as error:
            self._tell(error)

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
        if self._writer is not None:
            self._writer.stop()
        self._writer = None

    def _tell(self, error: RunError) -> None:
        if not self._lost:
            self._warn(f"{error}; the training goes on without")
        self._lost += 1

    def _write(self, step: int, numbers: Mapping[str, Any], packing: Packing) -> None:
        try:
            if not self._is_made:
                self.folder.mkdir(exist_ok=True)
        except OSError as error:
            message = f"{printable(self.folder)}: cannot be made: {reason(error)}"
            raise RunError(message) from error
        self._is_made = True
        content = pack(numbers, self._facts._replace(step=step), packing)
        write_whole(self.folder / f"step-{step:08}{SUFFIX}", content, durable=False)


class _Writer:
    """Memory for a record, and a process that sees it too and writes what lies there.

    Args:
        size: bytes of the arrays of a record.
        write: writes one, given its step, its numbers and its packing.

    Attributes:
        process: forked when it is first needed.
    """

    def __init__(self, size: int, write: Callable[[int, Mapping[str, Any], Packing], None]) -> None:
        self._memory = mmap.mmap(-1, MESSAGE + max(1, size))
        self.room: Array = np.frombuffer(self._memory, np.uint8, offset=MESSAGE)
        self.process: ProcessWorker | None = None
        self._write = write
        self._packing: Packing | None = None
        self._layout: bytes | None = None  # of this packing, for the process; None: not in the room

    def take(self, step: int, numbers: Mapping[str, Any], packing: Packing) -> bool:
        """Begins to write a record that lies in the room; returns whether it does.

        Raises:
            OSError: the system allows no more processes.
        """
        if packing is not self._packing:
            self._packing, place = packing, self._place(packing)
            self._layout = place and pickle.dumps((packing.described, packing.same, place))
        if self._layout is None:
            return False
        message = pickle.dumps((step, numbers, self._layout))
        if len(message) > MESSAGE - LENGTH:
            return False
        if self.process is None:
            self.process = ProcessWorker([[_yield_first], [self._write_next]], 0, spins=0)
            self.process.start(0)
        self.process.wait()
        self._memory[:LENGTH] = len(message).to_bytes(LENGTH, "little")
        self._memory[LENGTH : LENGTH + len(message)] = message
        self.process.start(1)
        return True

    def stop(self) -> None:
        """Ends the process; the memory stays."""
        if self.process is not None:
            self.process.stop()
        self.process = None

    def _place(self, packing: Packing) -> tuple[int, int] | None:
        """From where to where the numbers are in the room; None: they are elsewhere, or apart."""
        if len(packing.pieces) != 1:
            return None
        numbers = np.frombuffer(packing.pieces[0], np.uint8)
        start = _address(numbers) - _address(self.room)
        end = start + len(numbers)
        return (start, end) if 0 <= start <= end <= len(self.room) else None

    def _write_next(self) -> None:
        """What the process does."""
        length = int.from_bytes(self._memory[:LENGTH], "little")
        step, numbers, layout = pickle.loads(self._memory[LENGTH : LENGTH + length])
        described, same, (start, end) = pickle.loads(layout)
        self._write(step, numbers, Packing(described, same, (self.room[start:end].data,)))


def _yield_first() -> None:
    """Has a process wait for a core rather than take that of the training when it wakes."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
