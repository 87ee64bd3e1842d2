"""What a PyTorch model computes, as calls one behind the other.

An nn.Sequential is its modules in order. A forward() of the user's own is followed by torch.fx:
what it calls of torch.nn.functional, of torch or of a tensor is what a module of PyTorch's does
too, so it is given as the settings of one. What is no chain is a call that says why it has no
place.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

from nncli.core.text import count_of, printable
from nncli.exchange.torch_trace import is_container, kind_of, torch_class, trace
from nncli.nn.activations import ACTIVATIONS, Activation
from nncli.nn.arrays import Shape

Shapes = Sequence[Shape | None]  # of a sample: what the model is given, then what each call gives


class NotKnown(Exception):
    """A value that forward() computes, which cannot be told; the text says why."""


class Samples:
    """The number of samples, as a size."""

    def __repr__(self) -> str:
        return "samples"


SAMPLES = Samples()


class Later(NamedTuple):
    """A value that follows from the shapes of samples."""

    of: Callable[[Shapes], Any]


class Call(NamedTuple):
    """One step of a model.

    Attributes:
        name: as messages have it, with the place in the user's source.
        kind: the name of the class of PyTorch's that does it.
        given: the module, or what has its attributes; Later: follows from shapes.
        why: why it has no place in a spec; "": it may have one.
    """

    name: str
    kind: str
    given: Any = None
    why: str = ""


class Program(NamedTuple):
    """All calls, and what the model's user should know of it."""

    calls: list[Call]
    notes: list[str]


def program_of(model: Any) -> Program:
    """The calls of a model.

    Raises:
        NncliError: a forward() cannot be followed.
    """
    program = Program([], [])
    for name, module in _modules(model, ""):
        label = f"{name} ({kind_of(module)})"
        if torch_class(module) is not None:
            program.calls.append(Call(label, kind_of(module), module))
        elif not _is_torch(module):
            program.calls.append(Call(label, "", why="is no module of PyTorch's"))
        elif any(base.__module__.startswith("torch.jit.") for base in type(module).__mro__):
            why = "is a script of torch.jit; give the module that it was made of"
            program.calls.append(Call(label, "", why=why))
        else:
            _Reader(module, "" if module is model else f"{name}.", label, program).read()
    return program


MODULE = "torch.nn.modules.module.Module"


def _is_torch(module: Any) -> bool:
    return any(f"{base.__module__}.{base.__name__}" == MODULE for base in type(module).__mro__)


def _modules(module: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The modules in order, those of containers within."""
    if not is_container(module):
        yield name or "the model", module
        return
    for key, child in module._modules.items():  # named_children leaves out what stands twice
        yield from _modules(child, f"{name}.{key}" if name else key)


NEEDED = object()  # a parameter without a default


class Function(NamedTuple):
    """A function, or a tensor's method: the class that does the same, and what it is given."""

    kind: str
    parameters: dict[str, Any]


_WINDOWS = {"kernel_size": NEEDED, "stride": None, "padding": 0}
_SUMS = {"weight": NEEDED, "bias": None}
_MORE: dict[str, dict[str, Any]] = {
    "softplus": {"beta": 1, "threshold": 20},
    "gelu": {"approximate": "none"},
    "softmax": {"dim": None},
}


def _activation(row: Activation) -> Function:
    """PyTorch calls its functions as nncli calls its rows."""
    parameters: dict[str, Any] = {p.key: p.default for p in row.parameters}
    return Function(row.name.replace("_", ""), parameters | _MORE.get(row.name, {}))


FUNCTIONS = {
    **{name: _activation(row) for name, row in ACTIVATIONS.items()},
    "relu_": _activation(ACTIVATIONS["relu"]),
    "log_softmax": Function("LogSoftmax", {"dim": None}),
    "max_pool2d": Function(
        "MaxPool2d", {**_WINDOWS, "dilation": 1, "ceil_mode": False, "return_indices": False}
    ),
    "avg_pool2d": Function(
        "AvgPool2d",
        {**_WINDOWS, "ceil_mode": False, "count_include_pad": True, "divisor_override": None},
    ),
    "adaptive_avg_pool2d": Function("AdaptiveAvgPool2d", {"output_size": NEEDED}),
    "dropout": Function("Dropout", {"p": 0.5, "training": True}),
    "linear": Function("Linear", _SUMS),
    "conv2d": Function("Conv2d", {**_SUMS, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}),
    "flatten": Function("Flatten", {"start_dim": 0, "end_dim": -1}),
    "view": Function("View", {"shape": NEEDED}),
    "reshape": Function("View", {"shape": NEEDED}),
    "mean": Function("Mean", {"dim": None, "keepdim": False}),
    "pad": Function("Pad", {"pad": NEEDED, "mode": "constant", "value": None}),
    "contiguous": Function("Identity", {}),
}
IGNORED = ("inplace", "_stacklevel", "training")  # and what is None
PACKAGES = ("torch", "torch.nn.functional", "torch._C._nn", None)  # where functions are
OF_SIZES = ("size", "shape", "dim", "ndim", "ndimension")
PART = "takes a part of its input"
WHY = {
    **dict.fromkeys(
        ("add", "sub", "mul", "truediv", "div", "iadd", "isub", "imul", "itruediv", "pow"),
        "computes with numbers that are no layer's; inputs are scaled by data.scale, and a factor "
        "within a network belongs to its weights",
    ),
    **dict.fromkeys(("chunk", "split", "unbind", "select", "narrow"), PART),
    **dict.fromkeys(
        ("squeeze", "unsqueeze"),
        "gives samples other axes; they are vectors, or channels x rows x columns, and "
        "torch.flatten(x, 1) makes one of the other",
    ),
    **dict.fromkeys(
        ("matmul", "mm", "addmm", "einsum"),
        "is no layer with weights; nn.Linear and F.linear(x, weight, bias) are",
    ),
    "detach": "stops the gradients; requires_grad_(False) on the layers before says so too",
    "batch_norm": "has no counterpart in nncli as a function; the module nn.BatchNorm2d has",
}


class _Tensor(NamedTuple):
    """A value that passes through the chain: what call number `at` - 1 gives."""

    at: int


class _Held(NamedTuple):
    """A parameter or buffer of a module; None: a tensor that forward() made."""

    tensor: Any


class _Reader:
    """Goes through what torch.fx recorded, and adds its calls to a program."""

    def __init__(self, module: Any, prefix: str, label: str, program: Program) -> None:
        self.module, self.prefix, self.label, self.program = module, prefix, label, program
        self.traced = trace(module, label)
        self.values: dict[Any, Any] = {}
        self.takers: dict[int, str] = {}
        self.used: set[str] = set()
        self.start = len(program.calls)

    def read(self) -> None:
        inputs = 0
        for node in self.traced.nodes:
            match node.op:
                case "placeholder":
                    self.values[node] = self._placeholder(node, inputs)
                    inputs += 1
                case "get_attr":
                    self.values[node] = _Held(_attribute(self.module, node.target))
                case "output":
                    self._end(node)
                case _:
                    self.values[node] = self._call(node)
        self._name_the_unused()

    def _placeholder(self, node: Any, number: int) -> Any:
        if number == 0:
            return _Tensor(self.start)
        if node.users and not node.args:  # one with a default is at its default
            key = printable(node.target)
            self._refuse(self.label, f"its forward() takes a second input, {key}")
        return Later(lambda shapes: None)

    def _call(self, node: Any) -> Any:
        """The value of a node."""
        tensors = [n for n in node.all_input_nodes if isinstance(self.values.get(n), _Tensor)]
        if _is_of_sizes(node):
            return Later(lambda shapes: self._size(node, shapes))
        if not tensors:
            return Later(lambda shapes: self._computed(node, shapes))
        name = self._name(node)
        if node.target in (operator.getitem, getattr):
            return self._refuse(name, PART)
        taker = self.takers.get(self.values[tensors[0]].at)
        for tensor in tensors:
            self.takers.setdefault(self.values[tensor].at, name)
        if len(tensors) > 1 or list(node.args).count(tensors[0]) > 1:
            what = count_of(len(tensors), "value") if len(tensors) > 1 else "one value twice"
            why = f"takes {what}, as residual connections and branches do"
            return self._refuse(name, f"{why}; nncli's networks are chains of layers")
        if taker is not None:
            return self._refuse(name, f"takes what {taker} takes too; nncli has no branches")
        if node in self.traced.without_gradients:
            why = "is computed without gradients (torch.no_grad)"
            return self._refuse(name, f"{why}; requires_grad_(False) on its parameters says so too")
        if node.op == "call_module":
            return self._module(node, name)
        return self._function(node, name)

    def _module(self, node: Any, name: str) -> _Tensor:
        module = self.module.get_submodule(node.target)
        self.used.add(node.target)
        if len(node.args) != 1 or node.kwargs:
            return self._refuse(name, "is called with more than its input")
        return self._add(Call(name, kind_of(module), module))

    def _function(self, node: Any, name: str) -> _Tensor:
        word = node.target if isinstance(node.target, str) else node.target.__name__
        package = None if isinstance(node.target, str) else node.target.__module__
        function = FUNCTIONS.get(word)
        if function is None or package not in PACKAGES:
            return self._refuse(name, WHY.get(word, "has no counterpart in nncli"))
        first, *rest = node.args or (None,)
        keywords = dict(node.kwargs)
        if first is None:
            first = keywords.pop("input", None)
        if not isinstance(self.values.get(first), _Tensor):
            return self._refuse(name, "takes its input in another place than first")
        if function.kind == "View" and rest:  # sizes, or a tuple of them
            rest = [rest[0] if isinstance(rest[0], tuple | list) else rest]
        names = list(function.parameters)
        if len(rest) > len(names):
            return self._refuse(name, "is called with more than nncli knows of")
        given = {**function.parameters, **dict(zip(names, rest, strict=False)), **keywords}
        for key in given.keys() - function.parameters.keys():
            if key not in IGNORED and given[key] is not None:
                why = f"is called with {printable(key)}, of which nncli does not know"
                return self._refuse(name, why)
        if any(value is NEEDED for value in given.values()):
            return self._refuse(name, "is called with less than it needs")
        if function.kind == "Dropout":
            return self._dropout(node, name, given)
        return self._add(
            Call(name, function.kind, Later(lambda shapes: self._given(given, shapes)))
        )

    def _dropout(self, node: Any, name: str, given: dict[str, Any]) -> _Tensor:
        other = self.traced.in_evaluation[node]
        as_given = dict(zip(("p", "training"), other.args[1:], strict=False)) | other.kwargs
        if given["training"] and as_given.get("training", True):
            why = "leaves units out in evaluation too"
            return self._refuse(name, f"{why}; F.dropout(x, training=self.training) does not")
        kind = "Dropout" if given["training"] else "Identity"
        return self._add(Call(name, kind, SimpleNamespace(p=given["p"])))

    def _given(self, given: dict[str, Any], shapes: Shapes) -> SimpleNamespace:
        settings = {key: self._value(value, shapes) for key, value in given.items()}
        if "shape" not in settings and any(SAMPLES in _listed(v) for v in settings.values()):
            raise NotKnown("takes a setting that depends on the number of samples")
        return SimpleNamespace(padding_mode="zeros", **settings)

    def _value(self, value: Any, shapes: Shapes) -> Any:
        """What an argument is, with numbers for what follows from shapes."""
        if isinstance(value, tuple | list):
            return tuple(self._value(each, shapes) for each in value)
        if isinstance(value, slice):
            parts = (value.start, value.stop, value.step)
            return slice(*(self._value(part, shapes) for part in parts))
        if not _is_node(value):
            return value
        found = self.values[value]
        if isinstance(found, Later):
            return found.of(shapes)
        if isinstance(found, _Held):
            if found.tensor is None:
                raise NotKnown("takes weights that are none of the model's")
            return found.tensor
        raise NotKnown("takes as a setting what the network computes")

    def _size(self, node: Any, shapes: Shapes) -> Any:
        tensor, *rest = node.args
        shape = shapes[self.values[tensor].at]
        if shape is None:
            raise NotKnown("")
        whole = (SAMPLES, *shape)
        if node.op == "call_method" and node.target == "size":
            at = self._value(rest[0] if rest else node.kwargs.get("dim"), shapes)
            return whole if at is None else whole[at]
        return whole if node.op == "call_function" and rest[0] == "shape" else len(whole)

    def _computed(self, node: Any, shapes: Shapes) -> Any:
        """What arithmetic makes of sizes."""
        if getattr(node.target, "__module__", "") != operator.add.__module__:
            raise NotKnown("takes a setting that forward() computes")
        given = [self._value(each, shapes) for each in node.args]
        if any(hasattr(each, "detach") for each in given):
            raise NotKnown("takes weights that forward() computes; nncli trains those it has")
        try:
            return node.target(*given)
        except (TypeError, ArithmeticError, LookupError) as error:
            raise NotKnown("takes a setting that depends on the number of samples") from error

    def _end(self, node: Any) -> None:
        (given,) = node.args
        value = self.values.get(given) if _is_node(given) else None
        if not isinstance(value, _Tensor):
            self._refuse(self.label, "its forward() gives something else than one tensor")
        elif value.at != len(self.program.calls):
            call = self.program.calls[-1]
            self._refuse(call.name, "leads nowhere: it is not what forward() gives")

    def _add(self, call: Call) -> _Tensor:
        self.program.calls.append(call)
        return _Tensor(len(self.program.calls))

    def _refuse(self, name: str, why: str) -> _Tensor:
        return self._add(Call(name, "", why=why))

    def _name(self, node: Any) -> str:
        """A node as messages have it, with its place."""
        place = self.traced.places.get(node, "")
        if node.op == "call_module":
            module = self.module.get_submodule(node.target)
            more = f", {place}" if place else ""
            return f"{self.prefix}{node.target} ({kind_of(module)}{more})"
        word = node.target if isinstance(node.target, str) else node.target.__name__
        return f"{self.prefix}{word} ({place})" if place else f"{self.prefix}{word}"

    def _name_the_unused(self) -> None:
        unused = [
            f"{self.prefix}{name}"
            for name, module in self.module.named_modules()
            if name not in self.used
            and torch_class(module) is not None
            and not any(True for _ in module.children())
            and any(True for _ in module.parameters())
        ]
        if unused:
            names = ", ".join(map(printable, unused[:4])) + (", ..." if unused[4:] else "")
            self.program.notes.append(f"forward() does not use {names}: left out")


def _listed(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,) if isinstance(value, Samples) else ()


def _is_node(value: Any) -> bool:
    return hasattr(value, "all_input_nodes")


def _is_of_sizes(node: Any) -> bool:
    if node.op == "call_method":
        return node.target in OF_SIZES
    return node.target is getattr and node.args[1] in OF_SIZES


def _attribute(module: Any, path: str) -> Any:
    *modules, key = path.split(".")
    return getattr(module.get_submodule(".".join(modules)), key, None)
