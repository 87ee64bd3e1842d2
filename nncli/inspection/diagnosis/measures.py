"""The numbers of a diagnosis: of the samples, of a step, of outputs."""

from collections.abc import Iterator

import numpy as np

from nncli.inspection.diagnosis.record import (
    DataFacts,
    Giveaway,
    Held,
    LayerState,
    Outlier,
    Result,
)
from nncli.nn.activations import ACTIVATIONS, SATURATED
from nncli.nn.arrays import Array
from nncli.nn.layers import LayerStep
from nncli.nn.measures import norm
from nncli.nn.reading import class_indices
from nncli.nn.step import Step

BLOCK = 2**17  # numbers that are converted at a time
ENOUGH = 20  # samples by which an input that is a target is no accident
LOOKED_AT = 64  # samples, for how many values an input has
EXACT = 1e-6  # of a correlation of float32 numbers that are the same but for their scale
COMPARED = 2000  # samples, for means and deviations
NEARLY_ALL = 0.9  # of the squares of targets' deviations
MANY_VALUES = 0.2  # of an input, by the number of samples
FAR = 1e6  # times the largest of all others: no scaling makes sense of such a number


def data_facts(inputs: Array, targets: Array, *, classes: bool) -> DataFacts:
    """inputs: samples x anything, targets: samples x outputs; both as the network takes them."""
    x = inputs.reshape(len(inputs), -1)
    y = targets.astype(np.float64)
    outlier = _outlier(x, "input") or (None if classes else _outlier(y, "target"))
    with np.errstate(all="ignore"):
        varied = x.min(axis=0) < x.max(axis=0)
        means = sum(block.sum(axis=0) for block in _blocks(x)) / len(x)
        squares = sum(np.square(block).sum(axis=0) for block in _blocks(x)) / len(x)
        spreads = sum(np.square(block - means).sum(axis=0) for block in _blocks(x)) / len(x)
        sizes = np.sqrt(squares[varied])
        offsets = np.abs(means[varied]) / np.sqrt(spreads[varied])
        rms = float(np.sqrt(squares.mean()))
    shares = _class_shares(y) if classes else ()
    return DataFacts(
        samples=len(x),
        inputs=x.shape[1],
        constant=int((~varied).sum()),
        rms=rms,
        largest_rms=float(sizes.max(initial=0)),
        smallest_rms=float(sizes.min()) if sizes.size else 0.0,
        offset=float(offsets.max(initial=0)),
        targets=(float(y.min()), float(y.max())),
        class_shares=shares,
        outlier=outlier,
        same_targets=bool((y == y[0]).all()),
        giveaways=_giveaways(x, y, means, spreads, classes=classes),
        heavy=None if classes else _heavy(y),
    )


def _giveaways(
    x: Array, y: Array, means: Array, spreads: Array, *, classes: bool
) -> tuple[Giveaway, ...]:
    """Of inputs with these means and mean squares of deviations."""
    if len(x) < ENOUGH or x.shape[1] < 2:
        return ()
    errors = y - y.mean(axis=0)
    with np.errstate(all="ignore"):
        rows = max(1, BLOCK // x.shape[1])
        parts = (errors[k : k + rows] for k in range(0, len(y), rows))
        products = sum((b - means).T @ e for b, e in zip(_blocks(x), parts, strict=True)) / len(x)
        sizes = np.sqrt(np.outer(spreads, np.square(errors).mean(axis=0)))
        found = np.argwhere(np.abs(products) > (1 - EXACT) * sizes)
    places: dict[int, int | None] = {
        int(k): int(j) for k, j in reversed(found.tolist()) if sizes[k, j] > 0
    }
    places |= dict.fromkeys(_like_classes(x, y) if classes else ())
    return tuple(Giveaway(k, places[k]) for k in sorted(places))


def _like_classes(x: Array, y: Array) -> list[int]:
    """Inputs with as many values as there are classes, each with one of its own."""
    true = class_indices(y)
    count = len(np.unique(true))
    some = np.sort(x[:: max(1, len(x) // LOOKED_AT)], axis=0)
    few = 1 + (some[1:] != some[:-1]).sum(axis=0)
    found = []
    for k in np.flatnonzero((few > 1) & (few <= count)).tolist():
        values, which = np.unique(x[:, k], return_inverse=True)
        pairs = np.unique(which.reshape(-1) * y.size + true)
        if len(values) == count == len(pairs):
            found.append(k)
    return found


def _heavy(y: Array) -> Outlier | None:
    """The sample that alone makes nearly all that targets vary."""
    if len(y) < ENOUGH:
        return None
    distances = np.abs(y - np.median(y, axis=0))
    with np.errstate(all="ignore"):
        squares = np.square(distances).sum(axis=1)
        sample = int(squares.argmax())
        if not squares[sample] > NEARLY_ALL * squares.sum():
            return None
    value = y[sample, int(distances[sample].argmax())]
    return Outlier(sample, "target", float(value), float(np.abs(np.delete(y, sample, 0)).max()))


def held_facts(train: tuple[Array, Array], held: tuple[Array, Array], *, classes: bool) -> Held:
    """Of the samples held back, beside those trained on: inputs and targets of each."""
    x, u = (
        part.reshape(len(part), -1)[:: 1 + len(part) // COMPARED].astype(np.float64)
        for part in (train[0], held[0])
    )
    facts = Held(seen=seen_share(train, held), heavy=None if classes else _heavy(held[1]))
    deviations = x.std(axis=0)
    varied = deviations > 0
    spoilt = _outlier(x, "input") or _outlier(u, "input")  # of which means are nothing else's
    if len(u) < ENOUGH or not varied.any() or spoilt is not None:
        return facts
    with np.errstate(all="ignore"):
        shifts = np.abs(u.mean(axis=0) - x.mean(axis=0))[varied] / deviations[varied]
        ratios = u.std(axis=0)[varied] / deviations[varied]
        both = ratios > 0  # a rare word is in few samples only
        stretch = np.exp(np.median(np.abs(np.log(ratios[both])))) if both.mean() > 0.5 else 1.0
    return facts._replace(shift=float(np.median(shifts)), stretch=float(stretch))


def unseen_classes(train: Array, held: Array) -> tuple[tuple[int, ...], float]:
    """The classes of targets held back alone, and of what share of them they are."""
    true = class_indices(held)
    unseen = np.setdiff1d(true, class_indices(train))
    return tuple(unseen.tolist()), float(np.isin(true, unseen).mean())


def seen_share(train: tuple[Array, Array], held: tuple[Array, Array]) -> float:
    """Of the samples held back, inputs and targets, those that are among the ones trained on.

    0 where no input has many values, as none of a table of words has: rows are bound to repeat.
    """
    x, u = (part[0].reshape(len(part[0]), -1) for part in (train, held))
    if not any(len(np.unique(column)) >= MANY_VALUES * len(x) for column in x.T):
        return 0.0
    rows = {a.tobytes() + b.tobytes() for a, b in zip(x, train[1], strict=True)}
    return sum(a.tobytes() + b.tobytes() in rows for a, b in zip(u, held[1], strict=True)) / len(u)


def _class_shares(y: Array) -> tuple[float, ...]:
    shares = y.mean(axis=0).tolist()
    return (1 - shares[0], shares[0]) if len(shares) == 1 else tuple(shares)


def _blocks(x: Array) -> Iterator[Array]:
    """Rows in float64, some at a time: all of a large table's would take twice its memory."""
    rows = max(1, BLOCK // max(1, x.shape[1]))
    return (x[start : start + rows].astype(np.float64) for start in range(0, len(x), rows))


def _outlier(values: Array, quantity: str) -> Outlier | None:
    """The sample whose largest number is beyond those of all others."""
    largest = np.maximum(values.max(axis=1), -values.min(axis=1)).astype(np.float64)
    sample = int(largest.argmax())
    others = float(np.delete(largest, sample).max(initial=0))
    value = values[sample, int(np.abs(values[sample]).argmax())]
    if len(values) > 2 and largest[sample] > FAR * others > 0:
        return Outlier(sample, quantity, float(value), others)
    return None


def layer_states(step: Step, *, classes: bool) -> tuple[LayerState, ...]:
    """Of the layers with weights, in a step that has just been differentiated, `full`."""
    wrong = ~right_answers(step.outputs, step.targets, classes=classes)
    with np.errstate(all="ignore"):
        return tuple(
            _layer_state(layer, wrong)
            for layer in step.layers
            if "weight" in layer.parameters and layer.delta is not None
        )


def right_answers(outputs: Array, targets: Array, *, classes: bool) -> Array:
    """Which samples are answered rightly: the class, or each number to half a deviation."""
    if classes:
        right: Array = class_indices(outputs) == class_indices(targets)
        return right
    with np.errstate(all="ignore"):
        deviation = targets.std(axis=0, dtype=np.float64)
        near: Array = (np.abs(outputs - targets) <= 0.5 * deviation).all(axis=1)
    return near


def _layer_state(layer: LayerStep, wrong: Array) -> LayerState:
    assert layer.z is not None
    assert layer.delta is not None
    n = layer.a.shape[-1]
    dead, saturated = 0.0, 0.0
    if layer.sigma_prime is not None:
        activation = layer.placed.activation
        assert activation is not None
        slope = np.abs(layer.sigma_prime)
        if ACTIVATIONS[activation].saturation.dead:
            dead = float((slope == 0).all(axis=-1).mean())
        elif wrong.any():
            saturated = float((slope[..., wrong] < SATURATED).mean())
    weight = layer.parameters["weight"]
    return LayerState(
        name=layer.name,
        z_rms=norm(layer.z) / np.sqrt(layer.z.size),
        spread=float(layer.a.std(axis=-1, dtype=np.float64).mean()),
        dead=dead,
        saturated=saturated,
        delta_norm=norm(layer.delta) / np.sqrt(n),
        identical=_identical(layer),
        alike=bool((weight == (weight[:1] if weight.ndim == 2 else weight[:, :1])).all()),
        gradient_norm=norm(layer.gradients["weight"]),
        weight_norm=norm(weight),
    )


def _identical(layer: LayerStep) -> bool:
    weight = layer.parameters["weight"]
    by_unit = weight.T if weight.ndim == 2 else weight.reshape(len(weight), -1)
    same = len(by_unit) > 1 and bool((by_unit == by_unit[:1]).all())
    bias = layer.parameters.get("bias")
    return same and (bias is None or bool((bias == bias.flat[0]).all()))


def result_of(outputs: Array, targets: Array, *, classes: bool) -> Result:
    """How near outputs, samples x outputs, come to targets."""
    a, y = outputs.astype(np.float64), targets.astype(np.float64)
    with np.errstate(all="ignore"):
        errors = float(np.square(a - y).sum())
        squares = float(np.square(y - y.mean(axis=0)).sum())
    skill = 1 - errors / squares if squares else float(errors == 0)
    mse = errors / y.size
    if not classes:
        return Result(skill, mse)
    true, right = class_indices(y), right_answers(a, y, classes=True)
    recalls = tuple(float(right[true == c].mean()) for c in np.unique(true))
    return Result(skill, mse, float(right.mean()), recalls)
