"""The files of a run folder, by name, and whether a folder is one. It imports next to nothing."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

SPEC, DATA, METRICS = "spec.yaml", "data.json", "metrics.jsonl"
CHECKPOINT = "checkpoint.safetensors"
PREVIOUS = "checkpoint.safetensors.before"  # the one before it
DIVERGENCE = "divergence.json"  # where the training diverged, if it did
TRACES = "traces"  # a folder: steps that were recorded
BREAKS = "breaks"  # a folder: steps at which a condition failed
JOURNAL, TRIALS = "journal.jsonl", "trials"  # of a sweep: what happened, and its runs
RUN_FILES = (SPEC, DATA, METRICS, CHECKPOINT, PREVIOUS, DIVERGENCE)
DISTINCTIVE = {METRICS, CHECKPOINT, PREVIOUS}  # the others' names are common


def is_run_folder(path: Path | str) -> bool:
    """Whether a folder holds a run, maybe a damaged one: two of its files say so."""

    def there(names: Iterable[str]) -> int:
        return sum(os.path.lexists(os.path.join(path, name)) for name in names)

    return there(DISTINCTIVE) > 0 and there(RUN_FILES) > 1


def is_sweep_folder(path: Path | str) -> bool:
    """Whether a folder holds a sweep, whose trials are run folders."""
    return os.path.isfile(os.path.join(path, JOURNAL))


def remove_breaks(path: Path) -> None:
    """Removes the steps that a run before has kept in its folder, but nothing else beside them."""
    for folder in (path / BREAKS, path / TRACES):
        with suppress(OSError):
            # Those that a killed process left unfinished begin with a point.
            for file in (*folder.glob("step-*"), *folder.glob(".step-*")):
                file.unlink()
            folder.rmdir()
