"""Every page of the site shows what its commands print."""

from pathlib import Path

import pytest

from tests.pages import ROOT, assert_true, blocks

PAGES = sorted(path for path in (ROOT / "docs").glob("*/*.md") if blocks(path.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_shows_what_is_printed(page: Path, tmp_path: Path) -> None:
    assert_true(page, tmp_path)
