"""The command line: options in, one library call, one rendering out; a command a file.

A command calls one function of `nncli.app` and shows its record by one of `nncli.render`; this
package alone knows exit statuses, signals and what a terminal is. Everything heavy is imported
within the command, so that `--help` is quick.

It may import typer, app, render and core; and where a call of app would only pass it on, spec (to
load one, and its schema), training (its events), filtering and exchange (the words of its options)
and nn (for `parallel.blas.load_numpy`). Start with `app`, then `train`.
"""

import gc
import os
import sys
from types import ModuleType


def main() -> None:
    """Runs the command line and exits."""
    if sys.platform == "win32":  # locks, signals and terminals are used as POSIX has them
        print(
            "nncli: it runs on Linux, macOS and other POSIX systems; on Windows, in WSL",
            file=sys.stderr,
        )
        sys.exit(2)
    _start_lightly()
    try:
        from nncli.cli.app import run

        status = run()
    except KeyboardInterrupt:  # while the program itself was being loaded
        status = 130
    from nncli.cli.process import end_others

    if end_others(status):
        sys.exit(status)  # MPI's library has its part in that: without, mpirun kills the others
    # Everything is written and closed by now; taking a thousand modules down in good order would
    # cost a fifth of a short command's time and gain nothing.
    os._exit(status)


def _start_lightly() -> None:
    """Leaves out what a short process has no use for; together it is a fifth of its start."""
    gc.disable()
    # nncli has no plug-ins of pydantic. Where they are disabled pydantic loads
    # their loader all the same, and importlib.metadata with it, so it finds an empty one here.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    loader = ModuleType("pydantic.plugin._loader")
    loader.__dict__["get_plugins"] = lambda: ()
    sys.modules.setdefault(loader.__name__, loader)


__all__ = ["main"]
