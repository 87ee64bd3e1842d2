"""The one seed of a spec, and the independent streams of random numbers that follow from it."""

import zlib
from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What random numbers are for. The values are part of every run: never renumber them."""

    WEIGHTS = 0
    SPLIT = 1
    SHUFFLE = 2
    DRAWS = 3
    VALUES = 4


def seed_of(seed: int, stream: Stream, *place: int) -> np.random.SeedSequence:
    """The seed of one stream, at one `place` in it: the epoch, or the step for what layers draw.

    It depends on nothing drawn before, so the order of epoch 7 is known without epochs 1 to 6.
    """
    return np.random.SeedSequence(seed, spawn_key=(stream, *place))


def draw_uniform(seed: int, name: str, count: int) -> list[float]:
    """Numbers from 0 to 1 that belong to a name; to draw more of them leaves the first the same."""
    rng = np.random.default_rng(seed_of(seed, Stream.VALUES, zlib.crc32(name.encode())))
    return [float(number) for number in rng.random(count)]
