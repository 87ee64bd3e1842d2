"""A checkpoint: all that a training needs to be resumed, as bytes with a checksum."""

import math
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from nncli.core import safetensors_format
from nncli.core.errors import DamagedError, Malformed, RunError, why_damaged
from nncli.core.files import read_regular, reason
from nncli.core.jsons import from_json, to_json
from nncli.core.text import printable, sizes
from nncli.nn.arrays import Array
from nncli.nn.network import Network
from nncli.nn.optimizers import Optimizer
from nncli.nn.trace import Start
from nncli.training.best import METRICS, Best
from nncli.training.history import Marks, marks_from
from nncli.training.run_data import Checksums, Fingerprint, checksums_from
from nncli.training.tallies import TallyState, states_from

FORMAT, VERSION = "nncli.checkpoint/", 1
POSITION = ("epoch", "samples", "cost_sum", "steps_taken", "seconds")
INTEGERS = ("epoch", "samples", "steps_taken")
MARKS = ("epoch", "steps_taken", "metric", "value")
LARGEST_COUNT = 2**63 - 1
# What damaged bytes raise.
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
NO_CONDITIONS = '{"tallies": []}'
LONGEST_WORD = 200  # characters of a version or a kernel
CHECKSUM_KEY, NO_CHECKSUM = b'"checksum": "', b"0" * 8
BEST = "best"  # best.dense1.weight: the weights after the best epoch, where it is not the last


class State(NamedTuple):
    """The state of a training. The order of samples follows from the seed and the epoch.

    Attributes:
        epoch: how many epochs are complete.
        samples: how many samples of the epoch under way are done.
        cost_sum: the sum of C_x over them.
        steps_taken: over the whole training.
        seconds: spent on the steps of the epoch under way.
        parameters: of the network, as it has them.
        optimizer: the optimizer's state by name: vectors as `parameters`, and counters.
        network_state: what the layers keep from step to step, see `Network.state`.
        conditions: what has become of the training's conditions, see `Watch.state`.
        best: the best epoch so far; None where nothing says which one that is.
    """

    epoch: int
    samples: int
    cost_sum: float
    steps_taken: int
    seconds: float
    parameters: Array
    optimizer: Mapping[str, Array]
    network_state: Mapping[str, Array] = MappingProxyType({})
    conditions: tuple[TallyState, ...] = ()
    best: Best | None = None

    @property
    def start(self) -> Start:
        """What the next step starts from."""
        return Start(self.parameters, self.optimizer, self.network_state)

    def is_at(self, best: Best) -> bool:
        """Whether the weights here are those of `best`."""
        return (best.epoch, 0) == (self.epoch, self.samples)

    def at_best(self, best: Best) -> "State":
        """The state after the best epoch, as far as it is known: its optimizer's is not kept."""
        if self.is_at(best):
            return self
        return State(
            epoch=best.epoch,
            samples=0,
            cost_sum=0.0,
            steps_taken=best.steps_taken,
            seconds=0.0,
            parameters=best.parameters,
            optimizer={},
            network_state=best.network_state,
            best=best,
        )


class RunIdentity(NamedTuple):
    """What has to be the same for a run to go on to the same bits.

    Attributes:
        data: the fingerprint of the run's data.
        threads: how many share the work; the order of sums depends on it.
        untrained: the cost of a network that has learnt nothing, see `Trainer`.
        checksums: of the data; none in checkpoints of older versions.
        metrics: what the metrics file held when the checkpoint was written; () in those.
        arithmetic: versions and kernels that decide the last bits, see `blas.arithmetic`; empty in
            those.
        spec: what of the spec stays the same, as nested mappings, tuples and scalars; empty in
            those.
        preprocessing: what of data.json `mark_of` gives; None in those.
    """

    data: Fingerprint
    threads: int
    untrained: float
    checksums: Checksums = MappingProxyType({})
    metrics: Marks = ()
    arithmetic: Mapping[str, str] = MappingProxyType({})
    spec: Mapping[str, Any] = MappingProxyType({})
    preprocessing: int | None = None


def check_optimizer_state(optimizer: Optimizer, state: State) -> None:
    """Raises RunError where a state is not that of `optimizer`."""
    wanted, found = set(optimizer.state), set(state.optimizer)
    if wanted != found:
        kept, needed = (" and ".join(sorted(names)) or "no state" for names in (found, wanted))
        raise RunError(f"the checkpoint keeps {kept} of its optimizer, the spec's needs {needed}")


def pack_checkpoint(network: Network, state: State, identity: RunIdentity) -> bytes:
    """A checkpoint's bytes.

    They hold the arrays dense1.weight, batchnorm1.running_mean, velocity.dense1.weight, ... and
    metadata. Its checksum is the CRC-32 of all the bytes, with zeros for its own eight digits.
    """
    arrays = {**network.named(state.parameters), **state.network_state}
    for key, array in state.optimizer.items():
        if array.ndim:
            arrays |= {f"{key}.{name}": part for name, part in network.named(array).items()}
        else:
            arrays[key] = array
    best = state.best
    if best is not None and not state.is_at(best):
        kept = {**network.named(best.parameters), **best.network_state}
        arrays |= {f"{BEST}.{name}": array for name, array in kept.items()}
    metadata = {
        "format": f"{FORMAT}{VERSION}",
        "checksum": NO_CHECKSUM.decode(),
        "place": to_json({key: getattr(state, key) for key in POSITION}),
        **_conditions(state),
        **({} if best is None else {BEST: to_json({key: getattr(best, key) for key in MARKS})}),
        "terms": to_json(
            identity._replace(
                checksums=dict(identity.checksums),
                arithmetic=dict(identity.arithmetic),
                spec=dict(identity.spec),
            )._asdict()
        ),
    }
    content = safetensors_format.pack(arrays, metadata)
    at = content.index(CHECKSUM_KEY) + len(CHECKSUM_KEY)
    return content[:at] + _checksum(content) + content[at + len(NO_CHECKSUM) :]


def _conditions(state: State) -> dict[str, str]:
    """What has become of the conditions, as metadata; nothing where there are none."""
    if not state.conditions:
        return {}
    return {"conditions": to_json({"tallies": list(state.conditions)})}


def read_checkpoint(path: Path, network: Network) -> tuple[State, RunIdentity]:
    """The state in a checkpoint, for a network of the run's spec; and its run's identity.

    Raises:
        DamagedError: there is none, or it is not as it was written.
        RunError: another version wrote it, or it is of another network.
    """
    name = printable(path)
    arrays, metadata = read_whole(path)
    identity = _identity_in(name, metadata)
    try:
        position = _position(metadata["place"])
        conditions = states_from(from_json(metadata.get("conditions", NO_CONDITIONS)))
        mark = _best_mark(metadata[BEST], position) if BEST in metadata else None
    except DAMAGE as error:
        raise DamagedError(f"{name}: damaged: {printable(why_damaged(error))}") from error
    # velocity.dense1.weight is of a vector, a name without dots a counter.
    vectors = {key.split(".")[0] for key in arrays if key.count(".") == 2} - {BEST}
    optimizer = {key: _flat(name, network, arrays, f"{key}.") for key in vectors}
    optimizer |= {key: array for key, array in arrays.items() if "." not in key}
    parameters = _flat(name, network, arrays, "")
    kept = _kept(name, network, arrays, "")
    state = State(
        parameters=parameters,
        optimizer=optimizer,
        network_state=kept,
        conditions=conditions,
        **position,
    )
    if mark is not None:
        best = Best(**mark, parameters=parameters, network_state=kept)
        if not state.is_at(best):
            best = best._replace(
                parameters=_flat(name, network, arrays, f"{BEST}."),
                network_state=_kept(name, network, arrays, f"{BEST}."),
            )
        state = state._replace(best=best)
    return state, identity


def read_identity(path: Path) -> RunIdentity:
    """The identity of the run that a checkpoint is of, whatever its network.

    Raises:
        DamagedError, RunError: as `read_checkpoint`.
    """
    _, metadata = read_whole(path)
    return _identity_in(printable(path), metadata)


def read_whole(path: Path) -> tuple[safetensors_format.Arrays, Mapping[str, str]]:
    """The arrays of a checkpoint and their metadata, if its checksum is that of its content.

    Raises:
        DamagedError, RunError: as `read_checkpoint`.
    """
    name = printable(path)
    try:
        content = read_regular(path)
        arrays, metadata = safetensors_format.unpack(content)
        _check_version(name, metadata["format"])
        if metadata["checksum"].encode() != _checksum(content):
            raise Malformed("its checksum is not that of its content")
    except FileNotFoundError:
        raise DamagedError(f"{name}: there is no such file; a run folder holds one") from None
    except OSError as error:
        raise DamagedError(f"{name}: cannot be read: {reason(error)}") from error
    except DAMAGE as error:
        raise DamagedError(f"{name}: damaged: {printable(why_damaged(error))}") from error
    return arrays, metadata


def _checksum(content: bytes) -> bytes:
    """The checksum of a checkpoint's bytes, whatever the eight digits are now."""
    at = content.index(CHECKSUM_KEY) + len(CHECKSUM_KEY)
    before = zlib.crc32(NO_CHECKSUM, zlib.crc32(content[:at]))
    return f"{zlib.crc32(memoryview(content)[at + len(NO_CHECKSUM) :], before):08x}".encode()


def _check_version(name: str, written: str) -> None:
    if not re.fullmatch(rf"{FORMAT}\d+", written):
        raise Malformed(f"{printable(repr(written))} is no format of a checkpoint")
    if written != f"{FORMAT}{VERSION}":
        raise RunError(
            f"{name}: its format is {written!r}, this version of nncli reads "
            f"'{FORMAT}{VERSION}'; a newer version may have written it"
        )


def _position(text: str) -> dict[str, Any]:
    """The numbers of a State, from their JSON."""
    written = from_json(text)
    position = {key: written[key] for key in POSITION}
    for key, number in position.items():
        kind = int if key in INTEGERS else float
        is_sound = type(number) is kind and math.isfinite(number)
        if not is_sound or (kind is int and not 0 <= number <= LARGEST_COUNT):
            raise Malformed(f"{key} is {number!r}")
    return position


def _best_mark(text: str, position: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a Best, from their JSON."""
    mark = {key: from_json(text)[key] for key in MARKS}
    for key, limit in (("epoch", position["epoch"]), ("steps_taken", position["steps_taken"])):
        if type(mark[key]) is not int or not 1 <= mark[key] <= limit:
            raise Malformed(f"{key} of its best epoch is {mark[key]!r}")
    if mark["metric"] not in METRICS:
        raise Malformed(f"metric of its best epoch is {mark['metric']!r}")
    if not _is_number(mark["value"]) or not math.isfinite(mark["value"]):
        raise Malformed(f"value of its best epoch is {mark['value']!r}")
    return mark


def _identity_in(name: str, metadata: Mapping[str, str]) -> RunIdentity:
    try:
        return _identity(metadata["terms"])
    except DAMAGE as error:
        raise DamagedError(f"{name}: damaged: {printable(why_damaged(error))}") from error


def _identity(text: str) -> RunIdentity:
    """A RunIdentity from its JSON."""
    written = from_json(text)
    prints, threads = written["data"], written["threads"]
    if not isinstance(prints, dict) or not all(map(_is_fingerprint, prints.values())):
        raise Malformed("data holds no numbers")
    data = {part: tuple(map(float, numbers)) for part, numbers in prints.items()}
    if type(threads) is not int or not 1 <= threads <= 256:
        raise Malformed(f"threads is {threads!r}")
    untrained = written["untrained"]
    if untrained is not None and not _is_number(untrained):
        raise Malformed(f"untrained is {untrained!r}")
    arithmetic = written.get("arithmetic", {})
    if not isinstance(arithmetic, dict) or not all(map(_is_word, arithmetic.values())):
        raise Malformed("arithmetic holds no words")
    spec = written.get("spec", {})
    if not isinstance(spec, dict):
        raise Malformed("spec is no mapping")
    preprocessing = written.get("preprocessing")
    if preprocessing is not None and type(preprocessing) is not int:
        raise Malformed("the checksum of data.json is none")
    return RunIdentity(
        data,
        threads,
        math.inf if untrained is None else float(untrained),
        checksums_from(written.get("checksums", {})),
        marks_from(written.get("metrics", [])),
        arithmetic,
        _with_tuples(spec),
        preprocessing,
    )


def _with_tuples(value: Any) -> Any:
    """A value of a spec from its JSON, which has lists for tuples."""
    if isinstance(value, dict):
        return {key: _with_tuples(entry) for key, entry in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_WORD


def _is_fingerprint(numbers: Any) -> bool:
    """Whether this can be a fingerprint of a part of the data."""
    return isinstance(numbers, list) and all(map(_is_number, numbers))


def _is_number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) <= LARGEST_COUNT)


def _flat(name: str, network: Network, arrays: safetensors_format.Arrays, prefix: str) -> Array:
    """The arrays of a network's parameters as one vector, if all are there and fit."""
    flat = np.zeros_like(network.parameters)
    for key, view in network.named(flat).items():
        view[...] = _checked(name, arrays, prefix + key, view)
    return flat


def _kept(
    name: str, network: Network, arrays: safetensors_format.Arrays, prefix: str
) -> dict[str, Array]:
    """The arrays of the state of a network's layers, if all are there and fit."""
    state = network.state.items()
    return {key: _checked(name, arrays, prefix + key, array) for key, array in state}


def _checked(name: str, arrays: safetensors_format.Arrays, key: str, like: Array) -> Array:
    """The array of that name, if it is there and fits."""
    array = arrays.get(key)
    if array is None:
        raise RunError(f"{name}: holds no {key}, which the run's spec calls for")
    if array.shape != like.shape or array.dtype != like.dtype:
        raise RunError(
            f"{name}: {key} is {sizes(array.shape) or 'one number'} of {array.dtype}, "
            f"the run's spec calls for {sizes(like.shape) or 'one number'} of {like.dtype}"
        )
    if not np.isfinite(array).all():
        raise RunError(f"{name}: {key} holds what is not finite")
    return array
