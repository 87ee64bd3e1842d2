"""Causes that show before the first step: in the samples, the spec, and the first weights."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from nncli.core.text import count_of
from nncli.inspection.diagnosis.record import (
    Cure,
    Evidence,
    LayerFacts,
    LayerState,
    Settings,
    Suspicion,
)
from nncli.nn.activations import ACTIVATIONS
from nncli.nn.initialisers import default_initialiser

SMALL_RMS, LARGE_RMS, SPREAD_OF_RMS, FAR_OFF = 0.05, 5.0, 30.0, 4.0  # of inputs
MANY = 0.5  # the share of a layer's units, or numbers, from which on a sign is one
HARDLY = 0.01  # of the squares of all inputs
OUTSIDE = 0.02  # the share of the targets' range
WEAK, STRONG = 1e-2, 30.0  # ‖δ‖ of the first layer, by that of the last
HUGE = 20.0  # of a signal, where inputs are about 1
FLAT = {"sigmoid", "tanh", "softplus"}  # activations whose σ′ is below 1
RANGES = {  # of outputs
    "sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "relu": (0.0, None),
    "softplus": (0.0, None),
    "elu": (-1.0, None),
}


def constant_inputs(evidence: Evidence) -> Suspicion | None:
    data = evidence.data
    if data.constant < data.inputs or data.samples < 2:
        return None
    cure = Cure({}, "look at how the inputs are made: there is nothing to learn from")
    return _constant(evidence, "", cure)


def mostly_constant_inputs(evidence: Evidence) -> Suspicion | None:
    """Inputs that never change, and are so large that the others hardly count."""
    data = evidence.data
    varied = data.inputs - data.constant
    # A few small ones, as the corners of images are, do no harm.
    if not varied or data.constant < MANY * data.inputs:
        return None
    share = varied * data.largest_rms**2 / (data.inputs * data.rms**2)
    if share > HARDLY:
        return None
    says = f", and make up {1 - share:.1%} of what the network is given"
    return _constant(evidence, says, _standard("which makes the constant inputs 0"))


def _constant(evidence: Evidence, more: str, cure: Cure) -> Suspicion:
    data = evidence.data
    return Suspicion(
        1.0,
        (),
        {"constant": data.constant, "inputs": data.inputs},
        f"{data.constant:,} of {count_of(data.inputs, 'input')} never differ in "
        f"{data.samples:,} samples{more}",
        (cure,),
    )


def spoilt_sample(evidence: Evidence) -> Suspicion | None:
    """The origin of NaN, where it is a number of the data."""
    outlier = evidence.data.outlier
    if outlier is None:
        return None
    found = {
        "sample": outlier.sample,
        "quantity": outlier.quantity,
        "value": outlier.value,
        "usual": outlier.usual,
    }
    return Suspicion(
        1.0,
        (),
        found,
        f"sample {outlier.sample} has the {outlier.quantity} {outlier.value:.3g}, all others have "
        f"at most {outlier.usual:.3g}",
        (
            Cure(
                {}, f"correct sample {outlier.sample}, or take it out", "leave_out", outlier.sample
            ),
        ),
    )


def output_range(evidence: Evidence) -> Suspicion | None:
    output, (low, high) = evidence.settings.output, evidence.data.targets
    if output.activation not in RANGES or evidence.data.class_shares:
        return None
    least, most = RANGES[output.activation]
    margin = OUTSIDE * (high - low)
    below = least is not None and low < least - margin
    above = most is not None and high > most + margin
    if not below and not above:
        return None
    reach = f"from {least:g} to {most:g}" if most is not None else f"from {least:g} up"
    return Suspicion(
        1.0,
        (output.name,),
        {"activation": output.activation, "least_target": low, "largest_target": high},
        f"targets go from {low:.3g} to {high:.3g}, {output.activation} outputs {reach}",
        (
            Cure({_key(output, "activation"): "identity"}, "outputs without limits"),
            Cure(
                {_key(output, "activation"): "identity", "train.eta": evidence.settings.eta / 10},
                "outputs without limits, and a smaller step",
            ),
        ),
    )


def input_scale(evidence: Evidence) -> Suspicion | None:
    data = evidence.data
    if data.constant == data.inputs or data.outlier is not None:
        return None
    signs: list[str] = []
    if data.rms > LARGE_RMS:
        signs.append(f"inputs of about {data.rms:.3g}")
    elif data.rms < SMALL_RMS:
        signs.append(f"inputs of about {data.rms:.3g} only")
    if data.largest_rms > SPREAD_OF_RMS * data.smallest_rms and data.rms > 1:
        signs.append(f"some of {data.largest_rms:.3g}, others of {data.smallest_rms:.3g}")
    if data.offset > FAR_OFF:
        signs.append(f"a mean of up to {data.offset:.3g} deviations from 0")
    if not signs:
        return None
    return Suspicion(
        min(1.0, 0.3 * len(signs) + (0.4 if not 0.01 < data.rms < 20 else 0)),
        (evidence.settings.layers[0].name,),
        {
            "rms": data.rms,
            "largest_rms": data.largest_rms,
            "smallest_rms": data.smallest_rms,
            "offset": data.offset,
        },
        f"the network is given {', '.join(signs)}; first weights are made for inputs of about 1",
        (_standard("each input to mean 0 and deviation 1"),),
    )


def _standard(says: str) -> Cure:
    return Cure({"data.scale": "standard"}, f"scale the inputs: {says}")


def symmetric_start(evidence: Evidence) -> Suspicion | None:
    # Units of the same weights part where those behind them take them by different weights.
    names = tuple(
        one.name for one, other in pairwise(evidence.start) if one.identical and other.alike
    )
    if not names:
        return None
    widths = {facts.name: facts.width for facts in evidence.settings.hidden}
    return Suspicion(
        1.0,
        names,
        {"units": {name: widths[name] for name in names}},
        f"all units of {_listed(names)} begin with the same weights, and are taken by the same: "
        "equal units get equal gradients, and stay equal",
        (Cure(_redrawn(evidence.settings, evidence.settings.layers), "weights drawn at random"),),
    )


def dead_units(evidence: Evidence) -> Suspicion | None:
    found = _with(evidence, lambda state: state.dead >= MANY)
    if not found:
        return None
    shares = {facts.name: state.dead for facts, state in found}
    settings, layers = evidence.settings, [facts for facts, _ in found]
    worst = max(shares.values())
    parts = ", ".join(f"{share:.0%} of {name}" for name, share in shares.items())
    drawn = _redrawn(settings, settings.hidden)
    leaky = {_key(f, "activation"): "leaky_relu" for f in layers if f.activation == "relu"}
    return Suspicion(
        worst,
        tuple(shares),
        {"dead": shares},
        f"units that are 0 for every sample, before the first step: {parts}; σ′ = 0, so they get "
        "no error and never learn",
        (
            Cure(drawn, "weights and biases that begin about 0"),
            *([Cure(leaky, "a slope below 0 too")] if leaky else []),
        ),
    )


def saturated_units(evidence: Evidence) -> Suspicion | None:
    found = [
        (facts, state)
        for facts, state in _with(evidence, lambda state: state.saturated >= MANY)
        if not facts.is_output
    ]
    if not found:
        return None
    shares = {facts.name: state.saturated for facts, state in found}
    settings = evidence.settings
    parts = ", ".join(f"{share:.0%} of {name}" for name, share in shares.items())
    return Suspicion(
        max(shares.values()),
        tuple(shares),
        {"saturated": shares, "z_rms": {facts.name: state.z_rms for facts, state in found}},
        f"|σ′| < 0.01 where the answer is wrong: {parts}; the first z are of about "
        f"{max(state.z_rms for _, state in found):.3g}",
        (Cure(_redrawn(settings, settings.layers), "weights that make z of about 1"),),
    )


def cost_mismatch(evidence: Evidence) -> Suspicion | None:
    settings, output = evidence.settings, evidence.settings.output
    if settings.cost != "quadratic" or not evidence.data.class_shares or not evidence.start:
        return None
    state = evidence.state(output.name)
    lost = state.saturated if output.activation in ("sigmoid", "tanh") else state.dead
    classes = len(evidence.data.class_shares)
    fitting = "softmax" if output.width > 1 else "sigmoid"
    sets: dict[str, Any] = {"train.cost": "cross_entropy"}
    cures = [Cure(sets, "δ = a − y, whatever σ′ is")] if output.activation == "sigmoid" else []
    if output.activation != fitting:
        sets = {_key(output, "activation"): fitting, **sets}
        cures.insert(0, Cure(sets, "δ = a − y, whatever σ′ is"))
    if output.activation != "sigmoid" and not lost:
        return None
    slope = f"below 0.01 for {lost:.0%} of the outputs of wrong answers"
    if not lost:  # which is so of a sigmoid only
        slope = "0.25 at most, and less the surer an output is, right or wrong"
    return Suspicion(
        max(lost, 0.3),
        (output.name,),
        {"activation": output.activation, "cost": settings.cost, "saturated_and_wrong": lost},
        f"{output.activation} outputs behind the quadratic cost for {classes} classes: δ = (a − y) "
        f"⊙ σ′, and σ′ is {slope}",
        tuple(cures),
    )


def exploding_signal(evidence: Evidence) -> Suspicion | None:
    states = evidence.start
    if len(states) < 2:
        return None
    first, last = states[0], states[-1]
    back = _ratio(first.delta_norm, last.delta_norm)
    size = max(last.z_rms, *(state.spread for state in states[:-1]))
    if back < STRONG and size < HUGE * max(1.0, evidence.data.rms):
        return None
    growing = tuple(b.name for a, b in pairwise(states) if b.z_rms > 2 * a.z_rms)
    settings = evidence.settings
    return Suspicion(
        min(1.0, max(back / 1000, states[-1].z_rms / 1000, 0.3)),
        growing or tuple(state.name for state in states),
        {"delta_first_to_last": back, "z_rms": {state.name: state.z_rms for state in states}},
        f"z grows from {first.z_rms:.3g} in {first.name} to {last.z_rms:.3g} in {last.name}, and "
        f"the error signal on its way back by {back:.3g}",
        (Cure(_redrawn(settings, settings.layers), "weights that keep the size of a signal"),),
    )


def vanishing_signal(evidence: Evidence) -> Suspicion | None:
    states, settings = evidence.start, evidence.settings
    if len(states) < 3:
        return None
    back = _ratio(states[0].delta_norm, states[-1].delta_norm)
    if not 0 < back < WEAK:
        return None
    factors = {a.name: _ratio(a.delta_norm, b.delta_norm) for a, b in pairwise(states)}
    names = tuple(name for name, factor in factors.items() if factor < 0.5)
    spreads = [state.spread for state in states[:-1]]
    cures = [Cure(_redrawn(settings, settings.layers), "weights that keep the size of a signal")]
    for activation, says in (("relu", "σ′ = 1 for units that are on"), ("tanh", "σ′ up to 1")):
        squashing = [f for f in settings.hidden if f.activation in FLAT - {activation}]
        if squashing:
            sets: dict[str, Any] = {_key(f, "activation"): activation for f in squashing}
            others = [f._replace(activation=activation) for f in squashing]
            kept = [f for f in settings.layers if f not in squashing]
            cures.append(Cure(sets | _redrawn(settings, [*others, *kept]), says))
    return Suspicion(
        0.5 if back > 1e-3 else 1.0,
        names or tuple(factors),
        {"delta_first_to_last": back, "factors": factors, "spread": spreads[-1]},
        f"of the error signal {back:.3g} is left in {states[0].name}: times "
        f"{_listed(tuple(f'{x:.2g}' for x in reversed(factors.values())))} on its way down",
        tuple(cures),
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _with(evidence: Evidence, holds: Any) -> list[tuple[LayerFacts, LayerState]]:
    facts = {layer.name: layer for layer in evidence.settings.layers}
    return [(facts[state.name], state) for state in evidence.start if holds(state)]


def _redrawn(settings: Settings, layers: Iterable[LayerFacts]) -> dict[str, Any]:
    """Keys that make layers draw their weights by the default for their activation."""
    sets: dict[str, Any] = {}
    if settings.init_from is not None:
        sets["train.init_from"] = None
    for facts in layers:
        if facts.has_weights and settings.init_from is None:
            sets[_key(facts, "weights")] = None
        if facts.init is not None and facts.init != default_initialiser(facts.activation):
            sets[_key(facts, "init")] = default_initialiser(facts.activation)
        if facts.has_biases:
            sets[_key(facts, "bias")] = True
    return sets


def _key(facts: LayerFacts, key: str) -> str:
    return f"network[{facts.place}].{key}"


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


assert set(RANGES) <= set(ACTIVATIONS)
