"""IDX, the format in which MNIST is published.

Two zero bytes, one for the type, one for the number of dimensions, each dimension as a big-endian
uint32, then the values, big-endian, the last dimension fastest.
Source: Y. LeCun et al., "The MNIST database", section "The IDX file format".
"""

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncli.core.errors import DataError
from nncli.core.text import printable, sizes
from nncli.data.readers.files import (
    GZIP_BEST_RATIO,
    check_ratio,
    file_size,
    is_gzip,
    opened,
    read_upto,
)

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def is_idx_name(path: Path) -> bool:
    """Whether the name is one that IDX files usually have, such as train-images-idx3-ubyte.gz."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(("-ubyte", ".idx")) or ".idx" in name or "-idx" in name


def has_idx_magic(path: Path) -> bool:
    with opened(path) as stream:
        start = stream.read(4)
    return len(start) == 4 and start[:2] == b"\0\0" and start[2] in TYPES and start[3] > 0


def read_idx(path: Path) -> NDArray[Any]:
    """The array of an IDX file, in memory and in the machine's byte order.

    Raises DataError where the header promises more or fewer bytes than there are, before any
    memory is taken for them.
    """
    name = printable(path)
    stored = file_size(path)
    with opened(path) as stream:
        start = stream.read(4)
        if not start:
            raise DataError(f"{name}: is empty; an IDX file is needed")
        if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in TYPES or not start[3]:
            raise DataError(
                f"{name}: is not IDX: it begins with 0x{start.hex()}, not with 0x0000, a type "
                "(08, 09, 0b, 0c, 0d or 0e) and a number of dimensions"
            )
        dtype, dimensions = np.dtype(TYPES[start[2]]), start[3]
        lengths = stream.read(4 * dimensions)
        if len(lengths) < 4 * dimensions:
            raise DataError(f"{name}: is cut short within its header")
        shape = struct.unpack(f">{dimensions}I", lengths)
        if dimensions > 4:
            raise DataError(
                f"{name}: has {dimensions} dimensions ({sizes(shape)}); at most 4 are known"
            )
        promised = math.prod(shape) * dtype.itemsize
        heading = f"{name}: its header promises {promised:,} bytes ({sizes(shape)})"
        offset = 4 + len(lengths)
        if not is_gzip(path) and stored - offset != promised:
            raise DataError(f"{heading}, but the file holds {stored - offset:,}")
        if is_gzip(path) and promised > GZIP_BEST_RATIO * stored:
            most = GZIP_BEST_RATIO * stored
            raise DataError(f"{heading}, but {stored:,} bytes of gzip cannot hold above {most:,}")
        if is_gzip(path):
            check_ratio(path, promised, stored)
        content = read_upto(stream, promised + 1)
    if len(content) > promised:
        raise DataError(f"{heading}, but the file holds more than {promised:,}")
    if len(content) < promised:
        raise DataError(f"{heading}, but the file holds {len(content):,}")
    # The other lengths may be such that no array has them.
    if not promised:
        raise DataError(f"{name}: holds no samples (its shape is {sizes(shape)})")
    array = np.frombuffer(content, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)
