"""Times of layers: every layer has its own, and measuring changes nothing."""

import numpy as np
import pytest

from nncli.inspection import timing
from nncli.inspection.timing import time_step
from nncli.nn.layers import AvgPool, Conv, Dense
from nncli.nn.network import build_network


@pytest.mark.parametrize("cost", ["quadratic", "cross_entropy"])
def test_every_layer_has_its_time_and_nothing_is_learnt(
    cost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "MEASURED", 0.0)
    layers = [Conv(filters=2, kernel=(3, 3)), AvgPool(size=(2, 2)), Dense(units=3)]
    network = build_network(layers, (1, 6, 6), cost, np.float32, np.random.default_rng(0))
    before = network.parameters.copy()
    measured = time_step(network, 4)
    assert (network.parameters == before).all()
    assert len(measured.layers) == len(network.layers) == 4
    assert all(time.forward > 0 and time.backward > 0 for time in measured.layers)
    assert measured.passes == timing.MIN_PASSES
    assert measured.step > 0


def test_a_slow_layer_is_told_from_a_quick_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "MEASURED", 0.05)
    layers = [Dense(units=2000), Dense(units=2)]
    network = build_network(layers, (500,), "quadratic", np.float32, np.random.default_rng(0))
    slow, quick = time_step(network, 50).layers
    assert slow.forward > quick.forward
    assert slow.backward > quick.backward
