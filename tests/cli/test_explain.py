"""nncli explain, as it is called from a shell."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import nncli as api
from nncli.core.text import in_ascii
from nncli.inspection.derivation.lessons import Sigma
from tests.conftest import CONFIGS, Run
from tests.inspection.traces import spec_trace

SPEC = CONFIGS / "two-two-two.yaml"


def test_in_a_pipe_all_of_it_is_text(nncli: Run) -> None:
    done = nncli("explain", SPEC)
    assert (done.status, done.err) == (0, "")
    headings = re.findall(r"\n\n(\d+)  [a-z]", done.out)
    assert headings == [str(k) for k in range(1, len(headings) + 1)]
    assert max(map(len, done.out.splitlines())) <= 80
    assert "\x1b" not in done.out


def test_of_a_run_it_is_the_next_step(nncli: Run, runs: Path) -> None:
    done = nncli("explain", runs / "iris", "--format", "json", "--sample", "3")
    record = json.loads(done.out)
    assert record["samples"] == [3]
    weight = api.trace_step(runs / "iris", samples=[3]).layers[0].weight
    assert weight is not None
    lesson = next(x for x in record["lessons"] if x["lesson"] == "DenseForward")
    assert lesson["weight"] == weight.tolist()


def test_samples_make_the_mini_batch_and_the_first_is_followed(nncli: Run) -> None:
    done = nncli("explain", CONFIGS / "xor.yaml", "--sample", "2,0", "--format", "json")
    record = json.loads(done.out)
    assert (record["samples"], record["sample"]) == ([2, 0], 2)


def test_a_later_step_and_other_values(nncli: Run) -> None:
    words = ("--step", "2", "--set", "train.epochs=2", "--format", "json")
    first, second = (
        json.loads(nncli("explain", SPEC, *more, "--format", "json").out) for more in ((), words)
    )
    updated = next(x for x in first["lessons"] if x["lesson"] == "Update")["steps"][0]["new"]
    start = next(x for x in second["lessons"] if x["lesson"] == "Update")["steps"][0]["weight"]
    assert updated == start


@pytest.mark.parametrize(
    ("suffix", "start"),
    [
        (".html", "<!DOCTYPE html>"),
        (".md", "# two-two-two: one step, derived"),
        (".tex", r"\documentclass"),
        (".txt", "two-two-two: one step, derived"),
        (".json", '{"schema"'),
    ],
)
def test_a_file_by_its_suffix(nncli: Run, tmp_path: Path, suffix: str, start: str) -> None:
    done = nncli("explain", SPEC, "-o", f"e{suffix}")
    assert (done.status, done.out) == (0, "")
    text = (tmp_path / f"e{suffix}").read_text()
    assert re.sub("\x1b\\[[0-9;]*m", "", text).startswith(start)
    assert nncli("explain", SPEC, "-o", f"e{suffix}").status == 2  # it is there


def test_every_symbol_of_latex_is_set(nncli: Run) -> None:
    for name in ("digits-conv", "digits-batchnorm", "two-two-two"):
        text = nncli("explain", CONFIGS / f"{name}.yaml", "--format", "latex").out
        assert "(U+" not in text


def test_every_symbol_is_spelled_in_ascii(nncli: Run) -> None:
    for name in ("digits-conv", "digits-batchnorm", "xor"):
        text = nncli("explain", CONFIGS / f"{name}.yaml", "--wrong", "sum_for_mean").out
        lines = [line for line in text.split("\n") if in_ascii(line).count("?") > line.count("?")]
        assert lines == []


def test_in_another_convention(nncli: Run) -> None:
    done = nncli("explain", SPEC, "--convention", "cs231n")
    assert "Stanford's course CS231n" in done.out
    assert "step_size = 0.25" in done.out


def test_a_mistake_beside_what_is_right(nncli: Run) -> None:
    done = nncli("explain", SPEC, "--wrong", "missing_sigma_prime_hidden")
    assert "a classic mistake: a hidden error without σ′" in done.out
    assert "what the mistake does to the step" in done.out
    assert "0.28021835" in done.out


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--layer", "dens1"), ["there is no layer 'dens1'", "did you mean 'dense1'"]),
        (("--sample", "7"), ["there is no sample 7", "it has 1"]),
        (("--sample", "x"), ["--sample x", "expected whole numbers"]),
        (("--sample", "-1"), ["there is no sample -1"]),
        (("--wrong", "untranspose"), ["untranspose", "did you mean 'untransposed'"]),
        (("--convention", "torche"), ["torche", "did you mean 'torch'"]),
        (("--ask", "-o", "e.html"), ["--ask is a dialogue"]),
        (("--ask", "--format", "json"), ["--ask is a dialogue"]),
        (("--ask", "--open"), ["--ask is a dialogue"]),
        (("--format", "htm"), ["--format htm", "did you mean 'html'"]),
        (("-o", "e.pdf"), ["suffix '.pdf' is not known"]),
        (("--step", "5"), ["there is no step 5"]),
    ],
)
def test_what_cannot_be(nncli: Run, given: tuple[str, ...], words: list[str]) -> None:
    done = nncli("explain", SPEC, *given)
    assert (done.status, done.out) == (2, "")
    assert all(word in done.err for word in words), done.err


def test_a_layer_that_needs_several_samples(nncli: Run) -> None:
    done = nncli("explain", CONFIGS / "digits-batchnorm.yaml", "--sample", "3")
    assert done.status == 2
    assert "choose several" in done.err


def test_answers_come_from_a_pipe(nncli: Run) -> None:
    done = nncli("explain", SPEC, "--ask", stdin=b"0.3925\n1.1059\n-0.7414\n")
    assert done.status == 0
    assert "Right: 0.3925." in done.out
    assert "the sign is turned round" in done.out
    assert done.out.rstrip().endswith("2 of 3 answers right.")
    done = nncli("explain", SPEC, "--ask", stdin=b"")
    assert done.status == 0
    assert done.out.rstrip().endswith("0 of 0 answers right.")


def test_from_python() -> None:
    one = api.explain(spec_trace("xor", samples=None), layer="dense1", wrong="sigma_prime_of_a")
    assert isinstance(one, api.Derivation)
    assert any(isinstance(x, Sigma) for x in one.lessons)
    with pytest.raises(api.NncliError, match="there is no mistake nothing"):
        api.explain(SPEC, wrong="nothing")


# In a terminal


def test_keys_turn_the_screens(open_terminal: Any) -> None:
    made = open_terminal("explain", SPEC)
    made.read_until("1/13 · what the mini-batch is asked")
    for keys, where in (
        (b" ", "2/13"),
        (b"\x1b[C", "3/13"),
        (b"b", "2/13"),
        (b"\x1b[D", "1/13"),
        (b"12g", "12/13"),
        (b"5\r", "5/13 · dense2 · the chain rule through σ"),
        (b"\n", "6/13"),
    ):
        shown = len(made.text)
        made.type(keys)
        made.read_until(where, after=shown)
    made.type(b"q")
    assert made.end() == 0


def test_an_end_of_the_input_before_the_first_screen_ends_them(open_terminal: Any) -> None:
    made = open_terminal("explain", SPEC)
    made.type(b"\x04")  # while the program still starts, as from `script </dev/null`
    assert made.end() == 0


def test_a_dialogue_in_a_terminal(open_terminal: Any) -> None:
    made = open_terminal("explain", SPEC, "--ask")
    made.read_until("Enter: on")
    made.type(b"\n")
    made.read_until("z_1 = ?")
    made.type(b"0.3925\n")
    made.read_until("Right: 0.3925.")
    made.read_until("Enter: on", after=made.text.index("Right"))
    made.type(b"\x04")  # the end of the input
    assert made.end() == 0
    assert "1 of 1 answer right." in made.text
