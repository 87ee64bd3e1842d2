"""A training: on the screen (what was plan_page, what it is doing, how it went), and as JSON."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from nncli.app.records import (
    Diagnosis,
    InitialWeights,
    InspectedStep,
    Prepared,
    Training,
    TrainingFit,
)
from nncli.core.errors import DivergedError, HaltedTraining, StoppedTraining
from nncli.core.jsons import to_json
from nncli.core.text import count_of, printable
from nncli.nn.optimizers import OPTIMIZERS
from nncli.nn.trace import Trace
from nncli.render.pages.layers import divergence_table, measures_table, network_table
from nncli.render.pages.matrices import step_matrices
from nncli.render.streams import messages, results
from nncli.render.terminal import TerminalPage
from nncli.render.text import duration, number, percent, plain, shape
from nncli.render.widgets.curve import Curves, Series, accuracy_curves
from nncli.render.widgets.tables import Facts
from nncli.training.conditions import Failure
from nncli.training.history import Divergence, Epoch, History, divergence_record
from nncli.training.history import Progress as StepProgress
from nncli.training.run_reader import ResumePoint

MOST_OUTPUTS = 4  # whose fit is said
MOST_WEIGHTS = 8  # of classes, that are named


class Tables(NamedTuple):
    """When a training shows its per-layer table.

    Attributes:
        every: so many epochs; None: not within the training.
        last: after the last epoch.
        full: with each table, the matrices of the step.
    """

    every: int | None = None
    last: bool = True
    full: bool = False

    def are_due(self, epoch: int, epochs: int) -> bool:
        if self.every is not None and epoch % self.every == 0:
            return True
        return self.last and epoch == epochs


class TrainingScreen(ExitStack):
    """Results on standard output; on standard error a bar, while the training runs."""

    def __init__(
        self,
        prepared: Prepared,
        point: ResumePoint | None,
        tables: Tables,
        *,
        quiet: bool,
        has_stopped_early: bool = False,
    ) -> None:
        """
        Args:
            point: where a run is resumed; None where one begins.
            has_stopped_early: whether that run had come to its end before its last epoch.
        """
        super().__init__()
        self.prepared = prepared
        self.point = point
        self.tables = tables
        self.has_stopped_early = has_stopped_early
        self.results = results(quiet=quiet)
        self.messages = messages()
        self.bar = Bar(self.messages, prepared.spec.train.epochs, len(prepared.data.train))
        self.callback(self.bar.hide)

    def on_start(self) -> None:
        """What is about to be trained; and the last table, where all of it is done already."""
        self._show_plan()
        epochs = self.prepared.spec.train.epochs
        if self.point is not None and self.has_stopped_early:
            epochs = self.point.state.epoch
        is_done = self.point is not None and self.point.state.epoch == epochs
        if self.point is not None and is_done and self.tables.are_due(epochs, epochs):
            self._show_step(self.point.history[-1], None)

    def on_event(
        self, event: Epoch | StepProgress, trace: Callable[[], Trace], *, is_last: bool = False
    ) -> None:
        """The bar, and the tables that are due.

        Args:
            trace: gives the record of the last step.
            is_last: whether the training comes to its end here.
        """
        self.bar.show(event)
        epochs = event.epoch if is_last else self.prepared.spec.train.epochs
        if isinstance(event, Epoch) and self.tables.are_due(event.epoch, epochs):
            self._show_step(event, trace() if self.tables.full else None)

    def _show_plan(self) -> None:
        self.results.print(plan_page(self.prepared))
        if self.point is None:
            return
        epoch, samples = self.point.state[:2]
        self.bar.start_at(epoch, samples)
        if self.has_stopped_early:
            self.warn(
                f"had ended early, {self.place(epoch, samples)}; "
                "--set train.early_stop=null would go on to the last"
            )
        elif epoch < self.prepared.spec.train.epochs:
            self.warn(f"going on {self.place(epoch, samples)}")
        else:
            were = "the one epoch was" if epoch == 1 else f"all {epoch:,} epochs were"
            self.warn(f"{were} done already; --epochs N would go further")

    def place(self, epoch: int, samples: int) -> str:
        """How far a training has come, `epoch` epochs being complete, in words to follow a verb."""
        of = f"epoch {epoch + (samples > 0):,} of {self.prepared.spec.train.epochs:,}"
        if samples:
            return f"in {of}, after {samples:,} of {len(self.prepared.data.train):,} samples"
        return f"after {of}" if epoch else "before the first epoch"

    def warn(self, message: str) -> None:
        """Says something on standard error, above the bar where there is one."""
        self.messages.print(f"nncli: {printable(message)}", soft_wrap=True)

    def _show_step(self, epoch: Epoch, trace: Trace | None) -> None:
        """The per-layer table of an epoch's last step, and its matrices where a trace is given."""
        self.bar.hide()
        settings = self.prepared.spec.train
        parts: list[RenderableType] = [
            epoch_line(epoch, settings.epochs),
            "",
            measures_table(epoch, self.prepared.links),
            "",
        ]
        if trace is not None:
            parts += [TerminalPage(step_matrices(trace)), ""]
        self.results.print(Group(*parts))

    def show_divergence(self, divergence: Divergence) -> None:
        """The last steps before a divergence."""
        self.results.print(Group(*divergence_table(divergence), ""))

    def show_end(self, training: Training, *, is_saved: bool = True) -> None:
        self.results.print(curves(training.history, training.chance))
        self.results.print(training_outcome(training))
        if training.folder is not None and is_saved:
            self.results.print(f"saved in {printable(training.folder)}", soft_wrap=True)
        self.show_conditions(training)

    def show_conditions(self, training: Training) -> None:
        """What became of what was to hold; nothing where there was nothing to."""
        if training.expectations:
            from nncli.render.pages.conditions import condition_lines

            self.results.print(Text("\n".join(condition_lines(training))), soft_wrap=True)

    def show_halt(self, failure: Failure, step: InspectedStep | None, training: Training) -> None:
        """The step at which a condition made the training stop."""
        from nncli.render.pages.conditions import brief_step

        self.bar.hide()
        if step is not None:
            self.results.print(TerminalPage(brief_step(step, failure)), crop=False)
        self.show_conditions(training)

    def show_verdict(self, diagnosis: Diagnosis, run: Path) -> None:
        """What the training tells of the network, in a few lines."""
        # After the first step, not before.
        from nncli.render.pages.diagnosis import diagnose_command, short_verdict

        lines = short_verdict(diagnosis, diagnose_command(run), self.results.width)
        self.results.print(Text("\n".join(lines)), soft_wrap=True)


def plan_page(prepared: Prepared) -> RenderableType:
    """What is about to be trained."""
    name = plain(prepared.spec.name, "bold")
    return Group(name, "", network_table(prepared.network), "", Facts(facts(prepared)), "")


def facts(prepared: Prepared) -> list[tuple[str, str]]:
    """What there is to say about a training besides its layers."""
    spec, data = prepared.spec, prepared.data
    t = spec.train
    axes = data.input_shape
    inputs = count_of(axes[0], "input") if len(axes) == 1 else f"{shape(axes)} inputs"
    samples = f"{count_of(len(data.train), 'sample')} of {inputs}"
    if data.classes:
        samples += f", {count_of(len(data.classes), 'class', 'classes')}"
        if data.outputs == 1:
            samples += f" (output 1 is {printable(data.classes[1])})"
    elif data.reading == "labels":
        samples += f", {count_of(data.outputs, 'label')} each; right where all are"
    if data.validation is not None:
        samples += f", {len(data.validation):,} held back for validation"
    test = f"{count_of(len(data.test), 'sample')}, at the end" if data.test is not None else ""
    steps = [f"η = {t.eta:g}"]
    if t.schedule.type != "constant":
        steps.append(f"{t.schedule.type} schedule")
    steps += [link.words() for link in prepared.links]
    batch = min(t.batch_size, len(data.train))
    return [
        ("data", samples),
        *([("test", test)] if test else []),
        ("cost", cost_words(prepared)),
        (OPTIMIZERS[t.optimizer.type].title, ", ".join(steps)),
        ("length", f"{count_of(t.epochs, 'epoch')} in mini-batches of {batch:,}"),
        ("numbers", f"{spec.dtype}, seed {spec.seed}"),
        *([("start", origins(prepared.initial))] if prepared.initial else []),
    ]


def cost_words(prepared: Prepared) -> str:
    """The cost; and what each class weighs in it, where they have weights."""
    cost, weights = prepared.spec.train.cost, prepared.data.preprocessing.class_weights
    if weights is None:
        return cost
    named = zip(map(printable, prepared.data.classes or ()), weights, strict=True)
    each = [f"{name} {number(weight, 4)}" for name, weight in named]
    more = ", …" if len(each) > MOST_WEIGHTS else ""
    weighed = ", ".join(each[:MOST_WEIGHTS])
    return f"{cost}, weighted by class in training alone: {weighed}{more}"


def origins(initial: InitialWeights) -> str:
    """Which file the weights come from, and which of its modules became which layer."""
    if all(o.module == o.layer and not o.is_turned for o in initial.origins):
        return f"{printable(initial.file)}, layer by layer"
    moves = (
        f"{printable(o.module) or 'weight'} → {o.layer}{' (turned)' if o.is_turned else ''}"
        for o in initial.origins
    )
    return f"{printable(initial.file)}: {', '.join(moves)}"


def curves(history: History, chance: float | None) -> RenderableType:
    """Cost and accuracy over the epochs; nothing where there is one epoch only.

    Args:
        chance: the accuracy of guessing; None where it cannot be told.
    """
    if len(history) < 2:
        return Group()
    epochs = range(1, len(history) + 1)
    costs = [Series("train", numbers_of(history, "train_cost"))]
    held_back = numbers_of(history, "validation_cost")
    if held_back:
        costs.append(Series("validation", held_back))
    parts: list[RenderableType] = [Curves("cost", costs, epochs)]
    accuracies = [share for share in history.accuracies() if share is not None]
    if accuracies:
        name = "validation" if held_back else "train"
        parts += ["", accuracy_curves([Series(name, accuracies)], epochs, chance)]
    return Group(*parts, "")


def numbers_of(history: History, key: str) -> list[float]:
    """One number of the epochs that have it."""
    return [x for x in history.column(key) if x is not None]


def outcome(history: History) -> Text:
    """Where the training has led, and its best epoch where that was another."""
    last = history[-1]
    seconds = sum(numbers_of(history, "train_seconds"))
    line = Text(f"after {count_of(last.epoch, 'epoch')} ({duration(seconds)} of steps): ", "bold")
    if last.train_cost_after is not None:
        line.append(f"cost {number(last.train_cost_after, 7)}")
    if last.validation_cost is not None:
        line.append(f"validation cost {number(last.validation_cost, 4)}")
    if last.accuracy is not None:
        where = "validation" if last.validation_accuracy is not None else "training"
        line.append(f", {where} accuracy {accuracy(last.accuracy)}")
        shares = [share or 0 for share in history.accuracies()]
        best = max(shares)
        if best > last.accuracy:
            epoch = history[shares.index(best)].epoch
            line.append(f" (best {accuracy(best)} in epoch {epoch})")
    return line


def training_outcome(training: Training) -> Text:
    """That, and which weights are kept; they are those that the test data were measured with."""
    line, test, used = outcome(training.history), training.test, training.used
    stop = training.spec.train.early_stop
    if training.has_stopped_early and stop is not None:
        epochs = count_of(stop.patience, "epoch")
        line.append(f"\nended early: no better {stop.metric} in {epochs}", "not bold")
    if used is not None and used.best_epoch not in (None, used.last_epoch):
        line.append(
            f"\nbest: the weights after epoch {used.best_epoch:,}, by {used.metric} "
            f"({number(used.value or 0.0, 4)}); evaluate, predict and export use them",
            "not bold",
        )
    if training.fit is not None and any(r2 is not None for r2 in training.fit.fit.r2):
        line.append(f"\n{fit_words(training.fit)}")
        if used is not None and used.epoch != used.last_epoch:
            line.append(f", after epoch {used.epoch:,}", "not bold")
    if test is not None:
        line.append(f"\ntest: cost {number(test.cost, 4)}")
        if test.accuracy is not None:
            line.append(f", accuracy {accuracy(test.accuracy)}")
        if used is not None and used.epoch != used.last_epoch:
            line.append(f", after epoch {used.epoch:,}", "not bold")
    return line


def fit_words(made: TrainingFit) -> str:
    """R² and the mean of |a − y| of each output, of many the first."""
    (outputs, fit), several = made[1:], len(made.outputs) > 1
    each = [
        f"{f'{printable(name)}: ' if several else ''}R² {number(r2, 4)}, mean |a − y| "
        f"{number(mae, 4)}"
        for name, mae, r2 in zip(outputs, fit.mae, fit.r2, strict=True)
    ]
    more = f"; … of {len(each):,}" if len(each) > MOST_OUTPUTS else ""
    where = "validation" if made.part == "validation" else "training"
    return f"{where} {'; '.join(each[:MOST_OUTPUTS])}{more}"


def fit_record(made: TrainingFit) -> dict[str, Any]:
    rows = zip(made.outputs, *made.fit, strict=True)
    keys = ("output", "mse", "mae", "r2")
    return {"part": made.part, "outputs": [dict(zip(keys, row, strict=True)) for row in rows]}


def accuracy(share: float) -> str:
    """A share of samples that are right, to a hundredth of a percent."""
    return percent(share, 2)


def epoch_line(epoch: Epoch, epochs: int) -> Text:
    """One epoch in one line, as the heading of its table."""
    parts = [
        f"epoch {epoch.epoch}/{epochs}",
        f"η {epoch.eta:g}",
        f"mean cost {number(epoch.train_cost, 4)}",
    ]
    if epoch.validation_cost is not None:
        parts.append(f"validation {number(epoch.validation_cost, 4)}")
    if epoch.accuracy is not None:
        parts.append(f"accuracy {accuracy(epoch.accuracy)}")
    return Text("  ".join(parts), style="bold")


class Bar:
    """The progress of a training on a terminal; on anything else it is silent."""

    def __init__(self, console: Console, epochs: int, samples: int) -> None:
        self.console = console
        self.epochs = epochs
        self.per_epoch = samples
        self.accuracy = ""
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[facts]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            refresh_per_second=10,
        )
        self.task = self.progress.add_task("", total=epochs * samples, facts="")

    def start_at(self, epoch: int, samples: int) -> None:
        """Begins further on than at the beginning, without that being taken for speed."""
        done = epoch * self.per_epoch + samples
        self.progress.reset(self.task, start=True, completed=done, facts="")

    def hide(self) -> None:
        """Takes the bar off the screen, so that others may write there."""
        if self.progress.live.is_started:
            self.progress.stop()

    def show(self, event: Epoch | StepProgress) -> None:
        if not self.console.is_terminal:
            return
        self.progress.start()
        if isinstance(event, Epoch):
            done, cost, epoch = event.epoch * self.per_epoch, event.train_cost, event.epoch
            self.accuracy = "" if event.accuracy is None else f" acc {accuracy(event.accuracy)}"
        else:
            done = (event.epoch - 1) * self.per_epoch + event.samples
            cost, epoch = event.cost, event.epoch
        speed = self.progress.tasks[0].speed
        rate = f" {speed:,.0f} samples/s" if speed else ""
        self.progress.update(
            self.task,
            completed=done,
            description=f"epoch {epoch}/{self.epochs}",
            facts=f"cost {number(cost)}{self.accuracy}{rate}",
        )


def training_json(
    training: Training,
    stopped: StoppedTraining | None = None,
    diagnosis: Diagnosis | None = None,
) -> str:
    """A training, whole or stopped, as JSON text."""
    return to_json(training_record(training, stopped, diagnosis), indent=2)


def training_record(
    training: Training,
    stopped: StoppedTraining | None = None,
    diagnosis: Diagnosis | None = None,
) -> dict[str, Any]:
    """The schema nncli.training/1. An outcome is done, diverged, halted, interrupted or unsaved."""
    from nncli.render.pages.conditions import failure_record, outcome_record
    from nncli.render.pages.diagnosis import diagnosis_record  # after the first step, not before

    divergence = stopped.divergence if isinstance(stopped, DivergedError) else None
    return {
        "schema": "nncli.training/1",
        "name": training.spec.name,
        "outcome": "done" if stopped is None else stopped.outcome,
        "run": None if training.folder is None else str(training.folder),
        "parameters": training.network.parameters.size,
        "epochs": [asdict(epoch) for epoch in training.history],
        "test": None if training.test is None else training.test._asdict(),
        **({} if training.fit is None else {"fit": fit_record(training.fit)}),
        "stopped_early": training.has_stopped_early,
        "weights": None if training.used is None else training.used._asdict(),
        "divergence": None if divergence is None else divergence_record(divergence),
        "expectations": [outcome_record(outcome) for outcome in training.expectations],
        "halt": failure_record(stopped.failure) if isinstance(stopped, HaltedTraining) else None,
        "diagnosis": None if diagnosis is None else diagnosis_record(diagnosis),
    }
