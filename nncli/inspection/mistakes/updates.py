"""Mistakes of optimizers: each is a chain of links with one of them changed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nncli.inspection.mistakes.graph import Rule, Values
from nncli.inspection.mistakes.rules import update_rules
from nncli.inspection.mistakes.scene import Change, Mistake, Scene
from nncli.nn.arrays import Array
from nncli.nn.clipping import Clip, ClipNorm
from nncli.nn.links import (
    GRADIENT,
    L1,
    UPDATE,
    VELOCITY,
    Adam,
    Link,
    Momentum,
    Vectors,
    WeightDecay,
    before,
)

Formula = Callable[[Array, Vectors], dict[str, Array]]


@dataclass(frozen=True)
class Wrong(Link):
    """A link whose formula is another; its state and terms are those of the right one."""

    name = "wrong"
    right: Link
    by: Formula

    @property
    def state(self) -> tuple[str, ...]:
        return self.right.state

    @property
    def terms(self) -> tuple[str, ...]:
        return self.right.terms

    def on(self, parameter: str) -> Link:
        return replace(self, right=self.right.on(parameter))

    def formula(self, incoming: Array, values: Vectors) -> dict[str, Array]:
        return self.by(incoming, values)


def _with(
    s: Scene,
    kind: type[Link],
    wrong: Callable[[Link], Link],
    *,
    keys: tuple[str, ...] = ("weight", "bias"),
    scalars: Mapping[str, Array] | None = None,
) -> dict[str, Rule]:
    """The update with each link of a kind replaced by what `wrong` makes of it."""
    links = tuple(wrong(x) if isinstance(x, kind) else x for x in s.trace.links)
    return _by(s, links, keys=keys, scalars=scalars)


def _by(
    s: Scene,
    links: tuple[Link, ...],
    *,
    keys: tuple[str, ...] = ("weight", "bias"),
    scalars: Mapping[str, Array] | None = None,
) -> dict[str, Rule]:
    """The update of all weights, biases or both by these links."""
    rules: dict[str, Rule] = {}
    for layer in s.trace.layers:
        for key in layer.optimizer:
            if key in keys:
                rules |= update_rules(s.trace, layer, key, links, scalars)
    return rules


def _links(s: Scene, kind: type[Link]) -> Iterator[Link]:
    return (link for link in s.trace.links if isinstance(link, kind))


def _momentum(s: Scene) -> Iterator[Change]:
    def velocity(made: Callable[[Array, Array, float], Array]) -> dict[str, Rule]:
        def wrong(link: Link) -> Link:
            assert isinstance(link, Momentum)
            mu, nesterov = link.momentum, link.nesterov

            def by(g: Array, values: Vectors) -> dict[str, Array]:
                v = made(g, values[before(VELOCITY)], mu)
                return {VELOCITY: v, **({"lookahead": g + mu * v} if nesterov else {})}

            return Wrong(link, by)

        return _with(s, Momentum, wrong)

    eta = s.trace.eta
    for _ in _links(s, Momentum):
        yield Change(
            "v = g − μ v: the old velocity has the wrong sign",
            "",
            velocity(lambda g, v, m: g - m * v),
        )
        yield Change("v = g: the old velocity is left out", "", velocity(lambda g, v, m: g))
        yield Change("v = g + v: μ is left out", "", velocity(lambda g, v, m: g + v))
        yield Change("v = (1 − μ) g + μ v", "", velocity(lambda g, v, m: (1 - m) * g + m * v))
        yield Change(
            "v = η g + μ v, and η again behind it", "", velocity(lambda g, v, m: eta * g + m * v)
        )
        yield Change("v = μ (g + v)", "", velocity(lambda g, v, m: m * (g + v)))
        if eta not in (0, 1):
            rules = {
                f"{p}_{UPDATE}": _update_without_eta(f"{p}_{_outgoing(s)}") for p in s.parameters
            }
            yield Change("ΔW = −v: η is left out", "", rules)


def _outgoing(s: Scene) -> str:
    """What the last link but one hands on."""
    return s.trace.links[-2].outgoing


def _update_without_eta(direction: str) -> Rule:
    return lambda v: -v[direction]


def _weight_decay(s: Scene) -> Iterator[Change]:
    def decay(factor: float) -> Callable[[Link], Link]:
        def wrong(link: Link) -> Link:
            assert isinstance(link, WeightDecay)
            return replace(link, weight_decay=factor * link.weight_decay)

        return wrong

    for link in _links(s, WeightDecay):
        assert isinstance(link, WeightDecay)
        for factor, words in (
            (0, "is left out"),
            (2, "is taken twice"),
            (-1, "has the wrong sign"),
            (0.5, "is halved"),
        ):
            for keys in (("weight", "bias"), ("weight",), ("bias",)):
                which = "" if len(keys) == 2 else f" of each {keys[0]}"
                rules = _with(s, WeightDecay, decay(factor), keys=keys)
                yield Change(f"the decay{which} {words}", "", rules)
        if link.spares:
            unsparing = WeightDecay(link.weight_decay, link.decoupled)
            spared = _with(s, WeightDecay, lambda _, other=unsparing: other)  # type: ignore[misc]
            yield Change("what is to be spared decays too", "", spared)
        if s.trace.eta != 1:
            yield Change("the decay is not multiplied by η", "", _decay_without_eta(s, link))
        if len(s.trace.links) > 2:
            passed = "passes by the other links" if not link.decoupled else "passes through them"
            yield Change(f"the decay {passed}", "", _decay_moved(s, link))


def _decay_without_eta(s: Scene, link: WeightDecay) -> dict[str, Rule]:
    """W_new = (1 − λ) W − η d, with d without the decay."""
    rules = _with(s, WeightDecay, lambda _: replace(link, weight_decay=0.0))

    def rule(name: str, right: Rule) -> Rule:
        own = link.on(name)
        return lambda v: right(v) - own.weight_decay * v[name]

    return rules | {f"{p}_{UPDATE}": rule(p, rules[f"{p}_{UPDATE}"]) for p in s.parameters}


def _decay_moved(s: Scene, link: WeightDecay) -> dict[str, Rule]:
    """Coupled for decoupled decay, or the other way round."""
    others = [x for x in s.trace.links if not isinstance(x, WeightDecay)]
    moved = replace(link, decoupled=not link.decoupled)
    links = [moved, *others] if link.decoupled else [*others[:-1], moved, others[-1]]
    return _by(s, tuple(links))


def _nesterov(s: Scene) -> Iterator[Change]:
    def ahead(made: Callable[[Array, Array, Array, float], Array]) -> dict[str, Rule]:
        def wrong(link: Link) -> Link:
            assert isinstance(link, Momentum)
            mu = link.momentum

            def by(g: Array, values: Vectors) -> dict[str, Array]:
                old = values[before(VELOCITY)]
                v = mu * old + g
                return {VELOCITY: v, "lookahead": made(g, v, old, mu)}

            return Wrong(link, by)

        return _with(s, Momentum, wrong)

    for link in _links(s, Momentum):
        assert isinstance(link, Momentum)
        if link.nesterov:
            yield Change("ΔW = −η v, without looking ahead", "", ahead(lambda g, v, old, m: v))
            way = "it looks ahead by the velocity before this step"
            yield Change(way, "", ahead(lambda g, v, old, m: g + m * old))
            yield Change("v + μ v: g is missing", "", ahead(lambda g, v, old, m: v + m * v))
        else:
            yield Change("it looks ahead, which is not asked for", "", _looking_ahead(s, link))


def _looking_ahead(s: Scene, link: Momentum) -> dict[str, Rule]:
    return _by(s, tuple(replace(x, nesterov=True) if x is link else x for x in s.trace.links))


def _adam_correction(s: Scene) -> Iterator[Change]:
    names = ("first_correction", "second_correction")
    for link in _links(s, Adam):
        assert isinstance(link, Adam)
        t = int(s.trace.scalars["adam_steps"])
        one = np.asarray(1.0)
        left_out = {
            "neither m nor v is corrected": dict.fromkeys(names, one),
            "m is not corrected": {names[0]: one},
            "v is not corrected": {names[1]: one},
        }
        epoch = -(-t // s.steps_an_epoch)
        for other, what in (
            (t - 1, "counted from 0"),
            (t + 1, "one too many"),
            (1, "always 1"),
            (epoch, "the epoch"),
        ):
            if other not in (0, t):
                left_out.setdefault(
                    f"t is {other}, not {t}: {what}",
                    {
                        names[0]: np.asarray(1 - link.beta1**other),
                        names[1]: np.asarray(1 - link.beta2**other),
                    },
                )
        for way, scalars in left_out.items():
            numbers = {**s.trace.scalars, **scalars}
            yield Change(way, "", _with(s, Adam, lambda x: x, scalars=numbers))


def _adam_epsilon(s: Scene) -> Iterator[Change]:
    def inside(link: Link) -> Link:
        assert isinstance(link, Adam)

        def by(g: Array, values: Vectors) -> dict[str, Array]:
            made = link.formula(g, values)
            root = np.sqrt(made["second_moment_corrected"] + link.epsilon)
            return {
                **made,
                "adam_denominator": root,
                "adam_direction": made["first_moment_corrected"] / root,
            }

        return Wrong(link, by)

    def left_out(link: Link) -> Link:
        assert isinstance(link, Adam)
        return replace(link, epsilon=0.0)

    for _ in _links(s, Adam):
        yield Change("ε is inside the root", "", _with(s, Adam, inside))
        yield Change("ε is left out", "", _with(s, Adam, left_out))


def _in_place_of(
    s: Scene, kind: type[Link], made: Callable[[Any, Array, Values, str], Array]
) -> dict[str, Rule]:
    """What a link hands on, made otherwise from it, what comes in, all values and a parameter."""
    rules: dict[str, Rule] = {}
    for link in _links(s, kind):
        for p in s.parameters:

            def rule(
                v: Values, p: str = p, link: Link = link, of: str = _incoming(s, link)
            ) -> Array:
                return made(link.on(p), v[f"{p}_{of}"], v, p)

            rules[f"{p}_{link.outgoing}"] = rule
    return rules


def _incoming(s: Scene, link: Link) -> str:
    """What the link before it hands on."""
    k = s.trace.links.index(link)
    return s.trace.links[k - 1].outgoing if k else GRADIENT


def _clipping(s: Scene) -> Iterator[Change]:
    def length(arrays: Iterable[Array]) -> float:
        return float(np.sqrt(sum(np.vdot(a, a) for a in arrays)))

    def factor(link: ClipNorm, norm: float) -> float:
        return min(1.0, link.norm / (norm + link.EPSILON))

    for link in _links(s, Clip):
        gradient = _incoming(s, link)

        def of(v: Values, layer: str = "", gradient: str = gradient) -> list[Array]:
            """The gradients of a layer, or of all."""
            return [v[f"{p}_{gradient}"] for p in s.parameters if p.startswith(layer)]

        left_out = _in_place_of(s, Clip, lambda link, g, v, p: g)
        yield Change("it is left out", "", left_out)
        if not isinstance(link, ClipNorm):
            above = _in_place_of(s, Clip, lambda link, g, v, p: np.minimum(g, link.value))
            yield Change("entries are limited from above only", "", above)
            way = "the norm is limited, not each entry"

            def by_norm(link: Any, g: Array, v: Values, p: str) -> Array:
                return factor(ClipNorm(link.value), length(of(v))) * g

            yield Change(way, "", _in_place_of(s, Clip, by_norm))
            continue
        for way, made in (
            (
                "each weight and bias is clipped by its own norm, not by that of all",
                lambda link, g, v, p: factor(link, length([g])) * g,
            ),
            (
                "each layer is clipped by its own norm, not by that of all",
                lambda link, g, v, p: factor(link, length(of(v, p.split(".")[0] + "."))) * g,
            ),
            (
                "it is scaled to the limit though its norm is below",
                lambda link, g, v, p: link.norm / (length(of(v)) + link.EPSILON) * g,
            ),
            (
                "each entry is limited, not the norm",
                lambda link, g, v, p: np.clip(g, -link.norm, link.norm),
            ),
        ):
            yield Change(way, "", _in_place_of(s, Clip, made))


def _l1(s: Scene) -> Iterator[Change]:
    def by(made: Callable[[Array, float], Array]) -> dict[str, Rule]:
        return _in_place_of(s, L1, lambda link, g, v, p: g + made(v[p], link.l1))

    for link in _links(s, L1):
        assert isinstance(link, L1)
        yield Change("it is left out", "", by(lambda w, c: 0 * w))
        yield Change("it has the wrong sign", "", by(lambda w, c: -c * np.sign(w)))
        yield Change("λ W stands for λ sign(W), as if it were L2", "", by(lambda w, c: c * w))
        yield Change("λ |W| stands for λ sign(W)", "", by(lambda w, c: c * np.abs(w)))
        yield Change("λ stands for λ sign(W)", "", by(lambda w, c: c + 0 * w))
        if link.spares:
            way = "what is to be spared is drawn to 0 too"
            unsparing = L1(link.l1)
            yield Change(way, "", _with(s, L1, lambda _, other=unsparing: other))  # type: ignore[misc]
        else:
            way = "it is left out for each bias"
            none = _with(s, L1, lambda _: L1(0.0), keys=("bias",))
            yield Change(way, "", none)


def _bias_not_updated(s: Scene) -> Iterator[Change]:
    def rule(name: str) -> Rule:
        return lambda v: np.zeros_like(v[name])

    for name in s.parameters:
        yield Change("", name, {f"{name}_{UPDATE}": rule(name)})


UPDATES = (
    Mistake(
        "momentum",
        "Momentum is computed otherwise.",
        "v = μ v + ∂C/∂W, ΔW = −η v",
        "the sign of μ v, and where η stands",
        _momentum,
    ),
    Mistake(
        "weight_decay",
        "The weight decay is computed otherwise.",
        "g = ∂C/∂W + λ W, of weights and biases alike",
        "which parameters decay, and how often λ W is added",
        _weight_decay,
    ),
    Mistake(
        "nesterov",
        "The look-ahead of Nesterov's momentum is computed otherwise.",
        "v = μ v + g, ΔW = −η (g + μ v), with the new v",
        "what ΔW is made of",
        _nesterov,
    ),
    Mistake(
        "adam_correction",
        "Adam's correction of its means is computed otherwise.",
        "m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ), t counting steps from 1",
        "t, and whether both means are corrected",
        _adam_correction,
    ),
    Mistake(
        "adam_epsilon",
        "Adam's ε is in the wrong place.",
        "m̂ / (√v̂ + ε)",
        "the denominator",
        _adam_epsilon,
    ),
    Mistake(
        "clipping",
        "The gradient is not clipped, or by another norm.",
        "g = ∂C/∂W min(1, c / ‖∇C‖), with the norm over all weights and biases together",
        "which arrays the norm is taken of, and whether it comes before the optimizer",
        _clipping,
    ),
    Mistake(
        "l1",
        "The L1 penalty is computed otherwise.",
        "g = ∂C/∂W + λ sign(W), with sign(0) = 0",
        "which parameters it is of, and the derivative of |W|",
        _l1,
    ),
    Mistake(
        "not_updated",
        "A parameter is left as it was.",
        "W_new = W + ΔW, for weights and biases",
        "whether every parameter takes part in the update",
        _bias_not_updated,
    ),
)
