"""Checkpoints: what was packed comes back, and damage is always noticed."""

import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nncli.app.pipeline import prepare
from nncli.core.errors import DamagedError, RunError
from nncli.core.jsons import to_json
from nncli.spec import parse_spec
from nncli.training import checkpoint
from nncli.training.checkpoint import RunIdentity, State, pack_checkpoint, read_checkpoint

SPEC = """
data: {train: {inputs: [[0, 1], [1, 0]], targets: [1, 0]}}
network: [{type: dense, units: 3}, {type: dense, units: 2}]
train: {eta: 0.5, momentum: 0.5}
"""
NETWORK = prepare(parse_spec(SPEC)).network
TERMS = RunIdentity({"train": (2.0, 0.5, 0.25), "validation": (1.0, 0.125)}, 2, 0.5)


def state(**changes: Any) -> State:
    rng = np.random.default_rng(0)
    size, dtype = NETWORK.parameters.size, NETWORK.dtype
    parameters, velocity = (rng.standard_normal(size).astype(dtype) for _ in range(2))
    optimizer = {"velocity": velocity, "steps": np.array(29)}
    return State(7, 1, 0.1 + 0.2, 29, 1.25, parameters, optimizer)._replace(**changes)


WHOLE = pack_checkpoint(NETWORK, state(), TERMS)


def read(content: bytes, folder: Path) -> tuple[State, RunIdentity]:
    path = folder / "checkpoint.safetensors"
    path.write_bytes(content)
    return read_checkpoint(path, NETWORK)


def test_what_was_packed_comes_back_to_the_bit(tmp_path: Path) -> None:
    again, identity = read(WHOLE, tmp_path)
    expected = state()
    assert again[:5] == state()[:5]
    assert again.parameters.tobytes() == state().parameters.tobytes()
    assert again.optimizer.keys() == {"velocity", "steps"}
    for name, array in expected.optimizer.items():
        assert again.optimizer[name].tobytes() == array.tobytes()
    assert identity == TERMS


def test_without_momentum_there_is_no_velocity(tmp_path: Path) -> None:
    again, _ = read(pack_checkpoint(NETWORK, state(optimizer={}), TERMS), tmp_path)
    assert again.optimizer == {}


def test_the_checksum_is_the_crc_of_all_but_itself() -> None:
    (written,) = re.findall(rb'"checksum": "([0-9a-f]{8})"', WHOLE)
    blank = re.sub(rb'(?<="checksum": ")[0-9a-f]{8}', b"00000000", WHOLE)
    assert int(written, 16) == zlib.crc32(blank)


@settings(deadline=None)  # on a loaded machine any call may take long
@given(bit=st.integers(0, 8 * len(WHOLE) - 1))
def test_a_flipped_bit_is_noticed(bit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    damaged = bytearray(WHOLE)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(RunError, match=r"checkpoint\.safetensors: "):
        read(bytes(damaged), tmp_path_factory.getbasetemp())


@settings(deadline=None)
@given(size=st.integers(0, len(WHOLE) - 1))
def test_a_cut_is_noticed(size: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(DamagedError, match=r"checkpoint.safetensors: damaged: "):
        read(WHOLE[:size], tmp_path_factory.getbasetemp())


def test_another_version_says_so(tmp_path: Path) -> None:
    newer = WHOLE.replace(b"nncli.checkpoint/1", b"nncli.checkpoint/2")
    with pytest.raises(RunError, match=r"'nncli.checkpoint/2', this version .* newer") as caught:
        read(newer, tmp_path)
    assert not isinstance(caught.value, DamagedError)  # the one before would not be the better one


@pytest.mark.parametrize(
    ("key", "value"),
    [("epoch", -1), ("epoch", 1.5), ("samples", "1"), ("cost_sum", float("nan")), ("seconds", [])],
)
def test_a_place_that_is_none(key: str, value: object, tmp_path: Path) -> None:
    content = pack_checkpoint(NETWORK, state(**{key: value}), TERMS)
    with pytest.raises(DamagedError, match=f"damaged: {key} is "):
        read(content, tmp_path)


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ("[", "it is no JSON"),
        ("[]", "it is no JSON object"),
        ("[" * 100_000, "it is no JSON"),
        ("{}", "it holds no 'data'"),
        ('{"data": [1], "threads": 1}', "data holds no numbers"),
        ('{"data": {"train": null}, "threads": 1}', "data holds no numbers"),
        ('{"data": {"train": [[]]}, "threads": 1}', "data holds no numbers"),
        (f'{{"data": {{"train": [{10**400}]}}, "threads": 1}}', "data holds no numbers"),
        ('{"data": {}, "threads": 1, "untrained": "x"}', "untrained is 'x'"),
    ],
)
def test_terms_that_are_none(
    monkeypatch: pytest.MonkeyPatch, terms: str, told: str, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        checkpoint, "to_json", lambda record: terms if "data" in record else to_json(record)
    )
    content = pack_checkpoint(NETWORK, state(), TERMS)
    with pytest.raises(DamagedError, match=f"damaged: {told}$"):
        read(content, tmp_path)


def test_numbers_that_are_not_finite(tmp_path: Path) -> None:
    spoilt = state()
    spoilt.parameters[3] = np.nan
    with pytest.raises(RunError, match=r"dense1\.weight holds what is not finite"):
        read(pack_checkpoint(NETWORK, spoilt, TERMS), tmp_path)
