"""The network and the training that `nncli init` proposes, with the reason for each value."""

from collections.abc import Iterator, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np

from nncli.core.text import count_of, join_words
from nncli.data.survey import Survey
from nncli.nn.activations import ELEMENTWISE, MIXING
from nncli.nn.costs import activations_of
from nncli.nn.layers import LAYERS as KINDS
from nncli.spec.dump import Entry

FEW = 20  # samples; of fewer, none are held back
MANY = 2000  # samples, of which a tenth is enough to judge by
# Steps of a training, where EPOCHS allow; fewer where each takes longer, and of many samples more.
STEPS, STEPS_OF_IMAGES, STEPS_OF_LARGE_IMAGES = 3000, 2000, 1200
MOST_STEPS, ENOUGH_EPOCHS = 30_000, 20
LARGE_IMAGE = 400  # pixels
EPOCHS = (5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 800, 1000)
SMALLEST_IMAGE = 5
LARGEST_LEFT = 14  # rows or columns, after the last pool layer
ETA, MOMENTUM = 0.02, 0.9
# The gradients of numbers have no bound: of trainings on a dozen tables one in thirty diverged at
# 0.02, and none so; the scores are the same.
ETA_OF_NUMBERS, NORM_OF_NUMBERS = 0.01, 1.0
ETA_OF_IMAGES, ETA_OF_FEW = 0.1, 0.5
LIKELY_DECAY = 0.003
LAYERS = (
    f"Layers besides dense: {', '.join(kind for kind in KINDS if kind != 'dense')}. "
    f"Activations: {', '.join(ELEMENTWISE)}, and {join_words(MIXING, 'and')} in the last layer."
)


class Candidate(NamedTuple):
    """A network that may suit a table.

    Attributes:
        units: of its hidden layer; 0: it has none.
        activation: of these.
        weight_decay: what keeps its weights small.
    """

    units: int
    activation: str
    weight_decay: float


# From the simplest on. Weights are never free: in a class that can be told apart by a line, they
# would grow without end.
CANDIDATES = (
    Candidate(0, "identity", 0.001),
    Candidate(0, "identity", 0.01),
    Candidate(0, "identity", 0.1),
    Candidate(16, "tanh", 0.001),
    Candidate(16, "tanh", 0.01),
    Candidate(64, "relu", 0.001),
    Candidate(64, "relu", 0.01),
    Candidate(64, "relu", 0.05),
)


class Plan(NamedTuple):
    network: Sequence[Entry]
    train: Sequence[Entry]


def plan(found: Survey, candidate: Candidate | None = None, tried: str = "") -> Plan:
    """The sections `network` and `train` of a spec for data.

    Args:
        candidate: the network to have; None: one that is likely to suit.
        tried: what is said of how it was found.
    """
    n = trained_on(found, candidate)
    if candidate is None:
        candidate = Candidate(units_for(found), "tanh", 0.0 if is_image(found) else LIKELY_DECAY)
    is_classified_ = is_classified(found)
    output = {
        "type": "dense",
        "units": found.outputs,
        "activation": "softmax" if is_classified_ else "identity",
    }
    why = "A unit a target, any number."
    if is_classified_:
        why = "A unit a class; softmax makes shares of 1 of them."
    body = _images(found) if is_stack(found) else _hidden(candidate, tried)
    train = _training(found, candidate, n)
    return Plan([*body, Entry("", output, why)], list(train))


def _training(found: Survey, candidate: Candidate, n: int) -> Iterator[Entry]:
    batch = batch_size(n)
    is_plain = found.samples < FEW or is_image(found)
    eta = ETA if is_classified(found) else ETA_OF_NUMBERS
    if is_plain:
        eta = ETA_OF_IMAGES if is_image(found) or not is_classified(found) else ETA_OF_FEW
    yield Entry("eta", eta, "the learning rate η; smaller if the cost jumps about")
    yield Entry("epochs", epochs_for(n, batch, steps_for(found, n)), _length(n, batch))
    yield Entry("batch_size", batch, "samples a step")
    if is_classified(found):
        outputs = join_words(reversed(activations_of("cross_entropy")), "and")
        yield Entry("cost", "cross_entropy", f"for {outputs}; quadratic for any outputs")
    else:
        yield Entry("cost", "quadratic", "½‖a − y‖², for numbers")
    why = "keeps the step's direction; "
    why += "take a tenth of η with it" if is_plain else "without it, take ten times η"
    yield Entry("momentum", MOMENTUM, why, is_plain)
    why = "η falls to 0, for finer steps in the end"
    yield Entry("schedule", {"type": "cosine"}, why, is_plain)
    if not is_classified(found) and not is_plain:
        why = "no gradient counts for more: a few odd samples cannot throw the network off"
        yield Entry("clip", {"norm": NORM_OF_NUMBERS}, why)
    why = "pulls weights towards 0, against learning by heart"
    decay = 0.0 if is_plain else candidate.weight_decay
    yield Entry("weight_decay", decay or 1e-4, why, not decay)


def _hidden(candidate: Candidate, tried: str) -> Iterator[Entry]:
    more = "More units learn finer things, and learn by heart; more layers, what builds on them."
    if candidate.units:
        layer = {"type": "dense", "units": candidate.units, "activation": candidate.activation}
        yield Entry("", layer, " ".join(filter(None, (tried, more))))
        another = {"type": "dense", "units": candidate.units, "activation": "relu"}
        yield Entry("", another, LAYERS, off=True)
        return
    none = (
        "No hidden layer: each output is a weighted sum of the inputs. One between would be this."
    )
    layer = {"type": "dense", "units": 16, "activation": "tanh"}
    yield Entry("", layer, " ".join(filter(None, (tried, none))), off=True)


def is_stack(found: Survey) -> bool:
    """Whether inputs are images that are large enough for filters."""
    shape = found.image or found.input_shape
    return len(shape) == 3 and min(shape[1:]) >= SMALLEST_IMAGE


def _images(found: Survey) -> Iterator[Entry]:
    """Stages of conv and pool, until what is left is small enough for a dense layer."""
    shape = found.image or found.input_shape
    yield from _convolutions(shape)
    layer = {"type": "dense", "units": 32, "activation": "tanh"}
    yield Entry("", layer, "From here on all is one row of numbers.")


def _convolutions(shape: Sequence[int]) -> Iterator[Entry]:
    side, filters = max(shape[1:]), 8
    for stage in range(6):
        conv = {
            "type": "conv",
            "filters": filters,
            "kernel": 3,
            "padding": "same",
            "activation": "relu",
        }
        why = "Filters of 3 x 3 pixels, moved over the image; padding: same keeps its size."
        yield Entry("", conv, "" if stage else why)
        yield Entry(
            "", {"type": "maxpool", "size": 2}, "" if stage else "The largest of each 2 x 2."
        )
        side //= 2
        if side < LARGEST_LEFT or min(shape[1:]) // 2 ** (stage + 2) < 1:
            return
        filters = min(2 * filters, 32)


def units_for(found: Survey) -> int:
    """The units of a hidden layer that is likely to suit."""
    inputs = int(np.prod(found.image or found.input_shape))
    return 8 if found.samples < 200 else 16 if inputs <= 32 else 32 if inputs <= 256 else 64


def is_classified(found: Survey) -> bool:
    return found.classes is not None or found.are_shares


def is_image(found: Survey) -> bool:
    return found.image is not None or len(found.input_shape) > 1


def steps_for(found: Survey, n: int) -> int:
    """The steps of a training on n samples."""
    if not is_image(found):
        return min(max(STEPS, ENOUGH_EPOCHS * ceil(n / batch_size(n))), MOST_STEPS)
    return STEPS_OF_IMAGES if found.low.size < LARGE_IMAGE else STEPS_OF_LARGE_IMAGES


def held_share(found: Survey, candidate: Candidate | None) -> float:
    """What share of the samples is held back, to judge the network by.

    One that was found by cross-validation was judged by that: then few samples are better trained
    on. Over 50 tables from packages that makes .01 of accuracy or R²; and no best epoch is chosen
    by what a few samples happen to say.
    """
    if found.samples < FEW or (candidate is not None and found.samples < MANY):
        return 0.0
    return 0.2 if candidate is None else 0.1


def trained_on(found: Survey, candidate: Candidate | None) -> int:
    return ceil((1 - held_share(found, candidate)) * found.samples)


def batch_size(samples: int) -> int:
    return samples if samples < FEW else 10 if samples < 2000 else 32


def epochs_for(samples: int, batch: int, steps: int) -> int:
    wanted = steps / ceil(samples / batch)
    return next((epochs for epochs in EPOCHS if epochs >= wanted), EPOCHS[-1])


def _length(samples: int, batch: int) -> str:
    return f"times through the data, {count_of(ceil(samples / batch), 'step')} each"
