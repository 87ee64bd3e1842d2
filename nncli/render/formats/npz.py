"""The arrays of the record in NumPy's npz, each under its name; no pickle."""

import io

import numpy as np

from nncli.render.document import Document

SUFFIX = ".npz"


def write(document: Document) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **document.arrays())  # type: ignore[arg-type]
    return buffer.getvalue()
