"""What a training has been through: a record an epoch."""

from dataclasses import dataclass

from nncli.nn.measures import LayerMeasures


@dataclass(frozen=True)
class Epoch:
    """One epoch. None: there was nothing to measure it on.

    Attributes:
        epoch: its number, from 1.
        eta: the learning rate in it.
        train_cost: the mean of C_x over its samples, each taken before the update it led to.
        train_cost_after, train_accuracy: on the training data after the epoch; only where nothing
            is held back.
        validation_cost, validation_accuracy: on the data held back, after the epoch.
        train_seconds: spent on its steps; not on validation or on whoever watches.
        last_batch: how many samples its last step had.
        layers: measures of that step.
    """

    epoch: int
    eta: float
    train_cost: float
    train_cost_after: float | None
    train_accuracy: float | None
    validation_cost: float | None
    validation_accuracy: float | None
    train_seconds: float
    last_batch: int
    layers: tuple[LayerMeasures, ...]

    @property
    def accuracy(self) -> float | None:
        """The accuracy to judge the training by."""
        return self.train_accuracy if self.validation_accuracy is None else self.validation_accuracy


@dataclass(frozen=True)
class Progress:
    """A glance within an epoch: `samples` of it are done, C has been `cost` so far."""

    epoch: int
    samples: int
    cost: float


@dataclass(frozen=True)
class Divergence:
    """A training that cannot go on, because C is no longer a number.

    Attributes:
        epoch, step: when it began; both count from 1, the step over the whole training.
        cost: C at the step that noticed, NaN or infinite; or the last one where an update did it.
        layer, quantity: the first thing that was not finite, in the order of computation.
        largest: the largest finite |entry| of the quantity, None where no entry is finite.
    """

    epoch: int
    step: int
    cost: float
    layer: str
    quantity: str
    largest: float | None


Event = Progress | Epoch | Divergence
