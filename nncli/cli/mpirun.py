"""What a training has to do with mpirun: `train --workers mpi`, or mpirun without it."""

import gc
import signal
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import typer

from nncli.cli.process import STOPPING, others

if TYPE_CHECKING:
    from nncli.app.mpi import MpiRanks
    from nncli.core.launch import Launch


def joined(*, is_shared: bool) -> "MpiRanks | None":
    """The processes of the job that this one begins a training in, as process 0; None: alone.

    In all other processes it does not return: they follow process 0 to its end.

    Args:
        is_shared: whether the processes that mpirun has started are to share the training.

    Raises:
        NncliError: mpirun has started several processes that are not to share it; or they are, and
            cannot. It is for process 0 to say.
    """
    from nncli.core.launch import launched

    launch = launched()
    if not is_shared:
        if launch is not None and launch.size > 1:
            _refuse(
                launch,
                f"mpirun has started {launch.size} processes, and each would train this network "
                "and write the same run folder; add --workers mpi for them to share each "
                "mini-batch, or leave mpirun out",
            )
        return None
    from nncli.app.mpi import connect
    from nncli.core.errors import NncliError

    try:
        ranks = connect()
    except NncliError as error:
        _refuse(launch, str(error))
    others.append(ranks.end)
    ranks.check_alike()
    if not ranks.rank:
        return ranks
    for number in STOPPING:
        signal.signal(number, _let_first_end)
    signal.signal(signal.SIGALRM, _end)
    from nncli.app.mpi_training import follow

    gc.enable()
    follow(ranks)
    raise typer.Exit


PATIENCE = 5  # seconds that process 0 has to save the state


def _let_first_end(number: int, frame: FrameType | None) -> None:
    """What asks one process to stop asks all as a rule, and process 0 ends the others with it."""
    signal.alarm(PATIENCE)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _refuse(launch: "Launch | None", message: str) -> NoReturn:
    """Says, in one process of all, why there is no training."""
    from nncli.core.errors import NncliError

    if launch is not None and launch.rank:
        raise typer.Exit(2)
    raise NncliError(message)


def start_all(ranks: "MpiRanks | None") -> None:
    """Before the first step: all begin."""
    if ranks is not None:
        from nncli.app.mpi_training import start

        start(ranks)


def note_end(ranks: "MpiRanks | None") -> None:
    """Behind the last step: all know that the training is over."""
    if ranks is not None:
        ranks.is_over = True
