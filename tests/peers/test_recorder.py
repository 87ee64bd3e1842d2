"""PyTorch's own step, saved by the recorder, is right; and what is wrong with it is named."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nncli
from nncli.exchange.recorders import recorder
from tests.conftest import CONFIGS

torch = pytest.importorskip("torch", reason="PyTorch is not here: make peers")
IRIS, CONV = CONFIGS / "iris.yaml", CONFIGS / "digits-conv.yaml"


def loaded() -> Any:
    module = ModuleType("recorder")
    exec(compile(recorder("pytorch"), "recorder.py", "exec"), module.__dict__)
    return module.Recorder


def model_of(source: Path) -> Any:
    """A model with the activations of the spec, and weights of its own."""
    nn = torch.nn
    torch.manual_seed(1)
    if source == IRIS:
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    spec = nncli.load_spec(source)
    prepared = nncli.prepare(spec)
    modules: list[Any] = []
    sigma = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
    for placed in prepared.network.layers:
        layer: Any = placed.layer
        match layer.type:
            case "conv":
                padding = layer.padding if isinstance(layer.padding, str) else tuple(layer.padding)
                channels = placed.input_shape[0]
                conv = nn.Conv2d(channels, layer.filters, layer.kernel, layer.stride, padding)
                modules += [conv, sigma[layer.activation]()]
            case "maxpool" | "avgpool":
                pool = nn.MaxPool2d if layer.type == "maxpool" else nn.AvgPool2d
                modules.append(pool(layer.size))
            case "flatten":
                modules.append(nn.Flatten())
            case "dense":
                modules.append(nn.Linear(placed.input_shape[0], layer.units))
                if layer.activation in sigma:
                    modules.append(sigma[layer.activation]())
    return nn.Sequential(*modules)


def recorded(source: Path, folder: Path, samples: Any, reduction: str = "mean") -> Path:
    """A step of that model on samples of the spec, saved by the recorder."""
    trace = nncli.trace_step(source, samples=samples)
    x, y = torch.tensor(trace.inputs), torch.tensor(trace.targets)
    model = model_of(source)
    optimizer = torch.optim.SGD(model.parameters(), trace.eta)
    recorder = loaded()(model)
    outputs = model(x)
    if trace.cost.activation == "sigmoid":
        loss = torch.nn.functional.binary_cross_entropy(outputs, y, reduction="sum") / len(x)
    else:
        loss = torch.nn.functional.cross_entropy(outputs, y, reduction=reduction)
    loss.backward()
    recorder(X=x, C=loss)
    optimizer.step()
    recorder.save(folder / "step.npz")
    return folder / "step.npz"


@pytest.mark.parametrize("source", [IRIS, CONV], ids=["iris", "conv"])
@pytest.mark.parametrize("samples", [(0,), (1, 5, 9, 30)], ids=["one", "four"])
def test_a_step_of_pytorch_is_right(source: Path, samples: Any, tmp_path: Path) -> None:
    found = nncli.check(source, recorded(source, tmp_path, samples))
    assert found.right, [one for one in found.compared if not one.right]
    names = {one.name for one in found.compared}
    assert {"cost", "dense1.z", "dense1.delta", "dense1.weight_gradient"} <= names
    assert "dense1.weight_new" in names
    assert found.samples == samples


def test_a_sum_for_a_mean_is_told(tmp_path: Path) -> None:
    found = nncli.check(IRIS, recorded(IRIS, tmp_path, (1, 5, 9), "sum"))
    assert found.mistakes == ("sum_for_mean",)
    assert found.ratio == pytest.approx(3)


def test_gradients_that_were_not_zeroed_are_wrong(tmp_path: Path) -> None:
    path = recorded(IRIS, tmp_path, (0,))
    arrays = dict(np.load(path))
    arrays["2.weight.grad"] = 2 * arrays["2.weight.grad"]
    assert not nncli.check(IRIS, arrays).right
