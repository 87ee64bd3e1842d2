"""From the sources a spec names to the data a network is trained on, and the split of them."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import count_of, quote_all
from nncli.data.class_weights import ClassWeights, fit_class_weights
from nncli.data.columns.choice import ColumnKeys
from nncli.data.columns.kinds import Rule
from nncli.data.columns.notes import notes_of_rules
from nncli.data.columns.samples import featured, fitted_rules, told_features
from nncli.data.columns.useless import notes_of_useless
from nncli.data.dataset import Data, Dataset, make_dataset
from nncli.data.preprocessing import preprocessing_of, shape_words
from nncli.data.readers.read import read_source
from nncli.data.readers.tables import Target, is_number
from nncli.data.samples import Pair, Samples, Source, is_reshape, rearranged
from nncli.data.scaling import Scale, fit_scaling, fit_target_scaling
from nncli.data.targets import Classes, Encoding, fit_encoding, labels_of, reading_of_columns


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
    has_one_output: bool = False,
    class_weights: ClassWeights = None,
    dtype: np.dtype[Any],
    seed: np.random.SeedSequence,
) -> Data:
    """Reads, splits, encodes and scales; the same seed gives the same split.

    validation: a share of `train` to hold back (by class where there are classes), or a source.
    has_one_output: whether the network has, so that two classes are one target of 0 or 1.
    class_weights: of the classes, or balanced over the training part.
    keys: what is said of a table's columns; what is not is found out from the whole of `train`.
    The scaling and the rules of columns are fitted on the training part, the list of classes on
    the whole of `train`.
    Raises DataError, with every mistake it found in the file it stopped at, and the parameter
    that is to blame as its key.
    """
    dtype = np.dtype(dtype)
    share = validation if isinstance(validation, float | int) else None
    given = {
        "validation": None if isinstance(validation, float | int) else validation,
        "test": test,
    }
    others = {key: source for key, source in given.items() if source is not None}
    read = partial(read_part, target=target, header=header, shape=shape, keys=keys)
    samples = read("train", train, classes)
    with attribute_errors_to("train", train):
        encoding = fit_encoding(
            samples, classes, has_one_output=has_one_output and target_scale == "none"
        )
    known = classes_of_others(samples, classes, encoding)
    further = {key: read(key, source, known, like=samples) for key, source in others.items()}
    for key, other in further.items():
        check_alike(samples, other, key)
    columns = samples.columns  # of the table, where features have names of their own
    useless = tuple(notes_of_useless(samples))
    with attribute_errors_to("train", train):
        chosen, held = split(samples, share, encoding, seed)
        samples, rules = fit_features(samples, chosen, held, shape)
        scaling = fit_scaling(samples, chosen, scale)
        if rules is not None:
            scaling = scaling.only([is_it for rule in rules for is_it in rule.scaled])
        target_scaling = fit_target_scaling(
            samples, chosen, target_scale, classes=encoding is not None
        )
    if rules is not None:
        for key, other in further.items():
            with attribute_errors_to(key, others[key]):
                further[key] = told_features(other, rules, shape)
    encode = partial(
        make_dataset,
        scaling=scaling,
        encoding=encoding,
        dtype=dtype,
        with_checksum=True,
        target_scaling=target_scaling,
    )
    with attribute_errors_to("train", train):
        whole = encode(samples)
    outputs = whole.targets.shape[1]
    is_plain = encoding is not None or classes == "none" or target_scaling is not None
    columns_reading = "numbers" if is_plain else reading_of_columns(whole.targets)
    parts: dict[str, Dataset] = {}
    for key, other in further.items():
        with attribute_errors_to(key, others[key]):
            parts[key] = encode(other)
    for key, part in parts.items():
        check_target_count(outputs, part, further[key], key)
    if held is not None:
        parts["validation"] = replace(whole, index=held)
    form = None if keys is None else keys.form
    preprocessing = preprocessing_of(
        samples,
        encoding,
        scaling,
        outputs,
        columns,
        rules,
        target_scaling,
        form,
        columns_reading,
    )
    with attribute_errors_to("train", train):
        weights = fit_class_weights(
            class_weights,
            preprocessing.classes,
            whole.targets[chosen] if class_weights == "balanced" else whole.targets,
            samples.targets_origin.name,
            preprocessing.reading,
        )
    return Data(
        train=replace(whole, index=chosen),
        validation=parts.get("validation"),
        test=parts.get("test"),
        preprocessing=preprocessing._replace(class_weights=weights),
        found=(*notes_of_rules(samples.inputs_origin.name, rules or ()), *useless),
    )


def read_part(
    key: str,
    source: Source,
    classes: Classes,
    *,
    target: Target,
    header: bool | None,
    shape: tuple[int, int, int] | None,
    keys: ColumnKeys | None,
    like: Samples | None = None,
) -> Samples:
    """The samples of a source, which the spec has at `data.<key>`; see `read_source`."""
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


def classes_of_others(train: Samples, classes: Classes, encoding: Encoding | None) -> Classes:
    """The classes by which the other sources are read.

    Text labels that look like numbers are text there too.
    """
    if classes is not None or encoding is None:
        return classes
    is_text = train.targets is not None and train.targets.dtype.kind == "U"
    return encoding.classes if is_text and any(map(is_number, encoding.classes)) else None


def fit_features(
    samples: Samples,
    chosen: NDArray[np.int64],
    held: NDArray[np.int64] | None,
    shape: tuple[int, int, int] | None,
) -> tuple[Samples, tuple[Rule, ...] | None]:
    """The training samples with inputs made by the rules of their columns, and these.

    Rules are fitted on the rows `chosen`; the rows `held` are looked at for words that those lack.
    A table of numbers alone has no rules, and stays as it is.
    """
    if samples.raw is None:
        return samples, None
    rules = fitted_rules(samples.raw, chosen, samples.inputs_origin.name)
    if held is None:
        return featured(samples, rules, shape), rules
    return told_features(samples, rules, shape, rows=held, gaps=False), rules


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
    samples: Samples, share: float | None, encoding: Encoding | None, seed: np.random.SeedSequence
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Training and validation rows; all of them and None, where no share is held back."""
    if share is None:
        return np.arange(len(samples), dtype=np.int64), None
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
