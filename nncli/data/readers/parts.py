"""Several .npy files that a pattern names, such as `x-*.npy`, as one array along its first axis.

Where they are small they are read and joined. Else their rows are read as they are asked for, from
files of which only some are open at a time: a thousand files held open, or mapped, are more than
most systems allow a process.
"""

import math
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.files import files_of
from nncli.core.text import count_of, printable, sizes
from nncli.data.messages import SHOWN_PROBLEMS
from nncli.data.readers import arrays
from nncli.data.readers.arrays import RowFile, read_npy
from nncli.data.samples import Origin, Samples, as_inputs

MOST_OPEN = 64
WILD = {r"\*": "(.*)", r"\?": "(.)"}


class Parts:
    """Rows of several files as those of one array, N x the shape of a sample.

    It stands in the place of an array where that is asked for its type, its shape and its rows
    alone. The rows that it gives are in memory, and nothing else is.
    """

    def __init__(self, files: Sequence[tuple[Path, int, int]], like: NDArray[Any]) -> None:
        """files: path, where its rows begin in bytes, and how many. like: gives type and shape."""
        self.files = files
        self.dtype = like.dtype
        self.starts = np.cumsum([0, *(rows for _, _, rows in files)])
        self.shape: tuple[int, ...] = (int(self.starts[-1]), *like.shape[1:])
        self._opened: OrderedDict[int, RowFile] = OrderedDict()

    @classmethod
    def of(cls, inputs: object) -> "Parts | None":
        """The inputs of samples, where they are such."""
        return inputs if isinstance(inputs, cls) else None

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def reshape(self, *shape: int) -> "Parts":
        """The same rows, their samples of another shape."""
        return Parts(self.files, np.empty((0, *shape[1:]), self.dtype))

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> NDArray[Any]:
        index = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else rows
        out = np.empty((len(index), *self.shape[1:]), self.dtype)
        self.read(index, out)
        return out

    def read(self, rows: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Writes `rows` into `out`, len(rows) x the shape of a sample, in one piece.

        Raises:
            DataError: a file has become shorter, or cannot be read any more.
        """
        if not len(rows):
            return
        places = np.searchsorted(self.starts, rows, "right") - 1
        # One file after the other, so that no more are opened than there have to be.
        for part in np.unique(places).tolist():
            file, first = self._file(part), int(self.starts[part])
            (at,) = np.nonzero(places == part)
            if at[-1] - at[0] == len(at) - 1:
                file.read(rows[at] - first, out[at[0] : at[-1] + 1])
                continue
            for place, row in zip(at.tolist(), (rows[at] - first).tolist(), strict=True):
                file.fill(out[place], row)

    def _file(self, part: int) -> RowFile:
        file = self._opened.pop(part, None)
        if file is None:
            path, offset, _ = self.files[part]
            file = RowFile(path, offset, int(np.prod(self.shape[1:])) * self.dtype.itemsize)
            if len(self._opened) >= MOST_OPEN:
                self._opened.popitem(last=False)
        self._opened[part] = file
        return file


def matches(pattern: Path) -> list[Path]:
    """The files that a pattern names, `x-2.npy` before `x-10.npy`. Raises DataError for none."""
    found = files_of(pattern)
    if not found:
        raise DataError(f"{printable(pattern)}: names no file")
    return found


def check_pairs(inputs: Path, targets: Path) -> None:
    """Raises DataError, a line a file, where two patterns do not name files in pairs.

    Where both have as many wildcards, what these stand for is the same in both files of a pair;
    else files go together by their order.
    """
    mine, theirs = ({_stands_for(p, path): path for path in matches(p)} for p in (inputs, targets))
    problems: list[str] = []
    if len(next(iter(mine))) == len(next(iter(theirs))):
        problems += _alone(mine, theirs, targets, "targets")
        problems += _alone(theirs, mine, inputs, "inputs")
    elif len(mine) != len(theirs):
        names = f"{printable(inputs)} names {count_of(len(mine), 'file')}"
        problems.append(f"{printable(targets)}: names {len(theirs):,}, but {names} of inputs")
    if problems:
        raise _told(problems, targets)


Named = dict[tuple[str, ...], Path]


def _alone(ones: Named, others: Named, pattern: Path, noun: str) -> Iterator[str]:
    """What there is to say of files of one pattern that have none of the other beside them."""
    for words, path in ones.items():
        if words not in others:
            fixed = re.split(r"[*?]", str(pattern))
            wanted = "".join(chain.from_iterable(zip_longest(fixed, words, fillvalue="")))
            yield f"{printable(path)}: has no {noun} beside it: there is no file {wanted!r}"


def _stands_for(pattern: Path, path: Path) -> tuple[str, ...]:
    """What the wildcards of a pattern stand for in a file that it names."""
    expression = re.sub(r"\\[*?]", lambda found: WILD[found[0]], re.escape(str(pattern)))
    match = re.fullmatch(expression, str(path), re.DOTALL)
    return match.groups() if match else (path.name,)


class _Part(NamedTuple):
    """What there is to know of a file of inputs; `offset` is None where it is not mapped."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stored: tuple[int, ...]
    offset: int | None

    @property
    def name(self) -> str:
        return printable(self.path)

    @property
    def sample(self) -> str:
        return f"{sizes(self.shape[1:])} {self.dtype}"


def inputs_of_parts(pattern: Path) -> Samples:
    """The inputs in all files of a pattern: joined where they are small, else read as asked for.

    Raises:
        DataError: what is wrong with any of them, a line a file.
    """
    parts, problems = list[_Part](), list[str]()
    for path in matches(pattern):
        try:
            parts.append(_part(path))
        except DataError as error:
            problems += error.problems
    problems += [
        f"{part.name}: has {part.sample} a sample, but {parts[0].name} has {parts[0].sample}"
        for part in parts
        if (part.shape[1:], part.dtype) != (parts[0].shape[1:], parts[0].dtype)
    ]
    are_large = sum(math.prod(p.shape) * p.dtype.itemsize for p in parts) > arrays.SMALL
    if are_large:
        problems += [
            f"{part.name}: is compressed, stored column by column or unaligned, so that it cannot "
            "be read sample by sample; save np.ascontiguousarray(array)"
            for part in parts
            if part.offset is None
        ]
    if problems:
        raise _told(problems, pattern)
    lengths, first = [part.shape[0] for part in parts], parts[0]
    origin = Origin(printable(pattern), first.stored, parts=_named(parts, lengths))
    if are_large:
        files = [(part.path, part.offset or 0, part.shape[0]) for part in parts]
        every: Any = Parts(files, np.empty((0, *first.shape[1:]), first.dtype))
    else:
        every = np.concatenate([as_inputs(read_npy(p.path), p.name) for p in parts])
    return Samples(every, None, None, origin, Origin(origin.name))


def _part(path: Path) -> _Part:
    # Not kept: a mapped file is an open one, and there may be more than a process may open.
    array = read_npy(path)
    inputs = as_inputs(array, printable(path))
    offset = int(array.offset) if isinstance(array, np.memmap) else None
    return _Part(path, inputs.shape, inputs.dtype, array.shape[1:], offset)


def _named(parts: Sequence[_Part | Origin], lengths: Sequence[int]) -> tuple[tuple[int, str], ...]:
    starts = np.cumsum([0, *lengths]).tolist()
    return tuple(zip(starts, (part.name for part in parts), strict=False))


def targets_of_parts(
    pattern: Path, read: Callable[[Path], tuple[NDArray[Any], Origin]]
) -> tuple[NDArray[Any], Origin]:
    """The targets in all files of a pattern, and where each was read.

    Raises:
        DataError: what is wrong with any of them, a line a file.
    """
    found: list[tuple[NDArray[Any], Origin]] = []
    problems: list[str] = []
    for path in matches(pattern):
        try:
            found.append(read(path))
        except DataError as error:
            problems += error.problems
    for targets, origin in found[1:]:
        first, known = found[0]
        same = [(t.shape[1:], t.dtype.kind.replace("u", "i")) for t in (targets, first)]
        if same[0] != same[1]:
            one, other = (f"{sizes(t.shape[1:]) or 'one'} {t.dtype}" for t in (targets, first))
            problems.append(f"{origin.name}: has {one} a sample, but {known.name} has {other}")
    if problems:
        raise _told(problems, pattern)
    parts = _named([origin for _, origin in found], [len(targets) for targets, _ in found])
    origin = Origin(printable(pattern), found[0][1].shape, parts=parts)
    return np.concatenate([targets for targets, _ in found]), origin


def check_counts(inputs: Samples, targets: NDArray[Any], origin: Origin) -> None:
    """Raises DataError, a line a file, where files of a pair have other numbers of samples."""
    one, other = inputs.inputs_origin.parts, origin.parts
    if len(one) != len(other):
        return
    mine = np.diff([*(start for start, _ in one), len(inputs)]).tolist()
    theirs = np.diff([*(start for start, _ in other), len(targets)]).tolist()
    problems = [
        f"{name}: has targets for {count_of(there, 'sample')}, but {known} has inputs for {here:,}"
        for here, there, (_, known), (_, name) in zip(mine, theirs, one, other, strict=True)
        if here != there
    ]
    if problems:
        raise _told(problems, Path(origin.name))


def _told(problems: Sequence[str], pattern: Path) -> DataError:
    """The first of some mistakes, and how many more there are."""
    more = len(problems) - SHOWN_PROBLEMS
    rest = [f"{printable(pattern)}: and {more:,} more"] if more > 0 else []
    return DataError([*problems[:SHOWN_PROBLEMS], *rest])
