"""The spec that `nncli init` proposes for a data set, with the reason for each value beside it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil
from pathlib import PurePath
from typing import NamedTuple

import numpy as np

from nncli.core.text import count_of, join_words, printable
from nncli.data.columns.samples import told
from nncli.data.samples import is_channels_last, named
from nncli.data.survey import Survey, described, listed_plainly
from nncli.nn.activations import ELEMENTWISE, MIXING
from nncli.nn.costs import activations_of
from nncli.nn.layers import LAYERS as KINDS
from nncli.spec.dump import Entry, Section, compose

FEW = 20  # samples; of fewer, none are held back
# Steps of a training, where EPOCHS allow; fewer where each takes longer.
STEPS, STEPS_OF_IMAGES, STEPS_OF_LARGE_IMAGES = 6000, 2000, 1200
LARGE_IMAGE = 400  # pixels
EPOCHS = (5, 10, 15, 20, 30, 50, 75, 100, 150, 200)
STEPS_OF_NUMBERS = 10_000
EPOCHS_OF_NUMBERS = (*EPOCHS, 300, 500, 800, 1000)
LARGE = 2.0  # a target's deviation, or mean, from which it is scaled
ETA_OF_NUMBERS = 0.1
SMALL = 0.3  # a deviation below which it is
LAYERS = (
    f"Layers besides dense: {', '.join(kind for kind in KINDS if kind != 'dense')}. "
    f"Activations: {', '.join(ELEMENTWISE)}, and {join_words(MIXING, 'and')} in the last layer."
)


class Proposal(NamedTuple):
    """A spec's text, and what its maker should know of the data."""

    text: str
    facts: str
    target: str
    notes: tuple[str, ...]


def propose(name: str, train: str | dict[str, str], found: Survey, origin: str = "") -> Proposal:
    """A spec that trains on the data at once.

    Args:
        name: of the spec.
        train: the data as the spec names them.
        found: what they are.
        origin: their source, if it has to be named.
    """
    plan = _plan(found)
    notes = tuple(_notes(found))
    table = train if isinstance(train, str) else train["inputs"]
    made = f"Made by nncli init for {printable(PurePath(table).name)}: {described(found)}."
    heading = [made, *([origin] if origin else []), *notes]
    head = [
        Entry(
            "name", name, f"the run's folder is runs/{printable(name)}, unless --out says otherwise"
        ),
        Entry("seed", 0, "initial weights, split and shuffling all follow from it"),
    ]
    sections = [
        Section("", head),
        Section("data", list(_data(train, found))),
        Section("network", plan.network),
        Section("train", plan.train),
    ]
    return Proposal(compose(heading, sections), described(found), _chosen(found), notes)


class _Plan(NamedTuple):
    network: Sequence[Entry]
    train: Sequence[Entry]


def _notes(found: Survey) -> Iterator[str]:
    yield from _doubts(found)
    yield from (f"Careful: {note}." for note in found.notes)
    if found.row_numbers is not None:
        yield (
            f"Careful: the column {named(found.row_numbers)} only counts the rows. As an input it "
            "tells of their order; take it out of the table if that is not what is to be learnt."
        )
    if found.constant and found.image is None and len(found.input_shape) == 1:
        names = listed_plainly(found.constant)
        yield f"Inputs that are the same in every sample, and of no use: {names}."
    if is_channels_last(found.input_shape):
        yield (
            f"Careful: images are channels x rows x columns here, and these are "
            f"{' x '.join(map(str, found.input_shape))}. If the last number is that of the "
            "channels, save the array as x.transpose(0, 3, 1, 2)."
        )
    if found.classes and found.samples >= FEW and min(found.classes.sizes) < 5:
        few = [
            name
            for name, size in zip(found.classes.names, found.classes.sizes, strict=True)
            if size < 5
        ]
        yield f"Careful: fewer than 5 samples are of class {listed_plainly(few)}."


def _chosen(found: Survey) -> str:
    """The target that was chosen among a table's columns, with the reason."""
    if not found.target or not found.target[0].why:
        return ""
    key, why, second, is_evident = found.target[0]
    chosen = f"column {key}" if isinstance(key, int) else named(key)
    is_told = second is None or not is_evident
    other = "" if is_told else f"; --target {named(str(second))} is the next best guess"
    return f"{chosen}, {why}{other}"


def _doubts(found: Survey) -> Iterator[str]:
    """What there is to say of a target that may be another."""
    if not found.target or found.target[0].is_evident or found.image is not None:
        return
    key, why, second, _ = found.target[0]
    taken = f"column {key}" if isinstance(key, int) else named(key)
    yield (
        f"Careful: which column is to be learnt is not evident. It is {taken} now, {why}; "
        f"nncli init with --target {named(str(second))} takes the next best guess."
    )


# Data


def _data(train: str | dict[str, str], found: Survey) -> Iterator[Entry]:
    yield Entry("train", train, "paths start from this file's folder")
    if found.target:
        yield _target(found)
    yield from _columns(found)
    if found.are_labels and found.classes is None:
        yield Entry(
            "classes",
            "none",
            "these integers are measures; without this line they would be classes",
        )
    if found.classes is not None and not found.are_labels:
        why = "the targets are floats, which are classes only where that is said"
        yield Entry("classes", len(found.classes.names), why)
    if found.samples < FEW:
        why = "a share held back to judge by; of so few samples none is"
        yield Entry("validation", 0.2, why, off=True)
    else:
        of_each = " of each class" if found.classes else ""
        yield Entry("validation", 0.2, f"a fifth{of_each} is held back, to judge the network by")
    yield _scale(found)
    if not _is_classified(found) and _is_to_be_scaled(found):
        span = f"{found.target_low:.4g} to {found.target_high:.4g}"
        why = f"the network learns targets of mean 0, deviation 1; it answers in theirs, {span}"
        yield Entry("target_scale", "standard", why)
    if found.image is not None:
        c, r, k = found.image
        yield Entry(
            "shape",
            found.image,
            f"the {c * r * k} numbers of a row as an image: channels, rows, columns",
        )
    if isinstance(train, str):
        why = "data to judge the trained network by, once"
        yield Entry("test", "test.csv", why, off=True)


def _columns(found: Survey) -> Iterator[Entry]:
    """What is left out, and what columns that are no plain numbers become."""
    if found.ignored:
        keys = tuple(each.key for each in found.ignored)
        reasons: dict[str, list[str]] = {}
        for each in found.ignored:
            reasons.setdefault(each.why, []).append(named(str(each.key)))
        parts = (f"{_all_named(names)}: {why}" for why, names in reasons.items())
        yield Entry("ignore", keys, "; ".join(parts))
    said = [
        Entry(rule.name, rule.as_written(), told(replace(rule, fill=None)))
        for rule in found.rules
        if rule.why
    ]
    if said:
        yield Entry("columns", said)


def _all_named(names: Sequence[str]) -> str:
    return join_words(names if len(names) <= 6 else [*names[:5], f"{len(names) - 5} more"], "and")


def _target(found: Survey) -> Entry:
    keys = tuple(column.key for column in found.target)
    why = found.target[0].why
    if found.classes is not None:
        names = listed_plainly(found.classes.names)
        kind = "words" if found.classes.are_words else "integers"
        what = f"classes {names}" if "words" in why else f"{kind}, the classes {names}"
    else:
        what = f"numbers from {found.target_low:.4g} to {found.target_high:.4g}"
    if found.target[0].second is not None:
        what += f"; or --target {named(str(found.target[0].second))}"
    return Entry("target", keys if len(keys) > 1 else keys[0], ": ".join(filter(None, (why, what))))


def _is_to_be_scaled(found: Survey) -> bool:
    """Whether targets are far from what a network begins with, about -1 to 1."""
    spreads, means = found.target_deviation, np.abs(found.target_mean)
    return bool(spreads.max() > LARGE or spreads.min() < SMALL or means.max() > LARGE)


def _scale(found: Survey) -> Entry:
    scaled = np.array([is_it for rule in found.rules for is_it in rule.scaled] or [True])
    if not scaled.any():
        return Entry("scale", "none", "all inputs are 0 or 1")
    scaled = np.broadcast_to(scaled, found.low.shape)
    low, high = float(found.low[scaled].min()), float(found.high[scaled].max())
    numbers = "inputs" if scaled.all() else "inputs that are numbers"
    span = f"{numbers} are from {low:.4g} to {high:.4g}"
    if _is_image(found) and low >= 0 and high <= 255:
        if high <= 1:
            return Entry("scale", "none", f"{span}, as suits a network")
        divisor = 255 if high > 128 else ceil(high)
        return Entry("scale", divisor, f"{span}; divided by this, from 0 to 1")
    varied = found.deviation[scaled & (found.low < found.high)]
    near = np.abs(found.mean[scaled]).max(initial=0) <= 1.5
    if near and varied.size and varied.min() >= 0.2 and varied.max() <= 1.5:
        return Entry("scale", "none", f"{span}, as suits a network; or standard, minmax")
    return Entry("scale", "standard", f"{span}; each gets mean 0, deviation 1. Or minmax")


# Network and training


def _plan(found: Survey) -> _Plan:
    return _for_classes(found) if _is_classified(found) else _for_numbers(found)


def _is_classified(found: Survey) -> bool:
    return found.classes is not None or found.are_shares


def _for_classes(found: Survey) -> _Plan:
    n = _trained_on(found)
    batch = _batch(n)
    output = {"type": "dense", "units": found.outputs, "activation": "softmax"}
    network = [
        *_body(found),
        Entry("", output, "A unit a class; softmax makes shares of 1 of them."),
    ]
    tiny = found.samples < FEW
    outputs = join_words(reversed(activations_of("cross_entropy")), "and")
    train = [
        Entry("eta", 0.5 if tiny else 0.1, "the learning rate η; smaller if the cost jumps about"),
        Entry("epochs", _epochs(n, batch, _steps(found), EPOCHS), _length(n, batch)),
        Entry("batch_size", batch, "samples a step"),
        Entry("cost", "cross_entropy", f"for {outputs}; quadratic for any outputs"),
        *_further(),
        Entry("schedule", {"type": "cosine"}, "η falls to 0; also step, exponential", off=True),
    ]
    return _Plan(network, train)


def _for_numbers(found: Survey) -> _Plan:
    n = _trained_on(found)
    batch = _batch(n)
    steps = _steps(found) if _is_image(found) else STEPS_OF_NUMBERS
    train = [
        Entry("eta", ETA_OF_NUMBERS, "the learning rate η; smaller if the cost jumps about"),
        Entry("epochs", _epochs(n, batch, steps, EPOCHS_OF_NUMBERS), _length(n, batch)),
        Entry("batch_size", batch, "samples a step"),
        Entry("cost", "quadratic", "½‖a − y‖², for numbers"),
        Entry("schedule", {"type": "cosine"}, "η falls to 0, for finer steps in the end"),
        *_further(),
    ]
    last = {"type": "dense", "units": found.outputs, "activation": "identity"}
    return _Plan([*_body(found), Entry("", last, "A unit a target, any number.")], train)


def _body(found: Survey) -> Iterator[Entry]:
    """The layers before the output."""
    shape = found.image or found.input_shape
    if len(shape) == 3 and min(shape[1:]) >= SMALLEST_IMAGE:
        yield from _convolutions(shape)
        yield Entry(
            "",
            {"type": "dense", "units": 32, "activation": "tanh"},
            "From here on all is one row of numbers.",
        )
        return
    inputs = int(np.prod(shape))
    units = 8 if found.samples < 200 else 16 if inputs <= 32 else 32 if inputs <= 256 else 64
    hidden = {"type": "dense", "units": units, "activation": "tanh"}
    why = "More units learn finer things, and learn by heart; more layers, what builds on them."
    yield Entry("", hidden, why)
    yield Entry("", {"type": "dense", "units": units, "activation": "relu"}, LAYERS, off=True)


SMALLEST_IMAGE = 5
LARGEST_LEFT = 14  # rows or columns, after the last pool layer


def _convolutions(shape: Sequence[int]) -> Iterator[Entry]:
    """Stages of conv and pool, until what is left is small enough for a dense layer."""
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


def _further() -> list[Entry]:
    return [
        Entry("momentum", 0.9, "keeps the step's direction; take a tenth of η with it", off=True),
        Entry("weight_decay", 1e-4, "pulls weights towards 0, against learning by heart", off=True),
    ]


def _is_image(found: Survey) -> bool:
    return found.image is not None or len(found.input_shape) > 1


def _steps(found: Survey) -> int:
    if not _is_image(found):
        return STEPS
    return STEPS_OF_IMAGES if found.low.size < LARGE_IMAGE else STEPS_OF_LARGE_IMAGES


def _trained_on(found: Survey) -> int:
    return found.samples if found.samples < FEW else ceil(0.8 * found.samples)


def _batch(samples: int) -> int:
    return samples if samples < FEW else 10 if samples < 2000 else 32


def _epochs(samples: int, batch: int, steps: int, choices: Sequence[int]) -> int:
    wanted = steps / ceil(samples / batch)
    return next((epochs for epochs in choices if epochs >= wanted), choices[-1])


def _length(samples: int, batch: int) -> str:
    return f"times through the data, {count_of(ceil(samples / batch), 'step')} each"
