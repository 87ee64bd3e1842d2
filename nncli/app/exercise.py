"""nncli.exercise: networks to compute by hand, each with a key that is proven."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nncli.app.inspect import inspect
from nncli.app.output import OUT_ELSEWHERE, check_output
from nncli.core.errors import NncliError, RunError
from nncli.core.files import reason, write_whole
from nncli.core.text import printable
from nncli.inspection.exercises.draws import Draw, Net, Redraw
from nncli.inspection.exercises.kinds import Kind, kind_of
from nncli.inspection.exercises.sheet import Sheet, make_sheet, suits
from nncli.inspection.record import Inspection
from nncli.spec.load import parse_spec

ATTEMPTS = 1000  # draws of one sheet


def exercise(topic: str, level: int = 1, seed: int = 0) -> Sheet:
    """One sheet with its key; the same topic, level and seed give the same.

    Args:
        topic: dense, softmax, conv, update or kronecker.
        level: from 1 to 5.

    Raises:
        NncliError: there is no such topic or level.
    """
    kind = kind_of(topic, level)
    for attempt in range(ATTEMPTS):
        try:
            net = kind.draw(Draw(f"{kind.name}-{seed}-{attempt}"))
        except Redraw:
            continue
        spec = spec_of(kind, net, seed)
        inspection = inspect_spec(kind, spec)
        if suits(kind, inspection):
            return make_sheet(kind, seed, spec, inspection)
    raise NncliError(f"{kind.name}: no numbers suit seed {seed}; take another")


def exercises(topic: str, level: int, seed: int, count: int) -> Iterator[Sheet]:
    """As many sheets, of one seed after the other."""
    return (exercise(topic, level, seed + k) for k in range(count))


def spec_of(kind: Kind, net: Net, seed: int) -> dict[str, Any]:
    """The network as a spec's plain data."""
    data: dict[str, Any] = {
        "train": {"inputs": net.inputs, "targets": net.targets},
        "classes": "none",
    }
    if net.shape is not None:
        data["shape"] = list(net.shape)
    is_softmax = net.network[-1]["activation"] == "softmax"
    train = {
        "eta": 0.5,
        "epochs": kind.step,
        "batch_size": len(net.inputs),
        **kind.train,
        "cost": "cross_entropy" if is_softmax else "quadratic",
    }
    name = f"{kind.name}-{seed}"
    return {"name": name, "dtype": "float64", "data": data, "network": net.network, "train": train}


def inspect_spec(kind: Kind, spec: Mapping[str, Any], *, proven: bool = True) -> Inspection:
    """The step of a sheet on all its samples, with its proof unless that is not asked for."""
    parsed = parse_spec(json.dumps(spec), str(spec.get("name", "exercise")))
    samples = range(len(spec["data"]["train"]["inputs"]))
    return inspect(parsed, samples=samples, step=kind.step, checked=proven)


def write_sheets(folder: Path, files: Mapping[str, bytes], *, overwrite: bool) -> None:
    """Writes files to a folder, which is made; their names may have a folder within it.

    Raises:
        RunError: one is there already and is not to be replaced, before any is written; or the
            system refused.
    """
    for name in files:
        check_output(folder / name, overwrite=overwrite, elsewhere=OUT_ELSEWHERE)
    for name, content in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{printable(path.parent)}: cannot be made: {reason(error)}") from error
        write_whole(path, content, overwrite=overwrite, durable=False)
