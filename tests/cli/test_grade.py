"""nncli grade: a class's files, of which some are bad; none ends the run."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from nncli.app.exercise import exercise
from nncli.app.grade import grade
from nncli.inspection.exercises.marking import Grades, Marked
from nncli.render.formats import write
from nncli.render.pages.exercise_key import form_csv, form_json
from nncli.render.pages.grades import grades_csv, grades_document
from tests.conftest import ROOT, Run

CLASS = ROOT / "data/exercises"
KEY = CLASS / "key.json"


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """A folder with good and bad files."""
    folder = tmp_path / "answers"
    folder.mkdir()
    ada = (CLASS / "ada.csv").read_text()
    head, rows = ada.splitlines()[:3], ada.splitlines()[3:]
    (folder / "order.csv").write_text("\n".join([*head, *rows[::-1]]))
    (folder / "other.csv").write_text(ada.replace("dense-3-7", "dense-3-99"))
    (folder / "swapped.csv").write_text(ada.replace("dense-3-7", "dense-3-8"))
    (folder / "unnamed.csv").write_text("\n".join(rows))
    (folder / "broken.csv").write_bytes(b"\x00\xff")
    (folder / "broken.json").write_text('{"sheet": ')
    (folder / "list.json").write_text("[1, 2]")
    (folder / "empty.csv").write_text(form_csv(exercise("dense", 3, 7)))
    form = json.loads(form_json(exercise("dense", 3, 7)))
    form["student"], form["dense1.z"] = "Hans", [0.5]
    (folder / "hans.json").write_text(json.dumps(form))
    (folder / "notes.md").write_text("is no form")
    return folder


def test_no_file_ends_the_run(nncli: Run, answers: Path) -> None:
    done = nncli("grade", KEY, answers, "--format", "json")
    assert done.status == 1
    assert "5 of 9 files could not be marked: broken, broken, list, Ada, Ada" in done.err
    students = json.loads(done.out)["students"]
    problems = [one["problem"] for one in students if one["problem"]]
    for words in (
        "row 1: holds a NUL byte",
        "is no JSON (line 1, character 11: Expecting value)",
        "must hold a JSON object",
        "answers to 'dense-3-99', which is not in the key; the key has dense-3-7, dense-3-8",
        "the form is that of dense-3-8, but these are answers to dense-3-7",
    ):
        assert any(words in problem for problem in problems)
    by_name = {one["student"]: one for one in students if not one["problem"]}
    assert by_name["Ada"]["points"] == 32
    assert by_name["unnamed"]["points"] == 32
    assert "taken for those to dense-3-7" in by_name["unnamed"]["notes"][0]
    assert by_name["empty"]["notes"] == ["nothing is filled in"]
    assert "where the sheet asks for 2" in by_name["Hans"]["notes"][0]


@pytest.fixture(scope="module")
def grades() -> Grades:
    return grade(KEY, [CLASS])


def test_the_table_of_a_class(grades: Grades) -> None:
    text = write("table", grades_document(grades.marked)).decode()
    assert "missing_sigma_prime_hidden (dense1): σ′(z) is left out" in text
    rows = list(csv.DictReader(io.StringIO(grades_csv(grades.marked))))
    assert [(row["student"], row["points"], row["of"]) for row in rows] == [
        *(("Ada", "32", "32"), ("Ben", "30", "32"), ("Cleo", "28", "32")),
    ]
    assert rows[1]["mistake"] == "missing_sigma_prime_hidden"


def test_the_command(nncli: Run) -> None:
    done = nncli("grade", KEY, CLASS / "ada.csv", CLASS / "ben.csv")
    assert done.status == 0
    assert all(len(line) <= 80 for line in done.out.splitlines())
    assert re.search(r"^Ben +dense-3-8 +30 +32 +24 +6 +0 +2 +0 +0$", done.out, re.MULTILINE)


@pytest.mark.slow
def test_the_same_in_every_format(nncli: Run, tmp_path: Path) -> None:
    for suffix in (".csv", ".md", ".html", ".tex", ".json"):
        assert nncli("grade", KEY, CLASS, "-o", f"grades{suffix}").status == 0
        assert b"missing" in (tmp_path / f"grades{suffix}").read_bytes()


def test_of_two_forms_the_one_that_was_filled_in_counts(nncli: Run, tmp_path: Path) -> None:
    assert nncli("exercise", "--seed", "7", "--count", "2", "--out", "class").status == 0
    form = tmp_path / "class/dense-1-7.csv"
    lines = form.read_text().splitlines()
    answers = [f"{blank.value:.4f}" for blank in exercise("dense", 1, 7).blanks]
    filled = [line + answer for line, answer in zip(lines[3:], answers, strict=True)]
    form.write_text("\n".join([*lines[:3], *filled]))
    marked = grade(tmp_path / "class/key.json", [tmp_path / "class"]).marked
    assert [(one.student, one.points) for one in marked] == [("dense-1-7", 5), ("dense-1-8", 0)]


def test_in_a_notebook(grades: Grades) -> None:
    text = grades._repr_mimebundle_()["text/plain"]
    assert isinstance(text, str)
    assert "Ben" in text
    page = exercise("dense", 1, 7)._repr_mimebundle_()
    assert "startExercise(root)" in str(page["text/html"])


def test_a_name_is_no_formula() -> None:
    assert grades_csv([Marked("=1+1", "", problem="why")]).splitlines()[1].startswith("'=1+1,")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda key: {**key, "schema": "nncli.trace/1"}, "is no key"),
        (lambda key: {**key, "sheets": []}, "a key without sheets"),
        (lambda key: {**key, "sheets": [{"topic": "dense"}]}, "sheet 0: is damaged"),
        (
            lambda key: {**key, "sheets": [{**key["sheets"][0], "level": 9}]},
            "sheet 0: is damaged: --level 9",
        ),
        (
            lambda key: {**key, "sheets": [{**key["sheets"][0], "blanks": []}]},
            "its answers are not those of its network",
        ),
    ],
)
def test_a_bad_key_is_refused(nncli: Run, tmp_path: Path, change: object, message: str) -> None:
    assert callable(change)
    (tmp_path / "bad.json").write_text(json.dumps(change(json.loads(KEY.read_text()))))
    done = nncli("grade", "bad.json", CLASS)
    assert (done.status, done.out) == (2, "")
    assert message in done.err


def test_nothing_to_mark_is_refused(nncli: Run, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert "there are no answers" in nncli("grade", KEY, "none").err
    assert nncli("grade", "missing.json", CLASS).status == 2
    done = nncli("grade", KEY, "none.csv")
    assert (done.status, done.out, done.err) == (2, "", "nncli: none.csv: no such file\n")


def test_forms_of_a_spreadsheet_in_another_encoding(nncli: Run, tmp_path: Path) -> None:
    form = form_csv(exercise("dense", 3, 7)).replace("student,", "student,José", 1)
    form = re.sub(r"^(1,[^,]*),.*$", r"\1,11.92%", form, flags=re.MULTILINE)
    (tmp_path / "latin.csv").write_bytes(form.encode("cp1252"))
    (tmp_path / "wide.csv").write_bytes(form.encode("utf-16"))
    done = nncli("grade", KEY, "latin.csv", "wide.csv", "none.csv")
    assert done.status == 1
    text = " ".join(done.out.split())
    assert "José" in text
    assert "wide.csv: is UTF-16; save it as UTF-8." in text
    assert "Not marked: none.csv: no such file." in text
    assert text.lower().count("no number") == 1
    assert "unread: something that cannot be read as a number." in text
    assert "No number: '11.92%' in blank 1; 0.25, 2.5e-1 or 1/4 would be one" in text
