"""What the tests of matrices have in common: small images, and matrices read from text."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from nncli.data.readers.matrices import read_matrix
from tests.data.conftest import write

HERE_IS_SAFE = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SIDES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=6)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
KNOWN = ".csv, .tsv, .txt, .npy, .png, .jpg, .jpeg, .pgm, .ppm, .bmp, .tif, .tiff, .webp"
TO_DO = "for not all integers here fit int64; write it with .0 where that will do"
MUST_BE = "must be rows x columns or channels x rows x columns, not"
PIECES = ["1", "-2", "+3.5", "1e2", "-", "5", "nan", " ", ",", ",,", ";", "\t", "#", '"']
PIECES += ["\n", "\r\n", "\r", "\n\n"]
ROWS = "rows such as '1 0 1; 0 1 0; 1 0 1'"


def read(name: Any, content: Any, **options: Any) -> Any:
    return read_matrix(write(name, content), **options)


def piped(content: Any, **options: Any) -> Any:
    raw = content.encode() if isinstance(content, str) else content
    return read_matrix("-", stream=io.BytesIO(raw), **options)


def npy(array: Any) -> Any:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def encoded(image: Any, format: Any, **options: Any) -> Any:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def png(width: Any, height: Any, depth: Any, colour: Any, rows: Any) -> Any:
    """A PNG by hand, for what Pillow does not write."""

    def chunk(kind: Any, data: Any) -> Any:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


GREY = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2])
GREY_IMAGE = Image.fromarray(GREY)
COLOUR_IMAGE = Image.fromarray(np.moveaxis(COLOUR, 0, 2).copy())
ALPHA = "its alpha channel was dropped"
SIXTEEN = np.arange(0, 60_000, 2500, dtype=np.uint16).reshape(4, 6)
REDUCED = "its 16 bits a channel were reduced to 8; only grey ones are kept"


def with_alpha(image: Any) -> Any:
    image = image.copy()
    image.putalpha(128)
    return image


def grey_palette() -> Any:
    image = GREY_IMAGE.copy().convert("P")
    image.putpalette([level for level in range(256) for _ in range(3)])
    return image
