"""What a shell offers for the arguments of a command: specs, run folders, data, starters.

This runs at each press of Tab, so it only looks at names.
"""

import os
from collections.abc import Callable, Iterator
from os.path import dirname, isfile, join

SPECS = (".yaml", ".yml")
TABLES = (".csv", ".tsv", ".npz", ".npy", ".idx", "-ubyte", ".gz")
STARTERS = join(dirname(dirname(__file__)), "starters")
DEEPEST = 20  # folders that hold one folder only, gone through at once

Match = Callable[[os.DirEntry[str]], bool]


def specs(incomplete: str) -> list[str]:
    return _offered(incomplete, _is_spec)


def runs(incomplete: str) -> list[str]:
    return _offered(incomplete, _is_run)


def specs_or_runs(incomplete: str) -> list[str]:
    return _offered(incomplete, lambda entry: _is_spec(entry) or _is_run(entry))


def data_files(incomplete: str) -> list[str]:
    return _offered(incomplete, lambda entry: entry.is_file() and entry.name.endswith(TABLES))


def starters(incomplete: str) -> list[str]:
    names = sorted(name.partition(".")[0] for name in os.listdir(STARTERS))
    return [name for name in names if name.startswith(incomplete)]


def _is_spec(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(SPECS) and entry.is_file()


def _is_run(entry: os.DirEntry[str]) -> bool:
    return isfile(join(entry.path, "spec.yaml"))


def _offered(incomplete: str, match: Match) -> list[str]:
    """What there is that begins so: what matches, and folders on the way to more, ending in /."""
    for _ in range(DEEPEST):
        offered = sorted(_beginning(incomplete, match))
        # A shell puts a space behind the only word there is, and a lone folder is no whole word.
        if len(offered) != 1 or not offered[0].endswith("/"):
            return offered
        incomplete = offered[0]
    return []


def _beginning(incomplete: str, match: Match) -> Iterator[str]:
    folder, name = os.path.split(incomplete)
    typed = incomplete.removesuffix(name)
    try:
        with os.scandir(os.path.expanduser(folder or ".")) as entries:
            for entry in entries:
                hidden = entry.name.startswith(".") and not name.startswith(".")
                # A name that is not printable could act on the terminal.
                if hidden or not entry.name.startswith(name) or not entry.name.isprintable():
                    continue
                if match(entry):
                    yield typed + entry.name
                elif entry.is_dir():
                    yield f"{typed}{entry.name}/"
    except OSError:
        return
