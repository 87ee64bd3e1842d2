"""The trials of a plan: checked, each once, named by what they compute."""

import os
from collections.abc import Callable, Iterator
from hashlib import blake2b
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from nncli.core.errors import SpecError
from nncli.core.files import files_of, is_pattern
from nncli.core.jsons import to_json
from nncli.spec import Spec
from nncli.spec.trials import Choice, Plan, Point, trial_spec
from nncli.spec.values import is_number
from nncli.spec.words import KeyPath, dotted
from nncli.training.run_files import RUN_FILES

CHECKED_WHOLE = 300  # trials: so many are checked one by one; of more, values are
WHOLE_FILE = 256 * 2**20  # bytes; of a larger file parts are read
PARTS, PART = 256, 2**16
NAME = 8  # bytes of a hash that name a trial
MOST_TOLD = 100

Resolved = dict[str, Any]


class PlannedTrial(NamedTuple):
    """A trial to be. `values` are what it puts into the spec, `set` the same by key."""

    id: str
    values: Choice
    set: dict[str, Any]
    seed: int
    epochs: int


def planned_trials(plan: Plan) -> list[PlannedTrial]:
    """The trials of a plan in its order, each once.

    Raises:
        SpecError: the spec does not take some of the values; all of those are told.
    """
    namer, trials = _Namer(), dict[str, PlannedTrial]()
    for choice, resolved in _resolved(plan, namer.of_file):
        name = namer.name(resolved)
        if name not in trials:
            trials[name] = _planned(name, choice, resolved)
    return list(trials.values())


class Planner:
    """Makes the trials of a plan one by one, of values that are chosen as the sweep goes."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._namer = plan, _Namer()

    def trial(self, choice: Choice) -> PlannedTrial:
        """Raises SpecError: the spec does not take the values."""
        resolved = trial_spec(self._plan.spec, choice).with_paths(self._namer.of_file)
        return _planned(self._namer.name(resolved), choice, resolved)


def _planned(name: str, choice: Choice, resolved: Resolved) -> PlannedTrial:
    own = {dotted(value.key): value.value for value in choice if value.key != ("seed",)}
    return PlannedTrial(name, choice, own, resolved["seed"], resolved["train"]["epochs"])


class _Namer:
    """Names what a spec computes: by its values, and by what is in the files that it names."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}

    def of_file(self, path: Path) -> str:
        name = os.path.realpath(path)
        if name not in self._files:
            self._files[name] = content_of(Path(name))
        return self._files[name]

    def name(self, resolved: Resolved) -> str:
        text = to_json({**resolved, "name": None})
        return blake2b(text.encode(), digest_size=NAME).hexdigest()


def content_of(path: Path) -> str:
    """A hash of what is in a file, in those that a pattern names, or in the run in a folder."""
    hashed = blake2b(digest_size=16)
    try:
        if os.path.isdir(path):
            for name in sorted(RUN_FILES):
                if os.path.isfile(path / name):
                    hashed.update(content_of(path / name).encode())
        elif is_pattern(path):
            for part in files_of(path):
                hashed.update(f"{part.name} {content_of(part)}".encode())
        else:
            size = path.stat().st_size
            hashed.update(f"{size}".encode())
            with open(path, "rb") as file:
                if size <= WHOLE_FILE:
                    while block := file.read(2**20):
                        hashed.update(block)
                else:
                    for k in range(PARTS):
                        file.seek((size - PART) * k // (PARTS - 1))
                        hashed.update(file.read(PART))
    except OSError:
        return f"unread {path}"  # told where the data are read
    return hashed.hexdigest()


def _resolved(plan: Plan, named: Callable[[Path], str]) -> Iterator[tuple[Choice, Resolved]]:
    """Each choice of a plan with the values of its spec, defaults filled in.

    To check a spec takes most of a millisecond. Where a plan is large, numbers that change nothing
    but themselves are checked once each, and put into specs that are checked already.
    """
    problems: dict[str, None] = {}

    def of(choice: Choice) -> Resolved | None:
        try:
            return trial_spec(plan.spec, choice).with_paths(named)
        except SpecError as error:
            problems.update(dict.fromkeys(error.problems))
            return None

    if plan.size <= CHECKED_WHOLE:
        found = [(choice, of(choice)) for choice in plan.choices()]
    else:
        parts = [_Block(axes, of) for axes in plan.blocks]
        found = [] if problems else [pair for part in parts for pair in part.all()]
    if problems:
        told = list(problems)
        more = [f"and {len(told) - MOST_TOLD:,} more problems"] if len(told) > MOST_TOLD else []
        raise SpecError([*told[:MOST_TOLD], *more])
    for choice, resolved in found:
        assert resolved is not None
        yield choice, resolved


class _Block:
    """The trials of one product of axes."""

    def __init__(
        self, axes: tuple[tuple[Point, ...], ...], of: Callable[[Choice], Resolved | None]
    ) -> None:
        self.axes = axes
        first = of(_joined(axis[0] for axis in axes))
        self.free: dict[int, list[dict[KeyPath, Any]]] = {}  # by axis: what each point changes
        for k, axis in enumerate(axes):
            changes: list[dict[KeyPath, Any]] | None = []
            for point in axis:
                points = [point if i == k else other[0] for i, other in enumerate(axes)]
                resolved = of(_joined(points))
                if resolved is None or first is None:
                    changes = None
                elif changes is not None:
                    change = _alone(first, resolved, point)
                    changes = None if change is None else [*changes, change]
            if changes is not None:
                self.free[k] = changes
        # Where the other axes make other specs, the free ones are at their first value.
        bound = [axis if k not in self.free else axis[:1] for k, axis in enumerate(axes)]
        self.bound = {
            places: of(_joined(axis[i] for axis, i in zip(bound, places, strict=True)))
            for places in product(*(range(len(axis)) for axis in bound))
        }

    def all(self) -> Iterator[tuple[Choice, Resolved | None]]:
        for places in product(*(range(len(axis)) for axis in self.axes)):
            start = self.bound[tuple(0 if k in self.free else i for k, i in enumerate(places))]
            assert start is not None
            resolved: Any = start
            for k, changes in self.free.items():
                for key, value in changes[places[k]].items():
                    resolved = _put(resolved, key, value)
            yield _joined(axis[i] for axis, i in zip(self.axes, places, strict=True)), resolved


def _joined(points: Any) -> Choice:
    return tuple(value for point in points for value in point)


def _alone(first: Resolved, resolved: Resolved, point: Point) -> dict[KeyPath, Any] | None:
    """What a point changes, if those are plain numbers at the places of its keys alone; or None."""
    changes: dict[KeyPath, Any] = {}
    restored: Any = resolved
    for value in point:
        then, now = _at(first, value.key), _at(resolved, value.key)
        if not is_number(then) or not is_number(now):
            return None
        changes[value.key] = now
        restored = _put(restored, value.key, then)
    return changes if restored == first else None


def _at(resolved: Any, key: KeyPath) -> Any:
    for part in key:
        try:
            resolved = resolved[part]
        except (KeyError, IndexError, TypeError):
            return None
    return resolved


def _put(container: Any, key: KeyPath, value: Any) -> Any:
    """A copy with another value at a place."""
    if not key:
        return value
    part: Any = key[0]
    rest = key[1:]
    inner = _put(container[part], rest, value)
    if isinstance(container, dict):
        return {**container, part: inner}
    return type(container)([*container[:part], inner, *container[part + 1 :]])


def spec_of(plan: Plan, trial: PlannedTrial) -> Spec:
    return trial_spec(plan.spec, trial.values)
