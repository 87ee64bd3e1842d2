"""A derivation with a classic mistake: against the mistake made by hand, in plain NumPy."""

from typing import Any

import numpy as np
import pytest

from nncli.core.errors import NncliError
from nncli.inspection.derivation.derive import derive
from nncli.inspection.derivation.lessons import Mistaken, MistakenStep
from nncli.inspection.derivation.wrong import CLASSIC, Wrong, make_mistake
from nncli.inspection.mistakes.table import MISTAKES
from nncli.nn.trace import Trace
from tests.conftest import present
from tests.inspection.traces import spec_trace

SIZES = ("network[0].units=3", "network[1].units=3", "data.train.targets=[[0.1, 0.5, 0.9]]")


@pytest.fixture(scope="module")
def trace() -> Trace:
    return spec_trace("two-two-two")


def by_hand(trace: Trace, kind: str) -> tuple[list[Any], float]:
    """Gradients of W and b of both layers with a mistake, and C after its step."""
    first, second = trace.layers
    x, y, eta = trace.inputs, trace.targets, trace.eta
    w1, b1, w2, b2 = (present(a) for a in (first.weight, first.bias, second.weight, second.bias))

    def sigma(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    def slope(z: Any) -> Any:
        return sigma(z) * (1 - sigma(z))

    z1 = x @ w1 + b1
    a1 = sigma(z1)
    z2 = a1 @ w2 + b2
    a2 = sigma(z2)
    error = (a2 - y) * (2 if kind == "missing_half" else 1)
    of_a = kind == "sigma_prime_of_a"
    delta2 = error * slope(a2 if of_a else z2)
    used = w2
    if kind == "updated_weights":
        used = w2 - eta * a1.T @ delta2
    back = delta2 @ (w2 if kind == "untransposed" else used.T)
    missing = kind == "missing_sigma_prime_hidden"
    delta1 = back * (1 if missing else slope(a1 if of_a else z1))
    gradients = [x.T @ delta1, delta1.sum(0), a1.T @ delta2, delta2.sum(0)]
    new = [p - eta * g for p, g in zip((w1, b1, w2, b2), gradients, strict=True)]
    out = sigma(sigma(x @ new[0] + new[1]) @ new[2] + new[3])
    return gradients, float(0.5 * ((out - y) ** 2).sum())


def flat(arrays: list[Any]) -> Any:
    return np.concatenate([np.ravel(array) for array in arrays])


MADE = [word for word in CLASSIC if word != "sum_for_mean"]  # of one sample it makes no difference


@pytest.mark.parametrize("kind", MADE)
def test_a_mistake_is_that_made_by_hand(trace: Trace, kind: str) -> None:
    made = make_mistake(trace, kind)
    wrong, cost = by_hand(trace, kind)
    right, right_cost = by_hand(trace, "")
    assert right_cost == pytest.approx(trace.cost_after, rel=1e-12)
    a, b = flat(right), flat(wrong)
    cosine = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert made.without_effect is None
    assert made.cosine == pytest.approx(cosine, rel=1e-10)
    ratio = float(np.linalg.norm(b) / np.linalg.norm(a))
    assert made.length_ratio == pytest.approx(ratio, rel=1e-10)
    assert made.step_ratio == pytest.approx(ratio, rel=1e-10)
    assert made.cost_after == pytest.approx(cost, rel=1e-12)


FIRST = {  # where each is wrong first on the way back
    "sigma_prime_of_a": ("dense2", "delta"),
    "missing_sigma_prime_hidden": ("dense1", "delta"),
    "updated_weights": ("dense2", "downstream"),
    "untransposed": ("dense2", "downstream"),
    "missing_half": ("dense2", "upstream"),
}


@pytest.mark.parametrize("kind", MADE)
def test_it_stands_behind_the_lesson_that_it_spoils(trace: Trace, kind: str) -> None:
    one = derive(trace, wrong=kind)
    names = [(type(x).__name__, x.layer.name if x.layer else "") for x in one.lessons]
    at = names.index(("Mistaken", FIRST[kind][0]))
    made = present(one.mistake)
    assert (made.layer, made.quantity) == FIRST[kind]
    home = {"delta": "Sigma", "downstream": "DenseBack", "upstream": "CostLesson"}
    assert names[at - 1] == (home[made.quantity], made.layer)
    step = [k for k, x in enumerate(one.lessons) if isinstance(x, MistakenStep)]
    assert names[step[0] - 1][0] == "Update"
    shown = one.lessons[at]
    assert isinstance(shown, Mistaken)
    assert shown.mistake is made
    recorded = present(getattr(shown.of, made.quantity))
    assert present(made.right) == pytest.approx(recorded, rel=1e-10)


def test_the_sum_for_the_mean_is_n_times_as_long() -> None:
    made = make_mistake(spec_trace("iris", samples=None), "sum_for_mean")
    assert made.cosine == pytest.approx(1, abs=1e-12)
    assert made.length_ratio == pytest.approx(10, rel=1e-9)
    assert (made.layer, made.quantity, made.others) == ("dense2", "weight_gradient", ("dense1",))


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("two-two-two", "sum_for_mean", "one_sample"),
        ("iris", "untransposed", "not_square"),
        ("iris", "missing_half", "no_half"),
        ("iris", "missing_log", "cost_only"),
        ("digits-batchnorm", "sigma_prime_of_a", "equal"),  # of relu
        ("iris", "stride_ignored", "nowhere"),
        ("digits-conv", "filter_turned", "unused"),  # the filter of the first layer
    ],
)
def test_one_that_makes_no_difference_says_why(name: str, kind: str, reason: str) -> None:
    one = derive(spec_trace(name, samples=None), wrong=kind)
    assert present(one.mistake).without_effect == reason
    assert any(isinstance(x, Mistaken) for x in one.lessons)
    assert not any(isinstance(x, MistakenStep) for x in one.lessons)


def test_a_network_of_one_layer_has_neither_hidden_errors_nor_a_way_back() -> None:
    trace = spec_trace("iris", "network=[{type: dense, units: 3, activation: softmax}]")
    reasons = {
        "sigma_prime_of_a": "no_sigma",
        "missing_sigma_prime_hidden": "no_hidden",
        "updated_weights": "nothing_below",
        "untransposed": "nothing_below",
    }
    for kind, reason in reasons.items():
        assert make_mistake(trace, kind).without_effect == reason


@pytest.mark.parametrize("word", MISTAKES)
def test_every_mistake_of_the_table_can_be_asked_for(word: str) -> None:
    for name in ("xor", "digits-conv"):
        made = make_mistake(spec_trace(name, samples=None), word)
        assert isinstance(made, Wrong)
        assert (made.cost_after is None) == (made.without_effect is not None)


def test_a_word_that_is_none() -> None:
    with pytest.raises(NncliError, match="did you mean 'untransposed'"):
        make_mistake(spec_trace("two-two-two"), "untranspose")
