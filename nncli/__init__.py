"""nncli: train a neural network, and see backpropagation at work.

The public names, loaded when they are first used (`nncli --help` needs none of them):

    load_spec(path, overrides=())   a YAML file as a checked, frozen Spec
    prepare(spec)                   its data and its network, before any step
    train(spec, out=None)           trains it; a Training with network and history
    resume(run)                     goes on with the training in a run folder
    trace_step(source)              takes one step; the Trace of everything in it
    inspect(trace)                  proves a trace; an Inspection with check and views
    Spec, Prepared, Training, Trace, Inspection    what these return
    Epoch, Progress                 what a training tells whoever watches it
    NncliError                      a mistake in what was given; its text says which
    InterruptedTraining             to be raised by a watcher that wants to stop
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nncli.errors import InterruptedTraining, NncliError

if TYPE_CHECKING:
    from nncli.api.assemble import Prepared, prepare
    from nncli.api.tracing import trace_step
    from nncli.api.training import Training, resume, train
    from nncli.inspection.record import Inspection, inspect
    from nncli.nn.trace import Trace
    from nncli.spec import Spec, load_spec
    from nncli.training.history import Epoch, Progress

__version__ = "0.1.0"
__all__ = [
    "Epoch",
    "Inspection",
    "InterruptedTraining",
    "NncliError",
    "Prepared",
    "Progress",
    "Spec",
    "Trace",
    "Training",
    "inspect",
    "load_spec",
    "prepare",
    "resume",
    "trace_step",
    "train",
]

_HOME = {
    "Epoch": "nncli.training.history",
    "Progress": "nncli.training.history",
    "Prepared": "nncli.api.assemble",
    "Spec": "nncli.spec",
    "Training": "nncli.api.training",
    "Inspection": "nncli.inspection.record",
    "Trace": "nncli.nn.trace",
    "inspect": "nncli.inspection.record",
    "load_spec": "nncli.spec",
    "trace_step": "nncli.api.tracing",
    "prepare": "nncli.api.assemble",
    "resume": "nncli.api.training",
    "train": "nncli.api.training",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'nncli' has no attribute {name!r}")
