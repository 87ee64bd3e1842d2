"""The symbols of a step: a line for each, and a number of the step that it stands for."""

from collections.abc import Callable
from typing import NamedTuple

from nncli.inspection.derivation.base import at_largest, indexed, place_of
from nncli.inspection.derivation.focus import Focus
from nncli.inspection.exercises.working import Working, working
from nncli.nn.links import Adam, Momentum, WeightDecay
from nncli.nn.measures import norm
from nncli.nn.trace import LayerTrace, Trace

Index = tuple[int, ...]
MOST_TERMS = 4  # of a sum that is written out


class Number(NamedTuple):
    """A number of the step.

    Attributes:
        symbol: with its indices, such as w_01.
        value: the number.
        where: the layer; "" where it is the whole step's.
        working: the products that it is made of, where they are few.
    """

    symbol: str
    value: float
    where: str = ""
    working: Working | None = None


class Entry(NamedTuple):
    """A symbol of the glossary: what it is called, a line about it, and a number."""

    symbol: str
    name: str
    line: str
    number: Number


class Place(NamedTuple):
    """Where numbers are taken: the output layer and its unit with the largest error.

    `below` is the layer before it that has weights, or the same where there is none.
    """

    trace: Trace
    focus: Focus
    output: LayerTrace
    below: LayerTrace

    def unit(self, layer: LayerTrace) -> Index:
        return self.focus.place(layer)

    def weight(self, layer: LayerTrace) -> Index:
        """The weight of the followed unit with the largest gradient."""
        assert layer.weight_gradient is not None
        unit = self.unit(layer)[0]
        if layer.type == "dense":
            return at_largest(layer.weight_gradient[:, unit]), unit
        of_filter = layer.weight_gradient[unit]
        return (unit, *place_of(at_largest(of_filter), of_filter.shape))


Find = Callable[[Place], Number | None]


class Word(NamedTuple):
    """A row of the glossary; `find` gives None where the step has no such thing."""

    symbol: str
    name: str
    line: str
    find: Find


def glossary(trace: Trace) -> tuple[Entry, ...]:
    """The symbols that a step has, each with a number of it."""
    learners = [x for x in trace.layers if x.delta is not None and x.weight is not None]
    focus = Focus.of(trace, 0)
    place = Place(trace, focus, learners[-1], learners[max(0, len(learners) - 2)])
    found = ((word, word.find(place)) for word in WORDS)
    return tuple(
        Entry(word.symbol, word.name, word.line, number)
        for word, number in found
        if number is not None
    )


def _of_unit(letter: str, key: str, *, below: bool = False) -> Find:
    """A quantity of the unit that is followed."""

    def find(place: Place) -> Number | None:
        layer = place.below if below else place.output
        array, index = layer.quantity(key), place.unit(layer)
        if array is None:
            return None
        return _number(place, layer, key, (place.focus.at, *index), indexed(letter, *index))

    return find


def _of_weight(letter: str, key: str) -> Find:
    """A quantity of a weight of that unit."""

    def find(place: Place) -> Number | None:
        index = place.weight(place.output)
        return _number(place, place.output, key, index, indexed(letter, *index))

    return find


def _of_bias(letter: str, key: str) -> Find:
    def find(place: Place) -> Number | None:
        if place.output.quantity(key) is None:
            return None
        index = place.unit(place.output)[:1]
        return _number(place, place.output, key, index, indexed(letter, *index))

    return find


def _number(place: Place, layer: LayerTrace, key: str, index: Index, symbol: str) -> Number:
    array = layer.quantity(key)
    assert array is not None
    made = None
    if key not in ("weight", "bias", "input"):
        made = working(place.trace, f"{layer.name}.{key}", index)
    if made is not None and len(made.terms) > MOST_TERMS:
        made = None
    return Number(symbol, float(array[index]), layer.name, made)


def _upstream(place: Place) -> Number | None:
    """Of the quadratic cost, whose derivative is a difference."""
    return None if place.trace.cost.error_is_delta else _of_unit("∂C/∂a", "upstream")(place)


def _downstream(place: Place) -> Number | None:
    """What flows back to the layer below, where that has a number to show."""
    layer = place.output
    if layer.type != "dense" or layer is place.trace.layers[0]:
        return None
    unit = place.focus.input_unit(layer)
    index = (place.focus.at, unit)
    return _number(place, layer, "downstream", index, indexed("∂C/∂a", unit))


def _hadamard(place: Place) -> Number | None:
    for layer in (place.output, place.below):
        if layer.sigma_prime is not None and not place.focus.is_fused(layer):
            index = place.unit(layer)
            return _number(place, layer, "delta", (place.focus.at, *index), indexed("δ", *index))
    return None


def _outer(place: Place) -> Number | None:
    """One product of a sample: an input times a δ."""
    layer = place.output
    if layer.type != "dense":
        return None
    row, unit = place.weight(layer)
    assert layer.delta is not None
    a, delta = layer.input[place.focus.at, row], layer.delta[place.focus.at, unit]
    made = Working(((float(a), float(delta)),))
    return Number(indexed("(a ⊗ δ)", row, unit), float(a * delta), layer.name, made)


def _inputs(place: Place) -> Number:
    inputs = place.trace.inputs[place.focus.at]
    index = place_of(int(inputs.argmax()), inputs.shape)
    return Number(indexed("x", *index), float(inputs[index]))


def _target(place: Place) -> Number:
    index = place.unit(place.trace.layers[-1])
    value = float(place.trace.targets[(place.focus.at, *index)])
    return Number(indexed("y", *index), value)


def _window(place: Place) -> Number | None:
    conv = next((x for x in place.trace.layers if x.type == "conv"), None)
    if conv is None:
        return None
    assert conv.weight is not None
    index = place_of(at_largest(conv.weight), conv.weight.shape)
    return Number(indexed("w", *index), float(conv.weight[index]), conv.name)


def _of_link(kind: type, symbol: str, setting: str) -> Find:
    def find(place: Place) -> Number | None:
        link = next((link for link in place.trace.links if isinstance(link, kind)), None)
        value = float(link.settings()[setting]) if link is not None else 0.0
        return Number(symbol, value) if value else None

    return find


def _of_step(symbol: str, value: Callable[[Trace], float]) -> Find:
    return lambda place: Number(symbol, value(place.trace))


def _norm(place: Place) -> Number:
    layer = place.output
    assert layer.weight_gradient is not None
    return Number("‖∂C/∂W‖", norm(layer.weight_gradient), layer.name)


WORDS = (
    Word("x", "input", "a number that goes into the network", _inputs),
    Word("y", "target", "what should come out for it", _target),
    Word("W", "weights", "w_ij says how much of input i goes to unit j", _of_weight("w", "weight")),
    Word("b", "bias", "what a unit adds to its sum", _of_bias("b", "bias")),
    Word("z", "weighted sum", "z_j = Σ_i a_i w_ij + b_j, before σ", _of_unit("z", "z")),
    Word("a", "activation", "a = σ(z): what a unit gives to the next layer", _of_unit("a", "a")),
    Word(
        *("σ′(z)", "slope of σ", "how much a changes for a little change of z"),
        lambda place: (
            _of_unit("σ′", "sigma_prime")(place) or _of_unit("σ′", "sigma_prime", below=True)(place)
        ),
    ),
    Word(
        *("C", "cost", "how wrong the network is on the mini-batch; it is to become small"),
        _of_step("C", lambda trace: trace.cost_before),
    ),
    Word("∂C/∂a", "derivative by a", "how C_x changes for a little change of a", _upstream),
    Word(
        "δ",
        "error of a unit",
        "∂C_x/∂z: how C_x changes for a little change of z",
        _of_unit("δ", "delta"),
    ),
    Word("⊙", "Hadamard product", "entry by entry, as in δ = ∂C/∂a ⊙ σ′(z)", _hadamard),
    Word(
        *("ᵀ", "transposed", "rows as columns: δ Wᵀ takes W the other way, back to a"),
        _downstream,
    ),
    Word(
        *("⊗", "Kronecker product", "of a column and a row, the outer product: all pairs a_i δ_j"),
        _outer,
    ),
    Word(
        *("∂C/∂W", "gradient", "how C changes for a little change of each weight"),
        _of_weight("∂C/∂w", "weight_gradient"),
    ),
    Word(
        "∂C/∂b",
        "gradient of b",
        "the mean of δ over the samples",
        _of_bias("∂C/∂b", "bias_gradient"),
    ),
    Word(
        "η",
        "learning rate",
        "how far a step goes against the gradient",
        _of_step("η", lambda t: t.eta),
    ),
    Word("λ", "weight decay", "pulls each weight to 0", _of_link(WeightDecay, "λ", "weight_decay")),
    Word(
        "μ",
        "momentum",
        "how much of the last step's velocity is kept",
        _of_link(Momentum, "μ", "momentum"),
    ),
    Word(
        "β₁",
        "Adam's first rate",
        "how much of the mean gradient is kept",
        _of_link(Adam, "β₁", "beta1"),
    ),
    Word(
        "β₂",
        "Adam's second rate",
        "how much of the mean square is kept",
        _of_link(Adam, "β₂", "beta2"),
    ),
    Word(
        "ΔW",
        "update",
        "what the step adds to W: −η ∂C/∂W where nothing else is asked for",
        _of_weight("Δw", "weight_update"),
    ),
    Word("W new", "new weights", "W + ΔW", _of_weight("w new", "weight_new")),
    Word(
        "n",
        "mini-batch",
        "how many samples C and its gradients are the mean of",
        _of_step("n", lambda t: len(t.inputs)),
    ),
    Word("‖ ‖", "norm", "the root of the sum of squares: the length of an array", _norm),
    Word(
        "filter",
        "of a conv layer",
        "its weights: they slide over the image, one window a z",
        _window,
    ),
)
