"""Weights under the interface's names, as safetensors and as NumPy's .npz."""

import io

import numpy as np

from nncli.core import safetensors_format
from nncli.core.jsons import to_json
from nncli.exchange.trained import Files, Trained


def to_safetensors(trained: Trained) -> Files:
    """The arrays, and what they mean as metadata."""
    return {".safetensors": safetensors_format.pack(trained.arrays(), trained.metadata())}


def to_npz(trained: Trained) -> Files:
    """The arrays; `metadata` is a text, the JSON of what they mean. No pickle."""
    buffer = io.BytesIO()
    metadata = np.array(to_json(trained.metadata()))
    np.savez(buffer, allow_pickle=False, **trained.arrays(), metadata=metadata)
    return {".npz": buffer.getvalue()}
