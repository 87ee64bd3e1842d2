"""How an array may have to be turned before it has the shape that a trace gives it."""

from collections.abc import Iterable, Iterator
from math import prod

import numpy as np

from nncli.core.text import join_words
from nncli.inspection.foreign.checking import Named
from nncli.nn.arrays import Array, Shape

KERAS = (3, 2, 0, 1)  # rows x columns x channels x filters


def turns(array: Array, shape: Shape, *, by_sample: bool) -> Iterator[tuple[str, Array]]:
    """The ways to bring an array to a shape, each with its name; "" where it has it already.

    Args:
        by_sample: whether the first axis of the shape is that of the samples.
    """
    found: list[tuple[str, Array]] = []
    if array.shape == shape:
        found.append(("", array))
    if array.ndim == 2 and array.T.shape == shape:
        found.append(("transposed", array.T))
    if array.ndim == 4 and len(shape) == 4:
        if by_sample:
            found.append(("channels last", np.moveaxis(array, -1, 1)))
        else:
            found.append(("channels and filters last", array.transpose(KERAS)))
        if by_sample:
            found.append(("samples last", np.moveaxis(array, -1, 0)))
    if by_sample and shape[0] == 1:
        if array.shape == shape[1:]:
            found.append(("one sample", array[None]))
        elif array.shape == (*shape[1:], 1):
            found.append(("one sample, as a column", array.reshape(shape)))
    if by_sample and shape[1:] == (1,) and array.shape == shape[:1]:
        found.append(("as a column", array[:, None]))
    if prod(array.shape) == prod(shape) and array.shape != shape:
        if len(shape) < 2:
            found.append(("as a vector", array.reshape(shape)))
        elif by_sample and array.ndim == 2 and array.shape[0] == shape[0] and len(shape) == 4:
            found.append(("unrolled", array.reshape(shape)))
    seen = set[str]()
    for how, turned in found:
        if turned.shape == shape and how not in seen:
            seen.add(how)
            yield (
                how,
                np.asarray(turned, order="C"),
            )  # ascontiguousarray would give a number an axis


def mixed_layouts(found: Iterable[Named]) -> Iterator[str]:
    """In words, where matrices of weights lie inputs x units beside others that lie units x inputs.

    That is none of the mistakes: each can be taken for nothing else, by its shape.
    """
    ways: dict[str, dict[str, list[str]]] = {}  # by quantity and how it was turned, the names
    for one in found:
        quantity = one.name.rpartition(".")[2]
        is_matrix = quantity.startswith("weight") and one.array.ndim == 2
        if is_matrix and one.array.shape[0] != one.array.shape[1]:
            ways.setdefault(quantity, {}).setdefault(one.how, []).append(one.mine)
    for names in ways.values():
        if {"", "transposed"} <= names.keys():
            turned, others = (join_words(names[how], "and") for how in ("transposed", ""))
            lie = f"{turned} units x inputs, {others} inputs x units"
            yield f"matrices are in two layouts: {lie}; each was read in its own"
