"""PyTorch runs an exported module: it reproduces nncli's numbers, and tells where it does not."""

import contextlib
import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nncli.core import safetensors_format
from nncli.exchange.pytorch import to_pytorch
from nncli.exchange.trained import PYTORCH, Affine, step_of
from nncli.nn.layers import Conv, Dense
from nncli.nn.step import Step
from tests.conftest import present
from tests.exchange.networks import ALL_CASES, LENET, SCALINGS, trained
from tests.nn.cases import Case, relative_error

torch = pytest.importorskip("torch", reason="PyTorch is not here: make peers")
load_file = pytest.importorskip(
    "safetensors.torch", reason="safetensors is not here: make peers"
).load_file


def written(folder: Path, network: Any, stem: str = "module") -> Any:
    for suffix, content in to_pytorch(network).items():
        (folder / f"{stem}{suffix}").write_bytes(content)
    return folder / f"{stem}.py"


def loaded(path: Any) -> Any:
    # Not by an import: that might take the bytecode of a file of the same size and second.
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    exec(compile(path.read_text("utf-8"), path, "exec"), module.__dict__)
    return module


def checked(path: Any) -> Any:
    """Whether the module's own check passes, and what it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        passed = loaded(path).check()
    return passed, printed.getvalue()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", ALL_CASES, ids=str)
def test_its_check_passes_and_so_does_ours(case: Any, dtype: str, tmp_path: Path) -> None:
    scaling = SCALINGS[ALL_CASES.index(case) % len(SCALINGS)]
    network = trained(case, dtype, scaling)
    path = written(tmp_path, network)
    passed, printed = checked(path)
    assert passed, printed
    assert f"outputs in torch.{dtype}" in printed
    for name in network.network.named(network.network.parameters):
        assert f"gradient of {name} " in printed
    with torch.no_grad():
        outputs = loaded(path).load()(torch.from_numpy(network.inputs))
    step, _ = step_of(network, dtype)
    assert outputs.dtype == getattr(torch, dtype)
    exact, _ = step_of(network, np.float64)
    for side in (outputs.numpy(), step.outputs):
        assert relative_error(side, exact.outputs) < (1e-6 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", [LENET, ALL_CASES[0]], ids=str)
def test_outputs_are_in_the_targets_own_units(case: Any, dtype: str, tmp_path: Path) -> None:
    network = trained(case, dtype, "standard")
    k = network.network.output_shape[0]
    units = Affine(np.linspace(1e3, -5, k), np.linspace(200, 1e-3, k))
    path = written(tmp_path, network._replace(target_scaling=units))
    passed, printed = checked(path)
    assert passed, printed
    with torch.no_grad():
        outputs = loaded(path).load()(torch.from_numpy(network.inputs))
    step, _ = step_of(network, np.float64)
    own = step.outputs * units.divisor + units.offset
    assert relative_error(outputs.numpy(), own) < (1e-6 if dtype == "float32" else 1e-12)
    change(tmp_path / "module.weights.safetensors", "target_divisor", lambda d: d * 1.0001)
    assert not checked(path)[0]


def test_a_series_is_an_image_of_one_row() -> None:
    how: dict[str, Any] = {"stride": 2, "dilation": 3, "groups": 2}
    conv = Conv(filters=4, kernel=(1, 5), stride=(1, 2), padding=(0, 6), dilation=(1, 3), groups=2)
    network = trained(Case("series", (conv, Dense(units=2)), (2, 1, 30), n=3), np.float64).network
    step = Step(network, None, 3)
    step.inputs[...] = np.random.default_rng(0).standard_normal(step.inputs.shape)
    step.forward()
    x, *parameters = map(torch.from_numpy, (step.inputs[:, :, 0], *network.arrays().values()))
    weight, bias = parameters[:2]
    z = torch.nn.functional.conv1d(x, weight[:, :, 0], bias, padding=6, **how)
    ours = np.moveaxis(present(step.layers[0].z), -1, 0)[:, :, 0]
    assert relative_error(ours, z.numpy()) < 1e-12


def change(path: Any, name: Any, how: Any) -> None:
    """Rewrites one of a file's arrays."""
    arrays, _ = safetensors_format.read(path)
    arrays[name] = np.ascontiguousarray(how(arrays[name]))
    path.write_bytes(safetensors_format.pack(arrays, PYTORCH))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
class TestAPlantedErrorIsFound:
    def test_a_weight(self, dtype: Any, tmp_path: Path) -> None:
        path = written(tmp_path, trained(LENET, dtype))
        change(tmp_path / "module.weights.safetensors", "conv1.weight", lambda w: w[..., ::-1])
        assert not checked(path)[0]

    def test_a_gradient(self, dtype: Any, tmp_path: Path) -> None:
        path = written(tmp_path, trained(LENET, dtype))
        change(tmp_path / "module.check.safetensors", "gradient.dense1.bias", lambda g: g * 1.00001)
        passed, printed = checked(path)
        wrong = [line for line in printed.splitlines() if "more than" in line]
        assert not passed
        assert len(wrong) == 1
        assert "gradient of dense1.bias" in wrong[0]

    def test_what_is_not_a_number(self, dtype: Any, tmp_path: Path) -> None:
        path = written(tmp_path, trained(LENET, dtype))
        change(tmp_path / "module.check.safetensors", "outputs", lambda a: a * np.nan)
        assert not checked(path)[0]

    @pytest.mark.parametrize(
        ("line", "other"),
        [
            ("torch.relu(self.conv1(x))", "torch.tanh(self.conv1(x))"),
            ("x = self.avgpool1(x)", "x = torch.nn.functional.max_pool2d(x, 2)"),
            ("F.cross_entropy(model.logits(x), y)", "F.cross_entropy(model(x), y)"),
            ("x = F.pad(x, ", "x = F.pad(x.mT, "),
            ("x.double() / 16.0", "x.double() / 16.001"),
        ],
    )
    def test_the_module(self, line: str, other: str, dtype: Any, tmp_path: Path) -> None:
        odd = Conv(filters=2, kernel=(2, 2), padding="same", activation="relu")
        case = type(LENET)("odd", (odd, *LENET.layers[1:]), LENET.input_shape, LENET.cost, 3)
        path = written(tmp_path, trained(case, dtype, "number"))
        text = path.read_text()
        assert text.count(line) == 1
        assert checked(path)[0]
        path.write_text(text.replace(line, other))
        assert not checked(path)[0]


def test_its_weights_are_its_state_dict(tmp_path: Path) -> None:
    module = loaded(written(tmp_path, trained(LENET, scaling="standard")))
    state = module.load().state_dict()
    file = load_file(tmp_path / "module.weights.safetensors")
    assert state.keys() == file.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in file.items())


def test_without_safetensors_it_names_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(ImportError, match="pip install torch safetensors"):
        loaded(written(tmp_path, trained(LENET)))
