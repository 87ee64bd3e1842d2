"""A training killed at every single call that changes its folder, one process for each.

A script: it forks, which only a process without threads may do. It prints, as JSON, how many points
there were, and each after which the training did not come to its own end.
"""

import itertools
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any

import nncli
from nncli.core import safetensors_format
from nncli.core.errors import RunError
from nncli.spec import parse_spec
from nncli.training import checkpoint_writer as writer
from nncli.training import trainer
from nncli.training.run_files import CHECKPOINT
from nncli.training.run_files import SPEC as SPEC_FILE
from tests.soak.kills import ending

SPEC = """
seed: 5
data:
  train:
    inputs: [[0, 1], [1, 0], [1, 1], [0, 0], [2, 1], [1, 2], [2, 2]]
    targets: [0, 1, 0, 1, 0, 1, 0]
network: [{type: dense, units: 3}, {type: dense, units: 2}]
train: {eta: 0.5, epochs: 4, batch_size: 2, momentum: 0.5, schedule: {type: step, step_size: 2}}
"""
CALLS = ("fsync", "link", "replace", "pwrite", "ftruncate", "unlink", "open")
CHANGES = ("train.eta=0.25", "train.epochs=6")
REFUSED = 2


def kill_at(point: int) -> None:
    """From here on, the `point`-th of the calls is this process's last; a write gets half-way."""
    calls = itertools.count(1)

    def deadly(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(calls) == point:
                if name == "pwrite":
                    handle, content, place = arguments
                    original(handle, content[: len(content) // 2], place)
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **options)

        return call

    for name in CALLS:
        setattr(os, name, deadly(name, getattr(os, name)))


def train(
    folder: Path,
    point: int | None = None,
    *,
    seed: int = 5,
    overwrite: bool = False,
    changes: tuple[str, ...] = (),
) -> int:
    """Trains in a process, or goes on where there is a run, killed at `point`; its status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        # Every state is saved, also within epochs: the training waits for the writer a little.
        options: dict[str, Any] = {
            "checkpoint_every": 0.0,
            "on_event": lambda event, trainer: sleep(0.002),
        }
        writer.MIN_PAUSE, writer.PAUSE_FACTOR, trainer.PROGRESS_INTERVAL = 0.0, 0, -1.0
        if point is not None:
            kill_at(point)
        if (folder / SPEC_FILE).exists() and not overwrite:
            nncli.resume(folder, overrides=changes, **options)
        else:
            spec = parse_spec(SPEC, overrides=[f"seed={seed}"])
            nncli.train(spec, out=folder, overwrite=overwrite, **options)
        status = 0
    except RunError:
        status = REFUSED
    finally:
        os._exit(status)


def killed_twice(run: Path, point: int, end: object) -> bool | None:
    """Whether a training comes to its end though killed at `point`; None: it is done before."""
    if train(run, point) == 0:
        return None
    is_whole = not (run / SPEC_FILE).exists() or safetensors_format.read(run / CHECKPOINT)
    train(run, 1 + point % 11)
    return bool(is_whole) and train(run) == 0 and ending(run) == end


def killed_overwriting(run: Path, point: int, ends: list[object]) -> bool | None:
    """The same over another run: what is left refuses to go on, or is one of the two."""
    assert train(run, seed=6) == 0
    if train(run, point, overwrite=True) == 0:
        return None
    status = train(run)
    sound = status == REFUSED or (status == 0 and ending(run) in ends)
    return sound and train(run, overwrite=True) == 0 and ending(run) == ends[0]


def killed_changing(run: Path, point: int, end: object) -> bool | None:
    """A resume that changes the spec, killed; then the last checkpoint is damaged as well."""
    assert train(run) == 0
    if train(run, point, changes=CHANGES) == 0:
        return None
    (run / CHECKPOINT).unlink()  # the one before may be a second name of this very file
    (run / CHECKPOINT).write_bytes(b"x")
    return train(run) == train(run, changes=CHANGES) == 0 and ending(run) == end


def main(stride: int) -> None:
    """Tries each `stride`-th point."""
    lost = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        assert train(folder / "undisturbed") == train(folder / "other", seed=6) == 0
        ends = [ending(folder / "undisturbed"), ending(folder / "other")]
        assert train(folder / "changed") == train(folder / "changed", changes=CHANGES) == 0
        tried = 0
        cases: tuple[tuple[str, Callable[..., bool | None], object, int], ...] = (
            ("new", killed_twice, ends[0], stride),
            ("over", killed_overwriting, ends, stride),
            # Some ten points lie between the new spec and the first save.
            ("change", killed_changing, ending(folder / "changed"), min(stride, 7)),
        )
        for case, kill, known, step in cases:
            for point in itertools.count(1, step):
                came = kill(folder / f"{case}{point}", point, known)
                if came is None:
                    break
                tried += 1
                if not came:
                    lost.append(f"{case}, point {point}")
    print(json.dumps({"tried": tried, "lost": lost}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
