"""nncli.inspect from Python: of a trace, a spec or a run folder."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import nncli
from nncli.core.errors import NncliError
from tests.conftest import CONFIGS

SPEC = CONFIGS / "two-two-two.yaml"


def test_a_spec_its_path_a_trace_and_a_run_are_inspected(tmp_path: Path) -> None:
    spec = nncli.load_spec(SPEC)
    nncli.train(nncli.load_spec(SPEC, ["train.epochs=2"]), out=tmp_path / "run")
    of_path = nncli.inspect(SPEC)
    for source in (spec, str(SPEC), nncli.trace_step(SPEC)):
        made = nncli.inspect(source)
        assert made.check is not None
        assert made.check.passed
        assert made.trace.cost_before == of_path.trace.cost_before
    trained = nncli.inspect(tmp_path / "run", checked=False)
    assert trained.check is None
    assert trained.trace.cost_before < of_path.trace.cost_before
    longer = nncli.load_spec(SPEC, ["train.epochs=3"])
    third = nncli.inspect(longer, step=3, checked=False)
    assert third.trace.cost_before == trained.trace.cost_before


def test_every_public_name_is_shown_before_its_first_use() -> None:
    assert {name for name in dir(nncli) if not name.startswith("__")} == set(nncli.__all__)
    for name in nncli.__all__:
        assert getattr(nncli, name) is not None


def test_another_kind_than_is_wanted_is_named(tmp_path: Path) -> None:
    training: Any = nncli.train(SPEC)
    others: tuple[Any, ...] = ("run", 3.0)
    for other in others:
        told = f"takes a Spec, .*, not a {type(other).__name__}$"
        with pytest.raises(nncli.NncliError, match=told):
            nncli.prepare(other)
    calls: tuple[Any, ...] = (nncli.inspect, nncli.trace_step)
    for of in calls:
        with pytest.raises(nncli.NncliError, match=r"a Trace, not a Training$"):
            of(training)


def test_integers_of_numpy_choose_samples_and_a_step() -> None:
    spec = nncli.load_spec(CONFIGS / "xor.yaml")
    wanted = nncli.trace_step(spec, samples=(0, 2), step=2)
    made = nncli.trace_step(spec, samples=cast(Any, np.array([0, 2])), step=cast(Any, np.int64(2)))
    assert made.samples == wanted.samples
    assert made.cost_after == wanted.cost_after
    for wrong in ({"samples": [0.5]}, {"step": 1.5}, {"samples": 3}):
        with pytest.raises(NncliError, match="samples are integers counted from 0"):
            nncli.trace_step(spec, **cast(Any, wrong))
