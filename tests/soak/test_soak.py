"""The soak in short."""

from pathlib import Path

from tests.soak import kills, memory


def test_five_kills_lose_nothing(tmp_path: Path) -> None:
    report = kills.run(5, tmp_path, cases=(kills.case("digits-mlp", 1.2, 150),))
    assert report.lost == []
    assert int(report.tried.split()[0]) >= 5


def test_a_difference_would_be_told(tmp_path: Path) -> None:
    case = kills.case("two-two-two", 60, 3)
    end = kills.undisturbed(case, tmp_path / "run")
    assert kills.differences("x", end, end) == []
    for key in end:
        assert len(kills.differences("x", end, {**end, key: None})) == 1


def test_memory_does_not_grow(tmp_path: Path) -> None:
    assert memory.run(tmp_path, names=("iris",)).lost == []
