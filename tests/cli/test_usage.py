"""What is wrong with a command line is said in our own words: what came, what would be right."""

import pytest

from nncli.cli.usage import expected_words
from tests.conftest import Run

CASES = [
    ("train", "name a SPEC to train, or --resume RUN to go on with"),
    ("train a b", "nncli train takes 1 argument, SPEC, and was given 'b' too; nncli train --help"),
    ("train --epochs 3 a --quiet b c", "there is no option --quiet"),
    (
        "train --out o a --overwrite b c",
        "nncli train takes 1 argument, SPEC, and was given 'b', 'c'",
    ),
    ("schema x", "nncli schema takes no argument, and was given 'x' too"),
    ("train x --epoch 3", "there is no option --epoch; did you mean '--epochs'?"),
    ("train x -z", "there is no option -z; nncli train --help lists what there is"),
    ("--frobnicate", "there is no option --frobnicate; nncli --help"),
    ("inspect-grad x --digits x", "--digits: expected a whole number from 1 to 17, got 'x'"),
    ("inspect-grad x --digits=99", "--digits: expected a whole number from 1 to 17, got '99'"),
    ("inspect-grad x --step 0", "--step: expected a whole number of at least 1, got '0'"),
    ("inspect-grad x --view", "--view needs a value; nncli inspect-grad --help"),
    ("inspect-grad x --batch=3", "--batch takes no value; nncli inspect-grad --help"),
    (
        "inspect-grad x --view foo",
        "--view: expected matrix, hadamard, kronecker or index, got 'foo'",
    ),
    ("summary x --format jsn", "--format: expected table or json, got 'jsn'"),
    ("tran x", "there is no command 'tran'; did you mean 'train'?"),
    ("frobnicate", "there is no command 'frobnicate'; nncli --help lists what there is"),
    ("conv m.csv", "FILTER is missing; nncli conv --help"),
    ("evaluate", "RUN is missing; nncli evaluate --help"),
    ("inspect-grad x --batch --samples 0", "--batch and --samples each choose the mini-batch"),
]
FOREIGN = ("Usage:", "Error", "Invalid value", "No such", "Input should", "Value error", "Missing")


@pytest.mark.parametrize(("line", "said"), CASES, ids=[line for line, _ in CASES])
def test_it_says(nncli: Run, line: str, said: str) -> None:
    outcome = nncli(*line.split())
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith(f"nncli: {said}")
    assert outcome.err.count("\n") == 1
    assert not any(words in outcome.err for words in FOREIGN)


def test_nothing_in_it_acts_on_a_terminal(nncli: Run) -> None:
    outcome = nncli("inspect-grad", "x", "--digits", "\x1b[31m1\u202e")
    assert "\x1b" not in outcome.err
    assert "\\x1b[31m1\\u202e" in outcome.err


def test_bounds_and_kinds() -> None:
    assert expected_words(float) == "a number"
    assert expected_words(int | None) == "a whole number"
