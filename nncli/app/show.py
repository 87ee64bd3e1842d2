"""nncli.show: a spec with every default filled in."""

from collections.abc import Sequence
from pathlib import Path

from nncli.app.opening import spec_file
from nncli.app.pipeline import with_defaults
from nncli.app.records import SpecLine, SpecListing
from nncli.spec import Spec, load_spec
from nncli.spec.dump import spec_lines
from nncli.spec.words import KeyPath, dotted


def show(source: str | Path, overrides: Sequence[str] = ()) -> SpecListing:
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
    return SpecListing(file, spec, tuple(_line(spec, *line) for line in spec_lines(spec)))


def _line(spec: Spec, text: str, path: KeyPath | None) -> SpecLine:
    if path is None:
        return SpecLine(text)
    origin = spec.origin(path)
    untold = origin.kind == "default" and (text.endswith(": null") or path == ("name",))
    return SpecLine(text, dotted(path), origin, spec.default_of(path) if untold else "")
