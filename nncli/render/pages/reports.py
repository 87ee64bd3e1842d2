"""What `export` and `init` wrote and how to go on; and the spec that `show` lists."""

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from textwrap import wrap

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment

from nncli.app.records import Brought, Draft, Exported, SpecLine, SpecListing, Starter
from nncli.core.jsons import to_json
from nncli.core.text import printable, shell_word, sizes

# export


TITLES = {
    "onnx": "an ONNX model",
    "pytorch": "a PyTorch module",
    "safetensors": "named arrays in safetensors",
    "npz": "named arrays in NumPy's npz",
}


def exported_json(exported: Exported) -> str:
    """The record as JSON text."""
    network = exported.network
    return to_json(
        {
            "schema": "nncli.export/1",
            "name": network.name,
            "to": exported.to,
            "files": [str(path) for path in exported.files],
            "input_shape": network.network.input_shape,
            "output_shape": network.network.output_shape,
            "classes": network.classes,
            "scales_inputs": exported.scales and network.scaling is not None,
            "unscales_outputs": exported.scales and network.target_scaling is not None,
            "weights": None if exported.used is None else exported.used._asdict(),
            "notes": exported.notes,
        },
        indent=2,
    )


def exported_text(exported: Exported) -> str:
    """The record in a few lines, to be read."""
    title = TITLES[exported.to] if exported.used is not None else "a training in PyTorch"
    heading = f"{printable(exported.network.name)} as {title}"
    return "\n".join([heading, "", *(f"{title:8}{line}" for title, line in _lines(exported))])


def _lines(exported: Exported) -> Iterator[tuple[str, str]]:
    trained = exported.network
    network = trained.network
    width = max(len(printable(path)) for path in exported.files)
    for i, path in enumerate(exported.files):
        size = f"{path.stat().st_size:,} bytes"
        yield "" if i else "wrote", f"{printable(path):{width}}  {size:>16}"
    inputs, outputs = sizes(network.input_shape), sizes(network.output_shape)
    if trained.scaling is None:
        yield "takes", f"inputs of samples x {inputs}"
    elif exported.scales:
        yield "takes", f"raw inputs of samples x {inputs}, and scales them as in training"
    else:
        yield "takes", f"scaled inputs of samples x {inputs}:"
        yield "", trained.scaling_formula()
    if trained.target_scaling is None:
        yield "gives", f"outputs of samples x {outputs}"
    elif exported.scales:
        yield "gives", f"outputs of samples x {outputs}, in the targets' own units"
    else:
        yield "gives", f"outputs of samples x {outputs}, of scaled targets; in their own units:"
        yield "", trained.target_formula()
    for note in exported.notes:
        yield "note", note
    if exported.to == "pytorch":
        is_training = exported.used is None
        script = shell_word(exported.files[0])
        if is_training:
            yield "run", f"python {script}, or torchrun --nproc-per-node 2 {script}"
        yield "check", f"python {script}{' --check' if is_training else ''}"


# init


def init_report(draft: Draft, width: int) -> Iterator[str]:
    """What was found, noted and written, and the command that trains it."""
    if draft.facts:
        yield from _hanging(f"found {draft.facts}", width)
    if draft.target:
        yield from _hanging(f"learns {draft.target}", width)
    for note in draft.notes:
        yield from _hanging(f"note  {note}", width)
    if draft.tried:
        yield from _hanging(f"tried {draft.tried}", width)
    yield f"wrote {', '.join(printable(path) for path in (draft.path, *draft.files))}"
    yield ""
    yield f"next: nncli train {shell_word(draft.path)}"


def _hanging(text: str, width: int) -> Iterator[str]:
    """The lines of a text, those after the first below its second word."""
    yield from wrap(
        text,
        width,
        subsequent_indent=" " * 6,
        break_long_words=False,
        break_on_hyphens=False,
    )


def brought_report(brought: Brought, width: int) -> Iterator[str]:
    """What was made of another program's network, and the commands that look at it."""
    for note in brought.notes:
        yield from _hanging(f"note  {note}", width)
    spec, *_ = brought.files
    yield f"wrote {', '.join(printable(path) for path in brought.files)}"
    yield ""
    yield f"next: nncli inspect-grad {shell_word(spec)}"


def starter_lines(starters: Mapping[str, Starter]) -> Iterator[str]:
    widest = max(map(len, starters))
    for name, starter in starters.items():
        yield f"{name:<{widest}}  {starter.about}"
    yield ""
    yield "nncli init NAME writes one of these; nncli init --data FILE a spec for data of your own."


# A spec with where its values came from


LISTING_WIDTH = 80  # of the text in a file
LEAST_COMMENT = 24  # columns left for comments, so that one long value does not move them all

Piece = tuple[str, str]  # YAML, and the comment behind it


class TerminalListing:
    """On a terminal: the comments are dimmed."""

    def __init__(self, listing: SpecListing) -> None:
        self.listing = listing

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        dim = console.get_style("dim")
        for text, comment in listing_pieces(self.listing, options.max_width):
            yield Segment(text)
            yield Segment(comment, dim)
            yield Segment("\n")


def listing_yaml(listing: SpecListing) -> str:
    """The text of a spec that runs as the one it was made of does."""
    return "".join(f"{text}{comment}\n" for text, comment in listing_pieces(listing, LISTING_WIDTH))


def listing_json(listing: SpecListing) -> str:
    origins = {line.key: line.origin._asdict() for line in listing.lines if line.origin is not None}
    record = {
        "schema": "nncli.show/1",
        "file": str(listing.file),
        "spec": listing.spec.absolute(),
        "origins": origins,
    }
    if listing.columns:
        record["columns"] = listing.columns
    return to_json(record, indent=2)


def listing_pieces(listing: SpecListing, width: int) -> Iterator[Piece]:
    """The lines, their comments in one column; above the line, where behind it is no room."""
    yield "", f"# {printable(listing.file)}, with every default filled in"
    lengths = [cell_len(line.text) + 2 for line in listing.lines if line.origin is not None]
    at = max((length for length in lengths if length + LEAST_COMMENT <= width), default=0)
    for line in listing.lines:
        comment = comment_of(line)
        used = cell_len(line.text)
        if not comment:
            yield line.text, ""
        elif max(at, used + 2) + cell_len(comment) <= width:
            yield line.text + " " * max(at - used, 2), comment
        else:
            indent = len(line.text) - len(line.text.lstrip(" "))
            yield "", f"{' ' * indent}{comment}"
            yield line.text, ""
    if listing.columns:
        yield "", "# What the columns of its table became:"
    for column in listing.columns:
        yield from (("", f"#   {part}") for part in wrap(column, width - 4, subsequent_indent="  "))


def comment_of(line: SpecLine) -> str:
    if line.origin is None:
        return ""
    match line.origin.kind:
        case "default":
            return f"# default: {line.meaning}" if line.meaning else "# default"
        case "set":
            return f"# {line.origin.where}"
    file, number, _ = line.origin.where.rsplit(":", 2)
    return f"# {PurePath(file).name}:{number}"
