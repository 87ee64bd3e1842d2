"""Causes that lie in the samples: in targets, in inputs, and in what is held back."""

from nncli.core.text import count_of, join_words
from nncli.inspection.diagnosis.record import Cure, Evidence, Suspicion

FEWEST = 10  # samples of which equal targets are no accident
FAR_SHIFT, FAR_STRETCH = 1.5, 4.0  # of most inputs: no split at random comes near it
CONTRARY = -4.0  # deviations from chance
FEW_UNSEEN = 0.02  # of the samples held back: a rare class may well be missed
MANY_SEEN = 0.2  # of the samples held back
MOST_NAMED = 3
LARGE_TARGETS, SMALL_TARGETS = 10.0, 0.05  # outputs begin at about 1


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


def target_scale(evidence: Evidence) -> Suspicion | None:
    """Targets far from 1, of outputs that may be any number."""
    data, output = evidence.data, evidence.settings.output
    low, high = data.targets
    size = max(abs(low), abs(high))
    is_plain = not data.class_shares and output.activation == "identity" and data.outlier is None
    if not is_plain or SMALL_TARGETS <= size <= LARGE_TARGETS or low == high:
        return None
    how = "larger" if size > 1 else "smaller"
    return Suspicion(
        0.4,
        (output.name,),
        {"least_target": low, "largest_target": high},
        f"targets go from {low:.4g} to {high:.4g}, and outputs begin at about 1: errors are far "
        f"{how} than with targets of about 1, and so are the steps",
        (Cure({"data.target_scale": "standard"}, "scale the targets to mean 0 and deviation 1"),),
    )


def unseen_class(evidence: Evidence) -> Suspicion | None:
    """Classes that only the samples held back have."""
    data, held = evidence.data, evidence.data.held_back
    if held is None or held.unseen_share < FEW_UNSEEN:
        return None
    names = [data.output_name(k) for k in held.unseen_classes[:MOST_NAMED]]
    more = len(held.unseen_classes) - len(names)
    listed = join_words([*names, *([count_of(more, "other")] if more else [])], "and")
    which = "class" if len(held.unseen_classes) == 1 else "classes"
    return Suspicion(
        1.0,
        (),
        {"classes": list(held.unseen_classes), "share": held.unseen_share},
        f"{held.unseen_share:.0%} of the samples held back are of the {which} {listed}, of which "
        "there are none to train on: the network cannot know what they look like",
        (Cure({}, "train on samples of all classes: were they divided by class?"),),
    )


def heavy_target(evidence: Evidence) -> Suspicion | None:
    """A target so far off that all the others together do not count."""
    data = evidence.data
    heavy = data.heavy
    which = f"sample {heavy.sample}" if heavy is not None else "a sample held back"
    if heavy is None and data.held_back is not None:
        heavy = data.held_back.heavy
    if heavy is None or data.outlier is not None:
        return None
    return Suspicion(
        1.0,
        (),
        {"value": heavy.value, "usual": heavy.usual},
        f"{which} has the target {heavy.value:.3g}, all others have at most "
        f"{heavy.usual:.3g}: costs and skills tell of this one alone",
        (Cure({}, "correct that target, or leave the sample out"),),
    )


def other_inputs(evidence: Evidence) -> Suspicion | None:
    """Samples held back whose inputs come from elsewhere."""
    held = evidence.data.held_back
    if held is None or (held.shift < FAR_SHIFT and held.stretch < FAR_STRETCH):
        return None
    signs = []
    if held.shift >= FAR_SHIFT:
        signs.append(f"most have their mean {held.shift:.2g} deviations away")
    if held.stretch >= FAR_STRETCH:
        signs.append(f"most vary {held.stretch:.2g} times as much or as little")
    return Suspicion(
        1.0,
        (),
        {"shift": held.shift, "stretch": held.stretch},
        "inputs of the samples held back are not like those of the samples trained on: "
        f"{' and '.join(signs)}",
        (Cure({}, "look at how both were made: in the same units, from the same source?"),),
    )


def contrary_targets(evidence: Evidence) -> Suspicion | None:
    """Samples held back whose targets mean something else, as classes in another order do."""
    held = evidence.data.held_back
    if held is None or held.agreement is None or held.agreement > CONTRARY:
        return None
    return Suspicion(
        1.0,
        (),
        {"agreement": held.agreement},
        "what a linear model learns from the samples trained on is the contrary of what those "
        f"held back have ({-held.agreement:.1f} deviations)",
        (Cure({}, "look at the targets of both: are they written in the same way?"),),
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
    held = evidence.data.held_back
    if held is None or held.seen <= MANY_SEEN:
        return None
    seen = held.seen
    return Suspicion(
        seen,
        (),
        {"seen": seen},
        f"{seen:.0%} of the samples held back are among those trained on too, input for input: how "
        "good the network is on new ones, they do not show",
        (Cure({}, "leave repeated rows out, unless new data will repeat them too"),),
    )
