"""Networks of other programs become those of a spec; tests/peers has the programs themselves."""

import re
from typing import Any

import numpy as np
import pytest

from nncli.core.errors import NncliError
from nncli.exchange.from_torch import MODULES, network_of
from nncli.exchange.onnx_graph import to_onnx
from nncli.nn.activations import ACTIVATIONS
from tests.exchange.networks import ALL_CASES, built, difference, forward, trained

onnx = pytest.importorskip("onnx", reason="onnx is not here: pip install 'nncli[onnx]'")


def test_what_nncli_exports_comes_back() -> None:
    from nncli.exchange.from_onnx import network_of as read

    inside = [case for case in ALL_CASES if "-inside" in case.name]  # with every kind of padding
    for case in [*ALL_CASES[::6], *inside]:
        network = trained(case)
        foreign = read(onnx.load_from_string(to_onnx(network)[".onnx"]))
        assert len(foreign.layers) <= len(network.network.layers), case
        here, there = (forward(n, network.inputs) for n in (built(foreign), network.network))
        assert difference(here, there) < 1e-6, case
        for placed in network.network.layers:
            if placed.parameter_shapes:
                weight = network.network.arrays()[f"{placed.name}.weight"]
                assert np.array_equal(foreign.arrays[f"{placed.name}.weight"], weight), case


def graph(nodes: list[Any], x: Any = (None, 3), **arrays: Any) -> Any:
    h, nh, kind = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT
    held = [nh.from_array(np.asarray(a, np.float32), name) for name, a in arrays.items()]
    given = [h.make_tensor_value_info("x", kind, x)]
    made = h.make_graph(nodes, "g", given, [h.make_tensor_value_info("y", kind, None)], held)
    return h.make_model(made, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


def test_every_activation_of_onnx_is_known() -> None:
    from nncli.exchange.from_onnx import network_of as read

    weight = np.arange(6.0).reshape(3, 2)
    for name, row in ACTIVATIONS.items():
        values = tuple(p.default + 0.25 for p in row.parameters)
        nodes = [onnx.helper.make_node("Gemm", ["x", "w", "b"], ["z"], name="fc")]
        arrays, value = {"w": weight, "b": [0.5, -1]}, "z"
        for k, node in enumerate(row.onnx(*values)):
            operands = [o if o == "z" else f"c{k}" for o in node.operands]
            arrays |= {f"c{k}": o for o in node.operands if o != "z"}
            nodes.append(
                onnx.helper.make_node(
                    node.operator, [value, *operands], [f"a{k}"], **node.attributes
                )
            )
            value = f"a{k}"
        nodes[-1].output[0] = "y"
        foreign = read(graph(nodes, **arrays))
        assert len(foreign.layers) == 1, name
        (layer,) = foreign.layers
        assert (layer["activation"], layer["units"]) == (name, 2)
        for parameter, given in zip(row.parameters, values, strict=True):
            assert layer[parameter.key] == pytest.approx(given)
        assert np.array_equal(foreign.arrays["dense1.weight"], weight)


def test_what_is_no_chain_is_refused() -> None:
    from nncli.exchange.from_onnx import network_of as read

    node = onnx.helper.make_node
    branches = [node("Relu", ["x"], ["r"], name="r"), node("Add", ["r", "x"], ["y"], name="plus")]
    strange = [
        node("Hardmax", ["x"], ["h"], name="hard"),
        node("Relu", ["h"], ["r"], name="r"),
        node("Selu", ["r"], ["y"], name="scaled"),
    ]
    softmax = [node("Softmax", ["x"], ["s"], name="soft"), node("Relu", ["s"], ["y"], name="r")]
    for nodes, lines in (
        (branches, ["x: goes to 2 nodes, r (Relu), plus (Add)", "plus (Add): has no"]),
        (strange, ["hard (Hardmax): has no counterpart", "scaled (Selu): has no counterpart"]),
        (
            softmax,
            ["soft (Softmax): mixes its units, so nothing may come behind it"],
        ),
    ):
        with pytest.raises(NncliError) as raised:
            read(graph(nodes))
        for line in lines:
            assert line in str(raised.value)
        assert len(str(raised.value).splitlines()) == len(lines)
    with pytest.raises(NncliError, match="x has no shape that says how large a sample is"):
        read(graph([node("Relu", ["x"], ["y"])], ("n", None, 3, 3)))


# PyTorch's modules, as far as they are looked at


class Tensor:
    def __init__(self, array: Any, requires_grad: bool = True) -> None:
        self.array, self.requires_grad = np.asarray(array), requires_grad
        self.dtype = f"torch.{self.array.dtype}"

    def detach(self) -> "Tensor":
        return self

    cpu = detach

    def numpy(self) -> Any:
        return self.array

    def __int__(self) -> int:
        return int(self.array)


def module(kind: str, package: str = "torch.nn.modules", **settings: Any) -> Any:
    """Something that looks like a module of PyTorch's."""
    tensors = [value for value in settings.values() if isinstance(value, Tensor)]
    methods = {
        "__module__": package,
        "named_children": lambda self: [],
        "state_dict": lambda self: {},
        "parameters": lambda self: iter(tensors),
    }
    made = type(kind, (), methods)()
    vars(made).update({"_modules": {}, "bias": None, **settings})
    return made


def sequential(*modules: Any) -> Any:
    return module("Sequential", _modules={str(k): m for k, m in enumerate(modules)})


def linear(inputs: int, units: int, **settings: Any) -> Any:
    weight = np.arange(units * inputs, dtype=np.float32).reshape(units, inputs)
    return module("Linear", in_features=inputs, weight=Tensor(weight, **settings))


WINDOW: dict[str, Any] = {
    "padding": 0,
    "stride": 2,
    "kernel_size": 2,
    "ceil_mode": False,
    "dilation": 1,
}
NORM: dict[str, Any] = {"eps": 1e-5, "momentum": 0.1, "weight": None}
NORM |= {"num_batches_tracked": Tensor(7)}
NORM |= {"running_mean": Tensor(np.ones(4)), "running_var": Tensor(np.full(4, 2.0))}
CONV: dict[str, Any] = {
    "padding_mode": "zeros",
    "padding": "same",
    "stride": (1, 1),
    "dilation": (1, 1),
}
ASIDE: dict[str, Any] = {"padding": (1, 2, 0, 1)}
PADDED = {"type": "conv", "filters": 4, "kernel": (1, 1), "padding": ((0, 1), (1, 2))}
PADDED |= {"groups": 4, "activation": "identity", "bias": False, "freeze": True}
EXAMPLES = {
    "ZeroPad2d": (module("ZeroPad2d", **ASIDE), PADDED),
    "ConstantPad2d": (module("ConstantPad2d", **ASIDE, value=0), PADDED),
    "ReflectionPad2d": (
        module("ReflectionPad2d", **ASIDE),
        PADDED | {"padding_mode": "reflect"},
    ),
    "ReplicationPad2d": (
        module("ReplicationPad2d", **ASIDE),
        PADDED | {"padding_mode": "replicate"},
    ),
    "CircularPad2d": (module("CircularPad2d", **ASIDE), PADDED | {"padding_mode": "circular"}),
    "Linear": (
        linear(4, 2),
        {"type": "dense", "units": 2, "bias": False, "activation": "identity"},
    ),
    "Conv2d": (
        module(
            "Conv2d",
            **{**CONV, "padding_mode": "circular"},
            groups=2,
            weight=Tensor(np.ones((6, 2, 1, 3))),
        ),
        {"type": "conv", "filters": 6, "kernel": (1, 3), "padding": "same", "groups": 2}
        | {"padding_mode": "circular", "bias": False, "activation": "identity"},
    ),
    "MaxPool2d": (
        module("MaxPool2d", **{**WINDOW, "dilation": (1, 2)}),
        {"type": "maxpool", "size": (2, 2), "dilation": (1, 2)},
    ),
    "AvgPool2d": (
        module("AvgPool2d", **{**WINDOW, "padding": 1}, count_include_pad=False),
        {"type": "avgpool", "size": (2, 2), "padding": (1, 1), "count_include_pad": False},
    ),
    "AdaptiveAvgPool2d": (module("AdaptiveAvgPool2d", output_size=1), {"type": "global_avgpool"}),
    "Flatten": (module("Flatten", start_dim=1, end_dim=-1), {"type": "flatten"}),
    "Dropout": (module("Dropout", p=0.25), {"type": "dropout", "rate": 0.25}),
    "BatchNorm1d": (
        module("BatchNorm1d", **NORM),
        {"type": "batchnorm", "epsilon": 1e-5, "momentum": 0.1, "freeze": True},
    ),
    "BatchNorm2d": (
        module("BatchNorm2d", **NORM),
        {"type": "batchnorm", "epsilon": 1e-5, "momentum": 0.1, "freeze": True},
    ),
    "LogSoftmax": (
        module("LogSoftmax", dim=-1),
        {"type": "dense", "units": 4, "bias": False, "freeze": True, "activation": "softmax"},
    ),
}


@pytest.mark.parametrize("kind", MODULES)
def test_every_module_of_torch(kind: str) -> None:
    given, wanted = EXAMPLES[kind]
    is_vector = kind in ("Linear", "BatchNorm1d", "Dropout", "LogSoftmax")
    foreign = network_of(given, (4,) if is_vector else (4, 6, 6))
    assert dict(foreign.layers[0]) == wanted


def conv(kernel: int = 3, channels: int = 2, **settings: Any) -> Any:
    weight = np.random.default_rng(0).standard_normal((3, channels, kernel, kernel))
    settings = {**CONV, "padding": 0, "groups": 1, **settings}
    return module("Conv2d", weight=Tensor(weight), **settings)


def pool(kind: str, **settings: Any) -> Any:
    return module(f"{kind}Pool2d", **{**WINDOW, "count_include_pad": True, **settings})


def around(kind: str, *widths: int, **settings: Any) -> Any:
    return module(f"{kind}Pad2d", padding=widths, **settings)


LOWEST = {"value": -np.inf}


PADDINGS: dict[str, tuple[list[Any], list[dict[str, Any]]]] = {
    "conv": ([around("Zero", 1, 2, 0, 1), conv()], [{"padding": ((0, 1), (1, 2))}]),
    "sum": ([around("Zero", 1, 1, 2, 2), conv(padding=1)], [{"padding": (3, 2)}]),
    "even_same": (
        [around("Zero", 0, 1, 0, 0), conv(2, padding="same")],
        [{"padding": ((0, 1), (0, 2))}],
    ),
    "twice": (
        [around("Zero", 1, 0, 0, 0), around("Constant", 1, 1, 1, 1, value=0), conv()],
        [{"padding": ((1, 1), (2, 1))}],
    ),
    "two_axes": (
        [around("Circular", 1, 2, 0, 0), around("Circular", 0, 0, 1, 0), conv()],
        [{"padding": ((1, 0), (1, 2)), "padding_mode": "circular"}],
    ),
    # What the padding repeats is padded itself, and not in the image's own lines.
    "of_padding": (
        [around("Circular", 1, 2, 0, 0), around("Circular", 1, 1, 0, 0), conv()],
        [{}, {}],
    ),
    "reflect_of_zeros": (
        [around("Reflection", 1, 1, 1, 1), conv(padding=1)],
        [{}, {"padding": (1, 1)}],
    ),
    "zeros_of_circular": (
        [around("Zero", 1, 1, 1, 1), conv(padding=1, padding_mode="circular")],
        [{}, {"padding": (1, 1), "padding_mode": "circular"}],
    ),
    "maxpool": ([around("Zero", 1, 1, 1, 1), pool("Max")], [{"type": "conv"}, {"type": "maxpool"}]),
    "lowest": (
        [around("Constant", 1, 0, 1, 1, **LOWEST), pool("Max")],
        [{"padding": ((1, 1), (1, 0))}],
    ),
    "avgpool": (
        [around("Zero", 1, 0, 1, 1), pool("Avg", count_include_pad=False, padding=0)],
        [{"padding": ((1, 1), (1, 0))}],
    ),
    "avgpool_of_image": (
        [around("Zero", 1, 0, 1, 1), pool("Avg", count_include_pad=False, padding=1)],
        [{}, {"padding": (1, 1), "count_include_pad": False}],
    ),
    # The last window of ceil_mode begins on the padding, which it does on the image alone.
    "ceil": ([around("Zero", 0, 1, 0, 2), pool("Avg", ceil_mode=True, stride=3)], [{}, {}]),
    # A window on padding alone.
    "alone": ([around("Zero", 0, 3, 0, 0), pool("Avg")], [{}, {}]),
    "activation": (
        [around("Zero", 1, 1, 1, 1), module("ReLU"), conv()],
        [{"activation": "relu"}, {}],
    ),
}


@pytest.mark.parametrize("name", PADDINGS)
def test_padding_of_its_own(name: str) -> None:
    """It is the next layer's where that computes the same, and else has a layer that passes on."""
    modules, wanted = PADDINGS[name]
    shape = (2, 6, 5)
    foreign = network_of(sequential(*modules), shape)
    layers = [dict(layer) for layer in foreign.layers if layer["type"] != "flatten"]
    for layer, keys in zip(layers, wanted, strict=False):
        assert keys.items() <= layer.items()
        if "padding" not in keys:
            assert (layer.get("freeze", False)) is (layer is layers[0] and len(wanted) == 2)
    assert [layer["type"] for layer in layers[len(wanted) :]] == ["dense"]  # the output


def test_padding_that_has_no_place() -> None:
    for modules, message in (
        ([around("Zero", -1, 0, 0, 0), conv()], "0 (ZeroPad2d): cuts cells off the image"),
        ([around("Constant", 1, 1, 1, 1, value=0.5), conv()], "0 (ConstantPad2d): pads with 0.5;"),
        ([around("Constant", 1, 1, 1, 1, **LOWEST), conv()], "0 (ConstantPad2d): pads with -inf"),
        (
            [around("Constant", 2, 0, 0, 0, **LOWEST), pool("Max")],
            "only a max pool right behind it can take, and no window on padding alone",
        ),
        ([around("Reflection", 5, 0, 0, 0), conv()], "pads 6 x 5 by 5 columns, and reflect has at"),
        ([module("Flatten", start_dim=1, end_dim=-1), around("Zero", 1, 0, 0, 0)], "a vector"),
    ):
        with pytest.raises(NncliError, match=re.escape(message)):
            network_of(sequential(*modules), (2, 6, 5))


def test_every_activation_of_torch_is_known() -> None:
    names = [
        "Sigmoid",
        "Tanh",
        "ReLU",
        "LeakyReLU",
        "ELU",
        "Softplus",
        "GELU",
        "Identity",
        "Softmax",
    ]
    assert sorted(n.lower() for n in names) == sorted(n.replace("_", "") for n in ACTIVATIONS)
    for name, row in zip(names, ACTIVATIONS, strict=True):
        given = module(name, negative_slope=0.3, alpha=0.4, beta=1, dim=1, approximate="none")
        layers = network_of(sequential(linear(3, 2), given)).layers
        assert [layer["activation"] for layer in layers] == [row]
        for parameter in ACTIVATIONS[row].parameters:
            assert layers[0][parameter.key] == getattr(given, parameter.key)


def test_weights_and_what_is_not_trained() -> None:
    shared, relu = linear(3, 3), module("ReLU")
    foreign = network_of(
        sequential(sequential(linear(3, 2), relu), linear(2, 3, requires_grad=False))
    )
    assert foreign.arrays["dense1.weight"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert foreign.layers[1]["freeze"] is True
    assert foreign.input_shape == (3,)
    # A class of one's own is known by the one whose forward() it has.
    net = vars(sequential(linear(3, 2), relu))
    for more, is_known in (({}, True), ({"forward": None}, False)):
        own = type("Net", (type(sequential()),), {"__module__": "mine", **more})()
        vars(own).update(net)
        if is_known:
            assert network_of(own).layers[0]["activation"] == "relu"
        else:
            with pytest.raises(NncliError, match="is no module of PyTorch's"):
                network_of(own, (3,))
    # An activation that stands alone is that of a layer which passes on what it gets.
    foreign = network_of(sequential(linear(3, 2), relu, relu))
    assert foreign.layers[1]["freeze"] is True
    assert foreign.arrays["dense2.weight"].tolist() == [[1, 0], [0, 1]]
    with pytest.raises(NncliError) as raised:
        network_of(sequential(shared, shared, module("Net", "own"), module("Softplus", beta=2)))
    assert str(raised.value).splitlines()[0] == (
        "1 (Linear): is used more than once; nncli shares no weights"
    )
    for line in ("2 (Net): is no module of PyTorch's", "3 (Softplus): has beta = 2; nncli has 1"):
        assert line in str(raised.value)
    for model, message in (
        (np.ones(3), "from_torch takes a PyTorch module, as nn.Sequential is, not a ndarray"),
        (EXAMPLES["Conv2d"][0], "what shape its samples have cannot be told"),
        (linear(3, 2), ""),
    ):
        if message:
            with pytest.raises(NncliError, match=message):
                network_of(model)
    with pytest.raises(NncliError, match=r"0 \(Linear\): takes 3 numbers, and gets 4"):
        network_of(sequential(linear(3, 2)), (4,))
