"""Steps of a training that are kept in its run folder, and the report that a CI reads."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nncli.app.records import InspectedStep, Training
    from nncli.training.conditions import Failure

KINDS = {"trace": "json", "page": "html"}  # an action, and the format that it writes


def keep_step(failure: "Failure", run: Path) -> tuple["InspectedStep", list[Path]]:
    """Writes the step of a failure to the run folder, as inspect-grad would; the step proven.

    Raises:
        RunError: the system refused.
    """
    from nncli.app.inspect import inspect
    from nncli.app.records import InspectedStep
    from nncli.core.errors import RunError
    from nncli.core.files import reason, write_whole
    from nncli.core.text import printable
    from nncli.render.formats import FORMATS, write
    from nncli.render.pages.breakdown import document
    from nncli.render.pages.kinds import Choices
    from nncli.training.run_files import BREAKS
    from nncli.training.trace_file import SUFFIX

    assert failure.trace is not None
    step = InspectedStep(inspect(failure.trace))
    made = document(step, Choices())
    folder = run / BREAKS
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise RunError(f"{printable(folder)}: cannot be made: {reason(error)}") from error
    kinds = [KINDS[action] for action in failure.actions if action in KINDS]
    paths = [folder / f"step-{failure.step:08}{FORMATS[kind].suffix}" for kind in kinds]
    for kind, path in zip(kinds, paths, strict=True):
        write_whole(path, write(kind, made))
    if "trace" in failure.actions:  # which the training has written
        paths.insert(0, folder / f"step-{failure.step:08}{SUFFIX}")
    return step, paths


def check_junit(path: Path, spec_files: list[Path], *, overwrite: bool) -> None:
    """Checks that a report may be written; one that is there is replaced, other files are not.

    Raises:
        RunError: it may not.
    """
    from nncli.app.output import check_output

    check_output(
        path,
        overwrite=overwrite or _is_report(path),
        inputs=spec_files,
        elsewhere="--junit FILE writes elsewhere",
    )


def write_junit(path: Path, training: "Training") -> None:
    from nncli.core.files import write_whole
    from nncli.render.pages.conditions import junit

    write_whole(path, junit(training))


def _is_report(path: Path) -> bool:
    """Whether a file is such a report, of this training or of another."""
    if not os.path.isfile(path):
        return False
    try:
        with path.open("rb") as file:
            return b"<testsuites" in file.read(200)
    except OSError:
        return False
