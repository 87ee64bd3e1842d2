"""What `report` returns: records of data, as those in `records`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from nncli.core.notebooks import MimeBundle, mime_bundle

if TYPE_CHECKING:
    from nncli.app.evaluation_records import Evaluated
    from nncli.app.records import ComparedRun, Comparison, Diagnosis
    from nncli.app.summary_records import Summary
    from nncli.training.checkpoint import RunIdentity


class ReportedRun(NamedTuple):
    """All that a run folder says of its training. None: that part of it cannot be read.

    Attributes:
        run: its spec, its epochs, and what of its metrics is damaged.
        spec: as YAML with every default, a line each.
        layers: shapes and parameters.
        data: how its data were read: the content of its data.json.
        identity: of its checkpoint: checksums of the data, threads, versions.
        evaluated: how good its network is, where its data are still there.
        divergence: where it diverged, if it did, as its divergence.json has it.
        diagnosis: what its training tells of what is wrong, where its data are still there.
        missing: what could not be read or measured, and why, a line each.
        notes: which of its weights were measured, where there was a choice.
    """

    run: ComparedRun
    spec: tuple[str, ...]
    layers: Summary | None
    data: Mapping[str, Any] | None
    identity: RunIdentity | None
    evaluated: Evaluated | None
    divergence: Mapping[str, Any] | None = None
    diagnosis: Diagnosis | None = None
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Report(NamedTuple):
    """Trainings, as `report` returns them.

    Attributes:
        runs: in the order given.
        comparison: of the runs; None where there is one.
    """

    runs: tuple[ReportedRun, ...]
    comparison: Comparison | None

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> MimeBundle:
        return mime_bundle(self)
