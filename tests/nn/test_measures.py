"""Norms of what an array holds at the time, to the bit of one that is taken anew."""

from typing import Any

import numpy as np
import pytest

from nncli.nn.measures import SMALL, Measurer, measure, norm, norm_of

from .cases import SOME_CASES, settle

RANDOM = np.random.default_rng(3)
ARRAYS = {
    "rows": RANDOM.normal(size=(7, 30)).astype(np.float32),
    "units first": RANDOM.normal(size=(30, 8)).astype(np.float32)[:, :-1].T,
    "image": np.moveaxis(RANDOM.normal(size=(5, 2, 4, 4)), 0, -1),
    "large": RANDOM.normal(size=(2, SMALL)).astype(np.float32),
    "beyond float64": np.array([1e200, -1e250]),
    "missing": np.array([1, np.nan], np.float32),
    "infinite": np.array([1, np.inf], np.float32),
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_the_norm_is_that_of_what_the_array_holds_now(array: Any) -> None:
    array = array.copy("K")
    measured = norm_of(array)
    with np.errstate(over="ignore"):
        for _ in range(2):
            assert np.array_equal(measured(), norm(array), equal_nan=True)
            array *= 3


@pytest.mark.parametrize("case", SOME_CASES, ids=str)
def test_a_step_is_measured_again(case: Any) -> None:
    setting = settle(case)
    step = setting.step()
    again = Measurer(step)
    for _ in range(3):
        step.run(0.5, full=True)
        assert again() == measure(step)
    assert again.takes(step)
    assert not again.takes(setting.step())
