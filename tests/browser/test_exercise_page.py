"""A sheet in the browser: its fields check themselves, offline, by keyboard and on a phone."""

from pathlib import Path

import pytest

from nncli.app.exercise import exercise
from nncli.inspection.exercises.marking import mark
from nncli.inspection.exercises.sheet import Sheet
from nncli.render.formats import write
from nncli.render.pages.exercise import sheet_document
from tests.browser.conftest import PHONE, WIDE, Open, Opened


@pytest.fixture(scope="module")
def sheet() -> Sheet:
    return exercise("dense", 3, 7)


@pytest.fixture
def opened(sheet: Sheet, open_page: Open, tmp_path: Path) -> Opened:
    path = tmp_path / "sheet.html"
    path.write_bytes(write("html", sheet_document(sheet)))
    found = open_page(path)
    found.page.get_by_text(f"0 of {len(sheet.blanks)} right").wait_for()
    return found


def fill(opened: Opened, number: int, text: str) -> str:
    """What the page says of an answer."""
    field = opened.page.locator(f"[data-blank='{number}']")
    field.fill(text)
    field.press("Tab")
    return str(opened.page.locator("td", has=field).get_attribute("class") or "")


def test_right_answers_are_right(sheet: Sheet, opened: Opened) -> None:
    for blank in sheet.blanks:
        text = f"{blank.value:.4f}".replace(".", ",") if blank.number % 2 else f"{blank.value:.4f}"
        assert fill(opened, blank.number, text) == "right"
    assert opened.page.inner_text(".tally") == f"{len(sheet.blanks)} of {len(sheet.blanks)} right"
    opened.assert_clean()


def test_it_judges_as_grade_does(sheet: Sheet, opened: Opened) -> None:
    """Of an answer by itself, with nothing before it that it could follow from."""
    classes = {"right": "right", "few digits": "few", "wrong": "wrong", "unread": "unread"}
    blank = next(b for b in sheet.blanks if b.name == "dense1.z[0]")
    a = next(b for b in sheet.blanks if b.name == "dense2.a[0]")
    for one, value in ((blank, blank.value), (a, a.value)):
        near = one.value + 0.9 * one.tolerance
        texts = [f"{value:.4f}", f"{value:.2f}", f"{near:.4f}", f"{value + 0.3:.4f}", "x", "1/4"]
        for text in texts:
            (made,) = [m for m in mark(sheet, "", {one.number: text}).marks if m.blank is one]
            assert fill(opened, one.number, text) == classes[made.verdict], (one.name, text)


def test_enter_goes_on_and_the_file_can_be_handed_in(sheet: Sheet, opened: Opened) -> None:
    page = opened.page
    page.locator("[data-blank='1']").fill("0.5")
    page.locator("[data-blank='1']").press("Enter")
    assert page.evaluate("document.activeElement.dataset.blank") == "2"
    page.locator("summary").click()
    lines = page.input_value("textarea").splitlines()
    assert lines[0] == f"sheet;{sheet.name};"
    assert lines[3] == f"1;{sheet.blanks[0].name};0.5"
    assert len(lines) == 3 + len(sheet.blanks)


@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_clean_and_accessible(
    sheet: Sheet, open_page: Open, tmp_path: Path, size: tuple[int, int]
) -> None:
    path = tmp_path / "sheet.html"
    path.write_bytes(write("html", sheet_document(sheet)))
    for scheme in ("light", "dark"):
        opened = open_page(path, size=size, scheme=scheme)
        opened.page.get_by_text(f"0 of {len(sheet.blanks)} right").wait_for()
        fill(opened, 1, "99")
        opened.assert_clean()
        opened.assert_fits()
        opened.assert_accessible()
