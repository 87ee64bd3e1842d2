"""A network applied to samples a block at a time: their outputs, their cost and accuracy."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nncli.nn.arrays import Array
from nncli.nn.network import Network, step_bytes
from nncli.nn.parallel.worker_pool import WorkerPool
from nncli.nn.step import Step
from nncli.training.plan import Rows, Samples

BLOCK = 128  # samples at a time: enough for BLAS, little enough for the caches
MOST_BYTES = 1 << 28  # that they may take on their way


class Evaluation(NamedTuple):
    """C over all samples, and where they have classes the share that is right.

    Right is a sample whose largest output is the one where its target is 1.
    """

    cost: float
    accuracy: float | None


class Evaluator:
    """Evaluates a network on the same samples again and again, in workspaces that it keeps."""

    def __init__(
        self,
        network: Network,
        samples: Samples,
        *,
        classes: bool,
        workers: WorkerPool | None = None,
    ) -> None:
        self.samples = samples
        self.classes = classes
        count, self.block = len(samples.index), block_for(network)
        sizes = {min(count, self.block), count % self.block} - {0}
        self.steps = {n: Step(network, None, n, workers, samples, is_training=False) for n in sizes}

    def __call__(self) -> Evaluation:
        count = len(self.samples.index)
        cost, right = 0.0, 0
        for _, step, mean in self.blocks():
            cost += mean * step.n
            if self.classes:
                hits = step.outputs.argmax(axis=1) == step.targets.argmax(axis=1)
                right += int(np.count_nonzero(hits))
        return Evaluation(cost / count, right / count if self.classes else None)

    def blocks(self) -> Iterator[tuple[Rows, Step, float]]:
        """The samples a block at a time: which they are, their forward pass, and its C."""
        index = self.samples.index
        for start in range(0, len(index), self.block):
            rows = index[start : start + self.block]
            step = self.steps[len(rows)]
            step.load(rows)
            yield rows, step, step.forward()


def block_for(network: Network) -> int:
    """How many samples go through a network at a time: fewer where each takes much memory."""
    each = step_bytes(network.layers, 1, network.dtype.itemsize)
    return max(1, min(BLOCK, MOST_BYTES // each))


class Forward:
    """Applies a network, in one workspace for however many samples come at a time."""

    def __init__(self, network: Network, workers: WorkerPool | None = None) -> None:
        self.step = Step(network, None, block_for(network), workers, is_training=False)

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
