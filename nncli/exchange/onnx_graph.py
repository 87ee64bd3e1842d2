"""A trained network as an ONNX graph: raw inputs in, outputs out, any number of samples.

The graph computes in float32, whatever the network was trained in: onnxruntime knows neither
convolution nor average pooling of doubles. Only the scaling of the inputs is in float64, as it is
in training, since subtracting a large offset would cost float32 its digits.
"""

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nncli.core.errors import NncliError
from nncli.exchange.trained import Affine, Files, Trained
from nncli.nn.activations import ACTIVATIONS, OnnxNode
from nncli.nn.arrays import Array, Shape
from nncli.nn.layers import (
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    MaxPool,
    Placed,
    Pool,
    WeightedLayer,
)
from nncli.nn.padding import sources
from nncli.nn.windows import Axis, Windows

if TYPE_CHECKING:
    import onnx

Operator = tuple[str, dict[str, Any]]

OPSET, IR_VERSION = 17, 8  # of 2022: old enough for runtimes in use, and they hold all layers
LARGEST_FILE = 2**31 - 2**20  # bytes: a protobuf message holds 2 GiB, some of it not weights


def to_onnx(trained: Trained) -> Files:
    """The model's bytes.

    Raises:
        NncliError: the onnx package is not installed, or the weights do not fit in the format.
    """
    try:
        import onnx
    except ImportError as error:
        raise NncliError("an ONNX export needs onnx: pip install 'nncli[onnx]'") from error
    graph = _Graph(onnx, trained)
    model = onnx.helper.make_model(
        graph.made(),
        producer_name="nncli",
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.helper.set_model_props(model, trained.metadata())
    onnx.checker.check_model(model, full_check=True)
    return {".onnx": model.SerializeToString()}


def notes(trained: Trained) -> Iterator[str]:
    """Warnings about what the format loses."""
    if trained.network.dtype != np.float32:
        yield f"the weights were rounded from {trained.network.dtype} to float32"


class _Graph:
    """Nodes and weights of a graph under construction; `value` is the name of what came last."""

    def __init__(self, library: ModuleType, trained: Trained) -> None:
        self.onnx = library
        self.trained = trained
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.value = "input"

    def made(self) -> "onnx.GraphProto":
        network, float32 = self.trained.network, self.onnx.TensorProto.FLOAT
        parameters = _as_float32(self.trained)
        if self.trained.scaling is not None:
            self._scale(self.trained.scaling)
        for placed in network.layers:
            self._layer(placed, parameters)
        if self.trained.target_scaling is not None:
            self._unscale(self.trained.target_scaling)
        self.nodes[-1].output[0] = "output"
        tensor = self.onnx.helper.make_tensor_value_info
        inputs = [tensor("input", float32, ["samples", *network.input_shape])]
        outputs = [tensor("output", float32, ["samples", *network.output_shape])]
        make: Callable[..., onnx.GraphProto] = self.onnx.helper.make_graph
        return make(self.nodes, self.trained.name, inputs, outputs, self.weights)

    def _add(self, operator: str, name: str, *more: str, **attributes: Any) -> None:
        """A node that takes the last value, and `more`, to a value called `name`."""
        inputs = [self.value, *more]
        node = self.onnx.helper.make_node(operator, inputs, [name], name=name, **attributes)
        self.nodes.append(node)
        self.value = name

    def _add_weight(self, name: str, array: Array) -> str:
        self.weights.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def _scale(self, scaling: Affine) -> None:
        self._add("Cast", "scaling.raw", to=self.onnx.TensorProto.DOUBLE)
        if scaling.offset.any():
            self._add("Sub", "scaling.shifted", self._add_weight("scaling.offset", scaling.offset))
        self._add("Div", "scaling.scaled", self._add_weight("scaling.divisor", scaling.divisor))
        self._add("Cast", "scaling", to=self.onnx.TensorProto.FLOAT)

    def _unscale(self, scaling: Affine) -> None:
        """Outputs in the targets' own units, as `Trained.in_own_units` has them."""
        self._add("Cast", "scaled_output", to=self.onnx.TensorProto.DOUBLE)
        name = "target_scaling"
        self._add("Mul", f"{name}.moved", self._add_weight(f"{name}.divisor", scaling.divisor))
        self._add("Add", f"{name}.raw", self._add_weight(f"{name}.offset", scaling.offset))
        self._add("Cast", name, to=self.onnx.TensorProto.FLOAT)

    def _pad(
        self, name: str, widths: Sequence[int], fill: float = 0.0, mode: str = "constant"
    ) -> None:
        """A node that pads images, where there is something to pad."""
        if any(widths):
            above, left, below, right = widths
            pads = np.array([0, 0, above, left, 0, 0, below, right], np.int64)
            held = [self._add_weight(f"{name}.widths", pads)]
            if mode == "constant":
                held.append(self._add_weight(f"{name}.fill", np.array(fill, np.float32)))
            self._add("Pad", name, *held, mode=mode)

    def _repeat(self, name: str, windows: Windows, mode: str) -> None:
        """Pads images by cells of their own."""
        if mode == "circular":  # of which Pad knows nothing until a later version
            for k, axis in enumerate(windows, 2):
                read = self._add_weight(f"{name}.sources{k}", sources(axis, mode).astype(np.int64))
                self._add("Gather", f"{name}{k}", read, axis=k)
        else:
            self._pad(name, _widths(windows), mode={"replicate": "edge"}.get(mode, mode))

    def _layer(self, placed: Placed, parameters: dict[str, Array]) -> None:
        name, layer = placed.name, placed.layer
        # The operator of a layer that keeps averages takes them behind its parameters.
        state = self.trained.network.state_of(name)
        averages = [key for key, array in state.items() if array.dtype.kind == "f"]
        keys = [f"{name}.{key}" for key in (*placed.parameter_shapes, *averages)]
        held = [self._add_weight(key, parameters[key]) for key in keys]
        if isinstance(layer, Pool):
            self._pad(f"{name}.padded", *_pool_padding(layer, placed.input_shape).around)
        elif isinstance(layer, Conv) and layer.repeats(layer.windows(placed.input_shape)):
            self._repeat(f"{name}.padded", layer.windows(placed.input_shape), layer.padding_mode)
        operator, attributes = LAYERS[type(layer)](layer, placed.input_shape)
        nodes: tuple[OnnxNode, ...] = ()
        if isinstance(layer, WeightedLayer):
            nodes = ACTIVATIONS[layer.activation].onnx(*layer.activation_values)
        z = f"{name}.z" if nodes else name
        self._add(operator, z, *held, **attributes)
        for k, node in enumerate(nodes, 1):
            value = name if k == len(nodes) else f"{name}.a{k}"
            operands = [
                z
                if operand == "z"
                else self._add_weight(f"{value}.{i}", np.array(operand, np.float32))
                for i, operand in enumerate(node.operands)
            ]
            self._add(node.operator, value, *operands, **node.attributes)


def _conv(layer: Conv, input_shape: Shape) -> Operator:
    windows = layer.windows(input_shape)
    pads = [0] * 4 if layer.repeats(windows) else _widths(windows)
    return "Conv", {**_windows(*windows), "pads": pads, "group": layer.groups}


class _PoolPadding(NamedTuple):
    """Where a pool's padding is: in a node of its own, with its fill, or in the pool's.

    What the pool's own node pads does not count in a mean: ceil_mode is written as such padding,
    for runtimes have not always agreed on what it means.
    """

    around: tuple[Sequence[int], float]
    own: Sequence[int]


def _pool_padding(layer: Pool, input_shape: Shape) -> _PoolPadding:
    widths = _widths(layer.windows(input_shape))
    none = [0] * 4
    if isinstance(layer, AvgPool) and layer.count_include_pad:
        padded = _widths(layer.padded_windows(input_shape))
        beyond = [whole - own for whole, own in zip(widths, padded, strict=True)]
        return _PoolPadding((padded, 0.0), beyond)
    windows = layer.windows(input_shape)
    if isinstance(layer, MaxPool) and any(
        max(axis.before, axis.after) >= axis.kernel for axis in windows
    ):  # which runtimes refuse, as they do not look at the dilation
        return _PoolPadding((widths, -np.inf), none)
    return _PoolPadding((none, 0.0), widths)


def _pool(operator: str) -> Callable[[Pool, Shape], Operator]:
    def pool(layer: Pool, input_shape: Shape) -> Operator:
        attributes = _windows(*layer.windows(input_shape))
        if not isinstance(layer, MaxPool):
            del attributes["dilations"]  # AveragePool has none until a later version
        pads = _pool_padding(layer, input_shape).own
        return operator, {**attributes, "pads": pads} if any(pads) else attributes

    return pool


def _widths(windows: Windows) -> list[int]:
    """Padding above, on the left, below and on the right."""
    rows, columns = windows
    return [rows.before, columns.before, rows.after, columns.after]


def _windows(rows: Axis, columns: Axis) -> dict[str, list[int]]:
    return {
        "kernel_shape": [rows.kernel, columns.kernel],
        "strides": [rows.stride, columns.stride],
        "dilations": [rows.dilation, columns.dilation],
    }


# By the kind of a layer: its operator (without its activation) and that one's attributes.
LAYERS: dict[type[Layer], Callable[[Any, Shape], Operator]] = {
    Dense: lambda layer, input_shape: ("Gemm", {}),
    Conv: _conv,
    MaxPool: _pool("MaxPool"),
    AvgPool: _pool("AveragePool"),
    GlobalAvgPool: lambda layer, input_shape: ("GlobalAveragePool", {}),
    Flatten: lambda layer, input_shape: ("Flatten", {"axis": 1}),
    BatchNorm: lambda layer, input_shape: ("BatchNormalization", {"epsilon": layer.epsilon}),
    Dropout: lambda layer, input_shape: ("Identity", {}),  # a graph is for evaluation
}


def _as_float32(trained: Trained) -> dict[str, Array]:
    """The parameters in float32; raises where they or the file would be too large."""
    network = trained.network
    if network.parameters.size * 4 > LARGEST_FILE:
        raise NncliError(
            f"{network.parameters.size:,} parameters do not fit in an ONNX file, which holds 2 GiB;"
            " --to safetensors has no such limit"
        )
    with np.errstate(over="ignore"):
        parameters = {name: array.astype(np.float32) for name, array in network.arrays().items()}
    for name, array in parameters.items():
        if not np.isfinite(array).all():
            raise NncliError(
                f"{name} holds numbers too large for float32, in which an ONNX export computes; "
                "--to pytorch, safetensors or npz keep float64"
            )
    return parameters
