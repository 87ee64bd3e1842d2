"""Damaged inputs: 500 of those of `make soak`, always the same; and the judge of them is judged."""

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.soak.cases import GIVEN, OUT, WORK, Case
from tests.soak.damaged import Trial, told
from tests.soak.judge import Seen, acting, complaints, size_of, tree
from tests.soak.worker import SECONDS, Worker

pytestmark = [pytest.mark.slow, pytest.mark.serial]


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with Worker() as worker:
        yield Trial(tmp_path_factory.mktemp("damaged"), worker)


@settings(
    max_examples=500,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(random=st.randoms(use_true_random=False))
def test_every_damaged_input_is_taken_or_refused_in_one_message(
    trial: Trial, random: Random
) -> None:
    outcome = trial(random)
    assert not outcome.complaints, told(0, outcome)


@pytest.fixture(scope="module")
def planted() -> Iterator[Worker]:
    with Worker("tests.soak.planted:run") as worker:
        yield worker


def judged(
    worker: Worker, what: str, folder: Path, *, is_refused: bool = False, seconds: float = SECONDS
) -> str:
    """What is said of a command that does this, in one line."""
    for name in (GIVEN, WORK, OUT):
        (folder / name).mkdir()
    (folder / GIVEN / "data.csv").write_text("1,2\n")
    before, size = tree(folder), size_of(folder)
    result = worker.run([what], folder=folder / WORK, printed=folder.parent)
    case = Case("planted", what, [what], is_refused=is_refused)
    return "; ".join(
        complaints(case, result, Seen(before, tree(folder), size, acting(folder)), seconds)
    )


@pytest.mark.parametrize("what", ["done", "refused"])
def test_the_judge_has_nothing_against_what_is_right(
    planted: Any, tmp_path: Path, what: str
) -> None:
    assert judged(planted, what, tmp_path) == ""


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("crash", "it crashed: Traceback .*KeyError: 'units'"),
        ("end", "it crashed: the process ended with status 3"),
        ("abort", "it crashed: the process ended with status -6"),
        ("escape", r"a control character on standard error: .*\\x1b"),
        ("escape on output", r"a control character on standard output: .*\\x9b"),
        ("silence", "it refused without a word"),
        ("words of a program", "'NoneType' in what it says"),
        ("warning", "'Warning:' in what it says"),
        ("a long message", "a message of 500 lines"),
        ("another status", "exit status 1"),
        ("printed and refused", "it printed before it refused"),
        ("written and refused", "it refused, and wrote"),
        ("written elsewhere", "it wrote outside of its folder: .*code-was-run"),
        ("markup", r"a name is markup in page\.html"),
        ("given changed", "it wrote outside of its folder: .*data.csv"),
    ],
)
def test_the_judge_notices(planted: Any, tmp_path: Path, what: str, said: str) -> None:
    assert_matches(judged(planted, what, tmp_path), said)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells")
def test_the_judge_notices_memory(planted: Any, tmp_path: Path) -> None:
    assert_matches(judged(planted, "memory", tmp_path), r"it took (299|3\d\d) MiB for 4 bytes")


def test_the_judge_notices_time(planted: Any, tmp_path: Path) -> None:
    assert_matches(judged(planted, "compute", tmp_path, seconds=0.5), r"it took 1\.\d s")


def test_the_judge_notices_what_must_be_refused(planted: Any, tmp_path: Path) -> None:
    said = judged(planted, "done", tmp_path, is_refused=True)
    assert said == "it took what must be refused"


def test_the_judge_notices_a_hang_and_where_it_was(tmp_path: Path) -> None:
    with Worker("tests.soak.planted:run", seconds=1) as worker:
        said = judged(worker, "hang", tmp_path)
    assert_matches(said, r"it crashed: .*tests/soak/planted\.py:\d+")


def assert_matches(text: str, pattern: str) -> None:
    assert re.search(pattern, text), text
