"""A trained network applied to samples, block by block."""

from collections.abc import Iterator

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.network import Network
from nncli.nn.optimizers import Sgd
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.step import Step
from nncli.training.evaluate import block_for
from nncli.training.samples import Samples


class Forward:
    """Applies a network, in one workspace for however many samples come at a time."""

    def __init__(self, network: Network, workers: WorkerPool | None = None) -> None:
        self.step = Step(network, Sgd(network), block_for(network), workers)

    def __call__(self, samples: Samples) -> Iterator[Array]:
        """The outputs of samples without targets, some samples x outputs at a time."""
        step, index = self.step, samples.index
        nothing = np.empty((step.n, 0), step.inputs.dtype)
        for start in range(0, len(index), step.n):
            rows = index[start : start + step.n]
            samples.gather(rows, step.inputs[: len(rows)], nothing[: len(rows)])
            step.inputs[len(rows) :] = 0
            step.forward()
            yield step.outputs[: len(rows)].copy()
