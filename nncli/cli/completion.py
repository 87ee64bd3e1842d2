"""What a shell offers at the Tab key: files and folders that a command can use, by their names.

Completion runs at each press of the key, so it only looks at names. What it offers is put on a
command line, and by zsh evaluated: a name of which a shell would make something else than itself
is never offered. Shells complete such names on their own, quoted, where nothing is offered.
"""

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from os.path import dirname, isfile, join

from nncli.core.errors import NncliError

SPECS = (".yaml", ".yml")
TABLES = (
    ".csv",
    ".tsv",
    ".parquet",
    ".feather",
    ".xlsx",
    ".jsonl",
    ".npz",
    ".npy",
    ".idx",
    "-ubyte",
    ".gz",
)
STARTERS = join(dirname(dirname(__file__)), "starters")
DEEPEST = 20  # folders that hold one folder only, gone through at once
# Letters of all scripts, single blanks, and signs that mean nothing to bash, zsh and fish.
HARMLESS = re.compile(r"(~[\w.-]*/)?(?:[\w./+,:@%-]|[^\x00-\x7f]|(?<=[^ ]) (?=[^ ])|(?<=.)=)*")
QUESTION = "_NNCLI_COMPLETE"  # the variable by which a shell asks, and what it may ask
QUESTIONS = re.compile("(source|complete)_(bash|zsh|fish|powershell|pwsh)")

Match = Callable[[os.DirEntry[str]], bool]


def specs(incomplete: str) -> list[str]:
    return _offered(incomplete, _is_spec)


def runs(incomplete: str) -> list[str]:
    return _offered(incomplete, _is_run)


def sweeps(incomplete: str) -> list[str]:
    return _offered(incomplete, _is_sweep)


def runs_or_sweeps(incomplete: str) -> list[str]:
    return _offered(incomplete, lambda entry: _is_run(entry) or _is_sweep(entry))


def traces(incomplete: str) -> list[str]:
    return _offered(incomplete, _is_trace)


def traces_or_runs(incomplete: str) -> list[str]:
    return _offered(incomplete, lambda entry: _is_trace(entry) or _is_run(entry))


def specs_or_runs(incomplete: str) -> list[str]:
    return _offered(incomplete, lambda entry: _is_spec(entry) or _is_run(entry))


def data_files(incomplete: str) -> list[str]:
    return _offered(incomplete, lambda entry: entry.is_file() and entry.name.endswith(TABLES))


def starters(incomplete: str) -> list[str]:
    names = sorted(name.partition(".")[0] for name in os.listdir(STARTERS))
    return [name for name in names if name.startswith(incomplete)]


def _is_spec(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(SPECS) and entry.is_file()


def _is_trace(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(".trace") and entry.is_file()


def _is_run(entry: os.DirEntry[str]) -> bool:
    return isfile(join(entry.path, "spec.yaml"))


def _is_sweep(entry: os.DirEntry[str]) -> bool:
    return isfile(join(entry.path, "journal.jsonl"))


def _offered(incomplete: str, match: Match) -> list[str]:
    """What there is that begins so: what matches, and folders on the way to more, ending in /."""
    for _ in range(DEEPEST):
        offered = sorted(filter(is_harmless, _beginning(incomplete, match)))
        # A shell puts a space behind the only word there is, and a lone folder is no whole word.
        if len(offered) != 1 or not offered[0].endswith("/"):
            return offered
        incomplete = offered[0]
    return []


def is_harmless(word: str) -> bool:
    """Whether a shell takes a word as it is, once its blanks are quoted, and no program as an
    option."""
    return word.isprintable() and word[:1] != "-" and HARMLESS.fullmatch(word) is not None


def _beginning(incomplete: str, match: Match) -> Iterator[str]:
    folder, name = os.path.split(incomplete)
    typed = incomplete.removesuffix(name)
    try:
        with os.scandir(os.path.expanduser(folder or ".")) as entries:
            for entry in entries:
                hidden = entry.name.startswith(".") and not name.startswith(".")
                if hidden or not entry.name.startswith(name):
                    continue
                if match(entry):
                    yield typed + entry.name
                elif entry.is_dir():
                    yield f"{typed}{entry.name}/"
    except OSError:
        return


# How a shell asks


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """Within it, the words that bash is offered come out as it has to write them.

    Raises:
        NncliError: the variables are not as a shell sets them.
    """
    question = os.environ.get(QUESTION)
    if question:
        _check(question)
    if question != "complete_bash":
        yield
        return
    kept, sys.stdout = sys.stdout, io.StringIO()
    try:
        yield
    finally:
        offered, sys.stdout = sys.stdout.getvalue(), kept
        print(offered if _is_quoted() else offered.replace(" ", "\\ "), end="")


def _check(question: str) -> None:
    is_known = QUESTIONS.fullmatch(question) is not None
    word = os.environ.get("COMP_CWORD", "")
    if question == "complete_bash":
        is_known = "COMP_WORDS" in os.environ and re.fullmatch(r"\d{1,9}", word) is not None
    if not is_known:
        raise NncliError(
            f"{QUESTION} is set, by which a shell asks what to offer at the Tab key, but not as "
            "shells set it; unset it, or see nncli --show-completion"
        )


def _is_quoted() -> bool:
    """Whether the word that bash completes began with a quote, which it then closes."""
    words, number = os.environ["COMP_WORDS"].split("\n"), int(os.environ["COMP_CWORD"])
    return number < len(words) and words[number][:1] in ("'", '"')
