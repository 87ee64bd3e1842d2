"""Drawings: XML in which each number is the record's, nothing is fetched and no words overlap."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from nncli.filtering.record import apply_filter
from nncli.render.drawing import DIGIT
from nncli.render.pages.figures import network_figure, step_figure, window_figure
from nncli.render.text import Extent, number
from tests.conftest import CONFIGS, Run
from tests.inspection.traces import spec_trace

SPECS = sorted(path.stem for path in CONFIGS.glob("*.yaml") if "mnist" not in path.stem)
HOSTILE = "</text><script>alert(1)</script><img src=x onerror=alert(1)>&\x1b[31m\u202e"
TEXT = "{http://www.w3.org/2000/svg}text"


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float
    words: str

    def is_on(self, other: "Box") -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def boxes(svg: str) -> Iterator[Box]:
    """Of each text, what it takes at the least."""
    for text in ET.fromstring(svg).iter(TEXT):
        size, words = float(text.attrib["font-size"]), text.text or ""
        x, y = float(text.attrib["x"]), float(text.attrib["y"])
        length = 0.9 * DIGIT * size * len(words)
        left = x - {"start": 0.0, "middle": length / 2, "end": length}[text.attrib["text-anchor"]]
        yield Box(left, y - 0.7 * size, left + length, y, words)


def words_of(svg: str) -> list[str]:
    """The texts, with minus signs as Python writes them."""
    return [(text.text or "").replace("−", "-") for text in ET.fromstring(svg).iter(TEXT)]


def assert_sound(svg: str) -> None:
    root = ET.fromstring(svg)
    width, height = (float(root.attrib[key]) for key in ("width", "height"))
    found = list(boxes(svg))
    for one, other in combinations(found, 2):
        assert not one.is_on(other), (one, other)
    assert all(b.left >= 0 and b.right <= width and b.bottom <= height for b in found)
    assert not re.search(r"https?:", svg.replace("http://www.w3.org/2000/svg", ""))
    assert "@import" not in svg
    tags = [child.tag.rpartition("}")[2] for child in root]
    assert tags[:2] == ["title", "desc"]
    assert set(tags) <= {"title", "desc", "style", "rect", "path", "circle", "text"}


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("layer", [False, True])
def test_every_spec(name: str, layer: bool) -> None:
    trace = spec_trace(name, samples=None if "batchnorm" in name else (0,))
    chosen = next(x.name for x in trace.layers if x.delta is not None) if layer else None
    assert_sound(step_figure(trace, chosen, Extent()))


def test_units_and_weights_are_the_records() -> None:
    trace = spec_trace("two-two-two")
    words = words_of(network_figure(trace))
    for layer in trace.layers:
        assert layer.weight is not None
        assert layer.delta is not None
        for value in layer.weight.ravel():
            assert number(float(value), 3) in words
        for a, delta in zip(layer.a[0], layer.delta[0], strict=True):
            assert number(float(a), 4) in words
            assert f"δ {number(float(delta), 3)}" in words


def test_a_layer_is_its_hadamard_product() -> None:
    trace = spec_trace("two-two-two")
    words = words_of(step_figure(trace, "dense1", Extent()))
    for part in ("∂C/∂a", "⊙", "σ′(z)", "=", "δ", "0.008771", "0.241301", "0.036350"[:7]):
        assert any(part in text for text in words), part


@pytest.mark.parametrize(
    ("matrix", "filter", "options", "at"),
    [
        (np.arange(16.0).reshape(4, 4), np.eye(2), {}, (1, 2)),
        (np.arange(900.0).reshape(30, 30), np.ones((3, 3)), {"padding": "same"}, (0, 29)),
        (np.arange(48).reshape(3, 4, 4), np.ones((3, 2, 2), int), {"dilation": (2, 2)}, (1, 1, 1)),
    ],
    ids=["small", "padded", "channels"],
)
def test_a_window(matrix: object, filter: object, options: object, at: tuple[int, ...]) -> None:
    filtering = apply_filter(matrix, filter, options)  # type: ignore[arg-type]
    svg = window_figure(filtering, at, "m with f", Extent())
    assert_sound(svg)
    assert any(number(filtering.window(*at).sum, 6) in text for text in words_of(svg))
    assert svg.count('class="s"') >= 2  # the window, and the output


def test_hostile_names_are_text() -> None:
    svg = network_figure(replace(spec_trace("two-two-two"), name=HOSTILE))
    assert_sound(svg)
    assert any("<script>" in text for text in words_of(svg))
    assert "\x1b" not in svg
    assert "\u202e" not in svg


def test_by_the_suffix(nncli: Run) -> None:
    spec = CONFIGS / "two-two-two.yaml"
    assert nncli("inspect-grad", spec, "--check", "off", "-o", "step.svg").status == 0
    assert nncli("conv", "1 2; 3 4", "1 0; 0 1", "-o", "window.svg").status == 0
