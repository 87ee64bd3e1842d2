"""What the training data settle for all data that come later, kept with a run.

With it, samples are read for a trained network where the training data are long gone.
"""

import codecs
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError, Malformed
from nncli.core.jsons import to_json
from nncli.core.reading import Reading
from nncli.core.text import count_of, nearest, printable, quote_all, sizes
from nncli.data.columns.kept import rule_from
from nncli.data.columns.kinds import Rule, names_of
from nncli.data.readers.separators import MARKS, SEPARATORS, Form
from nncli.data.readers.tables import is_number
from nncli.data.samples import Samples, is_reshape, rearranged
from nncli.data.scaling import Scaling
from nncli.data.targets import Encoding

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
    columns_reading: what several target columns of 0 and 1 are, which have no encoding.
    class_weights: what the cost of a sample of each class was multiplied by in training.
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
    columns_reading: Reading = "numbers"
    class_weights: tuple[float, ...] | None = None

    @property
    def reading(self) -> Reading:
        """What targets and outputs say of a sample."""
        return self.columns_reading if self.encoding is None else "classes"

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Their names in the order of the outputs; None where targets are labels or numbers.

        Two classes may have one output, that of the second.
        """
        if self.encoding is not None:
            return self.encoding.classes
        return self.output_names if self.columns_reading == "classes" else None

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """What a single target column holds; None where it is not one of classes."""
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
        encoding = self.encoding
        names = (self.targets if encoding is None else encoding.output_names) or ()
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
            "classes": self.label_names and list(self.label_names),
            "classes_by_index": self.encoding is not None and self.encoding.by_index,
            **_plain_scaling(self.scaling),
        }
        # Written where they say something alone: older runs have no such keys.
        if self.rules is not None:
            plain["rules"] = [rule.as_plain() for rule in self.rules]
        if self.encoding is not None and self.encoding.is_binary:
            plain["one_output"] = True
        if self.columns_reading != "numbers":
            plain["columns_reading"] = self.columns_reading
        if self.class_weights is not None:
            plain["class_weights"] = list(self.class_weights)
        if self.ignored:
            plain["ignored"] = list(self.ignored)
        if self.target_scaling is not None:
            plain |= _plain_scaling(self.target_scaling, "target_")
        if self.form is not None:
            plain["form"] = list(self.form[: None if any(self.form[2:]) else 2])
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
    columns_reading: Reading,
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
        columns_reading,
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
        None
        if classes is None
        else Encoding(classes, plain["classes_by_index"] is True, plain.get("one_output") is True),
        _scaling(plain, shape),
        _names(plain, "columns"),
        _names(plain, "target_columns"),
        _whole_numbers(plain, "target_positions"),
        _rules(plain, shape),
        _ignored(plain),
        _scaling(plain, (outputs,), "target_") if "target_offset" in plain else None,
        _form(plain),
        _columns_reading(plain),
        _class_weights(plain),
    )


def _form(plain: Mapping[str, Any]) -> Form | None:
    if "form" not in plain:
        return None
    form = plain["form"]
    if not isinstance(form, list) or not all(x is None or isinstance(x, str) for x in form):
        raise _damaged("form", form, "a separator and a mark of decimals")
    try:
        made = Form(*form)
        if made.encoding is not None:
            codecs.lookup(made.encoding)
    except (TypeError, LookupError, ValueError):
        raise _damaged("form", form, "how a table is written") from None
    separator, decimal, thousands, *_ = made
    is_known = separator in (None, " ", *SEPARATORS) and decimal in (None, ".", ",")
    if not is_known or thousands not in (None, *MARKS):
        raise _damaged("form", form, "a separator and a mark of decimals")
    return made


def _class_weights(plain: Mapping[str, Any]) -> tuple[float, ...] | None:
    weights = plain.get("class_weights")
    if weights is None:
        return None
    if not isinstance(weights, list) or not all(
        isinstance(w, float | int) and 0 < w < math.inf for w in weights
    ):
        raise _damaged("class_weights", weights, "a list of numbers above 0")
    return tuple(map(float, weights))


def _columns_reading(plain: Mapping[str, Any]) -> Reading:
    reading = plain.get("columns_reading", "numbers")
    if reading not in get_args(Reading):
        raise _damaged("columns_reading", reading, "classes or labels")
    return reading  # type: ignore[no-any-return]


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


_SCALING = ("offset", "divisor")


def _plain_scaling(scaling: Scaling, of: str = "") -> dict[str, Any]:
    return {f"{of}{key}": np.asarray(getattr(scaling, key)).tolist() for key in _SCALING}


def _scaling(plain: Mapping[str, Any], shape: tuple[int, ...], of: str = "") -> Scaling:
    return Scaling(*(_scaling_values(plain, f"{of}{key}", shape) for key in _SCALING))


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
