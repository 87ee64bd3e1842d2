"""Steps of a training that are recorded whole, in its run folder."""

from dataclasses import replace
from pathlib import Path

from nncli.app.records import Prepared
from nncli.core.errors import RunError
from nncli.core.files import reason, write_whole
from nncli.core.text import printable
from nncli.nn.parallel.blas import arithmetic
from nncli.spec.dump import dump_portable
from nncli.training.run_files import TRACES
from nncli.training.trace_file import SUFFIX, StepFacts, pack_trace
from nncli.training.trace_times import Traced


def facts_of(prepared: Prepared, step: int, threads: int) -> StepFacts:
    """What a step is taken with, for its file."""
    batch = batch_of(prepared)
    return StepFacts(dump_portable(prepared.spec), step, threads, batch, arithmetic(), _version())


def batch_of(prepared: Prepared) -> int:
    """For how many samples the workers are begun."""
    return min(prepared.plan.batch_size, len(prepared.data.train))


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("nncli")
    except PackageNotFoundError:  # run from its source
        return "unknown"


class TraceKeeper:
    """Writes records of a training's steps into its run folder."""

    def __init__(self, prepared: Prepared, threads: int, run: Path, folder: str = TRACES) -> None:
        self.folder = run / folder
        self._name = prepared.spec.name
        self._facts = facts_of(prepared, 1, threads)

    def keep(self, traced: Traced) -> None:
        """Writes a step; a failing computer may lose it.

        Raises:
            RunError: the system refused.
        """
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            message = f"{printable(self.folder)}: cannot be made: {reason(error)}"
            raise RunError(message) from error
        trace = replace(traced.trace, name=self._name)
        content = pack_trace(trace, self._facts._replace(step=traced.step))
        write_whole(self.folder / f"step-{traced.step:08}{SUFFIX}", content, durable=False)
