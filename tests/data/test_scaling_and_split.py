from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nncli.data import Origin, Pair, Samples, Scaling, scaling
from nncli.data.load import held_per_class, hold_out
from nncli.data.scaling import fit_scaling
from tests.conftest import present
from tests.data.conftest import load, problems

RANDOM = np.random.default_rng(1)
X = np.column_stack([RANDOM.normal(1e6, 1e-2, 50), RANDOM.random(50), np.full(50, 0.1)])


@pytest.fixture(params=[1 << 17, 7], ids=["one block", "many blocks"])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "BLOCK", request.param)


def samples(inputs: Any) -> Any:
    origin = Origin("x", inputs.shape[1:])
    return Samples(inputs, None, None, origin, origin)


def fitted(inputs: Any, scale: Any, index: Any = None) -> Any:
    index = np.arange(len(inputs)) if index is None else index
    fit = fit_scaling(samples(inputs), index, scale)
    out = np.empty(inputs.shape)
    fit.apply(inputs, out)
    return out


def test_a_number_divides() -> None:
    np.testing.assert_array_equal(fitted(X, 16), X / 16)


@pytest.mark.usefixtures("block")
def test_minmax() -> None:
    expected = (X - X.min(0))[:, :2] / np.ptp(X, axis=0)[:2]
    np.testing.assert_allclose(fitted(X, "minmax")[:, :2], expected, rtol=1e-12)


@pytest.mark.usefixtures("block")
def test_standard_is_stable_far_from_zero() -> None:
    found = fitted(X, "standard")[:, :2]
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-7)
    np.testing.assert_allclose(found.std(0), 1, rtol=1e-7)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("scale", ["minmax", "standard"])
def test_constant_features_are_0_wherever_they_are_met(scale: Any) -> None:
    fit = fit_scaling(samples(X), np.arange(50), scale)
    out = np.empty((1, 3))
    fit.apply(np.array([[0.0, 0.0, 99.0]]), out)
    assert out[0, 2] == 0
    assert not fitted(X, scale)[:, 2].any()


@pytest.mark.parametrize("scale", ["minmax", "standard"])
def test_only_the_training_rows_are_fitted(scale: Any) -> None:
    index = np.arange(0, 50, 3)
    spoilt = X.copy()
    spoilt[np.setdiff1d(np.arange(50), index)] *= 1e9
    found = fitted(spoilt, scale, index)[index]
    np.testing.assert_array_equal(found, fitted(X, scale, index)[index])


@pytest.mark.parametrize("scale", ["minmax", "standard"])
def test_load_fits_on_the_training_part_and_applies_to_all(scale: Any) -> None:
    pair = Pair(X.tolist(), RANDOM.random(50).tolist())
    data = load(pair, validation=0.3, test=Pair([[1.0, 2.0, 3.0]], [0.5]), scale=scale)
    expected = fitted(X, scale, data.train.index)
    np.testing.assert_allclose(data.train.inputs, expected)
    assert data.train.inputs is present(data.validation).inputs
    out = np.empty((1, 3))
    data.preprocessing.scaling.apply(np.array([[1.0, 2.0, 3.0]]), out)
    np.testing.assert_array_equal(present(data.test).inputs, out)


def test_images_are_scaled_pixel_by_pixel() -> None:
    images = RANDOM.random((9, 2, 3, 4))
    found = fitted(images, "minmax")
    assert (found.min(0) == 0).all()
    assert (found.max(0) == 1).all()


@pytest.mark.parametrize("scale", [0, float("nan"), float("inf")])
def test_numbers_that_cannot_divide(scale: Any) -> None:
    told = problems(fitted, X, scale)
    assert told == [f"x: scale {scale} cannot divide; give a number other than 0"]


def test_numbers_too_close_to_fit() -> None:
    """The squares of 1e-320 are 0, and a warning is an error."""
    inputs = np.array([[0.0, 1.0], [1e-320, 2.0], [2e-320, 3.0]])
    (told,) = problems(fit_scaling, samples(inputs), np.arange(3), "standard")
    assert told.startswith("x: its numbers differ by too little for scale: standard")
    assert fitted(inputs, "minmax")[2].tolist() == [1, 1]


def test_a_divisor_beyond_the_type_of_the_numbers_is_taken_in_float64() -> None:
    out = np.empty((2, 1), np.float32)
    Scaling(0.0, 1e308).apply(np.array([[1], [2]], np.uint8), out)
    assert out.tolist() == [[0], [0]]


def test_numbers_too_large_to_fit() -> None:
    for scale in ("minmax", "standard"):
        told = problems(fitted, np.array([[1e308], [-1e308]]), scale)
        assert told == [f"x: its numbers are too large for scale: {scale}"]


def test_identity() -> None:
    assert Scaling().is_identity
    assert not Scaling(0.0, 2.0).is_identity
    assert not Scaling(np.array([0.0, 1.0]), 1.0).is_identity


def drawn(classes: Any, share: Any, seed: int = 0) -> Any:
    counts = None if classes is None else np.asarray(classes)
    size = 10 if classes is None else len(classes)
    return hold_out(share, size, counts, np.random.SeedSequence(seed), "t.csv")


@pytest.mark.parametrize(
    ("sizes", "share", "taken"),
    [
        pytest.param([50, 50, 50], 0.2, [10, 10, 10], id="even"),
        pytest.param([7, 2, 1], 0.3, [2, 1, 0], id="largest remainder"),
        pytest.param([3, 3, 3], 0.5, [2, 2, 1], id="ties go to the first"),
        pytest.param([2, 2, 2], 0.9, [1, 1, 1], id="one stays for training"),
        pytest.param([8, 1, 1], 0.5, [5, 0, 0], id="lone ones stay"),
        pytest.param([2, 1, 1], 0.7, [1, 1, 1], id="lone ones go last"),
        pytest.param([0, 4], 0.5, [0, 2], id="a class without samples"),
    ],
)
def test_shares_of_classes(sizes: list[int], share: float, taken: list[int]) -> None:
    classes = RANDOM.permutation(np.repeat(np.arange(len(sizes)), sizes))
    train, held = drawn(classes, share)
    assert np.bincount(classes[held], minlength=len(sizes)).tolist() == taken
    assert sorted([*train, *held]) == list(range(len(classes)))
    assert (np.diff(train) > 0).all()
    assert (np.diff(held) > 0).all()


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.floats(0.01, 0.99))
@settings(max_examples=200, deadline=None)
def test_shares_keep_their_promises(sizes: Any, share: Any) -> None:
    held = int(np.floor(share * sum(sizes) + 0.5))
    taken = held_per_class(share, held, sizes)
    assert all(0 <= t <= max(n - 1, min(n, 1)) for t, n in zip(taken, sizes, strict=True))
    most = sum(max(n - 1, min(n, 1)) for n in sizes)
    assert sum(taken) == min(held, most)
    if all(n != 1 for n in sizes) and all(share * n <= n - 1 for n in sizes):
        assert all(abs(t - share * n) < 1 for t, n in zip(taken, sizes, strict=True))


def test_a_seed_gives_its_split_again_and_another_seed_another() -> None:
    classes = np.repeat([0, 1, 2], 30)
    first, again, other = (drawn(classes, 0.5, seed)[1].tolist() for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_a_split_without_classes() -> None:
    train, held = drawn(None, 0.25)
    assert (len(train), len(held)) == (7, 3)


@pytest.mark.parametrize(
    ("share", "message"),
    [
        (0.01, "validation 0.01 of 10 samples leaves none for validation"),
        (0.99, "validation 0.99 of 10 samples leaves none for training"),
    ],
)
def test_an_empty_side(share: float, message: str) -> None:
    assert problems(drawn, None, share) == [f"t.csv: {message}; give another share, or a file"]


@pytest.mark.parametrize("share", [0, 1, -0.5, 20, float("nan")])
def test_what_is_no_share(share: Any) -> None:
    assert problems(drawn, None, share) == [
        f"t.csv: validation {share} is not a share between 0 and 1"
    ]
