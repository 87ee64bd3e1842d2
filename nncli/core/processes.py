"""The cores there are, and processes forked from this one to share them."""

import os
import warnings

LIMITS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")  # environment variables of the user


def available_cores() -> int:
    """How many this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1


def available_threads() -> int:
    """The cores this process may use, or as many threads as the user's environment allows BLAS."""
    limits = [int(value) for name in LIMITS if (value := os.environ.get(name, "")).isdigit()]
    return max(1, min([available_cores(), *limits]))


def fork() -> int:
    """As os.fork.

    Python 3.12 warns where there are threads, whose locks could stay taken in the child for ever;
    this child takes no lock but NumPy's own.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def close_all_but(*kept: int) -> None:
    """Closes every open file of the process but these."""
    start = 0
    for file in sorted(kept):
        os.closerange(start, file)
        start = file + 1
    os.closerange(start, max(start, os.sysconf("SC_OPEN_MAX")))
