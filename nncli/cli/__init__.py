"""The command line: options in, one library call, one rendering out."""

import gc
import os


def main() -> None:
    """Runs the command line and exits."""
    # What a short process spends on looking for garbage, and pydantic on looking for plug-ins that
    # nobody has installed for nncli, is a sixth of its start.
    gc.disable()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from nncli.cli.app import run

        status = run()
    except KeyboardInterrupt:  # while the program itself was being loaded
        status = 130
    # Everything is written and closed by now; taking a thousand modules down in good order would
    # cost a fifth of a short command's time and gain nothing.
    os._exit(status)


__all__ = ["main"]
