"""Pictures as PNG, within the page."""

import base64
import struct
import zlib

import numpy as np

from nncli.nn.arrays import Array
from nncli.render.web.page import escape

SIDE = 96  # pixels of the screen that the longer side of a small picture takes


def image_html(image: Array, words: str) -> str:
    """An image, its darkest pixel black and its lightest white.

    Args:
        image: channels x rows x columns; of other than three channels their mean is shown.
        words: what it is, for those who do not see it.
    """
    rows, columns = image.shape[1:]
    scale = max(1, SIDE // max(rows, columns))
    address = base64.b64encode(to_png(image)).decode()
    return (
        f'<img src="data:image/png;base64,{address}" alt="{escape(words)}" '
        f'width="{columns * scale}" height="{rows * scale}">'
    )


def to_png(image: Array) -> bytes:
    """The bytes of a file: 8 bits a channel, grey or colour."""
    planes = image if len(image) == 3 else image.mean(axis=0, keepdims=True)
    planes = np.nan_to_num(planes.astype(np.float64))
    low, high = float(planes.min()), float(planes.max())
    pixels = np.rint((planes - low) / (high - low or 1.0) * 255).astype(np.uint8)
    channels, rows, columns = pixels.shape
    lines = np.moveaxis(pixels, 0, -1).reshape(rows, columns * channels)
    raw = b"".join(b"\0" + line.tobytes() for line in lines)  # no filter before each line
    head = struct.pack(">IIBBBBB", columns, rows, 8, 2 if channels == 3 else 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum
