"""Records as JSON, every digit kept."""

from dataclasses import asdict

from nncli.api.training import Training
from nncli.jsons import to_json


def training_json(training: Training, outcome: str) -> str:
    """A training, whole or stopped. `outcome`: done, diverged or interrupted."""
    return to_json(
        {
            "schema": "nncli.training/1",
            "name": training.spec.name,
            "outcome": outcome,
            "run": None if training.folder is None else str(training.folder),
            "parameters": training.network.parameters.size,
            "epochs": [asdict(epoch) for epoch in training.history],
            "test": None if training.test is None else training.test._asdict(),
        },
        indent=2,
    )
