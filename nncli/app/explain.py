"""nncli.explain: one step, derived with its own numbers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from nncli.app.inspect import trace_step
from nncli.app.opening import SpecOrRun, open_spec_or_run
from nncli.app.run_weights import weights_words
from nncli.inspection.derivation.base import Derivation
from nncli.inspection.derivation.derive import check_convention, derive
from nncli.inspection.derivation.wrong import check_word
from nncli.nn.trace import Trace
from nncli.spec import Spec
from nncli.training.trace_file import is_trace_file


def explain(
    source: Trace | SpecOrRun | Spec | str | Path,
    *,
    samples: Sequence[int] | None = None,
    step: int = 1,
    layer: str | None = None,
    wrong: str | None = None,
    convention: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Derivation:
    """Derives one step of backpropagation, statement by statement, with its numbers.

    Args:
        source: a spec, a run folder or the path of one; or the Trace of a step, without the other
            arguments that choose one.
        samples: which samples of the training data, counted from 0, are the mini-batch; the first
            of them is followed. None: the mini-batch that training would draw.
        step: counted from 1 from there; those before it are taken first.
        layer: the name of the only layer that is derived; None: all.
        wrong: a classic mistake that is shown beside what is right, a word of
            `nncli.inspection.mistakes`.
        convention: in which the lines of each layer are written once more: columns, nielsen, ...
        progress: called now and then with the steps that were taken, and how many are to be.

    Raises:
        SpecError, DataError, RunError: as for `train`. NncliError: there is no such sample, step,
            layer, mistake or convention. DivergedError: the cost is not finite there.
    """
    if wrong is not None:
        check_word(wrong)
    if convention is not None:
        check_convention(convention)
    start = ""
    if not isinstance(source, Trace):
        if isinstance(source, str | Path) and not is_trace_file(source):
            source = open_spec_or_run(source)
        if isinstance(source, SpecOrRun) and source.used is not None:
            start = weights_words(source.used)
        source = trace_step(source, samples=samples, step=step, progress=progress)
    derivation = derive(source, layer=layer, wrong=wrong, convention=convention)
    return replace(derivation, start=start)
