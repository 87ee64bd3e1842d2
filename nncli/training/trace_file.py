"""The record of one step as a file: arrays in safetensors, and what the step was taken with.

Every array is kept to the bit, with a checksum of all of them; one that is the same memory as
another, as a layer's a is the next one's input, is kept once, and the metadata say what else it is.
The network is not kept: it is the spec's, made anew by the reader, which gives its layers here.
"""

import json
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nncli.core import safetensors_format
from nncli.core.errors import DamagedError, Malformed, RunError, why_damaged
from nncli.core.files import TRACE, kind_of, read_regular, reason
from nncli.core.jsons import from_json, to_json
from nncli.core.text import join_words, printable, quote
from nncli.nn.arrays import Array, Place, place_of
from nncli.nn.costs import Cost
from nncli.nn.layers import Placed
from nncli.nn.links import Link
from nncli.nn.recorder import OF_LAYERS, WEIGHTS, named_arrays
from nncli.nn.trace import LayerTrace, Trace
from nncli.training.run_files import TRACES, is_run_folder

FORMAT, VERSION = "nncli.trace-file/", 3
# Versions that are read too. They have every array by its own name; 1 has another checksum.
OLDER = {"1", "2"}
SUFFIX = ".trace"
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
LONGEST_SPEC = 16 << 20  # characters


class StepFacts(NamedTuple):
    """What a step was taken with, besides its arrays.

    Attributes:
        spec: its text, with names for paths.
        step: counted from 1 over the whole training.
        threads, batch: that the work was shared among, and for how many samples they were begun.
        arithmetic: versions and kernels that decide the last bits, see `blas.arithmetic`.
        version: of nncli.
        micro_batches: into how many the mini-batch was split; 1 in files of older versions.
    """

    spec: str
    step: int
    threads: int
    batch: int
    arithmetic: Mapping[str, str]
    version: str
    micro_batches: int = 1


class StoredTrace(NamedTuple):
    """A file's content before its network is known."""

    name: str
    facts: StepFacts
    numbers: Mapping[str, Any]
    arrays: Mapping[str, Array]


def is_trace_file(path: str | Path) -> bool:
    """Whether a path is called as a trace is."""
    return Path(path).suffix.lower() == SUFFIX


class Packing(NamedTuple):
    """How records lie in files: the same for all that have their arrays in the same memory.

    Attributes:
        sum: the checksum so far, of all but the numbers.
        behind: the header's bytes behind what a record has for itself.
        pieces: the numbers.
    """

    sum: int
    behind: bytes
    pieces: tuple[memoryview, ...]


def packing_of(trace: Trace, facts: StepFacts) -> Packing:
    """How a record lies in its file, and others of the same arrays; the step is not looked at."""
    kept: dict[str, Array] = {}
    same: dict[str, tuple[str, tuple[int, ...]]] = {}
    names: dict[Place, str] = {}
    for name, array in named_arrays(trace):
        of = names.setdefault(place_of(array), name)
        if of is name:
            kept[name] = array
        else:
            same[name] = of, array.shape
    # As `nn.recorder` has them in memory, so that they are one piece.
    kept = dict(sorted(kept.items(), key=lambda item: -item[1].itemsize))
    layout = ((name, array.dtype.str, array.shape) for name, array in kept.items())
    described, others = safetensors_format.entries(layout), to_json(same)
    about = {**facts._asdict(), "arithmetic": dict(facts.arithmetic)}
    del about["step"]
    behind = f", {to_json(about)[1:]}"
    text = f'{_quoted(behind)}", "same": "{_quoted(others)}"}}, {described}}}'
    pieces = tuple(safetensors_format.joined_numbers(kept.values()))
    return Packing(_sum_of((), described + others), text.encode(), pieces)


def pack_trace(trace: Trace, facts: StepFacts) -> list[bytes | memoryview]:
    """The file's bytes, in pieces; the numbers are those of the trace itself."""
    return pack(trace, trace.name, facts.step, packing_of(trace, facts))


def pack(trace: Trace, name: str, step: int, packing: Packing) -> list[bytes | memoryview]:
    """The same of a record whose packing is known."""
    own = {
        "name": name,
        "step": step,
        "eta": trace.eta,
        "samples": trace.samples,
        "cost_before": trace.cost_before,
        "cost_after": trace.cost_after,
    }
    found = packing.sum
    for piece in packing.pieces:
        found = zlib.crc32(piece, found)
    front = f'{{"__metadata__": {{"format": "{FORMAT}{VERSION}", "checksum": "{found:08x}", '
    front += f'"about": "{_quoted(to_json(own)[:-1])}'
    return [safetensors_format.with_length(front.encode() + packing.behind), *packing.pieces]


def _quoted(text: str) -> str:
    """What stands between the quotation marks of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def checksum(arrays: Mapping[str, Array], same: str = "{}") -> str:
    """Of arrays that are kept and of what else they are (JSON), in their order."""
    layout = ((name, array.dtype.str, array.shape) for name, array in arrays.items())
    pieces = safetensors_format.joined_numbers(arrays.values())
    return f"{_sum_of(pieces, safetensors_format.entries(layout) + same):08x}"


def _sum_of(pieces: Iterable[memoryview], text: str) -> int:
    found = zlib.crc32(text.encode())
    for piece in pieces:
        found = zlib.crc32(piece, found)
    return found


def _checksum(version: str, arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> str:
    if version == "1":
        return _oldest_checksum(arrays)
    if version == "2":
        return _older_checksum(arrays)
    return checksum(arrays, metadata["same"])


def _older_checksum(arrays: Mapping[str, Array]) -> str:
    names = "\n".join(f"{name} {a.dtype.str[1:]} {a.shape}" for name, a in arrays.items())
    pieces = safetensors_format.joined_numbers(arrays.values())
    return f"{_sum_of(pieces, names):08x}"


def _oldest_checksum(arrays: Mapping[str, Array]) -> str:
    found = 0
    for name, array in arrays.items():
        found = zlib.crc32(f"{name} {array.dtype.str[1:]} {array.shape}\n".encode(), found)
        found = zlib.crc32(safetensors_format.numbers_of(array), found)
    return f"{found:08x}"


def read_stored(path: Path) -> StoredTrace:
    """Reads a file; its network is yet to be made.

    Raises:
        RunError: it is no trace, or of another version. DamagedError: it is not as it was written.
    """
    name = printable(path)
    if os.path.isdir(path):
        raise RunError(f"{name}: {refused_as('a folder', path)}")
    try:
        content = read_regular(path)
    except OSError as error:
        raise RunError(f"{name}: cannot be read: {reason(error)}") from error
    kind = kind_of(content)
    if kind != TRACE and (kind is not None or not is_trace_file(path)):
        raise RunError(f"{name}: {refused_as(kind, path)}")
    try:
        arrays, metadata = safetensors_format.unpack(content)
        form = metadata.get("format", "")
        if not form.startswith(FORMAT):
            raise RunError(f"{name}: {refused_as(kind, path)}")
        version = form.removeprefix(FORMAT)
        if version not in {str(VERSION), *OLDER}:
            known = join_words([*sorted(OLDER), str(VERSION)], "and")
            raise RunError(
                f"{name}: is a trace of version {quote(version)}, and {known} are read; the nncli "
                "that wrote it reads it"
            )
        if _checksum(version, arrays, metadata) != metadata["checksum"]:
            raise Malformed("its numbers are not those that were written (their checksum differs)")
        if version not in OLDER:
            arrays |= _same(from_json(metadata["same"]), arrays)
        about = from_json(metadata["about"])
        facts = StepFacts(
            _text(about["spec"], LONGEST_SPEC),
            _count(about["step"]),
            _count(about["threads"]),
            _count(about["batch"]),
            {str(key): _text(value, 200) for key, value in about["arithmetic"].items()},
            _text(about["version"], 200),
            _count(about.get("micro_batches", 1)),
        )
        if any(array.dtype.kind == "f" and not array.size for array in arrays.values()):
            raise Malformed("it holds an empty array")
        return StoredTrace(_text(about["name"], 1000), facts, about, arrays)
    except DAMAGE as error:
        raise DamagedError(f"{name}: is damaged: {why_damaged(error)}") from error


def _same(same: Mapping[str, Any], arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays that a file has under another name."""
    found = {}
    for name, (of, shape) in same.items():
        if name in arrays or not all(type(n) is int and n >= 0 for n in shape):
            raise Malformed(f"{quote(name)} is there twice, or has no shape")
        found[name] = arrays[of].reshape(shape)
    return found


def refused_as(kind: str | None, path: Path) -> str:
    """Why a file, of a kind that `kind_of` says, is no trace, and how one is made."""
    what = f"but {kind}" if kind is not None else f"nor called FILE{SUFFIX}"
    return f"is no trace, {what}; {how_made(path)}"


def how_made(path: Path) -> str:
    """How a trace is made of what is at a path, or where those of a run are."""
    name = printable(path)
    if os.path.isdir(path):
        kept = sorted((path / TRACES).glob(f"*{SUFFIX}"))
        if kept:
            return f"its traces are in {name}/{TRACES}, the first is {printable(kept[0])}"
    is_source = is_run_folder(path) or path.suffix.lower() in (".yaml", ".yml")
    return f"nncli inspect-grad {name if is_source else 'SPEC'} --save FILE{SUFFIX} writes one"


def _text(value: Any, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise Malformed("it has something else where text belongs")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 1 <= value < 2**62:
        raise Malformed("it has something else where a count belongs")
    return value


def restore_trace(
    stored: StoredTrace, placed: Sequence[Placed], cost: Cost, links: Sequence[Link], path: Path
) -> Trace:
    """The trace, with the network that it is of.

    Raises:
        DamagedError: the arrays are not those of such a step.
    """
    arrays, about = stored.arrays, stored.numbers
    n = len(about["samples"]) if isinstance(about.get("samples"), list) else 0
    try:
        layers = tuple(_layer(arrays, p, links) for p in placed)
        trace = Trace(
            name=stored.name,
            eta=float(about["eta"]),
            links=tuple(links),
            scalars={
                key.removeprefix("scalars."): array
                for key, array in arrays.items()
                if key.startswith("scalars.")
            },
            samples=tuple(int(sample) for sample in about["samples"]),
            cost=cost,
            cost_before=float(about["cost_before"]),
            cost_after=float("nan" if about["cost_after"] is None else about["cost_after"]),
            inputs=arrays["inputs"],
            targets=arrays["targets"],
            layers=layers,
            **{key: arrays.get(key) for key in WEIGHTS},
        )
        _check_shapes(trace, n)
    except DAMAGE as error:
        raise DamagedError(f"{printable(path)}: is damaged: {why_damaged(error)}") from error
    return trace


def _layer(arrays: Mapping[str, Array], placed: Placed, links: Sequence[Link]) -> LayerTrace:
    stem = f"{placed.name}."
    states = {name for link in links for name in (*link.state, *link.terms)}
    optimizer: dict[str, dict[str, Array]] = {}
    for key in placed.parameter_shapes:
        prefix = f"{stem}optimizer.{key}."
        found = {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}
        if not states - {"update"} <= set(found):
            raise Malformed(f"it lacks what the optimizer keeps of {placed.name}")
        optimizer[key] = found
    recorded = {
        key.removeprefix(f"{stem}recorded."): array
        for key, array in arrays.items()
        if key.startswith(f"{stem}recorded.")
    }
    if not {q.key for q in placed.layer.quantities} <= set(recorded):
        raise Malformed(f"it lacks a quantity of {placed.name}")
    values = {key: arrays.get(f"{stem}{key}") for key in OF_LAYERS}
    needed = ["input", "a", "upstream", "downstream"]
    for key in placed.parameter_shapes:
        needed += [key, *(f"{key}_{of}" for of in ("gradient", "update", "new"))]
    for key in needed:
        if values[key] is None:
            raise Malformed(f"it lacks {stem}{key}")
    return LayerTrace(placed=placed, recorded=recorded, optimizer=optimizer, **values)  # type: ignore[arg-type]


def _check_shapes(trace: Trace, n: int) -> None:
    """Raises Malformed where an array has another shape than its layer gives it."""
    if not n or len(trace.inputs) != n or len(trace.targets) != n:
        raise Malformed("it has other samples than it says")
    classes = max(2, trace.targets.shape[1])
    shapes_of_weights = [(classes,), (n,), trace.targets.shape]
    found = [None if (array := getattr(trace, key)) is None else array.shape for key in WEIGHTS]
    if found not in ([None] * 3, shapes_of_weights):
        raise Malformed("it has weights of other classes or samples")
    for layer in trace.layers:
        placed = layer.placed
        before, behind = (n, *placed.input_shape), (n, *placed.output_shape)
        shapes = {"input": before, "downstream": before, "a": behind, "upstream": behind}
        shapes |= {"z": behind, "sigma_prime": behind, "delta": behind}
        for key, shape in placed.parameter_shapes.items():
            shapes |= {f"{key}{of}": shape for of in ("", "_gradient", "_update", "_new")}
        for key, shape in shapes.items():
            array = getattr(layer, key)
            if array is not None and array.shape != shape:
                raise Malformed(f"{layer.name}.{key} has another shape than its layer")
