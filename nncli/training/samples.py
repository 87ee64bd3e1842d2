"""What a training asks of its data."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nncli.nn.parallel.partition import Source

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.int64]


class Samples(Source, Protocol):
    """Some rows of a table of inputs and targets."""

    @property
    def index(self) -> Rows:
        """The rows that belong to it."""

    @property
    def targets(self) -> Array:
        """The targets of the whole table, rows x outputs."""
