"""PyTorch runs an exported training: its first steps are nncli's, in one process and in two."""

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nncli import export, train
from nncli.core import safetensors_format
from tests.conftest import CONFIGS
from tests.exchange.trainings import SPECS, folder
from tests.peers.test_torch import loaded

pytest.importorskip("torch", reason="PyTorch is not here: make peers")

__all__ = ["folder"]  # a fixture

SHIPPED = ("digits-conv", "digits-mlp", "iris", "two-two-two", "xor")


@pytest.mark.parametrize("spec", [*SPECS, *SHIPPED])
def test_the_first_steps_are_nncli_s(folder: Path, spec: str) -> None:
    source = CONFIGS / f"{spec}.yaml" if spec in SHIPPED else f"{spec}.yaml"
    export(source, "pytorch", train=True, output="s.py")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        status = loaded(folder / "s.py").check()
    assert status == 0, printed.getvalue()
    reference, _ = safetensors_format.read(Path("s.steps.safetensors"))
    assert f"{len(reference['cost'])} steps on 1 process(es): PASSED" in printed.getvalue()
    wrong = {**reference, "cost": reference["cost"] * (1 + 1e-5)}
    Path("s.steps.safetensors").write_bytes(safetensors_format.pack(wrong, {}))
    with contextlib.redirect_stdout(io.StringIO()):
        assert loaded(folder / "s.py").check() == 1


def test_two_processes_take_the_same_steps_and_train_as_one(folder: Path) -> None:
    """Mini-batches of 4, of which the last of an epoch has 2 samples or 1."""
    Path("s.yaml").write_text(SPECS["parts"])
    export("s.yaml", "pytorch", train=True, output="s.py")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    for more in (["--check"], []):
        command = [*torchrun, str(folder / "s.py"), *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
        assert done.returncode == 0, done.stdout + done.stderr
        assert not more or "8 steps on 2 process(es): PASSED" in done.stdout
    weights, _ = safetensors_format.read(Path("s.trained.safetensors"))
    network = train("s.yaml").network
    for name, array in network.named(network.parameters).items():
        own = array.T if array.ndim == 2 else array
        np.testing.assert_allclose(weights[name], own, rtol=1e-4, atol=1e-5)
