"""What several commands ask for in the same words, and how it is read.

Options that hold more than a word have small languages of their own: lists of numbers, ranges,
names of weights.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from nncli.cli.completion import runs, specs, specs_or_runs
from nncli.core.errors import NncliError
from nncli.core.text import brief, join_words, nearest, printable, quote


def words(name: str, known: Iterable[str]) -> Any:
    """An enumeration of the words that an option takes, those of a table.

    Its members are in capitals: some words, such as index, are methods of str.
    """
    return StrEnum(name, {word.upper(): word for word in known})


class TableOrJson(StrEnum):
    table = "table"
    json = "json"


SpecPath = Annotated[
    Path,
    typer.Argument(metavar="SPEC", help="The network spec, a YAML file.", autocompletion=specs),
]
SPEC_OR_RUN = typer.Argument(
    metavar="SPEC or RUN", help="A network spec, or a run folder.", autocompletion=specs_or_runs
)
SpecOrRun = Annotated[Path, SPEC_OR_RUN]
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


class WeightsWord(StrEnum):
    best = "best"
    last = "last"


def which_weights(panel: str | None = None, default: str = "best, where kept") -> Any:
    """`--weights`."""
    return typer.Option(
        "--weights",
        help="The weights after the best epoch, or the last.",
        show_default=default,
        rich_help_panel=panel,
    )


def step_weights(panel: str | None = None) -> Any:
    """`--weights` of the run from which a step is taken."""
    return which_weights(panel, "last: where the training goes on")


def chosen_weights(word: WeightsWord | None) -> Any:
    return None if word is None else word.value


def worst() -> Any:
    """`--worst`."""
    return typer.Option(metavar="N", min=0, help="How many of the worst samples to show.")


def step_number(panel: str | None = None) -> Any:
    """`--step`."""
    return typer.Option(
        metavar="K",
        min=1,
        help="The K-th step of training, after K−1 real ones.",
        rich_help_panel=panel,
    )


def one_layer(panel: str) -> Any:
    """`--layer`."""
    return typer.Option(metavar="NAME", help="This layer only.", rich_help_panel=panel)


def document_format(panel: str, default: str) -> Any:
    """`--format` of a command that writes documents; `browser.document_kind` reads it."""
    from nncli.render.formats import FORMATS

    return typer.Option(
        metavar="WORD",
        help=f"The format: {', '.join(FORMATS)}.",
        show_default=default,
        rich_help_panel=panel,
    )


def rows(panel: str | None = None) -> Any:
    return typer.Option(
        metavar="A:B", help="These rows of each matrix and table.", rich_help_panel=panel
    )


def columns(panel: str | None = None) -> Any:
    return typer.Option(metavar="A:B", help="These columns of each matrix.", rich_help_panel=panel)


def output(help: str, panel: str | None = None, **more: Any) -> Any:
    """`--output`, to which the rule of `nncli.app.output` applies."""
    return typer.Option("--output", "-o", metavar="FILE", help=help, rich_help_panel=panel, **more)


def overwrite(panel: str | None = None, what: str = "a file that is there") -> Any:
    return typer.Option(
        "--overwrite",
        help=f"Replace {what}; never what this command reads.",
        rich_help_panel=panel,
    )


def fragment(panel: str | None = None) -> Any:
    """`--fragment`, see `as_fragment`."""
    return typer.Option(
        "--fragment",
        help="LaTeX without a preamble, for a document of your own.",
        rich_help_panel=panel,
    )


def as_fragment(kind: str | None) -> str:
    """The format of a LaTeX document without its preamble.

    Raises:
        NncliError: the format is another.
    """
    if kind != "latex":
        raise NncliError("--fragment: is for LaTeX; give --format latex or --output FILE.tex too")
    return "fragment"


def renamed() -> Any:
    """`--name`, repeatable; `names_given` reads it."""
    return typer.Option(
        "--name",
        metavar="YOURS=NAME",
        help="What an array is, as dW1=dense1.weight_gradient; - leaves it out. Repeatable.",
    )


def full(panel: str | None = None) -> Any:
    return typer.Option("--full", help="All of it, however long.", rich_help_panel=panel)


# What an option holds


def refuse_two_batches(batch: bool, samples: str | None) -> None:
    """Raises BadParameter where both `--batch` and `--samples` say what the mini-batch is."""
    if batch and samples is not None:
        raise typer.BadParameter("--batch and --samples each choose the mini-batch; give one")


def names_given(pairs: Sequence[str] | None) -> dict[str, str]:
    """The pairs of `--name`.

    Raises:
        NncliError: one is none.
    """
    names: dict[str, str] = {}
    for pair in pairs or ():
        yours, sign, said = pair.rpartition("=")
        if not sign or not yours or not said:
            raise NncliError(f"--name {brief(pair)}: takes YOURS=NAME, as dW1=dense1.delta")
        names[yours] = said
    return names


def refuse_long(text: str, option: str) -> None:
    """Raises NncliError for a number of more digits than are read."""
    if re.search(r"\d{19}", text):
        raise NncliError(
            f"{option} {brief(text)}: is too large; numbers of at most 18 digits are taken"
        )


WHOLE = r"\d{1,18}"  # int() itself refuses thousands of digits; these fit 64 bits


def indices(text: str, option: str) -> tuple[int, ...]:
    """`0,3,7` as numbers.

    Raises:
        NncliError: it is something else.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise NncliError(f"{option} {text}: expected whole numbers such as 0,3,7") from None


def index_range(text: str | None, option: str) -> range | None:
    """`3:7` as the indices 3 to 6, `3` as 3 alone, `3:` as all from 3 on.

    Raises:
        NncliError: it is something else, or holds nothing.
    """
    if text is None:
        return None
    match = re.fullmatch(rf"({WHOLE})?:({WHOLE})?|({WHOLE})", text)
    if match is not None:
        start, stop, single = match.groups()
        made = (
            range(int(single), int(single) + 1)
            if single
            else range(int(start or 0), int(stop) if stop else 10**9)
        )
        if len(made):
            return made
    refuse_long(text, option)
    raise NncliError(f"{option} {text}: expected a range such as 0:8, or one index")


def entries(text: str | None) -> tuple[bool, int | None]:
    """Whether to check, and how many entries of each gradient: `all`, a number, `off`."""
    match text:
        case None:
            return True, None
        case "off":
            return False, None
        case "all":
            return True, 10**12
    if re.fullmatch(WHOLE, text) and int(text) > 0:
        return True, int(text)
    refuse_long(text, "--check")
    raise NncliError(f"--check {text}: expected all, off, or how many entries, from 1")


def weight_name(text: str) -> tuple[str, tuple[int, ...]]:
    """`dense1[3,7]` as the layer and the indices."""
    match = re.fullmatch(r"(\w+)\[([\d,\s]+)\]", text)
    if match is None:
        raise NncliError(f"--why {text}: expected a weight such as dense1[3,7] or conv1[0,0,1,2]")
    return match[1], indices(match[2], "--why")


def index_pair(text: str, option: str) -> tuple[int, int]:
    """`2` or `2,1` as (rows, columns).

    Raises:
        NncliError: it is something else, or below 1.
    """
    match = re.fullmatch(rf"({WHOLE})(?:,({WHOLE}))?", text)
    if match is not None:
        rows, columns = int(match[1]), int(match[2] or match[1])
        if rows > 0 and columns > 0:
            return rows, columns
    refuse_long(text, option)
    raise NncliError(f"{option} {text}: expected a whole number from 1, or ROWS,COLUMNS")


def window_padding(text: str) -> str | int:
    """`valid`, `same`, `full`, or a width.

    Raises:
        NncliError: it is something else.
    """
    words = ("valid", "same", "full")
    if text in words:
        return text
    if re.fullmatch(WHOLE, text):
        return int(text)
    refuse_long(text, "--padding")
    raise NncliError(
        f"--padding {text}: expected valid, same, full, or a width such as 1{nearest(text, words)}"
    )


def word(text: str, option: str, known: Sequence[str]) -> str:
    """One of the words that an option takes.

    Raises:
        NncliError: it is another; the message names the nearest known one.
    """
    if text in known:
        return text
    raise NncliError(f"{option} {text}: expected {join_words(known)}{nearest(text.lower(), known)}")


def refuse_options(arguments: Sequence[str], known: Iterable[str]) -> None:
    """Raises NncliError where one of the `arguments`, no file either, looks like an option."""
    for text in arguments:
        if re.match("--?[a-zA-Z]", text) and not os.path.exists(text):
            raise NncliError(f"{text}: there is no such option{nearest(text, known)}")


def format_by_suffix(output: Path, suffixes: Mapping[str, str]) -> str:
    """The format that the suffix of --output asks for.

    Raises:
        NncliError: none does.
    """
    if output.suffix.lower() not in suffixes:
        raise NncliError(
            f"--output {printable(output)}: the suffix {quote(output.suffix)} is not known; known "
            f"are {', '.join(suffixes)}"
        )
    return suffixes[output.suffix.lower()]
