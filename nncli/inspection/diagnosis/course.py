"""Causes that show in the course of a training, and in what it came to."""

import math
from typing import Any

from nncli.core.text import count_of
from nncli.inspection.diagnosis.record import Course, Cure, Evidence, Settings, Suspicion
from nncli.nn.symbols import symbol_of

FACTORS = (0.001, 0.01, 0.1, 0.3, 3.0, 10.0, 100.0, 1000.0)  # of η, in a range test
FAR_LARGER = (1e4, 1e5, 1e6)
STEPS = (10.0, 1.0, 0.1, 0.01, 0.001)  # of weights' size: where a far smaller η is looked for
DEAD = 0.9  # the share of a layer's units without which next to nothing passes
CLEAR = 3.0  # deviations from chance
RARE = 0.25  # of the share that each class would have if they were in balance
GAP = 0.25  # between the skill on the samples trained on, and on those held back
ORDINARY_BATCH = 16


def diverged(evidence: Evidence) -> Suspicion | None:
    base = evidence.base
    if base is None or not base.diverged:
        return None
    o = base.origin
    quantity = "z" if o["quantity"] == "cost" else str(o["quantity"])  # which made the cost grow
    symbol = symbol_of(quantity, str(o["layer"]))
    place = f"{symbol} of {o['layer']}, unit {o['unit']}, sample {o['sample']}"
    return Suspicion(
        1.0,
        (str(o["layer"]),),
        o,
        f"the training diverged at step {o['step']}; it began in {place}",
        (),
    )


def large_batch(evidence: Evidence) -> Suspicion | None:
    """Too few steps, since a mini-batch holds all of the data."""
    settings, samples = evidence.settings, evidence.data.samples
    if settings.batch_size < samples or samples < 2 * ORDINARY_BATCH:
        return None
    says = f"{-(-samples // ORDINARY_BATCH)} steps an epoch"
    small: dict[str, Any] = {"train.batch_size": ORDINARY_BATCH}
    return Suspicion(
        0.6,
        (),
        {"batch_size": settings.batch_size, "samples": samples, "steps": settings.epochs},
        f"a mini-batch of {settings.batch_size:,} holds all {samples:,} samples, so that an epoch "
        f"is a single step: {settings.epochs} in all",
        (
            Cure(small, says),
            Cure({**small, **_eta(settings.eta, 0.3).set}, f"{says}, which may be shorter then"),
            Cure({**small, **_eta(settings.eta, 3).set}, f"{says}, and larger ones"),
        ),
    )


def dead_units(evidence: Evidence) -> Suspicion | None:
    """Units that the training has killed, as a step too long does."""
    base = evidence.base
    if base is None:
        return None
    before = {state.name: state.dead for state in evidence.start}
    shares = {
        state.name: state.dead
        for state in base.end
        if state.dead >= DEAD > before.get(state.name, 0.0)
    }
    if not shares:
        return None
    parts = ", ".join(f"{share:.0%} of {name}" for name, share in shares.items())
    known = "; before the first step they were not" if before else ""
    return Suspicion(
        max(shares.values()),
        tuple(shares),
        {"dead": shares},
        f"units that are 0 for every sample after the training: {parts}; σ′ = 0, so they get no "
        f"error and no longer learn{known}",
        (Cure({}, "a smaller step, or leaky_relu, whose slope is not 0 below 0 either"),),
    )


def eta_too_large(evidence: Evidence) -> Suspicion | None:
    settings, base = evidence.settings, evidence.base
    if base is None:
        return None
    effective = settings.eta / (1 - settings.momentum)
    updates = _first_updates(evidence)
    found: dict[str, Any] = {
        "eta": settings.eta,
        "rises": _rises(base),
        "diverged": base.diverged,
        "relative_updates": updates,
    }
    cures = [_eta(settings.eta, factor) for factor in reversed(FACTORS) if factor < 1]
    signs = _first_step_words(updates)
    if base.diverged:
        signs.insert(0, "the training diverged")
    elif _rises(base) or not signs:
        signs.insert(0, f"the cost grew in {_rises(base):.0%} of the epochs")
    says = f"at η = {settings.eta:g} {'; '.join(signs)}"
    if settings.momentum >= 0.8:
        found |= {"momentum": settings.momentum, "effective_eta": effective}
        says += (
            f", and momentum {settings.momentum:g} makes steps {1 / (1 - settings.momentum):.3g} "
            f"times as long: those of η = {effective:.3g}"
        )
        no_momentum = Cure({"train.momentum": 0}, "steps of η itself")
        cures = [no_momentum, *cures]
    severity = 1.0 if base.diverged else min(1.0, 2 * _rises(base))
    return Suspicion(severity, (), found, says, tuple(cures), _far_smaller(settings, updates))


def _far_smaller(settings: Settings, updates: dict[str, float]) -> tuple[Cure, ...]:
    """Below the range test: where the first step changes weights by less than their size."""
    # Adam's step does not depend on ∂C/∂W: of weights of about 1 it is η.
    first = max(updates.values(), default=settings.eta)
    if not 0 < first < math.inf:
        return ()
    factors = [size / first for size in STEPS if size / first < min(FACTORS)]
    return tuple(_eta(settings.eta, factor, digits=1) for factor in factors)


def eta_too_small(evidence: Evidence) -> Suspicion | None:
    settings, base = evidence.settings, evidence.base
    if base is None or base.diverged:
        return None
    updates = _first_updates(evidence)
    left = base.costs[-1] / base.costs[0] if base.costs and base.costs[0] else 1.0
    epochs = count_of(len(base.costs), "epoch")
    how = f"the cost has come to {left:.0%} of what it was in {epochs}"
    return Suspicion(
        0.5 if left > 0.9 and len(base.costs) > 1 else 0.2,
        (),
        {"eta": settings.eta, "cost_left": left, "relative_updates": updates},
        f"at η = {settings.eta:g} {'; '.join([*_first_step_words(updates), how])}",
        tuple(_eta(settings.eta, factor) for factor in FACTORS if factor > 1),
        tuple(_eta(settings.eta, f) for f in FAR_LARGER if f * settings.eta <= 1),
    )


def _first_updates(evidence: Evidence) -> dict[str, float]:
    """η ‖∂C/∂W‖ / ‖W‖ of each layer, before the first step.

    None where the start is not known any more, or where Adam makes another step of ∂C/∂W.
    """
    if evidence.settings.optimizer != "sgd":
        return {}
    return {
        state.name: evidence.settings.eta * state.gradient_norm / state.weight_norm
        for state in evidence.start
        if state.weight_norm
    }


def _first_step_words(updates: dict[str, float]) -> list[str]:
    if not updates:
        return []
    return [f"the first step changes weights by {max(updates.values()):.2g} times their size"]


def _eta(eta: float, factor: float, digits: int = 3) -> Cure:
    words = "a smaller step" if factor < 1 else "a larger step"
    return Cure({"train.eta": float(f"{eta * factor:.{digits}g}")}, words)


def _rises(course: Course) -> float:
    """The share of the epochs in which the cost grew."""
    pairs = list(zip(course.costs, course.costs[1:], strict=False))
    return sum(b > 1.02 * a for a, b in pairs) / len(pairs) if pairs else 0.0


def class_imbalance(evidence: Evidence) -> Suspicion | None:
    shares, base = evidence.data.class_shares, evidence.base
    if not shares or min(shares) > RARE / len(shares) or base is None or base.train is None:
        return None
    result = base.held or base.train
    worst = min(result.recalls, default=1.0)
    if worst >= 0.5:
        return None
    return Suspicion(
        1 - worst,
        (),
        {"shares": list(shares), "recalls": list(result.recalls), "accuracy": result.accuracy},
        f"one class has {max(shares):.0%} of the samples, another {min(shares):.1%}; of the "
        f"samples of one class {worst:.0%} are right, though of all {result.accuracy:.0%} are",
        (
            Cure(
                {},
                "give rare classes more weight: repeat their samples, until each class has as many",
                "balance",
            ),
        ),
    )


def underfitting(evidence: Evidence) -> Suspicion | None:
    settings, base = evidence.settings, evidence.base
    if base is None or base.train is None or base.fit > 0.9:
        return None
    if settings.hidden:
        wider = {
            f"network[{f.place}].{f.width_key}": max(4 * f.width, 16)
            for f in settings.hidden
            if not f.has_weights and not f.has_biases
        }
        if not wider:
            return None
        cures = [Cure(wider, "more units")]
        what = f"{count_of(sum(f.width for f in settings.hidden), 'hidden unit')}"
    else:
        output = settings.output
        layers = [
            {"type": "dense", "units": 32, "activation": "tanh"},
            {"type": "dense", "units": output.width, "activation": output.activation},
        ]
        cures = [Cure({"network": layers}, "a hidden layer")]
        what = "no hidden layer"
    return Suspicion(
        0.4,
        tuple(f.name for f in settings.hidden),
        {"skill": base.fit, "hidden_units": [f.width for f in settings.hidden]},
        f"the samples that it is trained on are not learnt either: skill {base.fit:.2f} of 1, with "
        f"{what}",
        tuple(cures),
    )


def overfitting(evidence: Evidence) -> Suspicion | None:
    settings, base = evidence.settings, evidence.base
    if base is None or base.held is None or base.train is None or base.diverged:
        return None
    gap = base.fit - base.score
    if gap < GAP or not base.held_costs:
        return None
    best = min(range(len(base.held_costs)), key=base.held_costs.__getitem__) + 1
    rise = base.held_costs[-1] / base.held_costs[best - 1] if base.held_costs[best - 1] else 1.0
    decays = [d for d in (0.003, 0.01, 0.03, 0.1, 0.3) if d > settings.weight_decay]
    cures = [Cure({"train.weight_decay": d}, "smaller weights") for d in decays]
    narrow = {
        f"network[{f.place}].{f.width_key}": f.width // 4
        for f in settings.hidden
        if f.width >= 16 and not f.has_weights and not f.has_biases
    }
    if narrow:
        cures.append(Cure(narrow, "fewer units"))
    if best < 0.7 * len(base.held_costs):
        cures.append(Cure({"train.epochs": best}, "stop where the held-back cost was least"))
    return Suspicion(
        min(1.0, 2 * gap),
        (),
        {
            "train_skill": base.fit,
            "held_skill": base.score,
            "best_epoch": best,
            "held_cost_rise": rise,
        },
        f"skill {base.fit:.2f} on the samples trained on, {base.score:.2f} on those held back, "
        f"whose cost was least in epoch {best} and is now {rise:.3g} times as much",
        tuple(cures),
    )


def labels_unrelated(evidence: Evidence) -> Suspicion | None:
    relation, base = evidence.baselines.relation, evidence.base
    data = evidence.data
    if relation is None or relation > CLEAR or data.constant == data.inputs or data.outlier:
        return None
    if base is None or base.held is None:
        return None
    fits = f", {base.fit:.2f} on those trained on" if base.fit > 0.3 else ""
    return Suspicion(
        1.0,
        (),
        {"relation": relation, "train_skill": base.fit, "held_skill": base.score},
        "neither a linear model nor the nearest neighbours tell targets from inputs better than "
        f"chance ({relation:.1f} deviations), and the network has skill {base.score:.2f} on "
        f"samples held back{fits}",
        (Cure({}, "check that each target belongs to its inputs: were rows shuffled apart?"),),
    )
