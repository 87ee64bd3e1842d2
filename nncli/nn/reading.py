"""What the outputs of a network say of a sample, see `nncli.core.reading`.

Of several classes the largest output is the network's answer. The output of two classes, or of a
label, says 1 where it is above a half.
"""

import numpy as np

from nncli.core.reading import Reading
from nncli.nn.arrays import Array

HALF = 0.5


def class_indices(outputs: Array) -> Array:
    """The class that outputs, or targets, stand for: samples x outputs -> an index a sample.

    One output is that of the second of two classes.
    """
    if outputs.shape[1] == 1:
        above: Array = (outputs[:, 0] > HALF).astype(np.int64)
        return above
    largest: Array = outputs.argmax(axis=1)
    return largest


def chance_of(reading: Reading | None, outputs: int) -> float | None:
    """The share of samples that guessing gets right; None where that cannot be told.

    Of one output there are two classes; of labels, each as likely as not, all are to be right.
    """
    if reading == "labels":
        return 0.5**outputs
    return 1 / max(2, outputs) if reading == "classes" else None


def count_right(reading: Reading, outputs: Array, targets: Array) -> int:
    """How many samples are right: have their class, or all of their labels."""
    if reading == "labels":
        return int(((outputs > HALF) == (targets > HALF)).all(axis=1).sum())
    return int(np.count_nonzero(class_indices(outputs) == class_indices(targets)))
