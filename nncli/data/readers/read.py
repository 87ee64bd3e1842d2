"""One place for all formats: a source in, samples out."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.files import file_and_array, is_pattern
from nncli.core.text import count_of, printable, quote, quote_all, sizes
from nncli.data.columns.choice import ColumnKeys
from nncli.data.columns.samples import table_samples
from nncli.data.messages import Problems
from nncli.data.readers.arrays import is_idx_name, npz_names, read_idx, read_npy, read_npz
from nncli.data.readers.files import (
    UNPACK,
    UTF_16,
    ZIP,
    FileFormat,
    file_size,
    foreign,
    format_of,
    is_gzip,
    start_of,
)
from nncli.data.readers.parts import (
    check_counts,
    check_pairs,
    inputs_of_parts,
    matches,
    targets_of_parts,
)
from nncli.data.readers.rows import read_table
from nncli.data.readers.sheets import SHEETS, is_sheet
from nncli.data.readers.tables import Target, table_targets, targets_origin
from nncli.data.samples import (
    EXACT_INTEGERS,
    Origin,
    Pair,
    Samples,
    Source,
    as_inputs,
    as_targets,
    from_list,
    leaves_of,
)
from nncli.data.targets import Classes, are_typing_mistakes, refuse_typing_mistakes

TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", *SHEETS)
KNOWN = f".csv, .tsv (each also .gz), {', '.join(SHEETS)}, .npz, .npy and IDX (also .gz)"
KNOWN_VALUES = ".csv, .tsv (each also .gz), .npy, .npz, .safetensors and IDX (also .gz)"
HALF = "a table (.csv, .tsv, each also .gz), .npy or IDX (also .gz)"


def read_source(
    source: Source,
    *,
    target: Target = None,
    header: bool | None = None,
    classes: Classes = None,
    with_targets: bool = True,
    shape: tuple[int, int, int] | None = None,
    part: str | None = None,
    keys: ColumnKeys | None = None,
    like: Samples | None = None,
) -> Samples:
    """Reads a source of any format; .npy inputs are mapped, everything else is in memory.

    target, header: which columns of a table are targets, and whether it has a header (None
    looks); a target that is a name demands one.
    classes: names let a column mix words and numbers, "none" or a number forbids words.
    with_targets: False reads inputs alone, from any file that holds them.
    shape: channels, rows, columns of each sample's inputs.
    part: train, validation or test, of an .npz file that may hold several.
    keys, like: what is said of a table's columns, see `table_samples`; where these are no plain
    numbers, the samples have their inputs still to be made.
    Raises DataError for whatever is wrong with the source, values that are not finite in arrays
    and labels that are no class excepted: those are looked for when samples become a Dataset.
    """
    if isinstance(source, Pair):
        samples = read_pair(source, header, classes, with_targets, keys, like)
    elif kind(source) == "table":
        wanted = [target] if isinstance(target, str | int) else (target or [])
        names = [key for key in wanted if isinstance(key, str)] if with_targets else []
        names += keys.names if keys is not None else []
        form = None if keys is None else keys.form
        table = read_table(source, header=header, names=names, form=form)
        samples = table_samples(
            table,
            target=target,
            with_targets=with_targets,
            classes=classes,
            keys=keys,
            like=like,
        )
    elif kind(source) == "npz" and member_of(source) is None:
        samples = read_both(source, with_targets, part)
    elif with_targets:
        raise DataError(
            f"{printable(source)}: holds one array only; "
            "give {inputs: ..., targets: ...}, with a file for each",
            key="train",
        )
    else:
        samples = read_pair(Pair(source), header, classes, with_targets=False)
    return samples if samples.raw is not None else samples.reshaped(shape)


def member_of(path: Path) -> str | None:
    """The array that `x.npz#x_train` names in a file of several; None where it names a file."""
    return file_and_array(str(path))[1]


def kind(path: Path, known: str = KNOWN) -> str:
    """`table`, `npz`, `npy` or `idx`, by what the file begins with, and text by its name."""
    if is_pattern(path):
        path = matches(path)[0]
    path = Path(file_and_array(str(path))[0])
    name = path.name.lower()
    if is_sheet(path):  # whose first bytes as text are known once all of it is
        file_size(path)
        return "table"
    format = format_of(start_of(path), name)
    is_utf_16 = format is not None and format.name == UTF_16  # `data.encoding` may say so too
    if format is not None and not (is_utf_16 and name.endswith(TABLES)):
        return kind_of_format(path, format)
    if name.endswith(TABLES):
        return "table"
    if name.endswith((".npz", ".npy")):
        return name[-3:]
    if is_idx_name(path):
        return "idx"
    suffix = "".join(path.suffixes[-2:]) if name.endswith(".gz") else path.suffix
    wrong = f"{quote(suffix)} is not a known format" if suffix else "no suffix tells its format"
    raise DataError(f"{printable(path)}: {wrong}; known are {known}")


def kind_of_format(path: Path, format: FileFormat) -> str:
    if path.name.lower().endswith(".npz") and format.name == ZIP:
        return "npz"
    if format.kind == "npz" and is_gzip(path):
        raise DataError(f"{printable(path)}: is gzip around an .npz archive; {UNPACK}")
    if format.kind not in ("npz", "npy", "idx"):
        raise foreign(format, printable(path), "a table, .npz, .npy or IDX")
    return format.kind


# What inputs and targets may be called in an .npz file, and in one of several parts their ends.
BOTH = (("x", "y"), ("X", "y"), ("X", "Y"))
PARTS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}


def read_both(path: Path, with_targets: bool, part: str | None) -> Samples:
    """The samples of an .npz file of inputs and targets, of one part where it holds several."""
    held, name = npz_names(path), printable(path)
    of_part = [(f"{x}_{end}", f"{y}_{end}") for x, y in BOTH for end in PARTS.get(part or "", ())]
    pairs = [(x, y) for x, y in (*of_part, *BOTH) if x in held and (y in held or not with_targets)]
    if not pairs:
        lone = next((x for x, _ in (*of_part, *BOTH) if x in held), None)
        lacks = "x and y" if lone is None else f"y{lone[1:]} beside {lone}"
        raise DataError(
            f"{name}: needs {lacks}; it holds {quote_all(held) or 'none'}; of other "
            f"names, give {{inputs: {path.name}#..., targets: {path.name}#...}}"
        )
    x, y = pairs[0]
    arrays = read_npz(path, (x, y) if with_targets else (x,))
    inputs = array_of_inputs(arrays[x], f"{name}: {x}")
    if not with_targets:
        return inputs
    return joined(inputs, *array_of_targets(arrays[y], f"{name}: {y}"))


def read_pair(
    pair: Pair,
    header: bool | None,
    classes: Classes,
    with_targets: bool,
    keys: ColumnKeys | None = None,
    like: Samples | None = None,
) -> Samples:
    patterns = [half for half in pair if isinstance(half, Path) and is_pattern(half)]
    for pattern in patterns:
        refuse_other_parts(pattern)
    if with_targets and len(patterns) == len(pair):
        check_pairs(*patterns)
    inputs = read_half_inputs(pair.inputs, header, keys, like)
    if not with_targets:
        return inputs
    if pair.targets is None:
        raise DataError(f"{inputs.inputs_origin.name}: has no targets; give targets: ... too")
    if isinstance(pair.targets, Path) and kind(pair.targets) == "table":
        return joined(inputs, *column_targets(pair.targets, header, classes, len(inputs)))
    if isinstance(pair.targets, Path) and is_pattern(pair.targets):
        targets, origin = targets_of_parts(
            pair.targets, lambda path: array_of_targets(*read_array(path, "targets"))
        )
        check_counts(inputs, targets, origin)
        return joined(inputs, targets, origin)
    targets, origin = array_of_targets(*read_array(pair.targets, "targets"))
    if isinstance(pair.targets, list) and classes != "none" and are_large(pair.targets):
        targets = from_list([str(label) for label in pair.targets], "targets")
    elif isinstance(pair.targets, list) and classes is None and targets.shape[1:] == (1,):
        # Only in a list is 1 told from 1.0.
        leaves = leaves_of(pair.targets)
        labels = [isinstance(leaf, int) and abs(leaf) < EXACT_INTEGERS for leaf in leaves]
        refuse_typing_mistakes(np.array(leaves, object), np.array(labels), origin)
    return joined(inputs, targets, origin)


def are_large(labels: list[Any]) -> bool:
    """Whether they are integers, of which some do not fit int64: as floats, two became one."""
    if not all(isinstance(label, int) for label in labels):
        return False
    large = sum(abs(label) >= EXACT_INTEGERS for label in labels)
    return large > 0 and not are_typing_mistakes(large, len(labels))


def read_half_inputs(
    source: Path | list[Any],
    header: bool | None,
    keys: ColumnKeys | None,
    like: Samples | None,
) -> Samples:
    if isinstance(source, Path) and kind(source) == "table":
        table = read_table(source, header=header, form=None if keys is None else keys.form)
        return table_samples(table, with_targets=False, keys=keys, like=like)
    if isinstance(source, Path) and is_pattern(source):
        return inputs_of_parts(source)
    return array_of_inputs(*read_array(source, "inputs"))


def refuse_other_parts(pattern: Path) -> None:
    """Raises DataError where a pattern names files other than .npy."""
    others = [path for path in matches(pattern) if kind(path) != "npy"]
    if others:
        raise DataError(
            f"{printable(others[0])}: a pattern ({printable(pattern.name)}) names .npy files of "
            "inputs, and of targets, and this is none; join what it names in one file"
        )


def read_array(source: Path | list[Any], key: str) -> tuple[NDArray[Any], str]:
    """The array and the name that messages give it. Targets are never left mapped."""
    if isinstance(source, list):
        return from_list(source, key), key
    if kind(source) == "npz":
        file, member = file_and_array(str(source))
        if member is None:
            raise DataError(
                f"{printable(source)}: .npz holds several arrays; give its path alone where they "
                f"are x and y, name one as in {key}: {source.name}#{key}, or give {HALF}"
            )
        return read_npz(Path(file), (member,))[member], f"{printable(file)}: {member}"
    return read_one(source), printable(source)


def read_one(path: Path) -> NDArray[Any]:
    """The array of a .npy or an IDX file."""
    return read_npy(path) if kind(path) == "npy" else read_idx(path)


def read_values(path: Path) -> NDArray[np.float64]:
    """The numbers of one file (.npy, IDX, or a table without a header), in the file's shape.

    Raises DataError where it cannot be read, or holds text, NaN or infinity.
    """
    format, name = kind(path, KNOWN_VALUES), printable(path)
    if format == "table":
        table = read_table(path, header=False, needed="a table of numbers")
        problems = Problems(table.name)
        values = table.numbers(range(table.width), problems, hint="")
        problems.raise_any()
        return values
    if format == "npz":
        raise DataError(f"{name}: .npz may hold several arrays; save the one needed as .npy")
    array = read_one(path)
    if array.ndim == 0:
        raise DataError(f"{name}: holds a single number, not a list or a table of them")
    if array.size == 0:
        raise DataError(f"{name}: holds no numbers (its shape is {sizes(array.shape)})")
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise DataError(f"{name}: must hold finite numbers and nothing else")
    return np.array(array, np.float64)


def column_targets(
    path: Path, header: bool | None, classes: Classes, rows: int
) -> tuple[NDArray[Any], Origin]:
    """A table whose every column is a target."""
    table = read_table(path, header=header, rows=rows)
    problems = Problems(table.name)
    chosen = range(table.width)
    targets = table_targets(table, chosen, classes, problems)
    problems.raise_any()
    assert targets is not None
    return targets, targets_origin(table, chosen, targets)


def array_of_inputs(array: NDArray[Any], name: str) -> Samples:
    inputs = as_inputs(array, name)
    return Samples(inputs, None, None, Origin(name, array.shape[1:]), Origin(name))


def array_of_targets(array: NDArray[Any], name: str) -> tuple[NDArray[Any], Origin]:
    if array.dtype.kind == "S":
        try:
            array = np.char.decode(array, "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{name}: holds labels that are not UTF-8") from error
    targets = as_targets(np.array(array, subok=False, copy=None), name)
    origin = Origin(name, array.shape[1:])
    if targets.dtype.kind == "U":
        check_text(targets, origin)
    return targets, origin


def check_text(labels: NDArray[Any], origin: Origin) -> None:
    """Raises DataError for labels that no str can hold, or no file.

    NumPy's text is four bytes a character, of which a damaged file may make anything.
    """
    codes = np.dtype(np.uint32).newbyteorder(labels.dtype.byteorder)
    characters = np.ascontiguousarray(labels).view(codes).reshape(len(labels), -1)
    bad = (characters > sys.maxunicode) | ((characters >= 0xD800) & (characters < 0xE000))
    problems = Problems(origin.name)
    problems.add_each(
        np.flatnonzero(bad.any(axis=1)).tolist(),
        lambda row: f"{origin.place(row)}: is damaged: its characters are not Unicode",
    )
    problems.raise_any()


def joined(inputs: Samples, targets: NDArray[Any], origin: Origin) -> Samples:
    if len(targets) != len(inputs):
        raise DataError(
            f"{origin.name}: has targets for {count_of(len(targets), 'sample')}, but "
            f"{inputs.inputs_origin.name} has inputs for {len(inputs):,}"
        )
    return replace(inputs, targets=targets, targets_origin=origin)
