"""A spec as it was written: plain values, each with the place it came from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from nncli.core.text import printable
from nncli.spec.words import KeyPath, dotted

Scalar = str | int | float | bool | None

MOST_SHOWN = 100


@dataclass(slots=True)
class Node:
    """One YAML value. Lines and columns count from 1.

    `keys` holds the places of a mapping's keys. `set_by` is the `--set` text that this node came
    from; nodes below it inherit that. `size` and `height` are those of the tree from here down,
    with aliases expanded. `text_column` is that of a text's first character, where the text is
    written in one line as it is: without escapes, not folded.
    """

    value: Scalar | list[Node] | dict[str, Node]
    line: int = 1
    column: int = 1
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    set_by: str | None = None
    size: int = 1
    height: int = 0
    text_column: int | None = None

    def child(self, part: str | int) -> Node | None:
        if isinstance(self.value, dict) and isinstance(part, str):
            return self.value.get(part)
        if isinstance(self.value, list) and isinstance(part, int) and 0 <= part < len(self.value):
            return self.value[part]
        return None

    def copy(self) -> Node:
        """A copy whose children can be replaced without changing this one's."""
        value = self.value
        if isinstance(value, dict | list):
            value = value.copy()
        return replace(self, value=value, keys=dict(self.keys))


def plain(node: Node) -> Any:
    """The value alone: dicts, lists and scalars."""
    value = node.value
    if isinstance(value, list):
        return [plain(child) for child in value]
    if isinstance(value, dict):
        return {key: plain(child) for key, child in value.items()}
    return value


class Place(NamedTuple):
    line: int
    column: int
    set_by: str | None = None


class Problem(NamedTuple):
    """One mistake, at the value of `path`, or at its key, or at a place known otherwise.

    `offset`: at this character of a value that is text, from 0.
    """

    path: KeyPath
    message: str
    at_key: bool = False
    place: Place | None = None
    offset: int | None = None


class ValueOrigin(NamedTuple):
    """Where a value came from. `where` is `file:line:column`, the `--set` text, or empty."""

    kind: Literal["file", "set", "default"]
    where: str


@dataclass(frozen=True)
class SpecSource:
    """The tree of a spec, and the name it goes by in messages."""

    label: str
    root: Node = field(default_factory=lambda: Node({}))

    def place(self, path: KeyPath, at_key: bool = False, offset: int | None = None) -> Place:
        """Where `path` is written; where it is not, its nearest parent that is."""
        node, set_by = self.root, self.root.set_by
        spot = (node.line, node.column)
        for step, part in enumerate(path):
            child = node.child(part)
            if child is None:
                break
            set_by = child.set_by or set_by
            spot = (child.line, child.column)
            if at_key and step == len(path) - 1:
                spot = node.keys.get(str(part), spot)
            node = child
        if offset is not None and node.text_column is not None:
            spot = (node.line, node.text_column + offset)
        return Place(*spot, set_by)

    def place_of(self, problem: Problem) -> Place:
        return problem.place or self.place(problem.path, problem.at_key, problem.offset)

    def line(self, problem: Problem) -> str:
        """`file:line:column: path: message`, or `--set path=value: path: message`."""
        place = self.place_of(problem)
        where = f"{self.label}:{place.line}:{place.column}"
        if place.set_by is not None:
            where = place.set_by
        parts = (where, dotted(problem.path), problem.message)
        return ": ".join(part for part in parts if part)

    def lines(self, problems: Iterable[Problem]) -> list[str]:
        """All problems in the order of the file, those of `--set` last."""

        def order(problem: Problem) -> tuple[bool, int, int]:
            place = self.place_of(problem)
            return (place.set_by is not None, place.line, place.column)

        ordered = sorted(problems, key=order)
        lines = list(dict.fromkeys(self.line(problem) for problem in ordered[:MOST_SHOWN]))
        if len(ordered) > MOST_SHOWN:
            lines.append(f"{self.label}: and {len(ordered) - MOST_SHOWN} more problems")
        return lines

    def origin(self, path: KeyPath) -> ValueOrigin:
        node, set_by = self.root, self.root.set_by
        for part in path:
            child = node.child(part)
            if child is None:
                # A scalar is written for what the model made of it: `kernel: 3` for kernel[0].
                if isinstance(node.value, dict | list):
                    return ValueOrigin("default", "")
                break
            set_by = child.set_by or set_by
            node = child
        if set_by is not None:
            return ValueOrigin("set", set_by)
        return ValueOrigin("file", f"{self.label}:{node.line}:{node.column}")


def source(label: str, root: Node | None = None) -> SpecSource:
    shown = printable(label, limit=4096)
    return SpecSource(shown) if root is None else SpecSource(shown, root)
