"""The history keeps numbers, and gives the epochs back."""

import json
import math
import re
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

import nncli
from nncli.core.errors import DamagedError
from nncli.core.jsons import to_json
from nncli.nn.measures import LayerMeasures
from nncli.training.history import Epoch, History, Progress, read_first
from nncli.training.run_files import METRICS
from nncli.training.trainer import Trainer
from tests.conftest import CONFIGS


@pytest.fixture(scope="module")
def epochs() -> list[Epoch]:
    """Of a network with layers that lack most measures."""
    seen: list[Epoch] = []

    def watch(event: Epoch | Progress, trainer: Trainer) -> None:
        if isinstance(event, Epoch):
            seen.append(event)

    spec = nncli.load_spec(CONFIGS / "digits-conv.yaml", ["train.epochs=3"])
    nncli.train(spec, on_event=watch)
    return seen


def test_it_is_a_sequence_of_what_was_put_in(epochs: list[Epoch]) -> None:
    history = History(epochs)
    assert list(history) == epochs
    assert history == tuple(epochs)
    assert history != History(epochs[1:])
    assert history != History([epochs[0], epochs[0], epochs[2]])
    assert len(history) == 3
    assert history[-1] == epochs[-1]
    assert history[1:] == epochs[1:]
    assert [type(epochs[0].epoch), type(history[0].epoch)] == [int, int]
    with pytest.raises(IndexError):
        history[3]
    assert len(History()) == 0
    assert list(History()) == []


def test_a_number_of_all_epochs_by_its_name(epochs: list[Epoch]) -> None:
    history = History(epochs)
    for key in ("epoch", "train_cost", "validation_cost", "train_cost_after", "last_batch"):
        assert history.column(key) == [getattr(epoch, key) for epoch in epochs]
    assert history.accuracies() == [epoch.accuracy for epoch in epochs]
    nothing_held_back = replace(epochs[0], validation_accuracy=None, train_accuracy=0.5)
    assert History([nothing_held_back]).accuracies() == [0.5]
    no_classes = replace(epochs[0], validation_accuracy=None)
    assert History([no_classes]).accuracies() == [None]


def test_what_is_missing_stays_missing(epochs: list[Epoch]) -> None:
    pool = History(epochs)[0].layers[1]
    assert pool == LayerMeasures("avgpool1", None, epochs[0].layers[1].upstream_norm)


def test_records_are_written_and_read_back(epochs: list[Epoch], tmp_path: Path) -> None:
    content = History(epochs).lines(range(3)).encode()
    (tmp_path / METRICS).write_bytes(content + b'{"epoch": 4')
    history, size, sums = read_first(tmp_path, 3)
    assert list(history) == epochs
    assert size == len(content)
    untimed = re.sub(rb'"train_seconds": [^,]*', b"", content)
    assert sums[-1] == zlib.crc32(untimed) != zlib.crc32(content)
    first = json.loads(content.splitlines()[0])
    assert list(first)[-1] == "layers"
    assert first["train_cost"] == epochs[0].train_cost


def test_infinity_is_no_missing_number(epochs: list[Epoch]) -> None:
    layer = LayerMeasures("dense1", "tanh", upstream_norm=math.inf)
    odd = Epoch(1, 0.5, 0.1, 0.1, None, None, None, 0.0, 3, (layer,))
    assert History([odd])[0] == odd
    assert json.loads(History([odd]).lines(range(1)))["layers"][0]["upstream_norm"] is None


def test_lines_are_the_records_as_json(epochs: list[Epoch]) -> None:
    odd = LayerMeasures('50 % "é"', None, math.inf, 1e-300, 5e22, -math.inf, 0.1)
    written = [*epochs, replace(epochs[0], eta=1e16, clipped=0.5, train_cost=math.inf)]
    for history in (History(written), History([replace(epochs[0], layers=(odd,))])):
        expected = [f"{to_json(history.record(i))}\n" for i in range(len(history))]
        assert history.lines(range(len(history))) == "".join(expected)
        assert history.lines(range(1, len(history))) == "".join(expected[1:])


def test_a_checkpoint_that_counts_more_epochs_than_there_are_lines(tmp_path: Path) -> None:
    (tmp_path / METRICS).write_bytes(b"")
    with pytest.raises(DamagedError, match=r"metrics\.jsonl:1: the record of epoch 1 is missing"):
        read_first(tmp_path, 10**15)
