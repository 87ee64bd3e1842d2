"""A sweep on a terminal or in a pipe while it runs, and its plan."""

from collections.abc import Iterator
from time import monotonic
from types import TracebackType

from rich.console import Group
from rich.live import Live
from rich.text import Text

from nncli.app.sweep_records import SweepRecord, Trial
from nncli.core.text import count_of, shell_word
from nncli.render.pages.sweep import METRIC_WORDS, setting_text
from nncli.render.streams import messages
from nncli.render.text import duration, number, plain
from nncli.render.widgets.tables import Facts

SHOWN_A_SECOND = 5  # states of the live table, which a thread of rich's draws
MOST_RUNNING = 4  # trials that it names


class SweepScreen:
    """What is seen while a sweep runs, on standard error.

    On a terminal a few lines that change, else one a trial. A context manager.
    """

    def __init__(self) -> None:
        self.console = messages()
        self._live: Live | None = None
        self._running: dict[str, Trial] = {}
        self._states: dict[str, str] = {}  # of the trials that have ended
        self._counts = {"done": 0, "failed": 0, "stopped": 0}
        self._best: tuple[float, Trial] | None = None
        self._began = monotonic()
        self._before = self._total = 0

    def __enter__(self) -> "SweepScreen":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
        self.console.print()  # between this and the results

    def on_start(self, record: SweepRecord) -> None:
        """Takes the sweep as it is before its first trial."""
        self._record, self._total = record, record.size
        self._has_seeds = len({trial.seed for trial in record.trials}) > 1
        for trial in record.trials:
            if trial.state in self._counts:
                self._end(trial)
        self._before = self._ended
        began = f"{count_of(self._total, 'trial')} in {record.folder}"
        if self._before:
            began += f", {self._before:,} of them ended before"
        self.console.print(plain(began))
        if self.console.is_terminal:
            self._live = Live(
                console=self.console,
                get_renderable=lambda: Group(*self._state()),
                refresh_per_second=SHOWN_A_SECOND,
                transient=True,
            )
            self._live.start()

    def on_trial(self, trial: Trial) -> None:
        """Takes a trial that is begun or has ended."""
        if trial.state == "running":
            self._running[trial.id] = trial
        else:
            self._running.pop(trial.id, None)
            self._end(trial)
            if self._live is None and trial.state != "waiting":
                self.console.print(self._line(trial))

    def _end(self, trial: Trial) -> None:
        if trial.state == "waiting":
            return
        if trial.id in self._states:
            self._counts[self._states[trial.id]] -= 1
        self._states[trial.id] = trial.state
        self._counts[trial.state] += 1
        value = self._record.value(trial)
        if value is not None and (self._best is None or value < self._best[0]):
            self._best = (value, trial)

    @property
    def _ended(self) -> int:
        return self._counts["done"] + self._counts["failed"]

    def _line(self, trial: Trial) -> Text:
        what = setting_text(trial, seed=self._has_seeds)
        if self._record.halving is None:
            what = f"{self._ended:>{len(str(self._total))}}/{self._total}  {what}"
        took = "" if trial.seconds is None else f"  {duration(trial.seconds)}"
        if trial.state == "done":
            metric = METRIC_WORDS[self._record.metric]
            return plain(f"{what}  {metric} {number(self._record.value(trial))}{took}")
        if trial.state == "failed":
            return plain(f"{what}  failed: {first_line(trial.error)}")
        if trial.metrics is not None:
            metric, epochs = self._record.metric, count_of(trial.metrics["epochs"], "epoch")
            value = number(trial.metrics[metric])
            return plain(f"{what}  {METRIC_WORDS[metric]} {value} after {epochs}{took}")
        return plain(f"{what}  stopped; its state is saved")

    def _state(self) -> Iterator[Text | Facts]:
        """The lines that change."""
        facts = []
        if self._best is not None:
            value, trial = self._best
            words = setting_text(trial, seed=self._has_seeds)
            metric = METRIC_WORDS[self._record.metric]
            facts.append(("best so far", f"{metric} {number(value)}  {words}"))
        done = f"{self._counts['done']:,} of {self._total:,}"
        if self._counts["failed"]:
            done += f", {self._counts['failed']:,} failed"
        facts.append(("done", done))
        running = list(self._running.values())
        for k, trial in enumerate(running[:MOST_RUNNING]):
            heading = "" if k else "running"
            facts.append((heading, setting_text(trial, seed=self._has_seeds)))
        if len(running) > MOST_RUNNING:
            facts.append(("", f"and {len(running) - MOST_RUNNING} more"))
        now = self._ended - self._before
        if 0 < now < self._total - self._before and self._record.halving is None:
            left = (monotonic() - self._began) / now * (self._total - self._ended)
            facts.append(("time left", f"about {duration(left)}"))
        yield Facts(facts)


def first_line(text: str | None) -> str:
    return (text or "").split("\n")[0]


def plan_lines(record: SweepRecord) -> Iterator[str]:
    """The trials of a plan, a line each."""
    many = len({trial.seed for trial in record.trials}) > 1
    yield f"{count_of(len(record.trials), 'trial')} in {record.folder}"
    for trial in record.trials:
        yield f"{trial.id}  {setting_text(trial, seed=many)}"


def going_on(record: SweepRecord) -> str:
    """How the rest of a sweep is run."""
    return f"to go on: nncli sweep --resume {shell_word(record.folder)}"
