"""The page of a step in a browser: its numbers, its keys, its links, and what it must not do."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncli as package
from nncli.app.records import InspectedStep
from nncli.inspection.record import Inspection
from nncli.nn.arrays import Array
from nncli.render.formats import write
from nncli.render.pages.breakdown import document
from nncli.render.pages.kinds import Choices
from nncli.render.web.operations import operations
from nncli.render.web.step import named_arrays
from nncli.spec import load_spec
from tests.browser.conftest import PHONE, WIDE, Open
from tests.browser.steps import SHOWN, SPECS, WINDOW, StepPages, go, ready
from tests.conftest import CONFIGS

# Bytes; of mnist-mlp, which is [784, 30, 10], with 10 samples.
LARGEST = {"two-two-two": 60_000, "digits-conv": 250_000, "mnist-mlp": 300_000}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["two-two-two", "digits-conv", "digits-mlp"])
def test_it_is_accessible_and_asks_for_nothing(
    open_page: Open, step_pages: StepPages, name: str, scheme: str
) -> None:
    opened = ready(open_page(step_pages[name][0], scheme=scheme))
    go(opened, op=len(step_pages[name][1].trace.layers), view="hadamard", sample=0)
    if name == "two-two-two":
        opened.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = 1; })")
        opened.page.wait_for_timeout(100)
    opened.assert_accessible()
    opened.assert_fits()
    opened.assert_clean()


@pytest.mark.parametrize("name", SPECS)
def test_on_a_phone(open_page: Open, step_pages: StepPages, name: str) -> None:
    opened = ready(open_page(step_pages[name][0], size=PHONE))
    opened.assert_fits()
    opened.assert_clean()


@pytest.mark.parametrize("name", SPECS)
def test_without_scripts_it_is_all_there(open_page: Open, step_pages: StepPages, name: str) -> None:
    opened = open_page(step_pages[name][0], java_script=False)
    text = opened.page.inner_text("body")
    assert "Scripts are off" in text
    assert "WHICH PRODUCT IS USED WHERE" in text.upper()
    assert f"{step_pages[name][1].trace.cost_before:.6g}"[:6] in text
    opened.assert_fits()


@pytest.mark.parametrize("name", ["two-two-two", "seed-3-4-2", "digits-conv"])
def test_every_number_is_the_records(open_page: Open, step_pages: StepPages, name: str) -> None:
    """In every operation, view and channel; and small networks show every array whole."""
    path, inspection = step_pages[name]
    arrays = dict(named_arrays(inspection.trace))
    seen: dict[str, set[tuple[int, ...]]] = {}
    opened = ready(open_page(path))
    operations = int(opened.page.get_attribute("[data-key=slider]", "max")) + 1
    views = ("matrix", "hadamard", "kronecker", "index") if name == "two-two-two" else ("matrix",)
    for view in views:
        for op in range(operations):
            go(opened, op=op, view=view, sample=0)
            for array, at, text in opened.page.evaluate(SHOWN):
                seen.setdefault(array, set()).add(tuple(at))
                assert float(text) == expected(arrays, array, at)
    if name != "digits-conv":
        for array, values in arrays.items():
            if not array.endswith(".input"):
                assert len(seen.get(array, ())) == values.size or array in unshown(inspection)
    opened.assert_clean()


def expected(arrays: dict[str, Array], name: str, at: list[int]) -> float:
    if name.endswith(".outer"):
        layer, (x, i, j) = name.removesuffix(".outer"), at
        return float(arrays[f"{layer}.input"][x, i] * arrays[f"{layer}.delta"][x, j])
    return float(arrays[name][tuple(at)])


def unshown(inspection: Inspection) -> set[str]:
    """What no operation has: the inputs by another name, what δ = a − y goes without."""
    last = inspection.trace.layers[-1].name
    fused = inspection.trace.cost.error_is_delta
    return {"inputs"} | ({f"{last}.upstream", f"{last}.sigma_prime"} if fused else set())


def test_large_matrices_are_zoomed_into(open_page: Open, step_pages: StepPages) -> None:
    path, inspection = step_pages["digits-mlp"]
    arrays = dict(named_arrays(inspection.trace))
    opened = ready(open_page(path, "#op=0&view=matrix&sample=all"))
    rng = np.random.default_rng(0)
    heat = opened.page.locator(".matrix-view").nth(1)  # W
    assert heat.locator("canvas").is_visible()
    for _ in range(5):
        heat.locator("td[tabindex='0']").focus()
        for key in rng.choice(["ArrowDown", "ArrowRight", "ArrowUp"], 12, p=[0.5, 0.4, 0.1]):
            opened.page.keyboard.press(str(key))
        shown = opened.page.evaluate(SHOWN)
        assert len(shown) > 20
        for name, at, text in shown:
            assert float(text) == expected(arrays, name, at)
    opened.assert_clean()


@pytest.mark.parametrize(
    ("line", "result"),
    [
        ("conv1.z", "conv1.z"),
        ("conv1.downstream", "conv1.downstream"),
        ("avgpool1.a", "avgpool1.a"),
    ],
)
def test_windows_slide_over_the_records_numbers(
    open_page: Open, step_pages: StepPages, line: str, result: str
) -> None:
    path, inspection = step_pages["digits-conv"]
    arrays = dict(named_arrays(inspection.trace))
    makes = [op.makes for op in operations(inspection.trace)]
    opened = ready(open_page(path))
    for plane, row, column in ((0, 0, 0), (2, 1, 3), (0, 3, 2)):
        plane = min(plane, arrays[result].shape[1] - 1)
        go(opened, op=makes.index(line), view="matrix", window=f"{plane},{row},{column}")
        shown = opened.page.evaluate(WINDOW)
        assert shown["result"] == float(arrays[result][0, plane, row, column])
        if line == "avgpool1.a":
            cells = [cell for (window,) in shown["terms"] for cell in window]
            assert np.mean(cells) == pytest.approx(shown["result"], rel=1e-6)
            continue
        total = 0.0
        for window, factor, product in shown["terms"]:
            exact = [np.float32(a) * np.float32(b) for a, b in zip(window, factor, strict=True)]
            assert product == [float(x) for x in exact]
            total += sum(product)
        assert total == pytest.approx(shown["result"], rel=1e-4, abs=1e-6)  # the bias is 0
    opened.assert_clean()


def test_a_pool_shows_which_cell_won(open_page: Open, tmp_path: Path) -> None:
    spec = load_spec(CONFIGS / "digits-conv.yaml", ["network[1].type=maxpool"])
    inspection = package.inspect(spec, samples=(0,))
    path = tmp_path / "pool.html"
    path.write_bytes(write("html", document(InspectedStep(inspection), Choices())))
    arrays = dict(named_arrays(inspection.trace))
    makes = [op.makes for op in operations(inspection.trace)]
    opened = ready(open_page(path))
    for plane, row, column in ((0, 0, 1), (3, 2, 2), (7, 3, 0)):
        go(opened, op=makes.index("maxpool1.a"), view="matrix", window=f"{plane},{row},{column}")
        window = arrays["maxpool1.input"][0, plane, 2 * row :, 2 * column :][:2, :2]
        won = opened.page.locator(".window-part td.won").evaluate_all(
            "(all) => all.map((cell) => [cell.parentNode.rowIndex - 1, cell.cellIndex - 1])"
        )
        assert won == [list(divmod(int(window.argmax()), 2))]
        text = opened.page.inner_text(".windows [role=status]")
        assert f"[{row}, {column}], " in text
        assert "largest of 4 cells = " in text
    opened.assert_clean()


def test_the_padding_of_a_pool_is_what_it_is(open_page: Open, tmp_path: Path) -> None:
    keys = ["type=maxpool", "size=3", "stride=2", "padding=1"]
    spec = load_spec(CONFIGS / "digits-conv.yaml", [f"network[1].{key}" for key in keys])
    path = tmp_path / "padded.html"
    inspection = package.inspect(spec, samples=(0,))
    path.write_bytes(write("html", document(InspectedStep(inspection), Choices())))
    makes = [op.makes for op in operations(inspection.trace)]
    opened = ready(open_page(path))
    go(opened, op=makes.index("maxpool1.a"), view="matrix", window="0,0,0")
    ((window,),) = opened.page.evaluate(WINDOW)["terms"]
    assert window.count(float("-inf")) == 5
    assert "largest of 4 cells = " in opened.page.inner_text(".windows [role=status]")
    opened.assert_clean()


def test_a_number_is_made_of_links(open_page: Open, step_pages: StepPages) -> None:
    """From a cost's δ back to the inputs, by links alone."""
    opened = ready(open_page(step_pages["two-two-two"][0], "#op=0&number=dense1.delta[0][1]"))
    panel = opened.page.locator(".panel")
    assert "δ of dense1 [1]" in panel.inner_text()
    assert "0.009954254705217" in panel.inner_text()
    panel.locator("button.link").first.click()
    assert "∂C/∂a of dense1 [1]" in panel.inner_text()
    panel.locator("button.link").first.click()
    assert "dense2 [1]" in panel.inner_text()
    opened.page.go_back()
    opened.page.wait_for_timeout(50)
    assert "∂C/∂a of dense1 [1]" in panel.inner_text()


def test_factors_light_up(open_page: Open, step_pages: StepPages) -> None:
    opened = ready(open_page(step_pages["two-two-two"][0], "#op=0&view=matrix"))
    lit = "() => [...document.querySelectorAll('.lit')].map((c) => c.ref.name + c.ref.at)"
    opened.page.locator("td[data-key]").last.hover()  # z of unit 1
    assert set(opened.page.evaluate(lit)) == {
        *("dense1.input0,0", "dense1.input0,1"),
        *("dense1.weight0,1", "dense1.weight1,1", "dense1.bias1"),
    }


def test_everything_by_keyboard(open_page: Open, step_pages: StepPages) -> None:
    opened = ready(open_page(step_pages["two-two-two"][0]))
    keys = opened.page.keyboard
    reached: list[str] = []
    for _ in range(60):
        keys.press("Tab")
        what = opened.page.evaluate(
            """() => { const e = document.activeElement;
            return e.ref?.name ?? e.dataset.key ?? e.tagName; }"""
        )
        reached.append(what)
        if what == "BODY":
            break
    for what in ("dense1", "dense2", "first", "back", "play", "next", "slider", "speed", "matrix"):
        assert what in reached
    assert {"edit eta", "apply eta", "dense1.weight", "SUMMARY"} <= set(reached)
    opened.page.focus("[data-key=next]")
    keys.press("ArrowRight")
    assert "op=1" in opened.page.url
    keys.press("ArrowLeft")
    assert "op=0" in opened.page.url
    opened.page.locator("td[data-key]").first.focus()
    keys.press("ArrowRight")
    keys.press("Enter")
    assert "number=dense1.input[0][1]" in opened.page.url
    keys.press("Escape")
    opened.page.wait_for_url("**#op=0&view=hadamard&sample=0&channel=0")
    opened.assert_clean()


def test_the_player_plays_to_the_end(open_page: Open, step_pages: StepPages) -> None:
    opened = ready(open_page(step_pages["two-two-two"][0], "#op=20"))
    opened.page.select_option("[data-key=speed]", "2 a second")
    opened.page.click("[data-key=play]")
    assert opened.page.inner_text("[data-key=play]") == "pause"
    opened.page.wait_for_url("**op=22*", timeout=8000)
    opened.page.wait_for_timeout(800)
    assert opened.page.inner_text("[data-key=play]") == "play"
    status = opened.page.inner_text("[role=status]")
    assert "23 of 23" in status
    opened.assert_clean()


def test_a_link_shows_what_its_sender_sees(open_page: Open, step_pages: StepPages) -> None:
    first = ready(open_page(step_pages["digits-mlp"][0]))
    go(first, op=6, view="kronecker", sample=3)
    first.page.locator("td[data-key]").nth(2).click()
    url = first.page.url
    second = ready(open_page(step_pages["digits-mlp"][0], "#" + url.partition("#")[2]))
    for part in (".panel", ".where", ".lines h2"):
        assert first.page.inner_text(part) == second.page.inner_text(part)


@pytest.mark.parametrize(
    "fragment",
    [
        "#op=999",
        "#op=-1&view=x&sample=9",
        "#number=dense1.z[9][9]",
        "#number=<img>&edit=eta:x",
        "#%",
    ],
)
def test_an_odd_address_does_no_harm(open_page: Open, step_pages: StepPages, fragment: str) -> None:
    opened = ready(open_page(step_pages["two-two-two"][0], fragment))
    assert "1 of 23" in opened.page.inner_text(".where")
    opened.assert_clean()


def test_what_if(open_page: Open, step_pages: StepPages) -> None:
    path, inspection = step_pages["two-two-two"]
    opened = ready(open_page(path, "#op=1&view=matrix&number=dense1.weight[0][1]"))
    page = opened.page
    page.fill("[data-key='edit dense1.weight[0][1]']", "0.75")
    page.click("[data-key='apply dense1.weight[0][1]']")
    spec = package.load_spec(CONFIGS / "two-two-two.yaml")
    changed = package.load_spec(
        CONFIGS / "two-two-two.yaml", ["network[0].weights=[[0.15, 0.75], [0.20, 0.30]]"]
    )
    assert spec != changed
    cost = package.inspect(changed).trace.cost_before
    assert f"{cost:.6g}" in page.inner_text(".controls")
    marked = page.evaluate("() => [...document.querySelectorAll('.changed')].map((c) => c.ref.at)")
    assert marked == [[0, 1], [0, 1]]  # z and a of unit 1; unit 0 stays
    shown = {(n, *at): float(text) for n, at, text in page.evaluate(SHOWN)}
    recorded = inspection.trace.layers[0].z
    assert recorded is not None
    assert shown["dense1.z", 0, 1] == recorded[0, 1]
    page.click("[data-key=undo]")
    assert page.locator(".changed").count() == 0
    page.fill("[data-key='edit eta']", "a lot")
    page.click("[data-key='apply eta']")
    assert "edit" not in page.url
    opened.assert_clean()


def test_an_old_browser_has_the_text(open_page: Open, step_pages: StepPages, browser: Any) -> None:
    page = browser.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto(step_pages["two-two-two"][0].as_uri())
    text = page.inner_text("body")
    page.close()
    assert "too old for the interactive page" in text
    assert "0.2983711088" in text


def test_hostile_names_are_inert(open_page: Open, tmp_path: Path) -> None:
    name = "</script><img src=x onerror=alert(1)>\x1b[31m\u202eRTL"
    spec = package.load_spec(CONFIGS / "two-two-two.yaml")
    inspection = package.inspect(spec.model_copy(update={"name": name}))
    path = tmp_path / "page.html"
    path.write_bytes(write("html", document(InspectedStep(inspection), Choices())))
    opened = ready(open_page(path))
    assert opened.page.locator("img").count() == 0
    assert "\\u202eRTL" in opened.page.inner_text("h1")
    opened.assert_clean()


@pytest.mark.parametrize("name", LARGEST)
def test_sizes(step_pages: StepPages, name: str) -> None:
    if name in step_pages:
        size = step_pages[name][0].stat().st_size
    else:
        inspection = package.inspect(CONFIGS / f"{name}.yaml", samples=range(10))
        size = len(write("html", document(InspectedStep(inspection), Choices())))
    assert size <= LARGEST[name]


def test_it_prints(open_page: Open, step_pages: StepPages) -> None:
    """All of it: the network, the numbers of the line, and the whole step as text."""
    opened = ready(open_page(step_pages["two-two-two"][0]))
    opened.page.emulate_media(media="print")
    assert not opened.page.is_visible(".controls")
    for part in (".lines", ".card", "td[data-key]", ".along"):
        assert opened.page.locator(part).first.is_visible(), part
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.page.locator(".text article table").first.is_visible()


def test_playing_leaves_the_way_back(open_page: Open, step_pages: StepPages) -> None:
    opened = ready(open_page(step_pages["two-two-two"][0], "#op=3"))
    opened.page.click("[data-key=next]")
    before = opened.page.evaluate("history.length")
    opened.page.select_option("[data-key=speed]", "2 a second")
    opened.page.click("[data-key=play]")
    opened.page.wait_for_url("**op=6*", timeout=8000)
    opened.page.click("[data-key=play]")
    assert opened.page.evaluate("history.length") == before
    opened.page.go_back()
    opened.page.wait_for_url("**op=3*")
    assert "4 of 23" in opened.page.inner_text(".where")


def test_an_address_may_be_encoded(open_page: Open, step_pages: StepPages) -> None:
    """As mail programs write them."""
    fragment = "#op=1&edit=dense1.weight%5B0%5D%5B1%5D%3A0.9"
    opened = ready(open_page(step_pages["two-two-two"][0], fragment))
    assert "what if, in float64" in opened.page.inner_text(".controls")
    assert opened.page.locator(".changed").count() > 0


def test_what_is_not_finite_is_said(open_page: Open, step_pages: StepPages) -> None:
    opened = ready(
        open_page(step_pages["two-two-two"][0], "#edit=eta:1e308;dense1.weight[0][0]:1e308")
    )
    assert "nan" not in opened.page.inner_text(".controls").lower()
    opened.assert_clean()


def test_wide_pages_have_the_number_beside(open_page: Open, step_pages: StepPages) -> None:
    opened = ready(open_page(step_pages["two-two-two"][0], size=WIDE))
    lines, panel = (opened.page.locator(part).bounding_box() for part in (".lines", ".panel"))
    assert panel["x"] > lines["x"] + lines["width"] - 1
