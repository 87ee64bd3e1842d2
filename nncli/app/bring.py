"""nncli.from_torch, and nncli init --from: another program's network becomes a spec."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

from nncli.app.output import check_output
from nncli.app.pipeline import prepare
from nncli.app.records import Brought
from nncli.core import safetensors_format
from nncli.core.errors import DataError, NncliError
from nncli.core.files import write_whole
from nncli.core.text import join_words, nearest, printable, sizes
from nncli.exchange.foreign_network import ForeignNetwork
from nncli.exchange.trained import FORMAT
from nncli.nn.arrays import Array, Shape
from nncli.nn.costs import COSTS
from nncli.spec import Spec, load_spec
from nncli.spec.dump import flow

SAMPLES = 64  # that are made up where none were given
WEIGHTS, DATA = ".weights.safetensors", ".samples.npz"
COMMENT: dict[str, Any] = {"initial_indent": "# ", "subsequent_indent": "#   "}
COST_NAMES = tuple(dict.fromkeys(row.name for row in COSTS))


def from_torch(
    model: Any,
    path: str | Path = "model.yaml",
    *,
    inputs: Any = None,
    targets: Any = None,
    input_shape: Shape | None = None,
    cost: str | None = None,
    overwrite: bool = False,
) -> Spec:
    """Makes a spec of a PyTorch model, a chain of layers, with its weights in a file beside it.

    Linear, Conv2d, pools, padding, activations, Flatten, Dropout and BatchNorm are taken, to the
    bit of their weights: as modules, and as the functions that a forward() of the model's own calls
    in their place. Whatever takes a spec then works on it: `inspect`, `explain`, `diagnose`. What
    is to be known of it stands in the spec's comments.

    Args:
        model: the module: an nn.Sequential, or one with a forward() that torch.fx can follow.
        path: the spec to write; its weights and samples are called after it.
        inputs, targets: samples, arrays or tensors; targets are classes or numbers. None: some are
            made up, at random.
        input_shape: of a sample, as (1, 28, 28); None: that of `inputs`, or of the first layer.
        cost: cross_entropy takes a model that ends in logits for one with a softmax (with a
            sigmoid, where it has one output); None: as its last layer suggests.
        overwrite: whether files that are there may be replaced.

    Raises:
        NncliError: it is no such module, or parts of it have no place in a spec: all of them, by
            name and by the line of forward(). RunError: a file is there, or cannot be written.
    """
    from nncli.exchange.from_torch import as_array, network_of

    if inputs is not None:
        inputs = as_array(inputs)
        input_shape = inputs.shape[1:] if input_shape is None else input_shape
    _check_shape(input_shape)
    network = network_of(model, input_shape)
    samples = None
    if inputs is not None:
        samples = _samples(network, inputs, None if targets is None else as_array(targets))
    elif targets is not None:
        raise NncliError("targets are given without inputs")
    return bring(network, Path(path), samples=samples, cost=cost, overwrite=overwrite).spec


def from_onnx(
    model: str | Path,
    path: str | Path | None = None,
    *,
    data: str | Path | None = None,
    targets: str | Path | None = None,
    target: Sequence[str] = (),
    input_shape: Shape | None = None,
    cost: str | None = None,
    overwrite: bool = False,
) -> Brought:
    """Makes a spec of an ONNX model, with its weights in a file beside it; see `from_torch`.

    Args:
        path: the spec to write; None: called as the model is.
        data: a file of samples; None: samples are made up.
        targets: the file of their targets, where `data` holds inputs alone.
        target: the target columns of a table.
        input_shape, cost, overwrite: as for `from_torch`.
    """
    from nncli.exchange.from_onnx import read_onnx

    _check_shape(input_shape)
    if data is None and (targets is not None or target):
        raise NncliError("targets are given without data: the file of the inputs")
    model = Path(model)
    network = read_onnx(model, input_shape)
    path = Path(path) if path is not None else Path(f"{model.stem}.yaml")
    section: dict[str, Any] | None = None
    if data is not None:
        inputs, of = (None if file is None else _beside(file, path) for file in (data, targets))
        section = {"train": inputs if of is None else {"inputs": inputs, "targets": of}}
        if target:
            section["target"] = tuple(target)
    return bring(network, path, data=section, cost=cost, overwrite=overwrite)


def _beside(file: str | Path, spec: Path) -> str:
    """A file's path as a spec has it: from its own folder on."""
    return os.path.relpath(file, spec.parent)


def _check_shape(shape: Shape | None) -> None:
    if shape is not None and (len(shape) not in (1, 3) or min(shape) < 1):
        raise NncliError(
            f"a sample of shape {sizes(shape)}: expected one number, or channels, rows and columns"
        )


def bring(
    network: ForeignNetwork,
    path: Path,
    *,
    samples: Mapping[str, Array] | None = None,
    data: Mapping[str, Any] | None = None,
    cost: str | None = None,
    overwrite: bool = False,
) -> Brought:
    """Writes a spec of the network, and its weights; and its samples, where there are no data."""
    if path.suffix.lower() not in (".yaml", ".yml"):
        path = path.with_name(f"{path.name}.yaml")
    layers, cost, notes = _ending(network, cost)
    weights = path.with_name(f"{path.stem}{WEIGHTS}")
    files = [path, weights]
    content = {weights: safetensors_format.pack(_as_written(network), {"format": FORMAT})}
    made_up = samples is None and data is None
    if data is None:
        table = path.with_name(f"{path.stem}{DATA}")
        files.append(table)
        content[table] = _npz(samples or _made_up(network, layers, cost))
        data = {"train": table.name}
        if not _is_by_class(layers, cost):
            data["classes"] = "none"
    notes = [*network.notes, *notes]
    text = _text(path.stem, network, layers, cost, data, weights.name, made_up, notes)
    content[path] = text.encode()
    for file in files:
        check_output(file, overwrite=overwrite, inputs=[], elsewhere="another name is free")
    written = []
    try:
        for file in reversed(files):
            is_new = not os.path.exists(file)
            write_whole(file, content[file], overwrite=overwrite)
            if is_new:
                written.append(file)
        spec = load_spec(path)
        prepare(spec)
    except NncliError:
        for file in written:
            file.unlink(missing_ok=True)
        raise
    return Brought(spec, tuple(files), tuple(notes))


def _ending(
    network: ForeignNetwork, cost: str | None
) -> tuple[list[Mapping[str, Any]], str, list[str]]:
    """The layers with the activation that the cost needs, the cost, and what to say of it."""
    if cost is not None and cost not in COST_NAMES:
        known = join_words(COST_NAMES)
        raise NncliError(f"cost {printable(cost)}: known are {known}{nearest(cost, COST_NAMES)}")
    layers, ending = list(network.layers), network.activation
    if cost is None:
        cost = "cross_entropy" if ending == "softmax" else "quadratic"
        if ending == "identity" and network.output_shape[0] > 1:
            note = "its outputs are taken as they are, with the quadratic cost; of logits that a "
            return layers, cost, [f"{note}cross-entropy loss takes, say cost cross_entropy"]
    elif cost == "cross_entropy" and ending == "identity":
        last = "softmax" if network.output_shape[0] > 1 else "sigmoid"
        layers[-1] = {**layers[-1], "activation": last}
        return layers, cost, [f"its outputs are taken for logits, so its last layer has a {last}"]
    return layers, cost, []


def _is_by_class(layers: list[Mapping[str, Any]], cost: str) -> bool:
    return cost == "cross_entropy" and layers[-1]["activation"] == "softmax"


def _as_written(network: ForeignNetwork) -> dict[str, Array]:
    """Parameters in the network's own type, and counters."""
    dtype = np.dtype(network.dtype)
    arrays = network.arrays.items()
    return {k: a.astype(dtype) if a.dtype.kind == "f" else a for k, a in arrays}


def _samples(network: ForeignNetwork, inputs: Array, targets: Array | None) -> dict[str, Array]:
    if inputs.shape[1:] != network.input_shape or not len(inputs):
        raise DataError(
            f"inputs are {sizes(inputs.shape)}, and the network takes samples x "
            f"{sizes(network.input_shape)}"
        )
    if targets is None:
        raise DataError("inputs are given without targets: classes, or a number for each output")
    if len(targets) != len(inputs):
        raise DataError(f"there are {len(inputs):,} inputs and {len(targets):,} targets")
    return {"X": inputs, "y": targets}


def _made_up(
    network: ForeignNetwork, layers: list[Mapping[str, Any]], cost: str
) -> dict[str, Array]:
    """Samples at random: there must be some."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((SAMPLES, *network.input_shape)).astype(network.dtype)
    (outputs,) = network.output_shape
    if _is_by_class(layers, cost):
        return {"X": inputs, "y": np.arange(max(SAMPLES, outputs))[:SAMPLES] % outputs}
    targets = rng.uniform(0, 1, (SAMPLES, outputs)).astype(network.dtype)
    if cost == "cross_entropy":
        targets = np.round(targets)
    return {"X": inputs, "y": targets}


def _npz(arrays: Mapping[str, Array]) -> bytes:
    from io import BytesIO

    made = BytesIO()
    named: dict[str, Any] = dict(arrays)
    np.savez(made, **named)
    return made.getvalue()


def _text(
    name: str,
    network: ForeignNetwork,
    layers: list[Mapping[str, Any]],
    cost: str,
    data: Mapping[str, Any],
    weights: str,
    made_up: bool,
    notes: Sequence[str],
) -> str:
    """The spec as it is written."""
    more = (
        "# The samples were made up at random: put your own here, as train: table.csv, or\n"
        "# train: {inputs: x.npy, targets: y.npy}.\n"
        if made_up
        else ""
    )
    lines = [
        "# A network that was trained elsewhere; its weights are in the file that init_from names.",
        *(line for note in notes for line in wrap(f"- {note}", 98, **COMMENT)),
        f"name: {flow(name)}",
        "seed: 0",
        f"dtype: {network.dtype}",
        "",
        f"{more}data: {flow(data)}",
        "",
        "network:",
        *(f"  - {flow(layer)}" for layer in layers),
        "",
        "train:",
        f"  init_from: {flow(weights)}",
        f"  cost: {cost}",
        "  eta: 0.01",
        "  epochs: 10",
        "  batch_size: 16",
    ]
    return "\n".join(lines) + "\n"
