"""Records as JSON, every digit kept."""

from dataclasses import asdict
from typing import Any

from nncli.app.records import Training
from nncli.core.errors import DivergedError, StoppedTraining
from nncli.core.jsons import to_json
from nncli.training.history import Divergence


def training_json(training: Training, stopped: StoppedTraining | None = None) -> str:
    """A training, whole or stopped. Its outcome is done, diverged, interrupted or unsaved."""
    divergence = stopped.divergence if isinstance(stopped, DivergedError) else None
    return to_json(
        {
            "schema": "nncli.training/1",
            "name": training.spec.name,
            "outcome": "done" if stopped is None else stopped.outcome,
            "run": None if training.folder is None else str(training.folder),
            "parameters": training.network.parameters.size,
            "epochs": [asdict(epoch) for epoch in training.history],
            "test": None if training.test is None else training.test._asdict(),
            "divergence": None if divergence is None else divergence_record(divergence),
        },
        indent=2,
    )


def divergence_record(divergence: Divergence) -> dict[str, Any]:
    """A divergence as plain data: `asdict` leaves named tuples as they are."""
    steps = [step._asdict() for step in divergence.last_steps]
    for step in steps:
        step["layers"] = [asdict(layer) for layer in step["layers"]]
    record = {**vars(divergence), "flight": steps}  # what scripts know them by
    del record["last_steps"]
    return record
