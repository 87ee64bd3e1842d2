"""nncli.predict: a trained network applied to new samples."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from nncli.app.evaluation_records import Prediction
from nncli.app.opening import OpenedRun, open_run
from nncli.core.errors import DataError
from nncli.data import Inputs, read_inputs
from nncli.nn.arrays import Array
from nncli.training.best import Which
from nncli.training.evaluate import Forward

STANDARD_INPUT = "-"


class Predictions:
    """Predictions some samples at a time, in the order of the inputs; to be iterated over once.

    Attributes:
        total: how many samples there are; None where that is known only at the end.
        names: of the outputs; those of the classes, where there are any.
        used: which of the run's weights make them.
        notes: what the inputs held besides, and what of the run is damaged.
    """

    def __init__(self, run: OpenedRun, inputs: Inputs) -> None:
        self.run = run
        self.total = inputs.total
        self.names = run.preprocessing.output_names
        self.used = run.used
        self.notes = (*run.all_notes, *inputs.notes)
        self._inputs = inputs

    @property
    def counted(self) -> tuple[str, ...]:
        """Notes of what in the inputs training did not meet, once all of them are predicted."""
        return tuple(self._inputs.counted())

    def __iter__(self) -> Iterator[Prediction]:
        with self.run.start_workers() as workers:
            forward = Forward(self.run.network, workers)
            for part in self._inputs.parts:
                for outputs in forward(part):
                    yield self.prediction(outputs)

    def prediction(self, outputs: Array) -> Prediction:
        preprocessing = self.run.preprocessing
        outputs = preprocessing.in_own_units(outputs)
        return Prediction(
            outputs, preprocessing.output_names, preprocessing.classes, preprocessing.reading
        )


def predict(
    run: str | Path | OpenedRun, inputs: str | Path | Array, *, weights: Which | None = None
) -> Prediction:
    """The outputs of a run's network for samples.

    Args:
        run: a run folder.
        inputs: a table with or without targets, .npy, IDX or .npz; `-` for a table on standard
            input; or an array of samples x features or samples x channels x rows x columns. Inputs
            are scaled as the training data were.
        weights: those after the run's best epoch, or the last; None: the best, where kept.

    Raises:
        RunError, SpecError: the run cannot be read. DataError: the inputs cannot, or do not fit.
    """
    predictions = predict_blocks(run, inputs, weights=weights)
    outputs = np.concatenate([block.outputs for block in predictions])
    preprocessing = predictions.run.preprocessing
    return Prediction(
        outputs, preprocessing.output_names, preprocessing.classes, preprocessing.reading
    )


def predict_blocks(
    run: str | Path | OpenedRun, inputs: str | Path | Array, *, weights: Which | None = None
) -> Predictions:
    """As `predict`, for inputs of any length: they are read as the predictions are asked for.

    Raises:
        RunError, SpecError, DataError: as `predict`; of a table's rows as they are read.
    """
    run = run if isinstance(run, OpenedRun) else open_run(run, weights)
    return Predictions(run, read_inputs(run.preprocessing, _source(inputs), run.network.dtype))


def _source(inputs: str | Path | Array) -> Path | Array | IO[bytes]:
    if isinstance(inputs, np.ndarray):
        return inputs
    if str(inputs) != STANDARD_INPUT:
        return Path(inputs)
    if sys.stdin is None:
        raise DataError("standard input: is closed")
    return sys.stdin.buffer
