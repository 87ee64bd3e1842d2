"""What a spec's `data` names: files and lists, checked and read."""

import os
from pathlib import Path

import numpy as np

from nncli.core.errors import DataError, SpecError
from nncli.core.files import NO_ADDRESS, file_and_array, is_address, is_pattern
from nncli.core.seeds import Stream, seed_of
from nncli.core.text import brief
from nncli.data import ColumnKeys, Data, Pair, Source, load
from nncli.data.readers.parts import matches
from nncli.data.readers.read import kind
from nncli.data.readers.separators import Form
from nncli.nn.activations import ACTIVATIONS
from nncli.spec import PairSpec, Spec, WeightedLayerSpec
from nncli.spec.columns import SEPARATOR_OF, UTF_8, normal

ESCAPES = {
    "\t": (r"\t", "a tab"),
    "\n": (r"\n", "a line end"),
    "\r": (r"\r", "a carriage return"),
    "\a": (r"\a", "a bell"),
    "\b": (r"\b", "a backspace"),
    "\v": (r"\v", "a vertical tab"),
    "\f": (r"\f", "a form feed"),
    "\x1b": (r"\e", "an escape character"),
    "\0": (r"\0", "a NUL"),
}


def load_data(spec: Spec) -> Data:
    """The data of a spec, split and scaled.

    Raises:
        SpecError: a file is not there. DataError: what is in it does not fit.
    """
    d = spec.data
    _check_files(spec)
    validation = d.validation
    return load(
        train=source_of(spec, d.train),
        validation=validation if isinstance(validation, float) else _maybe(spec, validation),
        test=_maybe(spec, d.test),
        target=d.target,
        classes=d.classes,
        header=d.header,
        keys=column_keys(spec),
        scale=d.scale,
        target_scale=d.target_scale,
        shape=d.shape,
        has_one_output=has_one_output(spec),
        class_weights=d.class_weights,
        dtype=np.dtype(spec.dtype),
        seed=seed_of(spec.seed, Stream.SPLIT),
    )


def has_one_output(spec: Spec) -> bool:
    """Whether the network's one unit can say of two classes which it is."""
    last = spec.network[-1]
    if not isinstance(last, WeightedLayerSpec) or getattr(last, "units", 0) != 1:
        return False
    return ACTIVATIONS[last.activation].elementwise


def column_keys(spec: Spec) -> ColumnKeys:
    """What a spec says of the columns of its tables."""
    columns = spec.data.columns or {}
    d = spec.data
    if d.thousands is not None and d.thousands == d.decimal:
        raise spec.error_at(
            ("data", "thousands"), f"{d.thousands!r} marks the decimals already; give another mark"
        )
    form = Form(
        SEPARATOR_OF.get(d.separator or "", d.separator),
        d.decimal,
        d.thousands,
        None if d.comment == "#" else d.comment,
        None if d.encoding == UTF_8 else d.encoding,
    )
    return ColumnKeys(
        spec.data.ignore or (),
        {name: normal(written) for name, written in columns.items()},
        None if form == Form() else form,
    )


def _check_files(spec: Spec) -> None:
    """Raises SpecError for files of `data` that are missing, each with its place in the spec."""
    problems: list[str] = []
    for key in ("train", "validation", "test"):
        table = getattr(spec.data, key)
        names: dict[tuple[str, ...], object] = {(): table}
        if isinstance(table, PairSpec):
            names = {("inputs",): table.inputs, ("targets",): table.targets}
        for place, name in names.items():
            # Unlike those of Path, these know no path that is too long to ask for.
            if not isinstance(name, str):
                continue
            file, _ = file_and_array(str(spec.resolve(name)))
            if os.path.isfile(file):
                continue
            if is_pattern(Path(file)):
                message = _why_no_match(Path(file))
            else:
                there = os.path.exists(file)
                what = "this is no file:" if there else "there is no file"
                message = f"{what} {file!r}; {_path_advice(name)}"
            if message is not None:
                problems += spec.error_at(("data", key, *place), message).problems
    if problems:
        raise SpecError(problems)


def _why_no_match(pattern: Path) -> str | None:
    """What is wrong with a pattern that names no file."""
    try:
        matches(pattern)
    except DataError:
        there = sorted(path.name for path in pattern.parent.glob("*.npy"))
        holds = f"; there are {brief(', '.join(there))} beside it" if there else ""
        return f"no file matches {str(pattern)!r}{holds}"
    return None


def _path_advice(name: str) -> str:
    """What to do about a path that names no file; YAML may have changed it within its quotes."""
    if is_address(name):
        return NO_ADDRESS
    made = next((c for c in name if c in ESCAPES), None)
    if made is None:
        return "check the path"
    escape, character = ESCAPES[made]
    return (
        f"within double quotes {escape} makes {character}; use single quotes for a path with "
        "backslashes"
    )


def check_keys(spec: Spec) -> None:
    """Raises SpecError for keys that have no effect where they are written."""
    keys = ("target", "header", "ignore", "columns", "separator", "decimal")
    has_table = has_columns = True
    if any(getattr(spec.data, key) is not None for key in keys):  # else no file need be looked at
        given = (spec.data.train, spec.data.validation, spec.data.test)
        sources = [source_of(spec, table) for table in given if isinstance(table, str | PairSpec)]
        halves = [half for s in sources if isinstance(s, Pair) for half in s]
        has_table = any(map(_is_table, sources))
        has_columns = has_table or any(map(_is_table, halves))
    problems: list[str] = []
    if spec.data.target is not None and not has_table:
        message = (
            "chooses columns of a table, and these data have their targets apart from the inputs; "
            "leave target out"
        )
        problems += spec.error_at(("data", "target"), message).problems
    if spec.data.header is not None and not has_columns:
        message = "is about the first line of a table, and these data have none; leave header out"
        problems += spec.error_at(("data", "header"), message).problems
    for key in ("ignore", "columns", "separator", "decimal"):
        if getattr(spec.data, key) is not None and not has_columns:
            message = f"is about the columns of a table, and these data have none; leave {key} out"
            problems += spec.error_at(("data", key), message).problems
    for index, layer in enumerate(spec.network):
        if isinstance(layer, WeightedLayerSpec) and None not in (layer.weights, layer.init):
            message = "its weights are given, so that none are drawn; leave init out"
            problems += spec.error_at(("network", index, "init"), message).problems
    if problems:
        raise SpecError(problems)


def _is_table(source: object) -> bool:
    try:
        return isinstance(source, Path) and kind(source) == "table"
    except DataError:  # told where it is read
        return True


def _maybe(spec: Spec, table: str | PairSpec | None) -> Source | None:
    return None if table is None else source_of(spec, table)


def source_of(spec: Spec, table: str | PairSpec) -> Source:
    """What a key under the spec's `data` names, as seen from the current folder."""

    def half(value: object) -> Path | list[object]:
        return spec.resolve(value) if isinstance(value, str) else _lists(value)

    if isinstance(table, str):
        return spec.resolve(table)
    return Pair(half(table.inputs), half(table.targets))


def _lists(value: object) -> list[object]:
    """Nested tuples as nested lists."""
    assert isinstance(value, tuple)
    return [_lists(item) if isinstance(item, tuple) else item for item in value]
