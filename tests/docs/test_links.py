"""Links within the built site lead somewhere; others cannot be followed without internet."""

from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.pages import ROOT

SITE = ROOT / "docs/_build/html"
PAGES = sorted(SITE.glob("**/*.html"))


class Found(HTMLParser):
    """The targets that a page names and the places in it that can be named."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links, self.places = list[str](), set[str]()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value and tag != "use":
                self.links.append(value)
            if name in ("id", "name") and value:
                self.places.add(value)


@cache
def read(path: Path) -> Found:
    return Found(path)


def broken(page: Path) -> Iterator[str]:
    for link in read(page).links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        target = target / "index.html" if target.is_dir() else target
        if not target.is_file() or (
            parts.fragment
            and target.suffix == ".html"
            and "pages" not in target.parts  # whose fragments are read by their scripts
            and unquote(parts.fragment) not in read(target).places
        ):
            yield link


def test_the_site_is_built() -> None:
    assert SITE / "index.html" in PAGES, "make docs builds it first"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(SITE)))
def test_links_lead_somewhere(page: Path) -> None:
    if page.parent.name != "pages":  # made by nncli, and tested in tests/browser
        assert list(broken(page)) == []
