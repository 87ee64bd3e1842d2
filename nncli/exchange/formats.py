"""The formats that a trained network leaves in. A new format is a new row."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from nncli.exchange import onnx_graph
from nncli.exchange.named_arrays import to_npz, to_safetensors
from nncli.exchange.pytorch import to_pytorch
from nncli.exchange.trained import Files, Trained


class Format(NamedTuple):
    """How a format is written.

    suffix: of the file that a user names; others of the same stem may lie beside it.
    scales: whether what is written scales raw inputs by itself.
    notes: what a user should know was changed on the way.
    """

    write: Callable[[Trained], Files]
    suffix: str
    scales: bool
    notes: Callable[[Trained], Iterable[str]] = lambda trained: ()


FORMATS = {
    "onnx": Format(onnx_graph.to_onnx, ".onnx", scales=True, notes=onnx_graph.notes),
    "pytorch": Format(to_pytorch, ".py", scales=True),
    "safetensors": Format(to_safetensors, ".safetensors", scales=False),
    "npz": Format(to_npz, ".npz", scales=False),
}
