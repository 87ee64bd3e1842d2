"""From a file, or text, and overrides to a checked Spec.

An override, `--set train.eta=0.5`, is put into the tree of nodes before that is checked. The models
check each value by itself, `mistakes` what concerns several parts at once: it looks at plain data
that may be wrong in other ways, so that all mistakes of a file can be reported together, and passes
over what the models complain about.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nncli.core.errors import SpecError
from nncli.core.text import brief, join_words, printable, quote
from nncli.nn.activations import ACTIVATIONS, DEFAULT, ELEMENTWISE, MIXING, PARAMETERS
from nncli.nn.costs import COSTS, activations_of
from nncli.nn.layers import LAYERS, Layer, WeightedLayer
from nncli.spec import nodes, yaml12
from nncli.spec.conditions import BreakSpec, ExpectSpec, condition_mistakes
from nncli.spec.dump import dump_spec
from nncli.spec.models import DEFAULT_OPTIMIZER, OPTIMIZER_KEYS, OPTIMIZERS, Spec, problems
from nncli.spec.nodes import Node, Place, Problem, SpecSource, plain
from nncli.spec.words import KeyPath, describe, dotted, parse_path, utf8
from nncli.spec.yaml12 import Unreadable, read

MOST_BYTES = 16 * 2**20


def load_spec(path: str | Path, overrides: Sequence[str] = ()) -> Spec:
    """The spec of a YAML file; its paths start from the file's folder."""
    path = Path(path)
    spec = parse_spec(read_file(path), str(path), path.parent, overrides)
    spec._file = path
    return spec


def parse_spec(
    text: str, name: str = "<spec>", folder: Path = Path("."), overrides: Sequence[str] = ()
) -> Spec:
    """The spec of a YAML text. Messages call it `name`; its paths start from `folder`."""
    source, found = tree_of(text, name, overrides)
    return checked(source, found, name, folder)


def override_spec(spec: Spec, overrides: Sequence[str]) -> Spec:
    """A spec with values overridden, its place on the disk as it was.

    Raises SpecError: they do not fit it.
    """
    source, found = spec._source, list[Problem]()
    if not source.root.value:  # made in Python
        source, found = tree_of(dump_spec(spec), source.label, ())
    root = source.root
    for override in overrides:
        root, wrong = apply_override(root, override)
        found += wrong
    made = checked(nodes.source(source.label, root), found, spec.name, spec.folder)
    made._file = spec._file
    return made


def placed(spec: Spec) -> Spec:
    """The spec for a process that may run in another folder: its paths do not start from that."""
    made = spec.model_copy()
    made._folder = Path(os.path.abspath(spec.folder))
    return made


def _listed(root: Node) -> Node:
    """A single condition as a list of one, in a copy: so its place is expect[0], as of others."""
    for model in (ExpectSpec, BreakSpec):
        node = root.child(model.key)
        if node is not None and isinstance(node.value, str | dict) and isinstance(root.value, dict):
            root = root.copy()
            assert isinstance(root.value, dict)
            root.value[model.key] = Node([node], node.line, node.column, set_by=node.set_by)
    return root


def checked(source: SpecSource, found: list[Problem], name: str, folder: Path) -> Spec:
    """The spec of a tree.

    Raises SpecError: something is wrong in it, or is in `found`.
    """
    source = nodes.source(source.label, _listed(source.root))
    data = plain(source.root)
    if not isinstance(data, dict):
        message = f"expected a mapping with data, network and train, got {describe(data)}"
        raise SpecError(source.lines([*found, Problem((), message)]))
    data.setdefault("name", _default_name(name))
    found += mistakes(data)
    try:
        spec = Spec.model_validate(data)
    except ValidationError as error:
        found += problems(error.errors(include_url=False))
    if found:
        raise SpecError(source.lines(found))
    spec._source, spec._folder = source, Path(folder)
    return spec


def tree_of(text: str, name: str, sets: Sequence[str]) -> tuple[SpecSource, list[Problem]]:
    """The tree with all overrides in it, and what is wrong with it so far."""
    try:
        root, found = yaml12.read(text.removeprefix("\ufeff"))
    except yaml12.Unreadable as unreadable:
        source = nodes.source(name)
        raise SpecError([source.line(unreadable.problem)]) from None
    if root is None:
        source = nodes.source(name)
        message = "the file is empty; a spec needs data, network and train"
        raise SpecError([source.line(Problem((), message))])
    root, twice = _eta(_listed(root))
    found += twice
    for override in sets:
        root, wrong = apply_override(root, override)
        root, twice = _eta(root)
        found += [*wrong, *twice]
    return nodes.source(name, root), found


def _eta(root: Node) -> tuple[Node, list[Problem]]:
    """train.η renamed to train.eta, in a copy: an alias may share the mapping."""
    train = root.child("train")
    if train is None or train.child("η") is None or not isinstance(root.value, dict):
        return root, []
    root, train = root.copy(), train.copy()
    assert isinstance(root.value, dict)
    assert isinstance(train.value, dict)
    root.value["train"] = train
    value = train.value.pop("η")
    place = train.keys.pop("η", (value.line, value.column))
    if "eta" in train.value:
        where = nodes.Place(*place, value.set_by or train.set_by)
        return root, [Problem(("train", "η"), "eta is given too; keep one of them", place=where)]
    train.value["eta"], train.keys["eta"] = value, place
    return root, []


def _default_name(name: str) -> str:
    """The file's stem, made fit to name a run folder."""
    stem = re.sub(r"[\x00-\x1f\x7f-\x9f/\\<>\ud800-\udfff]", "", Path(name).stem)[:100]
    return stem.strip(".") or "spec"


def read_file(path: Path) -> str:
    label = printable(str(path), 4096)
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise SpecError([f"{label}: {_why_unreadable(error)}"]) from None
    if len(data) > MOST_BYTES:
        limit = MOST_BYTES // 2**20
        raise SpecError([f"{label}: the file is larger than {limit} MiB; put data in a file apart"])
    if data.startswith(b"\x1f\x8b"):
        raise SpecError([f"{label}: the file is gzipped; unpack it first, as gunzip does"])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        from nncli.core.files import TRACE, kind_of

        if (kind := kind_of(data)) not in (None, "text"):
            takers = "inspect-grad, explain, check, replay and diff take a trace"
            hint = f"a spec is a YAML file{f'; {takers}' if kind == TRACE else ''}"
            raise SpecError([f"{label}: is {kind}; {hint}"]) from None
        before = data[: error.start].decode("utf-8")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"not UTF-8 text (byte 0x{data[error.start]:02x}); save the file as UTF-8"
        raise SpecError([f"{label}:{line}:{column}: {message}"]) from None


def read_mapping(path: Path) -> dict[str, Any]:
    """A YAML file of settings as plain values.

    Raises:
        SpecError: it cannot be read, or is no mapping.
    """
    source = nodes.source(printable(path))
    try:
        root, found = yaml12.read(read_file(path).removeprefix("\ufeff"))
    except yaml12.Unreadable as unreadable:
        raise SpecError([source.line(unreadable.problem)]) from None
    settings = None if root is None else nodes.plain(root)
    if not isinstance(settings, dict):
        raise SpecError([f"{printable(path)}: expected settings, as key: value"])
    if found:
        raise SpecError([source.line(problem) for problem in found])
    return settings


def _without_waiting(path: str, flags: int) -> int:
    """Opens a pipe whose other end is not open as well: it is empty, rather than waited for."""
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    os.set_blocking(handle, True)
    return handle


def _why_unreadable(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file; check the path"
    if isinstance(error, IsADirectoryError):
        return "this is a folder; name the spec file in it"
    if isinstance(error, PermissionError):
        return "the file may not be read; check its permissions"
    if isinstance(error, OSError):
        return f"the file cannot be read: {error.strerror}"
    return "no file has such a name: it holds a NUL character; check the path"


# Overrides


class Refused(Exception):
    """An override that cannot be put in its place."""


def apply_override(root: Node, override: str) -> tuple[Node, list[Problem]]:
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
        # The same is said of network[-1] as of network.-1: which entry that would be.
        path = canonical(parse_path(re.sub(r"\[(-[0-9]{1,9})\]", r".\1", name.strip())))
    except ValueError:
        message = "expected PATH=VALUE, such as train.eta=0.5 or network[0].units=30"
        return root, [Problem((), message, place=Place(1, 1, shown))]
    value, problems = _value(text, path, shown)
    if value is None:
        return root, problems
    try:
        return replaced(root, path, value, shown), problems
    except Refused as refused:
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


def replaced(node: Node | None, path: KeyPath, value: Node, shown: str, done: KeyPath = ()) -> Node:
    """A copy of the tree along `path`: other branches may share its nodes by an alias."""
    if not path:
        return value
    part, rest = path[0], path[1:]
    if node is None or node.value is None:
        if isinstance(part, int):
            raise Refused(f"{dotted(done)} is not given; set it as a whole")
        node = Node({}, set_by=shown)
    _check_step(node, part, rest, done)
    child = replaced(node.child(part), rest, value, shown, (*done, part))
    parent = node.copy()
    container: Any = parent.value
    container[part] = child
    return parent


def _check_step(node: Node, part: str | int, rest: KeyPath, done: KeyPath) -> None:
    owner = dotted(done) or "the spec"
    if isinstance(part, int):
        if not isinstance(node.value, list):
            raise Refused(f"{owner} is {describe(plain(node))}, not a list")
        if part >= len(node.value):
            raise Refused(_out_of_range(owner, len(node.value)))
    elif isinstance(node.value, list):
        if part.isdecimal():
            raise Refused(
                f"{owner} is a list; write {brief(dotted((*done, int(part[:9]), *rest)))}"
            )
        count = len(node.value)
        if re.fullmatch("-[1-9][0-9]{0,8}", part) and count + int(part) >= 0:
            entry = brief(dotted((*done, count + int(part), *rest)))
            raise Refused(f"{owner} is a list, whose entries count from 0; write {entry}")
        if not count or re.match("[a-zA-Z]", part) is None:
            has = _out_of_range(owner, count)
            raise Refused(f"{owner} is a list, and {quote(part)} is no entry of it; {has}")
        raise Refused(f"{owner} is a list; write {owner}[0].{brief(part)} for its first entry")
    elif not isinstance(node.value, dict):
        raise Refused(f"{owner} is {describe(plain(node))}, which has no keys; set it as a whole")


def _out_of_range(owner: str, length: int) -> str:
    if length == 0:
        return f"{owner} is an empty list"
    if length == 1:
        return f"{owner} has 1 entry, [0]"
    return f"{owner} has {length} entries, [0] to [{length - 1}]"


def mistakes(data: dict[str, Any]) -> Iterator[Problem]:
    yield from condition_mistakes(data)
    network = data.get("network")
    if not isinstance(network, list) or not network:
        return
    layers = [layer if isinstance(layer, dict) else {} for layer in network]
    yield from _order(layers)
    yield from _last(layers)
    yield from _mixing_inside(layers)
    yield from _activation_keys(layers)
    train = data.get("train")
    train = train if isinstance(train, dict) else {}
    yield from _cost(layers, train)
    yield from _optimizer(train)


def _kind(layer: dict[str, Any]) -> type[Layer]:
    """The kind of a layer; one that asks for nothing where its type is unknown."""
    kind = layer.get("type")
    return LAYERS.get(kind, Layer) if isinstance(kind, str) else Layer


def _a_layer(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} layer"


def _order(layers: Sequence[dict[str, Any]]) -> Iterator[Problem]:
    """Layers that need an image come before any that makes a vector."""
    kinds = [_kind(layer) for layer in layers]
    flat = next((i for i, kind in enumerate(kinds) if kind.makes_vectors), len(kinds))
    for i in range(flat + 1, len(kinds)):
        if kinds[i].takes_images:
            first = f"the {layers[flat]['type']} layer network[{flat}]"
            message = f"{_a_layer(layers[i]['type'])} cannot follow {first}"
            yield Problem(("network", i), f"{message}; put it before")


def _last(layers: Sequence[dict[str, Any]]) -> Iterator[Problem]:
    kind = layers[-1].get("type")
    if isinstance(kind, str) and kind in LAYERS and not LAYERS[kind].is_output:
        message = f"the network ends in {_a_layer(kind)}; add a dense layer with a unit for each"
        path = ("network", len(layers) - 1)
        yield Problem(path, f"{message} output, such as {{type: dense, units: 10}}")


def _mixing_inside(layers: Sequence[dict[str, Any]]) -> Iterator[Problem]:
    for i, layer in enumerate(layers[:-1]):
        activation = layer.get("activation")
        if isinstance(activation, str) and activation in MIXING:
            message = f"{activation} belongs in the last layer; use {join_words(ELEMENTWISE)} here"
            yield Problem(("network", i, "activation"), message)


def _activation_keys(layers: Sequence[dict[str, Any]]) -> Iterator[Problem]:
    """A parameter of an activation that the layer does not have would go without effect."""
    for i, layer in enumerate(layers):
        activation = layer.get("activation", DEFAULT)
        if not issubclass(_kind(layer), WeightedLayer):
            continue
        if not isinstance(activation, str) or activation not in ACTIVATIONS:
            continue
        own = [p.key for p in ACTIVATIONS[activation].parameters]
        for key in PARAMETERS.keys() & layer.keys() - set(own):
            owners = [r.name for r in ACTIVATIONS.values() if key in {p.key for p in r.parameters}]
            cure = f"its key is {join_words(own)}" if own else "leave it out"
            message = f"'{key}' belongs to {join_words(owners)}, and the activation is {activation}"
            yield Problem(("network", i, key), f"{message}; {cure}", at_key=True)


def _optimizer(train: dict[str, Any]) -> Iterator[Problem]:
    """Keys of the training that its optimizer does not know, or that need another key."""
    chosen = train.get("optimizer", DEFAULT_OPTIMIZER.type)
    kind = chosen.get("type") if isinstance(chosen, dict) else chosen
    if not isinstance(kind, str) or kind not in OPTIMIZERS:
        return
    own = OPTIMIZERS[kind].train_keys
    for key, owners in OPTIMIZER_KEYS.items():
        if key in train and key not in own:
            belongs = f"'{key}' belongs to {join_words(owners)}"
            message = f"{belongs}, and the optimizer is {kind}; leave it out"
            yield Problem(("train", key), message, at_key=True)
    if "nesterov" in own and train.get("nesterov") is True and not train.get("momentum"):
        message = "nesterov needs momentum; set train.momentum too, 0.9 say"
        yield Problem(("train", "nesterov"), message)


def _cost(layers: Sequence[dict[str, Any]], train: dict[str, Any]) -> Iterator[Problem]:
    last = layers[-1]
    if not _kind(last).is_output:
        return
    costs = dict.fromkeys(row.name for row in COSTS)
    cost, activation = train.get("cost", COSTS[0].name), last.get("activation", DEFAULT)
    if not isinstance(cost, str) or cost not in costs:
        return
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        return
    if activation in activations_of(cost):
        return
    if activation in MIXING:
        right = join_words(name for name in costs if activation in activations_of(name))
        message = f"{activation} goes with cost {right}, and cost is {cost}"
        path = ("network", len(layers) - 1, "activation")
        yield Problem(path, f"{message}; set train.cost to {right}, or use {DEFAULT} here")
    else:
        wanted = join_words(activations_of(cost))
        message = f"{cost} needs {wanted} in the last layer, not {activation}"
        yield Problem(("train", "cost"), f"{message}; change network[{len(layers) - 1}].activation")
