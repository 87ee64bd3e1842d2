"""nncli exercise: sheets to print, a folder for a class, and what is refused."""

import csv
import json
import re
from pathlib import Path

import pytest

from nncli.app.exercise import exercise
from nncli.inspection.exercises.kinds import KINDS, Kind
from nncli.render.formats import write
from nncli.render.pages.exercise import sheet_document
from tests.conftest import Run
from tests.render.formats.test_latex import assert_well_formed

DENSE = ("exercise", "--topic", "dense", "--level", "2", "--seed", "7")


def test_a_sheet_has_every_blank_once_and_no_answer(nncli: Run) -> None:
    text = nncli(*DENSE).out
    assert re.findall(r"\((\d+)\) \.{8}", text) == [str(k) for k in range(1, 17)]
    assert all(len(line) <= 80 for line in text.splitlines())
    solved = nncli(*DENSE, "--solution").out
    assert re.findall(r"^\((\d+)\) ", solved, re.MULTILINE) == [str(k) for k in range(1, 17)]
    assert "agree with complex step derivatives" in " ".join(solved.split())


def test_a_folder_for_a_class(nncli: Run, tmp_path: Path) -> None:
    done = nncli(*DENSE, "--count", "2", "--format", "markdown")
    assert done.status == 0, done.err
    folder = tmp_path / "exercises/dense-2"
    forms = [f"dense-2-{seed}.{suffix}" for seed in (7, 8) for suffix in ("csv", "json", "md")]
    assert sorted(p.name for p in folder.iterdir()) == [*forms, "key.json", "solutions"]
    rows = list(csv.reader((folder / "dense-2-7.csv").read_text().splitlines()))
    assert rows[0] == ["sheet", "dense-2-7", ""]
    assert rows[3] == ["1", "dense1.z[0]", ""]
    form = json.loads((folder / "dense-2-7.json").read_text())
    assert form["dense1.weight_gradient"] == [[None, None], [None, None]]
    key = json.loads((folder / "key.json").read_text())
    assert [sheet["sheet"] for sheet in key["sheets"]] == ["dense-2-7", "dense-2-8"]
    answers = [blank["answer"] for blank in key["sheets"][0]["blanks"]]
    assert answers == [blank.value for blank in exercise("dense", 2, 7).blanks]
    before = (folder / "key.json").read_bytes()
    again = nncli(*DENSE, "--count", "2", "--format", "markdown")
    assert again.status == 2
    assert "is there already; --overwrite replaces it" in again.err
    (folder / "key.json").write_text("old")
    assert nncli(*DENSE, "--count", "2", "--format", "markdown", "--overwrite").status == 0
    assert (folder / "key.json").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--topic", "sofmax"), "expected dense, softmax, conv, update or kronecker; did you mean"),
        (("--level", "6"), "expected a whole number from 1 to 5, got '6'"),
        (("--count", "0"), "expected a whole number from 1 to 1000"),
        (("--format", "pdf"), "--format pdf: expected"),
        (("--count", "2", "--format", "json"), "would hold the answers"),
        (("--count", "2", "--solution"), "a folder has the solutions beside the sheets"),
        (("--count", "2", "-o", "a.md"), "--output and --open are for one sheet"),
        (("-o", "a.pdf"), "the suffix '.pdf' is not known"),
    ],
)
def test_what_is_refused(nncli: Run, words: tuple[str, ...], message: str) -> None:
    done = nncli("exercise", *words)
    assert (done.status, done.out) == (2, "")
    assert message in done.err


@pytest.mark.parametrize("kind", KINDS[::4], ids=lambda kind: kind.name)
def test_every_kind_in_every_format(kind: Kind) -> None:
    sheet = exercise(kind.topic, kind.level, 11)
    for solved in (False, True):
        document = sheet_document(sheet, solved=solved)
        assert_well_formed(write("latex", document).decode())
        markdown = write("markdown", document).decode()
        for fenced in re.findall(r"```text\n(.*?)```", markdown, re.DOTALL):
            assert all(len(line) <= 80 for line in fenced.splitlines())
        numbers = re.findall(r"(?:^|\| )\((\d+)\) ", markdown, re.MULTILINE)
        assert numbers == [str(blank.number) for blank in sheet.blanks]
    page = write("html", sheet_document(sheet)).decode()
    assert len(re.findall(r"data-blank=\d+", page)) == len(sheet.blanks)
    assert len(page) < 60_000
    for blank in sheet.blanks:  # no answer is in plain sight
        if blank.value != round(blank.value, 2):
            assert f"{blank.value:.6g}" not in page
