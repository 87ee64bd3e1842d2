"""The page of a filter in a browser: its products are the record's, its player obeys its keys."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nncli.app.conv import explain
from nncli.app.records import ExplainedFilter
from nncli.filtering.options import Options
from nncli.nn.arrays import Array
from nncli.render.formats import write
from nncli.render.pages.filtering import document
from nncli.render.text import Extent
from nncli.render.web.convolution import SCRIPTS
from nncli.render.web.scripts import joined
from tests.browser.conftest import PHONE, Open, Opened

HOSTILE = "<img src=x onerror=alert(1)>\u202e.npy"
ROWS = "1 2 3 4; 5 -6 7 8; 9 1 2 3; 0.5 2.25 1 1e-5"
CASES: dict[str, tuple[str, str, Options]] = {
    "plain": (ROWS, "1 0 -1; 2 3 -2", Options()),
    "turned": (ROWS, "1 0; 2 3", Options(flip=True, padding="full", stride=(2, 1))),
    "reflect": (ROWS, "1 0 -1; 2 3 -2", Options(padding="same", padding_mode="reflect")),
    "circular": (
        ROWS,
        "1 0 -1; 2 3 -2",
        Options(padding=3, padding_mode="circular", dilation=(1, 2), stride=(2, 3), flip=True),
    ),
    "beyond any tap": (ROWS, "1 2; 3 4", Options(padding=3, stride=(1, 2))),
    "stack": ("cube.npy", "filters.npy", Options(summed=True, padding=1, dilation=(2, 1))),
    "apart": ("cube.npy", "filters.npy", Options(summed=False, stride=(2, 1))),
    "one for all": ("cube.npy", "1 2; 3 4", Options(summed=True)),
    "picture": ("image.png", "sobel-x", Options(padding="same")),
    "series": ("series.npy", "1 2 1", Options(padding="same", padding_mode="circular")),
    "large": ("large.png", "sobel-y", Options(summed=True)),
    "hostile": (HOSTILE, "box", Options()),
}
VIEWS = ("source", "output")
SMALL = [name for name in CASES if name not in ("picture", "series", "large", "hostile")]
# The numbers of the step that is shown: those of each table, and what they come to.
READ = """(at) => {
    const player = document.querySelector(".windows");
    player.go(at);
    const rows = (table) => [...table.rows].slice(1)
        .map((row) => [...row.querySelectorAll("data")].map((data) => Number(data.value)));
    return {
        parts: [...player.querySelectorAll(".window-part")]
            .map((part) => [...part.querySelectorAll("table")].map(rows)),
        sum: Number(player.querySelector(".window-sum strong data").value),
        output: rows(player.querySelector(".window-output table"))[at.row]?.at(-1),
    };
}"""


class Made:
    """Pages by the name of their case, each made once, with what they are of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pages: dict[str, tuple[Path, ExplainedFilter]] = {}
        rng = np.random.default_rng(3)
        np.save(folder / "cube.npy", rng.normal(size=(3, 5, 6)).astype(np.float32))
        np.save(folder / "filters.npy", rng.normal(size=(3, 2, 3)).astype(np.float32))
        np.save(folder / "series.npy", rng.normal(size=(1, 200)) * [[1e-9, np.nan] * 100])
        np.save(folder / HOSTILE, np.ones((4, 4)))
        for name, shape in (("image.png", (28, 28)), ("large.png", (320, 320, 3))):
            Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(folder / name)

    def __getitem__(self, name: str) -> tuple[Path, ExplainedFilter]:
        if name not in self.pages:
            matrix, filter, options = CASES[name]
            if "." in matrix and ";" not in matrix:
                matrix = str(self.folder / matrix)
            if filter.endswith(".npy"):
                filter = str(self.folder / filter)
            steps, nan = "all" if name in SMALL else None, name == "series"
            first = explain(matrix, filter, options, steps=steps, allow_nan=nan)
            upstream = np.random.default_rng(7).normal(size=first.filtering.output.shape)
            np.save(self.folder / "upstream.npy", upstream)
            back = str(self.folder / "upstream.npy")
            done = explain(matrix, filter, options, upstream=back, allow_nan=nan)
            path = self.folder / f"{name}.html"
            path.write_bytes(write("html", document(done, Extent())))
            self.pages[name] = path, done._replace(indices=first.indices)
        return self.pages[name]


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("pages"))


def ready(opened: Opened) -> Opened:
    opened.page.wait_for_selector(".windows strong")
    return opened


def planes(array: Array) -> Array:
    return array[None] if array.ndim == 2 else array


def status(opened: Opened) -> str:
    return str(opened.page.inner_text("[role=status]"))


def wait_for(done: Callable[[], bool], seconds: float = 10) -> None:
    """Asks again and again; the page's policy keeps Playwright from doing so within it."""
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until
        time.sleep(0.02)


def marked(opened: Opened, view: str, mark: str) -> list[list[int]]:
    """Rows and columns of the marked cells in the first table of a view."""
    found: list[list[int]] = opened.page.evaluate(
        f"""() => {{
            const table = document.querySelector(".window-{view} table");
            return [...table.querySelectorAll("td.{mark}")]
                .map((cell) => [cell.parentNode.rowIndex - 1, cell.cellIndex - 1]);
        }}"""
    )
    return found


@pytest.mark.parametrize("name", SMALL)
def test_each_output_is_shown_with_the_products_of_the_record(
    open_page: Open, pages: Made, name: str
) -> None:
    path, done = pages[name]
    opened = ready(open_page(path))
    windows = json.loads(write("json", document(done, Extent())))["windows"]
    assert len(windows) == done.filtering.output.size
    for window in windows:
        row, column = window["at"]
        at = {"plane": window.get("channel", 0), "row": row, "column": column}
        shown = opened.page.evaluate(READ, at)
        parts = zip(
            *(planes(np.array(window[key])).tolist() for key in ("window", "filter", "hadamard")),
            strict=True,
        )
        assert shown["parts"] == [list(part) for part in parts]
        assert shown["sum"] == shown["output"] == window["sum"]
    opened.assert_clean()


@pytest.mark.parametrize("of", ["filter", "matrix"])
@pytest.mark.parametrize("name", SMALL)
def test_each_gradient_is_shown_with_the_products_behind_it(
    open_page: Open, pages: Made, name: str, of: str
) -> None:
    path, done = pages[name]
    gradient = planes(getattr(done.backward, f"{of}_gradient"))
    opened = ready(open_page(path, f"#view={of}&at=0,0,0"))
    for plane, row, column in np.ndindex(gradient.shape):
        shown = opened.page.evaluate(READ, {"plane": plane, "row": row, "column": column})
        assert shown["sum"] == gradient[plane, row, column]
        products = [x for part in shown["parts"] for line in part[2] for x in line]
        assert math.fsum(products) == pytest.approx(shown["sum"], abs=1e-9)
    opened.assert_clean()


def test_keys_drive_the_player(open_page: Open, pages: Made) -> None:
    opened = ready(open_page(pages["plain"][0]))
    opened.page.focus(".windows")
    places = {"ArrowRight": "0, 1", "ArrowDown": "1, 1", "ArrowLeft": "1, 0", "ArrowUp": "0, 0"}
    for key, place in (places | {"End": "2, 1", "Home": "0, 0"}).items():
        opened.page.keyboard.press(key)
        assert status(opened).startswith(f"output [{place}], ")
    opened.page.keyboard.press("Space")
    wait_for(lambda: not status(opened).startswith("output [0, 0]"))
    opened.page.keyboard.press("Space")
    rested = status(opened)
    opened.page.wait_for_timeout(700)
    assert status(opened) == rested


def test_it_plays_to_the_end_and_rests(open_page: Open, pages: Made) -> None:
    opened = ready(open_page(pages["plain"][0]))
    opened.page.select_option(".controls select", index=5)
    opened.page.click("text=play")
    wait_for(lambda: "6 of 6" in status(opened))
    opened.page.wait_for_selector("button:text('play')")
    assert opened.page.get_attribute("[role=status]", "aria-live") == "polite"
    assert "·" not in opened.page.inner_text(".window-output table")
    opened.page.click("[aria-label=first]")
    assert opened.page.inner_text(".window-output table").count("·") == 5


def test_the_slider_and_the_buttons_move_it(open_page: Open, pages: Made) -> None:
    opened = ready(open_page(pages["plain"][0]))
    opened.page.fill("input[type=range]", "3")
    assert status(opened).startswith("output [1, 1], 4 of 6: sum of 6 products = ")
    for name, place in (("next", 5), ("back", 4), ("last", 6), ("first", 1)):
        opened.page.click(f"[aria-label={name}]")
        assert f"{place} of 6" in status(opened)


def test_an_output_lights_up_its_window_and_enter_goes_there(open_page: Open, pages: Made) -> None:
    opened = ready(open_page(pages["circular"][0]))
    opened.page.focus(".window-output [tabindex='0']")
    opened.page.keyboard.press("ArrowDown")
    assert status(opened).startswith("output [0, 0]")
    assert marked(opened, "source", "lit") == [[r, c] for r in (2, 3) for c in (0, 2, 4)]
    opened.page.keyboard.press("Enter")
    assert status(opened).startswith("output [1, 0]")
    assert marked(opened, "source", "under") == [[r, c] for r in (2, 3) for c in (0, 2, 4)]
    opened.page.hover(".window-output tr:nth-child(4) td:nth-child(3)")
    assert marked(opened, "source", "lit") == [[r, c] for r in (4, 5) for c in (3, 5, 7)]
    opened.page.click(".window-output tr:nth-child(4) td:nth-child(3)")
    assert status(opened).startswith("output [2, 1]")


def test_a_cell_lights_up_all_outputs_that_it_goes_into(open_page: Open, pages: Made) -> None:
    path, done = pages["reflect"]
    opened = ready(open_page(path))
    # Row 1 of the matrix is padded row 1, column 1 padded column 2, which repeats at the left too.
    opened.page.hover(".window-source tr:nth-child(3) td:nth-child(4)")
    unit = np.zeros((4, 4))
    unit[1, 1] = 1
    ones = explain(
        ";".join(" ".join(map(str, row)) for row in unit),
        "1 1 1; 1 1 1",
        CASES["reflect"][2],
    )
    reached = np.argwhere(ones.filtering.output != 0).tolist()
    assert marked(opened, "output", "lit") == reached
    assert done.filtering.windows.rows.before == 0


def test_padding_is_marked_and_shows_the_cell_that_it_repeats(open_page: Open, pages: Made) -> None:
    opened = ready(open_page(pages["reflect"][0]))
    padded = marked(opened, "source", "padding")
    assert padded == [[r, c] for r in range(5) for c in range(6) if r > 3 or c in (0, 5)]
    heads = opened.page.inner_text(".window-source tr").split()
    assert heads == ["(1)", "0", "1", "2", "3", "(2)"]
    opened.page.hover(".window-source tr:nth-child(6) td:nth-child(2)")
    assert marked(opened, "source", "from") == [[2, 2]]


def test_a_link_carries_the_view_and_the_position(open_page: Open, pages: Made) -> None:
    path, _ = pages["apart"]
    opened = ready(open_page(path, "#view=matrix&at=2,1,3"))
    assert status(opened).startswith("∂C/∂matrix, channel 2 [1, 3], ")
    assert opened.page.input_value("select >> nth=1") == "∂C/∂matrix, channel 2"
    opened.page.click("[aria-label=next]")
    wait_for(lambda: opened.page.evaluate("location.hash") == "#view=matrix&at=2,1,4")
    opened.page.evaluate("location.hash = 'view=filter&at=1,0,2'")
    opened.page.wait_for_selector("[role=status]:text('∂C/∂filter, channel 1 [0, 2]')")
    opened.assert_clean()


@pytest.mark.parametrize("fragment", ["#x", "#view=none&at=0,0", "#at=9,99,99", "#at=-1,0,0"])
def test_a_link_to_nowhere_shows_what_is_nearest(
    open_page: Open, pages: Made, fragment: str
) -> None:
    opened = ready(open_page(pages["plain"][0], fragment))
    place = "[2, 1]" if "99" in fragment else "[0, 0]"
    assert status(opened).startswith(f"output {place}")
    opened.assert_clean()


def test_tabs_obey_the_arrow_keys(open_page: Open, pages: Made) -> None:
    opened = ready(open_page(pages["plain"][0]))
    opened.page.focus("[role=tab][aria-selected=true]")
    for name in ("∂C/∂filter", "∂C/∂matrix", "output"):
        opened.page.keyboard.press("ArrowRight")
        assert opened.page.inner_text("[role=tab]:focus") == name
        assert status(opened).startswith(f"{name} [0, 0]")


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("circular", "light"), ("circular", "dark"), ("large", "dark"), ("hostile", "light")],
)
def test_it_is_accessible(open_page: Open, pages: Made, name: str, scheme: str) -> None:
    opened = ready(open_page(pages[name][0], scheme=scheme, size=PHONE))
    opened.assert_accessible()
    opened.page.click("[role=tab]:text('∂C/∂filter')")
    opened.assert_accessible()


@pytest.mark.parametrize("name", ["circular", "stack", "picture", "series", "large", "hostile"])
def test_it_fits_a_phone_and_asks_for_nothing(open_page: Open, pages: Made, name: str) -> None:
    opened = ready(open_page(pages[name][0], size=PHONE))
    for view in ("output", "∂C/∂filter", "∂C/∂matrix"):
        opened.page.click(f"[role=tab]:text('{view}')")
        opened.assert_fits()
    opened.assert_clean()
    assert opened.page.query_selector("img") is None


def test_a_large_picture_is_drawn_and_zooms_to_its_numbers(open_page: Open, pages: Made) -> None:
    path, done = pages["large"]
    opened = ready(open_page(path, "#view=output&at=0,200,150"))
    assert opened.page.locator(".window-source canvas").count() == 3
    output = done.filtering.output
    seen = opened.page.evaluate(READ, {"plane": 0, "row": 200, "column": 150})
    assert seen["sum"] == output[200, 150]
    opened.page.click(".window-output .picture")
    row, column = opened.page.evaluate(
        "document.querySelector('[role=status]').textContent.match(/\\d+/g).slice(0, 2).map(Number)"
    )
    assert abs(row - 159) <= 2
    assert abs(column - 159) <= 2


def test_pictures_keep_their_colours_and_heat_takes_those_of_the_scheme(
    open_page: Open, pages: Made
) -> None:
    opened = ready(open_page(pages["large"][0]))
    seen = []
    for scheme in ("light", "dark", "light"):
        opened.page.emulate_media(color_scheme=scheme)
        opened.page.wait_for_timeout(400)
        seen.append(
            [
                opened.page.evaluate(f"document.querySelector('.window-{view} canvas').toDataURL()")
                for view in ("source", "output")
            ]
        )
    (picture, heat), (in_dark, dark_heat), again = seen
    assert picture == in_dark
    assert heat != dark_heat
    assert again == [picture, heat]


def test_nothing_moves_about_as_numbers_come_and_go(open_page: Open, pages: Made) -> None:
    path, done = pages["circular"]
    opened = ready(open_page(path))

    def played() -> list[list[tuple[float, float]]]:
        """Where the tables of matrix and output are at each step, and how wide."""
        found = []
        opened.page.focus(".windows")
        opened.page.keyboard.press("Home")
        for _ in range(done.filtering.output.size):
            boxes = [opened.page.locator(f".window-{v} table").bounding_box() for v in VIEWS]
            found.append([(box["x"], box["width"]) for box in boxes if box is not None])
            opened.page.keyboard.press("ArrowRight")
        return found

    first, again = played(), played()
    assert all([width for _, width in each] == [width for _, width in first[0]] for each in first)
    assert all(each == again[0] for each in again)  # the products have been as wide as they become


def test_two_pages_in_shadow_roots_of_one_document(open_page: Open, pages: Made) -> None:
    opened = ready(open_page(pages["plain"][0]))
    code = joined(SCRIPTS, "((f) => { globalThis.start = f; })(startConvolution) ?? (() => {})")
    opened.page.context.new_page()
    blank = opened.page.context.pages[-1]
    blank.add_script_tag(content=code)
    for name in ("plain", "picture"):
        body = pages[name][0].read_text().partition("<body>")[2].partition("<script>")[0]
        blank.evaluate(
            """([body]) => {
                const host = document.createElement("div");
                document.body.append(host);
                host.attachShadow({mode: "open"}).innerHTML = body;
                start(host.shadowRoot);
            }""",
            [body],
        )
    blank.wait_for_selector("div:nth-of-type(2) .windows strong")
    assert blank.locator(".windows").count() == 2
    blank.locator("[aria-label=next]").first.click()
    said = blank.locator("[role=status]").all_inner_texts()
    assert said[0].startswith("output [0, 1], 2 of 6")
    assert said[1].startswith("output [0, 0], 1 of 784")
    assert "#" not in blank.url


def test_with_reduced_motion_it_plays_slower(open_page: Open, pages: Made) -> None:
    speeds = []
    for motion in ("no-preference", "reduce"):
        opened = ready(open_page(pages["plain"][0], reduced_motion=motion))
        speeds.append(opened.page.input_value(".controls select"))
    assert speeds == ["2 a second", "1 a second"]


def test_without_scripts_it_is_the_text(open_page: Open, pages: Made) -> None:
    path, _ = pages["plain"]
    opened = open_page(path, java_script=False)
    text = opened.page.inner_text("main")
    assert "Scripts are off." in text
    assert "columns: floor((4 + 0 − 1·(3 − 1) − 1)/1) + 1 = 2" in text
    assert "∂C/∂matrix" in text
    opened.assert_fits()
