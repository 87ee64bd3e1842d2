"""nncli.check: somebody else's step compared with the same one here, and its mistake named."""

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from nncli.app.inspect import trace_step
from nncli.app.opening import SpecOrRun, open_spec_or_run
from nncli.app.pipeline import prepare
from nncli.app.run_weights import weights_words
from nncli.core.errors import NncliError
from nncli.core.text import count_of, first_of, quote
from nncli.data.readers.named import clean, read_named
from nncli.inspection.foreign.checking import check_step, in_our_conventions
from nncli.inspection.foreign.names import (
    LEFT_OUT,
    Naming,
    multiplied,
    name_arrays,
    transposed,
)
from nncli.inspection.foreign.readings import SAME, agrees, distance
from nncli.inspection.foreign.record import Checked
from nncli.inspection.foreign.words import meaning_of
from nncli.nn.arrays import Array, Shape
from nncli.nn.network import smallest_batch
from nncli.nn.trace import Start, Trace
from nncli.spec import Spec, WeightedLayerSpec
from nncli.training.trace_file import is_trace_file

Samples = Sequence[int] | None
OTHERS = 24  # mini-batches that are tried, of each kind
BLOCK = 4096  # rows of the data that are looked at together


def check(
    source: Trace | SpecOrRun | Spec | str | Path,
    mine: Mapping[str, Any] | str | Path,
    *,
    names: Mapping[str, str] | None = None,
    samples: Samples = (),
    batch: bool = False,
    step: int = 1,
) -> Checked:
    """Compares a step that was computed elsewhere with the same one here.

    Args:
        source: a spec, or the path of one or of a run folder: the network, its data and weights. Or
            the trace of the same step.
        mine: arrays by name, or the path of a file of them: any quantities of the step. Weights
            among them are what the step starts from, inputs say which samples it is on.
        names: what some of them are, as {"dW1": "dense1.weight_gradient"}; "-" leaves one out.
        samples: which samples of the training data, counted from 0; none: sample 0 or the
            mini-batch that training would draw, whichever fits.
        batch: take that mini-batch.
        step: counted from 1.

    Raises:
        NncliError: something cannot be compared, or cannot be told apart. SpecError, DataError,
            RunError, DivergedError: as for `trace_step`.
    """
    names = dict(names or {})
    where = "" if isinstance(mine, Mapping) else f"{Path(mine)}: "
    given = clean(mine) if isinstance(mine, Mapping) else read_named(Path(mine))
    given = {key: value for key, value in given.items() if names.get(key) != LEFT_OUT}
    names = {key: value for key, value in names.items() if value != LEFT_OUT}
    if isinstance(source, str | Path) and is_trace_file(source):
        source = trace_step(source)
    if isinstance(source, Trace):
        return _beside(source, given, names)
    steps = _Steps(source)
    choices: list[Samples] = [None if batch else samples]
    if not batch and samples is not None and not len(samples):
        found = steps.samples_of(given, names, where)
        choices = [found] if found else [(), None]
    return _best([*_checks(steps, given, names, choices, step)])


def _beside(trace: Trace, given: Mapping[str, Array], names: Mapping[str, str]) -> Checked:
    """The check beside a step that was taken, of which nothing can be chosen any more."""
    naming = name_arrays(trace, given, names)
    for one in naming.start:
        layer, _, key = one.name.rpartition(".")
        value = next(getattr(x, key) for x in trace.layers if x.name == layer)
        if distance(one.array, value) > SAME:
            raise NncliError(f"{quote(one.mine)} is not what the trace starts from")
    _check_samples(trace, naming)
    quantities, note = in_our_conventions(trace, naming.named)
    return check_step(trace, quantities, notes=[*naming.notes, *note])


class _Steps:
    """Takes steps of a network, each from the same start."""

    def __init__(self, source: SpecOrRun | Spec | str | Path) -> None:
        if isinstance(source, Spec):
            source = SpecOrRun(prepare(source), None)
        self.opened = source if isinstance(source, SpecOrRun) else open_spec_or_run(source)
        self.prepared = self.opened.prepared
        self.network = self.prepared.network
        self._start = Start.of(self.network, self.opened.optimizer())

    def take(self, samples: Samples, step: int = 1) -> Trace:
        np.copyto(self.network.parameters, self._start.parameters)
        self.network.restore_state(self._start.network_state)
        return trace_step(self.opened, samples=samples, step=step)

    def begin_with(self, naming: Naming) -> None:
        """Lets steps start from weights that were given."""
        np.copyto(self.network.parameters, self._start.parameters)
        views = self._views()
        for one in naming.start:
            views[one.name][...] = one.array
        self._start = self._start._replace(parameters=self.network.parameters.copy())

    def _views(self) -> dict[str, Array]:
        return self.network.named(self.network.parameters)

    def start_in_words(self, naming: Naming) -> Iterator[str]:
        """Which weights steps start from, where not all of them were given."""
        if self.opened.used is not None and len(naming.start) < len(self._views()):
            yield f"the step starts from {weights_words(self.opened.used)}"
        elif not naming.start and self._draws():
            yield "no weights were given, so the step starts from those that the spec draws"

    def _draws(self) -> bool:
        """Whether first weights are drawn, and stand in no file."""
        spec = self.prepared.spec
        layers = [x for x in spec.network if isinstance(x, WeightedLayerSpec)]
        return spec.train.init_from is None and any(x.weights is None for x in layers)

    @property
    def steps_an_epoch(self) -> int:
        return -(-len(self.prepared.data.train) // self.prepared.plan.batch_size)

    def samples_of(
        self, given: Mapping[str, Array], names: Mapping[str, str], where: str
    ) -> tuple[int, ...]:
        """The samples whose inputs were given; none if there are no inputs among the arrays.

        Raises:
            NncliError: they are not among the training data.
        """
        shape = self.network.input_shape
        for name, array in given.items():
            if name in names:
                is_inputs = names[name] == "inputs"
            else:
                meaning = meaning_of(name, (), frozenset())
                is_inputs = meaning.quantities[:1] == ("inputs",) and meaning.number in (None, 0)
            if is_inputs and (layouts := list(_by_sample(array, shape))):
                found = [self._find(np.asarray(rows, np.float64)) for rows in layouts]
                for rows_of in found:
                    if None not in rows_of:
                        return tuple(k for k in rows_of if k is not None)
                raise NncliError(
                    f"{where}{quote(name)}: its row {found[0].index(None)} is none of the "
                    f"{count_of(len(self.prepared.data.train), 'sample')} of the training data, as "
                    "the network takes them (scaled); --samples says which they are, and leaves "
                    f"these rows out if --name {name}=- is given"
                )
        return ()

    def _find(self, rows: Array) -> list[int | None]:
        """Which sample each row is; None where it is none."""
        train = self.prepared.data.train
        found: list[int | None] = [None] * len(rows)
        for start in range(0, len(train.index), BLOCK):
            index = train.index[start : start + BLOCK]
            inputs = np.zeros((len(index), *self.network.input_shape), self.network.dtype)
            targets = np.zeros((len(index), *self.network.output_shape), self.network.dtype)
            train.gather(index, inputs, targets)
            for k, row in enumerate(rows):
                if found[k] is None:
                    off = np.abs(inputs - row).reshape(len(index), -1).max(axis=1)
                    best = int(off.argmin())
                    if off[best] <= SAME * max(1.0, float(np.abs(row).max())):
                        found[k] = start + best
        return found

    def others(self, trace: Trace, *, same_size: bool) -> Iterator[Trace]:
        """The step on other samples: those next to it, and those that training would draw."""
        plan, train = self.prepared.plan, self.prepared.data.train
        n = len(trace.samples)
        drawn = [
            tuple(np.searchsorted(train.index, rows).tolist())
            for _, rows in zip(range(OTHERS), plan.batches(train.index, 1), strict=False)
        ]
        last = min(len(train), OTHERS * n)
        ordered = [tuple(range(k, min(k + n, len(train)))) for k in range(0, last, n)]
        singles = [(k,) for k in range(min(len(train), OTHERS))]
        tried, least = {trace.samples}, smallest_batch(self.network.layers)
        for rows in (*drawn, *ordered, *singles):
            if rows in tried or (same_size and len(rows) != n) or len(rows) < least:
                continue
            tried.add(rows)
            yield self.take(rows)


def _by_sample(array: Array, shape: Shape) -> Iterator[Array]:
    """The ways to read inputs that were given, samples first: as rows, or as columns."""
    size = prod(shape)
    for samples_first in (array, np.moveaxis(array, -1, 0) if array.ndim else array):
        if samples_first.shape[1:] in (shape, (size,)):
            yield samples_first.reshape(-1, *shape)
    if array.shape == shape:
        yield array[None]


def _checks(
    steps: _Steps,
    given: Mapping[str, Array],
    names: Mapping[str, str],
    choices: Sequence[Samples],
    step: int,
) -> Iterator[Checked]:
    """What a check makes of each choice of samples that the shapes allow, and each turning."""
    refused: list[NncliError] = []
    done = 0
    seen = set[tuple[int, ...]]()
    for k, chosen in enumerate(choices):
        try:
            trace, naming = _begin(steps, given, names, chosen, step)
        except NncliError as error:
            refused.append(error)
            continue
        if trace.samples in seen:
            continue
        seen.add(trace.samples)
        done += 1
        notes = [*steps.start_in_words(naming), *naming.notes]
        if len(choices) > 1 and k:
            samples = first_of(trace.samples, 8)
            notes.append(f"compared with the mini-batch that training would draw: {samples}")
        readings = [naming.named]
        if naming.doubtful:
            readings.append(transposed(naming, given))
        if naming.unsure:
            readings.append(multiplied(naming))
        for named in readings:
            quantities, note = in_our_conventions(trace, named)
            by_sample = any(one.array.shape[:1] == trace.inputs.shape[:1] for one in quantities)
            yield check_step(
                trace,
                quantities,
                others=lambda t=trace, s=by_sample: steps.others(t, same_size=s),  # type: ignore[misc]
                steps_an_epoch=steps.steps_an_epoch,
                notes=[*notes, *note],
            )
    if not done:
        raise refused[0]


def _begin(
    steps: _Steps,
    given: Mapping[str, Array],
    names: Mapping[str, str],
    chosen: Samples,
    step: int,
) -> tuple[Trace, Naming]:
    """The step, from the weights that were given with it, and what each array is."""
    trace = steps.take(chosen, step)
    naming = name_arrays(trace, given, names)
    start = {one.name: one for one in naming.start}
    differs = [
        name
        for layer in trace.layers
        for key in layer.optimizer
        if (name := f"{layer.name}.{key}") in start
        if not agrees(start[name].array, getattr(layer, key))
    ]
    if differs:
        if step > 1:
            raise NncliError(
                f"{quote(start[differs[0]].mine)} is not what step {step} starts from; weights of "
                "one's own go with step 1"
            )
        steps.begin_with(naming)
        trace = steps.take(chosen, step)
        naming = name_arrays(trace, given, names)
        mine = ", ".join(start[name].mine for name in differs[:6])
        naming = naming._replace(notes=(*naming.notes, f"the step starts from {mine}, as given"))
    _check_samples(trace, naming)
    if not naming.named:
        mine = ", ".join(map(quote, list(given)[:6]))
        raise NncliError(f"{mine}: is what a step starts from, and nothing that it computes")
    return trace, naming


def _check_samples(trace: Trace, naming: Naming) -> None:
    """Raises NncliError where inputs or targets were given that are not those of the step."""
    for one, value in ((naming.inputs, trace.inputs), (naming.targets, trace.targets)):
        if one is not None and distance(one.array, value) > SAME:
            raise NncliError(
                f"{quote(one.mine)} is not what this step is on ({one.name} of samples "
                f"{', '.join(map(str, trace.samples[:8]))}): --samples and --batch choose others"
            )


def _best(found: Sequence[Checked]) -> Checked:
    """The one that is right; else one that more explains than other samples; else the nearest."""
    for one in found:
        if one.right:
            return one
    found = sorted(found, key=_distance)
    explained = [one for one in found if one.explanations and one.mistakes != ("wrong_batch",)]
    return (explained or [one for one in found if one.explanations] or list(found))[0]


def _distance(checked: Checked) -> tuple[int, float]:
    """How far a check is from right: how much is wrong, and by how much."""
    wrong = [one for one in checked.compared if not one.right]
    return len(wrong), sum(min(one.max_relative_error, 10.0) for one in wrong)
