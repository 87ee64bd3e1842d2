"""The pages of trainings in a browser: without scripts, by keyboard, by link, on a phone."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import nncli as package
from nncli.render.formats import write
from nncli.render.pages.evaluation import evaluation_document
from nncli.render.pages.report import comparison_document, report_document
from tests.browser.conftest import PHONE, WIDE, Open, Opened
from tests.conftest import CONFIGS, present

HOSTILE = "</script><img src=x onerror=alert(1)>\u202e"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs, and their pages: one, several, compared, evaluated, hostile."""
    folder = tmp_path_factory.mktemp("reports")
    for name, eta in (("digits", 0.5), ("slow", 0.1)):
        spec = package.load_spec(
            CONFIGS / "digits-conv.yaml", ["train.epochs=4", f"train.eta={eta}"]
        )
        package.train(spec, out=folder / name)
    rows = "".join(f"{k},{'a' if k % 2 else HOSTILE}\n" for k in range(20))
    (folder / "t.csv").write_text(f"x,kind\n{rows}")
    spec_text = {
        "name": "<img src=x onerror=alert(2)>",
        "data": {"train": "t.csv", "target": "kind"},
        "network": [{"type": "dense", "units": 2}],
        "train": {"eta": 1, "epochs": 2, "batch_size": 5},
    }
    (folder / "t.yaml").write_text(json.dumps(spec_text))
    package.train(folder / "t.yaml", out=folder / "hostile")
    several = package.report([folder / "digits", folder / "slow"])
    documents = {
        "one": report_document(package.report(folder / "digits")),
        "several": report_document(several),
        "compared": comparison_document(present(several.comparison)),
        "evaluated": evaluation_document(package.evaluate(folder / "digits")),
        "bad": report_document(package.report(folder / "hostile")),
    }
    for name, document in documents.items():
        (folder / f"{name}.html").write_bytes(write("html", document))
    return folder


def ready(opened: Opened) -> Opened:
    opened.page.wait_for_selector(".controls")
    return opened


def readouts(opened: Opened) -> list[str]:
    found: list[str] = opened.page.eval_on_selector_all(
        ".readout", "nodes => nodes.map((node) => node.textContent)"
    )
    return found


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (PHONE, "dark")])
@pytest.mark.parametrize("name", ["one", "several", "compared", "evaluated", "bad"])
def test_a_page_is_accessible_and_asks_for_nothing(
    open_page: Open, folder: Path, name: str, size: tuple[int, int], scheme: str
) -> None:
    opened = open_page(folder / f"{name}.html", scheme=scheme, size=size)
    if name != "evaluated":
        ready(opened)
    opened.page.eval_on_selector_all("details", "all => all.forEach((each) => each.open = true)")
    opened.assert_accessible()
    opened.assert_fits()
    opened.assert_clean()
    assert opened.page.locator("img[onerror]").count() == 0


def test_an_epoch_that_is_pointed_at_is_read_out_everywhere(open_page: Open, folder: Path) -> None:
    opened = ready(open_page(folder / "one.html"))
    chart = opened.page.locator('figure[data-chart="cost"] svg')
    box = chart.bounding_box()
    right_end = box["x"] + box["width"] * 516 / 640
    opened.page.mouse.move(right_end, box["y"] + 30)
    lines = [
        json.loads(line) for line in (folder / "digits/metrics.jsonl").read_text().splitlines()
    ]
    shown = readouts(opened)
    assert all(text.startswith("epoch 4: ") for text in shown)
    train = float(shown[0].split("train ")[1].split(",")[0])
    assert train == pytest.approx(lines[3]["train_cost"], rel=1e-3)
    delta = next(t for t in shown if "dense1" in t)
    layer = next(x for x in lines[3]["layers"] if x["name"] == "dense1")
    read = float(delta.split("dense1 ")[1].split(",")[0])
    assert read == pytest.approx(layer["delta_norm"], rel=1e-3)
    assert opened.page.locator(".map td.now").count() > 0


def test_by_keyboard(open_page: Open, folder: Path) -> None:
    opened = ready(open_page(folder / "one.html"))
    chart = opened.page.locator('figure[data-chart="accuracy"] svg')
    chart.focus()
    opened.page.keyboard.press("Home")
    opened.page.keyboard.press("ArrowRight")
    assert chart.get_attribute("aria-valuenow") == "2"
    assert present(chart.get_attribute("aria-valuetext")).startswith("epoch 2: ")
    opened.page.locator(".map").first.focus()
    opened.page.keyboard.press("End")
    assert chart.get_attribute("aria-valuenow") == "4"


def test_the_address_keeps_what_is_shown(open_page: Open, folder: Path) -> None:
    opened = ready(open_page(folder / "several.html", "#epoch=3&scale=log&flow=delta_norm&hide=1"))
    page = opened.page
    assert all(text.startswith("epoch 3: ") for text in readouts(opened))
    cost = page.locator('figure[data-chart="cost"]')
    assert cost.locator('[data-curve="1"]:not([hidden])').count() == 0
    assert cost.locator('[data-curve="0"]:not([hidden])').count() == 6  # on both scales
    flows: Any = page.eval_on_selector_all(
        ".flow", "all => all.map((each) => [each.dataset.flow, each.hidden])"
    )
    assert {key for key, is_hidden in flows if not is_hidden} == {"delta_norm"}
    assert page.locator('figure[data-chart="cost"] g.log').get_attribute("hidden") is None
    assert page.locator('figure[data-chart="cost"] g.linear').get_attribute("hidden") is not None
    page.locator(".controls select").first.select_option("linear")
    page.wait_for_url(re.compile("scale=linear"))
    page.locator(".controls input[type=checkbox]").nth(1).check()
    page.wait_for_url(re.compile("^(?!.*hide)"))
    assert all(" B " in text for text in readouts(opened)[:4])


@pytest.mark.parametrize("fragment", ["#epoch=99&hide=7.x&flow=nothing&scale=odd", "#%", "#a=b=c"])
def test_an_address_that_makes_no_sense(open_page: Open, folder: Path, fragment: str) -> None:
    opened = ready(open_page(folder / "several.html", fragment))
    opened.assert_clean()
    assert set(readouts(opened)) == {""}


@pytest.mark.parametrize("name", ["one", "several", "compared", "evaluated"])
def test_without_scripts_all_is_there(open_page: Open, folder: Path, name: str) -> None:
    opened = open_page(folder / f"{name}.html", java_script=False)
    text = opened.page.locator("main").inner_text()
    if name != "evaluated":
        assert opened.page.locator("polyline.curve").count() > 0
        assert "Numbers of cost" in text
    if name in ("one", "evaluated"):
        assert "What it confuses" in text
        assert opened.page.locator(".worst img").count() == 10
    opened.assert_clean()
