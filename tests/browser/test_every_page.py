"""Every page that nncli writes, as its commands write it: what holds whatever a page is of."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import PHONE, WIDE, Open, Opened
from tests.commands import in_this_process
from tests.conftest import CONFIGS

HOSTILE = "<img src=x onerror=alert(1)>\u202eRTL"
# The commands behind a page; the last writes it. `{}` is a folder of their own.
PAGES: dict[str, list[tuple[str | Path, ...]]] = {
    "two-two-two": [("inspect-grad", CONFIGS / "two-two-two.yaml")],
    "digits-conv": [("inspect-grad", CONFIGS / "digits-conv.yaml")],
    "digits-batchnorm": [("inspect-grad", CONFIGS / "digits-batchnorm.yaml")],
    "derivation": [("explain", CONFIGS / "digits-conv.yaml", "--wrong", "updated_weights")],
    "one layer": [("inspect-grad", CONFIGS / "digits-conv.yaml", "--layer", "conv1")],
    "exercise": [("exercise", "--topic", "dense", "--level", "3")],
    "filter": [("conv", "1 2 3; 4 5 6; 7 8 9", "1 0; 0 1", "--upstream", "upstream.csv")],
    "training": [
        ("train", CONFIGS / "xor.yaml", "--set", "train.epochs=3", "--out", "run"),
        ("report", "run"),
    ],
    "sweep": [
        ("sweep", CONFIGS / "xor.yaml", "--seeds", "2", "--set", "train.epochs=3", "--out", "s"),
        ("report", "s"),
    ],
    "hostile step": [("inspect-grad", "hostile.yaml")],
    "hostile training": [("train", "hostile.yaml", "--out", "run"), ("report", "run")],
}
STEPS = ("two-two-two", "digits-conv", "digits-batchnorm", "one layer", "hostile step")
PageOf = Callable[[str], Path]


@pytest.fixture(scope="session")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> PageOf:
    """The file of a page by its name in PAGES, made once."""
    made: dict[str, Path] = {}

    def page(name: str) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp("page")
            write_hostile(folder)
            *before, last = PAGES[name]
            for command in (*before, (*last, "-o", "page.html")):
                done = in_this_process(*command, folder=folder)
                assert done.status == 0, done.err
            made[name] = folder / "page.html"
        return made[name]

    return page


def write_hostile(folder: Path) -> None:
    """What a filter hands back, and a spec whose names try to be markup."""
    (folder / "upstream.csv").write_text("1,2\n3,4\n")
    quoted = '"</script>' + HOSTILE + '"'
    (folder / "<b>table.csv").write_text(
        f"{quoted},x,class\n1,0,{quoted}\n0,1,other\n1,1,{quoted}\n0,0,other\n", encoding="utf-8"
    )
    (folder / "hostile.yaml").write_text(
        f"name: {json.dumps(HOSTILE)}\n"
        'data: {train: "<b>table.csv"}\n'
        "network: [{type: dense, units: 3}, {type: dense, units: 2}]\n"
        "train: {eta: 0.5, epochs: 2, batch_size: 2, cost: quadratic}\n",
        encoding="utf-8",
    )


@pytest.mark.parametrize(("scheme", "size"), [("light", WIDE), ("dark", PHONE)])
@pytest.mark.parametrize("name", PAGES)
def test_clean_and_accessible(
    page_of: PageOf, open_page: Open, name: str, scheme: str, size: tuple[int, int]
) -> None:
    opened = open_page(page_of(name), scheme=scheme, size=size)
    opened.page.wait_for_load_state("load")
    opened.assert_fits()
    opened.assert_accessible()
    opened.assert_clean()


@pytest.mark.parametrize("name", PAGES)
def test_without_scripts(page_of: PageOf, open_page: Open, name: str) -> None:
    """All is text and tables; there is no control that would do nothing."""
    opened = open_page(page_of(name), java_script=False, size=PHONE)
    page = opened.page
    assert page.locator("h1:visible").count() == 1
    assert page.locator("button:visible, input:visible, select:visible").count() == 0
    assert page.locator("table").count() > 0
    opened.assert_fits()
    opened.assert_clean()


# What may be worked with: an element by its words, whether Tab reaches it by itself, and the first
# of its ancestors that takes the arrow keys for all that is in it.
CONTROLS = """() => {
    const inComposite = "[role=tablist], [role=grid], table, .controls, .windows";
    const all = [...document.querySelectorAll(
        "a[href], button, input, select, textarea, summary, [tabindex]")];
    const seen = all.filter((e) => !e.disabled && e.checkVisibility());
    seen.forEach((e, k) => { e.place = k; e.group = e.closest(inComposite); });
    globalThis.seen = seen;
    return seen.map((e) => [e.outerHTML.slice(0, 120), e.tabIndex,
        e.group ? seen.findIndex((other) => other.tabIndex >= 0 && e.group.contains(other)) : -1]);
}"""
FOCUSED = """() => {
    const e = document.activeElement, style = getComputedStyle(e);
    const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    return [e.place ?? -1, ring || style.boxShadow !== "none", e.matches(":focus-visible")];
}"""


def reached_by_tab(opened: Opened, count: int) -> dict[int, bool]:
    """The controls that Tab comes to, and whether one sees it there."""
    reached: dict[int, bool] = {}
    for _ in range(count + 2):
        opened.page.keyboard.press("Tab")
        place, ring, _ = opened.page.evaluate(FOCUSED)
        if place in reached:
            break
        if place >= 0:
            reached[place] = ring
    return reached


@pytest.mark.parametrize("name", [name for name in PAGES if name != "digits-batchnorm"])
def test_each_control_is_reached_by_keys(page_of: PageOf, open_page: Open, name: str) -> None:
    """By Tab, or by arrow keys within a group that Tab comes to; and none keeps the focus."""
    opened = open_page(page_of(name), reduced_motion="reduce")
    opened.page.wait_for_timeout(300)
    controls: list[tuple[str, int, int]] = opened.page.evaluate(CONTROLS)
    assert controls
    reached = reached_by_tab(opened, len(controls))
    assert [controls[k][0] for k, ring in reached.items() if not ring] == []
    for place, (html, tab_index, of_group) in enumerate(controls):
        assert tab_index <= 0, html
        assert place in reached or (tab_index < 0 and of_group in reached), html
    opened.assert_clean()


@pytest.mark.parametrize("name", PAGES)
def test_printed(page_of: PageOf, open_page: Open, name: str) -> None:
    """Paper has the text, no controls, and dark letters on white whatever the scheme."""
    opened = open_page(page_of(name), scheme="dark")
    page = opened.page
    page.wait_for_timeout(200)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("h1").is_visible()
    assert len(page.inner_text("main")) > 300
    assert page.locator("input:visible, select:visible").count() == 0
    ink, paper = page.evaluate(
        """() => { const style = getComputedStyle(document.body);
            return [style.color, style.backgroundColor]; }"""
    )
    assert brightness(ink) < 100
    assert brightness(paper) > 200
    assert page.pdf().startswith(b"%PDF")
    opened.assert_clean()


def brightness(colour: str) -> float:
    """From 0 to 255; what is transparent is the paper."""
    red, green, blue, *rest = (float(x) for x in re.findall(r"[\d.]+", colour))
    return 255.0 if rest and rest[0] == 0 else (red + green + blue) / 3


@pytest.mark.parametrize("java_script", [True, False], ids=["scripts", "no scripts"])
@pytest.mark.parametrize("name", ["hostile step", "hostile training"])
def test_hostile_names_are_text(
    page_of: PageOf, open_page: Open, name: str, java_script: bool
) -> None:
    opened = open_page(page_of(name), java_script=java_script)
    page, dialogs = opened.page, list[str]()

    def shown(dialog: Any) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", shown)
    page.wait_for_timeout(300)
    html, text = page.content(), page.inner_text("body")
    assert page.locator("img:not([src^='data:']), b:has-text('table')").count() == 0
    assert "<img src=x" in text
    assert not re.search("[\x00-\x08\x0b\x0e-\x1f\u202a-\u202e\u2066-\u2069]", html + page.title())
    assert dialogs == []
    opened.assert_clean()


@pytest.mark.parametrize("name", STEPS)
def test_an_address_survives_a_reload_and_the_back_key(
    page_of: PageOf, open_page: Open, name: str
) -> None:
    opened = open_page(page_of(name), "#op=1")
    page = opened.page
    page.wait_for_selector(".controls")

    def seen() -> Any:
        return [page.inner_text(part) for part in (".where", ".lines")]

    first = seen()
    page.click("[data-key=next]")
    second = seen()
    assert second != first
    page.reload()
    page.wait_for_selector(".controls")
    assert seen() == second
    page.go_back()
    page.wait_for_timeout(100)
    assert seen() == first
    assert opened.complaints == []  # the file itself was asked for twice
