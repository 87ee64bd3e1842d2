"""Marks a student's answers: each by the key, and by what the student wrote before it.

A mistake costs where it was made. What follows from it, computed rightly, counts as right, as in a
check of somebody else's step; and as there the mistake is named.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nncli.core.notebooks import MimeBundle, mime_bundle
from nncli.core.text import join_words, quote
from nncli.inspection.exercises.draws import DECIMALS
from nncli.inspection.exercises.sheet import ON_PAPER, Blank, Sheet
from nncli.inspection.foreign.checking import Named, checked_by
from nncli.inspection.foreign.judge import Judge
from nncli.inspection.foreign.record import Checked
from nncli.inspection.mistakes.graph import Values
from nncli.inspection.mistakes.scene import Scene
from nncli.nn.arrays import Array

RIGHT, FOLLOWS, FEW, WRONG, EMPTY, UNREAD = VERDICTS = (
    "right",
    "follows",  # from a mistake that was made before, rightly
    "few digits",
    "wrong",
    "empty",
    "unread",
)
CREDITED = (RIGHT, FOLLOWS)
EXACT = 1e-9
LEAST_DIGITS = 2  # significant, or decimals, of a number that is right as far as it goes
UNIT = 1.0001 * 10.0**-DECIMALS  # a number so near needs no digits: files drop zeros at the end
NUMBER = re.compile(
    r"[=≈~]?\s*(?P<sign>[-+−]?)\s*(?P<number>\d+(?:[.,]\d*)?|[.,]\d+)(?P<power>[eE][-+−]?\d{1,3})?"
    r"(?:\s*/\s*(?P<below>\d+(?:[.,]\d*)?))?\s*(?P<unit>[^\d\s.,;/][^\d]{0,9})?"
)
FORMS = "0.25, 2.5e-1 or 1/4 would be one, a percentage is none"
MOST_LISTED = 4  # blanks or texts in a sentence
FEW_RIGHT, MANY_RIGHT = 0.5, 0.8  # shares of answers that are right by one sheet and by another


class Answer(NamedTuple):
    """A number as it was written.

    Attributes:
        value: nan where there is none.
        decimals, significant: digits that were written; those of a fraction are all there are.
        unit: what stands behind it.
        has_comma: whether a comma was its decimal point.
    """

    value: float
    decimals: float = np.inf
    significant: float = np.inf
    unit: str = ""
    has_comma: bool = False


def read_answer(text: str) -> Answer | None:
    """The number in a cell; None where there is none, or what it is cannot be told."""
    match = NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    has_comma = "," in match["number"] or "," in (match["below"] or "")
    number, below = match["number"].replace(",", "."), match["below"]
    power = int((match["power"] or "e0")[1:].replace("−", "-"))
    value = float(f"{number}e{power}")
    if below is not None:
        divisor = float(below.replace(",", "."))
        if not divisor:
            return None
        value /= divisor
    unit = (match["unit"] or "").strip()
    if unit == "%" or not np.isfinite(value):
        return None
    value = -value if match["sign"] in ("-", "−") else value
    if below is not None:
        return Answer(value, unit=unit, has_comma=has_comma)
    whole, _, fraction = number.partition(".")
    significant = len(f"{whole}{fraction}".lstrip("0"))
    return Answer(value, len(fraction) - power, significant, unit, has_comma)


class Mark(NamedTuple):
    """One answer: what was written, and its verdict, one of VERDICTS."""

    blank: Blank
    text: str
    verdict: str


@dataclass(frozen=True)
class Marked:
    """A student's sheet, marked.

    Attributes:
        student: by name, or by that of the file.
        sheet: the name of the sheet; "" where none fits.
        marks: of every blank; none where nothing could be marked.
        checked: which mistakes were made; None where none was.
        notes: what is to be said of how the answers were written.
        problem: why nothing could be marked; "" where it could.
    """

    student: str
    sheet: str
    marks: tuple[Mark, ...] = ()
    checked: Checked | None = None
    notes: tuple[str, ...] = ()
    problem: str = ""

    def count(self, *verdicts: str) -> int:
        return sum(mark.verdict in verdicts for mark in self.marks)

    @property
    def is_empty(self) -> bool:
        """Whether it is a form in which nothing was filled in."""
        return not self.problem and self.count(EMPTY) == len(self.marks)

    @property
    def points(self) -> int:
        """One for each answer that is right, or follows from the student's own."""
        return self.count(*CREDITED)

    @property
    def mistakes(self) -> tuple[str, ...]:
        """The words of what went wrong, as a check has them."""
        return () if self.checked is None else self.checked.mistakes


@dataclass(frozen=True)
class Grades:
    """The marks of a class: what became of each file, in their order."""

    marked: tuple[Marked, ...]

    @property
    def complete(self) -> bool:
        """Whether every file could be marked."""
        return not any(one.problem for one in self.marked)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> MimeBundle:
        return mime_bundle(self)


@np.errstate(all="ignore")  # what was written may be of any size
def mark(sheet: Sheet, student: str, texts: Mapping[int, str], notes: Sequence[str] = ()) -> Marked:
    """Marks answers, by the numbers of their blanks; those that are missing are empty."""
    answers = {number: read_answer(text) for number, text in texts.items() if text.strip()}
    said = [*notes, *_written(texts, answers)]
    scene = Scene(sheet.trace)
    mine, half_units = _arrays(sheet, scene, answers)
    if not mine:
        marks = tuple(Mark(b, texts.get(b.number, ""), _absent(b, answers)) for b in sheet.blanks)
        return Marked(student, sheet.name, marks, None, tuple(said))
    judge = Judge(scene, mine, digits=ON_PAPER, half_units=half_units)
    asked_for = Judge(scene, mine, digits=ON_PAPER)
    marks = tuple(
        Mark(blank, texts.get(blank.number, ""), _verdict(judge, asked_for, blank, answers))
        for blank in sheet.blanks
    )
    checked = None
    if any(made.verdict == WRONG for made in marks):
        checked = checked_by(judge, {name: Named(name, name, a) for name, a in mine.items()})
    return Marked(student, sheet.name, marks, checked, tuple(said))


def _arrays(
    sheet: Sheet, scene: Scene, answers: Mapping[int, Answer | None]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The answers in the shapes of the step, and by how much each may be off for its digits.

    What is missing of a quantity is filled in with what follows from the answers before it. So a
    gap is no mistake, and what comes after it can still be marked. A quantity of gaps is left out.
    """
    by_name = {asked.name: asked for asked in sheet.asked}
    mine: dict[str, Array] = {}
    half_units: dict[str, Array] = {}
    for name in scene.rules:
        asked = by_name.get(name)
        if asked is None:
            continue
        found = [answers.get(asked.first + k) for k in range(asked.array.size)]
        if all(answer is None for answer in found):
            continue
        made = np.asarray(Values(scene.rules, scene.start, mine).made(name), np.float64).ravel()
        values = [float(m) if a is None else a.value for a, m in zip(found, made, strict=True)]
        mine[name] = np.array(values).reshape(asked.array.shape)
        half_units[name] = np.array([_half_unit(a) for a in found]).reshape(asked.array.shape)
    return mine, half_units


def _half_unit(answer: Answer | None) -> float:
    """Of fewer digits than were asked for, if they are enough to say anything."""
    if answer is None or answer.decimals >= DECIMALS:
        return 0.0
    if max(answer.significant, answer.decimals) < LEAST_DIGITS:
        return 0.0
    return float(0.5 * 10.0**-answer.decimals)


def _absent(blank: Blank, answers: Mapping[int, Answer | None]) -> str:
    return UNREAD if blank.number in answers else EMPTY


def _verdict(
    judge: Judge, asked_for: Judge, blank: Blank, answers: Mapping[int, Answer | None]
) -> str:
    """Of one answer.

    Args:
        judge: which judges each answer by the digits that it was written with.
        asked_for: which judges it by those that were asked for.
    """
    answer = answers.get(blank.number)
    if answer is None:
        return _absent(blank, answers)
    name = blank.asked.name
    off = [
        abs(answer.value - float(np.asarray(right)[blank.at]))
        for right in (judge.scene.record[name], judge.own.made(name))
    ]
    has_digits = answer.decimals >= DECIMALS
    for which, verdict in enumerate(CREDITED):
        fits = off[which] <= asked_for.tolerance(name, which)[blank.at]
        if off[which] <= EXACT or (fits and (has_digits or off[which] <= UNIT)):
            return verdict
    for which in range(2):
        if not has_digits and off[which] <= judge.tolerance(name, which)[blank.at]:
            return FEW
    return WRONG


def _written(texts: Mapping[int, str], answers: Mapping[int, Answer | None]) -> list[str]:
    """What is to be said of how answers were written."""
    said = []
    units = [quote(answer.unit) for answer in answers.values() if answer and answer.unit]
    if units:
        said.append(f"units are left out: {join_words(dict.fromkeys(units), 'and')}")
    if any(answer and answer.has_comma for answer in answers.values()):
        said.append("decimal commas are read as points")
    unread = [number for number, answer in answers.items() if answer is None]
    if unread:
        listed = ", ".join(f"{quote(texts[k])} in blank {k}" for k in unread[:MOST_LISTED])
        more = f" and {len(unread) - MOST_LISTED} more" if len(unread) > MOST_LISTED else ""
        said.append(f"no number: {listed}{more}; {FORMS}")
    return said


# Which sheet, and which blank, an answer is to


def assign(
    sheet: Sheet, cells: Sequence[tuple[str, str]], lists: Sequence[tuple[str, Sequence[str]]]
) -> tuple[dict[int, str], list[str]]:
    """The texts by the numbers of the blanks, and what did not fit, in words.

    Args:
        cells: a blank by its number or its name, and what was written there.
        lists: a quantity, and what was written for all of its blanks.
    """
    by_name = {blank.name: blank.number for blank in sheet.blanks}
    numbers = {str(blank.number): blank.number for blank in sheet.blanks}
    texts: dict[int, str] = {}
    said, unknown = list[str](), list[str]()
    for label, text in cells:
        number = numbers.get(label.strip("(). "), by_name.get(label))
        if number is None:
            unknown += [label] if text else []
        elif text and texts.get(number, text) != text:
            texts[number] = f"{texts[number]} and {text}"  # which is no number: neither counts
        elif text:
            texts[number] = text
    asked_by_name = {asked.name: asked for asked in sheet.asked}
    for name, written in lists:
        asked = asked_by_name.get(name)
        if asked is None:
            unknown += [name] if any(written) else []
        elif len(written) != asked.array.size:
            count = "one answer" if len(written) == 1 else f"a list of {len(written)}"
            said.append(f"there is {count} to {name}, where the sheet asks for {asked.array.size}")
        else:
            texts |= {asked.first + k: text for k, text in enumerate(written) if text}
    if unknown:
        listed = join_words(map(quote, unknown[:MOST_LISTED]), "and")
        said.append(f"the sheet has no blank {listed}")
    return texts, said


def share_right(sheet: Sheet, texts: Mapping[int, str]) -> float:
    """Of the answers that were given, which share agrees with a sheet's key."""
    read = {number: read_answer(text) for number, text in texts.items()}
    given = [(blank, a) for blank in sheet.blanks if (a := read.get(blank.number)) is not None]
    right = sum(abs(a.value - blank.value) <= blank.tolerance for blank, a in given)
    return right / len(given) if given else 0.0
