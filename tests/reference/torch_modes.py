"""The networks of `make_torch_modes`, as plain data, and the record's place.

Nothing here knows PyTorch, and nothing knows nncli.
"""

from pathlib import Path
from typing import Any

import numpy as np

RECORD = Path(__file__).parent / "torch" / "modes.npz"
ETA, STEPS = 0.25, 3


def save(version: Any, fields: Any) -> None:
    """`fields`: arrays by key, stored end to end, since members of a file have their own weight."""
    arrays = [np.asarray(value, np.float64) for value in fields.values()]
    np.savez_compressed(
        RECORD,
        torch=np.array(version),
        keys=np.array(list(fields)),
        shapes=np.array([[*v.shape, -1, -1, -1, -1][:4] for v in arrays], np.int16),
        values=np.concatenate([v.ravel() for v in arrays]),
    )


def load() -> Any:
    """PyTorch's version, and every array by its key."""
    with np.load(RECORD) as file:
        stored = dict(file)
    found, start = {}, 0
    for key, row in zip(stored["keys"].tolist(), stored["shapes"].tolist(), strict=True):
        shape = [length for length in row if length >= 0]
        stop = start + int(np.prod(shape))
        found[key] = stored["values"][start:stop].reshape(shape)
        start = stop
    return str(stored["torch"]), found


def dense(units: Any, activation: str = "sigmoid") -> Any:
    return {"type": "dense", "units": units, "activation": activation}


def batchnorm(epsilon: float = 1e-5, momentum: float = 0.1) -> Any:
    return {"type": "batchnorm", "epsilon": epsilon, "momentum": momentum}


CONV = {"type": "conv", "filters": 3, "kernel": 2, "activation": "tanh"}
FLATTEN = {"type": "flatten"}


def case(name: Any, shape: Any, *network: Any, n: int = 6) -> Any:
    return {"name": name, "shape": shape, "network": network, "n": n}


CASES = [
    case("batchnorm", (4,), dense(5, "tanh"), batchnorm(), dense(2)),
    case("batchnorm-first", (4,), batchnorm(0.1, 0.5), dense(3)),
    case("batchnorm-image", (2, 4, 5), CONV, batchnorm(1e-3, 0.3), FLATTEN, dense(2), n=4),
    case("batchnorm-one_image", (2, 4, 5), CONV, batchnorm(), FLATTEN, dense(2), n=1),
    case("dropout", (4,), dense(8, "tanh"), {"type": "dropout", "rate": 0.3}, dense(2)),
    case("dropout-image", (2, 4, 5), CONV, {"type": "dropout", "rate": 0.5}, FLATTEN, dense(2)),
    case(
        "both", (3,), dense(6, "tanh"), batchnorm(), {"type": "dropout", "rate": 0.25}, dense(2),
        n=8,
    ),
]  # fmt: skip
