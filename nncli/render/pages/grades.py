"""The marks of a class: a table, and for each student what went wrong, in sentences."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from nncli.core.text import capitalised, count_of, first_of, join_words
from nncli.inspection.exercises.marking import (
    CREDITED,
    EMPTY,
    FEW,
    FOLLOWS,
    UNREAD,
    VERDICTS,
    WRONG,
    Mark,
    Marked,
)
from nncli.inspection.foreign.record import Checked
from nncli.render.document import Block, Document, Grid, Heading, Page, Paragraph
from nncli.render.pages.checked import FORMULAS, checked_record
from nncli.render.pages.exercise_key import value_words
from nncli.render.pages.predictions import FORMULA, csv_text

HEADINGS = ("student", "sheet", "points", "of", *VERDICTS)
SHORT = {FEW: "few"}  # where there is no room for more
NO_MARK = "–"
MOST_SHOWN = 6  # wrong answers of a student
RARE = {  # what a heading leaves open, where there are any
    FEW: "few: right as far as they go, with too few digits",
    UNREAD: "unread: something that cannot be read as a number",
}
LINES = {
    EMPTY: "Left empty",
    FEW: "Right as far as it goes, but more digits were asked for",
}


def grades_page(marked: Sequence[Marked]) -> Page:
    page: Page = [Heading(grades_words(marked), 0)]
    page.append(
        Paragraph(
            "A point is for an answer that is right, or follows rightly from the student's own "
            "earlier ones: a mistake costs once, where it was made.",
            note=True,
        )
    )
    heads = tuple(SHORT.get(heading, heading) for heading in HEADINGS)
    page.append(Grid(heads, tuple(map(_row, marked)), words=2))
    rare = [words for verdict, words in RARE.items() if any(one.count(verdict) for one in marked)]
    if rare:
        page.append(Paragraph(f"{'; '.join(rare)}.", note=True))
    made = Counter(words for one in marked if (words := mistake_words(one)))
    if made:
        rows = tuple((words, str(count)) for words, count in made.most_common())
        page.append(Grid(("first mistake", "students"), rows))
    for one in marked:
        said = list(_said(one))
        if said:
            where = f" ({one.sheet})" if one.sheet else ""
            page += [Heading(f"{one.student}{where}", 2), *said]
    return page


def grades_document(marked: Sequence[Marked]) -> Document:
    return Document(
        grades_words(marked), lambda: grades_page(marked), lambda: grades_record(marked), dict
    )


def grades_words(marked: Sequence[Marked]) -> str:
    """How a class did, in a few words."""
    counted = [one for one in marked if not one.problem and one.marks]
    words = count_of(len(marked), "sheet")
    if counted:
        mean = sum(one.points / len(one.marks) for one in counted) / len(counted)
        words += f" marked, {100 * mean:.0f}% of the points on average"
    return words


def unmarked_words(marked: Sequence[Marked]) -> str:
    """Which could not be marked."""
    names = [one.student for one in marked if one.problem]
    return (
        f"{len(names)} of {count_of(len(marked), 'file')} could not be marked: {first_of(names, 8)}"
    )


def _row(one: Marked) -> tuple[str, ...]:
    if one.problem:
        return (one.student, one.sheet, "not marked", *(NO_MARK for _ in HEADINGS[3:]))
    counts = (str(one.count(verdict)) for verdict in VERDICTS)
    return (one.student, one.sheet, str(one.points), str(len(one.marks)), *counts)


def mistake_words(one: Marked) -> str:
    """The mistake by its words; or where it is, if it is not known."""
    if one.mistakes:
        return join_words(one.mistakes)
    if one.checked is not None and one.checked.first_wrong is not None:
        return f"in {one.checked.first_wrong}"
    return ""


def _said(one: Marked) -> Iterator[Block]:
    if one.problem:
        end = "" if one.problem.endswith("?") else "."
        yield Paragraph(f"Not marked: {one.problem}{end}")
        return
    for note in one.notes:
        yield Paragraph(f"{capitalised(note)}.")
    for verdict, words in LINES.items():
        found = [mark for mark in one.marks if mark.verdict == verdict]
        if found and len(found) < len(one.marks):
            blanks = "blank" if len(found) == 1 else "blanks"
            numbers = first_of([mark.blank.number for mark in found], 2 * MOST_SHOWN)
            yield Paragraph(f"{words}: {blanks} {numbers}.")
    wrong = [mark for mark in one.marks if mark.verdict == WRONG]
    if wrong:
        yield Paragraph(f"Wrong: {'; '.join(map(_wrong, wrong[:MOST_SHOWN]))}{_more(wrong)}.")
    if one.checked is not None:
        yield from _mistakes(one.checked)
    if follows := one.count(FOLLOWS):
        verbs = ("follows", "counts") if follows == 1 else ("follow", "count")
        answers = count_of(follows, "answer")
        yield Paragraph(f"{answers} {verbs[0]} from the student's own, and {verbs[1]} as right.")


def _wrong(mark: Mark) -> str:
    value = value_words(mark.blank)
    return f"blank {mark.blank.number}, {mark.blank.name}, is {mark.text}, right is {value}"


def _more(wrong: Sequence[Mark]) -> str:
    return f"; and {len(wrong) - MOST_SHOWN} more" if len(wrong) > MOST_SHOWN else ""


def _mistakes(checked: Checked) -> Iterator[Block]:
    """Each kind of mistake by its word and sentence; of those that cannot be told apart, all."""
    seen = set[str]()
    for explanation in checked.explanations:
        for made in explanation:
            if made.word not in seen:
                seen.add(made.word)
                place = f" ({made.place})" if made.place else ""
                yield Paragraph(f"{made.word}{place}: {made.says} Right: {made.right}")
    if not seen and checked.first_wrong is not None:
        formula = FORMULAS.get(checked.first_wrong.rpartition(".")[2])
        right = f" Right: {formula}." if formula else ""
        yield Paragraph(
            f"{checked.first_wrong} is the first that is wrong, and no known mistake explains it."
            f"{right}"
        )


# As data


def grades_csv(marked: Sequence[Marked]) -> str:
    """A row a student, for a spreadsheet."""
    rows: list[Sequence[str]] = [(*HEADINGS, "mistake", "notes")]
    for one in marked:
        row = ["" if cell == NO_MARK else cell for cell in _row(one)]
        said = one.problem or "; ".join(one.notes)
        rows.append(tuple(map(_harmless, (*row, mistake_words(one), said))))
    return csv_text(rows)


def _harmless(text: str) -> str:
    """A text of which no spreadsheet makes a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def grades_record(marked: Sequence[Marked]) -> dict[str, Any]:
    return {
        "schema": "nncli.grades/1",
        "students": [
            {
                "student": one.student,
                "sheet": one.sheet or None,
                "problem": one.problem or None,
                "points": None if one.problem else one.points,
                "blanks": len(one.marks),
                "counts": {verdict: one.count(verdict) for verdict in VERDICTS},
                "mistakes": list(one.mistakes),
                "first_wrong": None if one.checked is None else one.checked.first_wrong,
                "notes": list(one.notes),
                "marks": [
                    {
                        "blank": mark.blank.number,
                        "quantity": mark.blank.name,
                        "answer": mark.text,
                        "right": mark.blank.value,
                        "verdict": mark.verdict,
                        "credited": mark.verdict in CREDITED,
                    }
                    for mark in one.marks
                ],
                "check": None if one.checked is None else checked_record(one.checked),
            }
            for one in marked
        ],
    }
