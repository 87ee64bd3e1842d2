"""A spec with nothing left unsaid."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nncli.app.assemble import with_defaults
from nncli.app.opening import spec_file
from nncli.spec import Origin, Spec, load_spec
from nncli.spec.dump import lines_of
from nncli.spec.words import KeyPath, dotted


class Line(NamedTuple):
    """A line of YAML.

    Attributes:
        text: it, without a line break.
        key, origin: of the value that begins in it. A mapping's own line has neither, nor have the
            rows of a list.
        meaning: what a default that is null stands for, in words.
    """

    text: str
    key: str | None = None
    origin: Origin | None = None
    meaning: str = ""


class Shown(NamedTuple):
    """A spec with every default filled in and every path absolute.

    Attributes:
        file: where it was read from.
        spec: the filled one.
        lines: it as YAML that reads back as an equal spec, wherever it is put.
    """

    file: Path
    spec: Spec
    lines: tuple[Line, ...]


def show(source: str | Path, overrides: Sequence[str] = ()) -> Shown:
    """A spec with every default filled in, and where each value of it came from.

    No data are read.

    Args:
        source: the path of a spec, or of a run folder.
        overrides: such as `train.eta=0.5`.

    Raises:
        SpecError: the spec is wrong, or holds a path that is not UTF-8. RunError: the folder
            holds no run.
    """
    file = spec_file(source)
    spec = with_defaults(load_spec(file, overrides))
    return Shown(file, spec, tuple(_line(spec, *line) for line in lines_of(spec)))


def _line(spec: Spec, text: str, path: KeyPath | None) -> Line:
    if path is None:
        return Line(text)
    origin = spec.origin(path)
    untold = origin.kind == "default" and (text.endswith(": null") or path == ("name",))
    return Line(text, dotted(path), origin, spec.default_of(path) if untold else "")
