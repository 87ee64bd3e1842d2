"""The film of a filter that slides over a matrix."""

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from nncli.core.errors import NncliError
from nncli.filtering.options import Options
from nncli.filtering.record import Filtering, apply_filter, output_indices
from nncli.nn.arrays import Shape
from nncli.render.document import HeatMap
from nncli.render.pages.film import FASTEST, PAUSE, SLOWEST, Film, play
from nncli.render.text import Extent
from tests.render.reading import on_screen

ONES = np.ones((2, 2), int)


def film_of(
    matrix: Any = None,
    places: Sequence[Shape] = (),
    extent: Extent | None = None,
    options: Options | None = None,
) -> Film:
    matrix = np.arange(9).reshape(3, 3) if matrix is None else matrix
    done: Filtering = apply_filter(matrix, ONES, options or Options())
    return Film(done, places, extent or Extent())


def frame(film: Film, width: int = 80, height: int = 60) -> str:
    return on_screen(film.page(width, height, keys=True), width)


def output(film: Film) -> list[list[str]]:
    """The cells of the output as they stand on the screen."""
    text = frame(film).split("\noutput  ")[1]
    return [line.split() for line in text.split("\n\n")[0].splitlines()[1:]]


def test_the_output_fills_cell_by_cell_and_the_last_one_is_marked() -> None:
    film = film_of()
    assert output(film) == [["[8]", "·"], ["·", "·"]]
    film.press("")
    assert output(film) == [["8", "[12]"], ["·", "·"]]
    film.press("")
    film.press("")
    assert output(film) == [["8", "12"], ["20", "[24]"]]
    film.press("")  # and over again
    assert output(film) == [["[8]", "·"], ["·", "·"]]


def test_no_number_of_the_output_is_shown_before_its_window() -> None:
    film = film_of(np.arange(400).reshape(20, 20) ** 2)
    for _ in range(50):
        film.press("")
    text = frame(film, height=100)
    done = [str(x) for x in film.done.output.ravel()[51:]]
    assert not set(done) & set(re.findall(r"\d+", text.split("\noutput  ")[1]))
    assert f"[{film.done.output.ravel()[50]}]" in text


def test_where_the_output_is_large_the_part_around_the_window_is_shown() -> None:
    film = film_of(np.ones((40, 50), int))
    for k in (0, 700, 38 * 49 + 48):
        film.at = k
        place = film.place(k)
        heat = next(block for block in film.page(80, 99, keys=True) if isinstance(block, HeatMap))
        assert heat.made == place
        assert place[0] in heat.rows
        assert place[1] in heat.columns
        assert heat.label == (
            f"rows {heat.rows[0]}–{heat.rows[-1]}, columns {heat.columns[0]}–{heat.columns[-1]}"
        )
        assert len(heat.rows) == 12
        assert len(heat.columns) == 8


@pytest.mark.parametrize("summed", [True, False])
def test_places_are_those_of_every_window_in_turn(summed: bool) -> None:
    film = film_of(np.arange(36).reshape(3, 3, 4), options=Options(summed=summed))
    assert [film.place(k) for k in range(film.count)] == list(
        output_indices(film.done.output.shape)
    )


def test_channels_are_shown_in_turn_each_with_its_own_output() -> None:
    film = film_of(np.arange(18).reshape(2, 3, 3))
    for place, k, cells in (
        ("0,0", 0, [["[8]", "·"], ["·", "·"]]),
        ("0,0", 1, [["[44]", "·"], ["·", "·"]]),
        ("0,1", 0, [["8", "[12]"], ["·", "·"]]),
        ("0,1", 1, [["44", "[48]"], ["·", "·"]]),
    ):
        assert f"output [{place}] of channel {k}\n" in frame(film)
        assert output(film) == cells
        film.press("")


def test_chosen_places_alone_are_played_and_filled() -> None:
    film = film_of(np.arange(16).reshape(4, 4), [(0, 1), (2, 2)])
    assert output(film) == [["·", "[14]", "·"], ["·"] * 3, ["·"] * 3]
    film.press("right")
    assert output(film) == [["·", "14", "·"], ["·"] * 3, ["·", "·", "[50]"]]
    film.press("right")
    assert film.at == 1


def test_the_rows_asked_for_are_shown() -> None:
    film = film_of(np.arange(16).reshape(4, 4), extent=Extent(rows=range(1, 2)))
    assert output(film) == [["·", "·", "·"]]


def test_space_pauses_and_plays() -> None:
    film = film_of()
    film.press(" ")
    assert not film.is_playing
    film.press("")
    assert film.at == 0
    assert "paused" in frame(film)
    film.press(" ")
    film.press("")
    assert film.at == 1


@pytest.mark.parametrize(("on", "back"), [("right", "left"), ("n", "b")])
def test_stepping_pauses_and_stops_at_both_ends(on: str, back: str) -> None:
    film = film_of()
    film.press(back)
    assert (film.at, film.is_playing) == (0, False)
    for _ in range(9):
        film.press(on)
    assert film.at == film.count - 1 == 3
    film.press(back)
    assert output(film) == [["8", "12"], ["[20]", "·"]]


def test_the_speed_has_limits() -> None:
    film = film_of()
    film.press("+")
    assert film.pause == PAUSE / 2
    for _ in range(20):
        film.press("up")
    assert film.pause == FASTEST
    for _ in range(30):
        film.press("-")
    assert film.pause == SLOWEST


@pytest.mark.parametrize("key", ["q", "escape"])
def test_it_ends(key: str) -> None:
    film = film_of()
    film.press("x")
    film.press("unknown")
    assert not film.is_over
    assert film.at == 0
    film.press(key)
    assert film.is_over


def test_a_low_terminal_shows_what_is_around_the_window_then_the_products_alone() -> None:
    film = film_of(np.ones((12, 12), int))
    assert "rows 0–11" not in frame(film)
    middle = frame(film, height=24)
    assert "rows 0–4, columns 0–4 of the matrix" in middle
    assert "\noutput  rows 0–3, columns 0–7: 11×11" in middle
    low = frame(film, height=20)
    assert "sum = 4" in low
    assert "\noutput  " not in low
    assert "The output has no room here" in low


@pytest.mark.parametrize("width", [40, 80, 140])
@pytest.mark.parametrize("height", [12, 24, 50])
def test_a_frame_fits_the_terminal(width: int, height: int) -> None:
    film = film_of(np.arange(400).reshape(20, 20) * 1000)
    film.at = 200
    lines = frame(film, width, height).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) < height or "The output has no room here" in "\n".join(lines)


def test_a_usual_terminal_has_room_for_a_window_on_padding_and_the_output() -> None:
    film = film_of(np.arange(36).reshape(6, 6), options=Options(padding="same"))
    film.at = 5
    text = frame(film, 80, 24)
    assert len(text.splitlines()) < 24
    assert "\noutput  rows 0–3: 6×6" in text
    assert "in parentheses" in frame(film, 80, 40)


def test_it_plays_over_and_over_until_it_is_ended_and_the_cursor_is_back() -> None:
    keys = iter(["", "", "", "", "", "q"])
    waited: list[float | None] = []

    def read_key(seconds: float | None) -> str:
        waited.append(seconds)
        return next(keys)

    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, height=40)
    play(film_of(), console, read_key)
    text = file.getvalue()
    shown = re.findall(r"output \[(\d),(\d)\]", text)
    assert shown[:6] == [*map(tuple, ("00", "01", "10", "11", "00", "01"))]
    assert waited == [PAUSE] * 6
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def test_paused_it_waits_for_a_key_without_end() -> None:
    keys = iter([" ", "right", "q"])
    waited: list[float | None] = []

    def read_key(seconds: float | None) -> str:
        waited.append(seconds)
        return next(keys)

    play(film_of(), Console(file=io.StringIO(), force_terminal=True, height=40), read_key)
    assert waited == [PAUSE, None, None]


def test_without_keys_nothing_is_said_of_them() -> None:
    assert "pause" not in on_screen(film_of().page(80, 60, keys=False))


def test_no_film_in_a_pipe() -> None:
    with pytest.raises(NncliError, match="not in a pipe"):
        play(film_of(), Console(file=io.StringIO()), lambda seconds: "q")


def test_a_turned_filter_stands_beside_the_one_that_was_given() -> None:
    assert "turned filter" in frame(film_of(options=Options(flip=True)))
    assert "turned filter" not in frame(film_of())
