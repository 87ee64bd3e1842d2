"""Undamaged inputs, small and of every kind: what the damages are done to."""

import gzip
import io
import json
import struct
from random import Random
from typing import Any

import numpy as np
import yaml
from PIL import Image

SAMPLES, INPUTS, CLASSES = 12, 4, 3

Files = dict[str, bytes]


def inputs(shape: tuple[int, ...] = (SAMPLES, INPUTS)) -> np.ndarray[Any, Any]:
    """Numbers from 0 to 1, no two rows alike."""
    return (np.arange(np.prod(shape)).reshape(shape) * 7 % 11) / 10


def labels() -> np.ndarray[Any, Any]:
    return np.arange(SAMPLES) % CLASSES


# Data


def table(random: Random, separator: str = ",") -> bytes:
    """A table with or without a header, its last column an integer, a word or a number."""
    names = ["red", "green", "blue"]
    kind = random.choice(["integer", "word", "quoted", "number"])
    rows = []
    for row, label in zip(inputs(), labels().tolist(), strict=True):
        last = {
            "integer": str(label),
            "word": names[label],
            "quoted": f'"{names[label]}, ""it"" is"',
            "number": str(label / 2 + 0.25),
        }[kind]
        rows.append(separator.join([*map(str, row.tolist()), last]))
    if random.random() < 0.5:
        rows.insert(0, separator.join(["a", "b", "c", "d", "target"]))
    return ("\n".join(rows) + "\n").encode()


def idx(array: np.ndarray[Any, Any]) -> bytes:
    codes = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}
    code = codes[array.dtype.str[1:]]
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def npy(array: np.ndarray[Any, Any], *, pickled: bool = False) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=pickled)
    return stream.getvalue()


def npz(arrays: dict[str, np.ndarray[Any, Any]], *, compressed: bool = False) -> bytes:
    stream = io.BytesIO()
    save: Any = np.savez_compressed if compressed else np.savez
    save(stream, **arrays)
    return stream.getvalue()


def gz(content: bytes) -> bytes:
    return gzip.compress(content, 6, mtime=0)


def data(random: Random) -> tuple[str, Files, Any]:
    """The kind, the files, and what a spec says under `data.train`."""
    kind = random.choice(["csv", "tsv", "csv.gz", "idx", "idx.gz", "npy", "npz", "inline"])
    match kind:
        case "csv" | "csv.gz" | "tsv":
            content = table(random, "\t" if kind == "tsv" else ",")
            name = f"train.{kind}"
            return kind, {name: gz(content) if kind == "csv.gz" else content}, name
        case "idx" | "idx.gz":
            numbers = (inputs() * 10).astype(random.choice(["u1", "i1", "i2", "i4", "f4", "f8"]))
            parts = {"x.idx": idx(numbers), "y.idx": idx(labels().astype("u1"))}
            if kind == "idx.gz":
                parts = {f"{name}.gz": gz(content) for name, content in parts.items()}
            return kind, parts, dict(zip(("inputs", "targets"), parts, strict=True))
        case "npy":
            dtype = random.choice(["f4", "f8", "u1", ">i4", "b1"])
            parts = {"x.npy": npy(inputs().astype(dtype)), "y.npy": npy(labels())}
            return kind, parts, {"inputs": "x.npy", "targets": "y.npy"}
        case "npz":
            targets = random.choice([labels(), np.array(["r", "g", "b"])[labels()]])
            content = npz({"x": inputs(), "y": targets}, compressed=random.random() < 0.5)
            return kind, {"train.npz": content}, "train.npz"
    return kind, {}, {"inputs": inputs().tolist(), "targets": labels().tolist()}


# Specs


def spec(random: Random, train: Any) -> dict[str, Any]:
    """A spec for such data as `data` makes, as plain values."""
    settings: dict[str, Any] = {"train": train}
    layers: list[dict[str, Any]] = []
    if random.random() < 0.3:
        settings["shape"] = [1, 2, 2]
        padding = random.choice(["same", "valid", 1])
        layers.append({"type": "conv", "filters": 2, "kernel": 2, "padding": padding})
        if padding != "valid":
            layers.append({"type": random.choice(["maxpool", "avgpool"]), "size": 2})
    else:
        layers.append({"type": "dense", "units": 3, "activation": "tanh"})
    layers.append({"type": "dense", "units": CLASSES})
    if random.random() < 0.3:
        settings["validation"] = 0.25
    if random.random() < 0.3:
        settings["scale"] = random.choice(["minmax", "standard", 10])
    train_settings: dict[str, Any] = {"eta": 0.5, "epochs": 1, "batch_size": 4}
    if random.random() < 0.3:
        train_settings |= {"momentum": 0.9, "schedule": {"type": "step", "step_size": 1}}
    return {"name": "tiny", "seed": 1, "data": settings, "network": layers, "train": train_settings}


def spec_text(random: Random, values: Any) -> str:
    """The spec as YAML: in blocks, or in the brackets of JSON."""
    if random.random() < 0.5:
        return yaml.safe_dump(values, allow_unicode=True, sort_keys=False)
    return json.dumps(values, indent=random.choice([None, 1]), ensure_ascii=random.random() < 0.5)


# Matrices

MATRIX = (inputs((5, 6)) * 10).astype(int)
FILTER = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])


def text_of(array: np.ndarray[Any, Any], separator: str) -> bytes:
    return "".join(separator.join(map(str, row)) + "\n" for row in array.tolist()).encode()


def image(array: np.ndarray[Any, Any], format: str, mode: str = "L") -> bytes:
    stream = io.BytesIO()
    picture = Image.fromarray(array.astype(np.uint8)).convert(mode)
    picture.save(stream, format=format)
    return stream.getvalue()


IMAGES = {"png": "PNG", "jpg": "JPEG", "pgm": "PPM", "bmp": "BMP", "tif": "TIFF", "webp": "WEBP"}


def matrix(random: Random, array: np.ndarray[Any, Any]) -> tuple[str, bytes]:
    """The suffix of a matrix file, and its bytes."""
    suffix = random.choice(["csv", "tsv", "txt", "csv.gz", "npy", "npy.gz", *IMAGES])
    match suffix:
        case "csv" | "csv.gz":
            content = text_of(array, ",")
        case "tsv":
            content = text_of(array, "\t")
        case "txt":
            content = text_of(array, " ")
        case "npy" | "npy.gz":
            content = npy(array.astype(random.choice(["i8", "f4", "u1", ">f8", "b1"])))
        case _:
            mode = "L" if suffix == "pgm" else random.choice(["L", "RGB", "1"])
            content = image(array, IMAGES[suffix], mode)
    return suffix, gz(content) if suffix.endswith(".gz") else content


# Checkpoints


def checkpoint_parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """A safetensors file's header and its numbers."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def checkpoint(header: Any, numbers: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + numbers
