"""nncli.conv: a filter over a matrix, from files to a file, and the parts of it by themselves."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from operator import index
from pathlib import Path
from typing import Any

import numpy as np

from nncli.app.output import check_output
from nncli.app.records import ExplainedFilter
from nncli.core.errors import DataError, NncliError
from nncli.core.text import brief, printable, sizes
from nncli.data.readers.filters import read_filter, read_matrix_or_rows
from nncli.data.readers.matrices import (
    WRITABLE,
    Matrix,
    open_npy_for_writing,
    read_matrix,
    unknown_suffix,
    write_matrix,
)
from nncli.filtering.correlate import correlate_blocks
from nncli.filtering.options import PADDING_MODES, CorrelationError, Options, output_like
from nncli.filtering.record import (
    Filtering,
    apply_filter,
    backward_pass,
    check_index,
    filter_windows,
    output_indices,
    with_opposite_flip,
)
from nncli.nn.arrays import Array, Shape
from nncli.nn.windows import Padding, Pair

Progress = Callable[[int, int | None], None]

SUMMED = {"sum": True, "each": False}  # whether channels are summed
LARGE = 256 * 2**20  # bytes from which a mapped matrix is filtered in blocks, file to file


@dataclass(frozen=True)
class FilterInputs:
    """A matrix and a filter, read."""

    matrix: Matrix
    filter: Matrix


def conv(
    matrix: str | Path | Array,
    filter: str | Path | Array,
    *,
    padding: Padding = "valid",
    padding_mode: str = "zeros",
    stride: int | Pair = 1,
    dilation: int | Pair = 1,
    flip: bool = False,
    channels: str | None = None,
    upstream: str | Path | Array | None = None,
    allow_nan: bool = False,
    output: str | Path | None = None,
    overwrite: bool = False,
) -> Filtering:
    """Slides a filter over a matrix, as `nncli conv` does. Its `window` has every product.

    Args:
        matrix: a file, or `-` for standard input, or rows ("1 2; 3 4"); or an array, rows x columns
            or channels x rows x columns.
        filter: the same, or a known name (sobel-x, box, ...).
        padding, padding_mode, flip: as `correlate` has them.
        stride, dilation: one number, or (rows, columns).
        channels: "sum" adds the channels up, "each" keeps an output for each; None adds them up
            where the filter has channels too.
        upstream: ∂C/∂output, a file or an array, or `ones`: the result's `backward` then has what
            flows back of it, to each cell and each tap.
        allow_nan: takes NaN and infinity in a file.
        output: a file to write the output to.
        overwrite: whether it may replace one that is there.

    Raises:
        CorrelationError: the filter does not fit, or an argument makes no sense.
        DataError: one of them cannot be read. DataError, RunError: the file cannot be written.
    """
    options = Options(padding_mode=padding_mode, flip=flip)
    options |= Options(
        padding=padding if isinstance(padding, str) else as_pair(padding, "padding"),
        stride=as_pair(stride, "stride"),
        dilation=as_pair(dilation, "dilation"),
    )
    refuse_mode_alone(options)
    if channels is not None:
        if channels not in SUMMED:
            raise NncliError(f"channels: {channels!r} is not known; there are sum and each")
        options["summed"] = SUMMED[channels]
    if output is not None:
        inputs = [x for x in (matrix, filter, upstream) if isinstance(x, str | Path)]
        check_output(Path(output), overwrite=overwrite, inputs=inputs)
    kernel = in_memory(filter, "filter") or read_filter(str(filter))
    opened = FilterInputs(
        in_memory(matrix, "matrix") or read_matrix_or_rows(str(matrix), allow_nan=allow_nan),
        kernel,
    )
    signal = None if upstream is None else _upstream(opened, options, upstream)
    done = apply_and_write(opened, options, None if output is None else Path(output))[0]
    return done if signal is None else replace(done, backward=backward_pass(done, signal))


def _upstream(opened: FilterInputs, options: Options, upstream: str | Path | Array) -> Array:
    given = in_memory(upstream, "upstream")
    if given is None:
        return read_upstream(opened, options, str(upstream))
    check_upstream(opened, options, given)
    return given.array


NO_PADDING = ("valid", 0, (0, 0))


def refuse_mode_alone(options: Options) -> None:
    """Raises CorrelationError for a padding mode where nothing is padded."""
    mode = options.get("padding_mode", "zeros")
    if mode in PADDING_MODES and mode != "zeros" and options.get("padding", "valid") in NO_PADDING:
        raise CorrelationError(
            f"{mode} is how cells beside the matrix are filled, and nothing is padded; give the "
            "padding too (--padding): same, full, or a width such as 1",
            "padding_mode",
        )


def as_pair(steps: Any, key: str) -> Pair:
    """(rows, columns), from both or one number for both; NumPy's integers are integers too.

    Raises:
        CorrelationError: it is something else.
    """
    items = steps if isinstance(steps, Sequence | np.ndarray) and np.ndim(steps) else (steps, steps)
    try:
        rows, columns = (index(item) for item in items)
    except (TypeError, ValueError):
        raise CorrelationError(
            f"{key}: expected an integer or (rows, columns), got {brief(repr(steps))}", key
        ) from None
    return rows, columns


def in_memory(given: str | Path | Array, name: str) -> Matrix | None:
    """An array under a name for messages; None where it is to be read."""
    return (
        None if isinstance(given, str | Path) else Matrix(name, np.asarray(given).view(), "array")
    )


def open_pair(
    matrix: str, filter: str, *, allow_nan: bool = False, progress: Progress | None = None
) -> FilterInputs:
    """Reads both: files, `-` for standard input, or rows; a filter may also be a name.

    Raises:
        DataError: one of them cannot be read, or is no matrix.
    """
    if matrix == filter == "-":
        raise DataError("standard input can be the matrix or the filter, not both")
    kernel = read_filter(filter)
    return FilterInputs(read_matrix_or_rows(matrix, allow_nan=allow_nan, progress=progress), kernel)


def with_channels(opened: FilterInputs, options: Options) -> Options:
    """`options`, completed: a filter of channels is summed over them, a plain one applied to each.

    Raises:
        NncliError: it says whether channels are summed, and there are none.
    """
    shape = opened.matrix.array.shape
    if "summed" in options and len(shape) == 2:
        raise NncliError(
            f"{opened.matrix.name}: is {sizes(shape)}; it has no channels to be summed or kept "
            "apart"
        )
    return Options(summed=opened.filter.array.ndim == 3) | options


def is_large(opened: FilterInputs) -> bool:
    """Whether the matrix is better not taken into memory."""
    matrix = opened.matrix.array
    return isinstance(matrix, np.memmap) and matrix.nbytes > LARGE


def refuse_large(opened: FilterInputs, output: Path | None, taking_all: Sequence[str]) -> None:
    """Raises where an option cannot be used with a large matrix.

    Args:
        taking_all: the options that were given and would take all of it into memory.

    Raises:
        NncliError: one of them was given, or no .npy to filter it into.
    """
    if not is_large(opened):
        return
    size = f"{opened.matrix.name}: is {opened.matrix.array.nbytes / 2**20:,.0f} MiB, too large"
    if output is None or output.suffix.lower() != ".npy":
        raise NncliError(f"{size} to be shown whole; --output FILE.npy filters it in blocks")
    if taking_all:
        raise NncliError(f"{size} for {' and '.join(taking_all)}, which would take it all in")


def is_matrix_file(output: Path, documents: Collection[str]) -> bool:
    """Whether a file of this name holds the output alone, rather than a document that shows it.

    Args:
        documents: the suffixes of documents; a suffix of both is a matrix's.

    Raises:
        DataError: it is neither.
    """
    suffix = output.suffix.lower()
    if suffix not in WRITABLE and suffix not in documents:
        known = tuple(dict.fromkeys((*WRITABLE, *documents)))
        raise DataError(f"{printable(output)}: {unknown_suffix(output, known)}")
    return suffix in WRITABLE


def apply_and_write(
    opened: FilterInputs, options: Options, output: Path | None, *, progress: Progress | None = None
) -> tuple[Filtering, tuple[str, ...]]:
    """Applies the filter, writes the result where asked; with notes on what files left out.

    Where `options` does not say whether channels are `summed`, they are for a filter of channels,
    as in a network, and not for a plain one, which is applied to each channel. A large .npy goes to
    a .npy in blocks, never read whole.

    Raises:
        CorrelationError: the filter does not fit. DataError, RunError: the file cannot be written.
        NncliError: a large matrix has no .npy to go to.
    """
    matrix, filter = opened.matrix.array, opened.filter.array
    notes = (*opened.matrix.notes, *opened.filter.notes)
    options = with_channels(opened, options)
    refuse_large(opened, output, ())
    if is_large(opened) and output is not None:
        shape, dtype = output_like(matrix, filter, **options)
        with open_npy_for_writing(output, shape, dtype) as out:
            correlate_blocks(matrix, filter, out, progress=progress, **options)
        written = np.load(output, mmap_mode="r", allow_pickle=False)
        return Filtering(
            matrix, filter, options, filter_windows(matrix, filter, options), written
        ), notes
    done = apply_filter(matrix, filter, options)
    if output is not None:
        notes += write_matrix(output, done.output, progress=progress)
    return done, notes


def other_output(opened: FilterInputs, options: Options) -> Array:
    """The output of the other one of correlation and convolution.

    Raises:
        CorrelationError: the filter does not fit, or integers do not fit that way.
    """
    return with_opposite_flip(
        opened.matrix.array, opened.filter.array, with_channels(opened, options)
    )


def chosen_places(
    opened: FilterInputs, options: Options, at: str | None, steps: str | None
) -> list[Shape]:
    """The outputs that `--at [CHANNEL,]ROW,COL` and `--steps N|all` ask for, in reading order.

    Where each channel has an output of its own, ROW,COL and each step mean that of every channel.

    Raises:
        CorrelationError: the filter does not fit. NncliError: there are no such outputs.
    """
    shape, _ = output_like(
        opened.matrix.array, opened.filter.array, **with_channels(opened, options)
    )
    chosen: set[Shape] = set()
    if at is not None:
        chosen.update(places_at(at, shape))
    if steps is not None:
        number = int(steps) if steps.isdecimal() and len(steps) <= 18 else 0
        count = math.prod(shape) if steps == "all" else number
        if count < 1:
            raise NncliError(f"--steps {steps}: expected all, or how many, from 1")
        chosen.update(islice(output_indices(shape), count * math.prod(shape[:-2])))
    return sorted(chosen, key=lambda place: (place[-2:], place))


def places_at(text: str, outputs: Shape) -> list[Shape]:
    """Where the outputs at `ROW,COL` or `CHANNEL,ROW,COL` are in an array of shape `outputs`."""
    try:
        place = tuple(int(part) for part in text.split(","))
    except ValueError:
        place = ()
    if len(place) not in (2, len(outputs)):
        or_channel = ", or 1,0,2 with its channel," if len(outputs) == 3 else ""
        raise NncliError(
            f"--at {text}: expected a place such as 0,2{or_channel} in an output of "
            f"{sizes(outputs)}"
        )
    channels = np.ndindex(*outputs[: len(outputs) - len(place)])
    found = [(*channel, *place) for channel in channels]
    check_index(found[0], outputs)
    return found


def read_upstream(opened: FilterInputs, options: Options, upstream: str) -> Array:
    """∂C/∂output from a file, or `ones`.

    Raises:
        DataError: it cannot be read. NncliError: it has another shape than the output.
    """
    shape, _ = output_like(
        opened.matrix.array, opened.filter.array, **with_channels(opened, options)
    )
    if upstream == "ones":
        return np.ones(shape)
    if upstream == "-" and "standard input" in (opened.matrix.name, opened.filter.name):
        raise DataError("standard input can be one of the matrix, the filter and the upstream")
    read = read_matrix(upstream)
    check_upstream(opened, options, read)
    return read.array


def check_upstream(opened: FilterInputs, options: Options, upstream: Matrix) -> None:
    """Raises NncliError where ∂C/∂output has another shape than the output."""
    shape, _ = output_like(
        opened.matrix.array, opened.filter.array, **with_channels(opened, options)
    )
    if upstream.array.shape != shape:
        raise NncliError(
            f"{upstream.name}: the upstream is {sizes(upstream.array.shape)}, the output "
            f"{sizes(shape)}; they must be alike"
        )


def check_ranges(
    opened: FilterInputs, options: Options, rows: range | None, columns: range | None
) -> None:
    """Raises NncliError where the output has none of the rows or columns to be shown."""
    shape, _ = output_like(
        opened.matrix.array, opened.filter.array, **with_channels(opened, options)
    )
    for name, part, size in zip(("rows", "columns"), (rows, columns), shape[-2:], strict=True):
        if part is not None and part.start >= size:
            raise NncliError(
                f"--{name} {part.start}: the output has {size} {name}, from 0 to {size - 1}"
            )


def explain(
    matrix: str,
    filter: str,
    options: Options,
    *,
    at: str | None = None,
    steps: str | None = None,
    rows: range | None = None,
    columns: range | None = None,
    compares: bool = False,
    upstream: str | None = None,
    taking_all: Sequence[str] = (),
    allow_nan: bool = False,
    output: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ExplainedFilter:
    """What `nncli conv` shows. All that can be refused is refused before anything is written.

    Args:
        at, steps: as for `chosen_places`.
        rows, columns: those of the output that are to be shown.
        compares: whether the output with the filter the other way round is wanted too.
        upstream: a file with ∂C/∂output, or `ones`, to be sent back.
        taking_all: as for `refuse_large`.
        output, overwrite: as for `conv`.

    Raises:
        CorrelationError, DataError, RunError: as for `conv`.
        NncliError: something that was asked for does not exist.
    """
    refuse_mode_alone(options)
    if output is not None:
        inputs = [matrix, filter, *([] if upstream is None else [upstream])]
        check_output(output, overwrite=overwrite, inputs=inputs)
    opened = open_pair(matrix, filter, allow_nan=allow_nan, progress=progress)
    refuse_large(opened, output, taking_all)
    places = chosen_places(opened, options, at, steps)
    check_ranges(opened, options, rows, columns)
    gradient = None if upstream is None else read_upstream(opened, options, upstream)
    other = other_output(opened, options) if compares else None
    done, notes = apply_and_write(opened, options, output, progress=progress)
    return ExplainedFilter(
        done,
        (opened.matrix.name, opened.filter.name),
        tuple(places),
        other,
        None if gradient is None else backward_pass(done, gradient),
        notes,
    )
