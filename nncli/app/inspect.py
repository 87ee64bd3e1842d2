"""nncli.trace_step: one step of a spec or a run, recorded."""

from collections.abc import Sequence
from pathlib import Path

from nncli.app.opening import SpecOrRun, open_spec_or_run
from nncli.app.pipeline import prepare, start_workers
from nncli.nn.trace import Trace
from nncli.spec import Spec
from nncli.training.steps import Choice, record_chosen_step


def trace_step(
    source: SpecOrRun | Spec | str | Path,
    *,
    samples: Sequence[int] | None = (0,),
    step: int = 1,
) -> Trace:
    """Takes one SGD step and gives the record of everything in it.

    Args:
        source: a spec, or the path of one or of a run folder (then from its trained weights).
        samples: which samples of the training data, counted from 0; None: the mini-batch that
            training would draw.
        step: counted from 1 from there; those before it are taken first.

    Raises:
        SpecError, DataError, RunError: as for `train`. NncliError: there is no such sample.
        DivergedError: the cost is not finite there.
    """
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
            Choice(samples, step),
            epoch=state.epoch + 1 if state else 1,
            start=state.samples if state else 0,
            steps_taken=state.steps_taken if state else 0,
            name=prepared.spec.name,
            workers=workers,
        )
