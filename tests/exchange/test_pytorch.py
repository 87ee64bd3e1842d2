"""The text of the PyTorch module and what lies beside it; PyTorch runs it in tests/peers."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nncli.core import safetensors_format
from nncli.core.errors import NncliError
from nncli.exchange.pytorch import literal, plain, source, to_pytorch
from tests.exchange.networks import ALL_CASES, LENET, SCALINGS, trained
from tests.nn.cases import settle

HOSTILE = [
    '"""; import os; os.system("true")',
    "\\",
    "'\"\\'",
    "a\nb\r\u2028c\x85d\x0c",
    "\u202e right to left",
    "{0}{name}",
    "\ud800",
    "  ",
]


def ruff(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ruff", *arguments, "--isolated", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_is_as_ruff_leaves_it(tmp_path: Path) -> None:
    for i, case in enumerate(ALL_CASES):
        dtype, scaling = (np.float32, np.float64)[i % 2], SCALINGS[i % len(SCALINGS)]
        outputs = settle(case).targets.shape[1]
        classes = (None, tuple(HOSTILE[:outputs]), tuple(f"class {k}" * 9 for k in range(outputs)))[
            i % 3
        ]
        text = source(trained(case, dtype, scaling, classes))
        (tmp_path / f"m{i}.py").write_text(text)
    formatted = ruff(tmp_path, "format", "--diff")
    assert (formatted.returncode, formatted.stdout) == (0, "")
    checked = ruff(tmp_path, "check", "--select=E,F,W,I,UP,B")
    assert checked.stdout == "All checks passed!\n"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_but_a_name(name: str) -> None:
    """Of two runs that differ in their names alone, the modules differ in strings alone."""

    def shape(run: Any, *classes: str) -> str:
        tree = ast.parse(source(trained(LENET, classes=classes)._replace(name=run)))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                node.value = ""
        return ast.dump(tree)

    assert shape(name, name, name, name) == shape("a", "b", "c", "d")


@settings(deadline=None)
@given(st.text())
def test_a_class_is_named_as_it_is(name: str) -> None:
    assert ast.literal_eval(literal(name)) == name
    assert literal(name).isprintable()


@settings(deadline=None)
@given(st.text())
def test_a_plain_name_is_printable(name: str) -> None:
    assert plain(name).isprintable()
    assert plain(name).strip() == plain(name) != ""
    assert not set(plain(name)) & set("\"'\\{}")


def test_the_weights_lie_as_pytorch_has_them() -> None:
    network = trained(LENET, scaling="standard")
    state, metadata = safetensors_format.unpack(to_pytorch(network)[".weights.safetensors"])
    ours = network.arrays()
    assert metadata["format"] == "pt"
    np.testing.assert_array_equal(state["dense1.weight"], ours["dense1.weight"].T)
    np.testing.assert_array_equal(state["conv1.weight"], ours["conv1.weight"])
    np.testing.assert_array_equal(state["offset"], ours["scaling.offset"])
    assert state["dense1.weight"].shape == (4, 6)


def test_a_cost_that_is_not_finite_proves_nothing() -> None:
    network = trained(LENET, np.float64)
    network.network.views(network.network.parameters)["dense2"]["weight"][...] = 1e308
    with pytest.raises(NncliError, match="there is no step to check by"):
        to_pytorch(network)
