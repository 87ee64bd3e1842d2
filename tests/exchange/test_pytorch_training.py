"""The script of a training and what lies beside it; PyTorch runs it in tests/peers."""

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncli import export, load_spec
from nncli.core import safetensors_format
from nncli.core.errors import NncliError, SpecError
from tests.conftest import CONFIGS
from tests.exchange.test_pytorch import ruff
from tests.exchange.trainings import SPECS, folder

__all__ = ["folder"]  # a fixture


def test_scripts_are_as_ruff_leaves_them(folder: Path) -> None:
    for name in SPECS:
        export(f"{name}.yaml", "pytorch", train=True)
    export(CONFIGS / "digits-batchnorm.yaml", "pytorch", train=True)
    formatted = ruff(folder, "format", "--diff")
    assert (formatted.returncode, formatted.stdout) == (0, "")
    checked = ruff(folder, "check", "--select=E,F,W,I,UP,B")
    assert checked.stdout == "All checks passed!\n"


@pytest.mark.parametrize(
    ("name", "reads"), {"table": 1, "parts": 1, "inline": 0, "words": 0}.items()
)
def test_what_is_read_and_what_lies_beside(folder: Path, name: str, reads: bool) -> None:
    """A script reads the spec's own files where it can; else samples lie beside it."""
    done = export(f"{name}.yaml", "pytorch", train=True, output="s.py")
    text = Path("s.py").read_text()
    assert bool(re.search(r"train = read\(", text)) == reads
    assert any("samples lie beside it" in note for note in done.notes) != reads
    assert (done.used, done.files[0]) == (None, Path("s.py"))
    if not reads:
        arrays, _ = safetensors_format.read(Path("s.data.safetensors"))
        assert len(arrays["train.inputs"]) == {"inline": 2, "words": 12}[name]
    steps, _ = safetensors_format.read(Path("s.steps.safetensors"))
    assert steps["cost"].dtype == np.float64
    assert len(steps["cost"]) == {"parts": 8, "words": 6}.get(name, 10)


def functions(text: str, **names: Any) -> dict[str, Any]:
    """The functions of a script that need no PyTorch, as they run."""
    tree = ast.parse(text)
    wanted: list[ast.stmt] = [
        n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "order"
    ]
    exec(compile(ast.Module(wanted, []), "script", "exec"), names)
    return names


@pytest.mark.parametrize("shuffle", ["true", "false", "blocks"])
def test_the_order_of_samples_is_the_training_s(folder: Path, shuffle: str) -> None:
    from nncli.app.pipeline import prepare

    Path("s.yaml").write_text(SPECS["parts"].replace("epochs: 2", f"epochs: 2, shuffle: {shuffle}"))
    export("s.yaml", "pytorch", train=True, output="s.py")
    plan = prepare(load_spec("s.yaml")).plan
    text = Path("s.py").read_text()
    if shuffle == "blocks":
        written = f"block, window = {1 << 17}, {64 << 17}"  # of samples of two numbers
        assert written in text
        plan, text = plan._replace(block=2), text.replace(written, "block, window = 2, 128")
    order, index = functions(text, np=np)["order"], np.arange(500) * 2
    for epoch in (1, 2):
        np.testing.assert_array_equal(order(index, epoch - 1), plan.order(index, epoch))


def test_what_has_no_training(folder: Path) -> None:
    with pytest.raises(NncliError, match="--train goes with --to pytorch, and onnx holds no"):
        export("table.yaml", "onnx", train=True)
    with pytest.raises(NncliError, match="--weights is of a trained network"):
        export("table.yaml", "pytorch", train=True, weights="last")
    plateau = SPECS["parts"].replace("cosine", "plateau")
    Path("p.yaml").write_text(plateau)
    with pytest.raises(SpecError, match=r"train.schedule: η follows from what epochs come to"):
        export("p.yaml", "pytorch", train=True)
