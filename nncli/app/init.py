"""nncli.init: a new spec, for a data file or from one of the starters that come with nncli."""

import gzip
import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from nncli.app.candidates import told, try_candidates
from nncli.app.output import check_output
from nncli.app.pipeline import prepare
from nncli.app.proposal import Proposal, propose
from nncli.app.proposed_network import CANDIDATES, is_image
from nncli.app.records import SPEC_SUFFIXES, Draft, Starter
from nncli.core.errors import DataError, NncliError
from nncli.core.files import write_whole
from nncli.core.text import nearest, printable, quote
from nncli.data.readers.files import file_size
from nncli.data.readers.read import kind
from nncli.data.samples import Pair, Source
from nncli.data.survey import survey
from nncli.spec import Spec, parse_spec
from nncli.spec.schema import FILE, schema_text

OnTrials = Callable[[int, int], None]

FOLDER = Path(__file__).parent.parent / "starters"
# What inputs are called, and what their targets are called then.
PARTNERS = (
    ("images-idx3", "labels-idx1"),
    ("images", "labels"),
    ("features", "labels"),
    ("inputs", "targets"),
    (r"(?<![A-Za-z])[xX](?![A-Za-z])", "y"),
)


STARTERS = {
    "xor": Starter("xor.yaml", "exclusive or: four samples, and why there are hidden layers"),
    "two-two-two": Starter(
        "two-two-two.yaml", "the worked example of many books, to check with pencil and paper"
    ),
    "wave": Starter("wave.csv", "a sine curve: numbers to be learnt rather than classes"),
    "iris": Starter(
        "iris.csv",
        "three species of iris from four measurements",
        "The data: R. A. Fisher (1936), UCI Machine Learning Repository, "
        "https://doi.org/10.24432/C56C76, CC BY 4.0.",
    ),
    "digits": Starter(
        "digits.csv.gz",
        "handwritten digits of 8 x 8 pixels, by a convolutional network",
        "The data: E. Alpaydin and C. Kaynak (1998), UCI Machine Learning Repository, "
        "https://doi.org/10.24432/C50P49, CC BY 4.0; with a header added.",
    ),
}


def draft(
    name: str | Path | None = None,
    *,
    data: str | Path | None = None,
    targets: str | Path | None = None,
    target: Sequence[str | int] = (),
    starter: str | None = None,
    quick: bool = False,
    on_trials: OnTrials | None = None,
) -> Draft:
    """A commented spec that trains at once; nothing is written.

    Args:
        name: where the spec is to be, `.yaml` added; by default after the data or the starter.
            Without either of these, a name is that of a starter.
        data: a table, .npz, .npy or IDX file to make a spec for.
        targets: the targets' file, where `data` holds inputs alone; by default one beside it that
            is named for them.
        target: the target columns of a table; by default the one that looks like it.
        starter: one of STARTERS.
        quick: whether to leave out the trials by which a network for a table is chosen.
        on_trials: called with the number of networks and that of samples before they begin.

    Raises:
        DataError: the data cannot be read, or nothing can be learnt from them. NncliError: there
            is no such starter, or the arguments do not go together.
    """
    if data is not None and starter is not None:
        raise NncliError("data and a starter are two ways to begin; give one of them")
    if data is None and (targets is not None or target):
        raise NncliError("targets go with data; give their inputs with --data FILE")
    if data is not None:
        source = _source(Path(data), Path(targets) if targets else None)
        return _for_data(name, Path(data), source, target, quick, on_trials)
    if starter is None:
        if name is None:
            raise NncliError(f"name a starter ({', '.join(STARTERS)}), or data of your own")
        starter = Path(name).name.removesuffix(".yaml")
    if starter not in STARTERS:
        near = nearest(starter, STARTERS) or f"; there are {', '.join(STARTERS)}"
        raise NncliError(f"no starter is called {quote(starter)}{near}; for your own: --data FILE")
    return _from_starter(_spec_path(name if name is not None else starter), STARTERS[starter])


def init(
    name: str | Path | None = None,
    *,
    data: str | Path | None = None,
    targets: str | Path | None = None,
    target: Sequence[str | int] = (),
    starter: str | None = None,
    overwrite: bool = False,
    quick: bool = False,
    on_trials: OnTrials | None = None,
) -> Draft:
    """Writes a commented spec that trains at once, the schema that editors check it by, and a
    starter's data, side by side.

    Args:
        overwrite: whether files of these names may be replaced.
        others: as for `draft`.

    Raises:
        NncliError: such a file is there already. RunError: it cannot be written. Others as `draft`.
    """
    made = draft(
        name,
        data=data,
        targets=targets,
        target=target,
        starter=starter,
        quick=quick,
        on_trials=on_trials,
    )
    files = {**made.files, made.path: made.text.encode()}
    given = [file for file in (data, targets) if file is not None]
    for path in files:
        check_output(path, overwrite=True, inputs=given, elsewhere="another NAME writes elsewhere")
    taken = [path for path, content in files.items() if _is_taken(path, content)]
    if not overwrite:
        # An existing schema belongs to the specs beside it, and is left as it is.
        taken = [path for path in taken if path.name != FILE]
        if taken:
            names = " and ".join(map(printable, taken))
            raise NncliError(
                f"{names}: there already; --overwrite replaces that, another NAME goes beside it"
            )
        files = {p: c for p, c in files.items() if p.name != FILE or not os.path.exists(p)}
    for path, content in files.items():
        write_whole(path, content)
    return made._replace(files={path: c for path, c in files.items() if path != made.path})


def _is_taken(path: Path, content: bytes) -> bool:
    """Whether a path exists with other content."""
    try:
        return os.path.exists(path) and not (os.path.isfile(path) and path.read_bytes() == content)
    except OSError:
        return True


def _spec_path(name: str | Path) -> Path:
    path = Path(name)
    if path.name in ("", ".."):
        raise NncliError(f"{printable(name)}: names no file; a name such as my-net is needed")
    if not os.path.isdir(path.parent):
        raise NncliError(
            f"{printable(path.parent)}: there is no such folder; make it, or choose another"
        )
    return path if path.suffix in SPEC_SUFFIXES else path.with_name(f"{path.name}.yaml")


def _from_starter(path: Path, starter: Starter) -> Draft:
    files = {path.parent / FILE: schema_text().encode()}
    content = (FOLDER / starter.file).read_bytes()
    if starter.is_text:
        parse_spec(content.decode(), str(path))  # raises for a name that a spec cannot have
        return Draft(path, content.decode(), files)
    # Under the spec's name: two specs may come of one starter, each with data of its own.
    table = path.with_name(path.stem + ".csv")
    files[table] = gzip.decompress(content) if starter.file.endswith(".gz") else content
    proposal = propose(path.stem, table.name, survey(FOLDER / starter.file), starter.origin)
    parse_spec(proposal.text, str(path))
    return _drafted(path, proposal, files)


def _for_data(
    name: str | Path | None,
    data: Path,
    source: Source,
    target: Sequence[str | int],
    quick: bool,
    on_trials: OnTrials | None,
) -> Draft:
    found = survey(source, target=target)
    path = _spec_path(name if name is not None else _stem(data))
    proposed = partial(propose, path.stem, _as_spec_names_it(source, path.parent), found)

    def spec_of(proposal: Proposal) -> Spec:
        return parse_spec(proposal.text, str(path), path.parent)

    proposal, tried = proposed(), ""
    # A spec that cannot be trained raises here, before it is written.
    if quick or is_image(found):
        prepare(spec_of(proposal))
    else:
        specs = {each: spec_of(proposed(candidate=each)) for each in CANDIDATES}
        tries = try_candidates(prepare(specs[CANDIDATES[0]]), specs, on_trials)
        if tries is not None:
            tried = told(tries)
            proposal = proposed(candidate=tries.best.candidate, tried=f"Tried {tried}.")
    files = {path.parent / FILE: schema_text().encode()}
    return _drafted(path, proposal, files, tried)


def _drafted(path: Path, proposal: Proposal, files: dict[Path, bytes], tried: str = "") -> Draft:
    facts, target, notes = proposal.facts, proposal.target, proposal.notes
    return Draft(path, proposal.text, files, facts, target, notes, tried)


def _stem(data: Path) -> str:
    """`iris` for iris.csv.gz, `train-images` for train-images-idx3-ubyte.gz."""
    stem = re.sub(r"\.gz$", "", data.name, flags=re.IGNORECASE)
    return re.sub(r"(-idx\d-ubyte|\.\w+)$", "", stem) or "my"


def _source(data: Path, targets: Path | None) -> Source:
    file_size(data)
    if targets is not None:
        file_size(targets)
        return Pair(data, targets)
    if kind(data) in ("table", "npz"):
        return data
    partner = _partner(data)
    if partner is None:
        raise DataError(
            f"{printable(data)}: holds one array; name the file of the targets too: --targets FILE"
        )
    return Pair(data, partner)


def _partner(inputs: Path) -> Path | None:
    for pattern, name in PARTNERS:
        partner = inputs.with_name(re.sub(pattern, name, inputs.name, count=1))
        if partner != inputs and os.path.isfile(partner):
            return partner
    return None


def _as_spec_names_it(source: Source, folder: Path) -> str | dict[str, str]:
    if isinstance(source, Path):
        return os.path.relpath(source, folder)
    assert isinstance(source.inputs, Path)
    assert isinstance(source.targets, Path)
    inputs, targets = (os.path.relpath(path, folder) for path in (source.inputs, source.targets))
    return {"inputs": inputs, "targets": targets}
