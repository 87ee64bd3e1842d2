"""What a run folder keeps of a training that diverged: divergence.json."""

from pathlib import Path
from typing import Any

from nncli.core.errors import DamagedError, Malformed, RunError, why_damaged
from nncli.core.files import read_regular, reason, write_whole
from nncli.core.jsons import from_json, to_json
from nncli.core.text import printable
from nncli.training.history import Divergence, divergence_record
from nncli.training.run_files import DIVERGENCE

SCHEMA = "nncli.divergence/1"
WORDS, COUNTS = ("message", "layer", "quantity", "part"), ("epoch", "step", "unit", "sample")


def keep_divergence(folder: Path, divergence: Divergence, message: str) -> None:
    """Writes it; numbers that are not finite are null.

    Raises:
        RunError: the system refused.
    """
    record = {"schema": SCHEMA, "message": message, **divergence_record(divergence)}
    write_whole(folder / DIVERGENCE, f"{to_json(record, indent=2)}\n".encode())


def read_divergence(folder: Path) -> dict[str, Any] | None:
    """What was written; None where the training did not diverge.

    Raises:
        RunError: it cannot be read, or is damaged.
    """
    path = folder / DIVERGENCE
    try:
        record = from_json(read_regular(path))
        if record.get("schema") != SCHEMA:
            raise Malformed(f"it is no {SCHEMA}")
        is_sound = all(isinstance(record.get(key), str) for key in WORDS)
        if not is_sound or not all(type(record.get(key)) is int for key in COUNTS):
            raise Malformed("it does not say where the training diverged")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{printable(path)}: cannot be read: {reason(error)}") from error
    except (ValueError, RecursionError) as error:
        why = printable(why_damaged(error))
        raise DamagedError(f"{printable(path)}: damaged: {why}") from error
    return record
