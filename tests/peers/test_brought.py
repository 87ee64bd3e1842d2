"""A network of PyTorch's or ONNX's own becomes a spec, and computes what it computed."""

import re
import warnings
from collections import Counter
from importlib import import_module
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

import nncli
from nncli.core.errors import NncliError
from nncli.exchange.from_onnx import network_of as network_of_onnx
from nncli.exchange.from_torch import network_of
from nncli.exchange.onnx_graph import to_onnx
from nncli.exchange.onnx_operators import BY_OPERATOR, OPERATORS
from nncli.exchange.trained import Trained
from tests.exchange.networks import built, difference, forward
from tests.peers.models import PADS, OfItsOwn, random_model
from tests.peers.test_torch import checked, loaded, written

torch = pytest.importorskip("torch", reason="PyTorch is not here: make peers")
onnx = pytest.importorskip("onnx", reason="onnx is not here: make peers")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not here: make peers")
nn, F = torch.nn, torch.nn.functional
pytestmark = pytest.mark.filterwarnings("ignore:Using padding")


@pytest.mark.parametrize("has_own_forward", [False, True], ids=["sequential", "forward"])
@pytest.mark.parametrize("part", range(4))
def test_forward_and_gradients_of_random_models(
    part: int, has_own_forward: bool, tmp_path: Path
) -> None:
    for k in range(25):
        seed = 25 * part + k
        torch.manual_seed(seed)
        model, shape = random_model(Random(seed))
        x = torch.randn(5, *shape).double()
        model(x)
        model.train()
        with torch.no_grad():
            for module in model.modules():  # running averages are not those of the beginning
                if hasattr(module, "running_mean") and module.running_mean is not None:
                    module.running_mean.normal_()
                    module.running_var.uniform_(0.5, 2)
        model.eval()
        outputs = model(x).detach().numpy()
        is_by_class = seed % 3 == 0 and outputs.shape[1] > 1 and isinstance(model[-1], nn.Linear)
        if has_own_forward:
            model = OfItsOwn(model, Random(seed))
            assert difference(model.eval()(x).detach().numpy(), outputs) < 1e-12
        y = torch.randn(outputs.shape).double()
        if is_by_class:
            y = torch.arange(5) % outputs.shape[1]
        cost = "cross_entropy" if is_by_class else "quadratic"
        spec = nncli.from_torch(model, tmp_path / f"{seed}.yaml", inputs=x, targets=y, cost=cost)
        network = nncli.prepare(spec).network
        here = forward(network, x.numpy())
        there = F.softmax(torch.tensor(outputs), 1).numpy() if is_by_class else outputs
        assert difference(here, there) < 1e-12, (seed, model)
        trace = nncli.trace_step(spec, samples=range(5))
        model.train()
        a = model(x)
        c = F.cross_entropy(a, y) if is_by_class else 0.5 * ((a - y) ** 2).sum() / 5
        c.backward()
        assert abs(trace.cost_before - c.item()) < 1e-12 * max(1, c.item()), (seed, model)
        theirs = [m for m in model.modules() if getattr(m, "weight", None) is not None]
        ours = [
            layer
            for layer, given in zip(trace.layers, spec.network, strict=False)
            if layer.weight is not None and not getattr(given, "freeze", False)
        ]
        assert len(theirs) == len(ours), (seed, model)
        for module, layer in zip(theirs, ours, strict=True):
            gradient = module.weight.grad.numpy()
            assert layer.weight_gradient is not None
            right = gradient.T if gradient.ndim == 2 else gradient
            assert difference(layer.weight_gradient, right) < 1e-12, (seed, layer.name, model)
            if module.bias is not None:
                assert layer.bias_gradient is not None
                right = module.bias.grad.numpy()
                assert np.abs(layer.bias_gradient - right).max() < 1e-12 * max(
                    1, np.abs(right).max()
                )


def exported(model: Any, shape: tuple[int, ...]) -> Any:
    """The model as PyTorch itself writes it to ONNX."""
    file = BytesIO()
    torch.onnx.export(model.eval(), (torch.zeros(1, *shape),), file, dynamo=False)
    return onnx.load_from_string(file.getvalue())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
def test_padding_as_pytorch_exports_it(padding_mode: str) -> None:
    torch.manual_seed(0)
    shape, x = (2, 6, 5), torch.randn(3, 2, 6, 5)
    conv = {"padding_mode": padding_mode}
    models = [
        nn.Conv2d(2, 3, 3, padding=(1, 2), **conv),
        nn.Conv2d(2, 3, 4, padding="same", **conv),
    ]
    for pad in PADS:
        models += [nn.Sequential(pad((1, 2, 0, 1)), model) for model in models[:2]]
        models.append(nn.Sequential(pad((0, 1, 2, 0)), nn.MaxPool2d(2)))
    for model in models:
        network = built(network_of_onnx(exported(model, shape)))
        right = model(x).detach().flatten(1).numpy()
        assert difference(forward(network, x.numpy()), right) < 1e-6, model


def test_what_was_imported_is_exported_again(tmp_path: Path) -> None:
    for seed in range(40):
        torch.manual_seed(seed)
        model, shape = random_model(Random(seed))
        x = torch.randn(5, *shape).double()
        right = model.eval()(x).detach().numpy()
        network = built(network_of(model, shape), np.float64)
        again = Trained(str(seed), network, None, None, x.numpy(), right)
        passed, printed = checked(written(tmp_path, again, f"module{seed}"))
        assert passed, (printed, model)
        module = loaded(tmp_path / f"module{seed}.py").load()
        assert difference(module(x).detach().numpy(), right) < 1e-12, model
        file = to_onnx(again)[".onnx"]
        session = onnxruntime.InferenceSession(file)
        (there,) = session.run(None, {"input": x.numpy().astype(np.float32)})
        assert difference(there, right) < 1e-5, model
        back = network_of_onnx(onnx.load_from_string(file))
        assert difference(forward(built(back), x.numpy()), right) < 1e-5, model
        assert len(back.layers) <= len(network.layers), model


def test_what_has_no_place_is_refused_by_name() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1),
        nn.PReLU(),
        nn.Dropout2d(),
        nn.Flatten(),
        nn.Linear(2, 2),
        nn.LSTM(3, 2),
        nn.GELU("tanh"),
        nn.Softmax(dim=1),
        nn.Linear(2, 2),
    )
    with pytest.raises(NncliError) as raised:
        nncli.from_torch(model, input_shape=(1, 4, 4))
    for line in (
        "1 (PReLU): has no counterpart",
        "2 (Dropout2d): has no counterpart in nncli; did you mean",
        "5 (LSTM): has no counterpart",
        "6 (GELU): is approximated by tanh",
        "7 (Softmax): mixes its units, so nothing may come behind it",
    ):
        assert line in str(raised.value)


# The ONNX package's own tests of single operators. Those that are refused, by what is said of them.

REFUSED = {
    "AveragePool": ["is over [13] axes", "is dilated"],
    "BatchNormalization": ["has 1 inputs and 3 outputs"],
    "Dropout": [
        "the network has no layers",
        "cannot take a vector",
        "has 1 inputs and 2 outputs",
        "has no shape",
    ],
    "Flatten": ["flattens the samples' axis too"],
    "Gather": ["takes parts of its input", "has no shape"],
    "Gelu": ["is approximated"],
    "Gemm": ["something else than a bias for each unit", "is no product with a matrix"],
    "Identity": ["the network has no layers"],
    "MatMul": ["is no product with a matrix", "has no shape"],
    "MaxPool": ["is over [13] axes", "has 1 inputs and 2 outputs"],
    "Pad": ["pads the channels", r"pads with 1\.2"],
    "ReduceMean": ["is a mean over", "has no shape", "the network has no layers"],
    "Reshape": [
        "makes [-x0-9 ]+ of samples",
        "makes one vector of all samples",
        "cannot take a vector",
    ],
    "LogSoftmax": ["is over axis"],
    "Softmax": ["is over axis"],
}


def cases() -> list[Any]:
    """Each of them that has a file of its own; to make those of all operators takes long."""
    from onnx.backend.test.case import node

    names = {*OPERATORS, *BY_OPERATOR}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in sorted(names):
            file = {"BatchNormalization": "batch_normalization"}.get(name, name.lower())
            import_module(f"onnx.backend.test.case.node.{file}")
    ones = [case for case in node._NodeTestCases if len(case.model.graph.node) == 1]
    return [case for case in ones if case.model.graph.node[0].op_type in names]


def test_node_tests_of_onnx() -> None:
    passed, wrong = Counter[str](), list[str]()
    for case in cases():
        (x, *constants), (right, *_) = case.data_sets[0]
        operator = case.model.graph.node[0].op_type
        if not isinstance(x, np.ndarray) or not isinstance(right, np.ndarray) or not x.ndim:
            continue  # of a sequence, or one number
        model = type(case.model)()
        model.CopyFrom(case.model)
        for value, array in zip([*model.graph.input][1:], constants, strict=False):
            model.graph.initializer.append(onnx.numpy_helper.from_array(array, value.name))
        if operator in BY_OPERATOR and "oftmax" not in operator:  # of any shape, entry by entry
            x, right = x.reshape(len(x), -1), right.reshape(len(x), -1)
        try:
            network = built(network_of_onnx(model, x.shape[1:]))
        except NncliError as error:
            if not any(re.search(why, str(error)) for why in REFUSED.get(operator, ())):
                wrong.append(f"{case.name}: {error}")
            continue
        here = forward(network, x)
        right = np.exp(right) if operator == "LogSoftmax" else right
        close = {"rtol": max(case.rtol, 1e-6), "atol": max(case.atol, 1e-6)}
        if not np.allclose(here, right.reshape(here.shape), **close):
            wrong.append(f"{case.name}: {np.abs(here - right.reshape(here.shape)).max()}")
        passed[operator] += 1
    assert wrong == []
    assert passed.total() >= 60
    assert passed.keys() >= {*OPERATORS, *BY_OPERATOR} - {
        *("Identity", "Dropout", "Gather", "ReduceMean", "Reshape")
    }
