"""--open: the page is written, then shown."""

import webbrowser
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from nncli.cli import browser
from nncli.core.errors import NncliError
from tests.conftest import CONFIGS, Run

ROWS = ("conv", "1 2; 3 4", "1 1")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """The files that a browser was asked to show."""
    found: list[Path] = []

    def show(address: str) -> bool:
        assert address.startswith("file:///")
        found.append(Path(unquote(urlsplit(address).path)))
        return True

    monkeypatch.setattr(webbrowser, "open", show)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return found


def test_a_page_with_a_name_is_written_there_and_shown(
    nncli: Run, tmp_path: Path, shown: list[Path]
) -> None:
    done = nncli(*ROWS, "-o", "a b.html", "--open")
    assert (done.status, done.out, done.err) == (0, "", "")
    assert shown == [tmp_path / "a b.html"]
    assert shown[0].read_bytes().startswith(b"<!DOCTYPE html>")


def test_a_page_without_one_is_temporary_and_its_name_is_said(
    nncli: Run, tmp_path: Path, shown: list[Path]
) -> None:
    done = nncli(*ROWS, "--open")
    assert (done.status, done.out) == (0, "")
    (page,) = shown
    assert page.parent == tmp_path
    assert page.suffix == ".html"
    assert done.err == f"nncli: The page is {page}\n"


def test_the_page_of_a_step_is_shown(nncli: Run, tmp_path: Path, shown: list[Path]) -> None:
    spec = CONFIGS / "two-two-two.yaml"
    done = nncli("inspect-grad", spec, "--open")
    assert (done.status, done.out) == (0, "")
    (page,) = shown
    assert nncli("inspect-grad", spec, "-o", "step.html").status == 0
    assert page.read_bytes() == (tmp_path / "step.html").read_bytes()
    for more in (("--format", "json"), ("-o", "step.json")):
        refused = nncli("inspect-grad", spec, "--open", *more)
        assert (refused.status, refused.out) == (2, "")
        assert "--open shows a page" in refused.err
    assert shown == [page]


def fails(_: str) -> bool:
    raise webbrowser.Error("could not locate runnable browser")


@pytest.mark.parametrize("show", [lambda _: False, fails], ids=["refuses", "none is there"])
def test_where_no_browser_starts_the_page_is_named(
    nncli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, show: Callable[[str], bool]
) -> None:
    monkeypatch.setattr(webbrowser, "open", show)
    done = nncli(*ROWS, "-o", "page.html", "--open")
    assert done.status == 0
    assert done.err == "nncli: No browser could be started; the page is page.html\n"
    assert (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-o", "out.csv"), "--open shows a page, and --output out.csv would be none"),
        (("--animate",), "leave out --open"),
        (("--at", "9,9"), "no output at 9,9"),
    ],
)
def test_what_cannot_be_shown(
    nncli: Run, tmp_path: Path, shown: list[Path], arguments: tuple[str, ...], words: str
) -> None:
    done = nncli(*ROWS, *arguments, "--open")
    assert (done.status, done.out) == (2, "")
    assert words in done.err
    assert shown == []
    assert list(tmp_path.iterdir()) == []


def test_a_format_that_is_no_page_is_refused() -> None:
    with pytest.raises(NncliError, match="not svg; leave out --format"):
        browser.refuse_no_page(None, "svg")
