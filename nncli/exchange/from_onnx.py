"""An ONNX graph as a spec's network: a chain of nodes, from the graph's input to its output."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.text import printable
from nncli.exchange.foreign_network import ForeignNetwork, NetworkBuilder
from nncli.exchange.onnx_constants import folded
from nncli.exchange.onnx_operators import BY_OPERATOR, OPERATORS, plain
from nncli.nn.activations import ACTIVATIONS, OnnxNode
from nncli.nn.arrays import Array, Shape

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
    return Reader(model, input_shape).network()


class Node(NamedTuple):
    """A node with its attributes as Python's values."""

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.name} ({self.operator})"


class Reader:
    """Goes through a graph from its input on, as long as one node follows another."""

    def __init__(self, model: "onnx.ModelProto", input_shape: Shape | None) -> None:
        import onnx

        graph = model.graph
        to_array = onnx.numpy_helper.to_array
        self.constants: dict[str, Array] = {t.name: to_array(t) for t in graph.initializer}
        nodes = [
            Node(
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
        self.nodes = [node for node in nodes if not self._is_constant(node)]
        given = [value for value in graph.input if value.name not in self.constants]
        if len(given) != 1 or len(graph.output) != 1:
            raise NncliError(
                f"has {len(given)} inputs and {len(graph.output)} outputs; nncli's networks have "
                "one of each"
            )
        self.value, self.end = given[0].name, graph.output[0].name
        self.users: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                self.users.setdefault(name, []).append(node)
        self.done: set[str] = set()  # the first outputs of nodes that have been read
        self.builder: NetworkBuilder = NetworkBuilder(input_shape or self._shape(given[0]))

    def _is_constant(self, node: Node) -> bool:
        """Whether a node gives a constant, which is kept then."""
        if node.operator == "Constant":
            return True
        if not all(name in self.constants for name in node.inputs if name):
            return False
        given = [self.constants[name] if name else None for name in node.inputs]
        array = folded(node.operator, given, node.attributes)
        if array is not None:
            self.constants[node.outputs[0]] = array
        return array is not None

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
            if self._gelu_of_more_nodes() or self._repeated_lines():
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

    def _read(self, node: Node) -> None:
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

    def held(self, node: Node, at: int) -> Array | None:
        """A constant among a node's inputs; None: it is left out."""
        name = node.inputs[at] if at < len(node.inputs) else ""
        return self.constants[name] if name else None

    def _activation(self, node: Node, row: str) -> None:
        own = ACTIVATIONS[row].onnx(*ACTIVATIONS[row].defaults)[0]
        names = dict(zip(own.attributes, ACTIVATIONS[row].parameters, strict=False))
        values = {
            parameter.key: plain(node.attributes.get(name, parameter.default))
            for name, parameter in names.items()
        }
        if node.attributes.get("approximate", b"none") != b"none":
            self.builder.refuse(str(node), "is approximated; nncli has the exact one")
        if not ACTIVATIONS[row].elementwise:
            axis = node.attributes.get("axis", -1)
            shape = self.builder.shape
            if axis not in (1, -1) or (shape is not None and len(shape) != 1):
                self.builder.refuse(str(node), f"is over axis {axis}; nncli's is over the outputs")
        if node.operator == "LogSoftmax":
            self.builder.log_softmax(str(node))
        else:
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

    def _repeated_lines(self) -> bool:
        """Reads padding with lines of the image as PyTorch writes it: slices, joined with it."""
        *slices, join = sorted(
            self.users.get(self.value, []), key=lambda node: node.operator == "Concat"
        )
        shape, axis = self.builder.shape, join.attributes.get("axis", 0)
        if join.operator != "Concat" or not slices or shape is None or axis not in (2, 3):
            return False
        if len(shape) != 3:
            return False
        lines = {self.value: np.arange(shape[axis - 1])}
        for node in slices:
            followers = self.users.get(node.outputs[0], [])
            given = [self.constants.get(name) for name in node.inputs[1:]]
            if node.operator != "Slice" or followers != [join] or any(g is None for g in given):
                return False
            axes = given[2] if len(given) > 2 else None
            if axes is None or axes.tolist() != [axis]:
                return False
            ones = [lines[self.value], given[0], given[1], np.zeros(1, int), *given[3:]]
            part = folded("Slice", ones, {})
            if part is None:
                return False
            lines[node.outputs[0]] = part
        if not all(name in lines for name in join.inputs):
            return False
        self.done |= {node.outputs[0] for node in (*slices, join)}
        self.value = join.outputs[0]
        indices = np.concatenate([lines[name] for name in join.inputs])
        self.builder.repeat(str(join), axis - 1, indices)
        return True

    def _follow(self, pattern: tuple[OnnxNode, ...]) -> list[Node] | None:
        start = value = self.value
        found: list[Node] = []
        for wanted in pattern:
            fitting = [n for n in self.users.get(value, []) if self._is(n, wanted, value, start)]
            if len(fitting) != 1 or (found and len(self.users[value]) != 1):
                return None
            found.append(fitting[0])
            value = fitting[0].outputs[0]
        others = {node.outputs[0] for node in found}
        return found if all(n.outputs[0] in others for n in self.users[start]) else None

    def _is(self, node: Node, wanted: OnnxNode, value: str, start: str) -> bool:
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
