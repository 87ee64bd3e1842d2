"""The soak in short."""

from pathlib import Path

import pytest

from tests.soak import kills, memory, sweeps

pytestmark = [pytest.mark.slow, pytest.mark.serial]


def test_five_kills_lose_nothing(tmp_path: Path) -> None:
    report = kills.run(5, tmp_path, cases=(kills.case("digits-mlp", 150),))
    assert report.lost == []
    assert int(report.tried.split()[0]) >= 5


def test_five_kills_of_sweeps_lose_nothing(tmp_path: Path) -> None:
    report = sweeps.run(5, tmp_path, cases=sweeps.CASES[2:])
    assert report.lost == []


def test_a_difference_would_be_told(tmp_path: Path) -> None:
    end = kills.undisturbed(kills.case("two-two-two", 3), tmp_path / "run").end
    assert kills.differences("x", end, end) == []
    for key in end:
        assert len(kills.differences("x", end, {**end, key: None})) == 1


def test_memory_does_not_grow(tmp_path: Path) -> None:
    assert memory.run(tmp_path, names=("iris",)).lost == []
