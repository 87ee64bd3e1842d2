"""Weights of samples by their class: w_x times C_x, and so times every ∂C_x.

C stays 1/n Σ_x w_x C_x, n being the number of samples, as Keras has it; PyTorch's loss divides by
Σ_x w_x. Weights that are `balanced` have the mean 1 over the training data, where both are one.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nncli.nn.arrays import Array, Operation
from nncli.nn.costs import Cost, number_type


class SampleWeights:
    """The weight of each sample of a pass, from its targets.

    Attributes:
        values: w_x, a number a sample, once `fill` has run.
    """

    def __init__(self, class_weights: Array, targets_t: Array, values: Array) -> None:
        """
        Args:
            class_weights: a number a class.
            targets_t: outputs x samples, one-hot, or one output for two classes.
        """
        self.by_class = class_weights.astype(values.dtype)
        self.targets_t = targets_t
        self.values = values
        self._rest = np.empty_like(values)

    def fill(self) -> None:
        if len(self.targets_t) > 1:
            np.dot(self.by_class, self.targets_t, self.values)
            return
        # Not w₀ + (w₁ − w₀) y, which may miss w₁ by an ulp.
        first, second = self.by_class
        (y,) = self.targets_t
        np.multiply(np.subtract(1, y, self._rest), first, self._rest)
        np.add(np.multiply(y, second, self.values), self._rest, self.values)

    def weighing(self, difference: Array, error: Array) -> Operation:
        """Writes w_x times some rows of a − y."""
        return lambda: np.multiply(difference, self.values, error)

    def total_cost(
        self, cost: Cost, z: Array, y: Array, difference: Array
    ) -> Callable[[], complex]:
        """Σ_x w_x C_x of what these arrays hold when it is called."""
        number: Any = number_type(z)
        return lambda: number((cost.each(z, y, difference) * self.values).sum())
