"""What a network is measured against: chance, the majority, the mean, a linear model.

And whether inputs say anything of targets at all, which no network can make up for.
"""

import math

import numpy as np

from nncli.inspection.diagnosis.measures import result_of
from nncli.inspection.diagnosis.record import Baselines
from nncli.nn.arrays import Array
from nncli.nn.reading import chance_of

NEIGHBOURS = 5
FEWEST = 40  # samples by which a relation can be told from chance
FEWEST_OF_MANY_INPUTS = 200  # with more inputs than samples
MOST = 800
RIDGE = 1e-3  # of the inputs' variance, which keeps the linear model from fitting few samples


def baselines(
    train: tuple[Array, Array], held: tuple[Array, Array] | None, *, classes: bool, cost: str
) -> Baselines:
    """Of inputs and targets, samples first; judged on those held back, where there are any."""
    with np.errstate(all="ignore"):
        return _baselines(train, held, classes=classes, cost=cost)


def _baselines(
    train: tuple[Array, Array], held: tuple[Array, Array] | None, *, classes: bool, cost: str
) -> Baselines:
    x, y = _flat(train[0]), train[1].astype(np.float64)
    u, v = (x, y) if held is None else (_flat(held[0]), held[1].astype(np.float64))
    linear = result_of(fit_linear(x, y)(u), v, classes=classes)
    mean = result_of(np.broadcast_to(y.mean(axis=0), v.shape), v, classes=classes)
    both = (x, y) if held is None else (np.concatenate([x, u]), np.concatenate([y, v]))
    return Baselines(
        chance=chance_of("classes", y.shape[1]) if classes else None,
        majority=mean.accuracy,
        mean=None if classes else mean.mse,
        linear=linear.accuracy if classes else linear.mse,
        chance_cost=math.log(max(2, y.shape[1])) if classes and cost == "cross_entropy" else None,
        relation=relation(*both),
    )


def brief_baselines(train: Array, judged: Array, *, classes: bool) -> Baselines:
    """Those that take next to no time: what the targets alone give.

    Args:
        train: those whose mean and majority are taken.
        judged: of the samples that the network is judged by.
    """
    with np.errstate(all="ignore"):
        y = judged.astype(np.float64)
        centre = train.mean(axis=0, dtype=np.float64)
        mean = result_of(np.broadcast_to(centre, y.shape), y, classes=classes)
    chance = chance_of("classes", y.shape[1]) if classes else None
    return Baselines(chance, mean.accuracy, None if classes else mean.mse, None, None, None)


def _flat(inputs: Array) -> Array:
    flat: Array = inputs.reshape(len(inputs), -1).astype(np.float64)
    return flat


class Linear:
    """Outputs that are linear in the inputs: targets = mean + (inputs, standardised) w."""

    def __init__(self, centre: Array, scale: Array, w: Array, mean: Array) -> None:
        self.centre, self.scale, self.w, self.mean = centre, scale, w, mean

    def __call__(self, x: Array) -> Array:
        outputs: Array = ((x - self.centre) / self.scale) @ self.w + self.mean
        return outputs


def fit_linear(x: Array, y: Array) -> Linear:
    """By least squares, with a little of a ridge."""
    centre, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 1e-12 * (1 + np.abs(centre)), scale, np.inf)
    z, mean = np.nan_to_num((x - centre) / scale), np.nan_to_num(y.mean(axis=0))
    errors = np.nan_to_num(y - mean)
    n, d = z.shape
    if d <= n:
        w = np.linalg.solve(z.T @ z + RIDGE * n * np.eye(d), z.T @ errors)
    else:  # the same by samples, of which there are fewer
        w = z.T @ np.linalg.solve(z @ z.T + RIDGE * n * np.eye(n), errors)
    return Linear(centre, scale, w, mean)


def relation(x: Array, y: Array) -> float | None:
    """By how many standard deviations inputs tell targets better than chance does.

    The larger one of two predictions, each of samples that it was not fitted to: by a linear
    model, and by the nearest neighbours. None of too few samples, or of equal targets.
    """
    inputs = x[0].size
    if len(x) < max(FEWEST, min(inputs, FEWEST_OF_MANY_INPUTS)) or (y == y[0]).all():
        return None
    # Spread over all of them, in an order of its own: files are often sorted by class.
    order = np.random.default_rng(0).permutation(len(x))[:MOST]
    x, y = x[order], y[order]
    half = len(x) // 2
    linear = np.concatenate(
        [fit_linear(x[half:], y[half:])(x[:half]), fit_linear(x[:half], y[:half])(x[half:])]
    )
    return max([0.0, *_scores(linear, y), *_scores(_by_neighbours(x, y), y)])


def agreement(train: tuple[Array, Array], held: tuple[Array, Array]) -> float | None:
    """How a linear model of the samples trained on fits those held back, in deviations from chance.

    Below 0 where they contradict it. None of too few samples.
    """
    if min(len(train[0]), len(held[0])) < FEWEST:
        return None
    order = np.random.default_rng(0).permutation(len(train[0]))[:MOST]
    (x, y), (u, v) = (
        (_flat(a), b.astype(np.float64)) for a, b in ([p[order] for p in train], held)
    )
    with np.errstate(all="ignore"):
        scores = _scores(fit_linear(x, y)(u), v)
    return sum(scores) / len(scores) if scores else 0.0


def _by_neighbours(x: Array, y: Array) -> Array:
    """The mean target of each sample's nearest others."""
    scale = x.std(axis=0)
    z = (x - x.mean(axis=0)) / np.where(scale > 0, scale, np.inf)
    squares = np.square(z).sum(axis=1)
    distances = squares[:, None] + squares - 2 * z @ z.T
    np.fill_diagonal(distances, np.inf)
    nearest = np.argpartition(distances, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    means: Array = y[nearest].mean(axis=1)
    return means


def _scores(predicted: Array, y: Array) -> list[float]:
    """Deviations of the correlation from 0, of each output that varies."""
    pairs = [(a, b) for a, b in zip(predicted.T, y.T, strict=True) if a.std() > 0 and b.std() > 0]
    return [float(np.corrcoef(a, b)[0, 1]) * math.sqrt(len(a)) for a, b in pairs]
