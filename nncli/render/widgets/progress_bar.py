"""A bar for what takes longer than a second, and nothing for what does not."""

from time import monotonic
from types import TracebackType

from rich.console import Console
from rich.progress import Progress

PATIENCE = 1.0  # seconds


class DelayedProgressBar:
    """To be called with (done, total); silent where the console is no terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.began = monotonic()
        self.bar: Progress | None = None

    def __enter__(self) -> "DelayedProgressBar":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, done: int, total: int | None) -> None:
        if self.bar is None:
            if not self.console.is_terminal or monotonic() - self.began < PATIENCE:
                return
            self.bar = Progress(console=self.console, transient=True)
            self.bar.start()
            self.task = self.bar.add_task("")
        self.bar.update(self.task, completed=done, total=total)
