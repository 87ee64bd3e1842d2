"""What init wrote, what it found, and what to do next."""

import shlex
from collections.abc import Iterator, Mapping

from nncli.app.records import Draft, Starter
from nncli.core.text import printable


def init_report(draft: Draft) -> Iterator[str]:
    """What was found, noted and written, and the command that trains it."""
    if draft.facts:
        yield f"found {draft.facts}"
    for note in draft.notes:
        yield f"note  {note}"
    yield f"wrote {', '.join(printable(path) for path in (draft.path, *draft.files))}"
    yield ""
    yield f"next: nncli train {shlex.quote(printable(draft.path))}"


def starter_lines(starters: Mapping[str, Starter]) -> Iterator[str]:
    widest = max(map(len, starters))
    for name, starter in starters.items():
        yield f"{name:<{widest}}  {starter.about}"
    yield ""
    yield "nncli init NAME writes one of these; nncli init --data FILE a spec for data of your own."
