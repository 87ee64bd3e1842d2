"""Whether this process is one of several that mpirun has started."""

import os
from typing import NamedTuple

# Environment variables by which mpirun says which process this is, and of how many.
LAUNCHERS = (
    ("PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI, Slurm
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI
    ("PMIX_RANK", "SLURM_NTASKS"),
)


class Launch(NamedTuple):
    """Which of how many processes mpirun has started this one as."""

    rank: int
    size: int


def launched() -> Launch | None:
    """None where this is a process of its own."""
    for rank, size in LAUNCHERS:
        found = os.environ.get(rank, ""), os.environ.get(size, "")
        if all(map(str.isdecimal, found)):
            return Launch(*map(int, found))
    return None
