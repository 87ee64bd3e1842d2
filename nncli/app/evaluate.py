"""nncli.evaluate: how good a trained network is."""

from collections.abc import Iterator
from pathlib import Path

from nncli.app.evaluation_records import Evaluated, WorstSample
from nncli.app.opening import OpenedRun, open_run
from nncli.app.sources import load_data, source_of
from nncli.core.errors import DataError, SpecError
from nncli.core.text import printable
from nncli.data import Dataset, Pair, read_measured
from nncli.nn.arrays import Array
from nncli.nn.reading import class_indices
from nncli.training.best import Which
from nncli.training.evaluate import Assessment, Outcome, assess
from nncli.training.run_data import other_values
from nncli.training.run_files import DATA

WORST = 10
OTHERS = "nncli evaluate with --data FILE measures it on others"


def evaluate(
    run: str | Path | OpenedRun,
    data: str | Path | None = None,
    targets: str | Path | None = None,
    *,
    worst: int = WORST,
    weights: Which | None = None,
) -> Evaluated:
    """Measures a run's network.

    Args:
        run: a run folder.
        data: a file of samples with their targets; None: the run's test data, else its validation
            data, else its training data.
        targets: the file of the targets, where `data` is one of inputs alone.
        worst: how many of the samples that it does worst on to keep.
        weights: those after the run's best epoch, or the last; None: the best, where kept.

    Raises:
        RunError: the run cannot be read. DataError, SpecError: the data cannot, or do not fit it.
    """
    run = run if isinstance(run, OpenedRun) else open_run(run, weights)
    part, samples = _given(run, data, targets) if data is not None else _own(run)
    reading = run.preprocessing.reading
    with run.start_workers() as workers:
        assessment = assess(run.network, samples, reading=reading, worst=worst, workers=workers)
    return Evaluated(
        run=run.path,
        name=run.spec.name,
        used=run.used,
        part=part,
        source=samples.origin.name if samples.origin is not None else "",
        cost_name=run.network.cost.name,
        classes=run.preprocessing.classes,
        outputs=run.preprocessing.output_names,
        assessment=_in_own_units(run, assessment),
        worst=tuple(_worst(run, samples, outcome) for outcome in assessment.worst),
        notes=(*samples.notes, *_notes_on_units(run)),
    )


def _in_own_units(run: OpenedRun, assessment: Assessment) -> Assessment:
    """With errors in the targets' own units; the cost stays that of the scaled ones."""
    scaling, fit = run.preprocessing.target_scaling, assessment.fit
    if scaling is None or fit is None:
        return assessment
    return assessment._replace(fit=fit.divided(scaling.divisor))


def _notes_on_units(run: OpenedRun) -> Iterator[str]:
    if run.preprocessing.target_scaling is not None:
        yield "the cost is that of the scaled targets; errors and outputs are in their own units"


def _given(run: OpenedRun, data: str | Path, targets: str | Path | None) -> tuple[str, Dataset]:
    source = Path(data) if targets is None else Pair(Path(data), Path(targets))
    return "data", read_measured(run.preprocessing, source, run.network.dtype)


def _own(run: OpenedRun) -> tuple[str, Dataset]:
    """The run's test data, else its validation data, else its training data; and which they are."""
    given = run.spec.data
    for key, table in (("test", given.test), ("validation", given.validation)):
        if table is not None and not isinstance(table, float):
            source = source_of(run.spec, table)
            return key, read_measured(run.preprocessing, source, run.network.dtype)
    # Which samples were held back follows from the seed and all the training data.
    try:
        data = load_data(run.spec)
    except SpecError as error:  # a file that is no longer there
        raise SpecError([*error.problems, f"{printable(run.path)}: {OTHERS}"]) from error
    what = "its training data are"
    has_changed = _has_changed(run, data.train)
    if not has_changed and data.preprocessing.as_plain() != run.preprocessing.as_plain():
        has_changed, what = True, f"its training data or its {DATA} are"
    if has_changed:
        raise DataError(
            f"{printable(run.path)}: {what} no longer those that it was trained with; {OTHERS}"
        )
    return ("train", data.train) if data.validation is None else ("validation", data.validation)


def _has_changed(run: OpenedRun, train: Dataset) -> bool:
    """Whether checksums tell the training data from those that a run was trained on."""
    then = run.checksums.get("train")
    if then is None or train.checksum is None:
        return False
    now = train.checksum()._asdict()
    return then["type"] == now["type"] and bool(other_values(then, now))


def _worst(run: OpenedRun, samples: Dataset, outcome: Outcome) -> WorstSample:
    lines = None if samples.origin is None else samples.origin.lines
    return WorstSample(
        sample=outcome.row,
        line=None if lines is None else int(lines[outcome.row]),
        cost=outcome.cost,
        target=_class(run, outcome.targets),
        predicted=_class(run, outcome.outputs),
        targets=run.preprocessing.in_own_units(outcome.targets),
        outputs=run.preprocessing.in_own_units(outcome.outputs),
        inputs=run.preprocessing.scaling.undone(outcome.inputs),
    )


def _class(run: OpenedRun, outputs: Array) -> str | None:
    classes = run.preprocessing.classes
    return None if classes is None else classes[int(class_indices(outputs[None])[0])]
