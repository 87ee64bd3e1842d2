"""nncli.show: a spec with every default filled in."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from nncli.app.opening import read_preprocessing, spec_file
from nncli.app.pipeline import with_defaults
from nncli.app.records import QuantityListing, QuantityRow, SpecLine, SpecListing
from nncli.core.errors import RunError
from nncli.data.columns.notes import told
from nncli.data.samples import named
from nncli.nn.quantities import (
    FUNCTIONS,
    LAYER_ARRAYS,
    LAYER_NUMBERS,
    TRAINING_NUMBERS,
    LayerArray,
    LayerFacts,
    LayerNumber,
)
from nncli.spec import Spec, load_spec
from nncli.spec.binding import EACH, ONE, held_in
from nncli.spec.conditions import preset_lines
from nncli.spec.dump import spec_lines
from nncli.spec.words import KeyPath, dotted


def show(source: str | Path, overrides: Sequence[str] = ()) -> SpecListing:
    """A spec with every default filled in, and where each value of it came from.

    No data are read; what a run's columns became is in its folder.

    Args:
        source: the path of a spec, or of a run folder.
        overrides: such as `train.eta=0.5`.

    Raises:
        SpecError: the spec is wrong, or holds a path that is not UTF-8. RunError: the folder
            holds no run.
    """
    file = spec_file(source)
    spec = with_defaults(load_spec(file, overrides))
    lines = tuple(_line(spec, *line) for line in spec_lines(spec))
    return SpecListing(file, spec, lines, _columns(Path(source)))


def _columns(source: Path) -> tuple[str, ...]:
    """What each column of a run's table became; nothing where they are numbers alone."""
    if not os.path.isdir(source):
        return ()
    try:
        known = read_preprocessing(source)
    except RunError:  # told by what needs it
        return ()
    rules = known.rules or ()
    ignored = tuple(f"{named(str(name))}: ignored" for name in known.ignored)
    return tuple(f"{named(rule.name)}: {told(rule, whole=True)}" for rule in rules) + (
        ignored if rules else ()
    )


def _line(spec: Spec, text: str, path: KeyPath | None) -> SpecLine:
    if path is None:
        return SpecLine(text)
    origin = spec.origin(path)
    untold = origin.kind == "default" and (text.endswith(": null") or path == ("name",))
    return SpecLine(text, dotted(path), origin, spec.default_of(path) if untold else "")


WORDS = {
    "all": "each layer that has the quantity",
    "any": "at least one of them",
    "hidden": "each of them but the output layer",
    "first": "the first of them",
    "last": "the last of them",
}
assert set(WORDS) == {*EACH, *ONE}


def quantities(source: str | Path | None = None, overrides: Sequence[str] = ()) -> QuantityListing:
    """What conditions (`expect`, `break`) may name.

    Args:
        source: a spec or a run folder, whose layers are to be named; None: in general.
        overrides: such as `network[0].activation=relu`.

    Raises:
        SpecError, RunError: as for `show`.
    """
    layers = name = None
    if source is not None:
        spec = load_spec(spec_file(source), overrides)
        layers, name = held_in(spec.model_dump()).layers, spec.name
    return QuantityListing(
        rows=tuple(_quantity_rows(layers)),
        functions={name: function.meaning for name, function in FUNCTIONS.items()},
        words=WORDS,
        presets={key: (meaning, tuple(lines)) for key, meaning, lines in preset_lines()},
        spec=name,
    )


def _quantity_rows(layers: Sequence[LayerFacts] | None) -> Iterator[QuantityRow]:
    for number in TRAINING_NUMBERS:
        yield QuantityRow(number.key, number.meaning, "training", number.by_epoch)
    rows: list[LayerNumber | LayerArray] = [*LAYER_NUMBERS, *LAYER_ARRAYS]
    for row in rows:
        having = None
        if layers is not None:
            having = tuple(layer.name for layer in layers if row.having.rule(layer))
        if having != ():
            yield QuantityRow(
                row.key,
                row.meaning,
                "layer",
                is_array=isinstance(row, LayerArray),
                where=row.having.words,
                layers=having,
            )
