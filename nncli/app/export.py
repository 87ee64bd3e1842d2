"""nncli.export: a trained network, written for other programs."""

import keyword
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nncli.app.opening import OpenedRun, open_run, spec_file
from nncli.app.output import check_output
from nncli.app.pipeline import prepare
from nncli.app.plan import frozen_parameters
from nncli.app.records import Exported, Prepared
from nncli.core.errors import NncliError
from nncli.core.files import whole_file
from nncli.core.text import count_of, printable
from nncli.data import Scaling
from nncli.data.columns.kinds import names_of
from nncli.data.preprocessing import Preprocessing
from nncli.exchange.formats import EXPORT_FORMATS, ExportFormat
from nncli.exchange.trained import Affine, Trained
from nncli.nn.network import Network
from nncli.spec import Spec, load_spec
from nncli.training.best import Which

if TYPE_CHECKING:
    from nncli.exchange.pytorch_training import Recipe

SAMPLES = 8  # for formats that come with a check
SEED = 0
MOST_NAMED = 8


def export(
    run: str | Path,
    to: str,
    *,
    output: str | Path | None = None,
    overwrite: bool = False,
    weights: Which | None = None,
    train: bool = False,
) -> Exported:
    """Writes the trained network of a run folder for other programs, or its training.

    Args:
        run: a run folder; with `train` also a spec.
        train: for pytorch: whether to write a script that trains, from the first weights on, with
            DistributedDataParallel where several processes run it.
        to: onnx, pytorch (a module, its weights and numbers to check it by), safetensors or npz.
        output: the file to write; by default the run's name, in the current folder.
        overwrite: whether files that are there may be replaced.
        weights: those after the run's best epoch, or the last; None: the best, where kept.

    Raises:
        RunError: the run cannot be read, or a file cannot be written.
        SpecError: the run's spec is damaged.
        NncliError: the format is not known or cannot hold the network, or its extra is missing.
    """
    if to not in EXPORT_FORMATS:
        raise NncliError(
            f"{printable(to)!r} is no format to export to; known are {', '.join(EXPORT_FORMATS)}"
        )
    if train:
        return _export_training(run, to, output, weights, overwrite=overwrite)
    format = EXPORT_FORMATS[to]
    opened = open_run(run, weights)
    stem = _stem(format, opened.spec.name, None if output is None else Path(output))
    network = trained(opened)
    contents = {Path(f"{stem}{suffix}"): text for suffix, text in format.write(network).items()}
    _write_all(contents, overwrite=overwrite)
    files = sorted(contents, key=lambda path: str(path) != f"{stem}{format.suffix}")
    return Exported(
        to,
        tuple(files),
        network,
        format.scales,
        opened.used,
        (
            *opened.all_notes,
            *_frozen(opened.spec),
            *format.notes(network),
            *_left_behind(opened, network),
        ),
    )


def _export_training(
    source: str | Path,
    to: str,
    output: str | Path | None,
    weights: Which | None,
    *,
    overwrite: bool,
) -> Exported:
    from nncli.app.export_training import recipe_of
    from nncli.exchange.pytorch_training import to_training

    if to != "pytorch":
        raise NncliError(f"--train goes with --to pytorch, and {to} holds no training")
    if weights is not None:
        raise NncliError("--weights is of a trained network; a training begins with its first")
    prepared = prepare(load_spec(spec_file(source)))
    stem = _stem(
        EXPORT_FORMATS[to], f"{prepared.spec.name}_train", None if output is None else Path(output)
    )
    network = _with_samples(prepared.spec.name, prepared.network, prepared.data.preprocessing)
    recipe, network = recipe_of(prepared, network, Path(stem).parent)
    contents = {Path(f"{stem}{end}"): text for end, text in to_training(network, recipe).items()}
    _write_all(contents, overwrite=overwrite)
    files = sorted(contents, key=lambda path: path.suffix != ".py")
    notes = (*prepared.notes, *_not_carried(prepared, recipe))
    return Exported(to, tuple(files), network, True, None, notes)


def _not_carried(prepared: Prepared, recipe: "Recipe") -> Iterator[str]:
    """What a training script does otherwise than nncli, or not at all."""
    if recipe.reading.saved:
        yield "its samples lie beside it as nncli read and scaled them, in .data.safetensors"
    if recipe.steps is None:
        yield "dropout draws other masks in PyTorch, so that its steps are others than nncli's"
    if prepared.spec.train.early_stop is not None:
        yield "early_stop is left to nncli: the script trains all epochs"
    if prepared.conditions:
        yield "expect and break are left to nncli"


def _frozen(spec: Spec) -> Iterator[str]:
    names = frozen_parameters(spec)
    if names:
        yield f"not trained, since frozen: {', '.join(names)}; what is written does not say so"


def _left_behind(run: OpenedRun, network: Trained) -> Iterator[str]:
    """What an export does not hold: it is of the network alone."""
    known = run.preprocessing
    if network.features is not None:
        names = ", ".join(printable(name) for name in network.features[:MOST_NAMED])
        more = ", ..." if len(network.features) > MOST_NAMED else ""
        yield (
            f"its inputs are {count_of(known.inputs, 'feature')} made of {known.width} columns, as "
            f"nncli show {printable(run.path)} tells; the file does not make them: {names}{more}"
        )
    if known.class_weights is not None:
        yield "in training its cost was weighted by class; the cost that is written is not"


def trained(run: OpenedRun) -> Trained:
    """The network of a run, with samples to check an export by.

    They are random, on the scale of the training data, which may be gone; targets suit any cost.
    """
    known = run.preprocessing
    plain = _with_samples(run.spec.name, run.network, known)
    scaling = known.target_scaling
    return plain._replace(
        target_scaling=None if scaling is None else _affine(scaling),
        features=None if known.rules is None else names_of(known.rules),
    )


def _with_samples(name: str, network: Network, known: Preprocessing) -> Trained:
    rng = np.random.default_rng(SEED)
    scaling, shape = known.scaling, known.input_shape
    inputs = scaling.undone(rng.standard_normal((SAMPLES, *shape))).astype(network.dtype)
    targets = rng.random((SAMPLES, known.outputs))
    targets /= targets.sum(axis=1, keepdims=True)
    affine = None if scaling.is_identity else _affine(scaling)
    return Trained(name, network, affine, known.classes, inputs, targets)


def _affine(scaling: Scaling) -> Affine:
    return Affine(np.array(scaling.offset, np.float64), np.array(scaling.divisor, np.float64))


def _stem(format: ExportFormat, name: str, output: Path | None) -> str:
    """The path to write to, without its suffix."""
    if output is None:
        return _module_name(name) if format.suffix == ".py" else name
    if not output.name.endswith(format.suffix) or output.name == format.suffix:
        raise NncliError(
            f"--output {printable(output)}: expected a name that ends in {format.suffix}"
        )
    return str(output).removesuffix(format.suffix)


def _module_name(name: str) -> str:
    """A run's name as that of a Python module, unlike those of well-known ones."""
    module = re.sub(r"\W", "_", name)
    taken = module in {*sys.stdlib_module_names, *keyword.kwlist, "numpy", "safetensors", "torch"}
    return f"_{module}" if taken or not module.isidentifier() else module


def _write_all(contents: Mapping[Path, bytes], *, overwrite: bool) -> None:
    """Writes the files, all of them or none."""
    for path in contents:
        check_output(path, overwrite=overwrite)
    with ExitStack() as stack:
        for path, content in contents.items():
            file = stack.enter_context(whole_file(path, overwrite=overwrite))
            file.write(content)
            file.flush()  # before any of them takes its place
