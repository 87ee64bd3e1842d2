"""`--set train.eta=0.5`: values from the command line put into the tree before it is checked."""

from __future__ import annotations

from typing import Any

from nncli.core.text import brief, printable
from nncli.spec.nodes import Node, Place, Problem, plain
from nncli.spec.paths import parse_path
from nncli.spec.words import KeyPath, describe, dotted, utf8
from nncli.spec.yaml12 import Unreadable, read


class _Refused(Exception):
    """An override that cannot be put in its place."""


def apply(root: Node, override: str) -> tuple[Node, list[Problem]]:
    """The tree with one value replaced, and what is wrong with the override."""
    decoded = utf8(override)
    shown = f"--set {printable(decoded or override, 80)}"
    if decoded is None:
        return root, [Problem((), "expected UTF-8 text", place=Place(1, 1, shown))]
    override = decoded
    name, equals, text = override.partition("=")
    try:
        if not equals:
            raise ValueError
        path = canonical(parse_path(name.strip()))
    except ValueError:
        message = "expected PATH=VALUE, such as train.eta=0.5 or network[0].units=30"
        return root, [Problem((), message, place=Place(1, 1, shown))]
    value, problems = _value(text, path, shown)
    if value is None:
        return root, problems
    try:
        return _replaced(root, path, value, shown), problems
    except _Refused as refused:
        return root, [Problem((), str(refused), place=Place(1, 1, shown))]


def canonical(path: KeyPath) -> KeyPath:
    """train.η is train.eta."""
    return ("train", "eta", *path[2:]) if path[:2] == ("train", "η") else path


def _value(text: str, path: KeyPath, shown: str) -> tuple[Node | None, list[Problem]]:
    place = Place(1, 1, shown)
    try:
        node, problems = read(text)
    except Unreadable as unreadable:
        problem = unreadable.problem
        return None, [Problem((*path, *problem.path), problem.message, place=place)]
    node = Node(None) if node is None else node.copy()
    node.set_by = shown
    return node, [Problem((*path, *p.path), p.message, place=place) for p in problems]


def _replaced(
    node: Node | None, path: KeyPath, value: Node, shown: str, done: KeyPath = ()
) -> Node:
    """A copy of the tree along `path`: other branches may share its nodes by an alias."""
    if not path:
        return value
    part, rest = path[0], path[1:]
    if node is None or node.value is None:
        if isinstance(part, int):
            raise _Refused(f"{dotted(done)} is not given; set it as a whole")
        node = Node({}, set_by=shown)
    _check(node, part, done)
    child = _replaced(node.child(part), rest, value, shown, (*done, part))
    parent = node.copy()
    container: Any = parent.value
    container[part] = child
    return parent


def _check(node: Node, part: str | int, done: KeyPath) -> None:
    owner = dotted(done) or "the spec"
    if isinstance(part, int):
        if not isinstance(node.value, list):
            raise _Refused(f"{owner} is {describe(plain(node))}, not a list")
        if part >= len(node.value):
            raise _Refused(_out_of_range(owner, len(node.value)))
    elif isinstance(node.value, list):
        raise _Refused(f"{owner} is a list; write {owner}[0].{brief(part)} for its first entry")
    elif not isinstance(node.value, dict):
        raise _Refused(f"{owner} is {describe(plain(node))}, which has no keys; set it as a whole")


def _out_of_range(owner: str, length: int) -> str:
    if length == 0:
        return f"{owner} is an empty list"
    if length == 1:
        return f"{owner} has 1 entry, [0]"
    return f"{owner} has {length} entries, [0] to [{length - 1}]"
