"""The plan of a sweep: a spec, and the values that its trials put into it.

`read_plan` makes one of a file, `trial_spec` the spec of a trial.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, product
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from nncli.core.errors import SpecError
from nncli.core.text import printable
from nncli.spec import nodes, yaml12
from nncli.spec.dump import dump_spec
from nncli.spec.load import Refused, checked, load_spec, read_file, replaced, tree_of
from nncli.spec.models import Spec
from nncli.spec.nodes import Node, Place, Problem, SpecSource, plain
from nncli.spec.sweep import (
    EXAMPLE,
    KEYS,
    MOST_VALUES,
    Axis,
    Span,
    blocks_of,
    key_path,
    problems_in,
    spans_of,
    too_many,
)
from nncli.spec.words import KeyPath, dotted, utf8

MOST_TRIED = 50  # trials, where a sweep with a wrong key is told what else is wrong


class Value(NamedTuple):
    """One value that a trial has: of which key, and where that is written."""

    key: KeyPath
    value: Any
    where: str


Point = tuple[Value, ...]
Choice = tuple[Value, ...]  # all values of a trial


class Range(NamedTuple):
    """Numbers that a sampler may choose from for a key, and where that is written."""

    span: Span
    where: str

    def value(self, number: float) -> Value:
        return Value(self.span.key, self.span.rounded(number), self.where)


@dataclass(frozen=True)
class Plan:
    """What a sweep tries.

    Attributes:
        spec: what the values are put into.
        blocks: of each its axes; its trials are their product.
        label: where it is written.
        ranges: what a sampler chooses from besides one point of each axis; there is one block then.
    """

    spec: Spec
    blocks: tuple[tuple[tuple[Point, ...], ...], ...]
    label: str
    ranges: tuple[Range, ...] = ()

    @property
    def size(self) -> int:
        """Of the trials, each as often as it is named."""
        return sum(prod(map(len, axes)) for axes in self.blocks)

    @property
    def keys(self) -> tuple[str, ...]:
        """Those that are varied, in the order in which they are written."""
        points = (point for axes in self.blocks for axis in axes for point in axis)
        keys = [dotted(value.key) for point in points for value in point]
        return tuple(dict.fromkeys([*(dotted(each.span.key) for each in self.ranges), *keys]))

    def choices(self) -> Iterator[Choice]:
        """The values of each trial, in order: the last axis changes fastest."""
        for axes in self.blocks:
            for points in product(*axes):
                yield tuple(value for point in points for value in point)

    def as_plain(self) -> dict[str, Any]:
        """As plain data, from which `plan_from` makes the same plan."""
        source = self.spec._source
        return {
            "label": self.label,
            "name": self.spec.name,
            "source": source.label,
            "folder": str(self.spec.folder.resolve()),
            "spec": plain(source.root),
            "blocks": [
                [[[[list(v.key), v.value] for v in point] for point in axis] for axis in axes]
                for axes in self.blocks
            ],
            "ranges": [each.span._asdict() for each in self.ranges],
        }


def plan_from(record: Mapping[str, Any]) -> Plan:
    """The plan that `as_plain` wrote down. Raises SpecError: its spec is none any more."""
    source = nodes.source(record["source"], node_of(record["spec"]))
    spec = checked(source, [], record["name"], Path(record["folder"]))
    label = record["label"]
    blocks = tuple(
        tuple(
            tuple(tuple(Value(tuple(key), value, label) for key, value in point) for point in axis)
            for axis in axes
        )
        for axes in record["blocks"]
    )
    ranges = (Span(**{**span, "key": tuple(span["key"])}) for span in record["ranges"])
    return Plan(spec, blocks, label, tuple(Range(span, label) for span in ranges))


def read_plan(
    source: str | Path | Spec,
    overrides: Sequence[str] = (),
    *,
    vary: Sequence[str] | Mapping[str, Any] = (),
    zip: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] | None = None,
    draws: bool = True,
) -> Plan:
    """The plan of a sweep.

    Args:
        source: a spec, whose key `sweep` counts where it has one, or a file `{spec, vary, zip,
            seeds}` that names one.
        overrides: values of the spec, as `load_spec` takes them.
        vary: more to vary, in each block: `train.eta=0.1,0.3` each, or values by key. A key that
            the file varies too has these values.
        zip, seeds: in place of those of the file.
        draws: whether values are drawn; else a sampler is to choose them.

    Raises:
        SpecError: the spec or the sweep is wrong, or there are no trials, or too many.
    """
    spec, at, written, label = _opened(source, overrides)
    plan = partial(_plan, spec, at, label=label, vary=vary, zip=zip, seeds=seeds, draws=draws)
    known = ("spec", *KEYS) if at.child("spec") else KEYS
    found = list(problems_in(written, known))
    if not found:
        return plan(written)
    lines = _lines(label, at, found)
    rest = {key: value for key, value in written.items() if key in known}
    if not any(problems_in(rest, known)) and any(rest.get(key) for key in KEYS):
        try:
            lines += _refused(plan(rest))
        except SpecError as error:
            lines += error.problems
    raise SpecError(lines)


def _refused(plan: Plan) -> Iterator[str]:
    """What the spec does not take of the first trials, each mistake once."""
    told = dict[str, None]()
    for choice in islice(plan.choices(), MOST_TRIED):
        try:
            trial_spec(plan.spec, choice)
        except SpecError as error:
            told.update(dict.fromkeys(error.problems))
    yield from told


def _plan(
    spec: Spec,
    at: Node,
    written: Mapping[str, Any],
    *,
    label: str,
    vary: Sequence[str] | Mapping[str, Any],
    zip: Mapping[str, Any] | None,
    seeds: int | Sequence[int] | None,
    draws: bool,
) -> Plan:
    """The plan of a sweep in whose own keys nothing is wrong."""
    own = dict(written)
    if zip is not None:
        own["zip"] = zip
    if seeds is not None:
        own["seeds"] = list(seeds) if isinstance(seeds, Sequence) else seeds
    given, places = _given(vary)
    blocks = own.get("vary") or {}
    blocks = [blocks] if isinstance(blocks, dict) else list(blocks)
    own["vary"] = [_united(block, given) for block in blocks]
    where = _Where(label, at, places)
    found = list(problems_in(own, ("spec", *KEYS), draws=draws))
    if found:
        raise SpecError([where.line(problem) for problem in found])
    if not any(own["vary"]) and not own.get("zip") and own.get("seeds") is None:
        raise SpecError(
            [
                f"{label}: there is nothing to vary; --vary train.eta=0.1,1 does, or --seeds 5, or "
                f"in the spec sweep: {{vary: {EXAMPLE}}}"
            ]
        )
    read = blocks_of(own, spec.seed, draws=draws)
    axes = [tuple(where.placed(axis) for axis in block) for block in read]
    ranges = () if draws else [Range(span, where.of(span.key, at)) for span, at in spans_of(own)]
    if not draws and len(axes) != 1:
        message = f"a sampler chooses from one vary block, and there are {len(axes)}"
        raise SpecError([f"{label}: {message}"])
    plan = Plan(spec, tuple(axes), label, tuple(ranges))
    if not 0 < plan.size <= MOST_VALUES:
        raise SpecError([f"{label}: {too_many(plan.size)}"])
    return plan


def _opened(
    source: str | Path | Spec, overrides: Sequence[str]
) -> tuple[Spec, Node, dict[str, Any], str]:
    """The spec without its sweep; the sweep as nodes and as plain data; where it is written."""
    if isinstance(source, Spec):
        spec, label = source, source._source.label
    else:
        path, label = Path(source), printable(source, 4096)
        root, found = _root(path)
        if root.child("spec") is not None and root.child("network") is None:
            if found:
                raise SpecError(_lines(label, root, found))
            written = plain(root)
            if not isinstance(written["spec"], str):
                message = "expected the path of a spec"
                raise SpecError(_lines(label, root, [Problem(("spec",), message)]))
            base = load_spec(path.parent / written["spec"], overrides)
            return _alone(base), root, written, label
        spec = load_spec(path, overrides)
    at = spec._source.root.child("sweep") or Node({})
    written = plain(at)
    return _alone(spec), at, written if isinstance(written, dict) else {}, label


def _root(path: Path) -> tuple[Node, list[Problem]]:
    """What is in a file, and what is wrong with it; of a spec that is told where it is read."""
    try:
        root, found = yaml12.read(read_file(path).removeprefix("\ufeff"))
    except yaml12.Unreadable:
        return Node({}), []
    return (root, found) if root is not None and isinstance(root.value, dict) else (Node({}), [])


def _alone(spec: Spec) -> Spec:
    """A spec without its sweep, for one thread: as many trainings run at once as there are cores.

    Where it names a number of threads, that counts.
    """
    source = spec._source
    if not source.root.value:  # made in Python
        source, _ = tree_of(dump_spec(spec), source.label, ())
    root = source.root.copy()
    assert isinstance(root.value, dict)
    root.value.pop("sweep", None)
    if spec.train.threads == "auto":
        root = replaced(root, ("train", "threads"), Node(1), "one training a core")
    made = checked(nodes.source(source.label, root), [], spec.name, spec.folder)
    made._file = spec._file
    return made


def _given(vary: Sequence[str] | Mapping[str, Any]) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """What the command line or a caller varies, and in which words, by key."""
    if isinstance(vary, Mapping):
        return {
            key: list(values) if isinstance(values, tuple | range) else values
            for key, values in vary.items()
        }, {}
    given: dict[str, Any] = {}
    places: dict[KeyPath, str] = {}
    problems = []
    for text in vary:
        decoded = utf8(text)
        shown = f"--vary {printable(decoded or text, 80)}"
        key, equals, values = (decoded or "").partition("=")
        try:
            if not equals or not values.strip():
                raise ValueError
            path = key_path(key)
            root, wrong = yaml12.read(f"[{values}]")
        except (ValueError, yaml12.Unreadable):
            problems.append(f"{shown}: expected KEY=VALUE,VALUE, such as train.eta=0.1,0.3")
            continue
        if wrong or root is None:
            problems += [f"{shown}: {problem.message}" for problem in wrong]
            continue
        read = plain(root)
        if dotted(path) in given:
            problems.append(f"{shown}: {places[path]} varies it too; name all values in one")
            continue
        draws = len(read) == 1 and isinstance(read[0], dict)
        given[dotted(path)] = read[0] if draws else read
        places[path] = shown
    if problems:
        raise SpecError(problems)
    return given, places


def _united(block: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """A block, and what is given besides; where both have a key, what is given."""
    replaced = {key_path(key) for key in given}
    kept = {key: values for key, values in block.items() if key_path(key) not in replaced}
    return {**kept, **given}


class _Where(NamedTuple):
    """Where values are written: in a file, of which `at` is the sweep, or in options."""

    label: str
    at: Node
    options: Mapping[KeyPath, str]

    def of(self, key: KeyPath, written: KeyPath) -> str:
        if key in self.options:
            return self.options[key]
        place = SpecSource(self.label, self.at).place(self._in_file(written))
        return f"{self.label}:{place.line}:{place.column}"

    def _in_file(self, written: KeyPath) -> KeyPath:
        """A single block has no number in the file, and one in the list that was made of it."""
        vary = self.at.child("vary")
        is_single = vary is not None and isinstance(vary.value, dict)
        return ("vary", *written[2:]) if written[:1] == ("vary",) and is_single else written

    def line(self, problem: Problem) -> str:
        """A mistake that shows once what is given besides the file is put to it."""
        path = tuple(part for part in problem.path if not isinstance(part, int))
        for part in path[1:2] if path[0] == "vary" else ():
            try:
                shown = self.options.get(key_path(str(part)))
            except ValueError:
                shown = None
            if shown is not None:
                return ": ".join([shown, *map(str, path[2:]), problem.message])
        if path and self.at.child(path[0]) is not None:
            return SpecSource(self.label, self.at).line(
                problem._replace(path=self._in_file(problem.path))
            )
        option = f"--{path[0]}" if path else "--vary"
        return f"{option}: {': '.join([*map(str, path[1:]), problem.message])}"

    def placed(self, axis: Axis) -> tuple[Point, ...]:
        return tuple(
            tuple(Value(e.key, e.value, self.of(e.key, e.written)) for e in point) for point in axis
        )


def _lines(label: str, at: Node, found: list[Problem]) -> list[str]:
    return SpecSource(label, at).lines(found)


# The spec of a trial


def node_of(value: Any, set_by: str | None = None) -> Node:
    """Plain data as nodes."""
    if isinstance(value, Mapping):
        made: Any = {key: node_of(item) for key, item in value.items()}
    elif isinstance(value, list | tuple):
        made = [node_of(item) for item in value]
    else:
        made = value
    return Node(made, set_by=set_by)


def trial_spec(spec: Spec, choice: Choice) -> Spec:
    """The spec of a trial. Raises SpecError: it does not take the values, all of which are told."""
    root, found = spec._source.root, list[Problem]()
    for key, value, where in choice:
        try:
            root = replaced(root, key, node_of(value, where), where)
        except Refused as refused:
            found.append(Problem(key, str(refused), place=Place(1, 1, where)))
    made = checked(nodes.source(spec._source.label, root), found, spec.name, spec.folder)
    made._file = spec._file
    return made
