"""Predictions as files: CSV, JSON lines, .npy. Each format is a row of PREDICTION_FORMATS.

NumPy is imported only where arrays are written, since the help of the command names the formats.
"""

import csv
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, NamedTuple

from nncli.core.jsons import to_json
from nncli.core.text import quote_all, without_controls

if TYPE_CHECKING:
    from nncli.app.evaluation_records import Prediction
    from nncli.nn.arrays import Array

    Blocks = Iterable[Prediction]

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # begin one in a spreadsheet


def write_csv(blocks: "Blocks", file: IO[bytes]) -> None:
    """A header, then a line a sample: its class, or the labels it is given, and its outputs.

    Labels have a ; between them.

    On standard output control characters in names are escapes: where a pipe ends, they might act.
    """
    named: Callable[[str], str] = without_controls if file is sys.stdout.buffer else str
    for k, block in enumerate(blocks):
        labels, head = block.labels, "class"
        if block.given is not None:
            labels, head = [";".join(names) for names in block.given], "labels"
        rows = number_rows(block.outputs)
        if k == 0:
            names = map(named, block.names)
            file.write(csv_lines([names if labels is None else (head, *names)]))
        if labels is not None:
            cells = {label: csv_text([[named(label), ""]])[:-2] for label in set(labels)}
            rows = [f"{cells[label]},{row}" for label, row in zip(labels, rows, strict=True)]
        file.write("\n".join((*rows, "")).encode())
        file.flush()


def note_on_formulas(names: Iterable[str]) -> Iterator[str]:
    """A warning of names that a spreadsheet runs. With a mark before them they would be others."""
    formulas = [name for name in names if name.startswith(FORMULA) and not is_number(name)]
    if formulas:
        yield (
            f"{quote_all(formulas)}: a spreadsheet takes a name that begins with "
            f"{formulas[0][0]!r} for a formula, and runs it; import the column as text"
        )


def is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def number_rows(outputs: "Array") -> list[str]:
    """Each number as the shortest text that reads back equal in its own type, a text a row."""
    if outputs.dtype.itemsize < 8:
        from nncli.render.pages.decimals import lines_of

        return lines_of(outputs).split("\n")[:-1]
    # Those that `repr` has, written out by one call rather than one for each number.
    return repr(outputs.tolist())[2:-2].replace(", ", ",").split("],[")


def csv_lines(rows: Iterable[Iterable[str]]) -> bytes:
    return csv_text(rows).encode()


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """A line a row; None is an empty cell."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_jsonl(blocks: "Blocks", file: IO[bytes]) -> None:
    """A JSON object a sample: `class`, or the `labels` it is given, and `outputs`."""
    for block in blocks:
        said: Sequence[object] | None = block.labels
        key, rows = "class", block.outputs.tolist()
        if block.given is not None:
            said, key = block.given, "labels"
        objects = (
            [{"outputs": row} for row in rows]
            if said is None
            else [{key: each, "outputs": row} for each, row in zip(said, rows, strict=True)]
        )
        file.write("".join(f"{to_json(o)}\n" for o in objects).encode())
        file.flush()


def write_npy(blocks: "Blocks", file: IO[bytes]) -> None:
    """The outputs, samples x outputs, in the network's type. The file must allow to go back."""
    import numpy as np

    count = 0
    for block in blocks:
        if not count:
            write_header(file, block.outputs)
        file.write(np.ascontiguousarray(block.outputs).data)
        count += len(block.outputs)
    # NumPy leaves room in the header for any number of samples.
    file.seek(0)
    write_header(file, np.broadcast_to(block.outputs[:1], (count, *block.outputs.shape[1:])))
    file.seek(0, io.SEEK_END)


def write_header(file: IO[bytes], array: "Array") -> None:
    import numpy as np

    fields = {
        "descr": np.lib.format.dtype_to_descr(array.dtype),
        "fortran_order": False,
        "shape": array.shape,
    }
    np.lib.format.write_array_header_1_0(file, fields)


class PredictionFormat(NamedTuple):
    """A format of predictions.

    suffixes: of its files, the usual one first.
    write: writes what `predict_blocks` gives to a file.
    seeks: whether the file must allow to go back.
    """

    suffixes: tuple[str, ...]
    write: "Callable[[Blocks, IO[bytes]], None]"
    seeks: bool = False


PREDICTION_FORMATS = {
    "csv": PredictionFormat((".csv",), write_csv),
    "jsonl": PredictionFormat((".jsonl", ".ndjson"), write_jsonl),
    "npy": PredictionFormat((".npy",), write_npy, seeks=True),
}


def suffixes() -> dict[str, str]:
    """The formats by the suffixes of their files."""
    return {
        suffix: name for name, format in PREDICTION_FORMATS.items() for suffix in format.suffixes
    }
