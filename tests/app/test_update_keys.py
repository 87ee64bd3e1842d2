"""Keys of a spec that change how parameters are updated: freeze, decay_biases, l1, clip."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncli
from nncli.app.inspect import inspect_step
from nncli.core.errors import InterruptedTraining, SpecError
from nncli.render.formats import write
from nncli.render.pages.breakdown import document
from nncli.render.pages.kinds import Choices
from nncli.spec import dump_spec, load_spec, parse_spec
from nncli.training.history import Epoch, Progress
from nncli.training.trainer import Trainer
from tests.conftest import CONFIGS
from tests.soak.kills import ending

SPEC = """
name: little
seed: 6
dtype: float64
data:
  train:
    inputs: [[0, 1], [1, 0], [1, 1], [0, 0], [2, 1], [1, 2], [2, 2], [0, 2]]
    targets: [0, 1, 0, 1, 0, 1, 0, 1]
network:
  - {type: dense, units: 4}
  - {type: batchnorm}
  - {type: dense, units: 2}
train: {eta: 0.5, epochs: 3, batch_size: 2}
"""


def spec_of(*overrides: str) -> nncli.Spec:
    return parse_spec(SPEC, overrides=overrides)


# M. Mazur, "A Step by Step Backpropagation Example" (2015), where biases stay as they are


def mazur(*overrides: str) -> nncli.Spec:
    frozen = ["network[0].freeze=[bias]", "network[1].freeze=bias"]
    return load_spec(CONFIGS / "two-two-two.yaml", [*frozen, *overrides])


def test_the_cost_after_the_published_step() -> None:
    trace = nncli.trace_step(mazur())
    assert trace.cost_before == pytest.approx(0.298371109, abs=5e-10)
    assert trace.cost_after == pytest.approx(0.291027924, abs=2e-7)  # printed with rounded weights
    assert trace.cost_after == pytest.approx(0.29102777, abs=5e-9)
    hidden, output = trace.layers
    assert output.weight_new is not None
    assert output.weight_new.T.ravel() == pytest.approx(
        [0.35891648, 0.408666186, 0.511301270, 0.561370121], abs=5e-9
    )
    for layer in (hidden, output):
        assert layer.bias_gradient is not None
        assert layer.bias_update is not None
        assert layer.bias_gradient.all()
        assert not layer.bias_update.any()
        assert np.array_equal(layer.bias_new, layer.bias)  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_published_cost_after_ten_thousand_steps() -> None:
    training = nncli.train(mazur("train.epochs=10000"))
    assert training.history[-1].train_cost == pytest.approx(0.0000351085, abs=5.1e-11)


# What reaches the optimizer


@pytest.mark.parametrize(
    ("freeze", "names"),
    [
        ("true", ["dense1.weight", "dense1.bias"]),
        ("[bias]", ["dense1.bias"]),
        ("[bias, weight]", ["dense1.weight", "dense1.bias"]),
        ("weight", ["dense1.weight"]),
        ("false", []),
        ("[]", []),
    ],
)
def test_what_is_frozen_stays(freeze: str, names: list[str]) -> None:
    overrides = [f"network[0].freeze={freeze}", "train.weight_decay=0.1", "train.momentum=0.9"]
    before = nncli.prepare(spec_of(*overrides)).network
    after = nncli.train(spec_of(*overrides)).network
    kept = [
        name
        for name, array in before.named(before.parameters).items()
        if array.tobytes() == after.named(after.parameters)[name].tobytes()
    ]
    assert kept == names


def test_a_layer_without_biases_has_none_to_freeze() -> None:
    layer = "{type: dense, units: 4, bias: false, freeze: true}"
    prepared = nncli.prepare(spec_of(f"network[0]={layer}"))
    assert [link.words() for link in prepared.links] == ["frozen dense1.weight"]


def test_gradients_of_what_is_frozen_are_proven() -> None:
    overrides = ["network[0].freeze=true", "train.clip={norm: 0.1}", "train.l1=0.01"]
    inspection = nncli.inspect(spec_of(*overrides), samples=None)
    assert inspection.check is not None
    assert inspection.check.verdict == "passed"
    assert {g.quantity for g in inspection.check.tensors if g.layer == "dense1"} >= {
        "weight_gradient",
        "bias_gradient",
    }


@pytest.mark.parametrize(
    "keys",
    [
        "network[1].freeze=[bias]",
        "train.decay_biases=false",
        "train.l1=0.25",
        "train.clip={norm: 2.5}",
        "train.clip={value: 2.5}",
    ],
)
def test_a_dump_reads_back(keys: str) -> None:
    spec = spec_of(keys)
    assert spec != spec_of()
    assert parse_spec(dump_spec(spec)) == spec


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.clip={}", "train.clip: expected one of norm and value, such as {norm: 1.0}, got "),
        ("train.clip={norm: 1, value: 2}", "train.clip: expected one of norm and value, such as "),
        ("train.clip={norm: 0}", "train.clip.norm: expected a positive number, got 0"),
        ("train.clip={nrom: 1}", "train.clip.nrom: unknown key 'nrom'; did you mean 'norm'?"),
        ("train.clip=1", "train.clip: expected a mapping of keys (norm, value), got 1"),
        ("network[0].freeze=[biases]", "network[0].freeze[0]: 'biases' is not known; did you "),
        ("network[0].freeze=3", "network[0].freeze: expected true, false, or [bias] or [weight]"),
        ("train.l1=-1", "train.l1: expected a number that is not negative, got -1"),
    ],
)
def test_mistakes(override: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        spec_of(override)
    assert message in str(caught.value)


# Clipping in the metrics


def interrupt_at(number: int) -> Callable[[Epoch | Progress, Trainer], None]:
    left = iter(range(number - 1, -1, -1))

    def watch(event: Epoch | Progress, trainer: Trainer) -> None:
        if next(left) == 0:
            raise InterruptedTraining("stop")

    return watch


def test_the_share_of_clipped_steps_is_in_the_metrics() -> None:
    bounds = [1e-9, 1e9]
    for bound, share in zip(bounds, [1.0, 0.0], strict=True):
        for kind in ("norm", "value"):
            history = nncli.train(spec_of(f"train.clip={{{kind}: {bound}}}")).history
            assert history.column("clipped") == [share] * 3
    assert nncli.train(spec_of()).history.column("clipped") == [None] * 3


@pytest.mark.parametrize("at", [2, 5, 7])
def test_it_is_the_same_after_an_interruption(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nncli.training.trainer.PROGRESS_INTERVAL", -1.0)  # after every step
    norms = spec_of("train.clip={norm: 0.25}")
    whole = nncli.train(norms, out=tmp_path / "whole")
    shares = whole.history.column("clipped")
    assert any(share not in (0.0, 1.0) for share in shares)
    with pytest.raises(InterruptedTraining):
        nncli.train(norms, out=tmp_path / "run", on_event=interrupt_at(at))
    again = nncli.resume(tmp_path / "run")
    assert again.history.column("clipped") == shares
    assert ending(tmp_path / "run") == ending(tmp_path / "whole")


# On the page


def page(*overrides: str) -> str:
    inspected = inspect_step(open_spec_or_run_of(*overrides), samples=None)
    return write("markdown", document(inspected, Choices(sections=("update",)))).decode()


def open_spec_or_run_of(*overrides: str) -> Any:
    from nncli.app.opening import SpecOrRun

    return SpecOrRun(nncli.prepare(spec_of(*overrides)), None)


def test_the_page_says_why_nothing_moves() -> None:
    text = page("network[0].freeze=[bias]", "train.weight_decay=0.1", "train.decay_biases=false")
    assert "Frozen: 0 in place of its gradient, so that it stays as it is." in text
    assert "No weight decay: it spares this parameter." in text
    assert text.count("Frozen: ") == 1


@pytest.mark.parametrize(
    ("clip", "words"),
    [("{norm: 0.1}", "Clipped: c = min(1, 0.1 / (‖∇C‖ + 1e-6)) = 0."),
     ("{value: 0.01}", "Clipped: each entry from -0.01 to 0.01; the largest of all param")],
)  # fmt: skip
def test_the_page_shows_the_factor_of_clipping(clip: str, words: str) -> None:
    assert words in page(f"train.clip={clip}")
