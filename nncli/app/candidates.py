"""Tries a few networks on a table by cross-validation, for `nncli init`.

All are trained as their specs say, on the samples that these train on; what the specs hold back,
where they do, stays untouched, to judge the network by later. What is tried follows from the data
and the seed alone, unless it takes longer than LIMIT seconds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from time import process_time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nncli.app.pipeline import build_layers, build_network, place_layers
from nncli.app.plan import make_plan, optimizer_links
from nncli.app.proposed_network import Candidate
from nncli.app.records import Prepared
from nncli.core.seeds import Stream, seed_of
from nncli.core.text import count_of
from nncli.nn.optimizers import Optimizer
from nncli.nn.reading import class_indices
from nncli.spec import Spec, override_spec
from nncli.training.evaluate import Evaluation, Evaluator
from nncli.training.steps import StepRunner

LIMIT = 10.0  # seconds of the processor's, so that what else it does changes nothing
FOLDS = 5
FIRST_FOLDS = 2  # that all candidates are tried on; the better ones on the others too
FURTHER = 4  # candidates
MANY = 1500  # samples, of which one fold tells enough
MOST_SAMPLES = 5000  # of more, so many take part
WORK = 180_000  # steps of a small network, on all folds
ALIKE = 1.002  # times the least cost: as good
SMALL = 300_000  # numbers that a step of a small network multiplies
FEWEST_SAMPLES = 20
FEWEST_STEPS = 300
Rows = NDArray[np.int64]


class Tried(NamedTuple):
    """What came of a candidate.

    Attributes:
        cost, score: C and the accuracy (R² of numbers) over the samples of its folds, each judged
            by a network that was trained without it.
        folds: how many it was tried on.
    """

    candidate: Candidate
    cost: float
    score: float
    folds: int


class Tries(NamedTuple):
    """What came of all.

    Attributes:
        tried: in the order of the candidates.
        best: the one to take, see `best_of`.
        samples, folds: how many samples took part, in how many parts.
        is_accuracy: whether scores are; R² else.
        is_cut: whether LIMIT left some out.
        untold: the score of always answering the most frequent class, or the mean.
    """

    tried: tuple[Tried, ...]
    best: Tried
    samples: int
    folds: int
    is_accuracy: bool
    is_cut: bool
    untold: float


class Fold(NamedTuple):
    train: Rows
    held: Rows


def try_candidates(
    prepared: Prepared,
    specs: Mapping[Candidate, Spec],
    on_start: Callable[[int, int], None] | None = None,
) -> Tries | None:
    """Trains each candidate's spec on parts of the training data, and judges it by the others.

    Args:
        prepared: of a spec for these data; of its network nothing is used.
        on_start: called with the numbers of candidates and of samples before it begins.

    Returns None where there are too few samples to tell, or steps take too long to take enough.
    """
    began = process_time()
    rng = np.random.default_rng(seed_of(prepared.spec.seed, Stream.SPLIT, 1))
    rows = chosen_rows(prepared.data.train.index, rng)
    if len(rows) < FEWEST_SAMPLES:
        return None
    folds = list(folds_of(prepared, rows, rng))
    trials = [Trial(prepared, spec) for spec in specs.values()]
    most_steps = int(WORK / sum(trial.weight * len(folds) for trial in trials))
    if most_steps < FEWEST_STEPS:
        return None
    if on_start is not None:
        on_start(len(specs), len(rows))
    is_cut = False
    for trial, fold in rounds(trials, folds):
        if process_time() - began > LIMIT and all(each.outcomes for each in trials):
            is_cut = True
            break
        trial.run(fold, most_steps)
    spread = variance(prepared, folds)
    tried = tuple(
        Tried(candidate, trial.cost, trial.score(spread), len(trial.outcomes))
        for candidate, trial in zip(specs, trials, strict=True)
    )
    is_accuracy = prepared.data.reading != "numbers"
    untold = majority(prepared, folds) if is_accuracy else 0.0
    return Tries(tried, best_of(tried), len(rows), len(folds), is_accuracy, is_cut, untold)


def best_of(tried: Sequence[Tried]) -> Tried:
    """The one of least cost; of those that are as good within ALIKE, the simplest."""
    most = max(each.folds for each in tried)
    whole = [each for each in tried if each.folds == most]
    least = min(each.cost for each in whole)
    return next(each for each in whole if each.cost <= ALIKE * least)


class Trial:
    """A candidate's spec, and what came of it so far: an evaluation a fold."""

    def __init__(self, prepared: Prepared, spec: Spec) -> None:
        self.prepared, self.spec = prepared, spec
        layers = place_layers(spec, build_layers(spec), prepared.data.input_shape)
        self.parameters = build_network(spec, layers).parameters.size
        self.outcomes: list[tuple[Evaluation, int]] = []

    @property
    def weight(self) -> float:
        """Of a step of it, a small network's being 1."""
        return 1 + self.parameters * self.spec.train.batch_size / SMALL

    @property
    def cost(self) -> float:
        return self._mean(lambda each: each.cost)

    def score(self, spread: float) -> float:
        """The accuracy; of numbers R², `spread` being the variance of the targets."""
        if all(each.accuracy is not None for each, _ in self.outcomes):
            return self._mean(lambda each: each.accuracy or 0.0)
        return 1 - 2 * self.cost / spread

    def _mean(self, of: Callable[[Evaluation], float]) -> float:
        samples = sum(n for _, n in self.outcomes)
        return sum(of(each) * n for each, n in self.outcomes) / samples

    def run(self, fold: Fold, most_steps: int) -> None:
        """Trains it on a fold, for as many epochs as its spec says but at most so many steps."""
        spec, train = self.spec, replace(self.prepared.data.train, index=fold.train)
        each = -(-len(fold.train) // spec.train.batch_size)
        epochs = min(spec.train.epochs, max(1, most_steps // each))
        if epochs < spec.train.epochs:
            spec = override_spec(spec, [f"train.epochs={epochs}"])
        layers = place_layers(spec, build_layers(spec), self.prepared.data.input_shape)
        network = build_network(spec, layers)
        plan = make_plan(spec, reading=self.prepared.data.reading)
        runner = StepRunner(network, Optimizer(network, optimizer_links(spec)), plan, train)
        with np.errstate(all="ignore"):
            for epoch in range(1, epochs + 1):
                eta = plan.eta_in(epoch)
                for rows in plan.batches(train.index, epoch):
                    step = runner.workspace(len(rows))
                    step.load(rows)
                    cost = step.run_unguarded(eta, False)
            held = replace(train, index=fold.held)
            evaluation = Evaluator(network, held, reading=plan.reading)()
        if not (np.isfinite(cost) and np.isfinite(evaluation.cost)):
            evaluation = evaluation._replace(cost=np.inf)
        self.outcomes.append((evaluation, len(fold.held)))


def rounds(trials: Sequence[Trial], folds: Sequence[Fold]) -> Iterator[tuple[Trial, Fold]]:
    """All on the first folds, and those that did best in these on the others."""
    for fold in folds[:FIRST_FOLDS]:
        yield from ((trial, fold) for trial in trials)
    better = sorted(trials, key=lambda trial: trial.cost)[:FURTHER]
    for fold in folds[FIRST_FOLDS:]:
        yield from ((trial, fold) for trial in better)


def chosen_rows(rows: Rows, rng: np.random.Generator) -> Rows:
    return (
        np.sort(rng.choice(rows, MOST_SAMPLES, replace=False)) if len(rows) > MOST_SAMPLES else rows
    )


def folds_of(prepared: Prepared, rows: Rows, rng: np.random.Generator) -> Iterator[Fold]:
    """Parts of the samples, each with the rest of them; of many samples only the first."""
    targets = prepared.data.train.targets
    order = rng.permutation(rows)
    if prepared.data.reading != "numbers":  # as many of each class in each
        order = order[np.argsort(class_indices(targets[order]), kind="stable")]
    for part in range(1 if len(rows) >= MANY else FOLDS):
        held = np.sort(order[part::FOLDS])
        yield Fold(np.setdiff1d(rows, held, assume_unique=True), held)


def variance(prepared: Prepared, folds: Sequence[Fold]) -> float:
    """That of all samples that are judged by, summed over the outputs."""
    held = np.concatenate([fold.held for fold in folds])
    return float(prepared.data.train.targets[held].astype(np.float64).var(axis=0).sum())


def majority(prepared: Prepared, folds: Sequence[Fold]) -> float:
    """The share of the most frequent class among all samples that are judged by."""
    targets = prepared.data.train.targets[np.concatenate([fold.held for fold in folds])]
    share = targets.mean(axis=0)
    return float(share.max() if len(share) > 1 else max(share[0], 1 - share[0]))


def told(tries: Tries) -> str:
    """What was tried, in a sentence: of each network what it came to with its best weight decay."""
    by_units: dict[int, Tried] = {}
    for each in tries.tried:
        known = by_units.setdefault(each.candidate.units, each)
        if (each.folds, -each.cost) > (known.folds, -known.cost):
            by_units[each.candidate.units] = each
    parts = [
        f"{count_of(units, 'unit') if units else 'no hidden layer'} {_score(each, tries)}"
        for units, each in by_units.items()
    ]
    how = (
        f"{tries.folds}-fold cross-validation of" if tries.folds > 1 else "holding back a fifth of"
    )
    what = "accuracy" if tries.is_accuracy else "R²"
    cut = (
        f"; cut after {LIMIT:.0f} s, another time it may come out otherwise" if tries.is_cut else ""
    )
    worth = ""
    if tries.best.score <= tries.untold:
        always = (
            "the mean" if not tries.is_accuracy else f"the most frequent class, {tries.untold:.1%}"
        )
        worth = f"; none is better than always answering {always}: these inputs may tell nothing"
    return f"by {how} {count_of(tries.samples, 'sample')}, {what}: {', '.join(parts)}{worth}{cut}"


def _score(each: Tried, tries: Tries) -> str:
    score = _score_words(each, tries)
    if each != tries.best:
        return score
    is_most = each.score == max(other.score for other in tries.tried)
    others = [other for other in tries.tried if other.candidate.units != each.candidate.units]
    is_alone = is_most and all(_score_words(other, tries) != score for other in others)
    return f"{score} ({'taken' if is_alone else 'taken: its cost is least'})"


def _score_words(each: Tried, tries: Tries) -> str:
    return f"{each.score:.1%}" if tries.is_accuracy else f"{each.score:.3f}"
