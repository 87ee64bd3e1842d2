"""nncli: train a neural network, and see backpropagation at work.

The public names, loaded when they are first used (`nncli --help` needs none of them):

    load_spec(path, overrides=())   a YAML file as a checked, frozen Spec
    prepare(spec)                   its data and its network, before any step
    train(spec, out=None)           trains it; a Training with network and history
    resume(run)                     goes on with the training in a run folder
    start_from(spec, file)          the spec, with its first weights to be read from a file
    trace_step(source)              takes one step; the Trace of everything in it
    export(run, to)                 writes its network as ONNX, PyTorch, safetensors or npz
    inspect(trace)                  proves a trace; an Inspection with check and views
    init(name, data=...)            writes a spec for a data file, or a starter; the Draft of it
    compare(runs)                   run folders side by side, as a Comparison
    show(source)                    a spec with every default, and where each value came from
    schema()                        the JSON Schema of a spec
    conv(matrix, filter)            slides a filter over a matrix; a Filtering with every product
    evaluate(run, data=None)        measures a trained network; an Evaluated with all counts
    predict(run, inputs)            what it says about new samples; a Prediction
    predict_blocks(run, inputs)     the same for inputs of any length; Predictions, one by one
    summary(source)                 layers, shapes, arithmetic, memory, times; a Summary
    Spec, Prepared, Training, Trace, Exported, Inspection, Draft, Comparison, Evaluated, Prediction,
    Predictions, Summary, Shown, Filtering
                                    what these return
    Epoch, Progress                 what a training tells whoever watches it
    NncliError                      a mistake in what was given; its text says which
    InterruptedTraining             to be raised by a watcher that wants to stop
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nncli.errors import InterruptedTraining, NncliError

if TYPE_CHECKING:
    from nncli.api.assemble import Prepared, prepare
    from nncli.api.comparing import Comparison, compare
    from nncli.api.evaluating import Evaluated, evaluate
    from nncli.api.exporting import Exported, export
    from nncli.api.initial import start_from
    from nncli.api.matrices import conv
    from nncli.api.predicting import Prediction, Predictions, predict, predict_blocks
    from nncli.api.schema import schema
    from nncli.api.showing import Shown, show
    from nncli.api.starting import Draft, draft, init
    from nncli.api.summarising import Summary, summary
    from nncli.api.tracing import trace_step
    from nncli.api.training import Training, resume, train
    from nncli.inspection.filtering import Filtering
    from nncli.inspection.record import Inspection, inspect
    from nncli.nn.trace import Trace
    from nncli.spec import Spec, load_spec
    from nncli.training.history import Epoch, Progress

__version__ = "0.1.0"
__all__ = [
    "Comparison",
    "Draft",
    "Epoch",
    "Evaluated",
    "Exported",
    "Filtering",
    "Inspection",
    "InterruptedTraining",
    "NncliError",
    "Prediction",
    "Predictions",
    "Prepared",
    "Progress",
    "Shown",
    "Spec",
    "Summary",
    "Trace",
    "Training",
    "compare",
    "conv",
    "draft",
    "evaluate",
    "export",
    "init",
    "inspect",
    "load_spec",
    "predict",
    "predict_blocks",
    "prepare",
    "resume",
    "schema",
    "show",
    "start_from",
    "summary",
    "trace_step",
    "train",
]

_HOME = {
    "Epoch": "nncli.training.history",
    "Exported": "nncli.api.exporting",
    "Filtering": "nncli.inspection.filtering",
    "Progress": "nncli.training.history",
    "Comparison": "nncli.api.comparing",
    "compare": "nncli.api.comparing",
    "Draft": "nncli.api.starting",
    "draft": "nncli.api.starting",
    "init": "nncli.api.starting",
    "Evaluated": "nncli.api.evaluating",
    "Prediction": "nncli.api.predicting",
    "Predictions": "nncli.api.predicting",
    "Prepared": "nncli.api.assemble",
    "Spec": "nncli.spec",
    "Summary": "nncli.api.summarising",
    "Training": "nncli.api.training",
    "Inspection": "nncli.inspection.record",
    "Trace": "nncli.nn.trace",
    "conv": "nncli.api.matrices",
    "export": "nncli.api.exporting",
    "evaluate": "nncli.api.evaluating",
    "inspect": "nncli.inspection.record",
    "load_spec": "nncli.spec",
    "start_from": "nncli.api.initial",
    "schema": "nncli.api.schema",
    "Shown": "nncli.api.showing",
    "show": "nncli.api.showing",
    "trace_step": "nncli.api.tracing",
    "predict": "nncli.api.predicting",
    "predict_blocks": "nncli.api.predicting",
    "prepare": "nncli.api.assemble",
    "summary": "nncli.api.summarising",
    "resume": "nncli.api.training",
    "train": "nncli.api.training",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'nncli' has no attribute {name!r}")
