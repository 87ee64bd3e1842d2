"""Numbers parsed on two cores: a process beside this one takes lines from memory that both share.

Threads would not do. A call of NumPy on a block of text that fits into the cache is so short that
two threads spend the time waiting for Python's lock.
"""

import mmap
import os
import select
import struct
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nncli.core.launch import launched
from nncli.core.processes import available_threads, start_process
from nncli.data.readers.numbers import Block, narrowed, parse

WORTH = 8 << 20  # bytes of text: what is shorter is parsed before another process is of use
LONGEST = 3 << 16  # bytes of lines that are handed over at once
SLOT = 5 * LONGEST  # bytes: of two in the text a number may become eight, and a column one more
IN_TURN = 3  # blocks that wait for it where this process parses others meanwhile
SLOTS = 16  # that there are, of memory that is used once something is in it
REQUEST = struct.Struct("=qq")  # the slot, and how long the lines in it are
ANSWER = struct.Struct("=qq")  # how many rows there are now in the slot, and of which type
TYPES = tuple(map(np.dtype, (np.uint8, np.int16, np.int32, np.int64, np.float64)))
T = TypeVar("T")
STOP = -1  # in place of a slot
REFUSED = -1  # in place of the number of rows


class Helper:
    """Another process, which parses lines as `parse` does, in the order in which they are given.

    Args:
        delimiter, width: as of `parse`.

    Raises:
        OSError: the system does not allow one more process, or the memory for it.
    """

    def __init__(self, delimiter: str, width: int) -> None:
        self._width = width
        self._memory = mmap.mmap(-1, SLOTS * SLOT)
        self._free = deque(range(SLOTS))
        self._answered: deque[tuple[int, int]] = deque()
        self._is_alive = True
        self._pid, self._requests, self._answers = start_process(partial(self._serve, delimiter))

    def give(self, text: bytes, most: int) -> int | None:
        """The slot in which the lines are parsed; None where it has `most` to parse already."""
        self.has_answered()
        busy = SLOTS - len(self._free) - len(self._answered)
        if not self._is_alive or not self._free or busy >= most or len(text) > LONGEST:
            return None
        slot = self._free.popleft()
        self._memory[slot * SLOT : slot * SLOT + len(text)] = text
        try:
            os.write(self._requests, REQUEST.pack(slot, len(text)))
        except BrokenPipeError:
            self._is_alive = False
            return None
        return slot

    def take(self, slot: int) -> tuple[bool, Block | None]:
        """Waits for the lines that were given first of those not yet taken.

        Returns:
            Whether they were parsed, which the end of the process prevents, and what `parse` gives.
        """
        if not self._answered:
            self._listen()
        self._free.append(slot)
        if not self._answered:
            return False, None
        rows, kind = self._answered.popleft()
        if rows == REFUSED:
            return True, None
        values, plain = self._arrays(slot, rows, TYPES[kind])
        return True, Block(values.copy(), plain.copy())

    def has_answered(self) -> bool:
        """Whether `take` need not wait."""
        while self._is_alive and select.select([self._answers], [], [], 0)[0]:
            self._listen()
        return bool(self._answered) or not self._is_alive

    def _listen(self) -> None:
        """Waits for an answer, or the end of the process."""
        answer = os.read(self._answers, ANSWER.size) if self._is_alive else b""
        if answer:
            self._answered.append(ANSWER.unpack(answer))
        self._is_alive = bool(answer)

    def close(self) -> None:
        """Ends the process, once the lines that were given are parsed."""
        with suppress(BrokenPipeError):
            # Another process forked meanwhile may hold the pipe open, so that it has no end.
            os.write(self._requests, REQUEST.pack(STOP, 0))
        os.close(self._requests)
        os.close(self._answers)
        with suppress(ChildProcessError):  # something else has waited for it
            os.waitpid(self._pid, 0)

    def _arrays(
        self, slot: int, rows: int, dtype: np.dtype[np.generic]
    ) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """Where the numbers of a block are, and whether its columns are plain."""
        count, start = rows * self._width, slot * SLOT
        values = np.frombuffer(self._memory, dtype, count, start).reshape(rows, self._width)
        return values, np.frombuffer(self._memory, np.bool_, self._width, start + values.nbytes)

    def _serve(self, delimiter: str, requests: int, answers: int) -> None:
        """The life of the process, until there is nobody who asks."""
        while request := os.read(requests, REQUEST.size):
            slot, length = REQUEST.unpack(request)
            if slot == STOP:
                return
            block = parse(self._memory[slot * SLOT : slot * SLOT + length], delimiter, self._width)
            os.write(answers, self._answer(slot, block))

    def _answer(self, slot: int, block: Block | None) -> bytes:
        if block is None:
            return ANSWER.pack(REFUSED, 0)
        found = narrowed(block.values)
        values, plain = self._arrays(slot, len(found), found.dtype)
        values[...] = found
        plain[...] = block.plain
        return ANSWER.pack(len(found), TYPES.index(found.dtype))


@contextmanager
def helper_for(size: int, delimiter: str, width: int) -> Iterator[Helper | None]:
    """A helper for so many bytes of text; None where it would be of no use, or cannot be had."""
    helper = None
    if size >= WORTH and sys.platform == "linux" and available_threads() > 1 and not launched():
        with suppress(OSError):
            helper = Helper(delimiter, width)
    try:
        yield helper
    finally:
        if helper is not None:
            helper.close()


def parsed(
    texts: Iterable[bytes], delimiter: str, width: int, helper: Helper | None
) -> Iterator[tuple[bytes, Block | None]]:
    """Lines and their numbers in order: some are parsed here while the helper is at others."""
    waiting: deque[tuple[bytes, int | None, Block | None]] = deque()

    def first() -> tuple[bytes, Block | None]:
        text, slot, block = waiting.popleft()
        if helper is not None and slot is not None:
            block = _taken(text, slot, delimiter, width, helper)
        return text, block

    for text in texts:
        slot = None if helper is None else helper.give(text, IN_TURN)
        block = parse(text, delimiter, width) if slot is None else None
        waiting.append((text, slot, block))
        while waiting and (
            helper is None
            or waiting[0][1] is None
            or helper.has_answered()
            or len(waiting) > SLOTS // 2
        ):
            yield first()
    while waiting:
        yield first()


def one_ahead(items: Iterator[T]) -> Iterator[T]:
    """The items; each is given once the next one is there."""
    for item in islice(items, 1):
        before = item
        for after in items:
            yield before
            before = after
        yield before


class Begun:
    """Lines that are being parsed by a helper, as far as there is one."""

    def __init__(
        self, texts: Iterable[bytes], delimiter: str, width: int, helper: Helper | None
    ) -> None:
        self._of = delimiter, width, helper
        self._items = deque(
            (text, None if helper is None else helper.give(text, SLOTS)) for text in texts
        )

    def blocks(self) -> Generator[Block | None, None, None]:
        """The numbers in order. What is not asked for is waited for and dropped at the end."""
        try:
            while self._items:
                text, slot = self._items.popleft()
                delimiter, width, helper = self._of
                if helper is not None and slot is not None:
                    yield _taken(text, slot, delimiter, width, helper)
                else:
                    yield parse(text, delimiter, width)
        finally:
            helper = self._of[2]
            for _, slot in self._items:
                if helper is not None and slot is not None:
                    helper.take(slot)


def _taken(text: bytes, slot: int, delimiter: str, width: int, helper: Helper) -> Block | None:
    """What the helper made of the lines that it was given first; it may have ended before."""
    is_parsed, block = helper.take(slot)
    return block if is_parsed else parse(text, delimiter, width)
