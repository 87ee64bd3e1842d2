"""Where a command may write, the same rule for all of them.

What is there is kept, unless it is to be replaced; what the command reads is kept in any case, and
so is what a training left in its run folder.
"""

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from nncli.core.errors import RunError
from nncli.core.files import SPECIAL, is_special
from nncli.core.text import printable
from nncli.training.run_files import RUN_FILES, is_run_folder

STANDARD_INPUT = "-"
ELSEWHERE = "--output FILE writes elsewhere"
OUT_ELSEWHERE = "--out DIR writes elsewhere"


def check_output(
    path: Path,
    *,
    overwrite: bool,
    inputs: Iterable[str | Path] = (),
    elsewhere: str = ELSEWHERE,
) -> None:
    """Checks that a file may be written.

    Args:
        overwrite: whether it may be there already, and is then replaced.
        inputs: what is read; names of no file among them do not matter, `-` is standard input.
        elsewhere: how another file is chosen, in words.

    Raises:
        RunError: it may not.
    """
    name = printable(path)
    if is_special(path):
        raise RunError(f"{name}: {SPECIAL}; {elsewhere}")
    _refuse_inside_run(path, os.path.realpath(path.parent), elsewhere)
    if os.path.isdir(path):
        raise RunError(f"{name}: is a folder; {elsewhere}")
    if _is_among(path, inputs):
        raise RunError(f"{name}: is read by this command, or named in its spec; {elsewhere}")
    if os.path.lexists(path) and not overwrite:
        raise RunError(f"{name}: is there already; --overwrite replaces it, {elsewhere}")


def check_run_output(folder: Path, inputs_of: Callable[[], Iterable[str | Path]]) -> None:
    """Checks that a run written to a folder would replace none of its own inputs.

    Args:
        inputs_of: gives them; it is called where there is something that may be replaced.

    Raises:
        RunError: it would, or the folder is part of another run.
    """
    _refuse_inside_run(folder, os.path.dirname(os.path.realpath(folder)), OUT_ELSEWHERE)
    if not os.path.lexists(folder):
        return
    inputs = list(inputs_of())
    for path in (folder, *(folder / name for name in RUN_FILES)):
        if _is_among(path, inputs):
            raise RunError(f"{printable(path)}: is what this training reads; {OUT_ELSEWHERE}")


def _refuse_inside_run(path: Path, folder: str, elsewhere: str) -> None:
    """Raises RunError where a folder, or one that it is in, is a run; `path` is for the message.

    `folder` is without links.
    """
    folders = [folder]
    while (above := os.path.dirname(folders[-1])) != folders[-1]:
        folders.append(above)
    if any(map(is_run_folder, folders)):
        raise RunError(
            f"{printable(path)}: would be written into a run folder, which holds what its training "
            f"wrote and nothing else; {elsewhere}"
        )


def _is_among(path: Path, inputs: Iterable[str | Path]) -> bool:
    """Whether a file is one of the inputs, under whatever name."""
    try:
        own = os.stat(path)
    except (OSError, ValueError):
        return False
    return any(_is_same(own, given) for given in inputs)


def _is_same(own: os.stat_result, given: str | Path) -> bool:
    try:
        if str(given) == STANDARD_INPUT:
            return sys.stdin is not None and os.path.samestat(own, os.fstat(sys.stdin.fileno()))
        return os.path.samestat(own, os.stat(given))
    except (OSError, ValueError):
        return False
