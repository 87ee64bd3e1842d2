"""Where a training stands."""

from typing import NamedTuple

from nncli.nn.arrays import Array


class State(NamedTuple):
    """Where a training stands. The order of samples follows from the seed and the epoch.

    Attributes:
        epoch: how many epochs are complete.
        samples: how many samples of the epoch under way are done.
        cost_sum: the sum of C_x over them.
        steps_taken: over the whole training.
        seconds: spent on the steps of the epoch under way.
        parameters, velocity: flat, as the network and its Sgd have them.
    """

    epoch: int
    samples: int
    cost_sum: float
    steps_taken: int
    seconds: float
    parameters: Array
    velocity: Array | None
