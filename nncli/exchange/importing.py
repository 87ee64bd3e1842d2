"""Weights from a file, put into a network: which array belongs where, and whether it fits.

Files of nncli's own layout are read by name alone. PyTorch's modules may have any names, so there
the rules are, in this order:

1. Modules that bear the layers' names (dense1, conv1, ...) are taken by name.
2. Otherwise a layer takes a module of its own kind and shape. Where several fit, they are taken in
   order: of the file, or of the numbers in their names where the file keeps no order.
3. Nothing may be left over on either side.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.layouts import Layout
from nncli.core.text import join_words, printable, sizes
from nncli.exchange.trained import (
    BUFFERS,
    DIVISOR,
    FORMAT,
    OFFSET,
    PYTORCH,
    STATE_IN_PYTORCH,
    TARGET_BUFFERS,
    TARGET_DIVISOR,
    TARGET_OFFSET,
)
from nncli.nn.arrays import Array, Shape
from nncli.nn.network import Network

OURS = "nncli."  # how the format of a file begins that nncli wrote for itself
MOST_LINES, MOST_NAMED = 10, 6
# What a module of PyTorch's is called by how many axes its weight has: a word for every kind of
# layer that has parameters.
MODULES = {2: "linear", 4: "conv", 1: "batchnorm"}


class WeightFile(NamedTuple):
    """The arrays of a file, by name, and the texts that came with them.

    name: of the file, as messages give it.
    is_ordered: whether the order of the arrays is the one they were given in.
    """

    name: str
    arrays: Mapping[str, Array]
    metadata: Mapping[str, str]
    is_ordered: bool

    @property
    def format(self) -> str:
        return self.metadata.get("format", "")


class ModuleOrigin(NamedTuple):
    """Where a layer's parameters came from: the module that had them in the file."""

    layer: str
    module: str
    is_turned: bool


def network_from(
    file: WeightFile, network: Network, layout: Layout
) -> tuple[Network, tuple[ModuleOrigin, ...]]:
    """A copy of `network` with all parameters and state from a file; and where each layer's were.

    Raises:
        NncliError: an array is missing, left over, of another shape, or no finite number of the
            network's type; all that can be told at once is.
    """
    check_layout(file, layout)
    find = _by_module if layout == "pytorch" else _by_name
    names, problems = find(file, network)
    filled = network.astype(network.dtype)
    for ours, view in filled.arrays().items():
        if ours in names:
            problem = _filled(view, file, names[ours], ours, layout)
            problems += [problem] if problem else []
    _raise(problems)
    return filled, tuple(_origins(names, network, layout))


def _filled(view: Array, file: WeightFile, name: str, ours: str, layout: Layout) -> str:
    """Copies the array called `name` into `view`; the problem, where it does not fit."""
    array = in_layout(file.arrays[name], layout)
    if array.shape != view.shape:
        return _misfit(file, name, ours, view.shape, layout)
    problem = why_unusable(array, view.dtype)
    if problem:
        return f"{file.name}: {printable(name)} {problem}"
    view[...] = array
    return ""


def in_layout(array: Array, layout: Layout) -> Array:
    """An array of a file in nncli's layout: PyTorch's linear weights are outputs x inputs."""
    return array.T if layout == "pytorch" and array.ndim == 2 else array


def why_unusable(array: Array, dtype: "np.dtype[np.generic]") -> str:
    """The reason why an array cannot be weights of `dtype`; empty if it can."""
    if array.dtype.kind not in "iuf":
        return "does not hold numbers"
    if not np.isfinite(array).all():
        return "holds what is not a finite number"
    with np.errstate(over="ignore"):
        return (
            "" if np.isfinite(array.astype(dtype)).all() else f"holds numbers too large for {dtype}"
        )


def check_layout(file: WeightFile, layout: Layout) -> None:
    """Refuses a file whose metadata name the other layout: square weights would fit either way."""
    if layout == "pytorch" and file.format.startswith(OURS):
        raise NncliError(
            f"{file.name}: was written by nncli, so its weights lie as nncli has them, not as "
            "PyTorch; leave --from pytorch (train.weights_layout) away"
        )
    if layout == "nncli" and file.format == PYTORCH["format"]:
        raise NncliError(
            f"{file.name}: its weights lie as PyTorch has them (its metadata say format: pt); "
            "--from pytorch (train.weights_layout: pytorch) takes them"
        )


def _by_name(file: WeightFile, network: Network) -> tuple[dict[str, str], list[str]]:
    """Each parameter's own name, where the file has it; and what is missing or left over."""
    wanted = network.arrays()
    given = {name: None for name in file.arrays if not _is_more(file, name)}
    if not given.keys() & wanted.keys():
        raise NncliError(
            f"{file.name}: holds {_some(given)}; this network has {_some(wanted)}. "
            "Where those are a PyTorch module's, --from pytorch (train.weights_layout: pytorch) "
            "finds their places"
        )
    problems = [
        f"{file.name}: holds no {name} ({sizes(array.shape)})"
        for name, array in wanted.items()
        if name not in given
    ]
    problems += [
        f"{file.name}: {_describe_array(file, name)} is not in this network"
        for name in given
        if name not in wanted
    ]
    return {name: name for name in wanted if name in given}, problems


def _some(names: Iterable[str]) -> str:
    names = [printable(name) for name in names]
    more = f", ... ({len(names):,} in all)" if len(names) > MOST_NAMED else ""
    return (", ".join(names[:MOST_NAMED]) or "nothing") + more


def _describe_array(file: WeightFile, name: str) -> str:
    return f"{printable(name)} ({sizes(file.arrays[name].shape) or 'one number'})"


def _is_more(file: WeightFile, name: str) -> bool:
    """Whether an array is not a parameter, in a file that nncli wrote."""
    if file.format == FORMAT:
        return name in (OFFSET, DIVISOR, TARGET_OFFSET, TARGET_DIVISOR)
    # A checkpoint has an optimizer's state as well: velocity.dense1.weight, and counters.
    return file.format.startswith("nncli.checkpoint/") and name.count(".") != 1


class _Module(NamedTuple):
    """A module of PyTorch's, or a layer: its kind and its shapes in PyTorch's layout.

    prefix: what its parameters' names begin with, up to the dot.
    """

    prefix: str
    shape: Shape
    has_bias: bool

    @property
    def name(self) -> str:
        return self.prefix.removesuffix(".")

    @property
    def fit(self) -> tuple[Shape, bool]:
        return self.shape, self.has_bias

    def __str__(self) -> str:
        return f"{sizes(self.shape)} {'with' if self.has_bias else 'without'} biases"


def _by_module(file: WeightFile, network: Network) -> tuple[dict[str, str], list[str]]:
    """Each parameter's name in the file of a PyTorch module's state_dict; and what is wrong."""
    modules = _modules(file)
    layers = [
        _Module(
            f"{p.name}.", _as_pytorch(p.parameter_shapes["weight"]), "bias" in p.parameter_shapes
        )
        for p in network.layers
        if p.parameter_shapes
    ]
    named = {module.prefix: module for module in modules}
    if named.keys() == {layer.prefix for layer in layers}:
        modules = [named[layer.prefix] for layer in layers]
    else:
        modules = _paired(file, modules, layers)
    names = {}
    for layer, module in zip(layers, modules, strict=True):
        if module.has_bias != layer.has_bias:
            raise NncliError(
                f"{file.name}: {printable(module.name)} is {module}, {layer.name} {layer}"
            )
        for key in ("weight", "bias") if layer.has_bias else ("weight",):
            names[layer.prefix + key] = module.prefix + key
        for key, theirs in STATE_IN_PYTORCH.items():
            if layer.prefix + key in network.state and module.prefix + theirs in file.arrays:
                names[layer.prefix + key] = module.prefix + theirs
    return names, []


def _as_pytorch(shape: Shape) -> Shape:
    return shape[::-1] if len(shape) == 2 else shape


def _modules(file: WeightFile) -> list[_Module]:
    """The modules with weights, in order."""
    own = BUFFERS + TARGET_BUFFERS if PYTORCH.items() <= file.metadata.items() else ()
    names = [name for name in file.arrays if name not in own]
    if not file.is_ordered:
        names.sort(key=_natural)
    problems, modules = [], []
    for name in names:
        key = name.rpartition(".")[2]
        prefix, shape = name[: len(name) - len(key)], file.arrays[name].shape
        of_batchnorm = {f"{prefix}weight", f"{prefix}running_mean"} <= file.arrays.keys()
        if of_batchnorm and key in STATE_IN_PYTORCH.values():
            continue
        # One axis alone does not tell: a scale of any other normalisation has one too.
        if key == "weight" and len(shape) in MODULES and (of_batchnorm or len(shape) > 1):
            modules.append(_Module(prefix, shape, f"{prefix}bias" in file.arrays))
        elif key != "bias" or len(shape) != 1 or f"{prefix}weight" not in file.arrays:
            problems.append(
                f"{file.name}: {_describe_array(file, name)} is no weight or bias of a "
                f"{join_words(MODULES.values())} layer"
            )
    _raise(problems)
    return modules


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts fc2 before fc10."""
    parts = re.findall(r"[0-9]{1,18}|[^0-9]+", name)
    return [(int(part), "") if part[0] in "0123456789" else (-1, part) for part in parts]


def _paired(
    file: WeightFile, modules: Sequence[_Module], layers: Sequence[_Module]
) -> list[_Module]:
    """For each layer the module that it takes, by kind and shape and then in order."""
    chosen: dict[str, _Module] = {}
    for fit in dict.fromkeys(layer.fit for layer in layers):
        alike = [m for m in modules if m.fit == fit]
        takers = [layer for layer in layers if layer.fit == fit]
        if len(alike) == len(takers):
            if len(alike) > 1 and not file.is_ordered:
                _check_numbered(file, alike, takers)
            chosen |= {layer.name: module for layer, module in zip(takers, alike, strict=True)}
    if len(chosen) == len(layers) == len(modules):
        return [chosen[layer.name] for layer in layers]
    lines = [f"{file.name}: its modules do not fit the network's layers, as PyTorch has them:"]
    for axes, kind in sorted(MODULES.items(), reverse=True):
        theirs = [f"{m.name}: {m}" for m in modules if len(m.shape) == axes]
        ours = [f"{layer.name}: {layer}" for layer in layers if len(layer.shape) == axes]
        if theirs or ours:
            lines.append(f"  {kind} modules: {_some(theirs)}")
            lines.append(f"  {kind} layers:  {_some(ours)}")
    raise NncliError("\n".join(lines))


def _check_numbered(file: WeightFile, alike: Sequence[_Module], takers: Sequence[_Module]) -> None:
    """Whether it is numbers that order the names of modules that are of one shape."""
    if len({re.sub(r"[0-9]+", "#", module.name) for module in alike}) > 1:
        ours, wanted = ([printable(m.name) for m in modules] for modules in (alike, takers))
        raise NncliError(
            f"{file.name}: {join_words(ours, 'and')} are alike, and a safetensors file "
            f"does not keep their order; name them {join_words(wanted, 'and')}, or "
            "number them"
        )


def _misfit(file: WeightFile, name: str, ours: str, wanted: Shape, layout: Layout) -> str:
    came = file.arrays[name].shape
    fits = wanted if layout == "nncli" else _as_pytorch(wanted)
    turned = layout == "nncli" and len(wanted) == 2 and came == wanted[::-1]
    hint = "; PyTorch has it so: --from pytorch turns it" if turned else ""
    to = "" if name == ours else f" for {ours}"
    what = f"{file.name}: {printable(name)} is {sizes(came) or 'one number'}"
    return f"{what}, {sizes(fits)} would fit{to}{hint}"


def _origins(names: dict[str, str], network: Network, layout: Layout) -> Iterable[ModuleOrigin]:
    for placed in network.layers:
        weight = placed.parameter_shapes.get("weight")
        if weight is not None:
            module = names[f"{placed.name}.weight"].removesuffix("weight").removesuffix(".")
            yield ModuleOrigin(placed.name, module, layout == "pytorch" and len(weight) == 2)


def _raise(problems: Sequence[str]) -> None:
    if problems:
        more = len(problems) - MOST_LINES
        lines = [*problems[:MOST_LINES], *([f"and {more:,} more"] if more > 0 else [])]
        raise NncliError("\n".join(lines))
