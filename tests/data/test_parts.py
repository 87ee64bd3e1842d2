"""Samples in several files by a pattern, against the same samples in one array."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nncli.app.pipeline import prepare
from nncli.app.train import train
from nncli.data import Pair
from nncli.data.readers import arrays, parts
from nncli.data.readers.parts import Parts
from nncli.spec import parse_spec
from tests.data.conftest import FLOAT32, load, problems

RANDOM = np.random.default_rng(7)
INPUTS = RANDOM.integers(0, 256, (60, 2, 3)).astype(np.uint8)
LABELS = np.arange(60) % 3
LENGTHS = (5, 1, 20, 9, 3, 2, 4, 6, 2, 1, 7)  # of files 0 to 10: the tenth comes after the second
PATTERNS = Pair(Path("x-*.npy"), Path("y-*.npy"))
SPEC = """\
seed: 3
data: {train: {inputs: x-*.npy, targets: y-*.npy}, validation: 0.2, scale: 255}
network: [{type: dense, units: 4}, {type: dense, units: 3}]
train: {eta: 2, epochs: 2, batch_size: 7}
"""


def save(inputs: NDArray[Any] = INPUTS, labels: NDArray[Any] = LABELS) -> None:
    start = 0
    for i, length in enumerate(LENGTHS):
        np.save(f"x-{i}.npy", inputs[start : start + length])
        np.save(f"y-{i}.npy", labels[start : start + length])
        start += length
    np.save("x.npy", inputs)
    np.save("y.npy", labels)


@pytest.fixture(params=["small", "large"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Files that are joined, and files whose rows are read; of these few are open at a time."""
    if request.param == "large":
        monkeypatch.setattr(arrays, "SMALL", 0)
        monkeypatch.setattr(parts, "MOST_OPEN", 3)
    return str(request.param)


@pytest.mark.parametrize("scale", ["none", 255, "standard"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, bool])
def test_rows_are_those_of_the_array(size: str, dtype: Any, scale: Any) -> None:
    save(INPUTS > 100 if dtype is bool else INPUTS.astype(dtype))
    found = load(PATTERNS, scale=scale, dtype=FLOAT32, validation=0.2)
    whole = load(Pair(Path("x.npy"), Path("y.npy")), scale=scale, dtype=FLOAT32, validation=0.2)
    assert (Parts.of(found.train.inputs) is not None) == (size == "large")
    for rows in (RANDOM.permutation(60)[:40], np.arange(60), np.arange(3, 29), np.array([59])):
        got, wanted = (
            [np.empty((len(rows), *n), FLOAT32) for n in ((1, 2, 3), (3,))] for _ in "ab"
        )
        found.train.gather(rows, *got)
        whole.train.gather(rows, *wanted)
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(one, other)
    assert found.train.checksum is not None
    assert whole.train.checksum is not None
    assert found.train.checksum() == whole.train.checksum()
    assert found.train.index.tolist() == whole.train.index.tolist()


def test_a_training_has_the_bits_of_one_on_the_joined_files(size: str) -> None:
    save()
    one = train(parse_spec(SPEC))
    joined = {"inputs": "x.npy", "targets": "y.npy"}
    other = train(
        parse_spec(SPEC, overrides=[f"data.train={joined}", "train.shuffle=blocks"]),
    )
    assert one.network.parameters.tobytes() == other.network.parameters.tobytes()


def test_several_files_are_shuffled_by_blocks() -> None:
    save()
    plan = prepare(parse_spec(SPEC)).plan
    assert plan.block == (1 << 18) // 6
    assert prepare(parse_spec(SPEC, overrides=["train.shuffle=true"])).plan.block is None
    plan, index = plan._replace(block=2), np.arange(1000) * 3
    order = plan.order(index, 1)
    assert sorted(order.tolist()) == index.tolist()
    # A window of 64 blocks holds these and no others, each of two that are neighbours.
    for start in range(0, 1000, 128):
        window = set(order[start : start + 128].tolist())
        assert all({row // 6 * 6, row // 6 * 6 + 3} <= window for row in window)
    moved = np.abs(np.diff(order[:128] // 6))
    assert (moved <= 1).mean() < 0.1  # within it, the samples are mixed
    assert order.tolist() == plan.order(index, 1).tolist() != plan.order(index, 2).tolist()


def test_mistakes_are_told_file_by_file(size: str) -> None:
    save()
    np.save("x-3.npy", INPUTS[:9, :, :2])
    np.save("x-5.npy", INPUTS[:2].astype(np.float32))
    Path("x-7.npy").write_text("no array")
    assert problems(load, PATTERNS) == [
        r"x-7.npy: is not a NumPy array: it does not begin with \x93NUMPY",
        "x-3.npy: has 1 x 2 x 2 uint8 a sample, but x-0.npy has 1 x 2 x 3 uint8",
        "x-5.npy: has 1 x 2 x 3 float32 a sample, but x-0.npy has 1 x 2 x 3 uint8",
    ]


def test_files_that_are_no_pairs() -> None:
    save()
    os.rename("y-4.npy", "y-04.npy")
    np.save("y-2.npy", LABELS[:19])
    assert problems(load, PATTERNS) == [
        "x-4.npy: has no targets beside it: there is no file 'y-4.npy'",
        "y-04.npy: has no inputs beside it: there is no file 'x-04.npy'",
    ]
    os.rename("y-04.npy", "y-4.npy")
    told = ["y-2.npy: has targets for 19 samples, but x-2.npy has inputs for 20"]
    assert problems(load, PATTERNS) == told
    (told_counts,) = problems(load, Pair(Path("x-*.npy"), Path("y-?.*py")))
    assert told_counts == "y-?.*py: names 10, but x-*.npy names 11 files of inputs"


def test_values_are_told_by_their_file(size: str) -> None:
    inputs = INPUTS.astype(np.float32)
    inputs[7, 1, 2] = np.nan
    save(inputs)
    assert problems(load, PATTERNS) == ["x-2.npy: element [1, 1, 2]: nan is not a finite number"]
    save(labels=np.where(np.isin(np.arange(60), (6, 40)), 9, LABELS))
    assert problems(load, PATTERNS, classes=3) == [
        "y-2.npy: element [0]: '9' is not a class; the classes are 0 to 2; the same in sample 40"
    ]


def test_other_files_by_a_pattern() -> None:
    Path("t-1.csv").write_text("1,2\n")
    (told,) = problems(load, Pair(Path("t-*.csv"), Path("t-*.csv")))
    assert told.startswith("t-1.csv: a pattern (t-*.csv) names .npy files of inputs")
    assert problems(load, Pair(Path("q-*.npy"), Path("t-*.csv"))) == ["q-*.npy: names no file"]


def test_a_file_whose_name_has_a_wildcard() -> None:
    np.save("x*.npy", INPUTS)
    np.save("y-1.npy", LABELS)
    np.save("x-1.npy", INPUTS[:3])
    assert len(load(Pair(Path("x*.npy"), Path("y-1.npy"))).train) == 60
