"""The spec that `nncli init` proposes for a data set, with the reason for each value beside it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil
from pathlib import PurePath
from typing import NamedTuple

import numpy as np

from nncli.app.proposed_network import FEW, Candidate, held_share, is_classified, is_image, plan
from nncli.core.text import count_of, join_words, printable
from nncli.data.columns.notes import told
from nncli.data.samples import is_channels_last, named
from nncli.data.survey import Survey, described, listed_plainly
from nncli.spec.dump import Entry, Section, compose

LARGE = 2.0  # a target's deviation, or mean, from which it is scaled
MOST_REPEATED = 0.1  # of the samples, of which nothing is said
SMALL = 0.3  # a deviation below which it is


class Proposal(NamedTuple):
    """A spec's text, and what its maker should know of the data."""

    text: str
    facts: str
    target: str
    notes: tuple[str, ...]


def propose(
    name: str,
    train: str | dict[str, str],
    found: Survey,
    origin: str = "",
    *,
    candidate: Candidate | None = None,
    tried: str = "",
) -> Proposal:
    """A spec that trains on the data at once.

    Args:
        name: of the spec.
        train: the data as the spec names them.
        found: what they are.
        origin: their source, if it has to be named.
        candidate: the network to have; None: one that is likely to suit.
        tried: how it was found, in words.
    """
    body = plan(found, candidate, tried)
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
        Section("data", list(_data(train, found, candidate))),
        Section("network", body.network),
        Section("train", body.train),
    ]
    return Proposal(compose(heading, sections), described(found), _chosen(found), notes)


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
    if found.repeated > MOST_REPEATED * found.samples:
        yield (
            f"Careful: {found.repeated:,} of {count_of(found.samples, 'sample')} are the same as "
            "one before them. Some of those held back are then trained on as well, and are judged "
            "too well; leave repeated rows out, unless new data will repeat them too."
        )
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


def _data(
    train: str | dict[str, str], found: Survey, candidate: Candidate | None
) -> Iterator[Entry]:
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
    yield _validation(found, candidate)
    yield _scale(found)
    if not is_classified(found) and _is_to_be_scaled(found):
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


def _validation(found: Survey, candidate: Candidate | None) -> Entry:
    share = held_share(found, candidate)
    if share:
        what = "a fifth" if share == 0.2 else "a tenth"
        of_each = " of each class" if found.classes else ""
        why = f"{what}{of_each} is held back, to judge the network by"
        return Entry("validation", share, why)
    why = "a share held back to judge by; of so few samples none is"
    if candidate is not None:
        why = (
            "a share held back to see what each epoch comes to; cross-validation has judged this "
            "network already, so all samples are trained on"
        )
    return Entry("validation", 0.2, why, off=True)


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
    if is_image(found) and low >= 0 and high <= 255:
        if high <= 1:
            return Entry("scale", "none", f"{span}, as suits a network")
        divisor = 255 if high > 128 else ceil(high)
        return Entry("scale", divisor, f"{span}; divided by this, from 0 to 1")
    varied = found.deviation[scaled & (found.low < found.high)]
    near = np.abs(found.mean[scaled]).max(initial=0) <= 1.5
    if near and varied.size and varied.min() >= 0.2 and varied.max() <= 1.5:
        return Entry("scale", "none", f"{span}, as suits a network; or standard, minmax")
    return Entry("scale", "standard", f"{span}; each gets mean 0, deviation 1. Or minmax")
