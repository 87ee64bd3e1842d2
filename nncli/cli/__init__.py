"""The command line: options in, one library call, one rendering out."""

from nncli.cli.main import main

__all__ = ["main"]
