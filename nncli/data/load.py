"""From the sources a spec names to the data a network is trained on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from nncli.core.errors import DataError
from nncli.core.text import count_of, quote_all
from nncli.data.dataset import Data, Dataset, prepare
from nncli.data.preprocessing import recipe_of, shape_words
from nncli.data.readers.read import read_source
from nncli.data.readers.tables import Target
from nncli.data.samples import Pair, Samples, Source
from nncli.data.scaling import Scale, fit_scaling
from nncli.data.split import hold_out
from nncli.data.targets import Classes, Encoding, fit_encoding, labels_of


def load(
    *,
    train: Source,
    validation: float | Source | None = None,
    test: Source | None = None,
    target: Target = None,
    classes: Classes = None,
    header: bool | None = None,
    scale: Scale = "none",
    shape: tuple[int, int, int] | None = None,
    dtype: np.dtype[Any],
    seed: np.random.SeedSequence,
) -> Data:
    """Reads, splits, encodes and scales; the same seed gives the same split.

    validation: a share of `train` to hold back (by class where there are classes), or a source.
    The scaling is fitted on the training part, the list of classes on the whole of `train`.
    Raises DataError, with every mistake it found in the file it stopped at, and the parameter
    that is to blame as its key.
    """

    def read(key: str, source: Source) -> Samples:
        with blaming(key, source):
            return read_source(source, target=target, header=header, classes=classes, shape=shape)

    dtype = np.dtype(dtype)
    samples = read("train", train)
    given = {
        "validation": None if isinstance(validation, float | int) else validation,
        "test": test,
    }
    others = {key: source for key, source in given.items() if source is not None}
    with blaming("train", train):
        encoding = fit_encoding(samples, classes)
    further = {key: read(key, source) for key, source in others.items()}
    for key, other in further.items():
        check_alike(samples, other, key)
    with blaming("train", train):
        if isinstance(validation, float | int):
            chosen, held = split(samples, validation, encoding, seed)
        else:
            chosen, held = np.arange(len(samples), dtype=np.int64), None
        scaling = fit_scaling(samples, chosen, scale)

    def part(key: str, source: Source, of: Samples) -> Dataset:
        with blaming(key, source):
            return prepare(of, scaling=scaling, encoding=encoding, dtype=dtype)

    whole = part("train", train, samples)
    parts = {key: part(key, others[key], other) for key, other in further.items()}
    outputs = whole.targets.shape[1]
    for key in parts:
        check_outputs(outputs, parts[key], further[key], key)
    if held is not None:
        parts["validation"] = replace(whole, index=held)
    return Data(
        train=replace(whole, index=chosen),
        validation=parts.get("validation"),
        test=parts.get("test"),
        preprocessing=recipe_of(samples, encoding, scaling, outputs),
    )


@contextmanager
def blaming(place: str, source: Source) -> Iterator[None]:
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
        raise DataError(f"{name}: {key} has {found} a sample, but {known} has {wanted}", key=key)
    if None not in (train.columns, other.columns) and train.columns != other.columns:
        raise DataError(
            f"{name}: its input columns are {quote_all(other.columns or ())}, but those of {known} "
            f"are {quote_all(train.columns or ())}",
            key=key,
        )


def check_outputs(outputs: int, other: Dataset, samples: Samples, key: str) -> None:
    found = other.targets.shape[1]
    if found != outputs:
        raise DataError(
            f"{samples.targets_origin.name}: has {count_of(found, 'target')} a sample, but the "
            f"training data have {outputs}",
            key=key,
        )
