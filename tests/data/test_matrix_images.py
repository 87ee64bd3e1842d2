"""Matrices read from images."""

import builtins
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nncli.data.readers import files, images
from nncli.data.readers.matrices import read_matrix, write_matrix
from tests.data.conftest import problems, told_if_any
from tests.data.matrices import (
    ALPHA,
    COLOUR,
    COLOUR_IMAGE,
    GREY,
    GREY_IMAGE,
    HERE_IS_SAFE,
    REDUCED,
    SIXTEEN,
    encoded,
    grey_palette,
    piped,
    png,
    read,
    with_alpha,
)


@pytest.mark.parametrize(
    ("image", "format", "array", "notes"),
    [
        pytest.param(
            GREY_IMAGE.point(lambda v: 255 * (v > 99), "1"), "PNG", 255 * (GREY > 99), [], id="1"
        ),
        pytest.param(GREY_IMAGE, "PNG", GREY, [], id="L"),
        pytest.param(with_alpha(GREY_IMAGE), "PNG", GREY, [ALPHA], id="LA"),
        pytest.param(COLOUR_IMAGE.quantize(256), "PNG", COLOUR, [], id="P"),
        pytest.param(grey_palette(), "PNG", GREY, [], id="P, all grey"),
        pytest.param(COLOUR_IMAGE, "PNG", COLOUR, [], id="RGB"),
        pytest.param(with_alpha(COLOUR_IMAGE), "PNG", COLOUR, [ALPHA], id="RGBA"),
        pytest.param(Image.fromarray(SIXTEEN), "PNG", SIXTEEN, [], id="I;16"),
        pytest.param(Image.fromarray(SIXTEEN), "TIFF", SIXTEEN, [], id="I;16 tiff"),
        pytest.param(Image.fromarray(SIXTEEN.astype(">u2")), "TIFF", SIXTEEN, [], id="I;16B"),
        pytest.param(Image.fromarray(SIXTEEN.astype(np.int32)), "PPM", SIXTEEN, [], id="I, pgm"),
        pytest.param(
            Image.fromarray(GREY.astype(np.float32) / 7),
            "TIFF",
            GREY.astype(np.float32) / 7,
            [],
            id="F",
        ),
        pytest.param(
            COLOUR_IMAGE.convert("CMYK"),
            "TIFF",
            COLOUR,
            ["its CMYK colours were converted to RGB"],
            id="CMYK",
        ),
        pytest.param(COLOUR_IMAGE, "BMP", COLOUR, [], id="bmp"),
        pytest.param(COLOUR_IMAGE, "PPM", COLOUR, [], id="ppm"),
        pytest.param(GREY_IMAGE, "PPM", GREY, [], id="pgm"),
    ],
)
def test_images_of_all_modes(image: Any, format: str, array: Any, notes: Any) -> None:
    content = encoded(image, format)
    suffix = next(s for s, name in images.PILLOW_FORMATS.items() if name == format)
    for matrix in (read(f"m{suffix}", content), piped(content), read("m.unknown", content)):
        assert matrix.kind == "image"
        assert matrix.array.dtype == (np.uint8 if array.dtype == int else array.dtype)
        assert np.array_equal(matrix.array, array)
        assert matrix.notes == tuple(f"{matrix.name}: {note}" for note in notes)


@pytest.mark.parametrize(("colour", "channels", "notes"), [
    (0, 1, []), (2, 3, [REDUCED]), (4, 2, [ALPHA, REDUCED]), (6, 4, [ALPHA, REDUCED]),
])  # fmt: skip
def test_16_bits_are_kept_or_noted(colour: int, channels: int, notes: Any) -> None:
    matrix = piped(png(2, 1, 16, colour, b"\0" + bytes(range(4 * channels))))
    assert matrix.notes == tuple(f"standard input: {note}" for note in notes)
    assert matrix.array.shape == ((1, 2) if colour in (0, 4) else (3, 1, 2))
    if colour == 0:
        assert matrix.array.tolist() == [[0x0001, 0x0203]]


def test_scaled_values_and_further_images_are_noted() -> None:
    matrix = read("m.pgm", "P2\n# one row\n3 1\n15\n0 1 15\n")
    assert matrix.array.tolist() == [[0, 17, 255]]
    assert matrix.notes == ("m.pgm: its values 0 to 15 were scaled to 0 to 255",)
    two = encoded(GREY_IMAGE, "TIFF", save_all=True, append_images=[GREY_IMAGE])
    assert read("m.tif", two).notes == ("m.tif: holds 2 images; the first was read",)


def test_words_that_begin_like_an_image_are_text() -> None:
    assert piped("P1 P2\n1 2\n").array.tolist() == [[1, 2]]


def test_mistakes_in_images() -> None:
    whole = encoded(COLOUR_IMAGE, "PNG")
    assert problems(read, "m.png", whole[:50]) == [
        "m.png: is damaged or cut off: it cannot be read as PNG"
    ]
    assert problems(read, "m.png", "hello") == [
        "m.png: is no image, or of a format other than PNG, JPEG, PPM, BMP, TIFF, WEBP, GIF"
    ]
    assert problems(read, "m.png", whole[:12]) == [
        "m.png: is damaged or cut off: it cannot be read as PNG"
    ]
    nan = Image.fromarray(np.array([[1, np.nan]], np.float32))
    assert problems(read, "m.tif", encoded(nan, "TIFF")) == [
        "m.tif: row 1, column 2 (element [0, 1]): nan is not a finite number"
    ]


@pytest.mark.parametrize(("mode", "side"), [("L", 1000), ("RGB", 550), ("I;16", 700)])
def test_an_image_that_expands_too_far_is_refused_before_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch, mode: str, side: int
) -> None:
    monkeypatch.setattr(files, "RATIO_FROM", 1 << 20)
    content = encoded(Image.new(mode, (side, side)), "PNG")
    assert read("m.png", content).array.shape[-1] == side  # 1 MB at most
    content = encoded(Image.new(mode, (2 * side, 2 * side)), "PNG")
    assert problems(read, "m.png", content) == [
        "m.png: expands to more than 200 times its size; refused as a decompression bomb"
    ]


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_an_image_bomb_is_refused(side: int) -> None:
    assert problems(read, "m.png", png(side, side, 8, 0, b"\0")) == [
        "m.png: has more than 89,478,485 pixels; refused as a decompression bomb"
    ]


@HERE_IS_SAFE
@given(st.data())
def test_no_damaged_image_ends_in_another_error(data: Any) -> None:
    format = data.draw(st.sampled_from(["PNG", "JPEG", "PPM", "BMP", "WEBP"]))
    content = bytearray(encoded(COLOUR_IMAGE, format))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    told_if_any(piped, bytes(content[: data.draw(st.integers(0, len(content)))]))


def test_without_pillow_images_name_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(GREY_IMAGE, "PNG")
    real = builtins.__import__

    def refuse(name: Any, *rest: Any) -> Any:
        if name.startswith("PIL"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert problems(read, "cat.png", content) == [
        "cat.png: reading PNG needs Pillow: pip install 'nncli[images]'"
    ]
    assert problems(write_matrix, "new.jpg", GREY) == [
        "new.jpg: writing JPEG needs Pillow: pip install 'nncli[images]'"
    ]


@pytest.mark.parametrize("suffix", [".png", ".pgm", ".bmp", ".tif", ".webp"])
def test_grey_images_round_trip(suffix: str) -> None:
    assert write_matrix(f"m{suffix}", GREY) == ()
    back = read_matrix(f"m{suffix}").array
    assert np.array_equal(back, np.stack([GREY] * 3) if suffix == ".webp" else GREY)


@pytest.mark.parametrize("suffix", [".png", ".ppm", ".bmp", ".tiff", ".webp"])
def test_colour_images_round_trip(suffix: str) -> None:
    assert write_matrix(f"m{suffix}", COLOUR) == ()
    assert np.array_equal(read_matrix(f"m{suffix}").array, COLOUR)


def test_images_round_and_clip() -> None:
    notes = write_matrix("m.png", np.array([[[-0.4, 0.6, 254.6], [-3, 256, np.inf]]]))
    assert read_matrix("m.png").array.tolist() == [[0, 1, 255], [0, 255, 255]]
    assert notes == ("m.png: 3 of 6 values lay outside 0 to 255 and became 0 or 255",)
    assert write_matrix("m.jpg", GREY) == ("m.jpg: JPEG does not keep values exactly; PNG does",)
