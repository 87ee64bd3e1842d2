"""What every test may use."""

import contextlib
import gc
import importlib
import os
from collections.abc import Callable, Generator, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.commands import Outcome, in_a_process, in_this_process

with contextlib.suppress(ImportError):  # the environment of the peers goes without it
    from hypothesis import settings

    # A busy machine takes any time for an example.
    settings.register_profile("nncli", deadline=None)
    settings.load_profile("nncli")

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"
Run = Callable[..., Outcome]
T = TypeVar("T")
__all__ = ["CONFIGS", "ROOT", "Outcome", "Run", "mostly_slow", "present"]


def present(value: T | None) -> T:
    """What is expected to be there."""
    assert value is not None
    return value


def mostly_slow(cases: Iterable[Any], every: int) -> list[Any]:
    """Cases of a parametrized test, of which all but every n-th are marked as slow."""
    return [
        pytest.param(case, marks=[pytest.mark.slow] if index % every else [])
        for index, case in enumerate(cases)
    ]


def _import_from_the_end(folder: Path) -> None:
    """Imports the folder's test files, the last first.

    One of two workers does, so that each rewrites the assertions of half of them and finds the
    other half in the cache: in a fresh clone that is more than half of what collecting takes.
    """
    for path in sorted(folder.rglob("test_*.py"), reverse=True):
        # What is wrong with a file, its collection says.
        with contextlib.suppress(Exception, pytest.skip.Exception):
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """What is collected stays to the end: to look through it for cycles would take seconds."""
    gc.disable()
    if os.environ.get("PYTEST_XDIST_WORKER") == "gw1" and len(session.config.args) == 1:
        _import_from_the_end(ROOT / session.config.args[0])
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Cases come in one order in every process, which pytest-xdist needs: a set has none."""
    for mark in metafunc.definition.iter_markers("parametrize"):
        values = mark.kwargs.get("argvalues", mark.args[1] if len(mark.args) > 1 else ())
        if isinstance(values, set | frozenset):
            pytest.fail(f"{metafunc.definition.nodeid}: parametrized by a set; sort it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Names are the same in every process too."""
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid}: an address in a name; give the case an id")


@pytest.fixture
def nncli(tmp_path: Path) -> Run:
    """Runs nncli within this process, in a folder of its own; an exception fails the test."""
    return partial(in_this_process, folder=tmp_path)


@pytest.fixture
def nncli_process(tmp_path: Path) -> Run:
    """Runs nncli as a shell would, in a folder of its own; a traceback fails the test."""
    return partial(in_a_process, folder=tmp_path)
