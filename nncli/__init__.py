"""nncli: train a neural network, and see backpropagation at work.

The public names, loaded when they are first used (`nncli --help` needs none of them):

    load_spec(path, overrides=())   a YAML file as a checked, frozen Spec
    prepare(spec)                   its data and its network, before any step
    train(spec, out=None)           trains it; a Training with network and history
    resume(run)                     goes on with the training in a run folder
    start_from(spec, file)          the spec, with its first weights to be read from a file
    trace_step(source)              takes one step; the Trace of everything in it
    export(run, to)                 writes its network as ONNX, PyTorch, safetensors or npz
    inspect(source)                 proves such a step, or a Trace; an Inspection
    explain(source)                 derives such a step with its numbers; a Derivation
    exercise(topic, level, seed)    a network to compute by hand, with its key; a Sheet
    grade(key, answers)             the answers of a class, marked; Grades
    init(name, data=...)            writes a spec for a data file, or a starter; the Draft of it
    check(source, mine)             a backpropagation of your own, and the mistake in it; a Checked
    replay(file)                    takes a step that was saved again; a Replay: equal to the bit?
    diff(a, b)                      two such steps, to the first number; a TraceDifference
    compare(runs)                   run folders side by side, as a Comparison
    report(runs)                    all that run folders say of their trainings, as a Report
    show(source)                    a spec with every default, and where each value came from
    schema()                        the JSON Schema of a spec
    from_torch(model)               a PyTorch model as a Spec, with its weights beside it
    conv(matrix, filter)            slides a filter over a matrix; a Filtering with every product
    evaluate(run, data=None)        measures a trained network; an Evaluated with all counts
    sweep(source, vary=...)         trains it with many values; a SweepRecord, ranked
    diagnose(source)                what is wrong with a network, and which cure helps; a Diagnosis
    predict(run, inputs)            what it says about new samples; a Prediction
    predict_blocks(run, inputs)     the same for inputs of any length; Predictions, one by one
    summary(source)                 layers, shapes, arithmetic, memory, times; a Summary
    Spec, Prepared, Training, Trace, Exported, Inspection, Derivation, Diagnosis, Draft,
    Comparison, Evaluated, Prediction, Predictions, Report, Summary, SpecListing (or Shown),
    Checked, Replay, TraceDifference, Filtering, SweepRecord, Trial, Sheet, Grades
                                    what these return
    Epoch, Progress, Failure        what a training reports while it runs
    NncliError                      a mistake in what was given; its text says which
    InterruptedTraining             to be raised by a watcher that wants to stop
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nncli.core.errors import InterruptedTraining, NncliError
from nncli.core.notebooks import MimeBundle, draw_with

if TYPE_CHECKING:
    from nncli.app.bring import from_torch
    from nncli.app.check import check
    from nncli.app.compare import compare
    from nncli.app.conv import conv
    from nncli.app.diagnose import diagnose
    from nncli.app.evaluate import evaluate
    from nncli.app.evaluation_records import Evaluated, Prediction
    from nncli.app.exercise import exercise
    from nncli.app.explain import explain
    from nncli.app.export import export
    from nncli.app.grade import grade
    from nncli.app.init import draft, init
    from nncli.app.inspect import inspect, trace_step
    from nncli.app.pipeline import prepare
    from nncli.app.predict import Predictions, predict, predict_blocks
    from nncli.app.records import Diagnosis, Draft, Exported, Prepared, Shown, SpecListing, Training
    from nncli.app.report import report
    from nncli.app.report_records import Comparison, Report
    from nncli.app.resume import resume
    from nncli.app.show import show
    from nncli.app.summary import summary
    from nncli.app.summary_records import Summary
    from nncli.app.sweep import sweep
    from nncli.app.sweep_records import SweepRecord, Trial
    from nncli.app.trace_files import Replay, diff, replay
    from nncli.app.train import train
    from nncli.app.weights import start_from
    from nncli.filtering.record import Filtering
    from nncli.inspection.derivation.base import Derivation
    from nncli.inspection.differences import TraceDifference
    from nncli.inspection.exercises.marking import Grades
    from nncli.inspection.exercises.sheet import Sheet
    from nncli.inspection.foreign.record import Checked
    from nncli.inspection.record import Inspection
    from nncli.nn.trace import Trace
    from nncli.spec import Spec, load_spec
    from nncli.spec.schema import schema
    from nncli.training.conditions import Failure
    from nncli.training.history import Epoch, Progress

__version__ = "0.1.0"
__all__ = [
    "Checked",
    "Comparison",
    "Derivation",
    "Diagnosis",
    "Draft",
    "Epoch",
    "Evaluated",
    "Exported",
    "Failure",
    "Filtering",
    "Grades",
    "Inspection",
    "InterruptedTraining",
    "NncliError",
    "Prediction",
    "Predictions",
    "Prepared",
    "Progress",
    "Replay",
    "Report",
    "Sheet",
    "Shown",
    "Spec",
    "SpecListing",
    "Summary",
    "SweepRecord",
    "Trace",
    "TraceDifference",
    "Training",
    "Trial",
    "check",
    "compare",
    "conv",
    "diagnose",
    "diff",
    "draft",
    "evaluate",
    "exercise",
    "explain",
    "export",
    "from_torch",
    "grade",
    "init",
    "inspect",
    "load_spec",
    "predict",
    "predict_blocks",
    "prepare",
    "replay",
    "report",
    "resume",
    "schema",
    "show",
    "start_from",
    "summary",
    "sweep",
    "trace_step",
    "train",
]

_HOME = {
    "Epoch": "nncli.training.history",
    "Exported": "nncli.app.records",
    "Failure": "nncli.training.conditions",
    "Filtering": "nncli.filtering.record",
    "Progress": "nncli.training.history",
    "Checked": "nncli.inspection.foreign.record",
    "check": "nncli.app.check",
    "TraceDifference": "nncli.inspection.differences",
    "Replay": "nncli.app.trace_files",
    "diff": "nncli.app.trace_files",
    "replay": "nncli.app.trace_files",
    "Comparison": "nncli.app.report_records",
    "compare": "nncli.app.compare",
    "Diagnosis": "nncli.app.records",
    "diagnose": "nncli.app.diagnose",
    "Draft": "nncli.app.records",
    "draft": "nncli.app.init",
    "init": "nncli.app.init",
    "Evaluated": "nncli.app.evaluation_records",
    "Prediction": "nncli.app.evaluation_records",
    "Predictions": "nncli.app.predict",
    "Prepared": "nncli.app.records",
    "Spec": "nncli.spec",
    "Summary": "nncli.app.summary_records",
    "Training": "nncli.app.records",
    "Inspection": "nncli.inspection.record",
    "Derivation": "nncli.inspection.derivation.base",
    "explain": "nncli.app.explain",
    "Trace": "nncli.nn.trace",
    "conv": "nncli.app.conv",
    "export": "nncli.app.export",
    "from_torch": "nncli.app.bring",
    "evaluate": "nncli.app.evaluate",
    "Sheet": "nncli.inspection.exercises.sheet",
    "exercise": "nncli.app.exercise",
    "Grades": "nncli.inspection.exercises.marking",
    "grade": "nncli.app.grade",
    "inspect": "nncli.app.inspect",
    "load_spec": "nncli.spec",
    "start_from": "nncli.app.weights",
    "schema": "nncli.spec.schema",
    "Shown": "nncli.app.records",
    "SpecListing": "nncli.app.records",
    "show": "nncli.app.show",
    "trace_step": "nncli.app.inspect",
    "predict": "nncli.app.predict",
    "predict_blocks": "nncli.app.predict",
    "prepare": "nncli.app.pipeline",
    "summary": "nncli.app.summary",
    "Report": "nncli.app.report_records",
    "report": "nncli.app.report",
    "resume": "nncli.app.resume",
    "train": "nncli.app.train",
    "sweep": "nncli.app.sweep",
    "SweepRecord": "nncli.app.sweep_records",
    "Trial": "nncli.app.sweep_records",
}


def _draw(record: object) -> MimeBundle:
    from nncli.render.pages.notebook import mime_bundle

    return mime_bundle(record)


draw_with(_draw)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'nncli' has no attribute {name!r}")


def __dir__() -> list[str]:
    dunders = {name for name in globals() if name.startswith("__")}
    return sorted({*dunders, *__all__})
