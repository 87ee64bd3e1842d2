"""What an export wrote, and how to use it."""

import shlex
from collections.abc import Iterator

from nncli.app.records import Exported
from nncli.core.jsons import to_json
from nncli.core.text import printable, sizes

TITLES = {
    "onnx": "an ONNX model",
    "pytorch": "a PyTorch module",
    "safetensors": "named arrays in safetensors",
    "npz": "named arrays in NumPy's npz",
}


def exported_json(exported: Exported) -> str:
    """The record as JSON text."""
    network = exported.network
    return to_json(
        {
            "schema": "nncli.export/1",
            "name": network.name,
            "to": exported.to,
            "files": [str(path) for path in exported.files],
            "input_shape": network.network.input_shape,
            "output_shape": network.network.output_shape,
            "classes": network.classes,
            "scales_inputs": exported.scales and network.scaling is not None,
            "notes": exported.notes,
        },
        indent=2,
    )


def exported_text(exported: Exported) -> str:
    """The record in a few lines, to be read."""
    heading = f"{printable(exported.network.name)} as {TITLES[exported.to]}"
    return "\n".join([heading, "", *(f"{title:8}{line}" for title, line in _lines(exported))])


def _lines(exported: Exported) -> Iterator[tuple[str, str]]:
    trained = exported.network
    network = trained.network
    width = max(len(printable(path)) for path in exported.files)
    for i, path in enumerate(exported.files):
        size = f"{path.stat().st_size:,} bytes"
        yield "" if i else "wrote", f"{printable(path):{width}}  {size:>16}"
    inputs, outputs = sizes(network.input_shape), sizes(network.output_shape)
    if trained.scaling is None:
        yield "takes", f"inputs of samples x {inputs}"
    elif exported.scales:
        yield "takes", f"raw inputs of samples x {inputs}, and scales them as in training"
    else:
        yield "takes", f"scaled inputs of samples x {inputs}:"
        yield "", trained.scaling_formula()
    yield "gives", f"outputs of samples x {outputs}"
    for note in exported.notes:
        yield "note", note
    file = shlex.quote(printable(exported.files[0]))
    if exported.to == "pytorch":
        yield "check", f"python {file}"
