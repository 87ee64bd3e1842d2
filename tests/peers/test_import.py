"""A network of PyTorch's own goes on in nncli, from the very numbers it had."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncli import load_spec, prepare, start_from
from nncli.exchange.trained import Trained, step_of
from tests.conftest import CONFIGS
from tests.exchange.networks import difference

torch = pytest.importorskip("torch", reason="PyTorch is not here: make peers")
save_file = pytest.importorskip(
    "safetensors.torch", reason="safetensors is not here: make peers"
).save_file


def digits() -> Any:
    """configs/digits-conv.yaml as one writes it in PyTorch."""
    nn = torch.nn
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 30),
        nn.Sigmoid(),
        nn.Linear(30, 10),
        nn.Sigmoid(),
    )


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_the_same_outputs(suffix: str, tmp_path: Path) -> None:
    model, path = digits(), tmp_path / f"model.{suffix}"
    if suffix == "npz":
        np.savez(path, **{name: tensor.numpy() for name, tensor in model.state_dict().items()})
    else:
        save_file(model.state_dict(), path)
    prepared = prepare(start_from(load_spec(CONFIGS / "digits-conv.yaml"), path, "pytorch"))
    inputs = np.random.default_rng(0).uniform(0, 1, (5, 1, 8, 8)).astype(np.float32)
    targets = np.zeros((5, 10), np.float32)
    step, _ = step_of(Trained("", prepared.network, None, None, inputs, targets), np.float32)
    with torch.no_grad():
        outputs = model(torch.from_numpy(inputs)).numpy()
    assert difference(step.outputs, outputs) < 1e-6


def test_its_pickles_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(digits().state_dict(), path)
    with pytest.raises(Exception, match="is PyTorch's pickle, which is never read"):
        prepare(start_from(load_spec(CONFIGS / "digits-conv.yaml"), path, "pytorch"))
