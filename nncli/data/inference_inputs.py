"""Data that come after the training, read by its preprocessing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import count_of, printable, quote_all
from nncli.data.columns.notes import Tally
from nncli.data.columns.samples import chosen_samples, featured, told_features
from nncli.data.dataset import Dataset, check_inputs, make_dataset, needed_scaling
from nncli.data.preprocessing import ColumnLayout, Preprocessing
from nncli.data.readers.arrays import release_large
from nncli.data.readers.files import (
    STANDARD_INPUT,
    check_expansion,
    explain_read_errors,
    file_size,
    opened,
)
from nncli.data.readers.read import array_of_inputs, kind, read_source
from nncli.data.readers.rows import RowReader, delimiter_of, read_table
from nncli.data.readers.tables import Table
from nncli.data.samples import Pair, Samples, Source

PIECE = 1 << 21  # numbers

DType = np.dtype[Any]


class Inputs(NamedTuple):
    """Samples without targets, some at a time; `total` of them, None where only the end tells.

    notes: what the source held besides. counted: once all parts are read, notes of what was in
    them that training did not meet.
    """

    parts: Iterator[Dataset]
    total: int | None
    notes: tuple[str, ...]
    counted: Callable[[], Sequence[str]] = tuple


def read_inputs(
    preprocessing: Preprocessing, source: Path | NDArray[Any] | IO[bytes], dtype: DType
) -> Inputs:
    """The inputs of a source of any format, with targets or without.

    A table, and a stream, which holds one, are read as the parts are asked for; .npy is mapped.
    Raises DataError for what does not fit the preprocessing; of a table's rows only when they are
    read.
    """
    tally = Tally(preprocessing.rules or ())
    if isinstance(source, Path) and kind(source) == "table":
        check_expansion(source)  # so that a decompression bomb is refused before any prediction
        with opened_table(preprocessing, source) as (reader, layout):
            parts = parts_of_file(preprocessing, source, dtype, tally)
    elif isinstance(source, Path):
        return of_arrays(preprocessing, read_source(source, with_targets=False), dtype)
    elif isinstance(source, np.ndarray):
        return of_arrays(preprocessing, array_of_inputs(source, "inputs"), dtype)
    else:
        with explain_read_errors(Path(STANDARD_INPUT)):
            reader = RowReader(source, STANDARD_INPUT, form=preprocessing.form)
            layout = layout_of(preprocessing, reader)
        parts = parts_of_stream(preprocessing, reader, layout, dtype, tally)
    notes = notes_of(preprocessing, layout, reader)
    return Inputs(parts, None, notes, partial(tally.notes, reader.name))


def of_arrays(preprocessing: Preprocessing, samples: Samples, dtype: DType) -> Inputs:
    samples = preprocessing.fitted(samples)
    check_inputs(samples, needed_scaling(samples.inputs, preprocessing.scaling, dtype), dtype)
    return Inputs(pieces(preprocessing, samples, dtype), len(samples), ())


def pieces(preprocessing: Preprocessing, samples: Samples, dtype: DType) -> Iterator[Dataset]:
    """Checked inputs in pieces: no more of a mapped file than one of them stays in memory."""
    raw, step = samples.inputs, max(1, PIECE // preprocessing.inputs)
    scaling = needed_scaling(raw, preprocessing.scaling, dtype)
    for start in range(0, len(raw), step):
        piece = raw[start : start + step]
        yield Dataset(piece, np.empty((len(piece), 0), dtype), np.arange(len(piece)), scaling)
        release_large(raw)


@contextmanager
def opened_table(
    preprocessing: Preprocessing, path: Path
) -> Iterator[tuple[RowReader, ColumnLayout]]:
    """The reader of a table in a file, at its first sample, and what its columns are."""
    with opened(path) as stream:
        reader = RowReader(stream, printable(path), delimiter_of(path), preprocessing.form)
        yield reader, layout_of(preprocessing, reader)


def parts_of_file(
    preprocessing: Preprocessing, path: Path, dtype: DType, tally: Tally
) -> Iterator[Dataset]:
    with opened_table(preprocessing, path) as (reader, layout):
        yield from parts_of(preprocessing, reader, layout, dtype, tally, file_size(path))


def parts_of_stream(
    preprocessing: Preprocessing,
    reader: RowReader,
    layout: ColumnLayout,
    dtype: DType,
    tally: Tally,
) -> Iterator[Dataset]:
    with explain_read_errors(Path(STANDARD_INPUT)):
        yield from parts_of(preprocessing, reader, layout, dtype, tally)


def parts_of(
    preprocessing: Preprocessing,
    reader: RowReader,
    layout: ColumnLayout,
    dtype: DType,
    tally: Tally,
    size: int = 0,
) -> Iterator[Dataset]:
    for table in reader.tables(size):
        samples = later_samples(preprocessing, table, layout.inputs)
        if samples.raw is not None and preprocessing.rules is not None:
            tally.add(samples.raw)
            samples = featured(samples, preprocessing.rules)
        yield without_targets(preprocessing, samples, dtype)


def later_samples(
    preprocessing: Preprocessing, table: Table, inputs: Sequence[int], targets: Sequence[int] = ()
) -> Samples:
    """The samples in these columns of a table, read as those of the training were.

    Where they have rules, the inputs are left to `featured`.
    """
    return chosen_samples(
        table,
        inputs,
        targets,
        preprocessing.label_names or "none",
        hint="",
        rules=preprocessing.rules,
        is_later=True,
        may_drop=bool(targets),
    )


def without_targets(preprocessing: Preprocessing, samples: Samples, dtype: DType) -> Dataset:
    return make_dataset(
        preprocessing.fitted(samples), scaling=preprocessing.scaling, encoding=None, dtype=dtype
    )


def layout_of(preprocessing: Preprocessing, reader: RowReader) -> ColumnLayout:
    """Finds out whether the table has a header, and what its columns are."""
    header = None
    if preprocessing.is_header(reader.first):
        reader.read_header_row()
        header = reader.header
    elif reader.counts_columns():
        reader.read_header_row()
    return preprocessing.lay_out(header, reader.width, reader.name)


def notes_of(
    preprocessing: Preprocessing, layout: ColumnLayout, reader: RowReader
) -> tuple[str, ...]:
    """What a table has besides the inputs."""
    notes = []
    names = reader.header
    if names is not None and not preprocessing.is_header(names):
        notes.append(
            f"{reader.name}: the first row, {names[0]} to {names[-1]}, was taken for a header; if "
            "it is a sample, put a header above it"
        )
    if layout.targets:
        named = names is not None and preprocessing.by_name
        targets = (
            quote_all(preprocessing.targets or ())
            if named
            else "column " + ", ".join(str(i + 1) for i in layout.targets)
        )
        notes.append(f"{reader.name}: left out {targets}, which the network predicts")
    if layout.others:
        others = quote_all(layout.others)
        notes.append(f"{reader.name}: left out {others}, which the network was not trained on")
    return tuple(notes)


def read_measured(preprocessing: Preprocessing, source: Source, dtype: DType) -> Dataset:
    """All samples of a source, with the targets that a network is measured by.

    Raises DataError for what does not fit the preprocessing, unknown classes among it.
    """
    if isinstance(source, Path) and kind(source) == "table":
        samples = measured_table(preprocessing, source)
    elif isinstance(source, Pair) or kind(source) == "npz":
        samples = read_source(source, classes=preprocessing.label_names or "none")
    else:
        raise DataError(
            f"{printable(source)}: holds inputs alone; give the file of their targets too "
            "(--targets)"
        )
    part = make_dataset(
        preprocessing.fitted(samples),
        scaling=preprocessing.scaling,
        encoding=preprocessing.encoding,
        dtype=dtype,
        target_scaling=preprocessing.target_scaling,
    )
    found = part.targets.shape[1]
    if found != preprocessing.outputs:
        raise DataError(
            f"{samples.targets_origin.name}: has {count_of(found, 'target')} a sample, but the "
            f"network has {count_of(preprocessing.outputs, 'output')}"
        )
    return part


def measured_table(preprocessing: Preprocessing, path: Path) -> Samples:
    check_expansion(path)  # a bomb of blank lines has no first row
    with opened_table(preprocessing, path) as (reader, layout):
        has_header = reader.header is not None
    if not layout.targets:
        names = (
            f" {quote_all(preprocessing.targets)}"
            if preprocessing.targets and preprocessing.by_name
            else ""
        )
        raise DataError(
            f"{reader.name}: lacks the target column{names}, which the network is measured by"
        )
    table = read_table(path, header=has_header, form=preprocessing.form)
    samples = later_samples(preprocessing, table, layout.inputs, layout.targets)
    return samples if preprocessing.rules is None else told_features(samples, preprocessing.rules)
