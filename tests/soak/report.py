"""What a part of the soak has to say."""

from typing import NamedTuple


class Report(NamedTuple):
    """What was tried, in one line, and each thing that was lost, which is to be none."""

    tried: str
    lost: list[str]
