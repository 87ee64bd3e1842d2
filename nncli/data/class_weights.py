"""Weights of classes: those that are given, or those that make all classes weigh the same."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.reading import Reading
from nncli.core.text import nearest, quote, quote_all

ClassWeights = Literal["balanced"] | Mapping[str, float] | None

MOST_NAMED = 12


def fit_class_weights(
    given: ClassWeights,
    classes: tuple[str, ...] | None,
    targets: NDArray[Any],
    name: str,
    reading: Reading,
) -> tuple[float, ...] | None:
    """The weight of each class, in their order; None where none are given.

    `balanced` is n / (k n_c), n_c of the n samples being of the class, of k classes: what
    scikit-learn computes. Each class then weighs n / k in all, and the mean over the samples is 1.
    A class that a mapping does not name weighs 1, as one does that no sample is of.

    Args:
        targets: of the samples that are trained on, N x outputs.

    Raises:
        DataError: the targets are no classes, or a name is that of none.
    """
    if given is None:
        return None
    if classes is None:
        raise DataError(
            f"{name}: class_weights are for classes, and these targets are {reading}; leave it out",
            key="class_weights",
        )
    if not isinstance(given, Mapping):
        ones = targets.sum(axis=0, dtype=np.float64)
        counts = np.array([len(targets) - ones[0], *ones]) if len(ones) == 1 else ones
        return tuple(len(targets) / (len(classes) * n) if n else 1.0 for n in counts.tolist())
    unknown = [each for each in given if each not in classes]
    if unknown:
        near = nearest(unknown[0], classes) if len(unknown) == 1 else ""
        more = ", ..." if len(classes) > MOST_NAMED else ""
        raise DataError(
            f"{name}: class_weights names {quote_all(unknown)}, but the classes are "
            f"{', '.join(map(quote, classes[:MOST_NAMED]))}{more}{near}",
            key="class_weights",
        )
    return tuple(float(given.get(each, 1.0)) for each in classes)
