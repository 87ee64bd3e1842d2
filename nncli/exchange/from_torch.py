"""A PyTorch model as a spec's network. PyTorch is not imported: modules are known by their names.

What is read are the modules of an nn.Sequential, their settings and their parameters as arrays.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.text import nearest
from nncli.exchange.foreign_network import BY_PLAIN_NAME, ForeignNetwork, NetworkBuilder
from nncli.nn.activations import ACTIVATIONS
from nncli.nn.arrays import Array, Shape

CONTAINERS = ("Sequential",)
OWN_CLASS = (
    "is a class of its own, whose forward() is not read: give the layers as an nn.Sequential, or "
    "export the model to ONNX and take that: nncli init --from model.onnx"
)


def network_of(model: Any, input_shape: Shape | None = None) -> ForeignNetwork:
    """The network of an nn.Sequential, or of a module of MODULES alone.

    Args:
        input_shape: of a sample; None: that of its first layer, where that is an nn.Linear.

    Raises:
        NncliError: it is no such module, its samples' shape is not known, or modules have no place
            in a spec; all of those.
    """
    if not hasattr(model, "named_children") or not hasattr(model, "state_dict"):
        kind = type(model).__name__
        raise NncliError(f"from_torch takes a PyTorch module, as nn.Sequential is, not a {kind}")
    modules = list(_modules(model, ""))
    shared = _shared(modules)
    if input_shape is None:
        input_shape = _input_shape(modules)
    builder = NetworkBuilder(tuple(input_shape))
    for name, module in modules:
        kind = _kind(module)
        if id(module) in shared:
            builder.refuse(f"{name} ({kind})", "is used more than once; nncli shares no weights")
        elif _torch_class(module) is None:
            builder.refuse(f"{name} ({kind})", OWN_CLASS)
        elif kind in MODULES:
            MODULES[kind](builder, f"{name} ({kind})", module)
        elif (row := BY_PLAIN_NAME.get(kind.lower())) is not None:
            _activation(builder, f"{name} ({kind})", module, row)
        else:
            known = nearest(kind, [*CONTAINERS, *MODULES])
            builder.refuse(f"{name} ({kind})", f"has no counterpart in nncli{known}")
    return builder.made()


def as_array(tensor: Any) -> Array:
    """A tensor's numbers; of half precision in float32."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        if str(tensor.dtype) in ("torch.bfloat16", "torch.float16"):
            tensor = tensor.float()
        tensor = tensor.numpy()
    array: Array = np.array(tensor)
    return array


def _torch_class(module: Any) -> type | None:
    """The class of PyTorch's whose forward() a module has; None: it has one of its own."""
    for base in type(module).__mro__:
        if base.__module__.startswith("torch.nn.modules"):
            return base
        if "forward" in vars(base):
            break
    return None


def _kind(module: Any) -> str:
    return (_torch_class(module) or type(module)).__name__


def _modules(module: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The modules in order, those of containers within."""
    if _kind(module) not in CONTAINERS or _torch_class(module) is None:
        yield name or "the model", module
        return
    for key, child in module._modules.items():  # named_children leaves out what stands twice
        yield from _modules(child, f"{name}.{key}" if name else key)


def _shared(modules: list[tuple[str, Any]]) -> set[int]:
    """Modules with parameters that stand more than once."""
    ids = [id(module) for _, module in modules if any(True for _ in module.parameters())]
    return {key for key in ids if ids.count(key) > 1}


def _input_shape(modules: list[tuple[str, Any]]) -> Shape:
    for _, module in modules:
        if _kind(module) == "Linear":
            return (int(module.in_features),)
        if _kind(module) == "BatchNorm1d":
            return (int(module.num_features),)
        if _kind(module) not in ("Flatten", "Identity", "Dropout") and (
            _kind(module).lower() not in BY_PLAIN_NAME
        ):
            break
    raise NncliError(
        "what shape its samples have cannot be told from the model: say it, as "
        "input_shape=(1, 28, 28), channels x rows x columns, or give inputs"
    )


def _activation(builder: NetworkBuilder, name: str, module: Any, row: str) -> None:
    if getattr(module, "approximate", "none") != "none":
        builder.refuse(name, f"is approximated by {module.approximate}; nncli has the exact one")
    if row == "softplus" and module.beta != 1:
        builder.refuse(name, f"has beta = {module.beta:g}; nncli has 1")
    if row == "softmax" and module.dim not in (None, 1, -1):
        builder.refuse(name, f"is over dim={module.dim}; nncli's is over the outputs (1 or -1)")
    values = {p.key: float(getattr(module, p.key)) for p in ACTIVATIONS[row].parameters}
    builder.activation(name, row, **values)


def _pair(value: Any) -> tuple[int, int]:
    one, other = value if isinstance(value, tuple | list) else (value, value)
    return int(one), int(other)


def _own(module: Any, key: str) -> Array | None:
    tensor = getattr(module, key)
    return None if tensor is None else as_array(tensor)


def _frozen(module: Any) -> dict[str, Any]:
    """The key that says which parameters are not trained, where some are not."""
    parts = [key for key in ("weight", "bias") if getattr(module, key) is not None]
    frozen = tuple(key for key in parts if not getattr(module, key).requires_grad)
    return {"freeze": True if len(frozen) == len(parts) else frozen} if frozen else {}


def _linear(builder: NetworkBuilder, name: str, module: Any) -> None:
    builder.dense(name, as_array(module.weight).T, _own(module, "bias"), **_frozen(module))


def _conv(builder: NetworkBuilder, name: str, module: Any) -> None:
    padding = module.padding if isinstance(module.padding, str) else _pair(module.padding)
    pairs = {"stride": _pair(module.stride), "dilation": _pair(module.dilation)}
    keys: dict[str, Any] = {key: pair for key, pair in pairs.items() if pair != (1, 1)}
    if padding not in ((0, 0), "valid"):
        keys["padding"] = padding
        if module.padding_mode != "zeros":
            keys["padding_mode"] = module.padding_mode
    keys |= _frozen(module)
    weight = as_array(module.weight)
    builder.conv(name, weight, _own(module, "bias"), int(module.groups), **keys)


def _pad(mode: str) -> Callable[[NetworkBuilder, str, Any], None]:
    def pad(builder: NetworkBuilder, name: str, module: Any) -> None:
        left, right, above, below = map(int, module.padding)
        fill = float(getattr(module, "value", 0.0))
        builder.pad(name, (above, below), (left, right), mode, fill)

    return pad


def _pool(kind: str) -> Callable[[NetworkBuilder, str, Any], None]:
    def pool(builder: NetworkBuilder, name: str, module: Any) -> None:
        size = _pair(module.kernel_size)
        keys: dict[str, Any] = {"size": size}
        if (stride := _pair(module.stride)) != size:
            keys["stride"] = stride
        if (padding := _pair(module.padding)) != (0, 0):
            keys["padding"] = padding
        if module.ceil_mode:
            keys["ceil_mode"] = True
        if kind == "maxpool" and (dilation := _pair(module.dilation)) != (1, 1):
            keys["dilation"] = dilation
        if getattr(module, "return_indices", False):
            builder.refuse(name, "gives indices too (return_indices)")
        if kind == "avgpool" and not module.count_include_pad:
            keys["count_include_pad"] = False
        if getattr(module, "divisor_override", None) is not None:
            builder.refuse(name, "divides by a number of its own (divisor_override)")
        builder.add(name, kind, **keys)

    return pool


def _adaptive(builder: NetworkBuilder, name: str, module: Any) -> None:
    if module.output_size not in (1, (1, 1)):
        builder.refuse(name, f"makes {module.output_size} of an image; nncli has 1 x 1 alone")
    builder.add(name, "global_avgpool")


def _flatten(builder: NetworkBuilder, name: str, module: Any) -> None:
    if module.start_dim != 1 or module.end_dim not in (-1, 3):
        builder.refuse(name, f"flattens from dim {module.start_dim} to {module.end_dim}, not all")
    builder.flatten()


def _dropout(builder: NetworkBuilder, name: str, module: Any) -> None:
    if module.p >= 1:
        builder.refuse(name, "leaves all units out")
    elif module.p:
        builder.add(name, "dropout", rate=float(module.p))


def _batchnorm(builder: NetworkBuilder, name: str, module: Any) -> None:
    if module.running_mean is None:
        builder.refuse(name, "keeps no running mean and variance (track_running_stats=False)")
        return
    if module.momentum is None:
        builder.refuse(name, "averages over all mini-batches alike (momentum=None)")
        return
    mean, variance = as_array(module.running_mean), as_array(module.running_var)
    keys: dict[str, Any] = {"epsilon": float(module.eps), "momentum": float(module.momentum)}
    weight, bias = _own(module, "weight"), _own(module, "bias")
    if weight is None or bias is None:  # affine=False
        weight, bias, keys["freeze"] = np.ones_like(mean), np.zeros_like(mean), True
    else:
        keys |= _frozen(module)
    arrays = {"weight": weight, "bias": bias, "running_mean": mean, "running_variance": variance}
    arrays["batches"] = np.array(int(module.num_batches_tracked), np.int64)
    builder.add(name, "batchnorm", arrays, **keys)


def _log_softmax(builder: NetworkBuilder, name: str, module: Any) -> None:
    """The logarithm is the cost's: nn.NLLLoss of it is the cross-entropy of a softmax."""
    _activation(builder, name, module, "softmax")


# By a class's name, what becomes of its module; activations are the rows of `ACTIVATIONS`.
MODULES: dict[str, Callable[[NetworkBuilder, str, Any], None]] = {
    "Linear": _linear,
    "Conv2d": _conv,
    "ZeroPad2d": _pad("zeros"),
    "ConstantPad2d": _pad("zeros"),
    "ReflectionPad2d": _pad("reflect"),
    "ReplicationPad2d": _pad("replicate"),
    "CircularPad2d": _pad("circular"),
    "MaxPool2d": _pool("maxpool"),
    "AvgPool2d": _pool("avgpool"),
    "AdaptiveAvgPool2d": _adaptive,
    "Flatten": _flatten,
    "Dropout": _dropout,
    "BatchNorm1d": _batchnorm,
    "BatchNorm2d": _batchnorm,
    "LogSoftmax": _log_softmax,
}
