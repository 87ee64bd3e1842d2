"""train where mpirun has started several processes, as its environment says; no MPI is needed.

What the processes do together is in tests/cluster.
"""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nncli.app.mpi import EXTRA, NO_LIBRARY, MpiRanks
from nncli.core.errors import NncliError
from nncli.core.launch import LAUNCHERS, Launch, launched
from tests.conftest import CONFIGS, Run

XOR = CONFIGS / "xor.yaml"
SHARED = ("--workers", "mpi")


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes this the process of a rank, of two."""

    def play(rank: int) -> None:
        for name, value in zip(LAUNCHERS[0], (rank, 2), strict=True):
            monkeypatch.setenv(name, str(value))

    return play


@pytest.mark.parametrize("names", LAUNCHERS, ids=str)
def test_processes_of_mpirun_know_what_they_are(
    names: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert launched() is None
    monkeypatch.setenv(names[0], "3")
    assert launched() is None
    monkeypatch.setenv(names[1], "x")
    assert launched() is None
    monkeypatch.setenv(names[1], "4")
    assert launched() == Launch(rank=3, size=4)


def test_several_processes_that_share_nothing_are_refused_once(
    nncli: Run, two: Any, tmp_path: Path
) -> None:
    two(0)
    first = nncli("train", XOR, "--out", tmp_path / "run")
    assert (first.status, first.out) == (2, "")
    assert first.err == (
        "nncli: mpirun has started 2 processes, and each would train this network and write the "
        "same run folder; add --workers mpi for them to share each mini-batch, or leave mpirun "
        "out\n"
    )
    two(1)
    other = nncli("train", XOR, "--out", tmp_path / "run")
    assert (other.status, other.out, other.err) == (2, "", "")
    assert not (tmp_path / "run").exists()


def test_what_is_missing_is_named(nncli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    done = nncli("train", XOR, *SHARED)
    assert (done.status, done.err) == (2, f"nncli: {EXTRA}\n")
    package: Any = ModuleType("mpi4py")
    package.rc = ModuleType("rc")
    monkeypatch.setitem(sys.modules, "mpi4py", package)
    done = nncli("train", XOR, *SHARED)
    assert (done.status, done.err) == (2, f"nncli: {NO_LIBRARY}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--even-if-slower"], "--even-if-slower goes with --workers mpi"),
        ([*SHARED, "--threads", "2"], "--threads goes with one process, not with --workers mpi"),
        ([*SHARED, "--trace", "last=1"], "--trace goes with one process, not with --workers mpi"),
        (["--workers", "4"], "--workers: expected mpi, got '4'"),
    ],
    ids=str,
)
def test_options_that_do_not_go_together(
    nncli: Run, two: Any, arguments: list[str], message: str
) -> None:
    assert message in nncli("train", XOR, *arguments).err
    two(1)
    done = nncli("train", XOR, *arguments)
    assert (done.status, done.err) == (2, "")


class World:
    """A communicator of two processes, one of which says what it is told to say."""

    rank, size = 0, 2

    def __init__(self, theirs: Any) -> None:
        self.theirs = theirs

    def allgather(self, own: Any) -> list[Any]:
        return ["node1", "node2"] if isinstance(own, str) else [own, {**own, **self.theirs}]


def ranks_with(**theirs: str) -> MpiRanks:
    mpi: Any = ModuleType("MPI")
    mpi.COMM_WORLD = World(theirs)
    return MpiRanks(mpi)


def test_a_process_with_other_versions_is_named() -> None:
    ranks_with().check_alike()
    with pytest.raises(
        NncliError, match=r"process 1 on node2 has NumPy 1\.0, process 0 on node1 has NumPy 2"
    ):
        ranks_with(NumPy="1.0").check_alike()
    with pytest.raises(NncliError, match=r"process 1 on node2 has nncli 9 and BLAS x, process 0"):
        ranks_with(nncli="9", BLAS="x").check_alike()
