"""A browser for the tests of pages: Debian's chromium, driven by Playwright; see `make browser`.

Nothing here is collected where Playwright is not installed, as for `make test`.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

collect_ignore_glob = [] if find_spec("playwright") else ["test_*.py"]
WIDE, PHONE = (1280, 800), (390, 844)
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Opened:
    """A page in the browser, and all that it asked for or complained of.

    Attributes:
        page: Playwright's.
        requests: to anywhere but the file itself.
        complaints: messages on the console, and errors of scripts.
    """

    def __init__(self, page: Any, path: Path, fragment: str = "") -> None:
        self.page, self.requests, self.complaints = page, list[str](), list[str]()
        url = path.as_uri()
        self.listeners: dict[str, Callable[[Any], None]] = {
            "request": lambda r: self.requests.append(r.url),
            "console": lambda m: self.complaints.append(m.text),
            "pageerror": lambda error: self.complaints.append(str(error)),
        }
        for event, listener in self.listeners.items():
            page.on(event, listener)
        page.goto(url + fragment)
        self.requests = [r for r in self.requests if r.partition("#")[0] != url]

    def leave(self) -> None:
        """Makes its page as good as a new one."""
        for event, listener in self.listeners.items():
            self.page.remove_listener(event, listener)
        for other in self.page.context.pages:
            if other is not self.page:
                other.close()
        self.page.goto("about:blank")

    def assert_clean(self) -> None:
        """Nothing was asked for and nothing complained of."""
        assert self.requests == []
        assert self.complaints == []

    def assert_accessible(self) -> None:
        """No rule of axe-core is violated."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        where = [(rule["id"], node["html"][:200]) for rule in found for node in rule["nodes"]]
        assert where == [], json.dumps(where, indent=1)

    def assert_fits(self) -> None:
        """The page does not scroll sideways."""
        wide, window = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= window


Open = Callable[..., Opened]


def chromium() -> str | None:
    """Where the browser is; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    found = chromium()
    if found is None:
        pytest.fail("there is no chromium on the PATH: apt-get install chromium", pytrace=False)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def engine(browser: Any) -> Iterator[Callable[..., Any]]:
    """`engine(trace, change, eta)`, see `tests.browser.engine.computed`, on a blank page."""
    from tests.browser.engine import computed

    page = browser.new_page()
    yield partial(computed, page)
    page.close()


@pytest.fixture(scope="session")
def used_pages(browser: Any) -> Iterator[dict[tuple[Any, ...], Any]]:
    """Pages that tests have left, by how they show: a new one takes longer than most tests."""
    pages: dict[tuple[Any, ...], Any] = {}
    yield pages
    for page in pages.values():
        page.context.close()


@pytest.fixture
def open_page(browser: Any, used_pages: dict[tuple[Any, ...], Any]) -> Iterator[Open]:
    """`open_page(path, "#fragment", scheme=..., size=..., java_script=...)` opens a file."""
    opened: list[tuple[tuple[Any, ...], Opened]] = []

    def open_it(
        path: Path,
        fragment: str = "",
        *,
        scheme: str = "light",
        size: tuple[int, int] = WIDE,
        java_script: bool = True,
        **how: Any,
    ) -> Opened:
        key = scheme, size, java_script, *sorted(how.items())
        page = used_pages.pop(key, None)
        if page is None:
            viewport = {"width": size[0], "height": size[1]}
            context = browser.new_context(
                viewport=viewport, color_scheme=scheme, java_script_enabled=java_script, **how
            )
            page = context.new_page()
        made = Opened(page, path, fragment)
        opened.append((key, made))
        return made

    yield open_it
    for key, each in opened:
        if key in used_pages:
            each.page.context.close()
        else:
            each.leave()
            each.page.emulate_media(media="null", color_scheme=key[0])
            used_pages[key] = each.page


@pytest.fixture(scope="session")
def step_pages(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The pages of SPECS, see `tests.browser.steps`."""
    import nncli
    from nncli.app.records import InspectedStep
    from nncli.render.formats import write
    from nncli.render.pages.breakdown import document
    from nncli.render.pages.kinds import Choices
    from tests.browser.steps import SPECS
    from tests.conftest import CONFIGS

    folder, made = tmp_path_factory.mktemp("steps"), {}
    for name, samples in SPECS.items():
        inspection = nncli.inspect(CONFIGS / f"{name}.yaml", samples=samples)
        path = folder / f"{name}.html"
        path.write_bytes(write("html", document(InspectedStep(inspection), Choices())))
        made[name] = path, inspection
    return made
