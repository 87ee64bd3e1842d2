"""A PyTorch model as a spec's network: each of its calls becomes a layer, or part of one.

What the model computes, `torch_calls` says. PyTorch is imported only for a forward() of the user's
own: all else is known by the names of classes and attributes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.text import nearest
from nncli.exchange.foreign_network import BY_PLAIN_NAME, ForeignNetwork, NetworkBuilder
from nncli.exchange.torch_calls import PART, SAMPLES, Call, Later, NotKnown, Shapes, program_of
from nncli.exchange.torch_trace import CONTAINERS
from nncli.nn.activations import ACTIVATIONS
from nncli.nn.arrays import Array, Shape


def network_of(model: Any, input_shape: Shape | None = None) -> ForeignNetwork:
    """The network of a model.

    Args:
        input_shape: of a sample; None: that of its first layer, where that is an nn.Linear.

    Raises:
        NncliError: it is no module of PyTorch's, or no chain; its samples' shape is not known, or
            modules have no place in a spec; all of those.
    """
    if not hasattr(model, "named_children") or not hasattr(model, "state_dict"):
        kind = type(model).__name__
        raise NncliError(f"from_torch takes a PyTorch module, as nn.Sequential is, not a {kind}")
    if isinstance(model, type):
        raise NncliError(f"from_torch takes a module; {model.__name__} is a class of them")
    model = getattr(model, "_orig_mod", model)  # of torch.compile
    if type(model).__name__ in ("DataParallel", "DistributedDataParallel"):
        model = model.module
    program = program_of(model)
    is_chain = not any(call.why for call in program.calls)
    if input_shape is None and is_chain:
        input_shape = _input_shape(program.calls)
    builder = NetworkBuilder(tuple(input_shape or ()))
    if input_shape is None:  # what is no chain can be told without
        builder.shape = None
    shapes: list[Shape | None] = [builder.shape]
    owners: dict[int, Call] = {}
    for call in program.calls:
        _read(builder, call, shapes, owners)
        shapes.append(builder.shape)
    for note in program.notes:
        builder.note(note)
    return builder.made()


def _read(builder: NetworkBuilder, call: Call, shapes: Shapes, owners: dict[int, Call]) -> None:
    """Tells the builder of a call; `owners` has the first call of each tensor."""
    if call.why:
        if call.why != PART or builder.shape is not None:  # of what is refused, parts are taken
            builder.refuse(call.name, call.why)
        return
    try:
        given = _given(call, shapes)
    except NotKnown as error:
        if builder.shape is not None:
            builder.refuse(call.name, str(error))
        return
    first = [owners.setdefault(id(tensor), call) for tensor in _tensors(given)]
    other = next((owner for owner in first if owner is not call), None)
    if other is not None:
        is_same = other.given is call.given
        what = "is used more than once" if is_same else f"has weights of {other.name}"
        builder.refuse(call.name, f"{what}; nncli shares no weights")
        return
    if hasattr(given, "parametrizations"):
        builder.note(f"{call.name} computes its weights; they were taken as they are, and no more")
    if call.kind in MODULES:
        MODULES[call.kind](builder, call.name, given)
    elif call.kind in FUNCTIONS:
        FUNCTIONS[call.kind](builder, call.name, given)
    elif (row := BY_PLAIN_NAME.get(call.kind.lower())) is not None:
        _activation(builder, call.name, given, row)
    else:
        known = nearest(call.kind, [*CONTAINERS, *MODULES])
        builder.refuse(call.name, f"has no counterpart in nncli{known}")


def _given(call: Call, shapes: Shapes) -> Any:
    return call.given.of(shapes) if isinstance(call.given, Later) else call.given


def _tensors(given: Any) -> list[Any]:
    """What a call learns or keeps."""
    if hasattr(given, "parameters"):
        return [*given.parameters(), *(given.buffers() if hasattr(given, "buffers") else ())]
    return [value for value in vars(given).values() if hasattr(value, "detach")]


def as_array(tensor: Any) -> Array:
    """A tensor's numbers; of half precision in float32.

    Raises:
        NncliError: it has none.
    """
    if getattr(tensor, "is_meta", False):
        raise NncliError("the model's tensors are on the device meta, which holds no numbers")
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        if str(tensor.dtype) in ("torch.bfloat16", "torch.float16"):
            tensor = tensor.float()
        tensor = tensor.numpy()
    array: Array = np.array(tensor)
    return array


def _input_shape(calls: Sequence[Call]) -> Shape:
    for call in calls:
        if call.kind in ("Linear", "BatchNorm1d"):
            given = _given(call, [None])
            if call.kind == "Linear":
                return (int(as_array(given.weight).shape[1]),)
            return (int(given.num_features),)
        if call.kind not in ("Flatten", "Identity", "Dropout", "View") and (
            call.kind.lower() not in BY_PLAIN_NAME
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
    if row == "softmax":
        _check_axis(builder, name, module)
    values = {p.key: float(getattr(module, p.key)) for p in ACTIVATIONS[row].parameters}
    builder.activation(name, row, **values)


def _check_axis(builder: NetworkBuilder, name: str, module: Any) -> None:
    if module.dim not in (None, 1, -1):
        builder.refuse(name, f"is over dim={module.dim}; nncli's is over the outputs (1 or -1)")


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
        if (stride := _pair(module.stride or size)) != size:
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
    if module.output_size not in (1, (1, 1), [1, 1]):
        builder.refuse(name, f"makes {module.output_size} of an image; nncli has 1 x 1 alone")
    builder.add(name, "global_avgpool")


def _flatten(builder: NetworkBuilder, name: str, module: Any) -> None:
    if module.start_dim == 0:
        builder.refuse(name, "makes one vector of all samples; torch.flatten(x, 1) keeps each")
    elif module.start_dim != 1 or module.end_dim not in (-1, 3):
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
    """nn.NLLLoss of it is the cross-entropy of a softmax."""
    _check_axis(builder, name, module)
    builder.log_softmax(name)


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


def _view(builder: NetworkBuilder, name: str, settings: Any) -> None:
    shape = settings.shape
    if len(shape) == 1 and isinstance(shape[0], tuple):
        (shape,) = shape
    samples, *rest = shape
    if SAMPLES in rest or not all(isinstance(size, int) for size in rest):
        builder.refuse(name, "mixes samples with what is in them")
    elif samples is not SAMPLES and (samples != -1 or -1 in rest):
        builder.refuse(name, f"says how many samples there are, {samples}; -1 takes any number")
    else:
        builder.reshape(name, tuple(rest))


def _mean(builder: NetworkBuilder, name: str, settings: Any) -> None:
    dims = () if settings.dim is None else settings.dim
    builder.mean(name, dims if isinstance(dims, tuple) else (dims,), settings.keepdim)


MODES = {
    "constant": "zeros",
    "reflect": "reflect",
    "replicate": "replicate",
    "circular": "circular",
}


def _padded(builder: NetworkBuilder, name: str, settings: Any) -> None:
    """F.pad: widths of the last axis first."""
    widths = [*map(int, settings.pad), 0, 0, 0, 0]
    if settings.mode not in MODES or len(widths) % 2 or any(widths[4:]):
        builder.refuse(name, "pads samples or channels; nncli pads rows and columns of images")
        return
    (left, right, above, below), fill = widths[:4], settings.value or 0.0
    builder.pad(name, (above, below), (left, right), MODES[settings.mode], float(fill))


# By the kind of a call that no class does.
FUNCTIONS: dict[str, Callable[[NetworkBuilder, str, Any], None]] = {
    "View": _view,
    "Mean": _mean,
    "Pad": _padded,
}
