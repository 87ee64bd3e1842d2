"""LaTeX fragments and beamer slides: whole environments, inert names, nothing too tall.

Where pdflatex is, they are compiled.
"""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nncli.app.records import InspectedStep
from nncli.inspection.record import inspect
from nncli.nn.trace import Trace
from nncli.render.document import Equation, Grid, Heading, MatrixTerm, Page, Paragraph
from nncli.render.formats import write
from nncli.render.formats.beamer import MOST_LINES, lines_of, to_beamer
from nncli.render.formats.latex import PACKAGES, to_fragment
from nncli.render.pages.breakdown import document
from nncli.render.pages.kinds import Choices
from nncli.render.text import NumberFormat
from tests.conftest import CONFIGS, Run
from tests.inspection.traces import spec_trace

HOSTILE = "\\input{x} $ _ & % # ^ ~ { } \\end{frame}"


def written(format: str, trace: Trace) -> str:
    made = document(InspectedStep(inspect(trace, checked=False)), Choices())
    return write(format, made).decode()


def assert_balanced(text: str) -> None:
    open_ones: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            open_ones.append(name)
        else:
            assert open_ones.pop() == name
    assert open_ones == []


@pytest.mark.parametrize("name", ["two-two-two", "digits-conv", "iris"])
@pytest.mark.parametrize("format", ["fragment", "beamer"])
def test_environments_are_whole(name: str, format: str) -> None:
    text = written(format, spec_trace(name))
    assert_balanced(text)
    assert (r"\begin{document}" in text) == (format == "beamer")
    assert "0.298371" in text or name != "two-two-two"


def test_a_fragment_says_what_it_needs() -> None:
    assert to_fragment([]).splitlines()[1:4] == [f"% {line}" for line in PACKAGES.splitlines()]


@pytest.mark.parametrize("format", ["fragment", "beamer"])
def test_names_are_inert(format: str) -> None:
    text = written(format, replace(spec_trace("two-two-two"), name=HOSTILE))
    assert r"\input{x}" not in text
    assert_balanced(text)
    assert r"\textbackslash{}input" in text


def test_lines_appear_one_after_the_other() -> None:
    frames = written("beamer", spec_trace("two-two-two")).split(r"\begin{frame}")[1:]
    forward = next(frame for frame in frames if "forward: dense1" in frame)
    before, after = forward.split(r"\pause")
    assert "0.3775" in before
    assert r"\text{sigmoid}" in after


def test_no_frame_holds_more_than_fits_and_words_stay_with_what_they_announce() -> None:
    matrix = MatrixTerm("z", np.ones((9, 2)), range(9), range(2), NumberFormat(1))
    announced: Page = [Paragraph("the matrix:"), Equation((matrix,))]
    page: Page = [Heading("part", 1), *announced, *announced, Grid(("a",), (("1",),))]
    frames = to_beamer(page).split(r"\begin{frame}")[1:]
    assert len(frames) == 3
    assert [frame.count(r"\begin{bmatrix}") for frame in frames] == [1, 1, 0]
    assert [frame.count("the matrix") for frame in frames] == [1, 1, 0]
    assert lines_of(announced[1]) <= MOST_LINES


def test_the_command_line(nncli: Run) -> None:
    spec = CONFIGS / "two-two-two.yaml"
    assert nncli("inspect-grad", spec, "--format", "beamer").out.startswith(r"\documentclass")
    assert nncli("conv", "1 2; 3 4", "1 0; 0 1", "--format", "beamer").out.count("frame}") > 2
    for words in (["inspect-grad", spec], ["conv", "1 2; 3 4", "1 0; 0 1"]):
        done = nncli(*words, "-o", "x.tex", "--fragment", "--overwrite")
        assert done.status == 0
        refused = nncli(*words, "--fragment")
        assert refused.status == 2
        assert "--fragment: is for LaTeX; give --format latex" in refused.err


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex")
@pytest.mark.slow
@pytest.mark.parametrize("name", ["two-two-two", "digits-conv"])
@pytest.mark.parametrize("format", ["latex", "beamer", "fragment"])
def test_it_compiles(tmp_path: Path, name: str, format: str) -> None:
    text = written(format, replace(spec_trace(name), name=HOSTILE))
    if format == "fragment":
        text = (
            "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage[utf8]{inputenc}"
            f"{PACKAGES}\\begin{{document}}{text}\\end{{document}}"
        )
    if format == "beamer" and not has_beamer():
        pytest.skip("there is no beamer")
    (tmp_path / "step.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "step.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode("latin-1")[-2000:]


def has_beamer() -> bool:
    needed = ["beamer.cls", "pgfmath.sty"]  # packages may bring the first without the second
    found = subprocess.run(["kpsewhich", *needed], capture_output=True, check=False)
    return found.returncode == 0
