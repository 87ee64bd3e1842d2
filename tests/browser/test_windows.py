"""The player of windows by itself: what a conv layer's bias, a pool, float32 and a stack take."""

from typing import Any

import numpy as np
import pytest

from nncli.render.web.convolution import SCRIPTS
from nncli.render.web.scripts import asset, code

AXIS = '{"size": 4, "kernel": 2, "stride": 2, "dilation": 1, "before": 0, "after": 0, "outputs": 2}'
CELLS = [
    [1.0, 3.0, -4.0, -2.0],
    [3.0, 0.0, -1.0, -1.0],
    [0.0, 0.0, 5.0, 5.0],
    [-1.0, 0.0, 5.0, 5.0],
]


@pytest.fixture(scope="module")
def player(browser: Any) -> Any:
    """`player(options)` puts a player of CELLS on a page; options are those of windows.js."""
    page = browser.new_page()
    page.set_content("<style></style><main></main>")
    page.evaluate("(css) => { document.querySelector('style').textContent = css; }", style())
    page.add_script_tag(content=f"{code(SCRIPTS[:-1])}\nglobalThis.player = windowPlayer;")

    def put(options: str) -> Any:
        page.evaluate(
            f"""(cells) => {{
                const axis = {AXIS};
                const source = {{channels: 1, label: () => "input", get: (k, r, c) => cells[r][c]}};
                const output = {{planes: 1, label: () => "a", get: (k, r, c) => 10 * r + c}};
                globalThis.told = [];
                const moved = (at) => told.push(at);
                const made = player(
                    {{title: "t", source, output, rows: axis, columns: axis, moved, ...{options}}});
                document.querySelector("main").replaceChildren(made);
                made.draw();
            }}""",
            CELLS,
        )
        return page

    yield put
    page.close()


def style() -> str:
    return "".join(asset(f"{name}.css") for name in ("page", "matrix", "windows"))


def go(page: Any, row: int, column: int) -> None:
    page.evaluate(f"document.querySelector('.windows').go({{row: {row}, column: {column}}})")


def won(page: Any) -> list[list[int]]:
    found: list[list[int]] = page.evaluate(
        """() => [...document.querySelectorAll(".window-part td.won")]
            .map((cell) => [cell.parentNode.rowIndex - 1, cell.cellIndex - 1])"""
    )
    return found


def test_the_first_largest_cell_of_a_pool_is_marked(player: Any) -> None:
    pooled = np.reshape(CELLS, (2, 2, 2, 2)).max(axis=(1, 3)).tolist()
    page = player(
        f"""{{operation: "largest", output: {{planes: 1, label: () => "a",
            get: (k, r, c) => {pooled}[r][c]}}}}"""
    )
    places = {(0, 0): [0, 1], (0, 1): [1, 0], (1, 0): [0, 0], (1, 1): [0, 0]}
    for (row, column), place in places.items():
        go(page, row, column)
        assert won(page) == [place]
        assert page.inner_text(".window-sum") == f"largest of 4 cells = {said(pooled[row][column])}"
    assert page.locator(".window-part table").count() == 1


def said(value: float) -> str:
    return f"{value:.0f}".replace("-", "−")


def test_a_mean_has_no_factor(player: Any) -> None:
    page = player('{operation: "mean"}')
    go(page, 1, 0)
    assert page.inner_text(".window-sum") == "mean of 4 cells = 10"


def test_a_bias_is_added_in_words_and_never_computed(player: Any) -> None:
    page = player(
        '{factor: {name: "filter", get: (p, k, i, j) => i - j}, bias: (plane) => 0.25 + plane}'
    )
    go(page, 0, 1)
    assert page.inner_text(".window-sum") == "0 + 2 − 1 + 0 + b 0.2500 = 1"
    assert page.inner_text("[role=status]") == "a [0, 1], 2 of 4: sum of 4 products + b = 1"


def test_products_are_rounded_to_float32_where_that_is_asked_for(player: Any) -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 2, 2)).astype(np.float32)
    page = player(
        f"""{{source: {{channels: 1, label: () => "x", get: (k, r, c) => {left.tolist()}[r][c]}},
        rows: {{...{AXIS}, size: 2, outputs: 1}}, columns: {{...{AXIS}, size: 2, outputs: 1}},
        factor: {{name: "w", get: (p, k, i, j) => {right.tolist()}[i][j]}},
        multiply: (a, b) => Math.fround(a * b)}}"""
    )
    shown = page.evaluate(
        """() => [...document.querySelectorAll(".window-part figure:last-child data")]
            .map((data) => Number(data.value))"""
    )
    assert shown == (left * right).ravel().tolist()


def test_of_many_channels_some_are_drawn_and_the_rest_counted(player: Any) -> None:
    page = player(
        """{source: {channels: 20, label: (k) => `channel ${k}`, get: (k, r, c) => k},
        factor: {name: "w", get: () => 1}}"""
    )
    assert page.locator(".window-source figure").count() == 4
    assert page.locator(".window-part").count() == 16
    assert "… and 4 more like these" in page.inner_text(".window-products")
    assert page.inner_text(".window-sum") == "sum of 80 products = 0"


def test_each_step_is_told(player: Any) -> None:
    page = player("{}")
    go(page, 1, 1)
    go(page, 7, -3)
    places = [(0, 0), (1, 1), (1, 0)]
    assert page.evaluate("told") == [{"plane": 0, "row": r, "column": c} for r, c in places]


def test_two_players_share_a_page(player: Any) -> None:
    page = player("{}")
    page.evaluate(
        """() => {
            const first = document.querySelector(".windows");
            const axis = {size: 2, kernel: 1, stride: 1, dilation: 1};
            Object.assign(axis, {before: 0, after: 0, outputs: 2});
            const second = player({title: "u", rows: axis, columns: axis,
                source: {channels: 1, label: () => "y", get: () => 1},
                output: {planes: 1, label: () => "z", get: () => 1}});
            first.after(second);
            second.draw();
            second.go({row: 1});
        }"""
    )
    assert page.locator("[role=status]").all_inner_texts() == [
        "a [0, 0], 1 of 4: sum of 4 cells = 0",
        "z [1, 0], 3 of 4: sum of 1 cell = 1",
    ]
