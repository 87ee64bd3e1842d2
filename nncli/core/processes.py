"""The cores there are, and processes forked from this one to share them."""

import os
import signal
import warnings
from collections.abc import Callable

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


def start_process(serve: Callable[[int, int], None]) -> tuple[int, int, int]:
    """Forks a process that is asked, and answers, through pipes.

    What ends this process ends the other; what Ctrl-C means is the business of this one.

    Args:
        serve: the life of the process, given the pipe to read requests from and that to write
            answers to. It ends where nobody is left who asks: `os.read` then gives no bytes.

    Returns:
        Its number, the pipe to write requests to, and that to read answers from.

    Raises:
        OSError: the system does not allow one more process.
    """
    requests, asking = os.pipe()
    answered, answers = os.pipe()
    stopping = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    try:
        pid = fork()
        if pid == 0:
            try:
                # A lock on a run folder, or a pipe that something reads, must not outlive the
                # parent.
                close_all_but(requests, answers)
                serve(requests, answers)
            finally:
                os._exit(0)
    except OSError:
        os.close(asking)
        os.close(answered)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(requests)
        os.close(answers)
    return pid, asking, answered


def close_all_but(*kept: int) -> None:
    """Closes every open file of the process but these."""
    start = 0
    for file in sorted(kept):
        os.closerange(start, file)
        start = file + 1
    os.closerange(start, max(start, os.sysconf("SC_OPEN_MAX")))
