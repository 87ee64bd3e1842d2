"""A trainer for what was prepared, as `nncli.train` makes it, in one thread."""

from nncli.app.records import Prepared
from nncli.nn.optimizers import Optimizer
from nncli.training.steps import SampleSet
from nncli.training.trainer import Trainer


def trainer_of(p: Prepared, train: SampleSet | None = None) -> Trainer:
    """`train`: in place of the samples that the spec names."""
    optimizer = Optimizer(p.network, p.links)
    return Trainer(p.network, optimizer, p.plan, train or p.data.train, p.data.validation)
