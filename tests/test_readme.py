"""The README is true, and so is what of the site is quick: `make docs` looks at all of it."""

import re
from pathlib import Path

import pytest

from nncli.cli import app
from tests.pages import ROOT, assert_printed, assert_true, blocks, sentences

TEXT = (ROOT / "README.md").read_text()
MEASURED = {"speed.md"}  # by `make bench`, as it says
PAGES = [path for path in sorted((ROOT / "docs").glob("**/*.md")) if path.name not in MEASURED]


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial/1-by-hand.md"])
def test_a_page_shows_what_is_printed(page: str, tmp_path: Path) -> None:
    assert_true(ROOT / page, tmp_path)


def test_the_make_commands_are_there() -> None:
    shells = "".join(block.text for block in blocks(TEXT) if block.language == "sh")
    targets = re.findall(r"^make (\w+)", shells, re.M)
    makefile = (ROOT / "Makefile").read_text()
    assert targets == ["demo", "test", "docs"]
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


@pytest.mark.parametrize("command", app.COMMANDS)
def test_every_command_stands_in_its_table(command: str) -> None:
    assert re.search(rf"^\| .*`nncli {command}\b", TEXT, re.M)


def test_its_links_and_pictures_are_there() -> None:
    files = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert len(files) > 5
    assert [file for file in files if not (ROOT / file).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_the_numbers_in_sentences_are_computed(page: Path) -> None:
    typed = re.findall(r"\d*[.×]\d+", sentences(page.read_text()))
    assert typed == [], "see CONTRIBUTING.md, Write documentation"


def test_a_page_is_not_true_where_a_number_a_word_or_a_line_is_another() -> None:
    printed = "before\na  1.50  x\n-2.25\nafter\n"
    assert_printed("a  1.50  x\n-2.25\n", printed)
    for shown in (
        "a  1.51  x\n-2.25\n",
        "a  1.50  x\n2.25\n",
        "b  1.50  x\n",
        "a  1.50  x\nafter\n",
    ):
        with pytest.raises(AssertionError):
            assert_printed(shown, printed)
