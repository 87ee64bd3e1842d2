"""The formats of `nncli export`, a row each, and the writers of safetensors and npz."""

import io
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from nncli.core import safetensors_format
from nncli.core.jsons import to_json
from nncli.exchange import onnx_graph
from nncli.exchange.pytorch import to_pytorch
from nncli.exchange.trained import Files, Trained


class ExportFormat(NamedTuple):
    """How a format is written.

    suffix: of the file that a user names; others of the same stem may be written beside it.
    scales: whether what is written scales raw inputs by itself.
    notes: what a user should know was changed on the way.
    """

    write: Callable[[Trained], Files]
    suffix: str
    scales: bool
    notes: Callable[[Trained], Iterable[str]] = lambda trained: ()


def to_safetensors(trained: Trained) -> Files:
    """The arrays, and what they mean as metadata."""
    return {".safetensors": safetensors_format.pack(trained.arrays(), trained.metadata())}


def to_npz(trained: Trained) -> Files:
    """The arrays; `metadata` is a text, the JSON of what they mean. No pickle."""
    buffer = io.BytesIO()
    metadata = np.array(to_json(trained.metadata()))
    np.savez(buffer, allow_pickle=False, **trained.arrays(), metadata=metadata)
    return {".npz": buffer.getvalue()}


EXPORT_FORMATS = {
    "onnx": ExportFormat(onnx_graph.to_onnx, ".onnx", scales=True, notes=onnx_graph.notes),
    "pytorch": ExportFormat(to_pytorch, ".py", scales=True),
    "safetensors": ExportFormat(to_safetensors, ".safetensors", scales=False),
    "npz": ExportFormat(to_npz, ".npz", scales=False),
}
