"""Traces in files: saved, read, and taken again to the bit."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nncli.app.kept_traces import batch_of, facts_of
from nncli.app.opening import SpecOrRun, open_spec_or_run
from nncli.app.output import check_output
from nncli.app.pipeline import build_layers, place_layers
from nncli.app.plan import optimizer_links
from nncli.core.errors import NncliError, RunError, SpecError
from nncli.core.files import write_whole
from nncli.core.text import join_words, printable
from nncli.data.readers.named import READERS, is_named, read_named
from nncli.inspection.differences import TraceDifference, compare_arrays, compare_traces
from nncli.inspection.foreign.names import LEFT_OUT, name_arrays
from nncli.nn.arrays import Array
from nncli.nn.links import ScaleByEta, before
from nncli.nn.network import cost_row, zero_network
from nncli.nn.optimizers import Optimizer
from nncli.nn.parallel.blas import arithmetic
from nncli.nn.parallel.worker_pool import buffers_for, start_workers
from nncli.nn.recorder import record_trace
from nncli.nn.step import Step
from nncli.nn.trace import LayerTrace, Start, Trace
from nncli.spec.load import parse_spec
from nncli.training.best import Which
from nncli.training.run_files import is_run_folder
from nncli.training.trace_file import (
    SUFFIX,
    StepFacts,
    how_made,
    is_trace_file,
    pack_trace,
    read_stored,
    restore_trace,
)


class TraceFile(NamedTuple):
    """A trace that was saved, and what its step was taken with."""

    path: Path
    trace: Trace
    facts: StepFacts

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings: there are none."""
        return ()

    @property
    def all_notes(self) -> tuple[str, ...]:
        """The same: its weights are its own."""
        return self.notes


def open_step(
    path: str | Path,
    overrides: Sequence[str] = (),
    *,
    is_chosen: bool = False,
    weights: Which | None = None,
) -> SpecOrRun | TraceFile:
    """What a command that takes a step works on: a spec, a run folder, or a step that was saved.

    Args:
        is_chosen: whether samples or a step were asked for, which a trace has already.
        weights: of a run, as for `open_spec_or_run`.

    Raises:
        SpecError, DataError, RunError: as for `open_spec_or_run` and `read_trace`.
    """
    if not is_trace_file(path):
        return open_spec_or_run(path, overrides, weights)
    is_chosen = is_chosen or bool(overrides) or weights is not None
    return open_saved(path, is_chosen=is_chosen)


def open_saved(path: str | Path, *, is_chosen: bool = False) -> TraceFile:
    """A step that was saved, in place of one that is to be taken; see `open_step`."""
    if is_chosen:
        raise NncliError(
            f"{printable(path)}: is a step that was taken: it has its samples and its spec; leave "
            "out --samples, --batch, --step, --weights and --set"
        )
    return read_trace(path)


def check_save(path: Path, source: str | Path, *, overwrite: bool) -> None:
    """Checks that a trace of a step of `source` may be written.

    Raises:
        RunError: it may not. NncliError: its name is not that of a trace, or `source` is one.
    """
    if not is_trace_file(path):
        raise NncliError(f"--save {printable(path)}: a trace is called FILE{SUFFIX}")
    if is_trace_file(source):
        raise NncliError(f"--save: {printable(source)} is a trace already")
    elsewhere = f"--save FILE{SUFFIX} writes elsewhere"
    check_output(path, overwrite=overwrite, inputs=[source], elsewhere=elsewhere)


class Replay(NamedTuple):
    """A step that was taken again from its trace.

    Attributes:
        notes: what is another than it was then, and decides the last bits.
    """

    file: TraceFile
    difference: TraceDifference
    notes: tuple[str, ...]


def save_trace(
    trace: Trace, source: SpecOrRun, path: Path, *, step: int = 1, overwrite: bool = False
) -> None:
    """Writes the trace of a step of `source`, the `step`-th from there."""
    prepared, state = source.prepared, source.state
    asked = prepared.spec.train.threads
    with start_workers(prepared.network, batch_of(prepared), asked) as workers:
        threads = workers.threads
    taken = 0 if state is None else state.steps_taken
    facts = facts_of(prepared, taken + step, threads)
    write_whole(path, pack_trace(trace, facts), overwrite=overwrite)


def read_trace(path: str | Path) -> TraceFile:
    """A trace that was saved, with its network made anew from its spec.

    Raises:
        RunError: it cannot be read, is damaged or of another version.
    """
    path = Path(path)
    stored = read_stored(path)
    try:
        spec = parse_spec(stored.facts.spec, f"{printable(path)}: spec")
        shape = stored.arrays["inputs"].shape[1:]
        placed = place_layers(spec, build_layers(spec, weight_files=False), shape)
        cost = cost_row(spec.train.cost, placed[-1])
    except (SpecError, KeyError) as error:
        raise RunError(f"{printable(path)}: is damaged: its spec is none: {error}") from error
    trace = restore_trace(stored, placed, cost, [*optimizer_links(spec), ScaleByEta()], path)
    return TraceFile(path, trace, stored.facts)


def replay(path: str | Path) -> Replay:
    """Takes the step of a trace again, and compares all of it bit by bit."""
    file = read_trace(path)
    again = take_again(file)
    now = arithmetic()
    notes = [
        f"{key} was {then}, and is {now.get(key, 'unknown')}: its last bits may be others"
        for key, then in file.facts.arithmetic.items()
        if now.get(key) != then
    ]
    names = ("the trace", "the replay")
    difference = compare_traces(file.trace, again, names=names, step=file.facts.step)
    return Replay(file, difference, tuple(notes))


def take_again(file: TraceFile) -> Trace:
    """The step of a trace, computed anew from all that it started from."""
    trace, facts = file.trace, file.facts
    placed = tuple(layer.placed for layer in trace.layers)
    buffers = buffers_for(facts.threads)
    network = zero_network(placed, trace.cost, trace.inputs.dtype, buffers)
    network.class_weights = trace.class_weights
    optimizer = Optimizer(network, trace.links[:-1])
    _fill(network.views(network.parameters), trace, lambda layer, key: getattr(layer, key))
    for name in optimizer.state:
        if name in optimizer.vectors:
            _fill(network.views(optimizer.state[name]), trace, _state_before(name))
        elif name in trace.scalars:
            optimizer.state[name][()] = trace.scalars[name] - 1  # a counter, which a step begins by
    with start_workers(network, facts.batch, facts.threads, facts.micro_batches) as workers:
        step = Step(network, optimizer, len(trace.inputs), workers)
        step.inputs[...], step.targets[...] = trace.inputs, trace.targets
        if step.is_random:
            step.replay_random(trace.recorded_by_sample())
        start = Start.of(network, optimizer)
        cost = step.run(trace.eta, full=True)
        return record_trace(
            step, eta=trace.eta, cost=cost, start=start, samples=trace.samples, name=trace.name
        )


def diff(
    a: str | Path,
    b: str | Path,
    *,
    names: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TraceDifference:
    """Compares a step that was saved with another, or with arrays of any file that `check` reads.

    Of two run folders, their first step that differs; where none does, their end.

    Args:
        names: what arrays are, as for `check`.
        progress: called now and then with the steps of two runs that were compared, and how many
            are to be.

    Raises:
        RunError, DataError: a file cannot be read. NncliError: they are of different networks.
    """
    if os.path.isdir(a) and os.path.isdir(b):
        from nncli.app.run_difference import diff_runs

        return diff_runs(Path(a), Path(b), progress)
    if is_trace_file(b) and not is_trace_file(a) and is_named(Path(a)):
        first = f"nncli diff {printable(b)} {printable(a)}"
        raise NncliError(f"{printable(a)}: give the trace first: {first}")
    if is_run_folder(Path(a)):
        from nncli.app.run_difference import check_beside_run

        check_beside_run(Path(b))
    left = read_trace(a)
    labels = (printable(Path(a).name), printable(Path(b).name))
    if labels[0] == labels[1]:
        labels = (printable(a), printable(b))
    if is_trace_file(b):
        right = read_trace(b)
        step = left.facts.step if left.facts.step == right.facts.step else None
        return compare_traces(left.trace, right.trace, names=labels, step=step)
    if not is_named(Path(b)):
        raise NncliError(
            f"{printable(b)}: is neither a trace nor a file of arrays; {how_made(Path(b))}, and "
            f"arrays are read from {join_words(READERS)}, or from a folder of .csv files"
        )
    left_out = {mine for mine, name in (names or {}).items() if name == LEFT_OUT}
    arrays = {key: array for key, array in read_named(Path(b)).items() if key not in left_out}
    settled = {mine: name for mine, name in (names or {}).items() if mine not in left_out}
    naming = name_arrays(left.trace, arrays, settled)
    given = {one.name: one.array for one in (*naming.start, *naming.named)}
    given |= {one.name: one.array for one in (naming.inputs, naming.targets) if one is not None}
    return compare_arrays(left.trace, given, names=labels, step=left.facts.step)


def _state_before(name: str) -> Callable[[LayerTrace, str], Array]:
    return lambda layer, key: layer.optimizer[key][before(name)]


def _fill(
    views: Mapping[str, Mapping[str, Array]],
    trace: Trace,
    value: Callable[[LayerTrace, str], Array],
) -> None:
    for layer in trace.layers:
        for key, view in views[layer.name].items():
            np.copyto(view, value(layer, key))
