"""What the tests of this room share: files in a folder of their own, and `load` with defaults."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncli import data as datasets
from nncli.core.errors import DataError

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)

Write = Callable[[str, str | bytes], Path]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Relative names, so that messages can be compared whole."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, content: str | bytes) -> Path:
    path = Path(name)
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return path


def load(train: datasets.Source, **options: Any) -> datasets.Data:
    defaults: dict[str, Any] = {"dtype": FLOAT64, "seed": np.random.SeedSequence(0)}
    return datasets.load(train=train, **(defaults | options))


def problems(call: Callable[..., object], *arguments: Any, **options: Any) -> list[str]:
    """The lines of the DataError that a call must raise."""
    with pytest.raises(DataError) as caught:
        call(*arguments, **options)
    assert all(line and line.isprintable() for line in caught.value.problems)
    assert str(caught.value).split("\n") == list(caught.value.problems)
    return list(caught.value.problems)


def told_if_any(call: Callable[..., object], *arguments: Any) -> list[str]:
    """The lines of the DataError that a call raises, or nothing: no other error may come."""
    try:
        call(*arguments)
    except DataError as error:
        return list(error.problems)
    return []


def gathered(part: datasets.Dataset, dtype: np.dtype[Any] = FLOAT64) -> tuple[Any, Any]:
    """A whole part as one mini-batch."""
    inputs = np.empty((len(part), *part.inputs.shape[1:]), dtype)
    targets = np.empty((len(part), part.targets.shape[1]), dtype)
    part.gather(part.index, inputs, targets)
    return inputs, targets
