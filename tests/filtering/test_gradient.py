"""The way back through a correlation, against plain loops."""

import itertools
from typing import Any

import numpy as np
import pytest

from nncli.filtering.correlate import correlate, correlate_gradient
from nncli.filtering.options import PADDING_MODES, Options
from nncli.nn.layers import Conv, Dense, Flatten
from nncli.nn.network import build_network
from nncli.nn.optimizers import sgd
from nncli.nn.step import Step
from tests.conftest import present
from tests.reference import correlate as loops

GEOMETRIES = [
    {"stride": (1, 1), "padding": "valid", "dilation": (1, 1)},
    {"stride": (2, 1), "padding": "same", "dilation": (1, 2)},
    {"stride": (1, 3), "padding": "full", "dilation": (1, 1)},
    {"stride": (2, 2), "padding": 1, "dilation": (2, 1)},
    {"stride": (1, 1), "padding": (0, 2), "dilation": (1, 1)},
]


def in_loops(image: Any, filter: Any, upstream: Any, **how: Any) -> Any:
    """∂C/∂image and ∂C/∂filter of Σ upstream · output: the output is linear in both.

    Each entry is what upstream makes of the output of a single one in its place.
    """

    def of(image: Any, filter: Any) -> float:
        return float(
            (np.array(loops.correlate(image.tolist(), filter.tolist(), **how)) * upstream).sum()
        )

    by_image, by_filter = np.zeros(image.shape), np.zeros(filter.shape)
    for made, which in ((by_image, 0), (by_filter, 1)):
        for place in np.ndindex(made.shape):
            unit = np.zeros(made.shape)
            unit[place] = 1
            made[place] = of(unit, filter) if which == 0 else of(image, unit)
    return by_image, by_filter


@pytest.mark.parametrize("mode", PADDING_MODES)
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_loops(mode: Any, flip: bool, geometry: Any) -> None:
    rng = np.random.default_rng(1)
    image, filter = rng.integers(-5, 6, (5, 6)), rng.integers(-3, 4, (2, 3))
    how: dict[str, Any] = {**geometry, "padding_mode": mode, "flip": flip}
    upstream = rng.integers(-4, 5, correlate(image, filter, **how).shape)
    expected = in_loops(image, filter, upstream, **how)
    made = correlate_gradient(image, filter, upstream, **how)
    for gradient, right in zip(made, expected, strict=True):
        assert gradient.dtype == np.float64
        np.testing.assert_array_equal(gradient, right)


@pytest.mark.parametrize(
    ("filters", "summed"), [(3, True), (3, False), (None, True), (None, False)]
)
def test_channels(filters: Any, summed: bool) -> None:
    """Of each channel alone; one filter for all of them has had a part in all."""
    rng = np.random.default_rng(2)
    image = rng.integers(-5, 6, (3, 5, 4))
    filter = rng.integers(-3, 4, (2, 2) if filters is None else (filters, 2, 2))
    how: dict[str, Any] = {"padding": "same", "padding_mode": "reflect", "flip": True}
    upstream = rng.integers(-4, 5, correlate(image, filter, **how, summed=summed).shape)
    by_image, by_filter = correlate_gradient(image, filter, upstream, **how, summed=summed)
    alone = [
        in_loops(
            image[c],
            filter if filters is None else filter[c],
            upstream if summed else upstream[c],
            **how,
        )
        for c in range(3)
    ]
    np.testing.assert_array_equal(by_image, [plane for plane, _ in alone])
    each = np.array([taps for _, taps in alone])
    np.testing.assert_array_equal(by_filter, each.sum(axis=0) if filters is None else each)


def test_differences() -> None:
    """Floats, by central differences of a cost that is not linear."""
    rng = np.random.default_rng(3)
    for mode, flip in itertools.product(PADDING_MODES, (False, True)):
        image, filter = rng.normal(size=(2, 5, 5)), rng.normal(size=(2, 3, 2))
        how = Options(padding=1, padding_mode=mode, flip=flip, stride=(2, 1), summed=True)
        made = correlate_gradient(image, filter, correlate(image, filter, **how), **how)
        for array, gradient in zip((image, filter), made, strict=True):
            for place in itertools.islice(np.ndindex(array.shape), 0, None, 5):
                costs, kept = [], array[place]
                for step in (1e-5, -1e-5):
                    array[place] = kept + step
                    costs.append(0.5 * np.square(correlate(image, filter, **how)).sum())
                array[place] = kept
                assert gradient[place] == pytest.approx((costs[0] - costs[1]) / 2e-5, abs=1e-7)


@pytest.mark.parametrize("padding", ["valid", "same", (2, 1)])
@pytest.mark.parametrize("steps", [((1, 1), (1, 1)), ((2, 3), (1, 2))])
def test_against_a_conv_layer_in_training(
    padding: Any, steps: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    """Its gradients are means over the samples, its filters have sent δ back together."""
    how = {"stride": steps[0], "dilation": steps[1], "padding": padding}
    rng = np.random.default_rng(4)
    layers = [Conv(filters=2, kernel=(3, 2), **how), Flatten(), Dense(units=3)]
    network = build_network(layers, (3, 7, 8), "quadratic", np.dtype(np.float64), rng)
    step = Step(network, sgd(network), 4)
    step.inputs[...], step.targets[...] = rng.normal(size=step.inputs.shape), 0.5
    weight = network.views(network.parameters)["conv1"]["weight"].copy()
    step.run(0.1, full=True)
    layer = step.layers[0]
    by_image, by_weight = np.zeros(step.inputs.shape), np.zeros(weight.shape)
    for x, f in np.ndindex(4, 2):
        delta = present(layer.delta)[f, ..., x]
        back = correlate_gradient(step.inputs[x], weight[f], delta, **how, summed=True)
        by_image[x] += back[0]
        by_weight[f] += back[1] / 4
    np.testing.assert_allclose(layer.gradients["weight"], by_weight, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(layer.downstream, np.moveaxis(by_image, 0, -1), atol=1e-15)


def test_what_is_given_stays_as_it_was() -> None:
    image, filter = np.arange(12.0).reshape(3, 4), np.ones((2, 2))
    correlate_gradient(image, filter, np.ones((2, 3)))
    np.testing.assert_array_equal(image, np.arange(12.0).reshape(3, 4))
    np.testing.assert_array_equal(filter, np.ones((2, 2)))
