"""nncli.trace_step and inspect: one step, recorded and proven; and what inspect-grad shows."""

from collections.abc import Callable, Iterable, Sequence
from operator import index
from pathlib import Path

from nncli.app.opening import SpecOrRun, open_spec_or_run
from nncli.app.pipeline import prepare, start_workers
from nncli.app.records import InspectedStep
from nncli.core.errors import NncliError
from nncli.core.text import brief
from nncli.inspection import record
from nncli.inspection.check import sweep
from nncli.inspection.findings import why
from nncli.inspection.record import Inspection
from nncli.inspection.views import conv_of
from nncli.nn.trace import Trace
from nncli.spec import Spec
from nncli.training.steps import Choice, record_chosen_step
from nncli.training.trace_file import is_trace_file


def trace_step(
    source: SpecOrRun | Spec | str | Path,
    *,
    samples: Sequence[int] | None = (),
    step: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Trace:
    """Takes one SGD step and gives the record of everything in it.

    Args:
        source: a spec, or the path of one or of a run folder (then from its trained weights); or
            that of a step that was saved, which is read.
        samples: which samples of the training data, counted from 0; None: the mini-batch that
            training would draw; none: sample 0, or that mini-batch where a layer needs several.
        step: counted from 1 from there; those before it are taken first.
        progress: called now and then with the steps that were taken, and how many are to be.

    Raises:
        SpecError, DataError, RunError: as for `train`. NncliError: there is no such sample or step.
        DivergedError: the cost is not finite there.
    """
    if not isinstance(source, SpecOrRun | Spec | str | Path):
        raise NncliError(
            "what is taken apart is a Spec, the path of a spec or of a run folder, or (by inspect) "
            f"a Trace, not a {type(source).__name__}"
        )
    if isinstance(source, str | Path) and is_trace_file(source):
        from nncli.app.trace_files import open_saved

        return open_saved(source, is_chosen=bool(samples) or step > 1).trace
    if isinstance(source, Spec):
        source = SpecOrRun(prepare(source), None)
    elif not isinstance(source, SpecOrRun):
        source = open_spec_or_run(source)
    prepared, state = source.prepared, source.state
    with start_workers(prepared) as workers:
        return record_chosen_step(
            prepared.network,
            source.optimizer(),
            prepared.plan,
            prepared.data.train,
            Choice(*_chosen(samples, step)),
            epoch=state.epoch + 1 if state else 1,
            start=state.samples if state else 0,
            steps_taken=state.steps_taken if state else 0,
            name=prepared.spec.name,
            workers=workers,
            progress=progress,
        )


def _chosen(samples: Iterable[int] | None, step: int) -> tuple[tuple[int, ...] | None, int]:
    """Both in Python's integers; raises NncliError where they are none."""
    try:
        return None if samples is None else tuple(map(index, samples)), index(step)
    except TypeError:
        raise NncliError(
            "samples are integers counted from 0, and step is one counted from 1, got "
            f"samples={brief(repr(samples))} and step={brief(repr(step))}"
        ) from None


def inspect(
    source: Trace | SpecOrRun | Spec | str | Path,
    *,
    samples: Sequence[int] | None = (),
    step: int = 1,
    entries: int | None = None,
    checked: bool = True,
) -> Inspection:
    """Proves one step, and compares the views of its gradients.

    Args:
        source: what `trace_step` takes, with `samples` and `step`; or a trace, without them.
        entries: at most this many entries of each gradient are checked; None: as many as take
            about a second.
        checked: False leaves the check out.

    Raises:
        SpecError, DataError, RunError, NncliError, DivergedError: as for `trace_step`.
    """
    if not isinstance(source, Trace):
        source = trace_step(source, samples=samples, step=step)
    return record.inspect(source, entries=entries, checked=checked)


def inspect_step(
    source: SpecOrRun | Trace,
    *,
    samples: Sequence[int] | None = (),
    step: int = 1,
    entries: int | None = None,
    checked: bool = True,
    weight: tuple[str, tuple[int, ...]] | None = None,
    windows: str | None = None,
    sweeps: bool = False,
    diagnosed: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> InspectedStep:
    """Takes a step apart.

    Args:
        source: what is opened, or a step that was taken, without `samples` and `step`.
        samples, step, progress: as for `trace_step`.
        entries, checked: as for `inspect`.
        weight: a layer's name and an index: which samples pushed this weight.
        windows: the name of a layer that must have windows, since products of one are to be shown.
        sweeps: whether to try central differences over the step size h.
        diagnosed: the path that `source` was opened from: say too what is wrong with the network,
            as far as that is known without training.

    Raises:
        NncliError: there is no such layer, weight or window. Else as for `trace_step`.
    """
    diagnosis = None
    if diagnosed is not None and not isinstance(source, Trace):
        from nncli.app.diagnose import quick_diagnosis

        diagnosis = quick_diagnosis(source, diagnosed)  # of the network before the step
    trace = (
        source
        if isinstance(source, Trace)
        else trace_step(source, samples=samples, step=step, progress=progress)
    )
    inspection = inspect(trace, entries=entries, checked=checked)
    if windows is not None:
        conv_of(inspection.layer(windows))
    pushed = None
    if weight is not None:
        name, place = weight
        pushed = why(trace, inspection.layer(name), place)
    return InspectedStep(inspection, pushed, sweep(trace) if sweeps else None, diagnosis)
