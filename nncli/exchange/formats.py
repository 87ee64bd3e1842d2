"""The formats of `nncli export`, a row each, and the writers of safetensors and npz.

The writers are imported only where they write, since the help of a command names them all.
"""

import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nncli.exchange.trained import Files, Trained


class ExportFormat(NamedTuple):
    """How a format is written.

    suffix: of the file that a user names; others of the same stem may be written beside it.
    scales: whether what is written scales raw inputs by itself.
    notes: what a user should know was changed on the way.
    """

    write: "Callable[[Trained], Files]"
    suffix: str
    scales: bool
    notes: "Callable[[Trained], Iterable[str]]" = lambda trained: ()


def to_onnx(trained: "Trained") -> "Files":
    from nncli.exchange import onnx_graph

    return onnx_graph.to_onnx(trained)


def onnx_notes(trained: "Trained") -> "Iterable[str]":
    from nncli.exchange import onnx_graph

    return onnx_graph.notes(trained)


def to_pytorch(trained: "Trained") -> "Files":
    from nncli.exchange import pytorch

    return pytorch.to_pytorch(trained)


def to_safetensors(trained: "Trained") -> "Files":
    """The arrays, and what they mean as metadata."""
    from nncli.core import safetensors_format

    return {".safetensors": safetensors_format.pack(trained.arrays(), trained.metadata())}


def to_npz(trained: "Trained") -> "Files":
    """The arrays; `metadata` is a text, the JSON of what they mean. No pickle."""
    import numpy as np

    from nncli.core.jsons import to_json

    buffer = io.BytesIO()
    metadata = np.array(to_json(trained.metadata()))
    np.savez(buffer, allow_pickle=False, **trained.arrays(), metadata=metadata)
    return {".npz": buffer.getvalue()}


EXPORT_FORMATS = {
    "onnx": ExportFormat(to_onnx, ".onnx", scales=True, notes=onnx_notes),
    "pytorch": ExportFormat(to_pytorch, ".py", scales=True),
    "safetensors": ExportFormat(to_safetensors, ".safetensors", scales=False),
    "npz": ExportFormat(to_npz, ".npz", scales=False),
}
