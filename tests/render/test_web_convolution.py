"""The page of a filter over a matrix: what it carries, played in plain loops, is the record."""

from itertools import product
from typing import Any

import numpy as np
import pytest

from nncli.core.errors import NncliError
from nncli.filtering.options import Options
from nncli.filtering.record import Filtering, apply_filter, backward_pass
from nncli.nn.arrays import Array
from nncli.render.document import Heading, Page, Paragraph
from nncli.render.web import convolution
from nncli.render.web.convolution import carried, convolution_page, page_record

RNG = np.random.default_rng(5)
MODES = ("zeros", "reflect", "replicate", "circular", "symmetric")
CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], Options]] = {
    "plain": ((5, 6), (3, 2), Options()),
    "turned": ((5, 6), (3, 2), Options(flip=True, stride=(2, 1), dilation=(1, 2), padding=2)),
    "strides leave cells out": ((7, 8), (2, 3), Options(stride=(3, 2))),
    "gaps": ((8, 7), (3, 2), Options(dilation=(2, 3), padding="same")),
    "padding beyond any tap": ((3, 3), (2, 2), Options(padding=4, stride=(2, 3))),
    "channels summed": ((2, 5, 4), (2, 3, 3), Options(summed=True, padding=1, flip=True)),
    "channels apart": ((3, 5, 4), (3, 2, 2), Options(padding="full")),
    "one filter for all, summed": ((3, 5, 4), (2, 2), Options(summed=True)),
    "one filter for all, apart": ((3, 5, 4), (2, 2), Options(stride=(2, 2), padding=1)),
    **{
        f"{mode} {width}": (
            (4, 5),
            (2, 3),
            Options(padding=width, padding_mode=mode, stride=(1, 2), flip=width == "full"),
        )
        for mode in MODES
        for width in ("same", "full", 3)
    },
}


def filtered(name: str) -> Filtering:
    shape, taps, options = CASES[name]
    return apply_filter(RNG.normal(size=shape), RNG.normal(size=taps), options)


class Played:
    """An axis as `windows.js` reads it."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = {"gap": 1, "start": 0, "sources": None, "copies": None, **data}

    def source(self, p: int) -> int:
        """The index of the source's cell at a padded one; -1 for a zero."""
        data = self.data
        end = data["before"] + (data["size"] - 1) * data["gap"] + 1
        assert 0 <= p < end + data["after"], "a window beyond the padding"
        if data["before"] <= p < end:
            cell, between = divmod(p - data["before"], data["gap"])
            return -1 if between else int(cell)
        return data["sources"][p] if data["sources"] else -1

    def windows(self, output: int) -> list[list[int]]:
        data = self.data
        positions = data["copies"][output] if data["copies"] else [output]
        return [
            [
                self.source(data["start"] + at * data["stride"] + i * data["dilation"])
                for i in range(data["kernel"])
            ]
            for at in positions
        ]


def play(view: list[dict[str, Any]], source: Array, factor: Array) -> Array:
    """Σ window ⊙ factor for each output, in plain loops; the arrays are of one channel."""
    rows, columns = map(Played, view)
    made = np.zeros((rows.data["outputs"], columns.data["outputs"]))
    for r, c in np.ndindex(made.shape):
        for under_rows, under_columns in product(rows.windows(r), columns.windows(c)):
            for (i, row), (j, column) in product(enumerate(under_rows), enumerate(under_columns)):
                if row >= 0 and column >= 0:
                    made[r, c] += source[row, column] * factor[i, j]
    return made


@pytest.mark.parametrize("name", CASES)
def test_played_forward_it_is_the_output(name: str) -> None:
    done = filtered(name)
    arrays, view = carried(done, None), page_record(done, None)["views"]["output"]
    each = np.stack(
        [
            play(view, plane, arrays["filter"][k % len(arrays["filter"])])
            for k, plane in enumerate(arrays["matrix"])
        ]
    )
    if done.options.get("summed"):
        each = each.sum(axis=0, keepdims=True)
    np.testing.assert_allclose(each, arrays["output"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_played_backward_it_is_the_gradients(name: str) -> None:
    done = filtered(name)
    backward = backward_pass(done, RNG.normal(size=done.output.shape))
    arrays, views = carried(done, backward), page_record(done, backward)["views"]
    flows, filters = arrays["upstream"], arrays["filter"]
    taps, cells = [], []
    for k, plane in enumerate(arrays["matrix"]):
        flow, own = flows[k % len(flows)], filters[k % len(filters)]
        taps.append(play(views["filter"], plane, flow))
        cells.append(play(views["matrix"], flow, own[::-1, ::-1]))
    np.testing.assert_allclose(cells, arrays["matrix_gradient"], rtol=0, atol=1e-12)
    by_filter = np.stack(taps)
    if len(filters) == 1:
        by_filter = by_filter.sum(axis=0, keepdims=True)
    np.testing.assert_allclose(by_filter, arrays["filter_gradient"], rtol=0, atol=1e-12)


def test_all_integers_that_a_browser_counts_are_carried_exactly() -> None:
    wide = np.array([[2**40 + 1, -3], [5, 2**31]])
    arrays = carried(apply_filter(wide, np.array([[1]]), Options()), None)
    assert arrays["matrix"].tolist() == [wide.tolist()]
    assert arrays["output"].dtype == np.float64
    assert arrays["filter"].dtype == np.int64  # which a page carries as int32


def write(done: Filtering) -> bytes:
    page: Page = [Heading("t", 0), Paragraph("p"), Paragraph("the rest")]
    return convolution_page("t", done, None, page).document()


def test_integers_that_a_browser_rounds_are_refused() -> None:
    done = apply_filter(np.array([[2**27, 1]]), np.array([[2**27]]), Options())
    with pytest.raises(NncliError, match=r"integers of up to 1.8e\+16, and a browser counts"):
        write(done)


def test_too_large_a_page_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "LARGEST", 1_000_000)
    with pytest.raises(NncliError, match="matrix of 300 x 300 would carry 1 MB of numbers"):
        write(apply_filter(np.ones((300, 300)), np.ones((3, 3)), Options()))


def test_the_page_of_a_small_image_is_small() -> None:
    image = RNG.integers(0, 256, (28, 28), dtype=np.uint8)
    done = apply_filter(image, RNG.normal(size=(3, 3)), Options())
    assert len(write(done)) < 100_000


def test_pictures_are_those_of_bytes() -> None:
    image = np.zeros((3, 4, 4), np.uint8)
    for matrix, is_picture in ((image, True), (image.astype(int), False)):
        done = apply_filter(matrix, np.ones((2, 2)), Options())
        assert page_record(done, None)["is_picture"] is is_picture
