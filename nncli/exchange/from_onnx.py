"""An ONNX graph as a spec's network: a chain of nodes, from the graph's input to its output."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.text import printable, sizes
from nncli.exchange.foreign_network import ForeignNetwork, NetworkBuilder
from nncli.nn.activations import ACTIVATIONS, OnnxNode
from nncli.nn.arrays import Array, Shape
from nncli.nn.windows import split_padding

if TYPE_CHECKING:
    import onnx

LARGEST_FILE = 1 << 31  # bytes, as the format itself has it


def read_onnx(path: Path, input_shape: Shape | None = None) -> ForeignNetwork:
    """The network of a file.

    Args:
        input_shape: of a sample; None: as the graph says, or its first layer's weights.

    Raises:
        NncliError: the onnx package is not installed, the file is none, or nodes have no place in
            a spec; all of those.
    """
    try:
        import onnx
    except ImportError as error:
        raise NncliError("to read ONNX takes onnx: pip install 'nncli[onnx]'") from error
    name = printable(path)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise NncliError(f"{name}: is larger than ONNX files are")
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except OSError as error:
        raise NncliError(
            f"{name}: cannot be read: {(error.strerror or str(error)).lower()}"
        ) from error
    except NncliError:
        raise
    except Exception as error:  # protobuf and the checker have classes of their own
        why = (
            printable(str(error).strip().splitlines()[0], 200) if str(error).strip() else "damaged"
        )
        raise NncliError(f"{name}: is no valid ONNX model: {why}") from error
    try:
        return network_of(model, input_shape)
    except NncliError as error:
        lines = [f"{name}: {line}" for line in str(error).splitlines()]
        raise NncliError("\n".join(lines)) from error


def network_of(model: "onnx.ModelProto", input_shape: Shape | None = None) -> ForeignNetwork:
    """The network of a model; see `read_onnx`."""
    return _Reader(model, input_shape).network()


class _Node(NamedTuple):
    """A node with its attributes as Python's values."""

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.name} ({self.operator})"


class _Reader:
    """Goes through a graph from its input on, as long as one node follows another."""

    def __init__(self, model: "onnx.ModelProto", input_shape: Shape | None) -> None:
        import onnx

        graph = model.graph
        to_array = onnx.numpy_helper.to_array
        self.constants: dict[str, Array] = {t.name: to_array(t) for t in graph.initializer}
        nodes = [
            _Node(
                node.name or f"node {k}",
                node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}",
                tuple(node.input),
                tuple(node.output),
                {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute},
            )
            for k, node in enumerate(graph.node)
        ]
        for node in nodes:
            if node.operator == "Constant":
                ((key, value),) = node.attributes.items()
                array = to_array(value) if key == "value" else np.array(value)
                self.constants[node.outputs[0]] = array
        self.nodes = [node for node in nodes if node.operator != "Constant"]
        given = [value for value in graph.input if value.name not in self.constants]
        if len(given) != 1 or len(graph.output) != 1:
            raise NncliError(
                f"has {len(given)} inputs and {len(graph.output)} outputs; nncli's networks have "
                "one of each"
            )
        self.value, self.end = given[0].name, graph.output[0].name
        self.users: dict[str, list[_Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                self.users.setdefault(name, []).append(node)
        self.done: set[str] = set()  # the first outputs of nodes that have been read
        self.builder = NetworkBuilder(input_shape or self._shape(given[0]))

    def _shape(self, value: "onnx.ValueInfoProto") -> Shape:
        dims = [d.dim_value for d in value.type.tensor_type.shape.dim][1:]
        if len(dims) in (1, 3) and all(d > 0 for d in dims):
            return tuple(dims)
        for node in self.nodes:
            if node.operator in ("Gemm", "MatMul") and node.inputs[1] in self.constants:
                weight = self.constants[node.inputs[1]]
                if node.inputs[0] == self.value and weight.ndim == 2:
                    return (int(weight.shape[1 if node.attributes.get("transB") else 0]),)
        raise NncliError(
            f"its input {printable(value.name)} has no shape that says how large a sample is: say "
            "it, as --shape 1,28,28 (channels, rows, columns)"
        )

    def network(self) -> ForeignNetwork:
        """Reads all nodes; raises NncliError with those that have no place."""
        while self.value != self.end:
            users = self.users.get(self.value, [])
            if not users:
                self.builder.refuse(self.value, "leads nowhere: it is not the graph's output")
                break
            if self._gelu_of_more_nodes():
                continue
            if len(users) > 1:
                names = ", ".join(str(node) for node in users[:4])
                self.builder.refuse(
                    self.value, f"goes to {len(users)} nodes, {names}; nncli has no branches"
                )
                break
            self._read(users[0])
        self._name_the_rest()
        return self.builder.made()

    def _read(self, node: _Node) -> None:
        self.done.add(node.outputs[0])
        self.value = node.outputs[0]
        if any(name and name not in self.constants for name in node.inputs[1:]):
            self.builder.refuse(str(node), "takes a second value that is computed")
        elif node.operator in OPERATORS:
            OPERATORS[node.operator](self, node)
        elif (row := BY_OPERATOR.get(node.operator)) is not None:
            self._activation(node, row)
        else:
            self.builder.refuse(str(node), "has no counterpart in nncli")

    def _name_the_rest(self) -> None:
        """Nodes that were not reached, where something was refused: all are named at once."""
        if self.builder.problems:
            for node in self.nodes:
                known = node.operator in OPERATORS or node.operator in BY_OPERATOR
                if node.outputs[0] not in self.done and not known:
                    self.builder.refuse(str(node), "has no counterpart in nncli")

    def held(self, node: _Node, at: int) -> Array | None:
        """A constant among a node's inputs; None: it is left out."""
        name = node.inputs[at] if at < len(node.inputs) else ""
        return self.constants[name] if name else None

    def _activation(self, node: _Node, row: str) -> None:
        own = ACTIVATIONS[row].onnx(*ACTIVATIONS[row].defaults)[0]
        names = dict(zip(own.attributes, ACTIVATIONS[row].parameters, strict=False))
        values = {
            parameter.key: _plain(node.attributes.get(name, parameter.default))
            for name, parameter in names.items()
        }
        if node.attributes.get("approximate", b"none") != b"none":
            self.builder.refuse(str(node), "is approximated; nncli has the exact one")
        if not ACTIVATIONS[row].elementwise:
            axis = node.attributes.get("axis", -1)
            shape = self.builder.shape
            if axis not in (1, -1) or (shape is not None and len(shape) != 1):
                self.builder.refuse(str(node), f"is over axis {axis}; nncli's is over the outputs")
        self.builder.activation(str(node), row, **values)

    def _gelu_of_more_nodes(self) -> bool:
        """Reads an activation of several nodes, as those of a row of `ACTIVATIONS` are."""
        for name, row in ACTIVATIONS.items():
            pattern = row.onnx(*row.defaults)
            if len(pattern) < 2:
                continue
            for order in (pattern, pattern[:3] + pattern[:2:-1]):
                if (nodes := self._follow(order)) is not None:
                    self.done |= {node.outputs[0] for node in nodes}
                    self.builder.activation(f"{nodes[0].name} ... {nodes[-1].name}", name)
                    self.value = nodes[-1].outputs[0]
                    return True
        return False

    def _follow(self, pattern: tuple[OnnxNode, ...]) -> list[_Node] | None:
        start = value = self.value
        found: list[_Node] = []
        for wanted in pattern:
            fitting = [n for n in self.users.get(value, []) if self._is(n, wanted, value, start)]
            if len(fitting) != 1 or (found and len(self.users[value]) != 1):
                return None
            found.append(fitting[0])
            value = fitting[0].outputs[0]
        others = {node.outputs[0] for node in found}
        return found if all(n.outputs[0] in others for n in self.users[start]) else None

    def _is(self, node: _Node, wanted: OnnxNode, value: str, start: str) -> bool:
        if node.operator != wanted.operator or node.attributes:
            return False
        rest = [name for name in node.inputs if name != value]
        if node.operator in ("Div", "Erf") and node.inputs[0] != value:
            return False
        if len(rest) != len(wanted.operands):
            return False
        for name, operand in zip(rest, wanted.operands, strict=True):
            if operand == "z":
                if name != start:
                    return False
            elif name not in self.constants or not _is_number(self.constants[name], operand):
                return False
        return True


def _is_number(array: Array, number: float | str) -> bool:
    return array.size == 1 and bool(np.isclose(float(array.reshape(())), float(number), 1e-6))


def _rows() -> Iterator[tuple[str, str]]:
    for name, row in ACTIVATIONS.items():
        nodes = row.onnx(*row.defaults)
        if len(nodes) == 1:
            yield nodes[0].operator, name


BY_OPERATOR = {**dict(_rows()), "LogSoftmax": "softmax", "Gelu": "gelu"}


def _gemm(reader: _Reader, node: _Node) -> None:
    builder, attributes = reader.builder, node.attributes
    weight, bias = reader.held(node, 1), reader.held(node, 2)
    if attributes.get("transA") or weight is None or weight.ndim != 2:
        builder.refuse(str(node), "is no product with a matrix of weights")
        return
    weight = weight.T if attributes.get("transB") else weight
    weight = weight * weight.dtype.type(attributes.get("alpha", 1.0))
    if bias is not None:
        bias = _bias(bias * bias.dtype.type(attributes.get("beta", 1.0)), weight.shape[1])
        if bias is None:
            builder.refuse(str(node), "adds something else than a bias for each unit")
    builder.dense(str(node), weight, bias)


def _bias(array: Array, units: int) -> Array | None:
    """A bias for each unit of what may be spread over them; None: it is none."""
    flat = array.reshape(-1) if array.ndim < 2 or array.shape[0] == 1 else array
    if flat.ndim == 1 and flat.size in (1, units):
        return np.array(np.broadcast_to(flat, (units,)))
    return None


def _matmul(reader: _Reader, node: _Node) -> None:
    weight = reader.held(node, 1)
    if weight is None or weight.ndim != 2:
        reader.builder.refuse(str(node), "is no product with a matrix of weights")
        return
    following, bias = reader.users.get(node.outputs[0], []), None
    if len(following) == 1 and following[0].operator == "Add":
        (add,) = following
        held = [reader.constants[name] for name in add.inputs if name in reader.constants]
        bias = _bias(held[0], weight.shape[1]) if len(held) == 1 else None
        if bias is not None:
            reader.done.add(add.outputs[0])
            reader.value = add.outputs[0]
    reader.builder.dense(str(node), weight, bias)


def _conv(reader: _Reader, node: _Node) -> None:
    weight, builder = reader.held(node, 1), reader.builder
    if weight is None or weight.ndim != 4:
        builder.refuse(str(node), "is no convolution of images with constant filters")
        return
    keys = _windows(reader, node, list(weight.shape[2:]))
    group = int(node.attributes.get("group", 1))
    builder.conv(str(node), weight, reader.held(node, 2), group, **keys)


def _windows(reader: _Reader, node: _Node, kernel: list[int]) -> dict[str, Any]:
    """Stride, padding and dilation, where they are not what a spec has by default."""
    attributes = node.attributes
    if len(kernel) != 2:
        reader.builder.refuse(str(node), f"is over {len(kernel)} axes; nncli's images have 2")
        return {}
    keys: dict[str, Any] = {}
    if (stride := tuple(attributes.get("strides", [1, 1]))) != (1, 1):
        keys["stride"] = stride
    if (dilation := tuple(attributes.get("dilations", [1, 1]))) != (1, 1):
        keys["dilation"] = dilation
    auto = attributes.get("auto_pad", b"NOTSET").decode()
    if auto == "SAME_UPPER":
        keys["padding"] = "same_upper"
    elif auto == "SAME_LOWER" and (shape := reader.builder.shape) is not None and len(shape) == 3:
        upper = split_padding("same_upper", shape[1:], (kernel[0], kernel[1]), stride, dilation)
        lower = tuple((after, before) for before, after in upper)
        if any(map(any, lower)):
            keys["padding"] = lower
    elif auto == "NOTSET" and any(pads := list(attributes.get("pads", [0, 0, 0, 0]))):
        above, left, below, right = pads
        alike = (above, left) == (below, right)
        keys["padding"] = (above, left) if alike else ((above, below), (left, right))
    return keys


def _pool(kind: str) -> Callable[[_Reader, _Node], None]:
    def pool(reader: _Reader, node: _Node) -> None:
        kernel = list(node.attributes["kernel_shape"])
        keys: dict[str, Any] = {"size": tuple(kernel), "stride": (1, 1)}
        keys |= _windows(reader, node, kernel)
        if keys["stride"] == keys["size"]:
            del keys["stride"]
        if node.attributes.get("ceil_mode"):
            keys["ceil_mode"] = True
        if kind == "avgpool":
            if keys.pop("dilation", None) is not None:
                reader.builder.refuse(str(node), "is dilated; nncli's mean is not")
            if "padding" in keys and not node.attributes.get("count_include_pad"):
                keys["count_include_pad"] = False
        if len(node.outputs) > 1 and node.outputs[1]:
            reader.builder.refuse(str(node), "gives indices too")
        if node.attributes.get("storage_order"):
            reader.builder.refuse(str(node), "counts columns first (storage_order)")
        reader.builder.add(str(node), kind, **keys)

    return pool


def _batchnorm(reader: _Reader, node: _Node) -> None:
    attributes, builder = node.attributes, reader.builder
    if attributes.get("training_mode") or len([name for name in node.outputs if name]) > 1:
        builder.refuse(str(node), "is in training mode; export the model for evaluation")
        return
    weight, bias, mean, variance = (reader.held(node, at) for at in range(1, 5))
    assert weight is not None
    arrays = {"weight": weight, "bias": bias, "running_mean": mean, "running_variance": variance}
    found = {key: array for key, array in arrays.items() if array is not None}
    found["batches"] = np.array(0, np.int64)
    epsilon = _plain(attributes.get("epsilon", 1e-5))
    momentum = _plain(1 - attributes.get("momentum", 0.9))
    builder.add(str(node), "batchnorm", found, epsilon=epsilon, momentum=momentum)


def _plain(number: float) -> float:
    """A number of float32, as it is in the file, with the digits that one writes."""
    return float(f"{number:.7g}")


def _flatten(reader: _Reader, node: _Node) -> None:
    if node.attributes.get("axis", 1) != 1:
        reader.builder.refuse(str(node), "flattens the samples' axis too")
    reader.builder.flatten()


def _reshape(reader: _Reader, node: _Node) -> None:
    """A reshape that keeps the samples, and makes a vector of the rest."""
    target, shape = reader.held(node, 1), reader.builder.shape
    wanted = [] if target is None else target.reshape(-1).tolist()
    whole = None if shape is None else int(np.prod(shape))
    if len(wanted) != 2 or (wanted[1] not in (-1, whole) and shape is not None):
        reader.builder.refuse(str(node), f"makes {sizes(tuple(wanted)) or 'one number'} of samples")
    reader.builder.flatten()


def _dropout(reader: _Reader, node: _Node) -> None:
    ratio = reader.held(node, 1)
    rate = float(node.attributes.get("ratio", 0.5) if ratio is None else ratio.reshape(()))
    if rate:
        reader.builder.add(str(node), "dropout", rate=_plain(rate))


OPERATORS: dict[str, Callable[[_Reader, _Node], None]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Conv": _conv,
    "MaxPool": _pool("maxpool"),
    "AveragePool": _pool("avgpool"),
    "GlobalAveragePool": lambda reader, node: reader.builder.add(str(node), "global_avgpool"),
    "BatchNormalization": _batchnorm,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Dropout": _dropout,
    "Identity": lambda reader, node: None,
}
