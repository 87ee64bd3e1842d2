"""The shipped specs, trained and exported from the shell, as a user has them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nncli.core import safetensors_format
from tests.conftest import CONFIGS, Run
from tests.exchange.networks import difference

pytest.importorskip("torch", reason="PyTorch is not here: make peers")
pytest.importorskip("safetensors", reason="safetensors is not here: make peers")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not here: make peers")


@pytest.mark.parametrize("spec", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_exported_and_run_elsewhere(nncli: Run, tmp_path: Path, spec: Path) -> None:
    assert nncli("train", spec, "--out", "run", "--set", "train.epochs=1").status == 0
    assert nncli("export", "run", "--to", "pytorch", "--output", "net.py").status == 0
    assert nncli("export", "run", "--to", "onnx", "--output", "net.onnx").status == 0

    # From another folder: what lies beside the module is found beside it.
    command: list[str | Path] = [sys.executable, tmp_path / "net.py"]
    module = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert module.returncode == 0, module.stdout + module.stderr
    assert module.stdout.endswith("PASSED\n")

    reference, _ = safetensors_format.read(tmp_path / "net.check.safetensors")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    (outputs,) = session.run(None, {"input": reference["inputs"].astype(np.float32)})
    # Behind a batchnorm of inputs far from 0, float32 itself is off by more.
    rounding = difference(reference["outputs_in_own_type"], reference["outputs"])
    assert difference(outputs, reference["outputs"]) < max(1e-6, 8 * rounding)


def test_a_mismatch_is_told_by_the_exit_status(nncli: Run, tmp_path: Path) -> None:
    for run, seed in (("a", 0), ("b", 1)):
        train = ("train", CONFIGS / "iris.yaml", "--out", run, "--set", "train.epochs=1")
        assert nncli(*train, "--set", f"seed={seed}").status == 0
        assert nncli("export", run, "--to", "pytorch", "--output", f"{run}.py").status == 0
    (tmp_path / "b.weights.safetensors").replace(tmp_path / "a.weights.safetensors")
    command: list[str | Path] = [sys.executable, tmp_path / "a.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.endswith("FAILED\n")
