"""nncli.summary: the layers of a network, and the arithmetic, memory and time of a step."""

import os
from collections.abc import Sequence
from pathlib import Path

from nncli.app.opening import read_preprocessing, spec_file
from nncli.app.pipeline import build_layers, build_run_network, place_layers, shape_notes
from nncli.app.sources import load_data
from nncli.app.summary_records import LayerSummary, Summary
from nncli.inspection.timing import LayerTime, time_step
from nncli.nn.layers import Placed
from nncli.nn.network import backward_multiply_adds
from nncli.spec import Spec, load_spec

ITEMSIZE = {"float32": 4, "float64": 8}


def summary(
    source: Spec | str | Path, overrides: Sequence[str] = (), *, timed: bool = False
) -> Summary:
    """Layers, shapes, parameters, arithmetic and memory of a network.

    Data are read only where neither a run folder nor `data.shape` gives the shape of the inputs.

    Args:
        source: a spec, or the path of one or of a run folder.
        overrides: as `train.batch_size=32`, for a path.
        timed: also measures each layer, on random inputs and with weights as they are drawn.

    Raises:
        SpecError, DataError: the spec or its data are wrong. RunError: the run cannot be read.
    """
    spec, shape, notes = _spec_and_shape(source, overrides)
    placed = place_layers(spec, build_layers(spec, weight_files=False), shape)
    n, itemsize = spec.train.batch_size, ITEMSIZE[spec.dtype]
    times: Sequence[LayerTime | None] = [None] * len(placed)
    seconds = None
    if timed:
        measured = time_step(build_run_network(spec, shape), n)
        times, seconds = measured.layers, measured.step
    return Summary(
        spec.name,
        spec.dtype,
        itemsize,
        n,
        tuple(
            _layer(p, backward, n, itemsize, time)
            for p, backward, time in zip(placed, backward_multiply_adds(placed), times, strict=True)
        ),
        seconds,
        (*notes, *shape_notes(spec, placed)),
    )


def _spec_and_shape(
    source: Spec | str | Path, overrides: Sequence[str]
) -> tuple[Spec, tuple[int, ...], tuple[str, ...]]:
    """The spec, the shape of its inputs, from the spec, the run or the data; notes on these."""
    folder = None
    if not isinstance(source, Spec):
        folder = Path(source) if os.path.isdir(source) else None
        source = load_spec(spec_file(source), overrides)
    if source.data.shape is not None:
        return source, source.data.shape, ()
    if folder is not None:
        return source, read_preprocessing(folder).input_shape, ()
    data = load_data(source)
    return source, data.input_shape, data.notes


def _layer(
    placed: Placed, backward: int, n: int, itemsize: int, time: LayerTime | None
) -> LayerSummary:
    return LayerSummary(
        placed.name,
        placed.layer.type,
        placed.activation,
        placed.input_shape,
        placed.output_shape,
        placed.parameter_shapes,
        placed.state_shapes,
        placed.parameters,
        placed.multiply_adds,
        backward,
        placed.workspace_size(n) * itemsize,
        time,
    )
