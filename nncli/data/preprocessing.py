"""What the training data settle for all data that come later, the scaling of inputs among it.

With it, samples are read for a trained network where the training data are long gone.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError, Malformed
from nncli.core.jsons import to_json
from nncli.core.text import count_of, nearest, printable, quote_all, sizes
from nncli.data.columns.kinds import Rule, names_of, rule_from
from nncli.data.readers.arrays import release_large
from nncli.data.readers.separators import SEPARATORS, Form
from nncli.data.readers.tables import is_number
from nncli.data.samples import Origin, Samples, check_finite, is_reshape, rearranged
from nncli.data.targets import Encoding

Scale = float | Literal["minmax", "standard", "none"]

# Numbers in a block: large enough that Python's part of the work vanishes, small enough for cache.
BLOCK = 1 << 17


@dataclass(frozen=True, eq=False)
class Scaling:
    """scaled = (x - offset) / divisor, each a number or an array of the shape of one sample.

    A feature that is constant in the training part has an infinite divisor: it scales to 0, there
    and wherever else it is met.
    """

    offset: NDArray[np.float64] | float = 0.0
    divisor: NDArray[np.float64] | float = 1.0

    def apply(
        self, raw: NDArray[Any], out: NDArray[Any], work: NDArray[np.float64] | None = None
    ) -> None:
        """Writes scaled `raw` into `out` (both n x sample shape).

        The arithmetic is float64 whatever the types; `work`, of raw's shape, holds it.
        """
        if work is None:
            work = np.empty(raw.shape)
        if self.is_exact_in(out.dtype, raw.dtype):
            np.copyto(out, raw)
            np.divide(out, out.dtype.type(self.divisor), out)
            return
        # What is too large for the type of `out` becomes infinite; Dataset's maker looks for those.
        with np.errstate(over="ignore", invalid="ignore"):
            np.subtract(raw, self.offset, out=work, dtype=np.float64)
            np.divide(work, self.divisor, out=out, casting="same_kind")

    def is_exact_in(self, dtype: np.dtype[Any], raw: np.dtype[Any]) -> bool:
        """Whether one division in `dtype` gives the very numbers that float64 does.

        It does where both sides are numbers of that dtype, and not tiny ones: float64 has more than
        twice its digits, so rounding twice rounds no differently (Figueroa, "When is double
        rounding innocuous?", 1995). Bytes become float32 in a quarter of the time.
        """
        return (
            isinstance(self.offset, float)
            and self.offset == 0
            and isinstance(self.divisor, float)
            and (np.abs(self.divisor) <= np.finfo(dtype).max)
            and float(dtype.type(self.divisor)) == self.divisor
            and raw.kind in "biu"
            and np.can_cast(raw, dtype, "safe")
        )

    def undone(self, scaled: NDArray[Any]) -> NDArray[np.float64]:
        """The numbers that became `scaled`, but for rounding; a constant feature's is its own."""
        constant = np.isinf(self.divisor)
        return np.where(constant, 0.0, scaled) * np.where(constant, 0.0, self.divisor) + self.offset

    def of(self, raw: NDArray[Any]) -> NDArray[np.float64]:
        """The scaled numbers."""
        scaled: NDArray[np.float64] = (raw.astype(np.float64) - self.offset) / self.divisor
        return scaled

    def only(self, scaled: Sequence[bool]) -> "Scaling":
        """The scaling of features of which only some are scaled."""
        shape = (len(scaled),)
        offset, divisor = (np.broadcast_to(x, shape).copy() for x in (self.offset, self.divisor))
        rest = ~np.array(scaled)
        offset[rest], divisor[rest] = 0.0, 1.0
        return Scaling(offset, divisor)

    @property
    def is_identity(self) -> bool:
        """Whether it leaves every number as it is."""
        return bool(np.all(self.offset == 0.0) and np.all(self.divisor == 1.0))


def blocks(rows: int, per_row: int) -> Iterator[slice]:
    """Slices that together cover `rows` rows, each of about BLOCK numbers."""
    step = max(1, BLOCK // max(1, per_row))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def fit_scaling(samples: Samples, index: NDArray[np.int64], scale: Scale) -> Scaling:
    """The scaling that `scale` asks for, by rows `index` of the inputs alone.

    A number divides; `minmax` is (x - min) / (max - min) and `standard` is (x - mean) / std, both
    for each feature, std being that of the rows themselves (ddof 0). Raises DataError where that
    is no number to scale by.
    """
    return scaling_of(samples.inputs, index, scale, samples.inputs_origin)


def fit_target_scaling(
    samples: Samples, index: NDArray[np.int64], scale: Scale, *, classes: bool
) -> Scaling | None:
    """The scaling of targets that `scale` asks for, as `fit_scaling`; None for none.

    Raises DataError where the targets are classes, or one of them never changes.
    """
    if scale == "none" or samples.targets is None:
        return None
    name = samples.targets_origin.name
    if classes:
        raise DataError(
            f"{name}: target_scale is for numbers, and these targets are classes; leave it out"
            + ("" if samples.targets.dtype.kind == "U" else ", or set classes: none"),
            key="target_scale",
        )
    numbers = samples.targets.reshape(len(samples), -1)
    check_finite(numbers, numbers, samples.targets_origin)
    scaling = scaling_of(numbers, index, scale, samples.targets_origin, "target_scale")
    if np.isinf(scaling.divisor).any():
        raise DataError(
            f"{name}: a target is the same in every sample trained on, which target_scale: {scale} "
            "cannot scale",
            key="target_scale",
        )
    return scaling


def scaling_of(
    inputs: NDArray[Any],
    index: NDArray[np.int64],
    scale: Scale,
    origin: Origin,
    key: str = "scale",
) -> Scaling:
    name = origin.name
    if scale == "none":
        return Scaling()
    if not isinstance(scale, str):
        if scale == 0 or not np.isfinite(scale):
            raise DataError(
                f"{name}: {key} {scale} cannot divide; give a number other than 0", key=key
            )
        return Scaling(0.0, float(scale))
    with np.errstate(all="ignore"):
        low, high, mean, deviation = statistics(inputs, index)
        offset, divisor = (low, high - low) if scale == "minmax" else (mean, deviation)
    # Not `deviation == 0`: the mean of equal numbers may be off by a rounding.
    constant = low == high
    if not np.isfinite(divisor).all():
        tell_not_finite(inputs, origin)
        raise DataError(f"{name}: its numbers are too large for {key}: {scale}", key=key)
    if (divisor[~constant] == 0).any():
        raise DataError(
            f"{name}: its numbers differ by too little for {key}: {scale}, their squares vanish; "
            "multiply them, or use minmax",
            key=key,
        )
    return Scaling(np.where(constant, low, offset), np.where(constant, np.inf, divisor))


def tell_not_finite(inputs: NDArray[Any], origin: Origin) -> None:
    """Raises DataError that points at inputs that are not finite, if any are."""
    for rows in blocks(len(inputs), int(np.prod(inputs.shape[1:]))):
        block = inputs[rows]
        check_finite(block, block, origin, rows.start)


def statistics(inputs: NDArray[Any], index: NDArray[np.int64]) -> tuple[NDArray[np.float64], ...]:
    """Minimum, maximum, mean and standard deviation of each feature, in one pass by blocks.

    Means and squared deviations of blocks are combined as in Chan, Golub and LeVeque, "Updating
    formulae and a pairwise algorithm for computing sample variances" (1979), equations 2.1.
    """
    shape = inputs.shape[1:]
    low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
    mean, squares = np.zeros(shape), np.zeros(shape)
    count = 0
    for rows in blocks(len(index), int(np.prod(shape))):
        block = inputs[index[rows]].astype(np.float64)
        release_large(inputs)
        np.minimum(low, block.min(axis=0), out=low)
        np.maximum(high, block.max(axis=0), out=high)
        block_mean = block.mean(axis=0)
        block_squares = np.square(block - block_mean).sum(axis=0)
        n = len(block)
        shift = block_mean - mean
        squares += block_squares + shift**2 * (count * n / (count + n))
        mean += shift * (n / (count + n))
        count += n
    return low, high, mean, np.sqrt(squares / count)


# What is kept with a run


class ColumnLayout(NamedTuple):
    """Which columns of a table are inputs and which are targets, from 0; `others` by name."""

    inputs: list[int]
    targets: list[int]
    others: tuple[str, ...] = ()


class Preprocessing(NamedTuple):
    """How samples are read for a trained network.

    input_shape: (features,) or (channels, rows, columns).
    outputs: how many the network has.
    encoding: how labels become classes; None where targets are plain numbers.
    scaling: as fitted on the training part.
    columns, targets: the names of input and target columns, where the training table had a header.
    positions: the target columns of a table without header, from 0.
    rules: how each input column becomes features; None where all are numbers, taken as they are.
    ignored: columns that are left out, by name or by index from 0.
    target_scaling: that of the targets; None where the network has them as they are.
    form: how tables are written, where the spec said so.
    """

    input_shape: tuple[int, ...]
    outputs: int
    encoding: Encoding | None
    scaling: Scaling
    columns: tuple[str, ...] | None
    targets: tuple[str, ...] | None
    positions: tuple[int, ...]
    rules: tuple[Rule, ...] | None = None
    ignored: tuple[str | int, ...] = ()
    target_scaling: Scaling | None = None
    form: Form | None = None

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Their names in the order of the outputs; None where targets are plain numbers."""
        return None if self.encoding is None else self.encoding.classes

    def in_own_units(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Outputs, or targets as the network has them, n x outputs, in the targets' own units."""
        if self.target_scaling is None:
            return outputs
        return self.target_scaling.undone(outputs).astype(outputs.dtype)

    @property
    def inputs(self) -> int:
        """How many numbers a sample has."""
        return math.prod(self.input_shape)

    @property
    def width(self) -> int:
        """How many columns of a table the inputs are made of."""
        return self.inputs if self.rules is None else len(self.rules)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The classes, or the target columns; `output_0` and so on where they have no names."""
        names = self.classes or self.targets or ()
        if len(names) == self.outputs:
            return names
        return tuple(f"output_{k}" for k in range(self.outputs))

    @property
    def by_name(self) -> bool:
        """Whether columns are found by their names, which then differ."""
        return self.columns is not None and len(set(self.columns)) == len(self.columns)

    def lay_out(self, header: Sequence[str] | None, width: int, name: str) -> ColumnLayout:
        """What the columns of a table are: by name where both have names, else by position.

        Targets are those that are there: all of them or none. Raises DataError where inputs are
        missing, or the number of columns is neither that of the inputs nor of inputs and targets.
        """
        if header is not None and self.by_name:
            return self._by_name(header, name)
        targets = list(self.positions)
        ignored = [place for place in self.ignored if isinstance(place, int)]
        for left_out in ([], targets, [*targets, *ignored]):
            if width == self.width + len(left_out) and all(place < width for place in left_out):
                inputs = [i for i in range(width) if i not in left_out]
                self._check_names(header, inputs, name)
                return ColumnLayout(inputs, targets if left_out else [])
        names = f" ({quote_all(self.columns)})" if self.columns else ""
        raise DataError(
            f"{name}: has {count_of(width, 'column')}, but the network takes "
            f"{count_of(self.width, 'input')}{names}, with or without "
            f"{count_of(len(targets), 'target column')}"
        )

    def _check_names(self, header: Sequence[str] | None, inputs: list[int], name: str) -> None:
        """Raises DataError where columns that are found by position have other names than then."""
        if header is None or self.columns is None:
            return
        found = [header[i] for i in inputs]
        if found != list(self.columns):
            raise DataError(
                f"{name}: has {quote_all(found)} where the network takes "
                f"{quote_all(self.columns)}; some of these have one name, so that columns are "
                "taken in the order of the training data"
            )

    def _by_name(self, header: Sequence[str], name: str) -> ColumnLayout:
        assert self.columns is not None
        targets = self.targets or ()
        missing = [column for column in self.columns if column not in header]
        known = {*self.columns, *targets, *self.ignored}
        others = tuple(column for column in header if column not in known)
        if missing:
            near = nearest(missing[0], others) if len(missing) == 1 else ""
            has = f"; its other columns are {quote_all(others)}" if others and not near else ""
            noun = "column" if len(missing) == 1 else "columns"
            raise DataError(
                f"{name}: lacks the {noun} {quote_all(missing)}, which the network takes{near}{has}"
            )
        twice = [column for column in self.columns if header.count(column) > 1]
        if twice:
            raise DataError(f"{name}: has more than one column named {quote_all(twice)}")
        there = bool(targets) and all(header.count(target) == 1 for target in targets)
        return ColumnLayout(
            [header.index(column) for column in self.columns],
            [header.index(target) for target in targets] if there else [],
            others,
        )

    def is_header(self, first: Sequence[str]) -> bool:
        """Whether the first row of a table is a header: without numbers, or with a known name."""
        numbers = [is_number(cell) for cell in first]
        if self.columns is not None and all(numbers):
            # The names may be numbers too; one of them may appear in a row by chance, not all.
            return set(self.columns) <= set(first)
        known = {*(self.columns or ()), *(self.targets or ())}
        return not any(numbers) or not known.isdisjoint(first)

    def fitted(self, samples: Samples) -> Samples:
        """The samples in the shape that the network takes. Raises DataError where they have none.

        Images for a network of plain features are taken row by row, and the other way round.
        """
        found, stored = samples.input_shape, samples.stored_shape
        fits = math.prod(found) == self.inputs
        if not fits or not is_reshape(stored, self.input_shape):
            to_do = f"; {rearranged(stored, self.input_shape)}" if fits else ""
            raise DataError(
                f"{samples.inputs_origin.name}: has {shape_words(found)} a sample, "
                f"but the network takes {shape_words(self.input_shape)}{to_do}"
            )
        return samples.reshaped(self.input_shape)

    def as_plain(self) -> dict[str, Any]:
        """As mappings, lists, numbers and text. JSON's null means an infinite divisor."""
        plain: dict[str, Any] = {
            "input_shape": list(self.input_shape),
            "outputs": self.outputs,
            "columns": self.columns and list(self.columns),
            "target_columns": self.targets and list(self.targets),
            "target_positions": list(self.positions),
            "classes": self.classes and list(self.classes),
            "classes_by_index": self.encoding is not None and self.encoding.by_index,
            "offset": np.asarray(self.scaling.offset).tolist(),
            "divisor": np.asarray(self.scaling.divisor).tolist(),
        }
        # Written where they say something alone: older runs have no such keys.
        if self.rules is not None:
            plain["rules"] = [rule.as_plain() for rule in self.rules]
        if self.ignored:
            plain["ignored"] = list(self.ignored)
        if self.target_scaling is not None:
            plain["target_offset"] = np.asarray(self.target_scaling.offset).tolist()
            plain["target_divisor"] = np.asarray(self.target_scaling.divisor).tolist()
        if self.form is not None:
            plain["form"] = list(self.form)
        return plain


def shape_words(shape: Sequence[int]) -> str:
    return count_of(shape[0], "input") if len(shape) == 1 else f"an image of {sizes(shape)}"


def preprocessing_of(
    samples: Samples,
    encoding: Encoding | None,
    scaling: Scaling,
    outputs: int,
    columns: tuple[str, ...] | None,
    rules: tuple[Rule, ...] | None,
    target_scaling: Scaling | None,
    form: Form | None,
) -> Preprocessing:
    """What the training samples settle; `columns` are the names of those they were made of."""
    inputs, targets = samples.inputs_origin, samples.targets_origin
    if inputs.lines is not None and inputs.name == targets.name:
        positions = tuple(position - 1 for position in targets.positions)
    else:  # a table that comes later has its targets in its last columns
        first = math.prod(samples.input_shape) if rules is None else len(rules)
        n = outputs if encoding is None else 1
        positions = tuple(range(first, first + n))
    return Preprocessing(
        samples.input_shape,
        outputs,
        encoding,
        scaling,
        columns,
        targets.columns,
        positions,
        rules,
        samples.ignored,
        target_scaling,
        form,
    )


def preprocessing_from(plain: Mapping[str, Any]) -> Preprocessing:
    """The preprocessing that `as_plain` has put in plain words.

    Raises KeyError, TypeError or ValueError where it is damaged.
    """
    shape = _whole_numbers(plain, "input_shape")
    outputs = plain["outputs"]
    if not _is_whole(outputs):
        raise _damaged("outputs", outputs, "a whole number")
    classes = _names(plain, "classes")
    return Preprocessing(
        shape,
        outputs,
        None if classes is None else Encoding(classes, plain["classes_by_index"] is True),
        Scaling(_scaling_values(plain, "offset", shape), _scaling_values(plain, "divisor", shape)),
        _names(plain, "columns"),
        _names(plain, "target_columns"),
        _whole_numbers(plain, "target_positions"),
        _rules(plain, shape),
        _ignored(plain),
        _target_scaling(plain, outputs),
        _form(plain),
    )


def _form(plain: Mapping[str, Any]) -> Form | None:
    if "form" not in plain:
        return None
    separator, decimal = plain["form"]
    if separator not in (None, " ", *SEPARATORS) or decimal not in (None, ".", ","):
        raise _damaged("form", plain["form"], "a separator and a mark of decimals")
    return Form(separator, decimal)


def _target_scaling(plain: Mapping[str, Any], outputs: int) -> Scaling | None:
    if "target_offset" not in plain:
        return None
    offset, divisor = (_scaling_values(plain, f"target_{key}", (outputs,)) for key in _SCALING)
    return Scaling(offset, divisor)


_SCALING = ("offset", "divisor")


def _rules(plain: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[Rule, ...] | None:
    written = plain.get("rules")
    if written is None:
        return None
    if not isinstance(written, list) or not all(isinstance(rule, dict) for rule in written):
        raise _damaged("rules", written, "a list of mappings")
    rules = tuple(map(rule_from, written))
    features, inputs = len(names_of(rules)), math.prod(shape)
    if features != inputs:
        raise Malformed(f"its rules make {count_of(features, 'input')}, not {inputs}")
    return rules


def _ignored(plain: Mapping[str, Any]) -> tuple[str | int, ...]:
    columns = plain.get("ignored", [])
    if not isinstance(columns, list) or not all(
        isinstance(c, str) or _is_whole(c) for c in columns
    ):
        raise _damaged("ignored", columns, "a list of columns")
    return tuple(columns)


LONGEST_VALUE = 40  # characters of a value in a message


def _whole_numbers(plain: Mapping[str, Any], key: str) -> tuple[int, ...]:
    numbers = plain[key]
    if not isinstance(numbers, list) or not all(map(_is_whole, numbers)):
        raise _damaged(key, numbers, "a list of whole numbers")
    return tuple(numbers)


def _is_whole(number: Any) -> bool:
    return type(number) is int and number >= 0


def _names(plain: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    names = plain[key]
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _damaged(key, names, "a list of names")
    return tuple(names)


def _scaling_values(
    plain: Mapping[str, Any], key: str, shape: tuple[int, ...]
) -> NDArray[np.float64] | float:
    """A number, or an array of `shape`; a divisor of None is infinite."""
    values = np.array(plain[key], np.float64)
    if values.shape not in ((), shape):
        raise Malformed(f"its {key} is {sizes(values.shape)} numbers, not {sizes(shape)}")
    is_divisor = key.endswith("divisor")
    if is_divisor:
        values[np.isnan(values)] = np.inf
    wrong = ~(values > 0) if is_divisor else ~np.isfinite(values)
    if wrong.any():
        value = float(values[wrong][0])
        among = f" for input {int(np.argmax(wrong)) + 1}" if values.ndim else ""
        raise Malformed(f"its {key} is {'null' if np.isnan(value) else f'{value:g}'}{among}")
    return values if values.ndim else float(values)


def _damaged(key: str, value: Any, expected: str) -> Malformed:
    written = printable(to_json(value), LONGEST_VALUE)
    return Malformed(f"its {key} is {written}, not {expected}")
