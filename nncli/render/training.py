"""A training on the screen: what was built, what it is doing, how it went."""

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from nncli.nn.network import Network
from nncli.render.curve import Curves, Series
from nncli.render.layers import network_table
from nncli.render.text import count, number, percent, plain, safe
from nncli.training.history import Epoch
from nncli.training.history import Progress as Glance


def built(name: str, network: Network, facts: Sequence[tuple[str, str]]) -> RenderableType:
    """What is about to be trained. `facts`: what else there is to say, as (heading, text)."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for heading, text in facts:
        grid.add_row(plain(heading), plain(text))
    return Group(plain(name, "bold"), "", network_table(network), "", grid, "")


def curves(history: Sequence[Epoch]) -> RenderableType:
    """Cost and accuracy over the epochs; nothing where there is one epoch only."""
    if len(history) < 2:
        return Group()
    epochs = [epoch.epoch for epoch in history]
    costs = [Series("train", [epoch.train_cost for epoch in history])]
    held_back = [e.validation_cost for e in history if e.validation_cost is not None]
    if held_back:
        costs.append(Series("validation", held_back))
    parts: list[RenderableType] = [Curves("cost", costs, epochs)]
    accuracies = [e.accuracy for e in history if e.accuracy is not None]
    if accuracies:
        name = "validation" if held_back else "train"
        parts += ["", Curves("accuracy", [Series(name, accuracies)], epochs)]
    return Group(*parts, "")


def outcome(history: Sequence[Epoch]) -> RenderableType:
    """The last epoch in one line, and the best one where it was another."""
    last = history[-1]
    seconds = sum(epoch.train_seconds for epoch in history)
    line = Text(f"after {count(last.epoch, 'epoch')} in {duration(seconds)}: ", style="bold")
    if last.train_cost_after is not None:
        line.append(f"cost {number(last.train_cost_after, 7)}")
    else:
        line.append(f"cost {number(last.train_cost, 4)}")
    if last.validation_cost is not None:
        line.append(f", validation cost {number(last.validation_cost, 4)}")
    if last.accuracy is not None:
        where = "validation" if last.validation_accuracy is not None else "training"
        line.append(f", {where} accuracy {accuracy(last.accuracy)}")
        best = max(history, key=lambda e: e.accuracy or 0)
        if best.accuracy is not None and best.accuracy > last.accuracy:
            line.append(f" (best {accuracy(best.accuracy)} in epoch {best.epoch})")
    return line


def accuracy(share: float) -> str:
    """A share of samples that are right, to a hundredth of a percent."""
    return f"{100 * share:.2f}%"


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{number(seconds)} s" if seconds >= 0.1 else f"{number(1000 * seconds)} ms"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def epoch_line(epoch: Epoch, epochs: int) -> Text:
    """One epoch in one line, as the heading of its table."""
    parts = [
        f"epoch {epoch.epoch}/{epochs}",
        f"η {epoch.eta:g}",
        f"cost {number(epoch.train_cost, 4)}",
    ]
    if epoch.validation_cost is not None:
        parts.append(f"validation {number(epoch.validation_cost, 4)}")
    if epoch.accuracy is not None:
        parts.append(f"accuracy {percent(epoch.accuracy)}")
    return Text("  ".join(parts), style="bold")


class Bar:
    """The progress of a training on a terminal; on anything else it is silent."""

    def __init__(self, console: Console, name: str, epochs: int, samples: int) -> None:
        self.console = console
        self.epochs = epochs
        self.per_epoch = samples
        self.accuracy = ""
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[facts]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            refresh_per_second=10,
        )
        self.task = self.progress.add_task(safe(name), total=epochs * samples, facts="")

    def __enter__(self) -> "Bar":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def show(self, event: Epoch | Glance) -> None:
        if self.progress.disable:
            return
        if isinstance(event, Epoch):
            done, cost, epoch = event.epoch * self.per_epoch, event.train_cost, event.epoch
            self.accuracy = "" if event.accuracy is None else f" acc {accuracy(event.accuracy)}"
        else:
            done = (event.epoch - 1) * self.per_epoch + event.samples
            cost, epoch = event.cost, event.epoch
        speed = self.progress.tasks[0].speed
        rate = f" {number(speed)} samples/s" if speed else ""
        self.progress.update(
            self.task,
            completed=done,
            description=f"epoch {epoch}/{self.epochs}",
            facts=f"cost {number(cost)}{self.accuracy}{rate}",
        )
