"""That every process finds the same tests in the same order, which pytest-xdist needs."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import ROOT


def collected(*arguments: str, seed: int, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(seed)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_whatever_the_seed_of_hashes() -> None:
    one, two = (collected(seed=seed, folder=ROOT).stdout.splitlines()[:-1] for seed in (1, 2))
    assert len(one) > 1000
    assert one == two


@pytest.mark.skipif(find_spec("playwright") is not None, reason="Playwright is here")
def test_without_playwright_no_test_of_a_page_is_collected() -> None:
    done = collected("tests/browser", seed=1, folder=ROOT)
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("{1, 2}", "parametrized by a set; sort it"),
        pytest.param(
            *("frozenset((1, 2))", "parametrized by a set; sort it"), marks=pytest.mark.slow
        ),
        ("[object()], ids=repr", "an address in a name; give the case an id"),
    ],
)
def test_what_differs_is_refused(values: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        f'import pytest\n@pytest.mark.parametrize("value", {values})\ndef test_it(value): pass\n'
    )
    (tmp_path / "conftest.py").write_text(
        "from tests.conftest import pytest_collection_modifyitems, pytest_generate_tests\n"
    )
    done = collected(f"--rootdir={tmp_path}", "test_it.py", seed=1, folder=tmp_path)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
