"""Settings that hold a training up: each is named first, and taking it away helps."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncli
from nncli.app.diagnosed_settings import settings_of
from nncli.app.pipeline import prepare
from nncli.inspection.diagnosis import brakes
from nncli.inspection.diagnosis.record import Brakes, Gap, Place, Result
from nncli.spec import load_spec
from tests.app import sick
from tests.inspection.test_diagnosis import HEALTHY, changed

DENSE = [{"units": 12, "activation": "tanh"}, {"units": 3, "activation": "softmax"}]
IMAGE = {"data": {"shape": [1, 6, 6]}}
SOFTMAX = DENSE[1]


def spec(folder: Path, **changes: Any) -> Path:
    """A network that learns three clouds of points well in a blink, but for what is changed."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, 150)
    x = rng.normal(size=(150, 36)) + 0.9 * rng.normal(size=(3, 36))[y]
    data = {"validation": 0.2, **changes.pop("data", {})}
    network = [{"type": "dense", **layer} for layer in changes.pop("network", DENSE)]
    train = {"eta": 0.2, "epochs": 12, "cost": "cross_entropy", "threads": 1, **changes}
    plain = {"seed": 0, "data": data, "network": network, "train": train}
    return sick.write(sick.Case(x, y, plain), folder)


BRAKES: dict[str, dict[str, Any]] = {
    "unread_inputs": {
        **IMAGE,
        "network": [{"type": "conv", "filters": 4, "kernel": 1, "stride": 5}, SOFTMAX],
    },
    "frozen_layers": {"network": [{**layer, "freeze": True} for layer in DENSE]},
    "schedule": {"schedule": {"type": "exponential", "gamma": 0.001}, "eta": 0.01, "epochs": 60},
    "early_stop": {"early_stop": {"patience": 1, "min_delta": 0.7}, "eta": 0.02, "epochs": 60},
    "clipping": {"clip": {"norm": 1e-5}},
    "weight_decay": {"weight_decay": 1.0},
    "dropout": {"network": [DENSE[0], {"type": "dropout", "rate": 0.98}, SOFTMAX]},
    "class_weights": {"data": {"class_weights": {"0": 1000, "1": 0.001}}, "eta": 0.1},
    "small_batch": {
        "network": [DENSE[0], {"type": "batchnorm"}, DENSE[0], {"type": "batchnorm"}, SOFTMAX],
        "batch_size": 2,
        "eta": 0.5,
        "epochs": 6,
    },
}


@pytest.mark.parametrize("word", BRAKES)
def test_what_holds_a_training_up_comes_first(word: str, tmp_path: Path) -> None:
    found = nncli.diagnose(spec(tmp_path, **BRAKES[word])).findings
    assert found[0].cause == word
    tried = found[0].tried
    assert tried is not None
    assert tried.after is not None
    assert tried.before is None or tried.after > tried.before + 0.05


def test_what_a_spec_has_of_them(tmp_path: Path) -> None:
    path = spec(
        tmp_path,
        data={"shape": [1, 6, 6], "class_weights": {"0": 4, "2": 0.5}},
        network=[
            {"type": "conv", "filters": 2, "kernel": [2, 1], "stride": [2, 3], "freeze": ["bias"]},
            {"type": "batchnorm"},
            {"units": 4, "activation": "tanh", "freeze": True},
            {"type": "dropout", "rate": 0.5},
            SOFTMAX,
        ],
        clip={"value": 0.5},
        weight_decay=0.01,
        l1=0.002,
        early_stop={"patience": 3},
        schedule={"type": "step", "step_size": 2, "gamma": 0.05},
        epochs=9,
    )
    found = settings_of(prepare(load_spec(path))).brakes
    read = len({(r, c) for r in range(6) for c in range(6) if c % 3 == 0}) / 36
    assert found.gaps == (Gap(Place("conv1", 0), (2, 1), (2, 3), found.gaps[0].read),)
    assert found.gaps[0].read == pytest.approx(read)
    assert found.frozen == (Place("dense1", 2),)  # what trains its weights is not frozen
    assert found.faded == 5  # 0.05² of η
    assert found.early_stop == (3, 0)
    assert found.clip == {"value": 0.5}
    assert found.decays == {"weight_decay": 0.01, "l1": 0.002}
    assert found.dropouts == {Place("dropout1", 3): 0.5}
    assert found.class_weights == (0.5, 4)
    assert found.normalised == ("batchnorm1",)


def test_a_warm_up_is_no_fading(tmp_path: Path) -> None:
    for schedule, faded in (
        ({"type": "one_cycle"}, 12),
        ({"type": "plateau"}, None),
        ({"type": "constant"}, None),
    ):
        found = settings_of(prepare(load_spec(spec(tmp_path, schedule=schedule)))).brakes.faded
        assert found == faded, schedule


@pytest.mark.parametrize("word", ["dropout", "weight_decay", "clipping", "small_batch"])
def test_nothing_holds_up_a_training_that_fits(word: str) -> None:
    """Of a network that learns well no setting is suspected, however strong it is."""
    settings = HEALTHY.settings._replace(
        batch_size=2,
        brakes=Brakes(
            clip={"norm": 1e-9},
            decays={"l1": 3.0, "decoupled_weight_decay": 0.1},
            dropouts={Place("dropout1", 1): 0.99},
            normalised=("batchnorm1",),
        ),
    )
    suspect = getattr(brakes, word)
    for skill, is_one in ((0.95, False), (0.5, True)):
        evidence = replace(changed(train=Result(skill, 0.1)), settings=settings)
        assert (suspect(evidence) is not None) == is_one
    assert suspect(HEALTHY) is None
    said = brakes.weight_decay(replace(changed(train=Result(0.5, 0.1)), settings=settings))
    assert said is not None
    assert said.says == (
        "at each step l1 3 and decoupled_weight_decay 0.1 draw all weights towards 0"
    )
