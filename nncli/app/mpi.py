"""What travels between the processes of an MPI job, and how they end; mpi4py is known here alone.

All processes begin alike. Process 0 then does what a training's only process does, and tells the
others what it does, one message after the other; `mpi_training` says what they do about it.
"""

import os
import socket
import time
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import Any

from nncli.core.errors import NncliError
from nncli.core.launch import launched
from nncli.core.text import count_of, join_words, printable
from nncli.core.version import own_version
from nncli.nn.arrays import Array
from nncli.nn.parallel.blas import arithmetic

EXTRA = "--workers mpi needs mpi4py: pip install 'nncli[mpi]'"
NO_LIBRARY = (
    "mpi4py finds no MPI on this machine; pip install mpich brings one, or the system's packages "
    "(apt install mpich, or openmpi-bin)"
)
GRACE = 0.2  # seconds from the last words of a process to the end of all
POLL = 5e-4  # seconds between two looks for a message; MPI itself would spin, and take a core


@cache
def _spans(counts: tuple[int, ...], width: int) -> tuple[list[int], list[int]]:
    """How many bytes, and from where on, stretches of so many rows are."""
    sizes = [count * width for count in counts]
    return sizes, [0, *accumulate(sizes[:-1])]


class MpiRanks:
    """The processes of an MPI job; `Ranks` of the engine, and messages between them.

    Attributes:
        rank, size: see `Ranks`.
        hosts: the machine of each.
        is_over: whether all know by themselves that the training is over.
    """

    def __init__(self, mpi: Any) -> None:
        self._mpi, self._world = mpi, mpi.COMM_WORLD
        self.rank: int = self._world.rank
        self.size: int = self._world.size
        self.hosts: list[str] = self._world.allgather(socket.gethostname())
        self.is_over = False

    def all_gather(self, array: Array, counts: Sequence[int]) -> None:
        width = array.nbytes // len(array)
        self._world.Allgatherv(
            self._mpi.IN_PLACE, [array, _spans(tuple(counts), width), self._mpi.BYTE]
        )

    def all_to_all(
        self, sent: Array, sent_counts: Sequence[int], taken: Array, taken_counts: Sequence[int]
    ) -> None:
        width, byte = sent.itemsize, self._mpi.BYTE
        self._world.Alltoallv(
            [sent, _spans(tuple(sent_counts), width), byte],
            [taken, _spans(tuple(taken_counts), width), byte],
        )

    def barrier(self) -> None:
        """Returns when all have called it."""
        self._world.Barrier()

    def tell(self, message: Any) -> None:
        """From process 0 to all others."""
        for rank in range(1, self.size):
            self._world.send(message, dest=rank)

    def _receive(self, rank: int) -> Any:
        while not self._world.iprobe(source=rank):
            time.sleep(POLL)
        return self._world.recv(source=rank)

    def hear(self) -> Any:
        """What process 0 tells next."""
        return self._receive(0)

    def answer(self, message: Any) -> None:
        """From another process to process 0."""
        self._world.send(message, dest=0)

    def answers(self) -> list[Any]:
        """What each of the others answers, in their order."""
        return [self._receive(rank) for rank in range(1, self.size)]

    def name_of(self, rank: int) -> str:
        """process 1, and where it runs, unless all run there."""
        on = f" on {printable(self.hosts[rank])}" if len(set(self.hosts)) > 1 else ""
        return f"process {rank}{on}"

    def check_alike(self) -> None:
        """Raises NncliError, in process 0, where another would compute other bits."""
        found = self._world.allgather({"nncli": own_version(), **arithmetic()})
        others = [rank for rank, own in enumerate(found) if own != found[0]]
        if not others:
            return
        if self.rank:
            self.hear()  # nothing any more: process 0 ends all
        rank = others[0]
        names = [name for name in found[0] if found[rank].get(name) != found[0][name]]
        theirs, ours = (
            join_words([f"{name} {printable(own.get(name, 'unknown'))}" for name in names], "and")
            for own in (found[rank], found[0])
        )
        raise NncliError(
            f"{self.name_of(rank)} has {theirs}, {self.name_of(0)} has {ours}: they would not "
            "compute the same bits; nothing was written"
        )

    def end(self, status: int) -> None:
        """Ends this process' part in the job, and where it is not over in good order all others.

        Args:
            status: of the process, which will be the job's.
        """
        if status or not self.is_over:
            # Not Finalize: after it mpirun would kill those that are still in it, and the status
            # would be theirs. All has been said, and MPI is to add nothing; but mpirun loses
            # what is on its way now and then, so it gets time to pass that on.
            time.sleep(GRACE)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            self._world.Abort(status)
        self._mpi.Finalize()


def connect() -> MpiRanks:
    """The processes that mpirun has started, this one among them.

    Raises:
        NncliError: mpi4py or MPI is not installed, there is no mpirun, or it is another MPI's.
    """
    try:
        import mpi4py
    except ImportError:
        raise NncliError(EXTRA) from None
    mpi4py.rc.finalize = False  # `end` does
    mpi4py.rc.thread_level = "funneled"
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError):
        raise NncliError(NO_LIBRARY) from None
    launch, size = launched(), MPI.COMM_WORLD.size
    if launch is None and size == 1:
        raise NncliError(
            "--workers mpi shares the work among the processes that mpirun starts: "
            "mpirun -n 4 nncli train SPEC --workers mpi"
        )
    if launch is not None and launch.size > 1 and size == 1:
        library = MPI.Get_library_version().split("\n")[0].strip()
        raise NncliError(
            f"mpirun has started {count_of(launch.size, 'process', 'processes')}, but mpi4py sees "
            f"one: it uses {printable(library)}, which is not the mpirun's; use the mpirun of that"
        )
    return MpiRanks(MPI)
