"""What the training data settled for all data that come later.

With it, samples are read for a trained network where the training data are long gone.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import count_of, quote_all, sizes
from nncli.data.messages import nearest
from nncli.data.readers.tables import is_number
from nncli.data.samples import Samples
from nncli.data.scaling import Scaling
from nncli.data.targets import Encoding


class Layout(NamedTuple):
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
    """

    input_shape: tuple[int, ...]
    outputs: int
    encoding: Encoding | None
    scaling: Scaling
    columns: tuple[str, ...] | None
    targets: tuple[str, ...] | None
    positions: tuple[int, ...]

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Their names in the order of the outputs; None where targets are plain numbers."""
        return None if self.encoding is None else self.encoding.classes

    @property
    def inputs(self) -> int:
        """How many numbers a sample has."""
        return math.prod(self.input_shape)

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

    def lay_out(self, header: Sequence[str] | None, width: int, name: str) -> Layout:
        """What the columns of a table are: by name where both have names, else by position.

        Targets are those that are there: all of them or none. Raises DataError where inputs are
        missing, or the number of columns is neither that of the inputs nor of inputs and targets.
        """
        if header is not None and self.by_name:
            return self._by_name(header, name)
        targets = len(self.positions)
        if width == self.inputs:
            return Layout(list(range(width)), [])
        if width == self.inputs + targets:
            inputs = [i for i in range(width) if i not in self.positions]
            return Layout(inputs, list(self.positions))
        names = f" ({quote_all(self.columns)})" if self.columns else ""
        raise DataError(
            f"{name}: has {count_of(width, 'column')}, but the network takes "
            f"{count_of(self.inputs, 'input')}{names}, with or without "
            f"{count_of(targets, 'target column')}"
        )

    def _by_name(self, header: Sequence[str], name: str) -> Layout:
        assert self.columns is not None
        targets = self.targets or ()
        missing = [column for column in self.columns if column not in header]
        known = {*self.columns, *targets}
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
        return Layout(
            [header.index(column) for column in self.columns],
            [header.index(target) for target in targets] if there else [],
            others,
        )

    def is_header(self, first: Sequence[str]) -> bool:
        """Whether the first row of a table is a header: without numbers, or with a known name."""
        numbers = [is_number(cell) for cell in first]
        if self.columns is not None and all(numbers):
            # The names may be numbers too; one of them may stand in a row by chance, not all.
            return set(self.columns) <= set(first)
        known = {*(self.columns or ()), *(self.targets or ())}
        return not any(numbers) or not known.isdisjoint(first)

    def fitted(self, samples: Samples) -> Samples:
        """The samples in the shape that the network takes. Raises DataError where they have none.

        Images for a network of plain features are taken row by row, and the other way round.
        """
        found = math.prod(samples.input_shape)
        if found != self.inputs:
            raise DataError(
                f"{samples.inputs_origin.name}: has {shape_words(samples.input_shape)} a sample, "
                f"but the network takes {shape_words(self.input_shape)}"
            )
        return samples.reshaped(self.input_shape)

    def as_plain(self) -> dict[str, Any]:
        """As mappings, lists, numbers and text. JSON's null may stand for an infinite divisor."""
        return {
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


def shape_words(shape: Sequence[int]) -> str:
    return count_of(shape[0], "input") if len(shape) == 1 else f"an image of {sizes(shape)}"


def recipe_of(
    samples: Samples, encoding: Encoding | None, scaling: Scaling, outputs: int
) -> Preprocessing:
    """What the training samples settle."""
    inputs, targets = samples.inputs_origin, samples.targets_origin
    if inputs.lines is not None and inputs.name == targets.name:
        positions = tuple(position - 1 for position in targets.positions)
    else:  # a table that comes later has its targets in its last columns
        first, n = math.prod(samples.input_shape), outputs if encoding is None else 1
        positions = tuple(range(first, first + n))
    return Preprocessing(
        samples.input_shape,
        outputs,
        encoding,
        scaling,
        samples.columns,
        targets.columns,
        positions,
    )


def preprocessing_from(plain: Mapping[str, Any]) -> Preprocessing:
    """The preprocessing that `as_plain` has put in plain words.

    Raises KeyError, TypeError or ValueError where it is damaged.
    """
    shape = numbers_of(plain["input_shape"])
    classes = names_of(plain["classes"])
    return Preprocessing(
        shape,
        numbers_of([plain["outputs"]])[0],
        None if classes is None else Encoding(classes, plain["classes_by_index"] is True),
        Scaling(values_of(plain["offset"], shape), values_of(plain["divisor"], shape)),
        names_of(plain["columns"]),
        names_of(plain["target_columns"]),
        numbers_of(plain["target_positions"]),
    )


def numbers_of(plain: Any) -> tuple[int, ...]:
    if not isinstance(plain, list) or not all(type(n) is int and n >= 0 for n in plain):
        raise ValueError(f"{plain!r} is no list of whole numbers")
    return tuple(plain)


def names_of(plain: Any) -> tuple[str, ...] | None:
    if plain is None:
        return None
    if not isinstance(plain, list) or not all(isinstance(name, str) for name in plain):
        raise ValueError(f"{plain!r} is no list of names")
    return tuple(plain)


def values_of(plain: Any, shape: tuple[int, ...]) -> NDArray[np.float64] | float:
    """A number, or an array of `shape`; None among them is infinite."""
    values = np.array(plain, np.float64)
    if values.shape not in ((), shape):
        raise ValueError(f"{sizes(values.shape)} numbers to scale by, not {sizes(shape)}")
    values[np.isnan(values)] = np.inf
    return values if values.ndim else float(values)
