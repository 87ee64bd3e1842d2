"""Two runs compared step by step: the first in which anything differs.

Nothing need have been written but the runs' checkpoints: from the last that are equal in both, or
from the first weights, the steps of both are taken again side by side. Traces, where both runs have
them, say how far at most.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np

from nncli.app.opening import spec_changes, spec_file
from nncli.app.pipeline import prepare, start_workers, with_defaults
from nncli.app.records import SPEC_SUFFIXES
from nncli.app.trace_files import read_trace
from nncli.core.errors import NncliError, RunError
from nncli.core.text import count_of, join_words, printable
from nncli.data.readers.named import is_named
from nncli.inspection.differences import TraceDifference, compare_named, compare_traces
from nncli.nn.arrays import Array
from nncli.nn.optimizers import Optimizer
from nncli.nn.parallel.blas import arithmetic
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.recorder import record_trace
from nncli.nn.step import Step
from nncli.nn.trace import Start, Trace
from nncli.spec.load import load_spec
from nncli.spec.words import dotted
from nncli.training.checkpoint import State, read_checkpoint
from nncli.training.history import Epoch, read_history
from nncli.training.run_files import PREVIOUS, TRACES
from nncli.training.run_reader import check_run, last_state
from nncli.training.steps import Rows, StepRunner
from nncli.training.trace_file import SUFFIX, is_trace_file

Progress = Callable[[int, int], None]
PROGRESS_STEPS = 64  # from one call of it to the next
MOST_CHANGES = 6  # of a spec that are named


def diff_runs(a: Path, b: Path, progress: Progress | None = None) -> TraceDifference:
    """The first step of two runs in which a quantity differs; where none does, their end.

    Args:
        progress: called now and then with the steps that were compared, and how many are to be.

    Raises:
        RunError, SpecError, DataError: a run, its spec or its data cannot be read. NncliError: the
            runs are of different networks, or have mini-batches of different sizes.
    """
    names = (printable(a), printable(b))
    traced = _first_traced(a, b, names)
    with ExitStack() as stack:
        runs = tuple(_Run(path, stack) for path in (a, b))
        notes = list(_notes_on_specs(*runs))
        try:
            found = _compare(runs, names, traced, progress, notes)
        except NncliError as error:
            raise NncliError("\n".join([str(error), *notes])) from error
        notes += [note for run in runs for note in run.notes]
    return replace(found, notes=tuple(notes))


def check_beside_run(other: Path) -> None:
    """Checks that a run could be compared with something, whole or one of its traces.

    Raises:
        RunError: it is not there. NncliError: it is neither a run nor a trace nor arrays.
    """
    if not os.path.lexists(other):
        check_run(other)
    if os.path.isdir(other) or is_trace_file(other) or is_named(other):
        return
    name, is_spec = printable(other), other.suffix.lower() in SPEC_SUFFIXES
    makes = f": nncli train {name} makes one" if is_spec else ""
    raise NncliError(
        f"{name}: is {'a spec' if is_spec else 'a file'}; a run is compared with another run{makes}"
    )


class _Run:
    """A run whose steps are taken again, with its threads and on its data."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path = path
        self.spec = load_spec(spec_file(path))
        self.prepared = prepare(self.spec)
        self.network = self.prepared.network
        last, identity, notes = last_state(path, self.network)
        self.states = {last.steps_taken: last}
        if not notes:  # it is in the last checkpoint, which is whole
            with suppress(RunError):  # the one before it is damaged, or not there
                before, _ = read_checkpoint(path / PREVIOUS, self.network)
                self.states.setdefault(before.steps_taken, before)
        self.taken = last.steps_taken
        self.notes = [*self.prepared.notes, *notes, *_other_arithmetic(path, identity.arithmetic)]
        workers: WorkerPool = stack.enter_context(start_workers(self.prepared, identity.threads))
        self.optimizer = Optimizer(self.network, self.prepared.links)
        self.plan = self.prepared.plan.fresh()
        self.train = self.prepared.data.train
        self.runner = StepRunner(self.network, self.optimizer, self.plan, self.train, workers)
        self.before = self.runner.start()
        self.eta = self.cost = float("nan")
        self.is_other = False  # than its training was, as far as the epochs' costs tell
        self.rows: Rows = self.train.index[:0]
        self.step: Step | None = None

    def begin_at(self, state: State | None) -> None:
        """Goes to a checkpoint; None: to the first weights."""
        epoch = samples = 0
        if state is not None:
            self.runner.restore(state.start)
            epoch, samples = state.epoch, state.samples
        self._steps = self._following(epoch, samples)

    def _following(self, epochs: int, samples: int) -> Iterator[tuple[float, Rows]]:
        """η and mini-batch of each step from there on."""
        history = read_history(self.path)
        self.plan.see(history[:epochs])
        for epoch in count(epochs + 1):
            # As it was: a run may have been resumed with another.
            eta = history[epoch - 1].eta if epoch <= len(history) else self.plan.eta_in(epoch)
            cost_sum = 0.0
            for rows in self.plan.batches(self.train.index, epoch, samples):
                yield eta, rows
                cost_sum += self.cost * len(rows)
            if not samples and not self.is_other:
                self._check(history[epoch - 1 : epoch], cost_sum / len(self.train.index))
            self.plan.see(history[epoch - 1 : epoch])
            samples = 0

    def _check(self, epochs: Sequence[Epoch], cost: float) -> None:
        """Notes where an epoch is not what its training had."""
        for epoch in epochs:
            if epoch.train_cost != cost:
                self.is_other = True
                self.notes.append(
                    f"{printable(self.path)}: taken again, epoch {epoch.epoch:,} comes to a cost "
                    f"of {cost:.9g}, not {epoch.train_cost:.9g} as in its training: its data, its "
                    "spec or the arithmetic were others"
                )

    def take(self, number: int) -> None:
        self.eta, self.rows = next(self._steps)
        self.before.update(self.network, self.optimizer)
        self.step, self.cost = self.runner.run(self.rows, self.eta, number, full=False)

    def numbers(self) -> dict[str, Array]:
        """What steps that are equal have equal, by name."""
        assert self.step is not None
        found = {"": np.array([self.eta, self.cost]), "parameters": self.network.parameters}
        found |= {"inputs": self.step.inputs, "targets": self.step.targets}
        return {**found, **self.optimizer.vectors, **self.optimizer.state, **self.network.state}

    def trace_again(self, number: int) -> Trace:
        """The record of the step that was just taken."""
        self.runner.restore(self.before)
        step, cost = self.runner.run(self.rows, self.eta, number, full=True)
        samples = np.searchsorted(self.train.index, self.rows).tolist()
        start = Start(self.before.parameters, self.before.state, self.before.network_state)
        return record_trace(
            step, eta=self.eta, cost=cost, start=start, samples=samples, name=self.spec.name
        )

    def named(self, state: State | None = None) -> dict[str, Array]:
        """Weights, and what the optimizer keeps, by name: of a state, or here."""
        parameters = self.network.parameters if state is None else state.parameters
        kept: Mapping[str, Array] = self.optimizer.state if state is None else state.optimizer
        found = dict(self.network.named(parameters))
        for key, array in kept.items():
            if array.shape == parameters.shape:
                found |= {f"{n}_{key}": view for n, view in self.network.named(array).items()}
            else:
                found[key] = array
        return found


def _compare(
    runs: tuple[_Run, ...],
    names: tuple[str, str],
    traced: TraceDifference | None,
    progress: Progress | None,
    notes: list[str],
) -> TraceDifference:
    a, b = runs
    last = min(a.taken, b.taken)
    if a.taken != b.taken:
        notes.append(
            f"{names[0]} took {count_of(a.taken, 'step')}, {names[1]} {b.taken:,}; what both took "
            "is compared"
        )
    equal_at = max(
        (n for n in a.states.keys() & b.states.keys() if _equal(a.states[n], b.states[n])),
        default=0,
    )
    if equal_at and equal_at == last and (traced is None or traced.equal):
        states = (run.named(run.states[last]) for run in runs)
        return compare_named(*states, names=names, step=last)
    for run in runs:
        run.begin_at(run.states.get(equal_at))
    if traced is not None and traced.step is not None and not traced.equal:
        last = min(last, traced.step)
    for number in range(equal_at + 1, last + 1):
        for run in runs:
            run.take(number)
        if not _same(a.numbers(), b.numbers()):
            left, right = (run.trace_again(number) for run in runs)
            return compare_traces(left, right, names=names, step=number)
        if progress is not None and (number - equal_at) % PROGRESS_STEPS == 0:
            progress(number - equal_at, last - equal_at)
    return _not_found(runs, names, traced, last, notes)


def _not_found(
    runs: tuple[_Run, ...],
    names: tuple[str, str],
    traced: TraceDifference | None,
    last: int,
    notes: list[str],
) -> TraceDifference:
    """The steps are equal where they are taken again; what the runs themselves have may not be."""
    if traced is not None and not traced.equal:
        notes.append(
            "taken again here, both are equal up to there: the arithmetic of one was another, or "
            "what it recorded was changed"
        )
        return traced
    states = [run.states.get(last) for run in runs]
    found = compare_named(
        *(run.named(state) for run, state in zip(runs, states, strict=True)), names=names, step=last
    )
    if not found.equal:
        notes.append(
            "taken again here, all steps of both are equal, and their checkpoints differ: the "
            "arithmetic was another, or weights were changed; with traces (train --trace every=1) "
            "the step would be found"
        )
    return found


def _first_traced(a: Path, b: Path, names: tuple[str, str]) -> TraceDifference | None:
    """Of the steps that both runs recorded the first that differs, or the last; None: none."""
    kept = [{file.name for file in (run / TRACES).glob(f"*{SUFFIX}")} for run in (a, b)]
    found = None
    for name in sorted(kept[0] & kept[1]):
        left, right = (read_trace(run / TRACES / name) for run in (a, b))
        found = compare_traces(left.trace, right.trace, names=names, step=left.facts.step)
        if not found.equal:
            break
    return found


def _same(a: Mapping[str, Array], b: Mapping[str, Array]) -> bool:
    """Whether all that both have is equal to the bit."""
    return all(
        a[key].shape == b[key].shape
        and a[key].dtype == b[key].dtype
        and bool((_bits(a[key]) == _bits(b[key])).all())
        for key in a
        if key in b
    )


def _bits(array: Array) -> Array:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _equal(a: State, b: State) -> bool:
    """Whether a training goes on from both to the same bits, as far as the states say."""
    one, other = ({"": s.parameters, **s.optimizer, **s.network_state} for s in (a, b))
    place = (a.epoch, a.samples) == (b.epoch, b.samples)
    return place and one.keys() == other.keys() and _same(one, other)


def _notes_on_specs(a: _Run, b: _Run) -> Iterator[str]:
    one, other = (with_defaults(run.spec).absolute() for run in (a, b))
    for spec in (one, other):
        del spec["name"]
    changes = spec_changes(one, other)
    if changes:
        words = [f"{dotted(c.path)} is {c.one} and {c.other}" for c in changes[:MOST_CHANGES]]
        more = len(changes) - MOST_CHANGES
        words += [count_of(more, "other key")] if more > 0 else []
        yield f"the specs differ: {join_words(words, 'and')}"


def _other_arithmetic(path: Path, then: Mapping[str, str]) -> Iterator[str]:
    here = arithmetic()
    changed = [key for key in then if then[key] != here.get(key)]
    if changed:
        was = join_words([f"{key} {then[key]}" for key in changed], "and")
        now = join_words([f"{key} {here.get(key, 'none')}" for key in changed], "and")
        yield f"{printable(path)}: was trained with {was}, here it is {now}: last bits may differ"
