"""A step with a classic mistake in it, beside the right one: what is wrong first, and what follows.

The mistakes are those of `nncli.inspection.mistakes`, which takes the step again with each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.text import join_words, nearest
from nncli.inspection.mistakes.scene import Scene, everywhere
from nncli.inspection.mistakes.table import MISTAKES
from nncli.nn.arrays import Array
from nncli.nn.step import Step
from nncli.nn.trace import Trace

CLASSIC = (  # those that the derivation is written for; the others are shown as well
    "sigma_prime_of_a",
    "missing_sigma_prime_hidden",
    "updated_weights",
    "untransposed",
    "sum_for_mean",
    "missing_half",
)
UNUSED = "unused"  # of an error below the first layer that learns
NOWHERE = "nowhere"
UPDATED = ("_update", "_new")  # ends of the names of what a step makes of its gradients


@dataclass(frozen=True, eq=False)
class Wrong:
    """A mistake, and what it does to a step.

    Attributes:
        kind: its word, a key of MISTAKES.
        without_effect: why it makes no difference here, in a word; None: it does make one.
        layer: where a number is wrong first, in the order of the way back; "": in C.
        quantity: which one: a key of the record.
        others: the other layers in which the mistake is made.
        right, wrong: that quantity, samples first where it is by sample.
        right_factor: the σ′ that it comes from, of a δ; wrong_factor: where σ′ is wrong too.
        of_update: whether the gradients are right, and only what is made of them is not.
        cosine: between the wrong gradient (or update) and the right one, over all parameters; None
            where one of them is 0 or not finite.
        length_ratio: ‖wrong‖ / ‖right‖; step_ratio: the same of the updates.
        cost_after: C on the same samples after the wrong step.
    """

    kind: str
    without_effect: str | None = None
    layer: str = ""
    quantity: str = ""
    others: tuple[str, ...] = ()
    right: Array | None = None
    wrong: Array | None = None
    right_factor: Array | None = None
    wrong_factor: Array | None = None
    of_update: bool = False
    cosine: float | None = None
    length_ratio: float | None = None
    step_ratio: float | None = None
    cost_after: float | None = None


def check_word(word: str) -> None:
    """Raises NncliError where there is no such mistake; its text has those that there are."""
    if word not in MISTAKES:
        raise NncliError(
            f"there is no mistake {word}: expected {join_words(CLASSIC)}, or another of "
            f"{', '.join(w for w in MISTAKES if w not in CLASSIC)}{nearest(word, MISTAKES)}"
        )


def make_mistake(trace: Trace, word: str) -> Wrong:
    """The step of a trace with the mistake of that word, made wherever it can be.

    Raises:
        NncliError: there is no such word.
    """
    check_word(word)
    scene = Scene(trace)
    changes = [*MISTAKES[word].changes(scene)]
    if not changes:
        return Wrong(word, _reason(scene, word))
    # Its first way; of the ½ in the cost, that in which the gradient follows from it.
    chosen = changes[-1] if word == "missing_half" else changes[0]
    same_way = (c for c in everywhere(changes) if c.way == chosen.way and not c.place)
    change = next(same_way, chosen)
    with np.errstate(all="ignore"):
        right = scene.right.make_all()
        wrong = scene.right.changed(change.rules).make_all()
        made = _compared(scene, word, right, wrong, [name.split(".")[0] for name in change.rules])
    if made.without_effect == UNUSED:
        reason = _reason(scene, word)
        return Wrong(word, UNUSED if reason == NOWHERE else reason)
    return made


def _reason(scene: Scene, word: str) -> str:
    """Why a mistake cannot be made in a step."""
    if word == "untransposed":
        weights = [x for x in scene.learners[1:] if x.type == "dense"]
        return "not_square" if weights else "nothing_below"
    return {
        "sigma_prime_of_a": "no_sigma",
        "missing_sigma_prime_hidden": "no_hidden",
        "updated_weights": "nothing_below",
        "sum_for_mean": "one_sample",
        "missing_half": "no_half",
    }.get(word, NOWHERE)


Named = Mapping[str, Array]


def _compared(scene: Scene, word: str, right: Named, wrong: Named, places: list[str]) -> Wrong:
    trace, stems = scene.trace, scene.parameters
    different = [name for name in right if not _are_equal(right[name], wrong[name])]
    if not any(f"{stem}_new" in different for stem in stems):
        if different and all(name.endswith(".downstream") for name in different):
            return Wrong(word, UNUSED)
        return Wrong(word, "cost_only" if "cost" in different else "equal")
    # σ′ is wrong forward already, but is met on the way back.
    first = next(name for name in different if name != "cost" and not name.endswith("sigma_prime"))
    layer, _, quantity = first.partition(".")
    gradients = [f"{stem}_gradient" for stem in stems]
    of_update = not any(name in different for name in gradients)
    updates = [f"{stem}_update" for stem in stems]
    compared = updates if of_update else gradients
    cosine, ratio = _angle(right, wrong, compared)
    factors = f"{layer}.sigma_prime" if quantity == "delta" else ""
    unused = trace.layers[0].name if quantity == "downstream" else ""
    own = [other.name for other in reversed(trace.layers)]
    return Wrong(
        kind=word,
        layer=layer,
        quantity=quantity,
        others=tuple(name for name in own if name in places and name != layer and name != unused),
        right=right[first],
        wrong=wrong[first],
        right_factor=right.get(factors),
        wrong_factor=wrong.get(factors) if factors in different else None,
        of_update=of_update,
        cosine=cosine,
        length_ratio=ratio,
        step_ratio=_angle(right, wrong, updates)[1],
        cost_after=_cost_after(trace, wrong),
    )


def _are_equal(a: Array, b: Array) -> bool:
    """To all but rounding: the same sum in another order is no mistake."""
    if a is b or np.array_equal(a, b, equal_nan=True):
        return True
    scale = float(np.nan_to_num(np.abs(a)).max(initial=0))
    return bool(np.allclose(a, b, rtol=0, atol=1e-13 * scale, equal_nan=True))


def _angle(right: Named, wrong: Named, names: list[str]) -> tuple[float | None, float | None]:
    """The cosine between two lists of arrays taken as vectors, and the ratio of their lengths."""
    a, b = (np.concatenate([of[name].ravel() for name in names]) for of in (right, wrong))
    lengths = sqrt(float(a @ a)), sqrt(float(b @ b))
    if not all(np.isfinite(lengths)) or min(lengths) == 0:
        return None, None
    return float(a @ b) / lengths[0] / lengths[1], lengths[1] / lengths[0]


def _cost_after(trace: Trace, wrong: Named) -> float:
    """C on the samples of a trace, with the parameters that a wrong step would leave."""
    network = trace.network()
    for name, views in network.views(network.parameters).items():
        for key, view in views.items():
            view[...] = wrong[f"{name}.{key}_new"]
    step = Step(network, None, len(trace.samples))
    step.inputs[...], step.targets[...] = trace.inputs, trace.targets
    step.replay_random(trace.recorded_by_sample())
    return step.forward()
