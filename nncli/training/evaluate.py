"""How good a network is on some samples."""

from typing import NamedTuple

import numpy as np

from nncli.nn.crew import Crew
from nncli.nn.network import Network
from nncli.nn.sgd import Sgd
from nncli.nn.step import Step
from nncli.training.samples import Samples

BLOCK = 128  # samples at a time: enough for BLAS, little enough for the caches


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
        sgd: Sgd,
        samples: Samples,
        *,
        classes: bool,
        crew: Crew | None = None,
    ) -> None:
        self.samples = samples
        self.classes = classes
        count = len(samples.index)
        sizes = {min(count, BLOCK), count % BLOCK} - {0}
        self.steps = {n: Step(network, sgd, n, crew) for n in sizes}

    def __call__(self) -> Evaluation:
        index = self.samples.index
        cost, right = 0.0, 0
        for start in range(0, len(index), BLOCK):
            rows = index[start : start + BLOCK]
            step = self.steps[len(rows)]
            self.samples.gather(rows, step.inputs, step.targets)
            cost += step.forward() * len(rows)
            if self.classes:
                hits = step.outputs.argmax(axis=1) == step.targets.argmax(axis=1)
                right += int(np.count_nonzero(hits))
        return Evaluation(cost / len(index), right / len(index) if self.classes else None)
