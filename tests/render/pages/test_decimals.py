"""Numbers as text at once, against NumPy's text of each."""

import numpy as np
import pytest
from numpy.typing import NDArray

from nncli.render.pages.decimals import lines_of

RNG = np.random.default_rng(7)
COUNT = 20_000
EDGES = [
    0.0,
    -0.0,
    np.nan,
    np.inf,
    -np.inf,
    1e-45,
    3e38,
    1e-4,
    9.9999e-5,
    1e6,
    999999.94,
    16777216.0,
]
POWERS_OF_TWO = [sign * 2.0**k for k in range(-149, 128) for sign in (1, -1)]


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param(RNG.integers(0, 2**32, COUNT, np.uint32).view(np.float32), id="any bits"),
        pytest.param(RNG.normal(size=COUNT), id="normal"),
        pytest.param(np.exp(RNG.uniform(-10, 15, COUNT)), id="of any size"),
        pytest.param(RNG.integers(-99_999, 99_999, COUNT) / 1000, id="short"),
        pytest.param(RNG.integers(0, 2**24, COUNT) / 2**20, id="ties"),
        pytest.param(np.array(EDGES), id="edges"),
        pytest.param(np.array(POWERS_OF_TWO), id="powers of two"),
    ],
)
def test_each_number_is_the_shortest_that_reads_back(numbers: NDArray[np.float64]) -> None:
    with np.errstate(invalid="ignore"):  # of NaN
        singles = numbers.astype(np.float32)
    assert lines_of(singles[:, None]).split("\n")[:-1] == singles.astype(str).tolist()


@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (5, 1), (1, 6)])
def test_a_line_is_a_row(shape: tuple[int, int]) -> None:
    numbers = RNG.normal(size=shape).astype(np.float32)
    rows = [",".join(row) for row in numbers.astype(str).tolist()]
    assert lines_of(numbers) == "".join(f"{row}\n" for row in rows)
