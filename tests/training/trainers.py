"""A trainer for what was prepared, as `nncli.train` makes it, in one thread."""

from nncli.api.assemble import Prepared
from nncli.nn.sgd import Sgd
from nncli.training.trainer import Trainer


def trainer_of(p: Prepared) -> Trainer:
    settings = p.spec.train
    sgd = Sgd(p.network, settings.momentum, settings.weight_decay)
    return Trainer(p.network, sgd, p.plan, p.data.train, p.data.validation)
