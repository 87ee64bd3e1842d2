"""The best epoch of a training, and when a training ends for want of a better one."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from nncli.nn.arrays import Array
from nncli.training.history import Epoch

# What an epoch is judged by: a number of `Epoch`, and the sign that makes it one to be small.
METRICS = {"validation_cost": 1, "validation_accuracy": -1, "train_cost": 1}
DEFAULT_METRIC = "validation_cost"


Which = Literal["best", "last"]  # of a run's weights


class UsedWeights(NamedTuple):
    """Which weights of a run a network has.

    Attributes:
        which: those after the best epoch, or the last.
        epoch: after how many epochs they were.
        last_epoch: after how many the last were.
        best_epoch: the best epoch, by `metric`, whose value was `value`; None: the training kept no
            best weights.
    """

    which: Which
    epoch: int
    last_epoch: int
    best_epoch: int | None = None
    metric: str | None = None
    value: float | None = None


class EarlyStop(NamedTuple):
    """When to end a training: after `patience` epochs in a row without an improvement.

    Attributes:
        metric: one of METRICS.
        min_delta: what the metric has to improve by, and more than that, as in Keras.
    """

    patience: int
    metric: str = DEFAULT_METRIC
    min_delta: float = 0.0


class Best(NamedTuple):
    """The weights after the best epoch of a training so far; among equals the first.

    Attributes:
        epoch: its number, from 1.
        steps_taken: up to its end.
        metric: what it was judged by, and `value` what that was.
        parameters, network_state: as `State` has them; never written to.
    """

    epoch: int
    steps_taken: int
    metric: str
    value: float
    parameters: Array
    network_state: Mapping[str, Array]


def is_better(metric: str, value: float, than: float) -> bool:
    return METRICS[metric] * value < METRICS[metric] * than


class Patience:
    """Counts the epochs without an improvement. It follows from the values alone.

    Attributes:
        waited: so many epochs ago was the last improvement.
    """

    def __init__(self, settings: EarlyStop) -> None:
        self.settings = settings
        self._sign = METRICS[settings.metric]
        self._reference = math.inf
        self.waited = 0

    @property
    def is_over(self) -> bool:
        return self.waited >= self.settings.patience

    def see(self, values: Iterable[float | None]) -> None:
        """Takes the metric of the next epochs."""
        for value in values:
            smaller = math.inf if value is None else self._sign * value
            if smaller < self._reference - self.settings.min_delta:
                self._reference, self.waited = smaller, 0
            else:
                self.waited += 1


def stops_early(settings: EarlyStop | None, history: Sequence[Epoch], epochs: int) -> bool:
    """Whether a training ends after `history`, before its last epoch."""
    if settings is None or not history or len(history) >= epochs:
        return False
    patience = Patience(settings)
    patience.see(metric_of(epoch, settings.metric) for epoch in history)
    return patience.is_over


def metric_of(epoch: Epoch, metric: str) -> float | None:
    """The metric of an epoch; None where the training does not measure it."""
    value: float | None = getattr(epoch, metric)
    return value
