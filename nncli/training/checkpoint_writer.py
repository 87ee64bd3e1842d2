"""Keeps a run folder up to date from a thread of its own: a training does not wait for the disk."""

from threading import Condition, Event, Thread
from time import monotonic
from types import TracebackType

from nncli.core.errors import InterruptedTraining, RunError, UnsavedError
from nncli.nn.network import Network
from nncli.training.checkpoint import RunIdentity, State, pack_checkpoint
from nncli.training.history import History
from nncli.training.run_folder import RunFolder

# A save after each epoch of a microsecond would do nothing but slow the training down and wear the
# disk out: from one save to the next this long passes, and so many times what the save took.
PAUSE, TIMES = 0.25, 4
RETRY = 1.0  # seconds from a save that failed to the next


class CheckpointWriter:
    """Saves the states that it is handed, as fast as the disk follows; the last one in any case.

    A context manager: leaving it waits until all is saved, unless what leaves is no Exception (a
    second Ctrl-C): then the thread is left to end by itself.

    Raises, on leaving a training that ended well or was interrupted:
        UnsavedError: its last state could not be saved.
    """

    def __init__(
        self,
        folder: RunFolder | None,
        network: Network,
        history: History,
        terms: RunIdentity,
        every: float,
    ) -> None:
        """
        Args:
            folder: None: nothing is saved.
            history: of the training; it grows meanwhile.
            terms: those of the training, as its checkpoints tell them.
            every: seconds after which a state is due within a long epoch.
        """
        self.history = history
        self.path = None if folder is None else folder.path
        self._network = network
        self._terms = terms
        self._every = every
        self._handed = monotonic()
        self._changed = Condition()
        self._ending = Event()
        # Shared with the thread, under the condition:
        self._state: State | None = None
        self._trouble: RunError | None = None
        self._is_told = False
        self._bug: BaseException | None = None
        self._thread = None
        if folder is not None:
            self._thread = Thread(target=self._run, args=(folder,), name="nncli writer")

    @property
    def is_due(self) -> bool:
        """Whether a state of the middle of an epoch should be handed over."""
        return monotonic() - self._handed > self._every

    def keep(self, state: State) -> None:
        """Hands over a state. The history has all its epochs by now."""
        if self._thread is None:
            return
        self._handed = monotonic()
        with self._changed:
            self._state = state
            self._changed.notify()

    def news(self) -> str | None:
        """Why the last save failed, told once until one succeeds."""
        with self._changed:
            trouble = None if self._is_told else self._trouble
            self._is_told = self._trouble is not None
        return None if trouble is None else f"{trouble}; the training goes on, and tries again"

    def __enter__(self) -> "CheckpointWriter":
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ending.set()
        with self._changed:
            self._changed.notify()
        if self._thread is None or not (error is None or isinstance(error, Exception)):
            return
        self._thread.join()
        if self._bug is not None:
            raise self._bug
        if self._trouble is not None and (error is None or isinstance(error, InterruptedTraining)):
            ended = "done" if error is None else "interrupted"
            message = f"the training is {ended}, but its end is not saved\n{self._trouble}"
            raise UnsavedError(message, is_done=error is None) from error

    def _run(self, folder: RunFolder) -> None:
        try:
            pause = PAUSE
            while True:
                self._ending.wait(pause)
                state, is_last = self._next()
                if state is None:
                    return
                began = monotonic()
                saved = self._save(folder, state, is_last)
                pause = max(PAUSE, TIMES * (monotonic() - began)) if saved else RETRY
        except Exception as bug:  # raised where the training ends, not lost with the thread
            self._bug = bug
        finally:
            folder.close()

    def _next(self) -> tuple[State | None, bool]:
        """Waits for a state to save, None where no more will come; whether it is the last one."""
        with self._changed:
            self._changed.wait_for(lambda: self._state is not None or self._ending.is_set())
            state, self._state = self._state, None
            return state, self._ending.is_set()

    def _save(self, folder: RunFolder, state: State, is_last: bool) -> bool:
        trouble = None
        try:
            checkpoint = pack_checkpoint(self._network, state, self._terms)
            folder.save(self.history, state.epoch, checkpoint)
        except RunError as error:
            trouble = error
        with self._changed:
            self._trouble = trouble
            if trouble is not None and not is_last:
                # It is tried again, once more when the training ends.
                self._state = self._state or state
        return trouble is None
