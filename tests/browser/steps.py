"""Pages of a step for the tests of a browser, and how to go about in them."""

from pathlib import Path
from typing import Any

from nncli.inspection.record import Inspection
from tests.browser.conftest import Opened

StepPages = dict[str, tuple[Path, Inspection]]  # by spec, the page and what it is of
SPECS: dict[str, tuple[int, ...] | None] = {
    "two-two-two": (0,),
    "seed-3-4-2": (0,),
    "digits-conv": (0,),
    "digits-mlp": tuple(range(10)),
    "digits-batchnorm": None,
}
# The numbers that are shown, and those of the step of a window.
SHOWN = """() => [...document.querySelectorAll(".equation [role=grid] td[data-key]")].map(
    (cell) => [cell.ref.name, cell.ref.at, cell.querySelector("data").value])"""
WINDOW = """() => ({
    terms: [...document.querySelectorAll(".window-products .window-part")].map((part) =>
        [...part.querySelectorAll("table")].map((table) =>
            [...table.querySelectorAll("td data")].map((data) => Number(data.value)))),
    result: Number(document.querySelector(".window-sum strong data").value)})"""


def ready(opened: Opened) -> Opened:
    opened.page.wait_for_selector(".controls")
    return opened


def go(opened: Opened, **state: Any) -> None:
    """To another state by the address, as a link would."""
    text = "&".join(f"{key}={value}" for key, value in state.items())
    opened.page.evaluate(
        f"""() => new Promise((done) => {{
            if (location.hash === {"#" + text!r}) done();
            addEventListener("hashchange", done, {{once: true}});
            location.hash = {text!r};
        }})"""
    )
