"""A file is what its first bytes say, whatever its name says, in every reader alike."""

import bz2
import gzip
import io
import lzma
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncli.data import Pair, read_source, read_values
from nncli.data.readers.filters import read_filter
from nncli.data.readers.matrices import read_matrix
from tests.data.conftest import problems

TABLE = b"a,b,y\n1,2,u\n3,4,v\n"
X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
Y = np.array([0, 1, 0], np.uint8)


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def zipped(name: str, content: bytes = b"") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def saved(name: str, content: bytes) -> Path:
    Path(name).write_bytes(content)
    return Path(name)


def test_a_gzip_table_without_the_suffix() -> None:
    samples = read_source(saved("t.csv", gzip.compress(TABLE)))
    assert samples.inputs.tolist() == [[1, 2], [3, 4]]
    assert samples.targets is not None
    assert samples.targets.tolist() == ["u", "v"]
    matrix = read_matrix(saved("m.csv", gzip.compress(b"1,2\n3,4\n")))
    assert matrix.array.tolist() == [[1, 2], [3, 4]]


def test_gzip_idx_files_without_the_suffix() -> None:
    images = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    pair = Pair(
        saved("t-images-idx3-ubyte", gzip.compress(idx(images))),
        saved("t-labels-idx1-ubyte", gzip.compress(idx(Y))),
    )
    samples = read_source(pair)
    assert samples.inputs.tolist() == images[:, np.newaxis].tolist()
    assert samples.targets is not None
    assert samples.targets.tolist() == [0, 1, 0]


@pytest.mark.parametrize("name", ["x.npy", "x.csv", "x.dat", "x"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_numpy_array_under_any_name(name: str, pack: Any, order: Any) -> None:
    path = saved(name, pack(npy(np.array(X, order=order))))
    assert read_source(path, with_targets=False).inputs.tolist() == X.tolist()
    assert read_values(path).tolist() == X.tolist()
    assert read_matrix(path).array.tolist() == X.tolist()
    assert read_filter(f"./{name}").array.tolist() == X.tolist()


@pytest.mark.parametrize("name", ["d.npz", "d.csv", "d"])
def test_an_npz_archive_under_any_name(name: str) -> None:
    samples = read_source(saved(name, npz(x=X, y=Y)))
    assert samples.inputs.tolist() == X.tolist()
    assert problems(read_matrix, name) == [
        f"{name}: is an .npz archive; save the array that is needed as .npy"
    ]


def test_idx_under_any_name() -> None:
    samples = read_source(saved("x.csv", idx(np.eye(2, dtype=np.uint8))), with_targets=False)
    assert samples.inputs.tolist() == [[1, 0], [0, 1]]
    assert problems(read_matrix, "x.csv") == [
        "x.csv: is IDX; save the array that is needed as .npy"
    ]


FOREIGN = [
    (zipped("t.csv", TABLE), "is a zip archive; unpack it first"),
    (
        zipped("[Content_Types].xml"),
        "is an Excel workbook or the like; save the sheet that is needed as .csv",
    ),
    (gzip.compress(gzip.compress(TABLE)), "is gzip; unpack it first"),
    (bz2.compress(TABLE), "is bzip2; unpack it first"),
    (lzma.compress(TABLE), "is xz; unpack it first"),
    (b"\x89HDF\r\n\x1a\n", "is HDF5; save what is needed of it as .csv or .npy"),
    (b"PAR1\x15\x04", "is Parquet; name it .parquet"),
    (
        b"\x80\x04\x95K\0",
        "is a Python pickle, which is never read; save what is needed of it as .csv or .npy",
    ),
    (
        b"\n<!DOCTYPE html>\n<html>",
        "is a web page; download the file itself rather than the page that shows it",
    ),
    ("a,b\n1,2\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
]


@pytest.mark.parametrize(("content", "told"), FOREIGN, ids=[told for _, told in FOREIGN])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t"])
def test_what_no_reader_takes_is_named_by_all(content: bytes, told: str, name: str) -> None:
    path = saved(name, content)
    for read in (read_source, read_values, read_matrix):
        is_table = (
            read in (read_source, read_values)
            and name.endswith(("csv", "tsv"))
            and "UTF-16" in told
        )
        more = ", or set encoding: utf-16 (under data)" if is_table else ""
        assert problems(read, path) == [f"{name}: {told}{more}"]
    assert problems(read_filter, f"./{name}") == [f"{name}: {told}"]


def test_a_table_whose_header_begins_like_an_image() -> None:
    path = saved("t.csv", b"P1 2 3 4,b,y\n1,2,0\n3,4,1\n")
    assert read_source(path).inputs.tolist() == [[1, 2], [3, 4]]
    assert read_matrix(path).array.tolist() == [[1, 2, 0], [3, 4, 1]]


class TestImages:
    Image = pytest.importorskip("PIL.Image")
    STORED = np.array([[0, 40, 80], [120, 160, 200]], np.uint8)

    def encoded(self, image: Any, format: str, **options: Any) -> bytes:
        stream = io.BytesIO()
        image.save(stream, format=format, **options)
        return stream.getvalue()

    @pytest.mark.parametrize("name", ["p.gif", "p.png", "p.csv", "p"])
    def test_gif_is_read_under_any_name(self, name: str) -> None:
        content = self.encoded(self.Image.fromarray(self.STORED), "GIF")
        matrix = read_matrix(saved(name, content))
        assert matrix.array.tolist() == self.STORED.tolist()
        assert (matrix.kind, matrix.notes) == ("image", ())

    def test_of_a_gif_in_colour_and_of_many_pictures(self) -> None:
        first = np.zeros((2, 2, 3), np.uint8)
        first[0, 0] = (255, 0, 0)
        frames = [self.Image.fromarray(first), self.Image.fromarray(255 - first)]
        content = self.encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
        matrix = read_matrix(saved("p.gif", content))
        assert matrix.array.tolist() == np.moveaxis(first, 2, 0).tolist()
        assert matrix.notes == ("p.gif: holds 2 images; the first was read",)

    @pytest.mark.parametrize("name", ["p.png", "p.csv"])
    def test_data_are_no_image(self, name: str) -> None:
        path = saved(name, self.encoded(self.Image.fromarray(self.STORED), "PNG"))
        told = [f"{name}: is an image (PNG); a table, .npz, .npy or IDX is needed"]
        assert problems(read_source, path) == told
        assert problems(read_values, path) == told

    @pytest.mark.parametrize(
        ("orientation", "seen"),
        [
            (1, STORED),
            (2, STORED[:, ::-1]),
            (3, STORED[::-1, ::-1]),
            (4, STORED[::-1]),
            (5, STORED.T),
            (6, np.rot90(STORED, -1)),
            (7, STORED[::-1, ::-1].T),
            (8, np.rot90(STORED)),
            (9, STORED),
        ],
    )
    @pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF"])
    def test_an_image_is_turned_as_its_exif_data_say(
        self, format: str, orientation: int, seen: Any
    ) -> None:
        exif = self.Image.Exif()
        exif[0x0112] = orientation
        content = self.encoded(self.Image.fromarray(self.STORED), format, exif=exif)
        matrix = read_matrix(saved("p", content))
        assert matrix.array.shape == seen.shape
        assert np.abs(matrix.array.astype(int) - seen).max() <= (16 if format == "JPEG" else 0)
        note = "p: turned the way that its EXIF orientation says"
        assert matrix.notes == ((note,) if 1 < orientation < 9 else ())

    def test_damaged_exif_data_do_not_keep_an_image_from_being_read(self) -> None:
        content = self.encoded(
            self.Image.fromarray(self.STORED), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\1"
        )
        assert read_matrix(saved("p.png", content)).array.tolist() == self.STORED.tolist()
