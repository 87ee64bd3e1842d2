"""The page of a step in a browser: its levels, its images and windows, and what follows an edit."""

from pathlib import Path

import numpy as np
import pytest

import nncli as package
from nncli.app.records import InspectedStep
from nncli.inspection.along import cost_along
from nncli.inspection.record import Inspection
from nncli.render.formats import write
from nncli.render.pages.breakdown import document
from nncli.render.pages.kinds import Choices
from nncli.render.text import number
from nncli.render.web.operations import operations
from nncli.render.web.step import named_arrays
from nncli.spec import load_spec
from tests.browser.conftest import Open
from tests.browser.steps import WINDOW, StepPages, go, ready
from tests.conftest import CONFIGS

# A layer and a number are levels of their own.


def test_three_levels_with_the_back_key(open_page: Open, step_pages: StepPages) -> None:
    """Network, layer, number; and up again by the back key, by Escape, and by what stands above."""
    path, inspection = step_pages["two-two-two"]
    opened = ready(open_page(path))
    page = opened.page

    def level() -> tuple[bool, int, str]:
        above = page.inner_text("nav") if page.is_visible("nav") else ""
        return page.is_visible(".flow"), page.locator(".lines section").count(), above

    assert level() == (True, 0, "")
    page.click(".card [data-key=dense2]")
    lines = [op for op in operations(inspection.trace) if op.layer == "dense2"]
    in_layer = (False, len(lines), "network\n›\ndense2")
    assert level() == in_layer
    assert not page.is_visible(".along")
    assert "layer=dense2" in page.url
    page.locator(".lines td[data-key]").first.click()
    number = page.inner_text(".panel h2")
    assert level() == (False, len(lines), f"network\n›\ndense2\n›\n{number}")
    page.go_back()
    page.wait_for_selector(".panel h2:has-text('One number')")
    assert level() == in_layer
    page.keyboard.press("Escape")
    assert level() == (True, 0, "")
    page.go_back()
    page.wait_for_selector(".lines section")
    page.click("nav button")
    assert level() == (True, 0, "")
    opened.assert_clean()


def test_the_player_goes_from_layer_to_layer(open_page: Open, step_pages: StepPages) -> None:
    opened = ready(open_page(step_pages["two-two-two"][0], "#layer=dense1&op=1"))
    assert opened.page.inner_text(".lines h2") == "dense1"
    opened.page.click("[data-key=next]")
    assert opened.page.inner_text(".lines h2") == "dense2"
    assert opened.page.locator("section[aria-current=step]").count() == 1


# Images, and what goes by windows.


def test_images_are_pictures_whose_cells_are_numbers(
    open_page: Open, step_pages: StepPages
) -> None:
    path, inspection = step_pages["digits-conv"]
    image = inspection.trace.inputs[0, 0]
    opened = ready(open_page(path, "#op=0&view=matrix"))
    page = opened.page
    pictures = page.locator(".cells")
    assert pictures.count() == 1 + 8 + 8  # the image, the filters, their outputs
    assert page.locator(".cells.grey").count() == 1
    cell = page.locator(".cells.grey tr:nth-child(4) td").nth(3)
    assert cell.bounding_box()["width"] < 30
    cell.hover()
    assert page.inner_text(".panel .value") == repr(float(image[2, 3])).removesuffix(".0")
    weight = inspection.trace.layers[0].weight
    assert weight is not None
    hatched = page.locator(".cells td.minus[data-key*=weight]")
    assert hatched.count() == int((weight < 0).sum())
    assert "gradient" in hatched.first.evaluate("(e) => getComputedStyle(e).backgroundImage")
    page.check("[data-key=numbers]")
    assert page.locator(".cells").count() == 0
    assert "0.8125" in page.locator(".tinted.grey").inner_text()
    assert "numbers=on" in page.url
    opened.assert_clean()


@pytest.fixture(scope="session")
def pools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Inspection]]:
    """Of two samples, a conv layer below a pool of each kind."""
    folder, made = tmp_path_factory.mktemp("pools"), {}
    for kind in ("maxpool", "avgpool"):
        spec = load_spec(CONFIGS / "digits-conv.yaml", [f"network[1].type={kind}"])
        inspection = package.inspect(spec, samples=(0, 3))
        path = folder / f"{kind}.html"
        path.write_bytes(write("html", document(InspectedStep(inspection), Choices())))
        made[kind] = path, inspection
    return made


@pytest.mark.parametrize("kind", ["maxpool", "avgpool"])
def test_a_pool_hands_the_error_back(open_page: Open, pools: StepPages, kind: str) -> None:
    """To the cell that has won, or to each an equal share."""
    path, inspection = pools[kind]
    arrays = dict(named_arrays(inspection.trace))
    made = [op.makes for op in operations(inspection.trace)].index(f"{kind}1.downstream")
    upstream, downstream = (arrays[f"{kind}1.{key}"] for key in ("upstream", "downstream"))
    opened = ready(open_page(path))
    for plane, row, column in ((0, 0, 1), (3, 5, 4), (7, 7, 7)):
        go(opened, op=made, view="matrix", sample=1, window=f"{plane},{row},{column}")
        shown = opened.page.evaluate(WINDOW)
        (((window, share, product)),) = shown["terms"]
        assert product == [a * b for a, b in zip(window, share, strict=True)]
        assert upstream[1, plane, row // 2, column // 2] in window
        assert shown["result"] == downstream[1, plane, row, column] == sum(product)
        if kind == "avgpool":
            assert 0.25 in share
    opened.assert_clean()


@pytest.mark.parametrize("sample", ["0", "1", "all"])
def test_the_window_of_a_gradient_over_samples(
    open_page: Open, pools: StepPages, sample: str
) -> None:
    """The window of one sample with its part of the sum, marked; those of all with the mean."""
    path, inspection = pools["maxpool"]
    arrays = dict(named_arrays(inspection.trace))
    made = [op.makes for op in operations(inspection.trace)].index("conv1.weight_gradient")
    opened = ready(open_page(path))
    for plane, row, column in ((0, 0, 0), (5, 1, 2)):
        go(opened, op=made, view="matrix", sample=sample, window=f"{plane},{row},{column}")
        shown = opened.page.evaluate(WINDOW)
        assert shown["result"] == arrays["conv1.weight_gradient"][plane, 0, row, column]
        image = np.pad(arrays["conv1.input"][:, 0], ((0, 0), (1, 1), (1, 1)))
        met = image[:, row : row + 8, column : column + 8].astype(np.float64)
        parts = (met * arrays["conv1.delta"][:, plane]).sum(axis=(1, 2))
        text = opened.page.inner_text(".window-sum")
        if sample == "all":
            assert len(shown["terms"]) == 2
            assert "1/2 of the sum of 128 products" in text
            assert parts.mean() == pytest.approx(shown["result"], rel=1e-5)
        else:
            assert len(shown["terms"]) == 1
            part = opened.page.inner_text(".window-sum ins").removeprefix("✎ ").replace("−", "-")
            assert float(part) == pytest.approx(parts[int(sample)], rel=1e-3)
    opened.assert_clean()


def test_each_gradient_bears_its_verdict(open_page: Open, step_pages: StepPages) -> None:
    opened = ready(open_page(step_pages["two-two-two"][0], "#layer=dense2&view=matrix"))
    captions = opened.page.locator("figcaption").all_inner_texts()
    for symbol in ("∂C/∂a", "δ", "∂C/∂W", "∂C/∂b", "∂C/∂input"):
        assert any(text.startswith(f"{symbol} (PASSED)") for text in captions), symbol


# What if, beyond the tables.


def test_a_what_if_is_followed_by_the_cards_and_by_the_curve(
    open_page: Open, step_pages: StepPages
) -> None:
    path, inspection = step_pages["two-two-two"]
    opened = ready(open_page(path))
    page = opened.page
    recorded = page.get_attribute(".along polyline", "points")
    go(opened, edit="dense1.weight[0][1]:2.5;eta:3")
    edits = ["network[0].weights=[[0.15, 2.5], [0.20, 0.30]]", "train.eta=3"]
    changed = package.inspect(load_spec(CONFIGS / "two-two-two.yaml", edits)).trace
    marks = page.locator(".flow data[data-of='dense1.delta'] + ins").inner_text()
    delta = changed.layers[0].delta
    assert delta is not None
    assert float(marks.strip("✎ ")) == pytest.approx(float(np.linalg.norm(delta)), rel=1e-2)
    assert f"{norm_of(inspection)}" in page.inner_text(".flow")  # the record stays
    page.locator(".along summary").click()
    shown = [float(text.strip("✎ ")) for text in page.locator(".along td.edited").all_inner_texts()]
    assert shown == pytest.approx(cost_along(changed).cost, rel=1e-3)
    assert page.locator(".along polyline.edited").count() == 1
    page.click("[data-key=undo]")
    assert page.locator(".edited").count() + page.locator(".flow ins").count() == 0
    assert points(page.get_attribute(".along polyline", "points")) == pytest.approx(
        points(recorded)
    )
    opened.assert_clean()


def norm_of(inspection: Inspection) -> str:
    delta = inspection.trace.layers[0].delta
    assert delta is not None
    return number(float(np.linalg.norm(delta)), 3)


def points(text: str | None) -> list[float]:
    assert text is not None
    return [float(part) for part in text.replace(",", " ").split()]
