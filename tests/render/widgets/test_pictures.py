"""Images drawn with characters: which pixel goes where, in colour and without."""

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from rich.segment import Segment

from nncli.nn.arrays import Array
from nncli.render.widgets.pictures import RAMP, Gallery, Picture, boxes


def drawn(
    pictures: list[Picture], width: int = 80, rows: int = 2, **options: Any
) -> list[list[Segment]]:
    """The lines of a gallery, as segments."""
    console = Console(width=width, file=io.StringIO(), **options)
    segments = console.render(Gallery(pictures, rows), console.options)
    return [list(line) for line in Segment.split_lines(segments)]


def text(lines: list[list[Segment]]) -> list[str]:
    return ["".join(segment.text for segment in line) for line in lines]


COLOUR: dict[str, Any] = {"force_terminal": True, "color_system": "truecolor", "no_color": False}
PLAIN: dict[str, Any] = {"color_system": None}


def pixels_of(lines: list[list[Segment]], columns: int) -> list[list[tuple[int, ...]]]:
    """The colours of half blocks, a row of pixels after the other."""
    made = []
    for line in lines:
        cells = [segment for segment in line if segment.text == "▀"][:columns]
        for colour in ("color", "bgcolor"):
            found = [getattr(cell.style, colour) for cell in cells]
            if all(found):
                made.append([tuple(c.get_truecolor()) for c in found])
    return made


def image(rows: int, columns: int, channels: int = 1) -> Array:
    return np.arange(float(channels * rows * columns)).reshape(channels, rows, columns)


def test_half_blocks_hold_two_rows_a_line() -> None:
    picture = image(20, 30)
    lines = drawn([Picture(picture, ("x",))], **COLOUR)
    found = np.array(pixels_of(lines[:10], 30))
    grey = np.rint(picture[0] / picture.max() * 255)
    np.testing.assert_array_equal(found, np.repeat(grey[:, :, None], 3, axis=2))
    assert text(lines[10:]) == ["x"]


def test_an_odd_row_at_the_end_has_nothing_below_it() -> None:
    lines = drawn([Picture(image(5, 30), ("x",))], **COLOUR)
    assert len(lines) == 4
    styles = [segment.style for segment in lines[2] if segment.text == "▀"]
    assert {style.bgcolor for style in styles if style is not None} == {None}
    assert None not in styles
    assert len(pixels_of(lines[:3], 30)) == 5


def test_three_channels_are_red_green_and_blue() -> None:
    picture = np.zeros((3, 2, 20))
    picture[0, 0], picture[2, 1] = 1, 1
    found = pixels_of(drawn([Picture(picture, ("x",))], **COLOUR)[:1], 20)
    assert [set(row) for row in found] == [{(255, 0, 0)}, {(0, 0, 255)}]


def test_small_images_are_shown_twice_as_large() -> None:
    found = pixels_of(drawn([Picture(image(2, 3), ("x",))], **COLOUR)[:2], 6)
    assert len(found) == 4
    assert found[0] == found[1]
    assert [row[::2] for row in found] == [row[1::2] for row in found]


def test_large_images_are_shrunk_to_means() -> None:
    picture = image(100, 200)
    shrunk = boxes(picture, 7)
    assert shrunk.shape == (1, 15, 29)
    for i, j in ((0, 0), (3, 5), (14, 28)):
        square = picture[0, 7 * i : 7 * i + 7, 7 * j : 7 * j + 7]
        assert shrunk[0, i, j] == pytest.approx(square.mean())
    assert max(map(len, text(drawn([Picture(picture, ("x",))], **PLAIN)))) <= 40


def test_without_colour_brighter_is_a_denser_character() -> None:
    picture = np.repeat(np.linspace(0, 1, 20)[None, None], 2, axis=1)
    (line,) = text(drawn([Picture(picture, ())], **PLAIN))
    levels = [RAMP.index(character) for character in line]
    assert levels == sorted(levels)
    assert (line[0], line[-1]) == (RAMP[0], RAMP[-1])


@pytest.mark.parametrize(
    "options",
    [PLAIN, COLOUR | {"no_color": True}],
    ids=["no colour at all", "NO_COLOR"],
)
def test_no_half_block_without_colour(options: dict[str, Any]) -> None:
    assert "▀" not in "".join(text(drawn([Picture(image(20, 20), ("x",))], **options)))


def test_an_image_of_one_value_is_dark() -> None:
    assert text(drawn([Picture(np.ones((1, 2, 20)), ())], **PLAIN)) == [""]


@pytest.mark.parametrize(("width", "each"), [(20, 1), (51, 1), (52, 2), (80, 3), (133, 5)])
def test_as_many_side_by_side_as_the_width_takes(width: int, each: int) -> None:
    pictures = [Picture(image(2, 20), (f"number {k}", "c" * 25)) for k in
                range(20)]  # fmt: skip
    lines = text(drawn(pictures, width, **PLAIN))
    captions = [line.split("number") for line in lines if "number" in line]
    assert [len(parts) - 1 for parts in captions] == [each, each]
    assert lines[-1] == f"… and {20 - 2 * each} more"
    assert max(map(len, lines)) <= width
    assert lines[1].index("number 0") == 0


def test_a_caption_cannot_act() -> None:
    (line,) = text(drawn([Picture(image(2, 20), ("\x1b[31m[red]",))], **PLAIN)[1:])
    assert line == "\\x1b[31m[red]"
