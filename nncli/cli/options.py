"""What several commands ask for in the same words, and what a shell offers for it.

Completion runs at each press of Tab, so it only looks at names.
"""

import os
from collections.abc import Callable, Iterator
from enum import StrEnum
from os.path import dirname, isfile, join
from pathlib import Path
from typing import Annotated, Any

import typer

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


class TableOrJson(StrEnum):
    table = "table"
    json = "json"


SpecPath = Annotated[
    Path,
    typer.Argument(metavar="SPEC", help="The network spec, a YAML file.", autocompletion=specs),
]
SpecOrRun = Annotated[
    Path,
    typer.Argument(
        metavar="SPEC or RUN",
        help="A network spec, or a run folder.",
        autocompletion=specs_or_runs,
    ),
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", autocompletion=runs)]
FormatOption = Annotated[
    TableOrJson, typer.Option("--format", help="What to print on standard output.")
]


def overrides(panel: str | None = None) -> Any:
    """`--set`, repeatable."""
    return typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a value of the spec. Repeatable.",
        rich_help_panel=panel,
    )


def rows(panel: str | None = None) -> Any:
    return typer.Option(
        metavar="A:B", help="These rows of each matrix and table.", rich_help_panel=panel
    )


def columns(panel: str | None = None) -> Any:
    return typer.Option(metavar="A:B", help="These columns of each matrix.", rich_help_panel=panel)


def full(panel: str | None = None) -> Any:
    return typer.Option("--full", help="All of it, however long.", rich_help_panel=panel)
