"""The command line: options in, one library call, one rendering out."""

import sys


def main() -> None:
    """Runs the command line and exits."""
    try:
        from nncli.cli.app import run

        sys.exit(run())
    except KeyboardInterrupt:  # while the program itself was being loaded
        sys.exit(130)


__all__ = ["main"]
