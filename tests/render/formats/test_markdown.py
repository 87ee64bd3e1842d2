"""Markdown: tables of one width, fences that close, and names that stay names."""

import re

import pytest

from nncli.render.document import Grid, Heading, Lines, Page, Paragraph
from nncli.render.formats.markdown import to_markdown
from tests.render.reading import VIEWS, WORKED, checked_lenet, checked_step, on_screen, page_of

SIGNS = "\\`*_[]<>|#~$&"


def cells_of(row: str) -> list[str]:
    assert row.startswith("| ")
    assert row.endswith(" |")
    return re.split(r"(?<!\\)\|", row)[1:-1]


def assert_well_formed(text: str) -> None:
    inside = False
    table: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("```"):
            assert line == ("```" if inside else "```text")
            inside = not inside
        elif inside:
            continue
        elif line.startswith("|"):
            table.append(cells_of(line))
        else:
            if table:
                assert len(table) > 2
                assert len({len(row) for row in table}) == 1
                assert all(re.fullmatch(r" (:--|--:) ", cell) for cell in table[1])
            table = []
            assert not line.startswith((" ", "\t"))
    assert not inside


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ["two-two-two", "seed-3-4-2", "iris", "digits-conv"])
def test_every_page_is_well_formed(name: str, view: str) -> None:
    step = checked_step(name, (0,) if name in WORKED else (0, 1, 2, 3))
    assert_well_formed(to_markdown(page_of(step, view=view)))


def test_a_page_with_every_kind_of_layer_is_well_formed() -> None:
    assert_well_formed(to_markdown(page_of(checked_lenet())))


def test_a_name_stays_a_name() -> None:
    name = SIGNS + " [a](b) &lt; **x** <script>"
    page: Page = [
        Heading(name, 2),
        Paragraph(name),
        Paragraph(name, note=True),
        Grid((name, "x|y"), ((name, "1"),)),
    ]
    text = to_markdown(page)
    assert_well_formed(text)
    # Without its escapes it is the name again, and no sign in it stands without one.
    escaped = text.split("\n\n")[0].removeprefix("## ")
    assert re.sub(r"\\(.)", r"\1", escaped) == name
    assert not set(re.sub(r"\\.", "", escaped)) & set(SIGNS)


def test_a_name_cannot_end_its_line() -> None:
    text = to_markdown([Heading("a\n# b\x1b"), Grid(("x\ny",), (("1\n2",),))])
    assert len(text.splitlines()) == 5
    assert "\x1b" not in text


def test_no_line_ends_a_fence() -> None:
    text = to_markdown([Lines(("before", "```", "<b>", "````"))])
    assert text == "`````text\nbefore\n```\n<b>\n````\n`````\n"


def test_blocks() -> None:
    page: Page = [
        Heading("one"),
        Heading("two", 2),
        Heading("three", 3),
        Paragraph("words"),
        Paragraph("aside", note=True),
        Lines(("a * b", "c_d")),
        Grid(("", "n"), (("x", "1"), ("y", "2"))),
    ]
    assert to_markdown(page) == (
        "# one\n\n## two\n\n### three\n\nwords\n\n*aside*\n\n```text\na * b\nc_d\n```\n\n"
        "|  | n |\n| :-- | --: |\n| x | 1 |\n| y | 2 |\n"
    )


def test_it_says_what_the_terminal_says() -> None:
    """The same numbers, in the same order."""
    page = page_of(checked_step("two-two-two"))
    number = re.compile(r"-?\d+\.\d+")
    markdown = number.findall(to_markdown(page))
    assert markdown == number.findall(on_screen(page, 100))
