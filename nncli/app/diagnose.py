"""nncli.diagnose: what is wrong with a network, and which cure helps."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from nncli.app.copies import Copies, inputs_of
from nncli.app.opening import SpecOrRun, open_spec_or_run
from nncli.app.pipeline import prepare
from nncli.app.records import Diagnosis, Prepared
from nncli.inspection.diagnosis.baselines import baselines
from nncli.inspection.diagnosis.measures import data_facts
from nncli.inspection.diagnosis.ranking import Suspect, Trial, findings, suspects
from nncli.inspection.diagnosis.record import (
    Course,
    Cure,
    DataFacts,
    Evidence,
    LayerFacts,
    Settings,
)
from nncli.spec import ConvSpec, Spec, WeightedLayerSpec

GOOD = 0.97  # a skill with which there is nothing to look for


def diagnose(
    source: SpecOrRun | Spec | str | Path,
    *,
    quick: bool = False,
    on_estimate: Callable[[float], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Diagnosis:
    """Finds out what is wrong with a network, by training copies of it.

    Args:
        source: a spec, or the path of one or of a run folder.
        quick: trains nothing: what the samples, the spec and the first weights tell.
        on_estimate: called with the seconds that the cures will take, before the first is tried.
        progress: called with the copies that were trained, and how many are to be.

    Raises:
        SpecError, DataError, RunError: as for `train`.
    """
    if isinstance(source, Spec):
        source = SpecOrRun(prepare(source), None)
    elif not isinstance(source, SpecOrRun):
        source = open_spec_or_run(source)
    prepared = source.prepared
    copies = Copies(prepared, weight_files=source.state is None)
    evidence = gather(prepared, copies, quick=quick)
    began = perf_counter()
    if not quick:
        base, network = copies.train()
        seconds = perf_counter() - began
        end = () if base.diverged else copies.states(network)
        evidence = Evidence(
            evidence.settings,
            evidence.data,
            evidence.start,
            end,
            base,
            evidence.baselines,
            copies.extent.is_sample,
        )
    suspected = suspects(evidence)
    if evidence.base is not None and not _is_good(evidence.base):
        trials = sum(len(suspect.suspicion.cures) for suspect in suspected)
        if on_estimate is not None:
            on_estimate(trials * seconds)
        suspected = _try_all(copies, suspected, progress)
    return Diagnosis(
        name=prepared.spec.name,
        findings=findings(evidence, suspected),
        evidence=evidence,
        samples=(
            len(copies.extent.train),
            len(copies.extent.held) if copies.extent.held is not None else 0,
        ),
        epochs=copies.extent.epochs,
        trials=tuple(suspected),
        notes=source.notes,
    )


def _is_good(base: Course) -> bool:
    return min(base.fit, base.score) >= GOOD


def gather(prepared: Prepared, copies: Copies, *, quick: bool) -> Evidence:
    """What is known before anything is trained."""
    train = inputs_of(copies.train_set())
    held_set = copies.held_set()
    held = None if held_set is None else inputs_of(held_set)
    cost = prepared.spec.train.cost
    return Evidence(
        settings_of(prepared, samples=len(copies.extent.train)),
        _facts(copies),
        copies.states(),
        (),
        None,
        baselines(train, held, classes=copies.classes, cost=cost),
        copies.extent.is_sample,
    )


def _facts(copies: Copies) -> DataFacts:
    chosen, samples = copies.facts_set()
    facts = data_facts(*inputs_of(samples), classes=copies.classes)
    if facts.outlier is None:
        return facts
    return facts._replace(outlier=facts.outlier._replace(sample=int(chosen[facts.outlier.sample])))


def settings_of(prepared: Prepared, *, samples: int) -> Settings:
    spec, t = prepared.spec, prepared.spec.train
    placed = {p.index: p.name for p in prepared.network.layers}
    layers = []
    for index, layer in enumerate(spec.network):
        if isinstance(layer, WeightedLayerSpec):
            key = "filters" if isinstance(layer, ConvSpec) else "units"
            layers.append(
                LayerFacts(
                    placed[index],
                    index,
                    layer.activation,
                    getattr(layer, key),
                    key,
                    layer.init,
                    layer.weights is not None or t.init_from is not None,
                    not isinstance(layer.bias, bool),
                    index == len(spec.network) - 1,
                )
            )
    return Settings(
        t.eta,
        t.momentum,
        t.batch_size,
        t.epochs,
        t.cost,
        str(spec.data.scale),
        t.weight_decay,
        t.optimizer.type,
        t.init_from,
        tuple(layers),
    )


def _try_all(
    copies: Copies, suspected: list[Suspect], progress: Callable[[int, int], None] | None
) -> list[Suspect]:
    """The suspects with their cures tried, but for those that are nothing to try."""
    total = sum(len(suspect.suspicion.cures) for suspect in suspected)
    done, tried, cured = 0, list[Suspect](), False
    for suspect in suspected:
        trials = list[Trial]()
        if cured and suspect.cause.telling == 1:  # it would be that of a cured network
            tried.append(suspect)
            continue
        for cure in suspect.suspicion.cures:
            trials.append(Trial(cure, _try(copies, cure)))
            done += 1
            if progress is not None:
                progress(done, total)
        tried.append(suspect._replace(trials=tuple(trials)))
        cured |= any(trial.course is not None and _is_good(trial.course) for trial in trials)
    return tried


def _try(copies: Copies, cure: Cure) -> Course | None:
    if not cure.set and cure.remedy == "set":
        return None
    return copies.train(cure)[0]
