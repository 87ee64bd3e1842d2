"""nncli.grade: the answers of a class, marked by the key of their sheets."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nncli.app.exercise import inspect_spec
from nncli.core.errors import DataError, NncliError, RunError
from nncli.core.files import read_regular, reason
from nncli.core.text import first_of, join_words, printable, quote
from nncli.data.readers.answers import SUFFIXES, AnswerFile, read_answers
from nncli.data.readers.files import file_size
from nncli.inspection.exercises.kinds import kind_of
from nncli.inspection.exercises.marking import (
    FEW_RIGHT,
    MANY_RIGHT,
    Grades,
    Marked,
    assign,
    mark,
    share_right,
)
from nncli.inspection.exercises.sheet import Sheet, make_sheet

KEY = "key.json"
MOST_BYTES = 256 << 20
SAME = 1e-6  # by which the numbers of a key may differ from those of its network here
MOST_NAMED = 4  # sheets in a message


def grade(
    key: Sheet | Iterable[Sheet] | str | Path,
    answers: Iterable[str | Path],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Grades:
    """Marks the answers of a class.

    Args:
        key: key.json as `nncli exercise` writes it, or sheets.
        answers: files, or folders of them, a student each.
        progress: called with the files that were marked, and how many there are.

    Raises:
        NncliError: the key cannot be read, or there are no answers, or one file that is not there.
            What is wrong with a student's file stands in its record.
    """
    if isinstance(key, str | Path):
        path, sheets = Path(key), read_key(Path(key))
    else:
        path, sheets = Path(KEY), [key] if isinstance(key, Sheet) else list(key)
    files = _files(answers, path)
    by_name = {sheet.name: sheet for sheet in sheets}
    marked: dict[Path, Marked] = {}
    for k, file in enumerate(files, 1):
        form = file.with_suffix("")
        made = _marked(file, by_name)
        # A form is handed out as CSV and as JSON: of the two, the one that was filled in.
        if form not in marked or marked[form].is_empty:
            marked[form] = made
        elif not made.is_empty:
            marked[file] = made
        if progress is not None:
            progress(k, len(files))
    return Grades(tuple(marked.values()))


def _files(answers: Iterable[str | Path], key: Path) -> list[Path]:
    found: list[Path] = []
    for path in map(Path, answers):
        if os.path.isdir(path):
            found += sorted(
                file
                for file in path.iterdir()
                if file.suffix.lower() in SUFFIXES and file.name != key.name
            )
        else:
            found.append(path)
    if not found:
        raise NncliError(f"there are no answers: no file of {join_words(SUFFIXES)}")
    if len(found) == 1:  # among others, a file that is not there is one student's problem
        file_size(found[0])
    return found


def _marked(file: Path, sheets: Mapping[str, Sheet]) -> Marked:
    """The marks of a file; of one that cannot be marked, why."""
    try:
        given = read_answers(file)
    except DataError as error:
        return Marked(file.stem, "", problem=str(error))
    sheet, problem = _sheet_of(given, sheets)
    if sheet is None:
        return Marked(given.student, given.sheet, problem=problem)
    texts, notes = assign(sheet, given.cells, given.lists)
    if not given.sheet:
        notes.insert(0, f"no sheet is named; the answers are taken for those to {sheet.name}")
    if not texts:
        notes.append("nothing is filled in")
    return mark(sheet, given.student, texts, notes)


def _sheet_of(given: AnswerFile, sheets: Mapping[str, Sheet]) -> tuple[Sheet | None, str]:
    """The sheet that answers are to; or none, and why."""
    shares = {
        name: share_right(sheet, assign(sheet, given.cells, given.lists)[0])
        for name, sheet in sheets.items()
    }
    best = max(shares, key=lambda name: shares[name])
    fits = shares[best] >= MANY_RIGHT
    if given.sheet in sheets:
        if shares[given.sheet] < FEW_RIGHT and fits:
            return None, (f"the form is that of {given.sheet}, but these are answers to {best}")
        return sheets[given.sheet], ""
    known = f"the key has {first_of(list(sheets), MOST_NAMED)}"
    if given.sheet:
        return None, f"these are answers to {quote(given.sheet)}, which is not in the key; {known}"
    if fits or len(sheets) == 1:
        return sheets[best], ""
    return None, f"no sheet is named, and the answers fit none; {known}"


def read_key(path: Path) -> list[Sheet]:
    """The sheets of a key; their steps are taken again.

    Raises:
        NncliError: it cannot be read, or its answers are not those of its networks.
    """
    name = printable(path)
    try:
        content = read_regular(path)
    except OSError as error:
        raise RunError(f"{name}: cannot be read: {reason(error)}") from error
    try:
        record = json.loads(content) if len(content) <= MOST_BYTES else None
    except (ValueError, RecursionError):
        record = None
    known = record if isinstance(record, dict) else {}
    schema = known.get("schema")
    if schema not in ("nncli.key/1", "nncli.exercise/1"):
        raise NncliError(f"{name}: is no key; nncli exercise --out DIR writes one as DIR/{KEY}")
    records = known.get("sheets") if schema == "nncli.key/1" else [known]
    if not isinstance(records, list) or not records:
        raise NncliError(f"{name}: is a key without sheets")
    return [_sheet(one, f"{name}: sheet {k}") for k, one in enumerate(records)]


def _sheet(record: Any, where: str) -> Sheet:
    try:
        kind = kind_of(record["topic"], record["level"])
        spec, seed = record["spec"], int(record["seed"])
        _check_inline(spec["data"]["train"])
        answers: Sequence[float] = [float(blank["answer"]) for blank in record["blanks"]]
        sheet = make_sheet(kind, seed, spec, inspect_spec(kind, spec, proven=False))
    except (LookupError, TypeError, ValueError) as error:
        raise NncliError(f"{where}: is damaged") from error
    except NncliError as error:
        raise NncliError(f"{where}: is damaged: {error}") from error
    values = [blank.value for blank in sheet.blanks]
    if len(values) != len(answers) or not all(
        abs(a - v) <= SAME * max(1.0, abs(v)) for a, v in zip(answers, values, strict=True)
    ):
        raise NncliError(f"{where}: its answers are not those of its network")
    return sheet


def _check_inline(train: Mapping[str, Any]) -> None:
    """Raises ValueError where data are elsewhere: a key reads no other file."""
    if not all(isinstance(train[key], list) for key in ("inputs", "targets")):
        raise ValueError("data are not in the key")
