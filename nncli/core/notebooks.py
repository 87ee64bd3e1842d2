"""What a notebook shows of a record.

Records are made far below what draws them, so whoever can draw them says so here: `nncli` itself,
with a function that loads the drawing when it is first called.
"""

from collections.abc import Callable

MimeBundle = dict[str, str]  # by type: text/plain, text/html

_draws: list[Callable[[object], MimeBundle]] = []


def draw_with(draw: Callable[[object], MimeBundle]) -> None:
    """From now on records are drawn by this function."""
    _draws[:] = [draw]


def mime_bundle(record: object) -> MimeBundle:
    """A record as text and as HTML, for its `_repr_mimebundle_`; before that its `repr`."""
    return _draws[0](record) if _draws else {"text/plain": repr(record)}
