"""The command line: options in, one library call, one rendering out."""

import gc
import os
import sys


def main() -> None:
    """Runs the command line and exits."""
    # What a short process spends on looking for garbage, and pydantic on looking for plug-ins that
    # nobody has installed for nncli, is a sixth of its start.
    gc.disable()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from nncli.cli.app import run

        sys.exit(run())
    except KeyboardInterrupt:  # while the program itself was being loaded
        sys.exit(130)


__all__ = ["main"]
