"""The page of a filter over a matrix, its JSON, and the film."""

import io
import itertools
import json
import re
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from nncli.app.records import ExplainedFilter
from nncli.filtering.options import Options
from nncli.filtering.record import (
    Filtering,
    apply_filter,
    backward_pass,
    output_indices,
    with_opposite_flip,
)
from nncli.nn.arrays import Array
from nncli.render import formats, streams
from nncli.render.pages.filtering import document as filtering_document
from nncli.render.pages.filtering import (
    filtering_page,
    kind,
    margins,
    output_sizes,
)
from nncli.render.pages.windows import sum_line
from nncli.render.terminal import TerminalPage
from nncli.render.text import Extent
from tests.conftest import mostly_slow
from tests.render.reading import equations_of, on_screen

Numbers = Array | Sequence[Sequence[float]]
BOX = np.full((3, 3), 1 / 9)


def other_of(made: Filtering) -> Array:
    return with_opposite_flip(made.matrix, made.filter, made.options)


def page(
    matrix: Numbers,
    filter: Numbers,
    how: Options | None = None,
    extent: Extent | None = None,
    width: int = 80,
    compare: bool = False,
    **asked: Any,
) -> str:
    made = apply_filter(np.asarray(matrix), np.asarray(filter), how or Options())
    if compare:
        asked["other"] = other_of(made)
    explained = ExplainedFilter(made, ("m.csv", "f.csv"), **asked)
    shown = filtering_page(explained, extent or Extent(), width)
    return on_screen(shown, width)


def record_of(made: Filtering, **asked: Any) -> dict[str, Any]:
    """As the JSON of the command has it."""
    document = filtering_document(ExplainedFilter(made, ("m.csv", "f.csv"), **asked), Extent())
    record: dict[str, Any] = json.loads(formats.write("json", document))
    return record


def at(
    matrix: Numbers,
    filter: Numbers,
    place: tuple[int, ...],
    how: Options | None = None,
    **more: Any,
) -> str:
    return page(matrix, filter, how, indices=(place,), **more)


def test_sizes_are_spelled_out() -> None:
    made = apply_filter(
        np.ones((9, 12)), np.ones((3, 4)), Options(padding=1, stride=(2, 3), dilation=(1, 2))
    )
    assert list(output_sizes(made)) == [
        "rows:    floor((9 + 2 − 1·(3 − 1) − 1)/2) + 1 = 5",
        "columns: floor((12 + 2 − 2·(4 − 1) − 1)/3) + 1 = 3",
    ]


def test_margins() -> None:
    made = apply_filter(np.ones((5, 6)), np.ones((3, 3)), Options(stride=(3, 3)))
    assert list(margins(made)) == ["No window reaches 2 rows of the matrix."]
    made = apply_filter(
        np.ones((3, 3)), np.ones((3, 3)), Options(padding=1, padding_mode="reflect")
    )
    assert list(margins(made)) == [
        "8 of 9 windows meet padding (reflect), with 32 cells of it in all."
    ]
    assert list(margins(apply_filter(np.ones((3, 3)), np.ones((2, 2)), Options()))) == []


def test_correlation_or_convolution() -> None:
    skew = np.array([[0, 1], [2, 0]])
    matrix = np.arange(9).reshape(3, 3) ** 2

    def line(matrix: Array, filter: Array, flip: bool = False) -> str:
        return kind(apply_filter(matrix, filter, Options(flip=flip)))

    assert line(matrix, np.ones((2, 2))) == (
        "This is correlation (no flip, as in a conv layer); "
        "the filter is symmetric, so convolution gives the same."
    )
    off = np.abs(
        apply_filter(matrix, skew, Options()).output
        - apply_filter(matrix, skew, Options(flip=True)).output
    ).max()
    assert line(matrix, skew).endswith(f"convolution differs, here by up to {off}.")
    assert line(matrix, skew, flip=True).startswith("This is convolution (the filter turned by 180")
    assert line(np.ones((3, 3)), skew).endswith("differs, though not on this matrix.")
    matrix = np.array([[np.nan, 1, 3], [1, 2, 7]])
    assert line(matrix, skew).endswith("convolution differs, here by up to 1.00.")


def test_integers_that_fit_one_way_only() -> None:
    matrix = np.array([[2**62, 0, 0]])
    assert kind(apply_filter(matrix, np.array([[1, 0, 4]]), Options())).endswith(
        "convolution differs."
    )


def test_a_difference_that_does_not_fit_into_64_bits() -> None:
    """3 − (−2⁶³) would be −2⁶³ + 3."""
    matrix, filter = np.array([[-(2**63), 3]]), np.array([[1, 0]])
    made = apply_filter(matrix, filter, Options())
    assert kind(made).endswith("differs, here by up to 9.22e18.")
    (terms,) = equations_of(page(matrix, filter, compare=True).split("correlation and")[1])
    assert terms[-1].values == [[9.223372e18]]


# Products


def test_the_window_is_marked_in_the_matrix() -> None:
    text = at(np.arange(16).reshape(4, 4), np.ones((2, 2), int), (1, 2))
    assert "    0   1   2   3\n    4   5 [ 6][ 7]\n    8   9 [10][11]\n   12  13  14  15\n" in text
    assert "sum = 34\n" in text


def test_a_dilated_window_is_marked_where_its_taps_are() -> None:
    text = at(np.arange(9).reshape(3, 3), np.ones((2, 2), int), (0, 0), Options(dilation=(2, 2)))
    assert "  [0] 1 [2]\n   3  4  5\n  [6] 7 [8]\n" in text


def test_the_window_is_marked_in_every_channel_that_is_summed() -> None:
    cells = np.arange(18).reshape(2, 3, 3)
    text = at(cells, np.ones((2, 2, 2), int), (0, 1), Options(summed=True))
    assert "channel 0:\n   0 [1][2]\n" in text
    assert "channel 1:\n    9 [10][11]\n" in text
    assert f"sum = {1 + 2 + 4 + 5 + 10 + 11 + 13 + 14}\n" in text


def test_of_a_large_matrix_the_surroundings_are_shown() -> None:
    text = at(np.arange(10000).reshape(100, 100), np.ones((3, 3), int), (50, 60))
    assert "rows 48–54, columns 58–64 of the matrix:" in text
    assert " [5060][5061][5062] " in text
    assert text.count("[5060]") == 1
    for corner in itertools.product((0, 97), repeat=2):
        assert f"[{100 * corner[0] + corner[1]}]".rjust(6) in at(
            np.arange(10000).reshape(100, 100), np.ones((3, 3), int), corner
        ).replace("[ ", " [").replace("[ ", " [").replace("[ ", " [")


def test_padding_stands_in_parentheses() -> None:
    text = at(np.arange(1, 10).reshape(3, 3), np.ones((3, 3), int), (0, 0), Options(padding=1))
    assert "5 cells of this window on padding (zeros), in parentheses:" in text
    assert "  (0)(0)(0)\n  (0) 1  2\n  (0) 4  5\n" in text
    how = Options(padding=1, padding_mode="reflect")
    text = at(np.arange(1, 10).reshape(3, 3), np.ones((3, 3), int), (0, 0), how)
    assert "  (5)(4)(5)\n  (2) 1  2\n  (5) 4  5\n" in text
    assert "parentheses" not in at(np.ones((3, 3)), np.ones((3, 3)), (1, 1), Options(padding=1))


def test_padding_of_every_channel() -> None:
    cells = np.arange(18).reshape(2, 3, 3)
    text = at(cells, np.ones((2, 2, 2), int), (0, 0), Options(padding=1, summed=True))
    assert "channel 0:\n  (0)(0)\n  (0) 0\n" in text
    assert "channel 1:\n  (0)(0)\n  (0) 9\n" in text


def test_a_window_wholly_on_padding() -> None:
    text = at(np.arange(40).reshape(2, 20), np.ones((2, 2), int), (0, 0), Options(padding=4))
    assert "sum = 0\n" in text
    assert "4 cells of this window on padding" in text


SUM = re.compile(r"^sum = (\S+)(?: \(the products as shown add up to that within (\S+)\))?$", re.M)


@pytest.mark.parametrize(
    ("matrix", "filter"),
    [
        (np.random.default_rng(0).normal(size=(5, 5)), BOX),
        (np.ones((5, 5)), BOX),
        (np.random.default_rng(0).normal(size=(5, 5)) * 1e7, BOX),
        (np.random.default_rng(0).normal(size=(5, 5)) * 1e-9, BOX),
        (np.full((3, 3), 1e7), np.full((3, 3), 1e-7 / 3)),
        (np.arange(25).reshape(5, 5) / 4, np.ones((3, 3)) / 2),
        (np.arange(25).reshape(5, 5) * 12345678, np.ones((3, 3), int)),
        (np.arange(25).reshape(5, 5), np.ones((3, 3), int)),
    ],
)
def test_what_is_shown_adds_up_or_the_line_says_by_how_much_it_does_not(
    matrix: Array, filter: Any
) -> None:
    made = apply_filter(matrix, filter, Options())
    chosen = list(output_indices(made.output.shape))[:4]
    text = page(matrix, filter, indices=tuple(chosen))
    found = SUM.findall(text.replace("\nwithin", " within"))
    products = [e[2].values for e in equations_of(text) if len(e) == 3]
    assert len(found) == len(products) == len(chosen)
    for (total, off), product in zip(found, products, strict=True):
        missed = abs(sum(map(Decimal, map(repr, product.ravel().tolist()))) - Decimal(total))
        if missed == 0:
            assert off == ""
        else:
            assert float(off) == pytest.approx(float(missed), rel=0.6)
    exact = matrix.dtype.kind == "i" and matrix.max() < 10**6
    assert all(off == "" for _, off in found) or not exact


def test_sums_that_are_not_finite() -> None:
    terms, kind = [np.array([[np.inf, 1.0]])] * 3, np.dtype(float)
    assert sum_line(terms, np.inf, kind, Extent()) == "sum = inf"
    assert sum_line(terms, np.nan, kind, Extent()) == "sum = nan"


ROUNDED_SUMS = {
    "float16": ([[2048, 1, 1, 1]], "f2", "2051", "2052", "1"),
    "float32": ([[16777216, 1, 1, 1]], "f4", "16777219", "16777220", "1"),
    "fractions": ([[0.1, 0.2, 0.4, 1000]], "f2", "1000.7", "1000.5", None),
}


@pytest.mark.parametrize("case", ROUNDED_SUMS)
def test_the_sum_of_a_window_is_the_output_as_it_was_rounded(case: str) -> None:
    cells, dtype, exact, shown, off = ROUNDED_SUMS[case]
    matrix = np.array(cells, dtype)
    text = page(matrix, np.ones((1, 4), int), indices=((0, 0),))
    (found,) = SUM.findall(text.replace("\nwithin", " within"))
    assert found[0] == shown
    assert float(found[0]) == float(apply_filter(matrix, np.ones((1, 4)), Options()).output[0, 0])
    assert exact not in text
    assert off is None or found[1] == off


OVERFLOWS = {
    "float16": (np.full((3, 3), 30000, "f2"), 1, "270000", "float16, which ends at 65504"),
    "float32": (np.full((3, 3), 3e38, "f4"), 1, "2.700000e39", "float32, which ends at 3.4028e38"),
    "float64": (np.full((3, 3), 1e308), 1, "9.000e+308", "float64, which ends at 1.7977e308"),
    "negative": (np.full((3, 3), -30000, "f2"), 1, "-270000", "float16, which ends at 65504"),
}


@pytest.mark.parametrize("case", OVERFLOWS)
def test_a_sum_beyond_its_type_is_said_in_words(case: str) -> None:
    matrix, tap, exact, ends = OVERFLOWS[case]
    text = page(matrix, np.full((3, 3), tap), indices=((0, 0),)).replace("\n", " ")
    infinite = "-inf" if case == "negative" else "inf"
    assert f"sum = {infinite}: the products add up to {exact}, beyond {ends}" in text
    assert "1 output is not finite though the cells and the filter are" in text


def test_a_product_beyond_float64_is_said_in_words() -> None:
    text = page(np.full((1, 2), 1e200), np.full((1, 2), 1e200), indices=((0, 0),))
    assert "sum = inf: a product is beyond float64" in text.replace("\n", " ")


def test_infinity_that_was_in_the_matrix_is_no_overflow() -> None:
    matrix = np.full((3, 4), 30000, "f2")
    matrix[0, 0] = np.inf
    text = page(matrix, np.ones((3, 3), int), indices=((0, 0),))
    assert "sum = inf\n" in text
    assert "1 output is not finite though the cells" in text  # the other one
    matrix = np.array([[np.inf, 1.0, 2.0]])
    assert "not finite" not in page(matrix, np.ones((1, 2), int))


def test_sums_of_the_backward_pass_are_the_gradients() -> None:
    rng = np.random.default_rng(1)
    matrix, upstream = rng.normal(size=(4, 4)) * 2**60, rng.normal(size=(3, 3))
    made = apply_filter(matrix, np.ones((2, 2)), Options())
    back = backward_pass(made, upstream)
    text = page(matrix, np.ones((2, 2)), backward=back)
    totals = [float(total) for total, _ in SUM.findall(text.replace("\nwithin", " within"))]
    shown = [*back.filter_gradient.ravel(), back.matrix_gradient[2, 2]]
    np.testing.assert_allclose(totals, shown, rtol=1e-6)


# Width, and colour


@pytest.mark.parametrize("width", mostly_slow([80, 40, 120], 3))
@pytest.mark.parametrize("scale", [1, 1e4, 1e-5])
def test_no_line_is_wider_than_the_screen(width: int, scale: float) -> None:
    rng = np.random.default_rng(0)
    matrix, filter = rng.normal(size=(16, 16)) * scale, rng.normal(size=(14, 13))
    how = Options(padding=2)
    made = apply_filter(matrix, filter, how)
    text = page(
        matrix,
        filter,
        how,
        width=width,
        indices=((0, 0), (5, 6)),
        compare=True,
        backward=backward_pass(made, np.ones(made.output.shape)),
    )
    assert max(map(len, text.splitlines())) <= width
    assert not re.search(r"\d…", text)


def heat(array: Numbers) -> str:
    made = apply_filter(np.asarray(array), np.array([[1]]), Options())
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system="truecolor", width=80)
    console.print(TerminalPage(filtering_page(ExplainedFilter(made, ("m", "f")), Extent())))
    return file.getvalue().split("output", 1)[1]


def test_the_heat_map_is_coloured_by_sign_and_size() -> None:
    lines = heat([[4, -4, 0, 1]]).splitlines()
    coloured = re.findall(r"\x1b\[([\d;]+48;2;[\d;]+)m\s*(-?\d+) ", lines[-1])
    colours = {
        number: tuple(map(int, code.split("48;2;")[1].split(";"))) for code, number in coloured
    }
    assert set(colours) == {"4", "-4", "1"}  # zero has no colour
    assert colours["4"][0] > colours["4"][2]
    assert colours["-4"][0] < colours["-4"][2]
    assert colours["1"][1] > colours["4"][1]  # the smaller, the paler


def test_the_heat_map_can_be_read_without_colour() -> None:
    text = page([[4, -4, 0, 1]], [[1]])
    assert text.endswith("output  1×4\n  4  -4   0   1 \n")
    assert "\x1b" not in text


def test_a_large_output_is_shortened_with_its_statistics() -> None:
    text = page(np.arange(10000.0).reshape(100, 100), [[1]])
    assert "output  100×100" in text
    assert "from 0 to 9999" in text.replace("9.999e3", "9999").replace("9999.", "9999")
    assert len(text.splitlines()) < 30


def test_rows_and_columns_are_those_of_the_output() -> None:
    text = page(np.arange(100).reshape(10, 10), np.ones((3, 3), int), extent=Extent(range(6, 8)))
    whole = apply_filter(np.arange(100).reshape(10, 10), np.ones((3, 3), int), Options()).output
    last = text.split("output  8×8")[1].split()
    assert list(map(int, last)) == whole[6:8].ravel().tolist()


# Channels


CUBE = np.arange(36).reshape(3, 3, 4) % 7


@pytest.mark.parametrize(
    ("filter", "how", "told"),
    [
        (
            CUBE[:, :2, :2],
            Options(),
            "Each of 3 channels is filtered by itself, with a filter of its",
        ),
        (
            CUBE[0, :2, :2],
            Options(),
            "Each of 3 channels is filtered by itself, with the same filter;",
        ),
        (
            CUBE[:, :2, :2],
            Options(summed=True),
            "The products of 3 channels are summed, as in a conv",
        ),
        (
            CUBE[0, :2, :2],
            Options(summed=True),
            "3 channels, all with the same filter, are summed, as",
        ),
    ],
)
def test_what_becomes_of_channels_is_said(filter: Array, how: Options, told: str) -> None:
    assert told in page(CUBE, filter, how).replace("\n", " ")
    made = apply_filter(CUBE, filter, how)
    record = record_of(made)
    assert list(record)[-1] == "channels"
    assert record["channels"] == ("sum" if how.get("summed") else "each")
    assert record["output"] == made.output.tolist()


def test_the_products_of_one_channel() -> None:
    text = at(CUBE, CUBE[:, :2, :2], (2, 1, 0))
    shown = text[text.index("output [1,0] of channel 2") :]
    marked = [row for row in shown.splitlines() if "[ " in row or re.search(r"\[\d\]", row)][:2]
    for row, cells in zip(marked, CUBE[2, 1:], strict=True):
        assert [int(x) for x in re.findall(r"\d", row)] == cells.tolist()
    terms = next(terms for terms in equations_of(shown) if len(terms) == 3)
    np.testing.assert_array_equal(terms[0].values, CUBE[2, 1:3, :2])
    np.testing.assert_array_equal(terms[1].values, CUBE[2, :2, :2])
    np.testing.assert_array_equal(terms[2].values, CUBE[2, 1:3, :2] * CUBE[2, :2, :2])
    assert f"sum = {(CUBE[2, 1:3, :2] * CUBE[2, :2, :2]).sum()}\n" in shown


def test_json_of_a_window_of_one_channel() -> None:
    made = apply_filter(CUBE, CUBE[:, :2, :2], Options())
    (each,) = record_of(made, indices=((1, 0, 2),))["windows"]
    assert list(each) == ["at", "channel", "window", "filter", "hadamard", "sum"]
    assert (each["at"], each["channel"]) == ([0, 2], 1)
    assert each["sum"] == made.output[1, 0, 2]


def test_of_many_channels_some_are_shown() -> None:
    matrix = np.arange(60).reshape(10, 2, 3)
    text = page(matrix, [[1]])
    assert "channel 3: 2×3" in text
    assert "channel 4: 2×3" not in text
    assert "… and 6 more channels like these\noutput: 10×2×3, norm" in text
    assert "channel 9: 2×3" in page(matrix, [[1]], extent=Extent(full=True))
    summed = at(matrix, [[1]], (0, 0), Options(summed=True))
    assert "… and 6 more channels like these" in summed


@pytest.mark.parametrize("own", [True, False])
def test_the_way_back_of_channels_as_products(own: bool) -> None:
    filter = CUBE[:, :2, :2] if own else CUBE[0, :2, :2]
    made = apply_filter(CUBE, filter, Options())
    back = backward_pass(made, np.arange(18).reshape(made.output.shape))
    text = page(CUBE, filter, backward=back, extent=Extent(full=True)).split("backward")[1]
    totals = re.findall(r"sum = (-?\d+)", text)
    assert list(map(int, totals)) == [
        *back.filter_gradient.ravel().tolist(), back.matrix_gradient[0, 1, 2]
    ]  # fmt: skip
    for terms in equations_of(text):
        if len(terms) == 3:
            np.testing.assert_array_equal(terms[0].values * terms[1].values, terms[2].values)


# Side by side, and backward


def test_correlation_and_convolution_side_by_side() -> None:
    matrix, filter = np.arange(16).reshape(4, 4), np.array([[0, 1], [2, 0]])
    for flip in (False, True):
        text = page(matrix, filter, Options(flip=flip), compare=True).split("correlation and")[1]
        (terms,) = equations_of(text)
        made = {term.symbol: term.values for term in terms}
        np.testing.assert_array_equal(
            made["correlation"], apply_filter(matrix, filter, Options()).output
        )
        np.testing.assert_array_equal(
            made["convolution"], apply_filter(matrix, filter, Options(flip=True)).output
        )
        np.testing.assert_array_equal(made["difference"], made["convolution"] - made["correlation"])


def test_the_way_back_as_products() -> None:
    matrix, filter = np.arange(16).reshape(4, 4), np.array([[0, 1], [2, 0]])
    made = apply_filter(matrix, filter, Options(stride=(2, 1), flip=True))
    back = backward_pass(made, np.arange(6).reshape(made.output.shape))
    text = page(matrix, filter, Options(stride=(2, 1), flip=True), backward=back).split("backward")[
        1
    ]
    terms = list(equations_of(text))
    products = [e for e in terms if len(e) == 3]
    assert len(products) == 4 + 1  # each tap, and one cell
    for windows, upstream, product in products:
        np.testing.assert_array_equal(windows.values * upstream.values, product.values)
    totals = [p[2].values.sum() for p in products]
    np.testing.assert_array_equal(totals[:4], back.filter_gradient.ravel())
    assert totals[4] == back.matrix_gradient[2, 2]
    assert "PASSED: 20 entries against differences" in text


def test_the_way_back_of_what_is_not_finite() -> None:
    matrix = np.ones((3, 3))
    matrix[0, 0] = np.nan
    back = backward_pass(apply_filter(matrix, np.ones((2, 2)), Options()), np.ones((2, 2)))
    text = page(matrix, np.ones((2, 2)), backward=back, compare=True)
    assert "Not checked against differences" in text
    assert "PASSED" not in text


# JSON


def test_json() -> None:
    matrix, filter = np.arange(16).reshape(4, 4), np.array([[0, 1], [2, 0]])
    made = apply_filter(matrix, filter, Options(flip=True))
    record = record_of(made, indices=((1, 2),))
    assert list(record) == [
        *("schema", "matrix_shape", "filter_shape", "output_shape", "output", "windows")
    ]
    assert record["windows"] == [
        {
            "at": [1, 2],
            "window": [[6, 7], [10, 11]],
            "filter": [[0, 2], [1, 0]],
            "hadamard": [[0, 14], [10, 0]],
            "sum": 24,
        }
    ]
    back = backward_pass(made, np.ones((3, 3)))
    more = record_of(made, other=other_of(made), backward=back)
    assert list(more)[:6] == list(record)
    assert more["convolution"] == record["output"]
    assert more["correlation"] == apply_filter(matrix, filter, Options()).output.tolist()
    assert more["backward"]["filter_gradient"] == back.filter_gradient.tolist()
    assert more["backward"]["check"]["passed"] is True


# The bar


def terminal(height: int = 60) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=True, width=80, height=height), file


def test_a_bar_for_what_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    console, file = terminal()
    with streams.DelayedProgressBar(lambda: console) as progress:
        progress(1, 10)
    assert file.getvalue() == ""
    monkeypatch.setattr(streams, "PATIENCE", 0)
    with streams.DelayedProgressBar(lambda: console) as progress:
        progress(1, 10)
        progress(2, None)
        time.sleep(0.01)
    assert file.getvalue() != ""
    file = io.StringIO()
    pipe = Console(file=file)
    with streams.DelayedProgressBar(lambda: pipe) as progress:
        progress(1, 10)
    assert file.getvalue() == ""
