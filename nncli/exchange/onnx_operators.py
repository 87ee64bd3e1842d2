"""What becomes of a node of an ONNX graph, by its operator; `from_onnx` reads the graph."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from nncli.core.text import printable
from nncli.exchange.foreign_network import as_key
from nncli.nn.activations import ACTIVATIONS
from nncli.nn.arrays import Array
from nncli.nn.windows import split_padding

if TYPE_CHECKING:
    from nncli.exchange.from_onnx import Node, Reader


def _rows() -> Iterator[tuple[str, str]]:
    for name, row in ACTIVATIONS.items():
        nodes = row.onnx(*row.defaults)
        if len(nodes) == 1:
            yield nodes[0].operator, name


BY_OPERATOR = {**dict(_rows()), "LogSoftmax": "softmax", "Gelu": "gelu"}


def plain(number: float) -> float:
    """A number of float32, as it is in the file, with the digits that one writes."""
    return float(f"{number:.7g}")


def _gemm(reader: "Reader", node: "Node") -> None:
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


def _matmul(reader: "Reader", node: "Node") -> None:
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


def _conv(reader: "Reader", node: "Node") -> None:
    weight, builder = reader.held(node, 1), reader.builder
    if weight is None or weight.ndim != 4:
        builder.refuse(str(node), "is no convolution of images with constant filters")
        return
    keys = _windows(reader, node, list(weight.shape[2:]))
    group = int(node.attributes.get("group", 1))
    builder.conv(str(node), weight, reader.held(node, 2), group, **keys)


def _windows(reader: "Reader", node: "Node", kernel: list[int]) -> dict[str, Any]:
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
        keys["padding"] = as_key(((above, below), (left, right)))
    return keys


PADDING_MODES = {"constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _pad(reader: "Reader", node: "Node") -> None:
    """Padding of an image; in older versions of ONNX widths and fill are attributes."""
    builder, attributes = reader.builder, node.attributes
    if builder.shape is None:
        return
    widths, fill, axes = (reader.held(node, at) for at in (1, 2, 3))
    if widths is None:
        widths = np.array(attributes.get("pads", attributes.get("paddings", [])), int)
    value = attributes.get("value", 0.0) if fill is None else float(fill.reshape(()))
    rank = 1 + len(builder.shape)
    along = range(rank) if axes is None else [int(axis) % rank for axis in axes]
    before, after = np.split(widths.astype(int), 2)
    around = dict.fromkeys(range(rank), (0, 0))
    around |= {a: (int(b), int(c)) for a, b, c in zip(along, before, after, strict=True)}
    mode = attributes.get("mode", b"constant").decode()
    if mode not in PADDING_MODES:
        builder.refuse(str(node), f"pads by {printable(mode)}, which nncli does not know")
    elif any(around[0]) or (rank == 4 and any(around[1])):
        what = "samples" if any(around[0]) else "channels"
        builder.refuse(str(node), f"pads the {what}; nncli pads rows and columns of images")
    else:
        rows, columns = (around.get(2, (0, 0)), around.get(3, (0, 0)))
        if rank == 2:
            rows = around[1]
        builder.pad(str(node), rows, columns, PADDING_MODES[mode], value)


def _gather(reader: "Reader", node: "Node") -> None:
    """Lines of an image by their numbers, as nncli itself writes circular padding."""
    indices, shape = reader.held(node, 1), reader.builder.shape
    axis = int(node.attributes.get("axis", 0))
    if shape is not None and (indices is None or indices.ndim != 1):
        reader.builder.refuse(str(node), "takes parts of its input")
    elif shape is not None and indices is not None:
        reader.builder.repeat(str(node), axis % (1 + len(shape)) - 1, indices)


def _pool(kind: str) -> Callable[["Reader", "Node"], None]:
    def pool(reader: "Reader", node: "Node") -> None:
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


def _mean(reader: "Reader", node: "Node") -> None:
    """A mean over axes; older versions of ONNX have them as an attribute."""
    held = reader.held(node, 1)
    axes = node.attributes.get("axes", []) if held is None else held.reshape(-1).tolist()
    if not axes and node.attributes.get("noop_with_empty_axes"):
        return
    reader.builder.mean(str(node), axes, bool(node.attributes.get("keepdims", 1)))


def _batchnorm(reader: "Reader", node: "Node") -> None:
    attributes, builder = node.attributes, reader.builder
    if attributes.get("training_mode") or len([name for name in node.outputs if name]) > 1:
        builder.refuse(str(node), "is in training mode; export the model for evaluation")
        return
    weight, bias, mean, variance = (reader.held(node, at) for at in range(1, 5))
    assert weight is not None
    arrays = {"weight": weight, "bias": bias, "running_mean": mean, "running_variance": variance}
    found = {key: array for key, array in arrays.items() if array is not None}
    found["batches"] = np.array(0, np.int64)
    epsilon = plain(attributes.get("epsilon", 1e-5))
    momentum = plain(1 - attributes.get("momentum", 0.9))
    builder.add(str(node), "batchnorm", found, epsilon=epsilon, momentum=momentum)


def _flatten(reader: "Reader", node: "Node") -> None:
    if node.attributes.get("axis", 1) != 1:
        reader.builder.refuse(str(node), "flattens the samples' axis too")
    reader.builder.flatten()


def _reshape(reader: "Reader", node: "Node") -> None:
    """A reshape that keeps the samples."""
    target = reader.held(node, 1)
    wanted = [] if target is None else target.reshape(-1).tolist()
    reader.builder.reshape(str(node), tuple(wanted[1:]))


def _dropout(reader: "Reader", node: "Node") -> None:
    ratio = reader.held(node, 1)
    rate = float(node.attributes.get("ratio", 0.5) if ratio is None else ratio.reshape(()))
    if rate:
        reader.builder.add(str(node), "dropout", rate=plain(rate))


OPERATORS: dict[str, Callable[["Reader", "Node"], None]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Conv": _conv,
    "Pad": _pad,
    "Gather": _gather,
    "MaxPool": _pool("maxpool"),
    "AveragePool": _pool("avgpool"),
    "GlobalAveragePool": lambda reader, node: reader.builder.add(str(node), "global_avgpool"),
    "ReduceMean": _mean,
    "BatchNormalization": _batchnorm,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Dropout": _dropout,
    "Identity": lambda reader, node: None,
}
