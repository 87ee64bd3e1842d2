"""Random networks, steps of them with a mistake planted, and what a check makes of these."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from nncli.inspection.foreign.checking import Named, check_step
from nncli.inspection.foreign.record import Checked
from nncli.inspection.mistakes.rules import record_of, start_of
from nncli.nn.layers import AvgPool, BatchNorm, Conv, Dense, Dropout, MaxPool
from nncli.nn.trace import Trace
from tests.inspection.traces import trace_of
from tests.nn.cases import Case, Setting, build_case, draw_targets
from tests.reference import mistaken

ETA = 0.3
STEPS_AN_EPOCH = 2
CLASS_WEIGHTS = np.array([0.4, 2.3, 1.6, 0.7])
SUBSETS = {  # what people save of a step
    "all": (
        "z",
        "a",
        "upstream",
        "sigma_prime",
        "delta",
        "downstream",
        "gradient",
        "update",
        "new",
    ),
    "backward": ("delta", "gradient", "new"),
    "errors": ("a", "delta", "gradient"),
    "gradients": ("gradient",),
    "gradients and new": ("gradient", "update", "new"),
}


def random_case(rng: np.random.Generator, mistake: str) -> Case:
    """A network of 1 to 4 layers in which the mistake can be made."""
    kind = mistake.split(":")[0]
    image = kind in ("filter_turned", "stride_ignored", "padding_lost", "pool_gradient_spread")
    flat = ("z_for_a", "untransposed", "transposed", "dropout_mask", "batchnorm_terms")
    image = image or (kind not in flat and rng.random() < 0.3)
    softmax = ("softmax_axis", "softmax_diagonal")
    entropy = kind in (*softmax, "missing_log", "wrong_cost_gradient") or (
        kind not in ("missing_half", "missing_sigma_prime_output") and rng.random() < 0.3
    )
    n = int(rng.integers(1, 17)) if not image else int(rng.integers(1, 5))
    several = ("sum_for_mean", "softmax_axis", "bias_not_summed", "class_weights")
    if kind in (*several, "batchnorm_terms") or mistake.endswith("samples"):
        n = max(n, 2)
    outputs = int(rng.integers(2, 5))
    last = "softmax" if kind in softmax or (entropy and rng.random() < 0.5) else "sigmoid"
    smooth = ["sigmoid", "tanh"]
    hidden = [*smooth, "relu"] if not kind.startswith("sigma") and "sigma" not in kind else smooth
    layers: list[Any] = []

    def pick() -> str:
        return str(rng.choice(hidden))

    if image:
        back = kind in ("filter_turned", "stride_ignored", "padding_lost") and "grad" not in mistake
        stride = (2, 2) if kind == "stride_ignored" else (1, 1)
        padding: Any = 1 if kind == "padding_lost" else ["valid", "same"][int(rng.integers(2))]
        if stride != (1, 1):
            padding = "valid"
        if back or kind == "pool_gradient_spread":  # a layer below, for which it matters
            layers.append(Conv(filters=2, kernel=(2, 2), activation="tanh"))
        if mistake == "pool_gradient_spread:last":
            layers[0] = Conv(filters=2, kernel=(2, 2), activation="relu")
        if kind != "pool_gradient_spread":
            conv = Conv(filters=2, kernel=(2, 3), stride=stride, padding=padding, activation=pick())
            layers.append(conv)
        if kind == "pool_gradient_spread" or (kind != "stride_ignored" and rng.random() < 0.5):
            pool = MaxPool if mistake.endswith("last") or rng.random() < 0.5 else AvgPool
            layers.append(pool(size=(2, 2)))
        shape: tuple[int, ...] = (int(rng.integers(1, 3)), 6, 7)
    else:
        width = int(rng.integers(2, 6))
        needs = ("hidden", "updated", "transposed", "pseudo", "z_for_a", "other_activation")
        depth = int(rng.integers(1 if any(x in mistake for x in needs) else 0, 4))
        depth = max(depth, 1) if kind in ("dropout_mask", "batchnorm_terms", "clipping") else depth
        layers += [Dense(units=width, activation=pick()) for _ in range(depth)]
        if kind == "dropout_mask":
            layers.insert(int(rng.integers(1, depth + 1)), Dropout(rate=0.4))
        if kind == "batchnorm_terms":
            layers.insert(int(rng.integers(1, depth + 1)), BatchNorm())
        outputs = width if "transposed" in kind else outputs
        shape = (int(rng.integers(2, 6)),)
    layers.append(Dense(units=outputs, activation=last))
    cost = "cross_entropy" if entropy else "quadratic"
    return Case(f"random-{mistake}", tuple(layers), shape, cost, n)


def optimizer_for(rng: np.random.Generator, mistake: str) -> dict[str, Any]:
    kind = mistake.split(":")[0]
    if kind.startswith("adam"):
        return {"kind": "adam"}
    found: dict[str, Any] = {}
    if kind in ("momentum", "nesterov") or rng.random() < 0.2:
        found["momentum"] = 0.9
        found["nesterov"] = kind == "nesterov" or (kind != "momentum" and rng.random() < 0.3)
    if kind == "weight_decay" or rng.random() < 0.2:
        found["weight_decay"] = 0.05
    if kind == "l1":
        found["l1"] = 0.03
    if mistake == "weight_decay:spared" or (kind == "l1" and rng.random() < 0.5):
        found["decay_biases"] = False
    if kind == "clipping":
        found["clip"] = {"norm": 0.02}
    return found


class Planted(NamedTuple):
    """A right step, and the quantities of a mistaken one by the names of a trace."""

    trace: Trace
    wrong: dict[str, np.ndarray[Any, Any]]
    case: Case


def draw(case: Case, seed: int) -> Setting:
    rng = np.random.default_rng(seed)
    return Setting(
        case,
        rng.normal(0, 0.7, build_case(case).parameters.size),
        rng.normal(0, 1, (case.n, *case.input_shape)),
        draw_targets(case, rng),
    )


def plant(mistake: str, seed: int) -> Planted:
    """A step of a random network with the mistake in it; `none:word` is one for it, and right."""
    if mistake.startswith("none:"):
        return _plant(mistake.removeprefix("none:"), "", seed)
    return _plant(mistake, mistake, seed)


def _plant(of: str, mistake: str, seed: int) -> Planted:
    rng = np.random.default_rng([seed, len(of)])
    case, optimizer = random_case(rng, of), optimizer_for(rng, of)
    setting = draw(case, seed)
    weights = CLASS_WEIGHTS[: max(2, setting.targets.shape[1])] if "class" in of else None
    trace = trace_of(setting, steps=4, eta=ETA, class_weights=weights, **optimizer)
    start = start_of(trace)
    parameters: dict[str, dict[str, Any]] = {}
    for name, array in start.items():
        layer, _, key = name.partition(".")
        if key in ("weight", "bias"):
            parameters.setdefault(layer, {})[key] = array.tolist()
    state: dict[str, Any] = {
        name.removesuffix("_before"): a.tolist() for name, a in start.items() if "_before" in name
    }
    state["t"] = 5
    lists = mistaken.step(
        case.layers,
        parameters,
        setting.inputs.tolist(),
        setting.targets.tolist(),
        case.cost,
        ETA,
        mistake,
        optimizer,
        state,
        epoch=-(-5 // STEPS_AN_EPOCH),
        weights=None if trace.sample_weights is None else trace.sample_weights.tolist(),
        draws=setting.draws(),
    )
    wrong = {name: np.array(value) for name, value in lists.items() if value is not None}
    return Planted(trace, wrong, case)


def other_batch(seed: int) -> tuple[Planted, Trace]:
    """A right step on other samples, and the trace of it that a check is offered."""
    rng = np.random.default_rng(seed)
    case = random_case(rng, "other samples")
    setting = draw(case, seed)
    another = draw(case, seed + 1)
    other = Setting(case, setting.parameters, another.inputs, another.targets)
    traces = [trace_of(one, eta=ETA) for one in (setting, other)]
    return Planted(traces[0], record_of(traces[1]), case), traces[1]


def in_float32(seed: int) -> Planted:
    """A right step that was computed in float32, with all the digits of float64 written down."""
    case = random_case(np.random.default_rng(seed), "float32")
    setting = draw(case, seed)
    single = trace_of(setting, np.float32, eta=ETA)
    # What is float32 throughout is judged as such: here a last product was taken in float64.
    wrong = {k: a.astype(np.float64) * (1 + 1e-16) for k, a in record_of(single).items()}
    rng = np.random.default_rng(seed)
    wrong = {k: a * (1 + 2.0**-30 * rng.uniform(-1, 1, a.shape)) for k, a in wrong.items()}
    return Planted(trace_of(setting, eta=ETA), wrong, case)


def sound(seed: int) -> Planted:
    """A right step, by plain loops."""
    kinds = ["", "momentum", "weight_decay", "adam_epsilon", "padding_lost", "nesterov"]
    kinds += ["class_weights", "clipping", "l1", "dropout_mask", "batchnorm_terms"]
    return plant(f"none:{kinds[seed % len(kinds)]}", seed)


def rounded(array: Any, digits: int, *, decimals: bool) -> Any:
    if digits >= 17:
        return array
    if decimals:
        return np.array([float(f"{x:.{digits}f}") for x in array.ravel()]).reshape(array.shape)
    return np.array([float(f"{x:.{digits - 1}e}") for x in array.ravel()]).reshape(array.shape)


def chosen(arrays: Any, subset: str, record: Any) -> Iterator[str]:
    """The names of a subset; the cost goes with it where it is wrong or all is given."""
    for name in arrays:
        if name == "cost":
            wrong = abs(float(arrays[name]) - float(record["cost"])) > 1e-9
            if subset == "all" or wrong:
                yield name
        elif name in record and name.split(".")[1].endswith(SUBSETS[subset]):
            yield name


def checked(
    planted: Planted,
    subset: str,
    digits: int,
    *,
    decimals: bool = False,
    others: tuple[Trace, ...] = (),
) -> Checked:
    record = record_of(planted.trace)
    return check_step(
        planted.trace,
        [
            Named(name, name, rounded(planted.wrong[name], digits, decimals=decimals))
            for name in chosen(planted.wrong, subset, record)
        ],
        steps_an_epoch=STEPS_AN_EPOCH,
        others=lambda: others,
    )


def is_visible(planted: Planted, subset: str, digits: int, *, decimals: bool = False) -> bool:
    """Whether the mistake shows: some number of the subset is another when both are rounded."""
    record = record_of(planted.trace)
    for name in chosen(planted.wrong, subset, record):
        pair = (np.asarray(planted.wrong[name], float), np.asarray(record[name], float))
        if pair[0].shape != pair[1].shape:
            return True
        size = np.abs(pair[1])
        unit = 10.0**-digits if decimals else 10.0 ** (1 - digits) * size
        if (np.abs(pair[0] - pair[1]) > 10 * unit + 1e-9 * size.max()).any():
            return True
    return False


OF_UPDATES = ("momentum", "nesterov", "weight_decay", "adam", "clipping", "l1", "sign:update")


class Outcome(NamedTuple):
    """What a check made of a planted mistake.

    Attributes:
        verdict: named, ambiguous, wrong, unknown, missed, or invisible where rounding hides it.
        how: the subset, the digits, and whether they are decimals.
    """

    verdict: str
    how: tuple[str, int, bool]
    checked: Checked | None = None


def outcome(mistake: str, seed: int) -> Outcome:
    """Plants a mistake, rounds some of what was computed, and judges the check."""
    rng = np.random.default_rng(seed)
    word = mistake.split(":")[0]
    subsets = list(SUBSETS)
    if mistake.startswith(OF_UPDATES):
        subsets = ["all", "backward", "gradients and new"]
    if word in ("dropout_mask", "batchnorm_terms"):
        subsets = ["all", "backward", "errors"]
    if mistake == "pool_gradient_spread:last":  # the cells differ, and hardly anything after them
        subsets = ["all"]
    subset, digits = str(rng.choice(subsets)), (4, 6, 17)[seed % 3]
    decimals, others = bool(rng.random() < 0.3), tuple[Trace, ...]()
    if word == "wrong_batch":
        planted, other = other_batch(seed)
        others = (other,)
    elif word == "rounding":
        planted, digits = in_float32(seed), 17
    else:
        planted = plant(mistake, seed)
    how = (subset, digits, decimals)
    if word != "rounding" and not is_visible(planted, subset, digits, decimals=decimals):
        return Outcome("invisible", how)
    found = checked(planted, subset, digits, decimals=decimals, others=others)
    if found.mistakes == (word,):
        verdict = "named"
    elif word in found.mistakes:
        verdict = "ambiguous"
    elif found.mistakes:
        verdict = "wrong"
    else:
        verdict = "missed" if found.right else "unknown"
    return Outcome(verdict, how, found)


def accused(seed: int) -> Checked | None:
    """The check of a sound step, where it finds something wrong with it."""
    rng = np.random.default_rng(seed)
    planted = sound(seed)
    digits, decimals = (4, 6, 17)[seed % 3], bool(rng.random() < 0.5)
    found = checked(planted, str(rng.choice(list(SUBSETS))), digits, decimals=decimals)
    return None if found.right else found
