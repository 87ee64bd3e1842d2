"""What the tests of workers share."""

from typing import Any

import pytest

from nncli.nn.arrays import AlignedBuffers


@pytest.fixture
def counts() -> Any:
    """Zeros that all workers see."""
    return AlignedBuffers(shared=True).zeros(8, int)
