"""Settings that hold a training up: each cure takes one of them away."""

from collections.abc import Iterable
from typing import Any

from nncli.core.text import count_of, join_words, sizes
from nncli.inspection.diagnosis.record import Cure, Evidence, Suspicion

ENOUGH = 0.9  # of skill on the samples trained on: nothing holds such a training up
MILD_RATE = 0.2  # of dropout
FEW = 8  # samples, of which means are hardly those of all
BATCHES = (16, 32)
PATIENCE = 10


def _suspicion(
    evidence: Evidence, found: dict[str, Any], says: str, *cures: Cure, layers: Iterable[str] = ()
) -> Suspicion | None:
    """None of a training that nothing holds up."""
    base = evidence.base
    if base is None or base.fit > ENOUGH:
        return None
    return Suspicion(0.4, tuple(layers), found, says, cures)


def unread_inputs(evidence: Evidence) -> Suspicion | None:
    gaps = evidence.settings.brakes.gaps
    if not gaps:
        return None
    parts = [
        f"the windows of {gap.place.name}, {sizes(gap.kernel)}, are {sizes(gap.stride)} apart, and "
        f"leave {1 - gap.read:.0%} of its input unread"
        for gap in gaps
    ]
    sets: dict[str, Any] = {f"network[{gap.place.number}].stride": list(gap.kernel) for gap in gaps}
    return _suspicion(
        evidence,
        {"read": {gap.place.name: gap.read for gap in gaps}},
        "; ".join(parts),
        Cure(sets, "windows beside each other"),
        Cure(
            {**sets, "train.eta": evidence.settings.eta / 10},
            "windows beside each other, and a smaller step",
        ),
        layers=[gap.place.name for gap in gaps],
    )


def frozen_layers(evidence: Evidence) -> Suspicion | None:
    frozen = evidence.settings.brakes.frozen
    if not frozen:
        return None
    names = [place.name for place in frozen]
    all_of = "all weights" if len(frozen) == len(evidence.settings.layers) else "the weights of"
    which = all_of if all_of == "all weights" else f"{all_of} {join_words(names, 'and')}"
    return _suspicion(
        evidence,
        {"frozen": names},
        f"{which} stay what they are, as freeze has it",
        Cure({f"network[{place.number}].freeze": False for place in frozen}, "train them too"),
        layers=names,
    )


def schedule(evidence: Evidence) -> Suspicion | None:
    settings = evidence.settings
    faded = settings.brakes.faded
    if faded is None or faded > settings.epochs / 2:
        return None
    return _suspicion(
        evidence,
        {"faded": faded, "epochs": settings.epochs},
        f"from epoch {faded} of {settings.epochs} on, η is less than a hundredth of "
        f"{settings.eta:g}, as schedule has it: steps come to next to nothing",
        Cure({"train.schedule": {"type": "constant"}}, "η that stays as it is"),
    )


def early_stop(evidence: Evidence) -> Suspicion | None:
    base, stop = evidence.base, evidence.settings.brakes.early_stop
    if stop is None or base is None or not base.stopped_early:
        return None
    patience, delta = stop
    better = f"better by more than {delta:g}" if delta else "better"
    least = "train.early_stop.min_delta"
    sets: dict[str, Any] = {"train.early_stop.patience": max(PATIENCE, 2 * patience)}
    return _suspicion(
        evidence,
        {"patience": patience, "min_delta": delta, "epochs": len(base.costs)},
        f"the training ended after {count_of(len(base.costs), 'epoch')}, since "
        f"{count_of(patience, 'epoch')} in a row made it no {better}, as early_stop has it",
        Cure(sets | ({least: 0} if delta else {}), "more patience"),
    )


def clipping(evidence: Evidence) -> Suspicion | None:
    clip = evidence.settings.brakes.clip
    if not clip:
        return None
    ((key, value),) = clip.items()
    norms = [state.gradient_norm for state in evidence.start]
    usual = f"; before the first step that of one layer is {max(norms):.2g}" if norms else ""
    what = "the norm of the gradient" if key == "norm" else "each |∂C/∂w|"
    return _suspicion(
        evidence,
        {"clip": dict(clip)},
        f"{what} is clipped to {value:g}{usual if key == 'norm' else ''}",
        Cure({"train.clip": None}, "gradients as they are"),
    )


def weight_decay(evidence: Evidence) -> Suspicion | None:
    settings = evidence.settings
    decays = settings.brakes.decays
    if not decays:
        return None
    strongest = max(decays, key=lambda key: decays[key])
    share = settings.eta * decays[strongest]
    is_share = strongest != "l1" and settings.optimizer == "sgd"
    by = f", by {share:.2g} of their size" if is_share else ""
    named = join_words([f"{key} {value:g}" for key, value in decays.items()], "and")
    return _suspicion(
        evidence,
        dict(decays),
        f"at each step {named} {'draws' if len(decays) == 1 else 'draw'} all weights towards 0{by}",
        Cure({f"train.{key}": value / 100 for key, value in decays.items()}, "a hundredth of it"),
        Cure({f"train.{key}": 0 for key in decays}, "none of it"),
    )


def dropout(evidence: Evidence) -> Suspicion | None:
    rates = evidence.settings.brakes.dropouts
    if not rates:
        return None
    parts = [f"{place.name} sets {rate:.0%} of its inputs to 0" for place, rate in rates.items()]
    mild = {p: MILD_RATE for p, rate in rates.items() if rate > MILD_RATE}
    cures = [(mild, "less of it")] if mild else []
    cures.append((dict.fromkeys(rates, 0.0), "none of it"))
    return _suspicion(
        evidence,
        {"rates": {place.name: rate for place, rate in rates.items()}},
        f"at each step {join_words(parts, 'and')}",
        *(
            Cure({f"network[{place.number}].rate": rate for place, rate in sets.items()}, says)
            for sets, says in cures
        ),
        layers=[place.name for place in rates],
    )


def class_weights(evidence: Evidence) -> Suspicion | None:
    weights = evidence.settings.brakes.class_weights
    if weights is None:
        return None
    least, most = weights
    return _suspicion(
        evidence,
        {"least": least, "most": most},
        f"the cost of a sample of one class counts {least:g} times, of another {most:g} times",
        Cure({"data.class_weights": None}, "all classes alike"),
    )


def small_batch(evidence: Evidence) -> Suspicion | None:
    """Batch normalisation over so few samples that their means are nobody else's."""
    settings = evidence.settings
    names, n = settings.brakes.normalised, settings.batch_size
    if not names or n >= FEW:
        return None
    return _suspicion(
        evidence,
        {"batch_size": n},
        f"mean and variance in {join_words(list(names), 'and')} are those of {n} samples, and far "
        "from those of others",
        *(Cure({"train.batch_size": size}, "larger mini-batches") for size in BATCHES),
        layers=names,
    )
