"""The record of a training, its epochs and how it diverged if it did; and read from its metrics."""

import json
import math
import re
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, Field, asdict, dataclass, fields
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, overload

from nncli.core.errors import DamagedError, Malformed, RunError, why_damaged
from nncli.core.files import read_regular, reason
from nncli.core.jsons import from_json, to_json
from nncli.core.text import printable, quote_all
from nncli.nn.measures import LayerMeasures
from nncli.training.conditions import Failure
from nncli.training.run_files import METRICS
from nncli.training.trace_times import Traced


@dataclass(frozen=True)
class Epoch:
    """One epoch. None: there was nothing to measure it on.

    Attributes:
        epoch: its number, from 1.
        eta: the learning rate in it.
        train_cost: the mean of C_x over its samples, each taken before the update it led to.
        train_cost_after, train_accuracy: on the training data after the epoch; only where nothing
            is held back.
        validation_cost, validation_accuracy: on the data held back, after the epoch.
        train_seconds: spent on its steps; not on validation or on callbacks.
        last_batch: how many samples its last step had.
        layers: measures of that step.
        clipped: the share of its steps whose gradient was clipped; None where none is.
    """

    epoch: int
    eta: float
    train_cost: float
    train_cost_after: float | None
    train_accuracy: float | None
    validation_cost: float | None
    validation_accuracy: float | None
    train_seconds: float
    last_batch: int
    layers: tuple[LayerMeasures, ...]
    clipped: float | None = None

    @property
    def accuracy(self) -> float | None:
        """The accuracy to judge the training by."""
        return self.train_accuracy if self.validation_accuracy is None else self.validation_accuracy


@dataclass(frozen=True)
class Progress:
    """How far an epoch is: `samples` of it are done, C has been `cost` so far."""

    epoch: int
    samples: int
    cost: float


class History(Sequence[Epoch]):
    """The epochs of a training in order, kept as bare numbers: a long one must not fill memory."""

    def __init__(self, epochs: Iterable[Epoch] = ()) -> None:
        self._numbers = array("d")  # those of all epochs, one after the other
        self._layers: tuple[tuple[str, str | None], ...] = ()
        for epoch in epochs:
            self.append(epoch)

    def append(self, epoch: Epoch) -> None:
        """Adds one: of the same layers as those before."""
        # A quantity that does not exist is kept as NaN, which no recorded one ever is.
        numbers = [*_numbers_of(epoch)]
        for layer in epoch.layers:
            numbers += _measures_of(layer)
        if not self._layers:
            self._layers = tuple((layer.name, layer.activation) for layer in epoch.layers)
        self._numbers.extend([math.nan if number is None else number for number in numbers])

    def __len__(self) -> int:
        return len(self._numbers) // self._width

    def __eq__(self, other: object) -> bool:
        """Whether another sequence, of whatever kind, holds the same epochs."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # it grows

    def column(self, key: str) -> list[float | None]:
        """One number of all epochs, by its name in `Epoch`."""
        return [None if x != x else x for x in self._numbers[_NUMBERS.index(key) :: self._width]]

    def accuracies(self) -> list[float | None]:
        """`Epoch.accuracy` of all of them."""
        columns = (self.column(key) for key in ("validation_accuracy", "train_accuracy"))
        return [train if held is None else held for held, train in zip(*columns, strict=True)]

    def record(self, index: int) -> dict[str, Any]:
        """An epoch as plain data, as the metrics have it."""
        start = index * self._width
        numbers = [None if x != x else x for x in self._numbers[start : start + self._width]]
        record: dict[str, Any] = dict(zip(_NUMBERS, numbers, strict=False))
        for key in _INTEGERS:
            record[key] = int(record[key])
        record["layers"] = layers = []
        for k, (name, activation) in enumerate(self._layers):
            measures = numbers[len(_NUMBERS) + k * len(_MEASURES) :]
            layer: dict[str, Any] = {"name": name, "activation": activation}
            layers.append(layer | dict(zip(_MEASURES, measures, strict=False)))
        return record

    def lines(self, indices: range) -> str:
        """Epochs as the metrics have them: the JSON of `record`, each in a line."""
        # Written out: the keys are the same in all lines, and take longer than the numbers.
        layers = ", ".join(_layer_template(*layer) for layer in self._layers)
        template = f'{{{_members(_NUMBERS)}, "layers": [{layers}]}}\n'
        width, lines = self._width, []
        for i in indices:
            numbers = self._numbers[i * width : (i + 1) * width]
            # What is missing, or infinite, is no number that JSON has.
            words = [repr(x) if x - x == 0 else "null" for x in numbers]
            for k in _INTEGER_PLACES:
                words[k] = repr(int(numbers[k]))
            lines.append(template % tuple(words))
        return "".join(lines)

    @overload
    def __getitem__(self, index: int) -> Epoch: ...
    @overload
    def __getitem__(self, index: slice) -> list[Epoch]: ...
    def __getitem__(self, index: int | slice) -> Epoch | list[Epoch]:
        indices = range(len(self))[index]
        if isinstance(indices, range):
            return [self[i] for i in indices]
        record = self.record(indices)
        layers = tuple(LayerMeasures(**layer) for layer in record.pop("layers"))
        return Epoch(**record, layers=layers)

    @property
    def _width(self) -> int:
        """How many numbers an epoch has."""
        return len(_NUMBERS) + len(self._layers) * len(_MEASURES)


_INTEGERS = ("epoch", "last_batch")
_NUMBERS = tuple(field.name for field in fields(Epoch) if field.name != "layers")
_MEASURES = tuple(f.name for f in fields(LayerMeasures) if f.name not in ("name", "activation"))
_INTEGER_PLACES = tuple(map(_NUMBERS.index, _INTEGERS))
_numbers_of, _measures_of = attrgetter(*_NUMBERS), attrgetter(*_MEASURES)


def _members(keys: Iterable[str]) -> str:
    """Members of a JSON object, of these keys, without their values."""
    return ", ".join(f'"{key}": %s' for key in keys)


def _layer_template(name: str, activation: str | None) -> str:
    words = to_json({"name": name, "activation": activation})[1:-1].replace("%", "%%")
    return f"{{{words}, {_members(_MEASURES)}}}"


class DivergenceStep(NamedTuple):
    """One of the steps before a divergence. `cost` is C before the update that it led to.

    The measures of a step whose cost is not finite are those of its forward pass alone.
    """

    step: int
    eta: float
    cost: float
    layers: tuple[LayerMeasures, ...]


@dataclass(frozen=True)
class Divergence:
    """A training that cannot go on: C is no longer a number, or beyond all measure.

    Attributes:
        epoch, step: when it began; both count from 1, the step over the whole training.
        cost: C at the step that noticed; or the last one where an update did it.
        untrained: C of a network that has learnt nothing, which an exploded cost is measured by.
        layer, quantity: the first thing that was not finite, in the order of computation; the cost
            where that has exploded though all is finite, or the target that caused it.
        unit: which unit, filter or channel of the layer.
        part: what the sample is of, train or validation.
        sample: which sample of its part, counted from 0: for a gradient, an update or a parameter
            the one that contributes most to it.
        largest: the largest finite |entry| of the quantity (of z, for a cost), None where no entry
            is finite; a target as it is, with its sign.
        last_steps: the last steps up to the one that noticed, at most 5.
    """

    epoch: int
    step: int
    cost: float
    untrained: float
    layer: str
    quantity: str
    unit: int
    part: Literal["train", "validation"]
    sample: int
    largest: float | None
    last_steps: tuple[DivergenceStep, ...]


def divergence_record(divergence: Divergence) -> dict[str, Any]:
    """A divergence as plain data: `asdict` leaves named tuples as they are."""
    steps = [step._asdict() for step in divergence.last_steps]
    for step in steps:
        step["layers"] = [asdict(layer) for layer in step["layers"]]
    record = {**vars(divergence), "flight": steps}  # what scripts know them by
    del record["last_steps"]
    return record


Event = Progress | Epoch | Divergence | Failure | Traced


# Read from a run folder


WORDS = {"name", "activation"}  # the fields that hold text; all others hold numbers
LARGEST_COUNT = 2**53
MOST_MARKS = 16
SECONDS = re.compile(rb'"train_seconds": [^,}]*')
Marks = tuple[tuple[int, int], ...]
"""Lines of a metrics file, ascending, each with the CRC-32 (`sums_of`) of those up to it."""


def read_history(folder: Path) -> tuple[Epoch, ...]:
    """The epochs of a run, as its training recorded them.

    Half a line at the end is what a training leaves that was killed while it wrote, and is passed
    over. So are keys that a newer version may have added.

    Raises:
        RunError: the file is not there, or damaged: at which line.
    """
    path = folder / METRICS
    try:
        lines = read_regular(path).splitlines(keepends=True)
    except FileNotFoundError:
        raise RunError(
            f"{printable(path)}: there is no such file; a run folder holds one"
        ) from None
    except OSError as error:
        raise RunError(f"{printable(path)}: cannot be read: {reason(error)}") from error
    return tuple(_epochs(printable(path), lines))


class Metrics(NamedTuple):
    """The first lines of a metrics file.

    size: how many bytes they take. sums: the CRC-32 of those up to each, see `sums_of`.
    """

    history: History
    size: int
    sums: "array[int]"


def sums_of(lines: Iterable[bytes], start: int) -> "array[int]":
    """The CRC-32 up to the end of each of some lines, `start` being that of what is before them.

    But for their seconds: a training that is repeated has the same sums.
    """
    sums = array("L")
    for line in lines:
        start = zlib.crc32(SECONDS.sub(b"", line), start)
        sums.append(start)
    return sums


def marks_of(sums: Sequence[int]) -> Marks:
    """Some of the sums of a metrics file, the last among them, each with its line."""
    lines = {-(-len(sums) * k // MOST_MARKS) for k in range(1, MOST_MARKS + 1)} - {0}
    return tuple((line, sums[line - 1]) for line in sorted(lines))


def marks_from(plain: Any) -> Marks:
    """Marks from their JSON; Malformed where they cannot be ones."""
    if not isinstance(plain, list):
        raise Malformed("the checksums of its metrics are none")
    for mark in plain:
        is_mark = isinstance(mark, list) and len(mark) == 2
        if not is_mark or not all(type(n) is int and n >= 0 for n in mark):
            raise Malformed("the checksums of its metrics are none")
    return tuple((line, crc) for line, crc in plain)


def read_first(
    folder: Path, epochs: int, layers: Sequence[str] | None = None, marks: Marks = ()
) -> Metrics:
    """The first `epochs` of them. The rest of the file is not read.

    Args:
        layers: the names that the network's layers have; None: any.
        marks: of these lines, as they were written; () where that is not known.

    Raises:
        DamagedError: the file cannot be read, or not all of them are there and whole, or they are
            not those that were written.
    """
    path = folder / METRICS
    try:
        with path.open("rb") as file:
            lines = list(islice(file, epochs))
    except OSError as error:
        raise DamagedError(f"{printable(path)}: cannot be read: {reason(error)}") from error
    history = History(_epochs(printable(path), lines, layers))
    if len(history) < epochs:
        number = len(history) + 1
        raise DamagedError(f"{printable(path)}:{number}: the record of epoch {number} is missing")
    sums = sums_of(lines, 0)
    _check_marks(printable(path), sums, marks)
    return Metrics(history, sum(map(len, lines)), sums)


def _check_marks(name: str, sums: Sequence[int], marks: Marks) -> None:
    """Raises DamagedError where lines are not those that the marks were made of."""
    before = 0
    for line, crc in marks:
        if line > len(sums) or sums[line - 1] != crc:
            first = before + 1
            which = "this line is" if line == first else f"a line from here to {line} is"
            raise DamagedError(
                f"{name}:{first}: {which} not as the training wrote it: the checksum is another"
            )
        before = line


def _epochs(name: str, lines: list[bytes], layers: Sequence[str] | None = None) -> Iterator[Epoch]:
    """The epochs that lines record; of `layers`, or all of the same."""
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            return
        try:
            record = _known(Epoch, from_json(line))
            measures = [LayerMeasures(**_known(LayerMeasures, item)) for item in record["layers"]]
            epoch = Epoch(**{**record, "layers": tuple(measures)})
            if epoch.epoch != number:
                raise Malformed(f"it is that of epoch {epoch.epoch}")
            names = [layer.name for layer in measures]
            layers = names if layers is None else layers
            if names != list(layers):
                raise Malformed(f"it is of {_listed(names)}, not of {_listed(layers)}")
        except (ValueError, TypeError, RecursionError) as error:
            why = printable(why_damaged(error))
            expected = f"expected the record of epoch {number}"
            raise DamagedError(f"{name}:{number}: damaged: {expected}: {why}") from error
        yield epoch


def _known(kind: Any, record: Any) -> dict[str, Any]:
    """The fields of `kind` that a record holds; raises Malformed where one is missing."""
    if not isinstance(record, dict):
        raise Malformed("it is no JSON object")
    needed: tuple[Field[Any], ...] = fields(kind)
    missing = [f.name for f in needed if f.default is MISSING and f.name not in record]
    if missing:
        raise Malformed(f"it holds no {', '.join(missing)}")
    found = {f.name: record[f.name] for f in needed if f.name in record}
    for f in needed:
        value = found.get(f.name)
        if f.name in found and not _is_possible(f, value):
            raise Malformed(f"its {f.name} is {json.dumps(value)[:40]}")
    return found


def _is_possible(field: "Field[Any]", value: Any) -> bool:
    """Whether a field of a record can have a value."""
    if value is None:
        return type(None) in get_args(field.type)
    if field.name in WORDS:
        return isinstance(value, str) and value.isprintable()
    if field.name == "layers":
        return isinstance(value, list)
    if field.name in _INTEGERS:
        return type(value) is int and 0 <= value <= LARGEST_COUNT
    # A longer integer is none that a float was written as.
    is_number = type(value) is float or (type(value) is int and abs(value) <= LARGEST_COUNT)
    return is_number and math.isfinite(value)


def _listed(names: Sequence[str]) -> str:
    return quote_all(names) or "no layers"
