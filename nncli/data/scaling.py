"""Numbers moved and divided so that a network learns from them: fitted on rows, applied, undone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.data.readers.arrays import release_large
from nncli.data.samples import Origin, Samples, check_finite

Scale = float | Literal["minmax", "standard", "none"]

# Numbers in a block: large enough that Python's part of the work vanishes, small enough for cache.
BLOCK = 1 << 17


@dataclass(frozen=True, eq=False)
class Scaling:
    """scaled = (x - offset) / divisor, each a number or an array of the shape of one sample.

    A feature that is constant in the training part has an infinite divisor: it scales to 0, there
    and wherever else it is met.
    """

    offset: NDArray[np.float64] | float = 0.0
    divisor: NDArray[np.float64] | float = 1.0

    def apply(
        self, raw: NDArray[Any], out: NDArray[Any], work: NDArray[np.float64] | None = None
    ) -> None:
        """Writes scaled `raw` into `out` (both n x sample shape).

        The arithmetic is float64 whatever the types; `work`, of raw's shape, holds it.
        """
        if work is None:
            work = np.empty(raw.shape)
        if self.is_exact_in(out.dtype, raw.dtype):
            np.copyto(out, raw)
            np.divide(out, out.dtype.type(self.divisor), out)
            return
        # What is too large for the type of `out` becomes infinite; Dataset's maker looks for those.
        with np.errstate(over="ignore", invalid="ignore"):
            np.subtract(raw, self.offset, out=work, dtype=np.float64)
            np.divide(work, self.divisor, out=out, casting="same_kind")

    def is_exact_in(self, dtype: np.dtype[Any], raw: np.dtype[Any]) -> bool:
        """Whether one division in `dtype` gives the very numbers that float64 does.

        It does where both sides are numbers of that dtype, and not tiny ones: float64 has more than
        twice its digits, so rounding twice rounds no differently (Figueroa, "When is double
        rounding innocuous?", 1995). Bytes become float32 in a quarter of the time.
        """
        return (
            isinstance(self.offset, float)
            and self.offset == 0
            and isinstance(self.divisor, float)
            and (np.abs(self.divisor) <= np.finfo(dtype).max)
            and float(dtype.type(self.divisor)) == self.divisor
            and raw.kind in "biu"
            and np.can_cast(raw, dtype, "safe")
        )

    def undone(self, scaled: NDArray[Any]) -> NDArray[np.float64]:
        """The numbers that became `scaled`, but for rounding; a constant feature's is its own."""
        constant = np.isinf(self.divisor)
        return np.where(constant, 0.0, scaled) * np.where(constant, 0.0, self.divisor) + self.offset

    def of(self, raw: NDArray[Any]) -> NDArray[np.float64]:
        """The scaled numbers."""
        scaled = np.empty(raw.shape)
        self.apply(raw, scaled)
        return scaled

    def only(self, scaled: Sequence[bool]) -> "Scaling":
        """The scaling of features of which only some are scaled."""
        shape = (len(scaled),)
        offset, divisor = (np.broadcast_to(x, shape).copy() for x in (self.offset, self.divisor))
        rest = ~np.array(scaled)
        offset[rest], divisor[rest] = 0.0, 1.0
        return Scaling(offset, divisor)

    @property
    def is_identity(self) -> bool:
        """Whether it leaves every number as it is."""
        return bool(np.all(self.offset == 0.0) and np.all(self.divisor == 1.0))


def blocks(rows: int, per_row: int) -> Iterator[slice]:
    """Slices that together cover `rows` rows, each of about BLOCK numbers."""
    step = max(1, BLOCK // max(1, per_row))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def fit_scaling(samples: Samples, index: NDArray[np.int64], scale: Scale) -> Scaling:
    """The scaling that `scale` asks for, by rows `index` of the inputs alone.

    A number divides; `minmax` is (x - min) / (max - min) and `standard` is (x - mean) / std, both
    for each feature, std being that of the rows themselves (ddof 0). Raises DataError where that
    is no number to scale by.
    """
    return scaling_of(samples.inputs, index, scale, samples.inputs_origin)


def fit_target_scaling(
    samples: Samples, index: NDArray[np.int64], scale: Scale, *, classes: bool
) -> Scaling | None:
    """The scaling of targets that `scale` asks for, as `fit_scaling`; None for none.

    Raises DataError where the targets are classes, or one of them never changes.
    """
    if scale == "none" or samples.targets is None:
        return None
    name = samples.targets_origin.name
    if classes:
        raise DataError(
            f"{name}: target_scale is for numbers, and these targets are classes; leave it out"
            + ("" if samples.targets.dtype.kind == "U" else ", or set classes: none"),
            key="target_scale",
        )
    numbers = samples.targets.reshape(len(samples), -1)
    check_finite(numbers, numbers, samples.targets_origin)
    scaling = scaling_of(numbers, index, scale, samples.targets_origin, "target_scale")
    if np.isinf(scaling.divisor).any():
        raise DataError(
            f"{name}: a target is the same in every sample trained on, which target_scale: {scale} "
            "cannot scale",
            key="target_scale",
        )
    return scaling


def scaling_of(
    inputs: NDArray[Any],
    index: NDArray[np.int64],
    scale: Scale,
    origin: Origin,
    key: str = "scale",
) -> Scaling:
    name = origin.name
    if scale == "none":
        return Scaling()
    if not isinstance(scale, str):
        if scale == 0 or not np.isfinite(scale):
            raise DataError(
                f"{name}: {key} {scale} cannot divide; give a number other than 0", key=key
            )
        return Scaling(0.0, float(scale))
    with np.errstate(all="ignore"):
        low, high, mean, deviation = statistics(inputs, index)
        offset, divisor = (low, high - low) if scale == "minmax" else (mean, deviation)
    # Not `deviation == 0`: the mean of equal numbers may be off by a rounding.
    constant = low == high
    if not np.isfinite(divisor).all():
        tell_not_finite(inputs, origin)
        raise DataError(f"{name}: its numbers are too large for {key}: {scale}", key=key)
    if (divisor[~constant] == 0).any():
        raise DataError(
            f"{name}: its numbers differ by too little for {key}: {scale}, their squares vanish; "
            "multiply them, or use minmax",
            key=key,
        )
    return Scaling(np.where(constant, low, offset), np.where(constant, np.inf, divisor))


def tell_not_finite(inputs: NDArray[Any], origin: Origin) -> None:
    """Raises DataError that points at inputs that are not finite, if any are."""
    for rows in blocks(len(inputs), int(np.prod(inputs.shape[1:]))):
        block = inputs[rows]
        check_finite(block, block, origin, rows.start)


def statistics(inputs: NDArray[Any], index: NDArray[np.int64]) -> tuple[NDArray[np.float64], ...]:
    """Minimum, maximum, mean and standard deviation of each feature, in one pass by blocks.

    Means and squared deviations of blocks are combined as in Chan, Golub and LeVeque, "Updating
    formulae and a pairwise algorithm for computing sample variances" (1979), equations 2.1.
    """
    shape = inputs.shape[1:]
    low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
    mean, squares = np.zeros(shape), np.zeros(shape)
    count = 0
    for rows in blocks(len(index), int(np.prod(shape))):
        block = inputs[index[rows]].astype(np.float64)
        release_large(inputs)
        np.minimum(low, block.min(axis=0), out=low)
        np.maximum(high, block.max(axis=0), out=high)
        block_mean = block.mean(axis=0)
        block_squares = np.square(block - block_mean).sum(axis=0)
        n = len(block)
        shift = block_mean - mean
        squares += block_squares + shift**2 * (count * n / (count + n))
        mean += shift * (n / (count + n))
        count += n
    return low, high, mean, np.sqrt(squares / count)
