"""Writes checkpoints from a thread of its own, so that a training does not wait for the disk.

One that is done sooner than the first of them is due makes no thread.
"""

from functools import partial
from threading import Condition, Event, Thread
from time import monotonic
from types import TracebackType

from nncli.core.errors import InterruptedTraining, RunError, UnsavedError
from nncli.nn.network import Network
from nncli.training.checkpoint import RunIdentity, State, pack_checkpoint
from nncli.training.history import History, Marks
from nncli.training.run_folder import RunFolder

# A save after each epoch of a microsecond would only slow the training down and wear the disk out:
# between two saves pass at least so many seconds, and so many times what the last one took.
MIN_PAUSE, PAUSE_FACTOR = 0.25, 4
RETRY_PAUSE = 1.0  # seconds after a save that failed


class CheckpointWriter:
    """Saves the states that are submitted: the newest, as often as the disk allows, and the last.

    A context manager: leaving it waits until all is saved, unless it is left by a
    KeyboardInterrupt or the like: then the thread ends by itself.

    Raises, on leaving a training that ended well or was interrupted:
        UnsavedError: its last state could not be saved.
    """

    def __init__(
        self,
        folder: RunFolder | None,
        network: Network,
        history: History,
        identity: RunIdentity,
        every: float,
        *,
        durable: bool = True,
    ) -> None:
        """
        Args:
            folder: None: nothing is saved.
            history: of the training, which appends to it.
            identity: of the training, for its checkpoints.
            every: seconds between two checkpoints within a long epoch.
            durable: whether to wait for the disk where no thread was needed, too.
        """
        self.history = history
        self.path = None if folder is None else folder.path
        self._network = network
        self._identity = identity
        self._every = every
        self._submitted = monotonic()
        self._changed = Condition()
        self._ending = Event()
        # Shared with the thread, under the condition:
        self._state: State | None = None
        self._failure: RunError | None = None
        self._is_reported = False
        self._bug: BaseException | None = None
        self._folder, self._durable = folder, durable
        self._began = monotonic()
        self._thread: Thread | None = None

    @property
    def is_due(self) -> bool:
        """Whether it is time to submit a state within an epoch."""
        return monotonic() - self._submitted > self._every

    def submit(self, state: State) -> None:
        """Hands over a state to be saved. The history must hold all its epochs by now."""
        if self._folder is None:
            return
        self._submitted = monotonic()
        if self._thread is None:  # nobody else is there to know of it
            self._state = state
            if self._submitted - self._began > MIN_PAUSE:
                self._start()
            return
        with self._changed:
            self._state = state
            self._changed.notify()

    def _start(self) -> None:
        if self._thread is None and self._folder is not None:
            self._thread = Thread(target=self._run, args=(self._folder,), name="nncli writer")
            self._thread.start()

    def new_warning(self) -> str | None:
        """Why the last save failed; None after it was returned once, until a save succeeds."""
        if self._failure is None and not self._is_reported:  # as nearly always
            return None
        with self._changed:
            failure = None if self._is_reported else self._failure
            self._is_reported = self._failure is not None
        return None if failure is None else f"{failure}; the training goes on, and tries again"

    def __enter__(self) -> "CheckpointWriter":
        self._began = monotonic()
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
        if self._folder is None:
            return
        if not (error is None or isinstance(error, Exception)):
            self._start()
            return
        if self._thread is None:
            self._run(self._folder)
        else:
            self._thread.join()
        if self._bug is not None:
            raise self._bug
        if self._failure is not None and (error is None or isinstance(error, InterruptedTraining)):
            ended = "done" if error is None else "interrupted"
            message = f"the training is {ended}, but its end is not saved\n{self._failure}"
            raise UnsavedError(message, is_done=error is None) from error

    def _run(self, folder: RunFolder) -> None:
        try:
            pause = 0.0
            while True:
                self._ending.wait(pause)
                state, is_last = self._next()
                if state is None:
                    return
                began = monotonic()
                saved = self._save(folder, state, is_last)
                pause = (
                    max(MIN_PAUSE, PAUSE_FACTOR * (monotonic() - began)) if saved else RETRY_PAUSE
                )
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

    def _pack(self, state: State, metrics: Marks) -> bytes:
        identity = self._identity._replace(metrics=metrics)
        return pack_checkpoint(self._network, state, identity)

    def _save(self, folder: RunFolder, state: State, is_last: bool) -> bool:
        failure = None
        try:
            durable = self._durable or self._thread is not None
            folder.save(self.history, state.epoch, partial(self._pack, state), durable=durable)
        except RunError as error:
            failure = error
        with self._changed:
            self._failure = failure
            if failure is not None and not is_last:
                # It is tried again, once more when the training ends.
                self._state = self._state or state
        return failure is None
