"""The command line: options in, one library call, one rendering out."""

from nncli.cli.app import main

__all__ = ["main"]
