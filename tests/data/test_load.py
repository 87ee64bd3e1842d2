"""`load` as a whole, and the mini-batches that come out of it."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncli.core.errors import DataError
from nncli.data import Pair, scaling
from nncli.data.dataset import Dataset
from tests.conftest import present
from tests.data.conftest import FLOAT32, FLOAT64, gathered, load, problems, write

RANDOM = np.random.default_rng(2)
IMAGES = RANDOM.integers(0, 256, (40, 6)).astype(np.uint8)
LABELS = np.arange(40) % 4


@pytest.fixture
def pair() -> Any:
    def save(inputs: Any) -> Any:
        np.save("x.npy", inputs)
        np.save("y.npy", LABELS)
        return Pair(Path("x.npy"), Path("y.npy"))

    return save


def test_the_whole_of_a_table() -> None:
    path = write("t.csv", "a,b,y\n" + "".join(f"{i},{i % 7},{'pq'[i % 2]}\n" for i in range(20)))
    data: Any = load(path, validation=0.2, test=path, scale=10)
    assert (len(data.train), len(data.validation), len(data.test)) == (16, 4, 20)
    assert (data.classes, data.input_shape, data.outputs) == (("p", "q"), (2,), 2)
    assert data.preprocessing.columns == ("a", "b")
    inputs, targets = gathered(data.validation)
    index = data.validation.index
    np.testing.assert_array_equal(inputs, np.column_stack([index, index % 7]) / 10)
    np.testing.assert_array_equal(targets, np.eye(2)[index % 2])


def test_a_seed_gives_the_same_data() -> None:
    path = write("t.csv", "".join(f"{i},{i % 3}\n" for i in range(60)))
    first, again, other = (
        present(
            load(path, validation=0.3, seed=np.random.SeedSequence(seed)).validation
        ).index.tolist()
        for seed in (5, 5, 6)
    )
    assert first == again
    assert first != other


def test_parts_of_one_source_share_its_arrays() -> None:
    data = load(write("t.csv", "1,0\n2,1\n3,0\n4,1\n"), validation=0.5)
    assert data.train.inputs is present(data.validation).inputs
    assert data.train.targets is present(data.validation).targets


def test_shape_makes_images_of_rows() -> None:
    data = load(write("t.csv", "1,2,3,4,5,6,0.5\n"), shape=(1, 2, 3))
    assert data.input_shape == (1, 2, 3)
    assert data.train.inputs.tolist() == [[[[1, 2, 3], [4, 5, 6]]]]
    told = problems(load, write("t.csv", "1,2,3,4,5,0\n"), shape=(1, 2, 3))
    assert told == ["t.csv: shape 1 x 2 x 3 takes 6 numbers a sample, but there are 5"]


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("block", [1 << 17, 20], ids=["one block", "many blocks"])
@pytest.mark.parametrize("scale", ["none", 255, "minmax", "standard"])
@pytest.mark.parametrize(
    "stored", ["<u1", "<i2", "<f4", ">f4", "<f8", "?"], ids=lambda stored: stored.strip("<")
)
def test_mapped_inputs_are_gathered_as_those_in_memory(
    pair: Any,
    stored: str,
    scale: int | str,
    block: int,
    dtype: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scaling, "BLOCK", block)
    raw = (IMAGES % 2 == 0) if stored == "?" else (IMAGES % 100).astype(stored)
    raw[:, 0] = raw[0, 0]
    mapped: Any = load(pair(raw), validation=0.25, scale=scale, shape=(1, 2, 3), dtype=dtype)
    np.savez("d.npz", x=raw, y=LABELS)
    memory: Any = load(Path("d.npz"), validation=0.25, scale=scale, shape=(1, 2, 3), dtype=dtype)
    assert isinstance(mapped.train.inputs, np.memmap)
    assert memory.train.scaling is None
    for lazy, plain in ((mapped.train, memory.train), (mapped.validation, memory.validation)):
        assert lazy.index.tolist() == plain.index.tolist()
        inputs, targets = gathered(lazy, dtype)
        np.testing.assert_array_equal(inputs, plain.inputs[plain.index])
        np.testing.assert_array_equal(targets, plain.targets[plain.index])
        np.testing.assert_array_equal(inputs, gathered(plain, dtype)[0])


def test_mapped_inputs_of_the_right_type_need_no_scaling(pair: Any) -> None:
    data = load(pair(IMAGES.astype(np.float32)), dtype=FLOAT32)
    assert data.train.scaling is None
    assert isinstance(data.train.inputs, np.memmap)


def test_gathering_writes_straight_into_its_outputs() -> None:
    source = Dataset(np.ones((1000, 400)), np.ones((1000, 300)), np.arange(1000))
    inputs, targets = np.empty((1000, 400)), np.empty((1000, 300))
    tracemalloc.start()
    source.gather(source.index, inputs, targets)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000 < inputs.nbytes
    assert (inputs == 1).all()
    assert (targets == 1).all()


def test_gathering_takes_rows_of_the_source_in_the_order_given() -> None:
    source = Dataset(np.arange(5.0)[:, None], np.eye(5), np.array([3, 4]))
    inputs, targets = np.empty((3, 1)), np.empty((3, 5))
    source.gather(np.array([4, 0, 4]), inputs, targets)
    assert (len(source), inputs.ravel().tolist()) == (2, [4, 0, 4])
    np.testing.assert_array_equal(targets, np.eye(5)[[4, 0, 4]])


@pytest.mark.parametrize("scale", ["none", 2, "minmax", "standard"])
@pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "in memory"])
@pytest.mark.parametrize("bad", ["nan", "inf"])
def test_values_that_are_not_finite(pair: Any, scale: int | str, mapped: bool, bad: str) -> None:
    images = RANDOM.random((40, 2, 3))
    images[17, 1, 2] = float(bad)
    source = pair(images)
    if not mapped:
        np.savez("x.npz", x=images, y=LABELS)
        source = Path("x.npz")
    name = "x.npy" if mapped else "x.npz: x"
    told = problems(load, source, scale=scale)
    assert told == [f"{name}: element [17, 1, 2]: {bad} is not a finite number"]


@pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "in memory"])
def test_values_too_large_for_the_type(pair: Any, mapped: bool) -> None:
    images = np.ones((40, 2))
    images[3, 1] = 1e300
    source = pair(images) if mapped else Pair(images.tolist(), LABELS.tolist())
    name = "x.npy" if mapped else "inputs"
    told = problems(load, source, dtype=FLOAT32)
    assert told == [f"{name}: element [3, 1]: 1e+300 is too large for float32"]
    assert load(source, dtype=FLOAT64).outputs == 4


def test_values_too_large_once_scaled() -> None:
    told = problems(load, Pair([[1.0], [1e30]], [0, 1]), dtype=FLOAT32, scale=1e-20)
    assert told == ["inputs: element [1, 0]: 1e+30 is too large for float32 once it is scaled"]


def test_too_large_a_value_of_a_table_is_told_by_its_row_even_in_an_image() -> None:
    path = write("t.csv", "a,b,y\n1,2,0\n1,1e300,1\n")
    told = problems(load, path, dtype=FLOAT32, shape=(1, 1, 2))
    assert told == ["t.csv: row 3, column 2 (b): 1e+300 is too large for float32"]


def test_targets_that_are_not_finite() -> None:
    np.savez("d.npz", x=np.ones((3, 1)), y=np.array([0.5, np.nan, 1e300]))
    assert problems(load, Path("d.npz"), dtype=FLOAT32) == [
        "d.npz: y: element [1]: nan is not a finite number",
        "d.npz: y: element [2]: 1e+300 is too large for float32",
    ]


def test_sources_that_do_not_fit_each_other() -> None:
    train = write("t.csv", "a,b,y\n1,2,0\n3,4,1\n")
    wide = write("v.csv", "1,2,3,0\n")
    assert problems(load, train, validation=wide) == [
        "v.csv: validation has 3 inputs a sample, but t.csv has 2 inputs"
    ]
    narrow = write("v.csv", "A,b,y\n1,2,0\n")
    assert problems(load, train, validation=narrow) == [
        "v.csv: lacks the column 'a', which the training data have"
    ]
    vectors = Pair([[1.0, 2.0]], [[0.5, 0.5]])
    assert problems(load, Pair([[1.0, 2.0]], [0.5]), test=vectors) == [
        "targets: has 2 targets a sample, but the training data have 1"
    ]


TABLE = "a,b,y\n1,2,0\n3,4,1\n5,6,2\n7,8,0\n"


@pytest.mark.parametrize(
    ("options", "key"),
    [
        pytest.param({"target": "z"}, "target", id="no such column"),
        pytest.param({"target": "z", "header": False}, "target", id="no header"),
        pytest.param({"target": 3}, "target", id="index out of range"),
        pytest.param({"target": [0, "a"]}, "target", id="target twice"),
        pytest.param({"target": [0, 1, 2]}, "target", id="no inputs left"),
        pytest.param({"shape": (1, 2, 2)}, "shape", id="shape"),
        pytest.param({"classes": 2}, "classes", id="more labels than classes"),
        pytest.param({"classes": ("p", "q")}, "classes", id="more labels than names"),
        pytest.param({"classes": 2, "target": [0, 1]}, "classes", id="classes of two columns"),
        pytest.param({"validation": 0.01}, "validation", id="share"),
        pytest.param({"scale": 0.0}, "scale", id="scale"),
    ],
)
def test_the_key_of_the_spec_that_is_to_blame(options: Any, key: str) -> None:
    with pytest.raises(DataError) as caught:
        load(write("t.csv", TABLE), **options)
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("content", "options", "key"),
    [
        pytest.param("a,y\n1,x\n2,x\n", {}, "target", id="one class"),
        pytest.param("a,y\n", {"header": True}, "header", id="header alone"),
        pytest.param("1,y\nz,2\n", {}, None, id="mistake in the file"),
        pytest.param("", {}, None, id="empty file"),
        pytest.param("1,0\n2,1\n" * 30 + "1,0.5\n", {}, None, id="slip"),
    ],
)
def test_the_key_that_a_file_is_to_be_read_by(content: str, options: Any, key: Any) -> None:
    with pytest.raises(DataError) as caught:
        load(write("t.csv", content), **options)
    assert caught.value.key == key


LISTS = Pair([[1, 2], [3, 4]], [0, 1])


@pytest.mark.parametrize(
    ("sources", "key"),
    [
        pytest.param({"train": Pair([[1, 1e39], [3, 4]], [0, 1])}, "train", id="inputs"),
        pytest.param({"train": Pair([[1], [2]], [[1e39, 1], [1, 2]])}, "train", id="targets"),
        pytest.param({"train": Pair([[1, 2], [3]], [0, 1])}, "train", id="ragged"),
        pytest.param({"train": Pair([[1], [2]], ["a", "a"])}, "train", id="one class"),
        pytest.param({"test": Pair([[1, 1e39]], [0])}, "test", id="inputs for testing"),
        pytest.param({"validation": Pair([[1, 2]], [5])}, "validation", id="another class"),
        pytest.param({"validation": Pair([[1, 2, 3]], [1])}, "validation", id="other inputs"),
        pytest.param({"test": Path("none.csv")}, None, id="a file"),
    ],
)
def test_lists_of_the_spec_are_blamed_by_the_key_that_has_them(sources: Any, key: Any) -> None:
    with pytest.raises(DataError) as caught:
        load(**{"train": LISTS, "dtype": FLOAT32, **sources})
    assert caught.value.key == key


def test_where_the_training_data_fit_the_other_source_is_to_blame() -> None:
    train = write("t.csv", TABLE)
    for other in ("a,b,z\n1,2,0\n", "a,c,y\n1,2,0\n", "a,b,y\n1,2,9\n"):
        with pytest.raises(DataError) as caught:
            load(train, target="y", test=write("o.csv", other))
        assert caught.value.key == "test"


LAST = np.arange(2 * 4 * 4 * 3).reshape(2, 4, 4, 3)


def test_a_shape_that_would_mix_up_axes_is_refused_with_the_transpose() -> None:
    np.save("x.npy", LAST)
    told = problems(load, Pair(Path("x.npy"), [0, 1]), shape=(3, 4, 4))
    assert told == [
        "x.npy: its samples are 4 x 4 x 3, and shape 3 x 4 x 4 would mix up their axes; save the "
        "array as x.transpose(0, 3, 1, 2)"
    ]
    np.save("x.npy", LAST.reshape(2, 12, 4))
    told = problems(load, Pair(Path("x.npy"), [0, 1]), shape=(3, 4, 4))
    assert told[0].endswith("; if that is what is meant, save the array as x.reshape(-1, 3, 4, 4)")
    np.save("x.npy", LAST.reshape(2, 48))
    assert load(Pair(Path("x.npy"), [0, 1]), shape=(3, 4, 4)).input_shape == (3, 4, 4)


def test_validation_data_of_other_axes_are_refused_with_the_transpose() -> None:
    np.save("x.npy", LAST.transpose(0, 3, 1, 2))
    np.save("last.npy", LAST)
    train, other = (Pair(Path(name), [0, 1]) for name in ("x.npy", "last.npy"))
    assert problems(load, train, validation=other) == [
        "last.npy: validation has an image of 4 x 4 x 3 a sample, but x.npy has an image of "
        "3 x 4 x 4; save the array as x.transpose(0, 3, 1, 2)"
    ]
