"""A part of the samples, and the mini-batches it hands out."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nncli.core.reading import Reading
from nncli.data.preprocessing import Preprocessing
from nncli.data.readers.arrays import RowFile, release_large
from nncli.data.readers.parts import Parts
from nncli.data.samples import Origin, Samples, check_finite
from nncli.data.scaling import Scaling, blocks
from nncli.data.targets import Encoding, encode


class Checksum(NamedTuple):
    """By which the values of a set of samples are known again, whatever file they are read from.

    inputs: the CRC-32 of all their bytes, before scaling. type: of a number among them.
    targets: that of the targets as a network gets them.
    """

    inputs: int
    type: str
    targets: int


class Tally:
    """Takes the CRC-32 of inputs as they are read, each as a number of one type."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.crc = 0

    def add(self, array: NDArray[Any]) -> None:
        self.crc = crc_of(array.astype(self.dtype, copy=False), self.crc)

    def checksum(self, targets: NDArray[Any]) -> Checksum:
        return Checksum(self.crc, self.dtype.str, crc_of(targets, 0))


def crc_of(array: NDArray[Any], start: int) -> int:
    contiguous: Any = np.ascontiguousarray(array)
    return zlib.crc32(contiguous, start)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Some rows of a set of samples, chosen by index: parts of one set share its arrays.

    inputs: N x features or N x channels x rows x columns, the whole set; may be
        memory-mapped, or `Parts` of several files.
    targets: N x outputs in the type of training, one-hot where there are classes.
    index: which rows of `inputs` belong to this part, ascending.
    scaling: what gathering applies; None where inputs are scaled and of the right type already.
    origin: where the inputs were read. notes: what was left out of them, or taken for something.
    checksum: gives that of the whole set, where one was asked for. Mapped integers, which nothing
        else reads from end to end, are read when it is called first.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any]
    index: NDArray[np.int64]
    scaling: Scaling | None = None
    origin: Origin | None = None
    notes: tuple[str, ...] = ()
    checksum: Callable[[], Checksum] | None = None
    _buffers: tuple[NDArray[Any], NDArray[np.float64]] | None = field(
        default=None, init=False, repr=False
    )
    _file: RowFile | Parts | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        file = Parts.of(self.inputs) or RowFile.of(self.inputs)
        object.__setattr__(self, "_file", file)
        if self.scaling is not None:
            shape = self.inputs.shape[1:]
            block = next(iter(blocks(len(self.inputs), int(np.prod(shape)))))
            size = (block.stop, *shape)
            buffers = (np.empty(size, self.inputs.dtype), np.empty(size))
            object.__setattr__(self, "_buffers", buffers)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def is_in_files(self) -> bool:
        """Whether the inputs are memory-mapped, not in memory."""
        return isinstance(self.inputs, np.memmap) or self._file is not None

    def gather(
        self, rows: NDArray[np.int64], inputs_out: NDArray[Any], targets_out: NDArray[Any]
    ) -> None:
        """Writes samples `rows` (n indices into `inputs`, not into `index`) as a mini-batch.

        inputs_out: n x sample shape, targets_out: n x outputs; both of the type of training.
        Rows are not checked. Raises DataError where a file has changed since it was opened.
        """
        if self._buffers is not None:
            self._gather_scaled(rows, inputs_out)
        elif self._file is not None:
            self._file.read(rows, inputs_out)
        else:
            # Mode 'clip' is the one that writes straight into `out`; and the arrays' own `take`
            # needs half a µs less than np.take, twice a step.
            self.inputs.take(rows, 0, inputs_out, "clip")
        self.targets.take(rows, 0, targets_out, "clip")

    def _gather_raw(self, rows: NDArray[np.int64], out: NDArray[Any]) -> None:
        if self._file is None:
            self.inputs.take(rows, 0, out, "clip")
        else:
            self._file.read(rows, out)

    def _gather_scaled(self, rows: NDArray[np.int64], inputs_out: NDArray[Any]) -> None:
        assert self._buffers is not None
        assert self.scaling is not None
        raw, work = self._buffers
        for start in range(0, len(rows), len(raw)):
            chosen = rows[start : start + len(raw)]
            n = len(chosen)
            self._gather_raw(chosen, raw[:n])
            self.scaling.apply(raw[:n], inputs_out[start : start + n], work[:n])


class Data(NamedTuple):
    """What a network is trained and measured on.

    `preprocessing`: how data that come after the training are read. `found`: what the columns of
    a table were taken for, where that had to be found out.
    """

    train: Dataset
    validation: Dataset | None
    test: Dataset | None
    preprocessing: Preprocessing
    found: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Their names in the order of the outputs; None where targets are labels or numbers."""
        return self.preprocessing.classes

    @property
    def reading(self) -> Reading:
        """What targets say of a sample."""
        return self.preprocessing.reading

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(features,) or (channels, rows, columns)."""
        return self.preprocessing.input_shape

    @property
    def outputs(self) -> int:
        return self.preprocessing.outputs

    @property
    def notes(self) -> tuple[str, ...]:
        """What reading left out of the files, or took for something that it need not be."""
        parts = (self.train, self.validation, self.test)
        notes = (note for part in parts if part for note in part.notes)
        return tuple(dict.fromkeys((*self.found, *notes)))


def make_dataset(
    samples: Samples,
    *,
    scaling: Scaling | None,
    encoding: Encoding | None,
    dtype: np.dtype[Any],
    with_checksum: bool = False,
    target_scaling: Scaling | None = None,
) -> Dataset:
    """All of `samples` as a part, by a scaling and an encoding that are known already.

    Inputs in memory are scaled and cast now, once; memory-mapped ones stay where they are and are
    scaled as they are gathered. Targets are N x 0 where samples have none. Raises DataError for
    numbers that are not finite and for labels that are no class.
    """
    scaled = None if target_scaling is None else target_scaling.of
    targets = encode(samples, encoding, dtype, scaled)
    everything = np.arange(len(samples), dtype=np.int64)
    raw = samples.inputs
    needed = needed_scaling(raw, scaling, dtype)
    # Numbers that were text have the type that all of them need, which one of them may change.
    is_text = samples.inputs_origin.lines is not None
    tally = Tally(np.dtype(np.float64) if is_text else raw.dtype) if with_checksum else None
    is_mapped = isinstance(raw, np.memmap) or Parts.of(raw) is not None
    if is_mapped:
        inputs = raw
        check_inputs(samples, needed, dtype, tally)
    else:
        inputs = scaled_inputs(samples, needed, dtype, tally)
    checksum = None
    if tally is not None and is_mapped and raw.dtype.kind != "f":
        checksum = cache(partial(checksum_of, raw, targets))
    elif tally is not None:
        checksum = cache(partial(tally.checksum, targets))
    return Dataset(
        inputs,
        targets,
        everything,
        needed if is_mapped else None,
        samples.inputs_origin,
        samples.notes,
        checksum,
    )


def needed_scaling(
    raw: NDArray[Any], scaling: Scaling | None, dtype: np.dtype[Any]
) -> Scaling | None:
    """What `raw` has to go through on its way to `dtype`; None where it may stay as it is."""
    if scaling is not None and not scaling.is_identity:
        return scaling
    return None if raw.dtype == dtype else Scaling()


def scaled_inputs(
    samples: Samples, scaling: Scaling | None, dtype: np.dtype[Any], tally: Tally | None
) -> NDArray[Any]:
    raw = samples.inputs
    inputs = np.ascontiguousarray(raw) if scaling is None else np.empty(raw.shape, dtype)
    for rows in blocks(len(raw), int(np.prod(raw.shape[1:]))):
        if tally is not None:
            tally.add(raw[rows])
        if scaling is not None:
            scaling.apply(raw[rows], inputs[rows])
        check_finite(inputs[rows], raw[rows], samples.inputs_origin, rows.start)
    return inputs


def check_inputs(
    samples: Samples, scaling: Scaling | None, dtype: np.dtype[Any], tally: Tally | None = None
) -> None:
    """Reads inputs once, by blocks, to see that gathering will give finite numbers.

    Integers do.
    """
    raw = samples.inputs
    if raw.dtype.kind != "f":
        return
    for rows in blocks(len(raw), int(np.prod(raw.shape[1:]))):
        block = raw[rows]
        if tally is not None:
            tally.add(block)
        if scaling is not None:
            scaled = np.empty(block.shape, dtype)
            scaling.apply(block, scaled)
            check_finite(scaled, block, samples.inputs_origin, rows.start)
        else:
            check_finite(block, block, samples.inputs_origin, rows.start)
        release_large(raw)


def checksum_of(raw: NDArray[Any], targets: NDArray[Any]) -> Checksum:
    """The checksum of mapped inputs, which are read for it by blocks."""
    tally = Tally(raw.dtype)
    for rows in blocks(len(raw), int(np.prod(raw.shape[1:]))):
        tally.add(raw[rows])
        release_large(raw)
    return tally.checksum(targets)
