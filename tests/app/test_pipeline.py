"""A spec's way into training: the order of its stages, and a training that is ready to begin."""

import ast
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from nncli.app import pipeline
from nncli.app.resume import begin
from nncli.core.errors import NncliError
from nncli.spec import load_spec
from tests.conftest import CONFIGS


def test_the_file_has_the_stages_in_the_order_in_which_prepare_takes_them() -> None:
    functions = [
        node
        for node in ast.parse(inspect.getsource(pipeline)).body
        if type(node) is ast.FunctionDef
    ]
    first, *names = [function.name for function in functions]
    calls = [node for node in ast.walk(functions[0]) if isinstance(node, ast.Call)]
    calls.sort(key=lambda call: (call.lineno, call.col_offset))
    called = [c.func.id for c in calls if isinstance(c.func, ast.Name) and c.func.id in names]
    assert first == "prepare"
    assert called == sorted(called, key=names.index)
    assert {"build_layers", "place_layers", "build_network", "check_outputs"} < set(called)


@pytest.mark.parametrize("kind", ["two-two-two", "xor"])
def test_a_training_is_ready_and_nothing_is_written(
    kind: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    begun = begin(CONFIGS / f"{kind}.yaml", ["train.epochs=2", "train.eta=0.125"])
    assert (begun.folder, begun.reopened, begun.resume_point) == (Path("runs") / kind, None, None)
    assert begun.prepared.plan.eta == 0.125
    assert list(tmp_path.iterdir()) == []
    done = begun.train()
    assert [epoch.epoch for epoch in done.history] == [1, 2]
    again = begin(None, ["train.epochs=3"], resume=begun.folder)
    assert again.resume_point is not None
    assert again.resume_point.state.epoch == 2
    assert len(again.train().history) == 3
    with pytest.raises(NncliError, match="already"):
        begin(CONFIGS / f"{kind}.yaml").train()


@pytest.mark.parametrize(
    ("last", "is_said"),
    [
        ({"units": 2, "freeze": True}, True),
        ({"units": 2, "bias": False, "freeze": ["weight"]}, True),
        ({"units": 2, "freeze": ["weight"]}, False),
        ({"units": 2}, False),
    ],
)
def test_a_training_that_trains_nothing_says_so(last: dict[str, Any], is_said: bool) -> None:
    network = [{"type": "dense", "units": 3, "freeze": True}, {"type": "dense", **last}]
    notes = pipeline.prepare(
        load_spec(CONFIGS / "xor.yaml", [f"network={json.dumps(network)}"])
    ).notes
    assert ["nothing is trained" in note for note in notes] == [True] * is_said


def test_weights_of_another_layout_need_a_file(tmp_path: Path) -> None:
    with pytest.raises(NncliError, match="--init-from FILE"):
        begin(CONFIGS / "xor.yaml", layout="pytorch")
