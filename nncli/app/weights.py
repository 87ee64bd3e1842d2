"""The weights that a network starts from: lists in the spec, files, or the seed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nncli.app.records import InitialWeights
from nncli.core import safetensors_format
from nncli.core.errors import DataError, NncliError, SpecError
from nncli.core.files import file_and_array
from nncli.core.jsons import from_json
from nncli.core.text import printable
from nncli.data import file_size, read_values, read_whole_npz
from nncli.nn.network import Network
from nncli.spec import Spec, WeightedLayerSpec

# Most networks start from their seed: only where there is a file is nncli.exchange loaded.
if TYPE_CHECKING:
    from nncli.core.layouts import Layout
    from nncli.exchange.importing import WeightFile

Given = npt.NDArray[np.float64] | None
PICKLES = (".pt", ".pth", ".bin", ".pkl", ".ckpt")


def start_from(spec: Spec, file: str | Path | None, layout: Layout = "nncli") -> Spec:
    """`spec` with its layers' weights to be read from an .npz or .safetensors file.

    Args:
        file: may also be a run folder; None leaves it at the files that the spec itself names.
        layout: the layout of dense weights in files: nncli's inputs x units, or pytorch's outputs x
            inputs. Of a PyTorch module the layers may have any names.

    Raises:
        NncliError: there is no file that `layout` would be for.
    """
    if file is None and not _names_files(spec):
        raise NncliError(
            f"--from {layout} says how weights lie in a file: it goes with --init-from FILE, or "
            "with weights: of a file in the spec"
        )
    update: dict[str, object] = {"weights_layout": layout}
    if file is not None:
        update["init_from"] = str(Path(file).absolute())
    return spec.model_copy(update={"train": spec.train.model_copy(update=update)})


def _names_files(spec: Spec) -> bool:
    learners = [layer for layer in spec.network if isinstance(layer, WeightedLayerSpec)]
    return spec.train.init_from is not None or any(isinstance(x.weights, str) for x in learners)


def load_initial_weights(spec: Spec, network: Network) -> InitialWeights:
    """Fills `network` from the file or run of `train.init_from`.

    Raises:
        NncliError: the file cannot be read, or does not fit; a SpecError where the spec names it.
    """
    t = spec.train
    assert t.init_from is not None
    from nncli.exchange.importing import network_from
    from nncli.training.run_reader import last_checkpoint

    path = spec.resolve(t.init_from)
    notes: tuple[str, ...] = ()
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    try:
        if os.path.isdir(path):
            path, notes = last_checkpoint(path)
        filled, origins = network_from(read_weights(path), network, t.weights_layout)
    except NncliError as error:
        if spec.origin("train.init_from").kind == "default":  # not given by the spec
            raise
        lines = str(error).splitlines()
        found = (spec.error_at(("train", "init_from"), line).problems for line in lines)
        raise SpecError([problem for problems in found for problem in problems]) from error
    network.parameters[...] = filled.parameters
    network.restore_state(filled.state)
    return InitialWeights(path, t.weights_layout, origins, notes)


def read_weights(path: Path) -> WeightFile:
    """The named arrays of an .npz or .safetensors file; nothing in it can run code.

    Raises:
        NncliError: it is another kind of file, cannot be read, or is damaged.
    """
    from nncli.exchange.importing import WeightFile
    from nncli.training.run_files import PREVIOUS

    name, suffix = printable(path), path.suffix.lower()
    if suffix in PICKLES:
        raise NncliError(
            f"{name}: is PyTorch's pickle, which is never read since reading it can run code; "
            "save it with safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"
        )
    file_size(path)
    if suffix == ".safetensors" or path.name == PREVIOUS:
        arrays, metadata = safetensors_format.read(path)
        return WeightFile(name, arrays, metadata, is_ordered=False)
    if suffix == ".npz":
        arrays = read_whole_npz(path)
        return WeightFile(name, arrays, _metadata(arrays), is_ordered=True)
    raise NncliError(f"{name}: expected an .npz or .safetensors file")


def _metadata(arrays: safetensors_format.Arrays) -> dict[str, str]:
    """The text that an export puts among the arrays of an .npz, taken out of them."""
    text = arrays.get("metadata")
    if text is None or text.dtype.kind != "U" or text.ndim:
        return {}
    del arrays["metadata"]
    try:
        metadata = from_json(str(text))
    except ValueError:
        return {}
    return {key: value for key, value in metadata.items() if isinstance(value, str)}


def given_values(
    spec: Spec, index: int, layer: WeightedLayerSpec, *, files: bool = True
) -> tuple[Given, Given]:
    """The weights and biases that the spec's layer `index` gives, from the spec itself or files.

    Args:
        files: whether files are read; if not, what is in one is None.

    Raises:
        SpecError: a file cannot be read, or holds nothing that could be meant.
    """
    alike = [x for x in spec.network[: index + 1] if x.type == layer.type]
    name = f"{layer.type}{len(alike)}"

    def values(given: object, key: str, array: str) -> Given:
        if given is None or isinstance(given, bool):
            return None
        if not isinstance(given, str):
            return np.array(given, np.float64)
        if not files:
            return None
        try:
            return _from_file(spec, given, array)
        except NncliError as error:
            raise spec.error_at(("network", index, key), str(error)) from error

    weights = values(layer.weights, "weights", f"{name}.weight")
    return weights, values(layer.bias, "bias", f"{name}.bias")


def _from_file(spec: Spec, given: str, array: str) -> npt.NDArray[np.float64]:
    """The numbers of a file, or of the array that is meant in a file of several."""
    from nncli.exchange.importing import check_layout, in_layout, why_unusable

    file, chosen = file_and_array(given)
    path, layout = spec.resolve(file), spec.train.weights_layout
    is_bias = array.endswith(".bias")
    if path.suffix.lower() not in (".npz", ".safetensors", *PICKLES):
        read = read_values(path)
        # A table has two axes whatever it holds; a row or a column of it is a bias.
        return read.ravel() if is_bias and 1 in read.shape else in_layout(read, layout)
    weights = read_weights(path)
    check_layout(weights, layout)
    named = chosen or (array if array in weights.arrays or len(weights.arrays) != 1 else None)
    named = named or next(iter(weights.arrays))
    if named not in weights.arrays:
        known = ", ".join(printable(name) for name in list(weights.arrays)[:10]) or "nothing"
        how = "" if chosen else f"; name one of its arrays: {printable(path.name)}#NAME"
        raise DataError(f"{weights.name}: holds no {printable(named)}, but {known}{how}")
    problem = why_unusable(weights.arrays[named], np.dtype(np.float64))
    if problem:
        raise DataError(f"{weights.name}: {printable(named)} {problem}")
    return in_layout(weights.arrays[named], layout).astype(np.float64)
