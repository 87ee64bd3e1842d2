"""Causes that lie in the samples: in targets, in inputs, and in what is held back."""

from nncli.core.text import count_of, join_words
from nncli.inspection.diagnosis.record import Cure, Evidence, Suspicion

FEWEST = 10  # samples of which equal targets are no accident
FEW_UNSEEN = 0.02  # of the samples held back: a rare class may well be missed
MANY_SEEN = 0.2  # of the samples held back
MOST_NAMED = 3


def constant_targets(evidence: Evidence) -> Suspicion | None:
    data = evidence.data
    if not data.same_targets or data.samples < FEWEST:
        return None
    target = (
        "are of the same class" if data.class_shares else f"have the target {data.targets[0]:g}"
    )
    return Suspicion(
        1.0,
        (),
        {"samples": data.samples, "target": data.targets[0]},
        f"all {data.samples:,} samples {target}: a network that never looks at its inputs is right",
        (Cure({}, "take samples that differ in what is to be learnt"),),
    )


def unseen_class(evidence: Evidence) -> Suspicion | None:
    """Classes that only the samples held back have."""
    data = evidence.data
    if data.unseen_share < FEW_UNSEEN:
        return None
    names = [data.output_name(k) for k in data.unseen_classes[:MOST_NAMED]]
    more = len(data.unseen_classes) - len(names)
    listed = join_words([*names, *([count_of(more, "other")] if more else [])], "and")
    which = "class" if len(data.unseen_classes) == 1 else "classes"
    return Suspicion(
        1.0,
        (),
        {"classes": list(data.unseen_classes), "share": data.unseen_share},
        f"{data.unseen_share:.0%} of the samples held back are of the {which} {listed}, of which "
        "there are none to train on: the network cannot know what they look like",
        (Cure({}, "train on samples of all classes: were they divided by class?"),),
    )


def giveaway(evidence: Evidence) -> Suspicion | None:
    """An input that is the target by another name, and will not be there when it is wanted."""
    data = evidence.data
    if not data.giveaways:
        return None
    first = data.giveaways[0]
    name, target = data.input_name(first.input), "the class"
    if first.output is not None:
        of_class = "whether it is " if data.class_shares else ""
        target = of_class + data.output_name(first.output)
    more = len(data.giveaways) - 1
    others = f", and so {'does' if more == 1 else 'do'} {count_of(more, 'more input')}"
    return Suspicion(
        1.0,
        (),
        {
            "inputs": [g.input for g in data.giveaways],
            "outputs": [g.output for g in data.giveaways],
        },
        f"the input {name} alone tells {target} without an error in {data.samples:,} samples"
        f"{others if more else ''}: it looks like the target by another name",
        (Cure({}, "ignore it, unless it is known before the answer is (data.ignore)"),),
    )


def seen_samples(evidence: Evidence) -> Suspicion | None:
    """Samples held back that are trained on: what is learnt by heart counts as understood."""
    seen = evidence.data.seen
    if seen <= MANY_SEEN:
        return None
    return Suspicion(
        seen,
        (),
        {"seen": seen},
        f"{seen:.0%} of the samples held back are among those trained on too, input for input: how "
        "good the network is on new ones, they do not show",
        (Cure({}, "leave repeated rows out, unless new data will repeat them too"),),
    )
