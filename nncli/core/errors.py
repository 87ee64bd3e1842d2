"""What can go wrong by a user's doing, in words that he can act on.

Every message says where, what came, and what would be right. Only the command line turns these
into exit statuses; nothing of nncli is imported here.
"""

from typing import Any


class NncliError(Exception):
    """Whatever nncli has to tell its user instead of a result, one line a problem."""


class SpecError(NncliError):
    """Mistakes in a spec, all of them at once: `file:line:column: path: what is wrong`."""

    def __init__(self, problems: list[str] | tuple[str, ...]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class DataError(NncliError):
    """Mistakes in data, each as `file: row R, column C: what is wrong`.

    `key` is the one under the spec's `data` that is to blame; None where the file itself is.
    """

    def __init__(
        self, problems: str | list[str] | tuple[str, ...], *, key: str | None = None
    ) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        self.key = key
        super().__init__("\n".join(self.problems))


class LayerError(NncliError):
    """The layer at `index`, from 0, cannot be built; `key` is the hyperparameter to blame."""

    def __init__(self, index: int, message: str, key: str | None = None) -> None:
        self.index = index
        self.key = key
        self.message = message
        super().__init__(f"layer {index}: {message}")


class RunError(NncliError):
    """A run folder that cannot be read or written."""


class DamagedError(RunError):
    """A file of a run that is not as it was written."""


class Malformed(ValueError):
    """What is wrong with the content of a file, in our words; its reader says which file."""


def why_damaged(error: Exception) -> str:
    """What is wrong with a file's content, and never in a library's words."""
    if isinstance(error, KeyError):
        return f"it holds no {error}"
    return str(error) if isinstance(error, Malformed) else "its content is not what nncli writes"


class StoppedTraining(NncliError):
    """A training that ended before its time; what was good until then is saved.

    `training` is what there is of it: None where no step was taken.
    """

    outcome = "stopped"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.training: Any = None


class DivergedError(StoppedTraining):
    """The cost is no longer a number, or beyond all measure.

    `divergence` is the record of it: None where a single step was asked for.
    """

    outcome = "diverged"

    def __init__(self, message: str, divergence: Any = None) -> None:
        super().__init__(message)
        self.divergence = divergence


class HaltedTraining(StoppedTraining):
    """A condition of its spec made it stop; `failure` says which, and where."""

    outcome = "halted"

    def __init__(self, message: str, failure: Any) -> None:
        super().__init__(message)
        self.failure = failure


class InterruptedTraining(StoppedTraining):
    """It was asked to stop."""

    outcome = "interrupted"


class UnsavedError(StoppedTraining):
    """It ended well, or was interrupted, but its state could not be saved."""

    outcome = "unsaved"

    def __init__(self, message: str, *, is_done: bool) -> None:
        super().__init__(message)
        self.is_done = is_done


class FailedCheck(NncliError):
    """A proof that did not come out."""
