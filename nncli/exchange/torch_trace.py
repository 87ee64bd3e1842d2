"""A PyTorch module's forward() run with a stand-in for its input, by torch.fx.

It is run in training and in evaluation mode: what is a dropout and what is not follows from both.
"""

import linecache
import os
import sys
from inspect import signature
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from nncli.core.errors import NncliError
from nncli.core.text import printable

MOST_SOURCE = 60  # characters of a line that are shown
CONTAINERS = ("Sequential",)


class Traced(NamedTuple):
    """What forward() does.

    Attributes:
        nodes: of torch.fx, in training.
        in_evaluation: what each of them is in evaluation.
        places: where in the user's source each node was made; "" where that cannot be told.
        without_gradients: nodes made where gradients are switched off.
    """

    nodes: tuple[Any, ...]
    in_evaluation: dict[Any, Any]
    places: dict[Any, str]
    without_gradients: frozenset[Any]


def torch_class(module: Any) -> type | None:
    """The class of PyTorch's whose forward() a module has; None: it has one of its own."""
    for base in type(module).__mro__:
        if base.__module__.startswith("torch.nn.modules"):
            return base
        if "forward" in vars(base):
            break
    return None


def kind_of(module: Any) -> str:
    return (torch_class(module) or type(module)).__name__


def is_container(module: Any) -> bool:
    return torch_class(module) is not None and kind_of(module) in CONTAINERS


def trace(module: Any, name: str) -> Traced:
    """What the forward() of a module does; `name` is what messages call it.

    Raises:
        NncliError: it cannot be followed: it depends on the values of its input, say.
    """
    import torch

    defaults = {
        key: parameter.default
        for key, parameter in list(signature(module.forward).parameters.items())[1:]
        if parameter.default is not parameter.empty
    }
    modes = [(each, each.training) for each in module.modules()]
    try:
        with torch.enable_grad():
            evaluation, training = (_run(module, name, defaults, is_on) for is_on in (False, True))
    finally:
        for each, is_on in modes:
            each.training = is_on
    where = _first_difference(training, evaluation)
    if where is not None:
        raise NncliError(
            f"{name}: forward() does something else in training than in evaluation"
            f"{training.at(where)}; nncli's networks do the same in both, but for dropout and "
            "batchnorm"
        )
    return Traced(
        tuple(training.nodes),
        dict(zip(training.nodes, evaluation.nodes, strict=True)),
        training.places,
        frozenset(training.without_gradients),
    )


class _Run:
    """One run of a forward()."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.places: dict[Any, str] = {}
        self.without_gradients: set[Any] = set()

    def at(self, number: int) -> str:
        place = self.places.get(self.nodes[number]) if number < len(self.nodes) else ""
        return f" ({place})" if place else ""


def _run(module: Any, name: str, defaults: dict[str, Any], is_training: bool) -> _Run:
    import warnings

    import torch
    import torch.fx

    run, own = _Run(), set(vars(module))

    class Tracer(torch.fx.Tracer):  # type: ignore[misc]
        def is_leaf_module(self, m: Any, module_qualified_name: str) -> bool:
            return torch_class(m) is not None and not is_container(m)

        def create_node(self, *given: Any, **more: Any) -> Any:
            node = super().create_node(*given, **more)
            run.places[node] = place_of(_user_frame(sys._getframe(1)))
            if not torch.is_grad_enabled():
                run.without_gradients.add(node)
            return node

    tracer = Tracer()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for each in module.modules():  # its own train() may do more
                each.training = is_training
            graph = tracer.trace(module, concrete_args=defaults)
    except Exception as error:  # whatever the user's code raises
        raise NncliError(_why_not(error, name)) from error
    finally:
        for key in set(vars(module)) - own:  # torch.fx keeps constants there
            delattr(module, key)
    run.nodes = list(graph.nodes)
    return run


def _why_not(error: Exception, name: str) -> str:
    """What to say of a forward() that cannot be followed."""
    text = printable(str(error).strip().split("\n")[0].split(". ")[0], 200)
    place, trace_back = "", error.__traceback__
    while trace_back is not None:
        frame = trace_back.tb_frame
        if not _is_of_torch(frame):
            place = place_of(frame, trace_back.tb_lineno)
        trace_back = trace_back.tb_next
    at = f" ({place})" if place else ""
    return (
        f"{name}: its forward() cannot be followed{at}: {text or type(error).__name__}\n"
        "nncli reads chains of layers, the same for all samples: forward() may not depend on the "
        "values of its input, nor loop over its sizes (torch.flatten(x, 1) makes vectors of any). "
        "Or export the model to ONNX and take that: nncli init --from model.onnx"
    )


def _is_of_torch(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__", "")
    return name == __name__ or name.split(".")[0] in ("torch", "contextlib")


def _user_frame(frame: FrameType | None) -> FrameType | None:
    while frame is not None and _is_of_torch(frame):
        frame = frame.f_back
    return frame


def place_of(frame: FrameType | None, line: int | None = None) -> str:
    """A frame's file, line and what stands there."""
    if frame is None or frame.f_globals.get("__name__", "").startswith("nncli."):
        return ""
    file, line = frame.f_code.co_filename, line or frame.f_lineno
    named = f"{Path(file).name}:{line}" if os.path.isfile(file) else f"line {line}"
    source = linecache.getline(file, line, frame.f_globals).strip()
    return f"{named}: {printable(source, MOST_SOURCE)}" if source else named


def _first_difference(training: _Run, evaluation: _Run) -> int | None:
    """The first node in which two runs differ, but for whether something is `training`."""
    for number, (one, other) in enumerate(zip(training.nodes, evaluation.nodes, strict=False)):
        if _described(one) != _described(other):
            return number
    shorter, longer = sorted((len(training.nodes), len(evaluation.nodes)))
    return None if shorter == longer else shorter


def _described(node: Any) -> Any:
    keywords = {key: repr(value) for key, value in node.kwargs.items() if key != "training"}
    # torch.dropout(x, p, train) has it without a name
    is_dropout = getattr(node.target, "__name__", "") == "dropout"
    given = [] if is_dropout else [repr(value) for value in node.args]
    return node.op, node.target, given, keywords
