"""Pages within a notebook: two of each kind on one page, none knows of another."""

import json
from pathlib import Path
from typing import Any

import pytest

import nncli as package
from tests.browser.conftest import Open, Opened
from tests.conftest import CONFIGS, ROOT

# As JupyterLab shows an output: its HTML is set, and its scripts are made anew so that they run.
INSERT = """(html) => {
    const output = document.createElement("div");
    output.className = "output";
    output.innerHTML = html;
    document.body.append(output);
    for (const script of output.querySelectorAll("script")) {
        const again = document.createElement("script");
        for (const {name, value} of script.attributes) again.setAttribute(name, value);
        again.textContent = script.textContent;
        script.replaceWith(again);
    }
}"""
ROOTS = """() => [...document.querySelectorAll(".output")].map(
    (output) => output.firstElementChild.shadowRoot?.querySelector(".controls") !== null)"""


@pytest.fixture(scope="session")
def fragments() -> dict[str, list[str]]:
    """By kind, two different ones."""
    train = [package.load_spec(CONFIGS / "iris.yaml", [f"train.epochs={n}"]) for n in (3, 4)]
    records: dict[str, list[Any]] = {
        "step": [
            package.inspect(CONFIGS / "two-two-two.yaml"),
            package.inspect(CONFIGS / "xor.yaml"),
        ],
        "filter": [
            package.conv(ROOT / "data/conv/matrix.csv", name) for name in ("sobel-x", "sobel-y")
        ],
        "training": [package.train(spec) for spec in train],
    }
    return {
        kind: [each._repr_mimebundle_()["text/html"] for each in pair]
        for kind, pair in records.items()
    }


def notebook(open_page: Open, folder: Path, outputs: list[str]) -> Opened:
    (folder / "n.html").write_text("<!DOCTYPE html><html lang='en'><title>n</title><body>")
    opened = open_page(folder / "n.html")
    for html in outputs:
        opened.page.evaluate(INSERT, html)
    return opened


def test_two_of_each_on_one_page(
    open_page: Open, tmp_path: Path, fragments: dict[str, list[str]]
) -> None:
    pages = [html for pair in fragments.values() for html in pair]
    opened = notebook(open_page, tmp_path, pages)
    opened.page.wait_for_function(f"({ROOTS})().every(Boolean)")
    assert opened.page.evaluate("location.hash") == ""
    assert opened.page.evaluate("Object.keys(window).filter((k) => /nncli|record/i.test(k))") == []
    opened.assert_clean()


def test_one_does_not_move_the_other(
    open_page: Open, tmp_path: Path, fragments: dict[str, list[str]]
) -> None:
    opened = notebook(open_page, tmp_path, fragments["training"])
    opened.page.wait_for_function(f"({ROOTS})().every(Boolean)")
    first, second = opened.page.locator(".output").all()
    first.locator('figure[data-chart="cost"] svg').focus()
    opened.page.keyboard.press("End")
    assert first.locator(".readout").first.inner_text().startswith("epoch 3: ")
    assert second.locator(".readout").first.inner_text() == ""
    assert opened.page.evaluate("location.hash") == ""


def test_the_same_output_twice(
    open_page: Open, tmp_path: Path, fragments: dict[str, list[str]]
) -> None:
    """A new view of an output is the same text again."""
    opened = notebook(open_page, tmp_path, [fragments["training"][0]] * 2)
    opened.page.wait_for_function(f"({ROOTS})().every(Boolean)")
    assert len(opened.page.evaluate(ROOTS)) == 2


def test_what_a_static_notebook_holds_runs_in_place(
    open_page: Open, tmp_path: Path, fragments: dict[str, list[str]]
) -> None:
    outputs = "".join(f'<div class="output">{pair[0]}</div>' for pair in fragments.values())
    text = f"<!DOCTYPE html><html lang='en'><title>n</title><body>{outputs}"
    (tmp_path / "static.html").write_text(text)
    opened = open_page(tmp_path / "static.html")
    opened.page.wait_for_function(f"({ROOTS})().every(Boolean)")
    opened.assert_clean()
    without = open_page(tmp_path / "static.html", java_script=False)
    assert "FORWARD" in without.page.locator("pre").first.inner_text()


def test_a_notebook_keeps_its_style(
    open_page: Open, tmp_path: Path, fragments: dict[str, list[str]]
) -> None:
    opened = notebook(open_page, tmp_path, [])
    before = opened.page.evaluate("JSON.stringify(getComputedStyle(document.body).font)")
    opened.page.evaluate(INSERT, fragments["step"][0])
    after = opened.page.evaluate("JSON.stringify(getComputedStyle(document.body).font)")
    assert json.loads(before) == json.loads(after)
