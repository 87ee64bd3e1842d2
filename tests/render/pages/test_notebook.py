"""What a notebook shows of each record: text of 80 columns without control codes, and a page."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len

import nncli
from nncli.app.conv import explain
from nncli.app.records import InspectedStep
from nncli.core import notebooks
from nncli.filtering.options import Options
from nncli.render.web import step as web_step
from tests.conftest import CONFIGS, ROOT

MATRIX = ROOT / "data/conv/matrix.csv"
HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("shown") / "run"
    nncli.train(nncli.load_spec(CONFIGS / "iris.yaml", ["train.epochs=4"]), out=run)
    return run


MADE: dict[str, Callable[[Path], Any]] = {
    "Trace": lambda run: nncli.trace_step(CONFIGS / "two-two-two.yaml"),
    "Inspection": lambda run: nncli.inspect(CONFIGS / "seed-3-4-2.yaml"),
    "InspectedStep": lambda run: InspectedStep(nncli.inspect(CONFIGS / "two-two-two.yaml")),
    "Derivation": lambda run: nncli.explain(CONFIGS / "xor.yaml", wrong="updated_weights"),
    "Filtering": lambda run: nncli.conv(MATRIX, "sobel-x"),
    "ExplainedFilter": lambda run: explain(str(MATRIX), "box", Options()),
    "Training": lambda run: nncli.train(nncli.load_spec(CONFIGS / "iris.yaml", ["train.epochs=3"])),
    "Evaluated": lambda run: nncli.evaluate(run),
    "Comparison": lambda run: nncli.compare([run, run]),
    "Report": lambda run: nncli.report(run),
}


@pytest.mark.parametrize("name", MADE)
def test_a_record_is_text_and_a_page(run: Path, name: str) -> None:
    record = MADE[name](run)
    assert type(record).__name__ == name
    bundle = record._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    lines = bundle["text/plain"].split("\n")
    assert len(lines) > 3
    assert max(map(cell_len, lines)) <= 80
    assert all(line.isprintable() for line in lines)
    page = bundle["text/html"]
    assert page.startswith('<div class="nncli-')
    assert page.count("<script>") == page.count("</script>") == 1
    assert "attachShadow" in page


def test_names_in_it_are_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,kind\n" + f"1,a\n2,{HOSTILE}\n" * 10)
    (tmp_path / "s.yaml").write_text(
        "data: {train: t.csv, target: kind}\nnetwork: [{type: dense, units: 2}]\n"
        "train: {eta: 1, epochs: 1, batch_size: 5}\n"
    )
    nncli.train(tmp_path / "s.yaml", out=tmp_path / "run")
    page = nncli.evaluate(tmp_path / "run")._repr_mimebundle_()["text/html"]
    assert page.count("<script>") == page.count("</script>") == 1
    assert "<img" not in page.replace(r"\u003c", "<").replace('<img src=\\"data:', "")
    assert "onerror" in page


def test_what_is_too_large_for_a_page_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_step, "LARGEST", 10)
    bundle = nncli.trace_step(CONFIGS / "two-two-two.yaml")._repr_mimebundle_()
    assert set(bundle) == {"text/plain"}
    assert "narrow" in bundle["text/plain"]


def test_a_training_without_an_epoch() -> None:
    training = nncli.train(nncli.load_spec(CONFIGS / "iris.yaml", ["train.epochs=1"]))
    empty = nncli.Training(training.spec, training.network, type(training.history)(), None, None)
    bundle = empty._repr_mimebundle_()
    assert "No epoch" in bundle["text/plain"]
    assert "No epoch is recorded" in bundle["text/html"]


def test_an_array_of_letters_is_refused() -> None:
    with pytest.raises(TypeError, match="no page of a ndarray"):
        notebooks.mime_bundle(np.zeros(2))


def test_importing_nncli_loads_no_drawing() -> None:
    program = "import nncli, sys; print(*sorted(m for m in sys.modules if m[:5] == 'nncli'))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert loaded == {"nncli", "nncli.core", "nncli.core.errors", "nncli.core.notebooks"}
