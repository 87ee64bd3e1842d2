"""nncli: train a neural network, and see backpropagation at work.

The public names, loaded when they are first used (`nncli --help` needs none of them):

    load_spec(path, overrides=())   a YAML file as a checked, frozen Spec
    prepare(spec)                   its data and its network, before any step
    train(spec, out=None)           trains it; a Training with network and history
    Spec, Prepared, Training        what these return
    Epoch, Progress                 what a training tells whoever watches it
    NncliError                      a mistake in what was given; its text says which
    InterruptedTraining             to be raised by a watcher that wants to stop
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nncli.errors import InterruptedTraining, NncliError

if TYPE_CHECKING:
    from nncli.api import Training, train
    from nncli.assemble import Prepared, prepare
    from nncli.spec import Spec, load_spec
    from nncli.training.history import Epoch, Progress

__version__ = "0.1.0"
__all__ = [
    "Epoch",
    "InterruptedTraining",
    "NncliError",
    "Prepared",
    "Progress",
    "Spec",
    "Training",
    "load_spec",
    "prepare",
    "train",
]

_HOME = {
    "Epoch": "nncli.training.history",
    "Progress": "nncli.training.history",
    "Prepared": "nncli.assemble",
    "Spec": "nncli.spec",
    "Training": "nncli.api",
    "load_spec": "nncli.spec",
    "prepare": "nncli.assemble",
    "train": "nncli.api",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'nncli' has no attribute {name!r}")
