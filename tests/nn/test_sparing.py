"""Links that do not treat all parameters alike, and links that look at all of them."""

import math
from typing import Any

import numpy as np
import pytest

from nncli.inspection.record import link_ulps, values_of
from nncli.nn.clipping import CLIPPED_STEPS
from nncli.nn.layers import BatchNorm, Dense
from nncli.nn.links import before
from nncli.nn.network import Network, build_network
from nncli.nn.optimizers import Optimizer, chain_of
from nncli.nn.parallel.worker_pool import WorkerPool, buffers_for
from nncli.nn.recorder import record_trace
from nncli.nn.step import Step
from nncli.nn.trace import Start
from tests.conftest import mostly_slow

Chain = dict[str, Any]
SETTINGS: dict[str, Chain] = {
    "decay": {"weight_decay": 0.1, "decay_biases": False},
    "decoupled": {"decoupled_weight_decay": 0.1, "decay_biases": False, "momentum": 0.9},
    "l1": {"l1": 0.05},
    "l1 of weights": {"l1": 0.05, "decay_biases": False},
    "frozen": {"frozen": ["dense1.bias", "batchnorm1.weight"], "weight_decay": 0.1},
    "frozen adam": {"kind": "adam", "frozen": ["dense2.weight"], "decoupled_weight_decay": 0.1},
    "norm": {"clip": {"norm": 0.05}, "momentum": 0.9},
    "norm, frozen": {"clip": {"norm": 0.05}, "frozen": ["dense1.weight", "dense2.bias"]},
    "norm, large": {"clip": {"norm": 50.0}},
    "value": {"clip": {"value": 0.01}, "kind": "adam", "weight_decay": 0.1, "l1": 0.01},
}
IDS = list(SETTINGS)


def network_of(dtype: Any = np.float64, *, plain: bool = False, threads: int = 1) -> Network:
    layers = [Dense(units=4), *([] if plain else [BatchNorm()]), Dense(units=3)]
    rng = np.random.default_rng(3)
    made = build_network(layers, (5,), "quadratic", dtype, rng, buffers_for(threads))
    made.parameters[...] += rng.standard_normal(made.parameters.size) / 4
    return made


def step_of(network: Network, chain: Chain, workers: WorkerPool | None = None) -> Step:
    step = Step(network, Optimizer(network, chain_of(**chain)), 8, workers)
    rng = np.random.default_rng(5)
    step.inputs[...], step.targets[...] = rng.standard_normal((8, 5)), rng.random((8, 3))
    return step


def by_hand(
    parameters: dict[str, Any],
    gradients: dict[str, Any],
    state: dict[Any, Any],
    t: int,
    chain: Chain,
) -> dict[str, Any]:
    """The parameters after a step with η = 0.1, one number at a time, as PyTorch's loop has it."""
    chain = {"frozen": [], "decay_biases": True, "clip": {}, **chain}
    free = [name for name in parameters if name not in chain["frozen"]]
    clip = chain["clip"]
    total = math.sqrt(sum(float(g) ** 2 for name in free for g in gradients[name].flat))
    coefficient = min(1.0, clip["norm"] / (total + 1e-6)) if "norm" in clip else 1.0
    after = {}
    for name, array in parameters.items():
        new = array.copy()
        after[name] = new
        if name not in free:
            continue
        decays = chain["decay_biases"] or not name.endswith(".bias")
        for at in np.ndindex(array.shape):
            w, g = float(array[at]), float(gradients[name][at]) * coefficient
            if "value" in clip:
                g = max(-clip["value"], min(clip["value"], g))
            if decays:
                g += chain.get("weight_decay", 0.0) * w
                g += chain.get("l1", 0.0) * ((w > 0) - (w < 0))
            kept = state.setdefault((name, at), [0.0, 0.0])
            if chain.get("kind") == "adam":
                kept[0] = 0.9 * kept[0] + 0.1 * g
                kept[1] = 0.999 * kept[1] + 0.001 * g * g
                g = kept[0] / (1 - 0.9**t) / (math.sqrt(kept[1] / (1 - 0.999**t)) + 1e-8)
            else:
                kept[0] = chain.get("momentum", 0.0) * kept[0] + g
                g = kept[0]
            if decays:
                g += chain.get("decoupled_weight_decay", 0.0) * w
            new[at] = w - 0.1 * g
    return after


def named(network: Network, flat: Any) -> dict[str, Any]:
    return {name: array.copy() for name, array in network.named(flat).items()}


@pytest.mark.parametrize("chain", SETTINGS.values(), ids=IDS)
def test_four_steps_are_those_of_a_loop(chain: Chain) -> None:
    network = network_of()
    step, state = step_of(network, chain), dict[Any, Any]()
    for t in range(1, 5):
        old = named(network, network.parameters)
        step.run(0.1)
        assert step.optimizer is not None
        gradients = named(network, step.optimizer.gradient)
        expected = by_hand(old, gradients, state, t, chain)
        for name, array in network.named(network.parameters).items():
            assert array == pytest.approx(expected[name], rel=1e-12, abs=1e-15), name
        for name in chain.get("frozen", ()):
            assert network.named(network.parameters)[name].tobytes() == old[name].tobytes()


@pytest.mark.parametrize("chain", SETTINGS.values(), ids=IDS)
def test_a_record_shows_every_link_by_its_formula(chain: Chain) -> None:
    network = network_of()
    step = step_of(network, chain)
    step.run(0.1)
    assert step.optimizer is not None
    start = Start.of(network, step.optimizer)
    cost = step.run(0.1, full=True)
    trace = record_trace(step, eta=0.1, cost=cost, start=start, samples=range(8))
    for layer in trace.layers:
        for key in layer.optimizer:
            values = values_of(trace, layer, key)
            off = link_ulps(trace, values, f"{layer.name}.{key}")
            assert max(ulps for _, ulps in off) <= 8, (layer.name, key, off)
            assert all(before(s) in values for link in trace.links for s in link.state)


@pytest.mark.parametrize("dtype", mostly_slow([np.float32, np.float64], 2))
@pytest.mark.parametrize("chain", mostly_slow(SETTINGS.values(), 2), ids=IDS)
def test_workers_come_to_the_same(chain: Chain, dtype: Any) -> None:
    """By units, with a norm that is of all their parts."""
    chain = {k: v for k, v in chain.items() if k != "frozen"} | (
        {"frozen": [x for x in chain["frozen"] if "dense" in x]} if "frozen" in chain else {}
    )
    alone = network_of(dtype, plain=True)
    step = step_of(alone, chain)
    shared = network_of(dtype, plain=True, threads=2)
    with WorkerPool(2, processes=shared.buffers.shared) as workers:
        parallel = step_of(shared, chain, workers)
        for _ in range(3):
            step.run(0.1), parallel.run(0.1)
    tolerance = 1e-5 if dtype is np.float32 else 1e-12
    assert shared.parameters == pytest.approx(alone.parameters, rel=tolerance, abs=tolerance)
    one, other = (s.optimizer.scalars for s in (step, parallel) if s.optimizer is not None)
    assert one.keys() == other.keys()
    for name, scalar in one.items():
        assert scalar == pytest.approx(other[name], rel=tolerance), name


@pytest.mark.parametrize(("norm", "clipped"), [(1e-3, 3), (1e3, 0)])
def test_the_steps_that_were_clipped_are_counted(norm: float, clipped: int) -> None:
    for clip in ({"norm": norm}, {"value": norm}):
        step = step_of(network_of(), {"clip": clip})
        for _ in range(3):
            step.run(0.1)
        assert step.optimizer is not None
        assert int(step.optimizer.scalars[CLIPPED_STEPS]) == clipped
        assert step.optimizer.copy_state()[CLIPPED_STEPS] == clipped


def test_a_norm_beyond_float32_is_known_all_the_same() -> None:
    network = network_of(np.float32)
    optimizer = Optimizer(network, chain_of(clip={"norm": 1.0}))
    optimizer.gradient[...] = 1e25
    with np.errstate(all="ignore"):
        optimizer.apply(1.0)
    count = network.parameters.size
    assert float(optimizer.scalars["gradient_norm"]) == pytest.approx(1e25 * math.sqrt(count))
    assert optimizer.update == pytest.approx(-1 / math.sqrt(count), rel=1e-5)


def test_without_the_keys_a_chain_is_what_it_was() -> None:
    network = network_of()
    plain = Optimizer(network, chain_of(momentum=0.9, weight_decay=0.1))
    assert [link.name for link in plain.links] == ["weight decay", "momentum", "learning rate"]
    assert plain.masks == {}
    assert len(plain.operations()) == 6


def test_the_order_of_a_chain() -> None:
    chain = chain_of(
        weight_decay=0.1, decoupled_weight_decay=0.2, l1=0.3, clip={"value": 1.0},
        frozen=["dense1.bias"], momentum=0.9,
    )  # fmt: skip
    names = ["frozen", "clipping by value", "weight decay", "L1", "momentum", "weight decay"]
    assert [link.name for link in chain] == names
    assert [link.words() for link in chain] == [
        "frozen dense1.bias", "clipped to |∂C/∂w| ≤ 1", "weight decay 0.1", "L1 0.3",
        "momentum 0.9", "decoupled weight decay 0.2",
    ]  # fmt: skip
