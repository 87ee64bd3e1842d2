import gzip
import io
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nncli.data import Pair, read_source, read_values, read_whole_npz, samples
from nncli.data.readers import arrays, files
from nncli.data.readers.arrays import read_npz
from tests.conftest import present
from tests.data.conftest import load, problems, told_if_any, write

X = np.arange(6.0).reshape(3, 2)
Y = np.array([0, 1, 0])
FEW = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def saved(name: Any, array: Any, **options: Any) -> Path:
    np.save(name, array, **options)
    return Path(name)


def idx_bytes(array: Any, code: int = 0x08, dtype: str = ">u1") -> Any:
    head = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(dtype).tobytes()


def inputs_of(path: Any) -> Any:
    return read_source(path, with_targets=False).inputs


def test_npy_is_mapped_and_not_read() -> None:
    inputs = inputs_of(saved("x.npy", X))
    assert isinstance(inputs, np.memmap)
    assert not inputs.flags.writeable
    np.testing.assert_array_equal(inputs, X)


def test_npy_stored_by_column_is_read_when_small_and_refused_when_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = saved("x.npy", np.asfortranarray(X))
    inputs = inputs_of(path)
    assert inputs.flags.c_contiguous
    np.testing.assert_array_equal(inputs, X)
    monkeypatch.setattr(arrays, "COPY_LIMIT", 1)
    assert "save np.ascontiguousarray(array)" in problems(inputs_of, path)[0]


@pytest.mark.parametrize(
    ("shape", "seen"),
    [
        pytest.param((5, 6), (6,), id="features"),
        pytest.param((5, 4, 6), (1, 4, 6), id="images of one channel"),
        pytest.param((5, 3, 4, 6), (3, 4, 6), id="images"),
    ],
)
def test_dimensions_of_inputs(shape: tuple[int, ...], seen: tuple[int, ...]) -> None:
    assert inputs_of(saved("x.npy", np.zeros(shape))).shape[1:] == seen


@pytest.mark.parametrize("shape", [(5,), (5, 1, 1, 1, 1)], ids=["one", "five"])
def test_dimensions_that_are_no_inputs(shape: tuple[int, ...]) -> None:
    told = problems(inputs_of, saved("x.npy", np.zeros(shape)))
    assert told[0].startswith("x.npy: inputs must be samples x features, samples x rows x columns")
    assert f"not {len(shape)} dimension" in told[0]


@pytest.mark.parametrize(
    ("targets", "kind", "shape"),
    [
        pytest.param(np.array([1, 0, 1]), "i", (3,), id="integers"),
        pytest.param(np.array([[1], [0], [1]], np.uint8), "u", (3,), id="column of integers"),
        pytest.param(np.array([True, False, True]), "i", (3,), id="booleans"),
        pytest.param(np.array(["a", "b", "a"]), "U", (3,), id="text"),
        pytest.param(np.array([b"a", b"b", b"a"]), "U", (3,), id="bytes"),
        pytest.param(np.array([1.0, 0.0, 1.0]), "f", (3, 1), id="floats"),
        pytest.param(np.zeros((3, 2), int), "i", (3, 2), id="several integers"),
    ],
)
def test_kinds_of_targets(targets: Any, kind: str, shape: tuple[int, ...]) -> None:
    found = read_source(Pair(saved("x.npy", X), saved("y.npy", targets))).targets
    assert (present(found).dtype.kind, present(found).shape) == (kind, shape)
    assert not isinstance(found, np.memmap)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["plain", "compressed"])
def test_npz(save: Any) -> None:
    save("d.npz", x=X, y=Y)
    samples = read_source(Path("d.npz"))
    np.testing.assert_array_equal(samples.inputs, X)
    np.testing.assert_array_equal(samples.targets, Y)
    assert read_source(Path("d.npz"), with_targets=False).targets is None


def test_all_arrays_of_an_npz_in_its_order() -> None:
    given: dict[str, Any] = {
        "b": X,
        "a": np.float32(3),
        "c": np.array("text"),
        "d": np.zeros((2, 0)),
    }
    np.savez("w.npz", **given)
    read = read_whole_npz(Path("w.npz"))
    assert list(read) == ["b", "a", "c", "d"]
    for name, array in given.items():
        assert read[name].shape == array.shape
        np.testing.assert_array_equal(read[name], array)


def test_members_that_are_harmless_each_but_not_together() -> None:
    zeros: dict[str, Any] = {f"a{k}": np.zeros(1_500_000) for k in range(2)}
    np.savez_compressed("w.npz", **zeros)
    assert len(read_npz(Path("w.npz"), ["a0"])) == 1
    (problem,) = problems(read_whole_npz, Path("w.npz"))
    assert "refused as a decompression bomb" in problem


def test_npz_without_its_arrays() -> None:
    np.savez("d.npz", x=X, labels=Y)
    more = "of other names, give {inputs: d.npz#..., targets: d.npz#...}"
    assert problems(read_source, Path("d.npz")) == [
        f"d.npz: needs y beside x; it holds 'x', 'labels'; {more}"
    ]
    np.savez("d.npz", a=X, labels=Y)
    assert problems(read_source, Path("d.npz")) == [
        f"d.npz: needs x and y; it holds 'a', 'labels'; {more}"
    ]


@pytest.mark.parametrize(
    ("names", "part"),
    [
        (("X", "y"), "train"),
        (("X", "Y"), "test"),
        (("x_train", "y_train"), "train"),
        (("X_train", "Y_train"), "train"),
        (("x_test", "y_test"), "test"),
        (("x_val", "y_val"), "validation"),
        (("x_valid", "y_valid"), "validation"),
    ],
)
def test_names_that_people_give_the_arrays_of_npz(names: tuple[str, str], part: str) -> None:
    other = {"x": X + 1, "y": Y} if part == "test" and names[0] != "X" else {}
    arrays: dict[str, Any] = {names[0]: X, names[1]: Y, **other}
    np.savez("d.npz", **arrays)
    samples = read_source(Path("d.npz"), part=part)
    assert np.array_equal(samples.inputs, X)
    assert np.array_equal(present(samples.targets), Y)
    if "_" in names[0] and not other:  # of which part is not to be guessed
        assert "needs x and y" in problems(read_source, Path("d.npz"))[0]


def test_one_file_for_training_and_test() -> None:
    np.savez("d.npz", x_train=X, y_train=Y, x_test=X[:1] + 1, y_test=Y[:1])
    data = load(Path("d.npz"), test=Path("d.npz"))
    assert len(data.train) == len(X)
    assert data.test is not None
    assert np.array_equal(data.test.inputs, X[:1] + 1)


def test_an_array_of_a_file_by_its_name() -> None:
    np.savez("d.npz", pixels=X, kinds=Y)
    samples = read_source(Pair(Path("d.npz#pixels"), Path("d.npz#kinds")))
    assert np.array_equal(samples.inputs, X)
    assert np.array_equal(present(samples.targets), Y)
    assert problems(read_source, Pair(Path("d.npz#pixel"), Path("d.npz#kinds"))) == [
        "d.npz: holds no array 'pixel'; did you mean 'pixels'?"
    ]


def test_pickled_arrays_are_refused() -> None:
    path = saved("x.npy", np.array([[1, None]]), allow_pickle=True)
    message = "holds pickled Python objects, which are never read"
    assert problems(inputs_of, path) == [f"x.npy: {message}"]
    np.savez("d.npz", x=X, y=np.array([None, 1, 2]))
    assert problems(read_source, Path("d.npz")) == [f"d.npz: y: {message}"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "is not a NumPy array: it does not begin with \\x93NUMPY", id="empty"),
        pytest.param(b"1,2\n3,4\n", "is not a NumPy array", id="text"),
        pytest.param(b"\x93NUMPY", "is damaged, or of a .npy format later", id="magic alone"),
        pytest.param(b"\x93NUMPY\x09\0\0\0", "is damaged, or of a .npy format later", id="version"),
        pytest.param(b"\x93NUMPY\x01\0\x99", "is cut short within its header", id="length"),
        pytest.param(b"\x93NUMPY\x01\0\x99\0{", "is cut short within its header", id="header"),
        pytest.param(
            b"\x93NUMPY\x02\0\xff\xff\xff\xff",
            "is damaged: its header would be 4,294,967,295 bytes long",
            id="long header",
        ),
        pytest.param(
            b"\x93NUMPY\x01\0\x04\0((((", "is damaged: its header cannot be read", id="no literal"
        ),
        pytest.param(
            b"\x93NUMPY\x01\0\x04\0[{}]",
            "is damaged: its header cannot be read",
            id="other literal",
        ),
    ],
)
def test_damaged_npy(content: bytes, message: str) -> None:
    (told,) = problems(inputs_of, write("x.npy", content))
    assert told.startswith(f"x.npy: {message}")


def test_npy_of_another_length_than_its_header_says() -> None:
    path = saved("x.npy", X)
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    assert problems(inputs_of, path) == [
        "x.npy: its header promises 48 bytes of data (3 x 2, float64), but it holds 40"
    ]
    path.write_bytes(whole + b"\0")
    assert problems(inputs_of, path)[0].endswith(
        "48 bytes of data (3 x 2, float64), but it holds 49"
    )
    path.write_bytes(whole.replace(b"(3, 2)", b"(9**99"))
    assert problems(inputs_of, path) == ["x.npy: is damaged: its header cannot be read"]


def test_npy_of_other_types() -> None:
    assert problems(inputs_of, saved("x.npy", X * 1j)) == [
        "x.npy: holds '<c16'; it must be plain numbers or text"
    ]
    assert problems(inputs_of, saved("x.npy", np.array([["a"]]))) == [
        "x.npy: inputs must be numbers, not text"
    ]
    assert problems(inputs_of, saved("x.npy", np.zeros(2, [("a", "f4")])))[0].startswith(
        "x.npy: holds \"[('a', '<f4')]\""
    )


def test_empty_arrays() -> None:
    told = problems(inputs_of, saved("x.npy", np.zeros((0, 4))))
    assert told == ["x.npy: holds no samples (its shape is 0 x 4)"]


@pytest.mark.parametrize("cut", [0, 10, 100, -1, -30])
def test_damaged_npz(cut: int) -> None:
    np.savez_compressed("d.npz", x=X, y=Y)
    path = Path("d.npz")
    path.write_bytes(path.read_bytes()[:cut])
    assert problems(read_source, path) == ["d.npz: is not an .npz file, or is damaged"]


def test_npz_with_damage_within() -> None:
    np.savez_compressed("d.npz", x=np.random.default_rng(0).random((99, 9)), y=np.zeros(99))
    path = Path("d.npz")
    content = bytearray(path.read_bytes())
    content[300:340] = bytes(40)
    path.write_bytes(content)
    assert problems(read_source, path)[0].startswith("d.npz: is ")


def test_npz_whose_header_promises_more_than_it_holds() -> None:
    buffer = io.BytesIO()
    np.save(buffer, X)
    with zipfile.ZipFile("d.npz", "w") as archive:
        content = buffer.getvalue().replace(b"(3, 2), }      ", b"(3000000, 2), }")
        archive.writestr("x.npy", content)
    assert problems(inputs_of, Path("d.npz")) == [
        "d.npz: x: its header promises 48,000,000 bytes of data (3000000 x 2, float64), "
        "but it holds 48"
    ]


@pytest.mark.parametrize(
    ("code", "dtype"),
    [(0x08, ">u1"), (0x09, ">i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")],
    ids=["ubyte", "byte", "short", "int", "float", "double"],
)
@pytest.mark.parametrize("name", ["x-idx2-ubyte", "x.idx", "x.idx.gz", "unnamed", "unnamed.gz"])
def test_idx_types_and_names(code: int, dtype: str, name: str) -> None:
    array = np.array([[1, 2, 3], [100, 5, 6]])
    inputs = inputs_of(write(name, idx_bytes(array, code, dtype)))
    assert inputs.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(inputs, array)


def test_idx_images_and_labels() -> None:
    images = np.arange(24).reshape(2, 3, 4)
    pair = Pair(
        write("i-idx3-ubyte.gz", idx_bytes(images)),
        write("l-idx1-ubyte", idx_bytes(np.array([7, 3]))),
    )
    data = load(pair)
    assert (data.input_shape, data.classes) == ((1, 3, 4), ("3", "7"))
    np.testing.assert_array_equal(data.train.inputs[:, 0], images)
    assert data.train.targets.tolist() == [[0, 1], [1, 0]]


GOOD = idx_bytes(np.arange(24).reshape(2, 3, 4))


@pytest.mark.parametrize("suffix", ["", ".gz"], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            GOOD[:-1], "its header promises 24 bytes (2 x 3 x 4), but the file holds 23", id="short"
        ),
        pytest.param(GOOD[:9], "is cut short within its header", id="short header"),
        pytest.param(b"", "is empty; an IDX file is needed", id="empty"),
        pytest.param(b"\0\0\x07\x01\0\0\0\0", "is not IDX: it begins with 0x00000701", id="type"),
        pytest.param(idx_bytes(np.zeros((0, 3))), "holds no samples", id="no samples"),
        pytest.param(idx_bytes(np.zeros((1,) * 9)), "has 9 dimensions", id="dimensions"),
    ],
)
def test_damaged_idx(content: Any, message: str, suffix: str) -> None:
    (told,) = problems(inputs_of, write(f"x-idx3-ubyte{suffix}", content))
    assert told.startswith(f"x-idx3-ubyte{suffix}: {message}")


def test_idx_with_more_than_its_header_promises() -> None:
    heading = "its header promises 24 bytes (2 x 3 x 4), but the file holds"
    plain = write("x-ubyte", GOOD + b"abc")
    assert problems(inputs_of, plain) == [f"x-ubyte: {heading} 27"]
    zipped = write("x-ubyte.gz", GOOD + b"abc")
    assert problems(inputs_of, zipped) == [f"x-ubyte.gz: {heading} more than 24"]


def test_idx_that_promises_the_moon_takes_no_memory() -> None:
    head = bytes([0, 0, 0x0E, 3]) + struct.pack(">3I", *[2**32 - 1] * 3)
    (told,) = problems(inputs_of, write("x.idx", head))
    assert "promises 633,825,299,671,230,613,230,571,356,160 bytes" not in told
    assert told.endswith("(4294967295 x 4294967295 x 4294967295), but the file holds 0")
    (told,) = problems(inputs_of, write("x.idx.gz", head))
    assert "bytes of gzip cannot hold above" in told


def test_a_gzip_bomb_of_idx_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "RATIO_FROM", 1 << 20)
    monkeypatch.setattr(arrays, "read_upto", None)
    path = write("x.idx.gz", idx_bytes(np.zeros((4000, 1000), np.uint8)))
    assert problems(inputs_of, path) == [
        "x.idx.gz: expands to more than 200 times its size; refused as a decompression bomb"
    ]


def test_a_zip_bomb_that_lies_about_its_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "RATIO_FROM", 1 << 20)
    np.savez_compressed("d.npz", x=np.zeros((4000, 1000), np.uint8))
    content = bytearray(Path("d.npz").read_bytes())
    # What the directory at the end says of its stored size.
    struct.pack_into("<I", content, content.rfind(b"PK\x01\x02") + 20, 4_000_000)
    path = write("d.npz", bytes(content))
    assert problems(arrays.read_npz, path, ["x"]) == [
        "d.npz: expands to more than 200 times its size; refused as a decompression bomb"
    ]


def test_gzip_of_idx_cut_short() -> None:
    path = write("x-ubyte.gz", idx_bytes(np.random.default_rng(0).integers(0, 256, (50, 50))))
    path.write_bytes(path.read_bytes()[:-400])
    assert problems(inputs_of, path) == ["x-ubyte.gz: is cut short: the gzip data do not end"]


def test_idx_is_not_decompressed_beyond_its_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("x-ubyte.gz", GOOD + bytes(10_000_000))
    asked = []

    def watched(stream: Any, limit: Any) -> Any:
        asked.append(limit)
        return stream.read(limit)

    monkeypatch.setattr(arrays, "read_upto", watched)
    problems(inputs_of, path)
    assert asked == [25]


@pytest.mark.parametrize(
    ("inputs", "targets", "kind"),
    [
        pytest.param([[0, 1], [1, 1]], [0, 1], "i", id="classes"),
        pytest.param([[0.5, 1], [1, 1]], [[0.5], [1]], "f", id="vector"),
        pytest.param([[0, 1], [1, 1]], ["no", "yes"], "U", id="words"),
    ],
)
def test_lists(inputs: Any, targets: Any, kind: str) -> None:
    samples = read_source(Pair(inputs, targets))
    assert samples.inputs.tolist() == inputs
    assert present(samples.targets).tolist() == targets
    assert present(samples.targets).dtype.kind == kind


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        pytest.param(
            [[1, 2], [3]], "inputs: element [1]: has 1 element, but the first has 2", id="ragged"
        ),
        pytest.param(
            [[1, 2], 3],
            "inputs: element [1]: '3' is not a list, where the first element is one",
            id="number for row",
        ),
        pytest.param(
            [1, [3]],
            "inputs: element [1]: is a list, where the first element is a number",
            id="row for number",
        ),
        pytest.param([[1, None]], "inputs: element [0, 1]: 'None' is not a number", id="null"),
        pytest.param([[1, True]], "inputs: element [0, 1]: 'True' is not a number", id="boolean"),
        pytest.param(
            [[1, 10**400]],
            "inputs: element [0, 1]: the integer is too large for a number",
            id="huge",
        ),
        pytest.param([[1, "a"]], "inputs: mixes numbers and text", id="mixed"),
        pytest.param([["a", "b"]], "inputs: inputs must be numbers, not text", id="text"),
        pytest.param([], "inputs: holds no samples", id="empty"),
        pytest.param([[]], "inputs: holds no samples", id="empty row"),
        pytest.param(
            [1, 2],
            "inputs: inputs must be samples x features, samples x rows x columns or "
            "samples x channels x rows x columns, not 1 dimension (2)",
            id="flat",
        ),
        pytest.param(
            [[[[[1]]]]], "inputs: lists are nested 5 deep; at most 4 are known", id="deep"
        ),
    ],
)
def test_mistakes_in_lists(inputs: Any, message: str) -> None:
    assert problems(read_source, Pair(inputs, [0, 1])) == [message]


def test_tables_as_halves_of_a_pair() -> None:
    inputs = write("x.csv", "a,b\n1,2\n3,4\n5,6\n")
    for text in ("cat\ndog\ncat\n", "species\ncat\ndog\ncat\n"):
        samples = read_source(Pair(inputs, write("y.csv", text)))
        assert samples.columns == ("a", "b")
        assert present(samples.targets).tolist() == ["cat", "dog", "cat"]
    assert present(read_source(Pair(inputs, write("y.csv", "y\n1\n2\n1\n"))).targets).tolist() == [
        1,
        2,
        1,
    ]


def test_halves_of_different_lengths() -> None:
    pair = Pair(saved("x.npy", X), saved("y.npy", Y[:2]))
    assert problems(read_source, pair) == [
        "y.npy: has targets for 2 samples, but x.npy has inputs for 3"
    ]
    assert problems(read_source, Pair([[1], [2]], [3])) == [
        "targets: has targets for 1 sample, but inputs has inputs for 2"
    ]


def test_sources_of_the_wrong_form() -> None:
    path = saved("x.npy", X)
    assert problems(read_source, path) == [
        "x.npy: holds one array only; give {inputs: ..., targets: ...}, with a file for each"
    ]
    assert problems(read_source, Pair(path)) == ["x.npy: has no targets; give targets: ... too"]
    assert problems(read_source, Pair(path, Path("none.npy"))) == ["none.npy: no such file"]
    np.savez("d.npz", x=X, y=Y)
    (told,) = problems(read_source, Pair(path, Path("d.npz")))
    assert told.startswith(
        "d.npz: .npz holds several arrays; give its path alone where they are x and y"
    )


@given(
    hnp.arrays(
        hnp.integer_dtypes(endianness="?") | hnp.floating_dtypes(sizes=(32, 64), endianness="?"),
        hnp.array_shapes(min_dims=2, max_dims=4, max_side=4),
    ),
    st.booleans(),
)
@FEW
def test_arrays_written_read_back_equal(array: Any, compressed: Any) -> None:
    seen = array[:, None] if array.ndim == 3 else array
    np.testing.assert_array_equal(inputs_of(saved("x.npy", array)), seen)
    (np.savez_compressed if compressed else np.savez)("d.npz", x=array)
    np.testing.assert_array_equal(inputs_of(Path("d.npz")), seen)


@given(st.integers(0, 200), st.binary(max_size=4), st.sampled_from(["x.npy", "d.npz", "x.idx.gz"]))
@FEW
def test_damage_gives_samples_or_a_data_error(start: Any, noise: Any, name: Any) -> None:
    np.save("x.npy", X)
    np.savez_compressed("d.npz", x=X)
    Path("x.idx.gz").write_bytes(gzip.compress(GOOD, mtime=0))
    content = Path(name).read_bytes()
    Path(name).write_bytes(content[:start] + noise + content[start + len(noise) :])
    assert all(problem.startswith(f"{name}: ") for problem in told_if_any(inputs_of, Path(name)))


def npy_bytes(shape: Any, descr: str = "<f8", content: bytes = b"") -> Any:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + content


@pytest.mark.parametrize(
    "shape",
    [
        "(0,9223372036854775807)",
        "(0,9223372036854775807,4)",
        "(9223372036854775807,0)",
        f"({'9' * 4000},{'9' * 4000})",
    ],
    ids=["vectors", "images", "no values", "beyond all printing"],
)
def test_npy_header_of_a_shape_that_no_array_can_have(shape: str) -> None:
    told = problems(inputs_of, write("x.npy", npy_bytes(shape)))
    assert told == ["x.npy: is damaged: no array can be as large as its header says"]


def test_npy_of_text_without_width() -> None:
    (told,) = problems(inputs_of, write("x.npy", npy_bytes("(9223372036854775807,)", "<U0")))
    assert told == "x.npy: holds '<U0'; it must be plain numbers or text"


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("code", [0x7FFFFFFF, 0x110000, 0xD800], ids=hex)
@pytest.mark.parametrize("shape", ["(3,)", "(3, 1)"])
def test_npy_labels_that_are_no_characters(shape: str, code: int, order: Any) -> None:
    content = struct.pack(f"{order}3I", 0x61, code, 0x62)
    path = write("y.npy", npy_bytes(shape, f"{order}U1", content))
    (told,) = problems(load, Pair([[1], [2], [3]], path))
    place = "[1]" if shape == "(3,)" else "[1, 0]"
    assert told == f"y.npy: element {place}: is damaged: its characters are not Unicode"
    good = write(
        "y.npy", npy_bytes(shape, f"{order}U1", struct.pack(f"{order}3I", 97, 0x1F600, 98))
    )
    assert load(Pair([[1], [2], [3]], good)).classes == ("a", "b", "\U0001f600")


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2], ids=["lzma", "bzip2"])
def test_npz_member_of_another_compression_sound_or_corrupted(method: Any) -> None:
    buffer = io.BytesIO()
    np.save(buffer, X)
    with zipfile.ZipFile("d.npz", "w", method) as archive:
        archive.writestr("x.npy", buffer.getvalue())
    path = Path("d.npz")
    content = bytearray(path.read_bytes())
    for damage in (b"", b"\xff" * 40):
        content[50 : 50 + len(damage)] = damage
        path.write_bytes(content)
        assert problems(inputs_of, path) == [
            "d.npz: x: is compressed in a way that NumPy does not write; save it again by "
            "np.savez_compressed"
        ]


@pytest.mark.parametrize("name", ["x.idx", "x.idx.gz"])
def test_idx_without_samples_but_with_lengths_that_no_array_can_have(name: str) -> None:
    head = bytes([0, 0, 8, 3]) + struct.pack(">3I", 0, 2**32 - 1, 2**32 - 1)
    assert problems(inputs_of, write(name, head)) == [
        f"{name}: holds no samples (its shape is 0 x 4294967295 x 4294967295)"
    ]


def test_idx_of_255_dimensions_is_told_in_a_line_that_can_be_read() -> None:
    head = bytes([0, 0, 8, 255]) + struct.pack(">255I", *[1] * 255)
    assert problems(inputs_of, write("x.idx", head + b"a")) == [
        "x.idx: has 255 dimensions (1 x 1 x 1 x 1 x 1 x 1 x 1 x 1 x ...); at most 4 are known"
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.csv", "a,1\n2,3\n", "row 1, column 1: 'a' is not a number"),
        ("w.csv", "", "is empty; a table of numbers is needed"),
        (
            "w.txt",
            "1 2",
            "'.txt' is not a known format; known are .csv, .tsv (each also .gz), .npy, .npz, "
            ".safetensors and IDX (also .gz)",
        ),
        ("w.npz", "PK", ".npz may hold several arrays; save the one needed as .npy"),
        (
            "w.npy",
            npy_bytes("()", content=bytes(8)),
            "holds a single number, not a list or a table of them",
        ),
        ("w.npy", npy_bytes("(0, 3)"), "holds no numbers (its shape is 0 x 3)"),
        (
            "w.npy",
            npy_bytes("(1,)", content=b"\0\0\0\0\0\0\xf8\x7f"),
            "must hold finite numbers and nothing else",
        ),
    ],
    ids=["words", "empty", "format", "npz", "0-d", "no numbers", "nan"],
)
def test_weights_are_told_of_as_weights_and_not_as_samples(
    name: str, content: Any, message: str
) -> None:
    assert problems(read_values, write(name, content)) == [f"{name}: {message}"]


def test_weights_of_any_number_of_axes() -> None:
    assert read_values(write("w.csv", "1,2\n3,4\n")).tolist() == [[1, 2], [3, 4]]
    assert read_values(write("w.npy", npy_bytes("(1,)", "<i8", bytes(8)))).tolist() == [0]
    assert read_values(write("w.idx", GOOD)).shape == (2, 3, 4)


@pytest.mark.parametrize(
    "fields",
    [
        r"{'descr': '\d', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': 1if 0else 2}",
    ],
)
def test_a_header_of_bad_style_is_refused_without_a_warning(fields: str) -> None:
    with warnings.catch_warnings(record=True, action="always") as said:
        problems(arrays.parse_header, fields.encode(), 0, "x.npy")
    assert said == []


def test_a_label_in_a_list_far_longer_than_the_others_is_refused() -> None:
    (told,) = problems(samples.from_list, ["a"] * 2000 + ["x" * 100_000], "targets")
    assert told.startswith("targets: element [2000]: the label 'xxx")
    assert told.endswith("has 100,000 characters, far more than the others; is a quote left open?")
