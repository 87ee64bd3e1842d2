"""nncli sweep."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nncli.cli import options
from nncli.cli.completion import specs, sweeps

if TYPE_CHECKING:
    from nncli.app.sweep import PlannedSweep
    from nncli.app.sweep_records import SweepRecord


class SweepFormat(StrEnum):
    table = "table"
    json = "json"
    csv = "csv"


class Sampler(StrEnum):
    tpe = "tpe"


Source = Annotated[
    Path | None,
    typer.Argument(
        metavar="SPEC",
        help="The network spec; or a file {spec, vary, zip, seeds}. Not needed with --resume.",
        show_default=False,
        autocompletion=specs,
    ),
]
Vary = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=V1,V2,...",
        help="Values of a key to try: train.eta=0.1,0.3. Repeatable: each with each.",
    ),
]
Seeds = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Train each with the seeds 0 to N-1.", show_default="1"),
]
Jobs = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, max=256, help="Train N at once.", show_default="one a core"),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The sweep's folder.", show_default="sweeps/<name>"),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        metavar="SWEEP", help="Train what is missing in this sweep's folder.", autocompletion=sweeps
    ),
]
On = Annotated[
    str | None,
    typer.Option(
        metavar="WHERE",
        help="Train on a Dask cluster: tcp://HOST:PORT, local, ssh://HOST1,HOST2, or a .yaml file "
        "of dask-jobqueue's settings.",
        show_default="processes here",
    ),
]
Store = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Where a cluster's workers keep the states of their trials, if they do not see the "
        "sweep's folder: a path, or s3://... with its package.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List the trials; train none.")]
Halving = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=2,
        max=100,
        help="Train all for a share of their epochs, the best 1/N of the settings N times as long, "
        "and so forth.",
        show_default="off",
    ),
]
SamplerOption = Annotated[
    Sampler | None,
    typer.Option(
        "--sampler",
        help="Have Optuna choose the values by what came out so far: "
        "--vary train.eta={log_uniform: [0.01, 10]}",
        show_default="all are tried",
    ),
]
Trials = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="How many settings the sampler tries.")
]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first that fails.")]


def sweep(
    spec: Source = None,
    vary: Vary = None,
    seeds: Seeds = None,
    set_: Annotated[list[str] | None, options.overrides()] = None,
    jobs: Jobs = None,
    out: Out = None,
    resume: Resume = None,
    on: On = None,
    store: Store = None,
    dry_run: DryRun = False,
    fail_fast: FailFast = False,
    halving: Halving = None,
    sampler: SamplerOption = None,
    trials: Trials = None,
    format: Annotated[
        SweepFormat, typer.Option("--format", help="What to print on standard output.")
    ] = SweepFormat.table,
) -> None:
    """Train a network many times, with other values each time, and rank what comes out.

    Each trial is a run folder. Trials that are done are not trained again, so that a sweep that was
    cut off, or that has more values now, goes on.
    Exit status 0: some came to their end, and one that diverges is a result as well; 1: none did,
    or with --fail-fast one failed; 130: interrupted.
    """
    if spec is None and resume is None:
        raise typer.BadParameter("name a SPEC to vary, or --resume SWEEP to go on with")
    chosen = (spec, vary, seeds, set_, out, halving, sampler, trials)
    if resume is not None and any(option is not None for option in chosen):
        raise typer.BadParameter("--resume goes on with a sweep as it is; give no more than --jobs")
    if store is not None and on is None:
        raise typer.BadParameter("--store is for the workers of a cluster; --on says which")

    from nncli.nn.parallel.blas import load_numpy

    load_numpy()
    from nncli.app.sweep import plan_sweep, reopen_sweep
    from nncli.core.errors import InterruptedTraining
    from nncli.render.pages.sweep import SweepPage, sweep_csv, sweep_json
    from nncli.render.pages.sweep_screen import plan_lines
    from nncli.render.streams import results, write_text

    try:
        if resume is not None:
            planned = reopen_sweep(resume)
        else:
            assert spec is not None
            planned = plan_sweep(
                spec,
                set_ or (),
                vary=vary or (),
                seeds=seeds,
                halving=halving,
                sampler=sampler,
                trials=trials,
                out=out,
            )
    except KeyboardInterrupt:
        raise InterruptedTraining("interrupted; nothing was written") from None
    record = planned.record() if dry_run else _run(planned, jobs, on, store, fail_fast=fail_fast)
    if format is SweepFormat.json:
        write_text(sweep_json(record))
    elif format is SweepFormat.csv:
        write_text(sweep_csv(record))
    elif dry_run:
        write_text("\n".join(plan_lines(record)))
    else:
        results().print(SweepPage(record), crop=False)
    if not dry_run:
        _end(record, fail_fast=fail_fast)


def _run(
    planned: "PlannedSweep",
    jobs: int | None,
    on: str | None,
    store: str | None,
    *,
    fail_fast: bool,
) -> "SweepRecord":
    """Trains the trials until all are done, or a signal asks to stop."""
    from nncli.app.sweep import sweep as run_sweep
    from nncli.cli.process import interruptible
    from nncli.core.errors import InterruptedTraining
    from nncli.render.pages.sweep_screen import SweepScreen, going_on
    from nncli.render.streams import say

    told: list[str] = []

    def on_start(record: "SweepRecord") -> None:
        for note in record.notes:
            say(note)
        told.extend(record.notes)
        screen.on_start(record)

    with interruptible() as stop, SweepScreen() as screen:
        try:
            record = run_sweep(
                planned,
                jobs=jobs,
                on=on,
                store=store,
                fail_fast=fail_fast,
                on_start=on_start,
                on_trial=screen.on_trial,
                should_stop=lambda: stop.requested,
            )
        except KeyboardInterrupt:
            message = f"interrupted\n{going_on(planned.record())}"
            raise InterruptedTraining(message) from None
    for note in record.notes:
        if note not in told:
            say(note)
    return record


def _end(record: "SweepRecord", *, fail_fast: bool) -> None:
    """Raises where trials are missing, or where none came out; one that diverges is a result."""
    from nncli.core.errors import FailedCheck, InterruptedTraining
    from nncli.core.text import count_of
    from nncli.render.pages.sweep_screen import going_on

    failed, done = record.count("failed"), record.count("done")
    of_all = count_of(record.size, "trial")
    if record.is_complete:
        if not done:
            raise FailedCheck(f"none of {of_all} came to its end")
        return
    if fail_fast and failed:
        raise FailedCheck(f"a trial failed; {done:,} of {of_all} are done\n{going_on(record)}")
    raise InterruptedTraining(f"interrupted; {done:,} of {of_all} are done\n{going_on(record)}")
