"""The entry point: commands, exit statuses, and what a user sees when something is wrong.

Command modules import nothing heavy at their top, and only the one that is asked for is loaded, so
that no command pays for another.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from types import FrameType

import typer

from nncli.core.errors import (
    DivergedError,
    FailedCheck,
    HaltedTraining,
    InterruptedTraining,
    NncliError,
    UnsavedError,
)

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # which has no public name
DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

COMMANDS = {  # in the order in which --help lists them; each is in a module of its own
    "init": {},
    "train": {},
    "sweep": {},
    "inspect-grad": {},
    "explain": {},
    "exercise": {},
    "grade": {},
    "check": {},
    "recorder": {},
    "replay": {},
    "diff": {},
    "diagnose": {},
    # A filter written out may begin with a negative number, which looks like an option. So what is
    # unknown comes as an argument, and the command refuses it.
    "conv": {"ignore_unknown_options": True, "allow_extra_args": True},
    "evaluate": {},
    "predict": {},
    "summary": {},
    "export": {},
    "compare": {},
    "report": {},
    "show": {},
    "schema": {},
}


def command_of(name: str) -> Callable[..., object]:
    """The function of a command, whose module is loaded for it."""
    function = name.replace("-", "_")
    command: Callable[..., object] = getattr(import_module(f"nncli.cli.{function}"), function)
    return command


def app_for(names: Iterable[str]) -> typer.Typer:
    """The command line with these commands."""
    app = typer.Typer(
        help="See backpropagation: train neural networks and take their gradients apart.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in names:
        app.command(name, context_settings=COMMANDS[name])(command_of(name))
    app.callback(invoke_without_command=True)(_options)
    return app


def asked_for() -> Iterable[str]:
    """The commands that this call of the program needs: the one it names, or all of them."""
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    completes = any(name.startswith("_NNCLI") for name in os.environ)
    return [first] if first in COMMANDS and not completes else COMMANDS


def _options(
    version: bool = typer.Option(False, "--version", help="Show the version and exit."),
) -> None:
    if version:
        from nncli import __version__

        typer.echo(f"nncli {__version__}")
        raise typer.Exit


def run() -> int:
    """Runs the command line; the exit status."""
    from nncli.cli.process import forget_odd_widths, prepare_streams

    prepare_streams()
    forget_odd_widths()
    signal.signal(signal.SIGTERM, _end)
    status = DONE
    try:
        status = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        # The program that read our output has closed it. What is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError as error:  # results that cannot be written; every file has an error of its own
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _say(f"standard output: {error.strerror or error}", FAILED)
    return status


def _end(number: int, frame: FrameType | None) -> None:
    """Ends a command from without as an error would: what is half-written goes."""
    raise SystemExit(128 + number)


def _run() -> int:
    from nncli.cli.completion import answering

    try:
        with answering():
            status = app_for(asked_for())(standalone_mode=False)
    except SystemExit as exit:
        if isinstance(exit.__context__, BrokenPipeError):  # of which typer makes a failure
            raise exit.__context__ from None
        return exit.code if isinstance(exit.code, int) else DONE
    except UsageError as error:
        return _refuse(error)
    except InterruptedTraining as error:
        return _say(str(error), INTERRUPTED)
    except (DivergedError, FailedCheck, HaltedTraining, UnsavedError) as error:
        return _say(str(error), FAILED)
    except NncliError as error:
        return _say(str(error), WRONG_INPUT)
    except MemoryError as error:
        return _say(
            f"{_too_much(error)}; a smaller network, mini-batch or matrix would fit", WRONG_INPUT
        )
    except typer.Abort:  # what Typer makes of Ctrl-C
        return INTERRUPTED
    return status if isinstance(status, int) else DONE


def _refuse(error: Exception) -> int:
    """Says what is wrong with the command line, or where there is none shows the help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        if error.format_message():  # type: ignore[attr-defined]  # else it is printed already
            error.show()  # type: ignore[attr-defined]
        return WRONG_INPUT
    from nncli.core.launch import launched

    launch = launched()
    if launch is not None and launch.rank:  # all of mpirun's processes have found it; one says so
        return WRONG_INPUT
    from nncli.cli.usage import usage_message

    commands = {name: command_of(name) for name in asked_for()}
    return _say(usage_message(error, commands, sys.argv[1:]), WRONG_INPUT)


def _too_much(error: MemoryError) -> str:
    """What found no room: in our own words, where NumPy says of which shape and type."""
    shape, dtype = getattr(error, "shape", None), getattr(error, "dtype", None)
    if shape is None or dtype is None:
        return str(error) or "no memory is left"
    from math import prod

    from nncli.core.text import sizes

    size = prod(shape) * dtype.itemsize / 2**30
    return f"no memory is left for an array of {sizes(shape)} numbers ({size:,.1f} GiB)"


def _say(message: str, status: int) -> int:
    if sys.stderr is not None:
        from nncli.core.text import printable

        # An option's value appears in a message as it was given: nothing in it acts on a terminal.
        for line in message.split("\n"):
            print(f"nncli: {printable(line)}", file=sys.stderr)
    return status
