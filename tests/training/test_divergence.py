"""A divergence is seen at its step, and the record of its last steps is what really happened."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncli
from nncli.app.pipeline import prepare
from nncli.app.records import Prepared
from nncli.core.errors import DivergedError
from nncli.nn.arrays import Array
from nncli.nn.optimizers import sgd
from nncli.nn.step import Step
from nncli.nn.symbols import symbol_of
from nncli.spec import parse_spec
from nncli.training.divergence import first_fault, untrained_cost
from nncli.training.history import Divergence, Epoch, Progress, divergence_record
from nncli.training.trainer import Trainer
from tests.training.trainers import trainer_of

SPEC = """
seed: 3
dtype: float64
data:
  train:
    inputs: [[0, 1], [1, 0], [1, 1], [0, 0], [2, 1], [1, 2], [2, 2]]
    targets: [0, 1, 0, 1, 0, 1, 0]
network:
  - {type: dense, units: 3, activation: identity}
  - {type: dense, units: 2, activation: identity}
train: {eta: 0.35, epochs: 50, batch_size: 2, momentum: 0.5}
"""


def prepared(*overrides: str) -> Prepared:
    return prepare(parse_spec(SPEC, overrides=overrides))


def diverged(*overrides: str) -> tuple[Divergence, Trainer]:
    trainer = trainer_of(prepared(*overrides))
    event = list(trainer.events())[-1]
    assert isinstance(event, Divergence)
    return event, trainer


def steps_by_hand(p: Prepared, count: int) -> list[dict[str, Any]]:
    """Each step of a training as dense layers of identity make it, in plain NumPy."""
    weights = [np.array(v["weight"]) for v in p.network.views(p.network.parameters).values()]
    biases = [np.array(v["bias"]) for v in p.network.views(p.network.parameters).values()]
    speeds = [np.zeros_like(array) for array in (*weights, *biases)]
    data, eta, momentum = p.data.train, p.spec.train.eta, p.spec.train.momentum
    steps = []
    for number, (_, rows) in zip(range(1, count + 1), p.plan.steps(data.index), strict=False):
        x, y = data.inputs[rows], data.targets[rows]
        hidden = x @ weights[0] + biases[0]
        delta2 = hidden @ weights[1] + biases[1] - y
        delta1 = delta2 @ weights[1].T
        n = len(rows)
        gradients = [x.T @ delta1 / n, hidden.T @ delta2 / n, delta1.mean(axis=0), delta2.mean(0)]
        speeds = [momentum * v + g for v, g in zip(speeds, gradients, strict=True)]
        updates = [-eta * v for v in speeds]
        weights = [w + u for w, u in zip(weights, updates[:2], strict=True)]
        biases = [b + u for b, u in zip(biases, updates[2:], strict=True)]
        after = (x @ weights[0] + biases[0]) @ weights[1] + biases[1] - y
        outputs = (data.inputs @ weights[0] + biases[0]) @ weights[1] + biases[1]
        steps.append(
            {
                "step": number,
                "cost": 0.5 * (delta2**2).sum() / n,
                "cost_after": 0.5 * (after**2).sum() / n,
                "evaluated": 0.5 * ((outputs - data.targets) ** 2).sum(axis=1).mean(),
                "delta": [np.linalg.norm(d) for d in (delta1, delta2)],
                "gradient": [np.linalg.norm(g) for g in gradients[:2]],
                "update": [np.linalg.norm(u) for u in updates[:2]],
                "weight": [np.linalg.norm(w) for w in weights],
                "worst": worst(delta2, rows),
                "worst_after": worst(after, rows),
                "worst_evaluated": worst(outputs - data.targets, data.index),
            }
        )
    return steps


def worst(error: Array, rows: Array) -> tuple[int, int]:
    """The sample and the unit that are furthest off."""
    place, unit = np.unravel_index(np.abs(error).argmax(), error.shape)
    return int(rows[place]), int(unit)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["train.batch_size=7", "train.eta=0.8"],  # one step an epoch: the record spans epochs
        ["train.batch_size=1", "train.eta=0.5"],
        ["train.eta=3"],  # at once
        ["train.batch_size=2", "train.eta=0.6", "train.momentum=0"],  # seen after an epoch
    ],
)
def test_the_record_is_what_happened(overrides: list[str]) -> None:
    event, _ = diverged(*overrides)
    by_hand = steps_by_hand(prepared(*overrides), event.step)
    assert event.layer == "dense2"
    assert event.quantity == "cost"
    last, limit = by_hand[-1], 1e6 * event.untrained
    if last["cost"] >= limit:
        assert event.cost == pytest.approx(last["cost"], rel=1e-9)
        assert (event.sample, event.unit) == last["worst"]
    else:  # it was seen on the samples that are evaluated after an epoch
        assert event.cost == pytest.approx(last["evaluated"], rel=1e-9)
        exploded = last["cost_after"] >= limit
        seen = last["worst_after" if exploded else "worst_evaluated"]
        assert (event.sample, event.unit) == seen
    assert event.part == "train"
    assert [step.step for step in event.last_steps] == [s["step"] for s in by_hand[-5:]]
    for step, wanted in zip(event.last_steps, by_hand[-5:], strict=True):
        assert step.cost == pytest.approx(wanted["cost"], rel=1e-9)
        for k, layer in enumerate(step.layers):
            assert layer.delta_norm == pytest.approx(wanted["delta"][k], rel=1e-9)
            assert layer.weight_gradient_norm == pytest.approx(wanted["gradient"][k], rel=1e-9)
            assert layer.weight_update_norm == pytest.approx(wanted["update"][k], rel=1e-9)
            assert layer.weight_norm == pytest.approx(wanted["weight"][k], rel=1e-9)


def test_it_is_seen_at_the_first_step_that_costs_a_million_times_as_much() -> None:
    event, _ = diverged()
    limit = 1e6 * untrained_by_hand(prepared())
    costs = [step["cost"] for step in steps_by_hand(prepared(), event.step)]
    over = [cost > limit for cost in costs]
    assert over == [False] * (len(over) - 1) + [True]
    assert event.untrained == pytest.approx(limit / 1e6)
    assert event.epoch == 1 + (event.step - 1) // 4


def untrained_by_hand(p: Prepared) -> float:
    """The larger of the cost of this network and of outputs that are all 0."""
    return max(steps_by_hand_cost(p), 0.5)


def steps_by_hand_cost(p: Prepared) -> float:
    (_, first), (_, second) = p.network.views(p.network.parameters).items()
    outputs = p.data.train.inputs @ first["weight"] @ second["weight"]
    return float(0.5 * ((outputs - p.data.train.targets) ** 2).sum(axis=1).mean())


def test_the_network_is_left_as_it_last_was_sound() -> None:
    event, trainer = diverged()
    other = trainer_of(prepared())
    epochs = [e for e in other.events() if isinstance(e, Epoch)]
    again = trainer_of(prepared(f"train.epochs={len(epochs)}"))
    assert len(list(again.events())) == len(epochs) == event.epoch - 1
    assert (trainer.network.parameters == again.network.parameters).all()
    assert (trainer.optimizer.state["velocity"] == again.optimizer.state["velocity"]).all()


def test_after_a_resume_the_record_is_the_same(tmp_path: Path) -> None:
    """Also where the run goes on a step before it diverges: what lies before is not known then."""
    event, _ = diverged()
    spec = parse_spec(SPEC, overrides=[f"train.epochs={event.epoch - 1}"])
    nncli.train(spec, out=tmp_path / "run")
    with pytest.raises(DivergedError) as error:
        nncli.resume(tmp_path / "run", overrides=["train.epochs=50"])
    known = event.step - (event.epoch - 1) * 4
    assert error.value.divergence.last_steps == event.last_steps[-known:]


def test_a_run_knows_what_it_cost_untrained(tmp_path: Path) -> None:
    """The files that its weights came from may be gone when it goes on."""
    np.save(tmp_path / "w.npy", np.full((2, 3), 7.0))
    spec = parse_spec(
        SPEC, overrides=[f"network[0].weights={tmp_path / 'w.npy'}", "train.eta=1e-5"]
    )
    untrained = []

    def watch(event: Epoch | Progress, trainer: Trainer) -> None:
        untrained.append(trainer.untrained)

    nncli.train(spec, out=tmp_path / "run", on_event=watch)
    (tmp_path / "w.npy").unlink()
    nncli.resume(tmp_path / "run", overrides=["train.epochs=51"], on_event=watch)
    assert untrained[0] > 10
    assert set(untrained) == {untrained[0]}


class TestAfterAnEpoch:
    """A network that is a thousand times worse than untrained has exploded, too."""

    SATURATED = ("network[0].activation=sigmoid", "network[1].activation=softmax",
                 "train.cost=cross_entropy", "train.momentum=0")  # fmt: skip

    def test_on_the_samples_it_is_evaluated_on(self) -> None:
        event, _ = diverged(*self.SATURATED, "train.eta=1e5")
        assert event.step == 4
        assert 1e3 * event.untrained <= event.cost < 1e6 * event.untrained
        assert event.quantity == "cost"

    def test_a_bad_start_is_none(self) -> None:
        trainer = trainer_of(prepared(*self.SATURATED, "train.eta=100", "train.epochs=3"))
        assert len(list(trainer.events())) == 3


class TestTheData:
    """A sample that is out of all proportion is named, and not what the network made of it."""

    LINEAR = ("dtype=float32", "train.eta=0.05")
    TARGETS = ("[0, 1]", "[1, 0]", "[0, 1]", "[1, 1]", "[0, 1]", "[1, 1]", "[0, 1]")

    def stopped(self, *overrides: str) -> tuple[Divergence, list[str]]:
        with pytest.raises(DivergedError) as error:
            nncli.train(parse_spec(SPEC, overrides=(*self.LINEAR, *overrides)))
        return error.value.divergence, str(error.value).splitlines()

    @pytest.mark.parametrize("target", ["1e30", "-1e25"])
    @pytest.mark.parametrize("activation", ["identity", "relu", "tanh"])
    def test_a_target(self, target: str, activation: str) -> None:
        targets = [*self.TARGETS[:3], f"[1, {target}]", *self.TARGETS[4:]]
        event, (first, second, third) = self.stopped(
            f"data.train.targets=[{', '.join(targets)}]", f"network[1].activation={activation}"
        )
        assert (event.layer, event.quantity) == ("dense2", "target")
        assert (event.part, event.sample, event.unit) == ("train", 3, 1)
        assert event.largest == pytest.approx(float(target))
        assert first.endswith(": the cost is inf")
        said = f"{float(target):.3g}"
        assert second == f"it began in the data: the target of unit 1 is {said} for sample 3"
        assert third.startswith("to try: a look at that target, targets of about 1 ")
        assert "eta" not in third

    def held_back(self, inputs: str, targets: str) -> str:
        """200 samples, of which the one numbered 150 is odd: not in the first block of them."""
        odd = ["[1, 0]"] * 150, ["[1, 0]"] * 49
        columns = {
            "inputs": ", ".join([*odd[0], inputs, *odd[1]]),
            "targets": ", ".join([*odd[0], targets, *odd[1]]),
        }
        part = ", ".join(f"{key}: [{rows}]" for key, rows in columns.items())
        return f"data.validation={{{part}}}"

    def test_a_held_back_input(self) -> None:
        train = f"data.train.targets=[{', '.join(self.TARGETS)}]"
        event, (first, second, third) = self.stopped(train, self.held_back("[3e38, 1]", "[0, 1]"))
        assert (event.part, event.sample, event.quantity) == ("validation", 150, "cost")
        assert event.largest is not None
        assert event.largest > 1e35
        assert all(step.cost < 10 for step in event.last_steps)
        assert first.endswith("at step 4: the cost of the validation data is inf")
        assert second.endswith(f" {event.largest:.3g} for sample 150 of the validation data")
        assert third.startswith("to try: a look at sample 150 of the validation data, ")

    def test_a_held_back_target(self) -> None:
        train = f"data.train.targets=[{', '.join(self.TARGETS)}]"
        event, (first, second, _) = self.stopped(train, self.held_back("[1, 1]", "[0, 1e12]"))
        assert (event.part, event.sample, event.unit) == ("validation", 150, 1)
        assert event.quantity == "target"
        assert ": the cost of the validation data has grown to 2.5e+21, untrained it was " in first
        assert second == (
            "it began in the data: the target of unit 1 is 1e+12 for sample 150 of the validation "
            "data"
        )

    def test_a_target_of_1_is_not_to_blame_where_the_output_has_saturated(self) -> None:
        event, (_, second, _) = self.stopped(*TestAfterAnEpoch.SATURATED, "train.eta=1e5")
        assert event.quantity == "cost"
        assert ": z of unit " in second


class TestNoExplosion:
    """What is large by nature may stay so."""

    def test_large_targets(self) -> None:
        targets = "data.train.targets=[[1e9], [2e9], [0], [1], [1e9], [3e9], [0]]"
        network = "network=[{type: dense, units: 1, activation: identity, init: zeros}]"
        trainer = trainer_of(prepared(targets, network, "train.eta=0.01", "train.batch_size=1"))
        assert not any(isinstance(event, Divergence) for event in trainer.events())

    def test_one_large_target_among_small_ones(self) -> None:
        targets = "data.train.targets=[[0], [0], [0], [0], [0], [0], [1e9]]"
        network = "network=[{type: dense, units: 1, activation: identity, init: zeros}]"
        trainer = trainer_of(prepared(targets, network, "train.eta=0.01", "train.batch_size=1"))
        assert not any(isinstance(event, Divergence) for event in trainer.events())

    def test_a_start_that_is_perfect(self) -> None:
        targets = "data.train.targets=[[0], [0], [0], [0], [0], [0], [0]]"
        network = "network=[{type: dense, units: 1, activation: identity, init: zeros}]"
        p = prepared(targets, network, "data.classes=none")
        step = Step(p.network, sgd(p.network), 2, source=p.data.train)
        assert untrained_cost(step, p.data.train) == math.inf
        assert not any(isinstance(event, Divergence) for event in trainer_of(p).events())


class TestFirstWrong:
    """A quantity is spoilt by hand; it is the one that is found, with its unit and sample."""

    CONV = """
    data: {train: {inputs: [[1, 2, 3, 4], [4, 3, 2, 1], [1, 0, 0, 1]], targets: [0, 1, 0]},
           shape: [1, 2, 2]}
    network:
      - {type: conv, filters: 3, kernel: 2, padding: same, activation: relu}
      - {type: avgpool, size: 2, stride: 1}
      - {type: dense, units: 2}
    train: {eta: 0.5, cost: quadratic}
    """

    @pytest.fixture
    def step(self) -> Any:
        p = prepare(parse_spec(self.CONV))
        step = Step(p.network, sgd(p.network), 3)
        p.data.train.gather(p.data.train.index, step.inputs, step.targets)
        assert first_fault(step, step.run(0.5, full=True), math.inf) is None
        return step

    def found(self, step: Any, cost: float = 0.1) -> tuple[Any, ...]:
        wrong = first_fault(step, cost, 1e6)
        assert wrong is not None
        return wrong[:4]

    def test_forward(self, step: Any) -> None:
        conv, pool, _, dense = step.layers
        dense.z[1, 2] = np.inf
        assert self.found(step) == ("dense1", "z", 1, 2)
        pool.a[2, 0, 0, 1] = np.nan
        assert self.found(step) == ("avgpool1", "a", 2, 1)
        conv.z[1, 0, 1, 0] = -np.inf
        assert self.found(step) == ("conv1", "z", 1, 0)

    def test_the_cost(self, step: Any) -> None:
        step.passes[0].error[1, 2] = 1e30
        assert self.found(step, cost=math.inf) == ("dense1", "cost", 1, 2)
        assert self.found(step, cost=1e7) == ("dense1", "cost", 1, 2)

    def test_backward(self, step: Any) -> None:
        conv, pool, _, dense = step.layers
        conv.delta[2, 1, 1, 2] = np.inf
        assert self.found(step) == ("conv1", "delta", 2, 2)
        pool.upstream[0, 0, 0, 1] = np.nan
        assert self.found(step) == ("flatten1", "upstream", 0, 1)  # the same memory
        dense.delta[1, 0] = np.nan
        assert self.found(step) == ("dense1", "delta", 1, 0)

    def test_gradients_name_the_sample_with_the_largest_share(self, step: Any) -> None:
        conv, _, _, dense = step.layers
        conv.gradients["weight"][2, 0, 1, 1] = np.inf
        conv.delta[2, :, :, 1] = 7
        assert self.found(step) == ("conv1", "weight_gradient", 2, 1)
        dense.gradients["weight"][2, 1] = np.inf
        shares = np.abs(dense.input[2] * dense.delta[1])
        assert self.found(step) == ("dense1", "weight_gradient", 1, int(shares.argmax()))

    def test_updates_and_parameters(self, step: Any) -> None:
        conv, _, _, dense = step.layers
        conv.parameters["bias"][1] = np.nan
        assert self.found(step)[:3] == ("conv1", "bias", 1)
        dense.updates["bias"][0] = np.inf
        dense.delta[0, 2] = 9
        assert self.found(step) == ("dense1", "bias_update", 0, 2)

    def test_the_largest_finite_entry_is_told(self, step: Any) -> None:
        step.layers[0].z[...] = -3
        step.layers[0].z[0, 0, 0, 0] = np.nan
        wrong = first_fault(step, 0.1, 1e6)
        assert wrong is not None
        assert wrong.largest == 3


def test_a_step_that_ended_forward_shows_nothing_of_an_earlier_one() -> None:
    event, _ = diverged("train.eta=1e200")
    *_, last = event.last_steps
    assert not math.isfinite(last.cost)
    for layer in last.layers:
        assert (layer.delta_norm, layer.weight_gradient_norm) == (None, None)
        assert layer.weight_norm is not None


def test_the_message_says_what_to_try() -> None:
    with pytest.raises(DivergedError) as error:
        nncli.train(parse_spec(SPEC))
    event = error.value.divergence
    first, second, third = str(error.value).splitlines()
    assert first == (
        f"the training diverged in epoch {event.epoch}, at step {event.step}: the cost has grown "
        f"to {event.cost:.3g}, untrained it was {event.untrained:.3g}"
    )
    assert second == (
        f"it began in dense2: z of unit {event.unit} has grown to {event.largest:.3g} "
        f"for sample {event.sample}"
    )
    assert third.startswith("to try: a smaller train.eta than 0.35 (--set train.eta=0.035), ")


SQUARES_OVERFLOW = (
    *("dtype=float32", "data.train.inputs=[[1e12],[1]]", "data.train.targets=[[1e9],[0]]"),
    *("data.classes=none", "network[1].units=1"),
    *("train.eta=1e-20", "train.batch_size=1", "train.epochs=3", "train.shuffle=false"),
)
WITH_ADAM = SPEC.replace("momentum: 0.5", "optimizer: adam")


def test_what_adam_keeps_is_noticed_though_weights_and_cost_are_sound() -> None:
    """(∂C/∂W)² is beyond float32: v stays infinite, and its weights never move again."""
    with pytest.raises(DivergedError) as error:
        nncli.train(parse_spec(WITH_ADAM, overrides=SQUARES_OVERFLOW))
    event = error.value.divergence
    assert (event.step, event.sample, event.layer) == (1, 0, "dense2")
    assert event.quantity == "weight_second_moment"
    assert math.isfinite(event.cost)
    first, second, third = str(error.value).splitlines()
    assert first.endswith(f"in epoch 1, at step 1: the cost is {event.cost:.3g}")
    assert second.startswith("it began in dense2: Adam's v of W of unit 0 is no longer finite")
    assert third.startswith("to try: dtype: float64, ")
    done = nncli.train(parse_spec(WITH_ADAM, overrides=[*SQUARES_OVERFLOW, "dtype=float64"]))
    assert len(done.history) == 3


@pytest.mark.parametrize(
    ("quantity", "layer", "symbol"),
    [
        ("weight_update", "dense1", "ΔW"),
        ("bias_gradient", "conv12", "∂C/∂b"),
        ("delta", "dense1", "δ"),
        ("weight_gradient", "batchnorm1", "∂C/∂γ"),
        ("bias", "batchnorm1", "β"),
        ("weight_velocity", "dense1", "v of W"),
        ("cost", "dense1", "cost"),
        ("bias_second_moment", "batchnorm2", "Adam's v of β"),
    ],
)
def test_a_message_has_the_symbols_of_the_pages(quantity: str, layer: str, symbol: str) -> None:
    assert symbol_of(quantity, layer) == symbol


@pytest.mark.parametrize(("scale", "advised"), [("standard", 0), ("minmax", 0), ("0.5", 1)])
def test_what_the_run_has_is_not_advised(scale: str, advised: int) -> None:
    overrides = (f"data.scale={scale}", "train.eta=30")
    with pytest.raises(DivergedError, match="to try: a smaller") as error:
        nncli.train(parse_spec(SPEC, overrides=overrides))
    assert str(error.value).count("data.scale") == advised


def test_nothing_is_kept_for_it_but_a_few_states() -> None:
    for overrides in ((), ("train.batch_size=7",)):
        trainer = trainer_of(prepared("train.eta=0.01", *overrides))
        for _ in trainer.events():
            assert len(trainer._sound_states) <= 6
            now = trainer.steps_taken
            assert trainer._sound_states[0].steps_taken <= max(0, now - 4)


def test_the_record_as_json() -> None:
    event, _ = diverged()
    record = divergence_record(event)
    assert record["flight"][-1]["cost"] == event.last_steps[-1].cost
    assert record["flight"][-1]["layers"][1] == asdict(event.last_steps[-1].layers[1])
