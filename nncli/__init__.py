"""nncli: train a neural network, and see backpropagation at work.

The public names, loaded when they are first used (`nncli --help` needs none of them):

    load_spec(path, overrides=())   a YAML file as a checked, frozen Spec
    prepare(spec)                   its data and its network, before any step
    train(spec, out=None)           trains it; a Training with network and history
    start_from(spec, file)          the spec, with its first weights to be read from a file
    trace_step(source)              takes one step; the Trace of everything in it
    inspect(trace)                  proves a trace; an Inspection with check and views
    evaluate(run, data=None)        measures a trained network; an Evaluated with all counts
    predict(run, inputs)            what it says about new samples; a Prediction
    predict_blocks(run, inputs)     the same for inputs of any length; Predictions, one by one
    summary(source)                 layers, shapes, arithmetic, memory, times; a Summary
    export(run, to)                 writes its network as ONNX, PyTorch, safetensors or npz
    Spec, Prepared, Training, Trace, Inspection, Evaluated, Prediction, Predictions, Summary,
    Exported                        what these return
    Epoch, Progress                 what a training tells whoever watches it
    NncliError                      a mistake in what was given; its text says which
    InterruptedTraining             to be raised by a watcher that wants to stop
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nncli.errors import InterruptedTraining, NncliError

if TYPE_CHECKING:
    from nncli.api.assemble import Prepared, prepare
    from nncli.api.evaluating import Evaluated, evaluate
    from nncli.api.exporting import Exported, export
    from nncli.api.initial import start_from
    from nncli.api.predicting import Prediction, Predictions, predict, predict_blocks
    from nncli.api.summarising import Summary, summary
    from nncli.api.tracing import trace_step
    from nncli.api.training import Training, train
    from nncli.inspection.record import Inspection, inspect
    from nncli.nn.trace import Trace
    from nncli.spec import Spec, load_spec
    from nncli.training.history import Epoch, Progress

__version__ = "0.1.0"
__all__ = [
    "Epoch",
    "Evaluated",
    "Exported",
    "Inspection",
    "InterruptedTraining",
    "NncliError",
    "Prediction",
    "Predictions",
    "Prepared",
    "Progress",
    "Spec",
    "Summary",
    "Trace",
    "Training",
    "evaluate",
    "export",
    "inspect",
    "load_spec",
    "predict",
    "predict_blocks",
    "prepare",
    "start_from",
    "summary",
    "trace_step",
    "train",
]

_HOME = {
    "Epoch": "nncli.training.history",
    "Exported": "nncli.api.exporting",
    "Progress": "nncli.training.history",
    "Evaluated": "nncli.api.evaluating",
    "Prediction": "nncli.api.predicting",
    "Predictions": "nncli.api.predicting",
    "Prepared": "nncli.api.assemble",
    "Spec": "nncli.spec",
    "Summary": "nncli.api.summarising",
    "Training": "nncli.api.training",
    "Inspection": "nncli.inspection.record",
    "Trace": "nncli.nn.trace",
    "export": "nncli.api.exporting",
    "evaluate": "nncli.api.evaluating",
    "inspect": "nncli.inspection.record",
    "load_spec": "nncli.spec",
    "start_from": "nncli.api.initial",
    "trace_step": "nncli.api.tracing",
    "predict": "nncli.api.predicting",
    "predict_blocks": "nncli.api.predicting",
    "prepare": "nncli.api.assemble",
    "summary": "nncli.api.summarising",
    "train": "nncli.api.training",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'nncli' has no attribute {name!r}")
