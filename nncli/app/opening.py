"""A path that a command was given, opened: a spec or a run folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from nncli.app.pipeline import build_run_network, fixed_values, prepare
from nncli.app.records import Prepared
from nncli.app.run_weights import choose_weights, note_on_weights
from nncli.core.errors import NncliError, RunError, why_damaged
from nncli.core.text import count_of, printable
from nncli.data import Preprocessing, preprocessing_from
from nncli.nn.network import Network
from nncli.nn.optimizers import Optimizer
from nncli.nn.parallel.worker_pool import WorkerPool, start_workers
from nncli.spec import Spec, load_spec
from nncli.spec.dump import ABSENT, differences
from nncli.spec.words import KeyPath, describe
from nncli.training.best import UsedWeights, Which

# A spec needs nothing of what reads a run, so that is imported where there is one.
if TYPE_CHECKING:
    from nncli.training.checkpoint import RunIdentity, State
    from nncli.training.run_data import Checksums


class SpecOrRun(NamedTuple):
    """A spec, or a run folder, prepared for a step.

    Attributes:
        state: of the run's training; None for a spec. That of its best epoch has no state of its
            optimizer.
        used: which weights of a run these are.
        notes: warnings: what reading the data left out, and what of the run is damaged.
    """

    prepared: Prepared
    state: State | None
    notes: tuple[str, ...] = ()
    used: UsedWeights | None = None

    @property
    def all_notes(self) -> tuple[str, ...]:
        """`notes`, and which weights of a run these are."""
        if self.used is None:
            return self.notes
        return (*self.notes, *note_on_weights(self.used), *self._forgotten())

    def _forgotten(self) -> Iterator[str]:
        links = self.prepared.links
        if self.state is None or self.state.optimizer or not any(link.state for link in links):
            return
        yield "the optimizer begins anew: its state after that epoch was not kept"

    def optimizer(self) -> Optimizer:
        """The run's optimizer, with its state.

        Raises:
            RunError: the run's state is of another optimizer.
        """
        optimizer = Optimizer(self.prepared.network, self.prepared.links)
        if self.state is not None and self.state.optimizer:
            from nncli.training.checkpoint import check_optimizer_state

            check_optimizer_state(optimizer, self.state)
            optimizer.restore(self.state.optimizer)
        return optimizer


def open_spec_or_run(
    path: str | Path, overrides: Sequence[str] = (), weights: Which | None = None
) -> SpecOrRun:
    """What a command given SPEC or RUN works on: a run's network has its trained weights.

    Args:
        weights: of a run: the last, from which the training would go on, or those after its best
            epoch, from which it would begin anew; None: the last.

    Raises:
        SpecError, DataError: the spec or its data are wrong. RunError: the run cannot be read.
        NncliError: `weights` of a spec.
    """
    path = Path(path)
    spec = load_spec(spec_file(path), overrides)
    if not os.path.isdir(path):  # unlike Path.is_dir, it knows no path that is too long to ask
        if weights is not None:
            raise NncliError(f"--weights {weights}: is for a run folder; {printable(path)} is none")
        prepared = prepare(spec)
        return SpecOrRun(prepared, None, prepared.notes)
    from nncli.training.history import read_first
    from nncli.training.run_reader import last_state

    prepared = prepare(spec, weight_files=False)
    state, identity, notes = last_state(path, prepared.network)
    own = load_spec(spec_file(path)) if overrides else spec
    notes = (*notes, *_notes_on_spec(own, identity.spec))
    chosen = choose_weights(state, weights or "last", path)
    chosen.put_into(prepared.network)
    if prepared.plan.depends_on_epochs:
        plan = prepared.plan.fresh()
        plan.see(read_first(path, chosen.used.epoch).history)
        prepared = prepared._replace(plan=plan)
    if chosen.used.which == "best":
        assert state.best is not None
        state = state.at_best(state.best)
    return SpecOrRun(prepared, state, (*prepared.notes, *notes), chosen.used)


def spec_file(path: str | Path) -> Path:
    """The spec's own path, or that of the spec in a run folder.

    Raises:
        RunError: the folder is no run.
    """
    path = Path(path)
    if not os.path.isdir(path):
        return path
    from nncli.training.run_files import SPEC
    from nncli.training.run_reader import check_run

    check_run(path)
    return path / SPEC


class OpenedRun(NamedTuple):
    """A run opened to use its network; neither its training data nor its trainer is needed.

    Attributes:
        preprocessing: how inputs are read for it.
        network: with the weights of its checkpoint that `used` says.
        notes: warnings: what is damaged, and could be done without.
        checksums: of the data that it was trained on; none where an older version trained it.
    """

    path: Path
    spec: Spec
    preprocessing: Preprocessing
    network: Network
    used: UsedWeights
    notes: tuple[str, ...] = ()
    checksums: Checksums = MappingProxyType({})

    @property
    def all_notes(self) -> tuple[str, ...]:
        """`notes`, and which weights these are."""
        return (*self.notes, *note_on_weights(self.used))

    def start_workers(self) -> WorkerPool:
        """The threads that its forward passes are worth; to be closed."""
        from nncli.training.evaluate import block_for

        settings = self.spec.train
        n = block_for(self.network)
        return start_workers(self.network, n, settings.threads, settings.micro_batches)


def open_run(path: str | Path, weights: Which | None = None) -> OpenedRun:
    """Opens a run folder to use its network.

    Args:
        weights: those after the best epoch, or the last; None: the best, where they were kept.

    Raises:
        RunError: it is none, or something in it is missing or damaged, or has no best weights.
        SpecError: its spec is.
    """
    from nncli.training.run_reader import last_state

    path = Path(path)
    name = printable(path)
    if not os.path.exists(path):
        raise RunError(f"{name}: there is no such folder; nncli train writes run folders")
    if not os.path.isdir(path):
        raise RunError(f"{name}: is a file; a run folder is needed, as nncli train writes it")
    spec = load_spec(spec_file(path))
    preprocessing = read_preprocessing(path)
    network = build_run_network(spec, preprocessing.input_shape)
    _check_outputs(path, preprocessing, network)
    state, identity, notes = last_state(path, network)
    others = (
        f"{note}; it is used as it is" for note in notes_on_data(path, preprocessing, identity)
    )
    notes = (*notes, *_notes_on_spec(spec, identity.spec), *others)
    chosen = choose_weights(state, weights, path)
    chosen.put_into(network)
    checksums = identity.checksums
    return OpenedRun(path, spec, preprocessing, network, chosen.used, notes, checksums)


def _check_outputs(folder: Path, preprocessing: Preprocessing, network: Network) -> None:
    """Raises RunError where a run folder's data.json is not that of its network."""
    from nncli.training.run_files import DATA, SPEC

    (outputs,) = network.output_shape
    for count in (
        preprocessing.outputs,
        outputs if preprocessing.encoding is None else preprocessing.encoding.outputs,
    ):
        if count != outputs:
            raise RunError(
                f"{printable(folder / DATA)}: damaged: it is for a network of "
                f"{count_of(count, 'output')}, that of {SPEC} has {outputs:,}"
            )


def read_preprocessing(folder: Path) -> Preprocessing:
    """How data are read for the network of a run folder.

    Raises:
        RunError: the folder does not say, or not in whole.
    """
    from nncli.training.run_data import read_data
    from nncli.training.run_files import DATA

    plain = read_data(folder)
    try:
        return preprocessing_from(plain)
    except (KeyError, TypeError, ValueError) as error:
        why = printable(why_damaged(error))
        raise RunError(f"{printable(folder / DATA)}: damaged: {why}") from error


def notes_on_data(
    folder: Path, preprocessing: Preprocessing, identity: RunIdentity
) -> Iterator[str]:
    """A warning where what a run's data.json says is not what its training wrote."""
    from nncli.training.run_data import mark_of
    from nncli.training.run_files import DATA

    if identity.preprocessing not in (None, mark_of(preprocessing.as_plain())):
        yield f"{printable(folder / DATA)}: not as the training wrote it: the checksum is another"


LONGEST = 4096  # characters of a value in a message


class SpecChange(NamedTuple):
    """A key of two specs, and its value in each in words."""

    path: KeyPath
    one: str
    other: str


def spec_changes(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[SpecChange]:
    """In what two dumped specs differ, or two parts of such."""
    found = list(differences([one, other]))
    if any(path == ("train", "optimizer") for path, _ in found):
        # Keys that only one of the two has follow from that.
        found = [(path, values) for path, values in found if ABSENT not in values]
    return [SpecChange(path, *map(_in_words, values)) for path, values in found]


def edits_of(own: Spec, begun: Mapping[str, Any]) -> list[SpecChange]:
    """What a run's spec has other values for than its checkpoint; none in an older one.

    Keys that the checkpoint does not know came with a newer version.
    """
    if not begun:
        return []
    found = spec_changes(begun, fixed_values(own))
    return [d for d in found if d.one != _in_words(ABSENT) or isinstance(d.path[-1], int)]


def _in_words(value: Any) -> str:
    if value is ABSENT:
        return "nothing"
    if isinstance(value, str):
        return printable(value, LONGEST)
    if isinstance(value, dict):
        entries = ", ".join(f"{key}: {_in_words(entry)}" for key, entry in value.items())
        return printable(f"{{{entries}}}", LONGEST)
    return describe(value)


def _notes_on_spec(spec: Spec, begun: Mapping[str, Any]) -> Iterator[str]:
    """A warning for each key of a run's spec that has another value than it was trained with."""
    for change in edits_of(spec, begun):
        message = f"{change.other}, but the run was trained with {change.one}; it is used as it is"
        yield from spec.error_at(change.path, message).problems
