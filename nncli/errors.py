"""What can go wrong by a user's doing, in words that he can act on.

Every message says where, what came, and what would be right. Only the command line turns these
into exit statuses; nothing here imports anything.
"""


class NncliError(Exception):
    """A mistake in what the user gave. `str()` of it is fit to be shown, one line a problem."""


class SpecError(NncliError):
    """Mistakes in a spec, all of them at once: `file:line:column: path: what is wrong`."""

    def __init__(self, problems: list[str] | tuple[str, ...]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class DataError(NncliError):
    """Mistakes in a data file, each as `file: row R, column C: what is wrong`."""

    def __init__(self, problems: str | list[str] | tuple[str, ...]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class LayerError(NncliError):
    """A layer that cannot be built: the one at `index`, from 0, for what it says under `key`."""

    def __init__(self, index: int, message: str, key: str | None = None) -> None:
        self.index = index
        self.key = key
        self.message = message
        super().__init__(f"layer {index}: {message}")


class RunError(NncliError):
    """A run folder that cannot be read or written."""


class DivergedError(NncliError):
    """A training whose cost is no longer a number. What was good before it is saved."""


class InterruptedTraining(NncliError):
    """A training that was asked to stop; where it stood is saved."""
