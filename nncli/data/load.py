"""From the sources a spec names to the data a network is trained on, and the split of them."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import count_of, quote_all
from nncli.data.columns.choice import ColumnKeys
from nncli.data.columns.samples import featured, fitted_rules, notes_of_rules, told_features
from nncli.data.dataset import Data, Dataset, make_dataset
from nncli.data.preprocessing import preprocessing_of, shape_words
from nncli.data.readers.read import read_source
from nncli.data.readers.tables import Target, is_number
from nncli.data.samples import Pair, Samples, Source, is_reshape, rearranged
from nncli.data.scaling import Scale, fit_scaling, fit_target_scaling
from nncli.data.targets import Classes, Encoding, fit_encoding, labels_of


def load(
    *,
    train: Source,
    validation: float | Source | None = None,
    test: Source | None = None,
    target: Target = None,
    classes: Classes = None,
    header: bool | None = None,
    keys: ColumnKeys | None = None,
    scale: Scale = "none",
    target_scale: Scale = "none",
    shape: tuple[int, int, int] | None = None,
    dtype: np.dtype[Any],
    seed: np.random.SeedSequence,
) -> Data:
    """Reads, splits, encodes and scales; the same seed gives the same split.

    validation: a share of `train` to hold back (by class where there are classes), or a source.
    keys: what is said of a table's columns; what is not is found out from the whole of `train`.
    The scaling and the rules of columns are fitted on the training part, the list of classes on
    the whole of `train`.
    Raises DataError, with every mistake it found in the file it stopped at, and the parameter
    that is to blame as its key.
    """

    def read(
        key: str, source: Source, classes: Classes = classes, like: Samples | None = None
    ) -> Samples:
        with attribute_errors_to(key, source):
            return read_source(
                source,
                target=target,
                header=header,
                classes=classes,
                shape=shape,
                part=key,
                keys=keys,
                like=like,
            )

    dtype = np.dtype(dtype)
    samples = read("train", train)
    given = {
        "validation": None if isinstance(validation, float | int) else validation,
        "test": test,
    }
    others = {key: source for key, source in given.items() if source is not None}
    with attribute_errors_to("train", train):
        encoding = fit_encoding(samples, classes)
    # Text labels that look like numbers are text in the other sources too.
    is_text = samples.targets is not None and samples.targets.dtype.kind == "U"
    names = encoding.classes if encoding is not None and is_text else None
    has_codes = classes is None and names is not None and any(map(is_number, names))
    known = names if has_codes else classes
    further = {key: read(key, source, known, samples) for key, source in others.items()}
    for key, other in further.items():
        check_alike(samples, other, key)
    with attribute_errors_to("train", train):
        if isinstance(validation, float | int):
            chosen, held = split(samples, validation, encoding, seed)
        else:
            chosen, held = np.arange(len(samples), dtype=np.int64), None
        names, rules = samples.columns, None
        if samples.raw is not None:
            rules = fitted_rules(samples.raw, chosen, samples.inputs_origin.name)
            if held is None:
                samples = featured(samples, rules, shape)
            else:
                samples = told_features(samples, rules, shape, rows=held, gaps=False)
        scaling = fit_scaling(samples, chosen, scale)
        target_scaling = fit_target_scaling(
            samples, chosen, target_scale, classes=encoding is not None
        )
        if rules is not None:
            scaling = scaling.only([is_it for rule in rules for is_it in rule.scaled])
    if rules is not None:
        for key, other in further.items():
            with attribute_errors_to(key, others[key]):
                further[key] = told_features(other, rules, shape)

    def part(key: str, source: Source, of: Samples) -> Dataset:
        with attribute_errors_to(key, source):
            return make_dataset(
                of,
                scaling=scaling,
                encoding=encoding,
                dtype=dtype,
                with_checksum=True,
                target_scaling=target_scaling,
            )

    whole = part("train", train, samples)
    parts = {key: part(key, others[key], other) for key, other in further.items()}
    outputs = whole.targets.shape[1]
    for key in parts:
        check_target_count(outputs, parts[key], further[key], key)
    if held is not None:
        parts["validation"] = replace(whole, index=held)
    return Data(
        train=replace(whole, index=chosen),
        validation=parts.get("validation"),
        test=parts.get("test"),
        preprocessing=preprocessing_of(
            samples,
            encoding,
            scaling,
            outputs,
            names,
            rules,
            target_scaling,
            None if keys is None else keys.form,
        ),
        found=tuple(notes_of_rules(samples.inputs_origin.name, rules or ())),
    )


@contextmanager
def attribute_errors_to(place: str, source: Source) -> Iterator[None]:
    """Puts the key to a DataError about `source`, which the spec has at `data.<place>`.

    Where the training data were fine, it is not `target` or `shape` that is wrong, but the other
    source; a pair has no target columns; and lists have no file but the spec.
    """
    try:
        yield
    except DataError as error:
        pair = isinstance(source, Pair)
        if error.key is None:
            error.key = place if starts_in_list(error, source) else None
        elif place != "train" or (pair and error.key == "target"):
            error.key = place
        raise


def starts_in_list(error: DataError, source: Source) -> bool:
    lists = [
        half
        for half in ("inputs", "targets")
        if isinstance(source, Pair) and isinstance(getattr(source, half), list)
    ]
    return error.problems[0].partition(":")[0] in lists


def split(
    samples: Samples, share: float, encoding: Encoding | None, seed: np.random.SeedSequence
) -> tuple[Any, Any]:
    """Training and validation rows."""
    origin = samples.targets_origin
    classes = None if encoding is None else encoding.indices(labels_of(samples), origin)
    return hold_out(share, len(samples), classes, seed, samples.inputs_origin.name)


def check_alike(train: Samples, other: Samples, key: str) -> None:
    """Raises DataError where the inputs of another source are not those of the training data."""
    name, known = other.inputs_origin.name, train.inputs_origin.name
    if train.input_shape != other.input_shape:
        found, wanted = shape_words(other.input_shape), shape_words(train.input_shape)
        stored, shape = other.stored_shape, train.input_shape
        is_mixed = math.prod(stored) == math.prod(shape) and not is_reshape(stored, shape)
        to_do = f"; {rearranged(stored, shape)}" if is_mixed else ""
        raise DataError(
            f"{name}: {key} has {found} a sample, but {known} has {wanted}{to_do}", key=key
        )
    if None not in (train.columns, other.columns) and train.columns != other.columns:
        raise DataError(
            f"{name}: its input columns are {quote_all(other.columns or ())}, but those of {known} "
            f"are {quote_all(train.columns or ())}",
            key=key,
        )


def check_target_count(outputs: int, other: Dataset, samples: Samples, key: str) -> None:
    found = other.targets.shape[1]
    if found != outputs:
        raise DataError(
            f"{samples.targets_origin.name}: has {count_of(found, 'target')} a sample, but the "
            f"training data have {outputs}",
            key=key,
        )


# Holding back a share for validation

Index = NDArray[np.int64]


def hold_out(
    share: float, samples: int, classes: Index | None, seed: np.random.SeedSequence, name: str
) -> tuple[Index, Index]:
    """Divides `samples` rows into (training, validation), each in file order.

    Validation gets share * samples rows, rounded; with `classes` (the class of each row) each
    class gives its part of them. Raises DataError where either side would be empty.
    """
    if not 0 < share < 1:
        raise DataError(
            f"{name}: validation {share} is not a share between 0 and 1", key="validation"
        )
    held = math.floor(share * samples + 0.5)
    if classes is None:
        groups, numbers = [np.arange(samples)], [held]
    else:
        # A stable sort, so that what is drawn depends on the seed and the file alone.
        order = np.argsort(classes, kind="stable")
        sizes = np.bincount(classes)
        groups = np.split(order, np.cumsum(sizes)[:-1])
        numbers = held_per_class(share, held, [int(size) for size in sizes])
    check_sides(share, samples, sum(numbers), name)
    generator = np.random.Generator(np.random.PCG64(seed))
    mask = np.zeros(samples, dtype=bool)
    for group, number in zip(groups, numbers, strict=True):
        mask[generator.permutation(group)[:number]] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def held_per_class(share: float, held: int, sizes: list[int]) -> list[int]:
    """How many of each class are held back: `held` in all, by largest remainder.

    A class of two or more keeps one sample for training, even where fewer than `held` are held
    back for that. A class of one is held back only when nothing else is left.
    """
    spare = [max(size - 1, 0) for size in sizes]
    lone = [int(size == 1) for size in sizes]
    numbers = [min(math.floor(share * size), most) for size, most in zip(sizes, spare, strict=True)]
    remainder = [share * size - math.floor(share * size) for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda i: -remainder[i])
    for most in (spare, [a + b for a, b in zip(spare, lone, strict=True)]):
        while sum(numbers) < held:
            left = [i for i in by_remainder if numbers[i] < most[i]]
            if not left:
                break
            for i in left[: held - sum(numbers)]:
                numbers[i] += 1
    return numbers


def check_sides(share: float, samples: int, held: int, name: str) -> None:
    if 0 < held < samples:
        return
    empty = "none for validation" if held == 0 else "none for training"
    raise DataError(
        f"{name}: validation {share:g} of {count_of(samples, 'sample')} leaves {empty}; "
        "give another share, or a file",
        key="validation",
    )
