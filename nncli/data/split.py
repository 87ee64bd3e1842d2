"""Holding back a share of the samples for validation."""

import math

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import count_of

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
        groups, take = [np.arange(samples)], [held]
    else:
        # A stable sort, so that what is drawn depends on the seed and the file alone.
        order = np.argsort(classes, kind="stable")
        sizes = np.bincount(classes)
        groups = np.split(order, np.cumsum(sizes)[:-1])
        take = shares(share, held, [int(size) for size in sizes])
    check_sides(share, samples, sum(take), name)
    generator = np.random.Generator(np.random.PCG64(seed))
    mask = np.zeros(samples, dtype=bool)
    for group, number in zip(groups, take, strict=True):
        mask[generator.permutation(group)[:number]] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def shares(share: float, held: int, sizes: list[int]) -> list[int]:
    """How many of each class are held back: `held` in all, by largest remainder.

    A class of two or more keeps one sample for training, even where fewer than `held` are held
    back for that. A class of one is held back only when nothing else is left to take.
    """
    spare = [max(size - 1, 0) for size in sizes]
    lone = [int(size == 1) for size in sizes]
    take = [min(math.floor(share * size), most) for size, most in zip(sizes, spare, strict=True)]
    remainder = [share * size - math.floor(share * size) for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda i: -remainder[i])
    for most in (spare, [a + b for a, b in zip(spare, lone, strict=True)]):
        while sum(take) < held:
            left = [i for i in by_remainder if take[i] < most[i]]
            if not left:
                break
            for i in left[: held - sum(take)]:
                take[i] += 1
    return take


def check_sides(share: float, samples: int, held: int, name: str) -> None:
    if 0 < held < samples:
        return
    empty = "none for validation" if held == 0 else "none for training"
    raise DataError(
        f"{name}: validation {share:g} of {count_of(samples, 'sample')} leaves {empty}; "
        "give another share, or a file",
        key="validation",
    )
