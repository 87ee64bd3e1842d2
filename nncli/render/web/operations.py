"""A step as a list of operations in the order in which it computes: what the step player plays.

Each operation makes one quantity of one layer. It is written in up to four views of the same line,
and each view as terms with signs between them, the result last, which a page fills with numbers.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from nncli.nn.layers import Formula
from nncli.nn.layers.conv import Conv
from nncli.nn.layers.dense import Dense
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.notation import SYMBOL, error_words

FORWARD, BACKWARD, UPDATE = "forward", "backward", "update"
FORWARD_WORDS = {
    "maxpool": "a = the largest cell of each window",
    "avgpool": "a = the mean of each window",
    "global_avgpool": "a = the mean of each channel",
    "flatten": "a = the same numbers, in one row",
}
BACKWARD_WORDS = {
    "maxpool": "∂C/∂input: the whole ∂C/∂a to the cell that was largest",
    "avgpool": "∂C/∂input: an equal share of ∂C/∂a to each cell",
    "global_avgpool": "∂C/∂input: an equal share of ∂C/∂a to each cell",
    "flatten": "∂C/∂input = the same numbers, in the image's shape",
}


class Term(NamedTuple):
    """An array of the record in an equation.

    Attributes:
        name: as in the record, `layer.quantity`, `inputs` or `targets`.
        symbol: what is written over it.
        form: how it is laid out: "" rows x columns as it is; "transposed"; "column" and "row", of a
            vector; "vec", all rows one after the other in a column; "diagonal", a vector written
            out as a diagonal matrix.
    """

    name: str
    symbol: str
    form: str = ""


class View(NamedTuple):
    """One way of writing an operation: its formula, and its terms with a sign between each two."""

    formula: str
    terms: tuple[Term, ...]
    signs: str = ""


class Operation(NamedTuple):
    """One line of a step.

    Attributes:
        layer: its name.
        phase: forward, backward or update.
        makes: the name of the array that it makes.
        product: which kind of product it is, in words.
        views: by name, of matrix, hadamard, kronecker and index those that there are.
    """

    layer: str
    phase: str
    makes: str
    product: str
    views: dict[str, View]


def operations(trace: Trace) -> list[Operation]:
    """All of a step: forward, backward from the output, update."""
    forward = [op for layer in trace.layers for op in _forward(layer)]
    backward = [op for layer in reversed(trace.layers) for op in _backward(trace, layer)]
    return [*forward, *backward, *(op for layer in trace.layers for op in _update(trace, layer))]


def _forward(layer: LayerTrace) -> Iterator[Operation]:
    kind = layer.placed.layer
    if layer.z is None:
        formulas = kind.forward_formulas or (
            Formula(FORWARD_WORDS.get(layer.type, ""), ("input", "a"), "→", ""),
        )
        yield from _by_formulas(layer, FORWARD, formulas)
        return
    product, sign = (
        ("matrix product", "·") if isinstance(kind, Dense) else ("windows ⊙ filter", "★")
    )
    written = "a W" if isinstance(kind, Dense) else "a ★ W"
    plus = " + b" if layer.bias is not None else ""
    terms = [_term(layer, "input", "a"), _term(layer, "weight")]
    if plus:
        terms.append(_term(layer, "bias"))
    views = {
        "matrix": View(
            f"z = {written}{plus}", (*terms, _term(layer, "z")), f"{sign}{'+' if plus else ''}="
        ),
        "index": View(f"z_j = Σ_i a_i w_ij{' + b_j' if plus else ''}", (_term(layer, "z"),))
        if isinstance(kind, Dense)
        else View(
            f"z_frc = Σ a w over channels and taps{' + b_f' if plus else ''}", (_term(layer, "z"),)
        ),
    }
    yield Operation(layer.name, FORWARD, f"{layer.name}.z", product, views)
    formula = f"a = {layer.activation}(z)"
    terms_of_a = (_term(layer, "z"), _term(layer, "a", f"{layer.activation}(z)"))
    yield _single(layer, FORWARD, "a", "none: unit by unit", View(formula, terms_of_a, "→"))


def _backward(trace: Trace, layer: LayerTrace) -> Iterator[Operation]:
    kind = layer.placed.layer
    is_last = layer is trace.layers[-1]
    fused = is_last and trace.cost.error_is_delta
    if is_last and not fused:
        yield from _error(trace, layer, "upstream", "∂C/∂a = a − y")
    if layer.delta is None:
        formulas = kind.backward_formulas or (
            Formula(BACKWARD_WORDS.get(layer.type, ""), ("upstream", "downstream"), "→", ""),
        )
        yield from _by_formulas(layer, BACKWARD, formulas)
        return
    if fused:
        yield from _error(trace, layer, "delta", "δ = a − y (σ′ has cancelled)")
    else:
        terms_of_prime = (_term(layer, "z"), _term(layer, "sigma_prime"))
        view = View(f"σ′(z), σ = {layer.activation}", terms_of_prime, "→")
        yield _single(layer, BACKWARD, "sigma_prime", "none: unit by unit", view)
        yield _delta(layer)
    yield _weight_gradient(trace, layer)
    if layer.bias is not None:
        mean = _mean(trace)
        over = " over rows and columns" if isinstance(kind, Conv) else ""
        view = View(
            f"∂C/∂b = {mean}δ{f', summed{over}' if over else ''}",
            (_term(layer, "delta"), _term(layer, "bias_gradient")),
            "→",
        )
        yield _single(layer, BACKWARD, "bias_gradient", "none: a sum", view)
    yield _downstream(layer)


def _error(trace: Trace, layer: LayerTrace, key: str, formula: str) -> Iterator[Operation]:
    """What goes back from the outputs: a − y, times w where classes have weights."""
    outputs = (_term(layer, "a"), Term("targets", "y"))
    if trace.sample_weights is None:
        view = View(formula, (*outputs, _term(layer, key)), "−=")
        yield _single(layer, BACKWARD, key, "none: a difference", view)
        return
    difference, weights = _term(layer, "difference", "a − y"), _term(layer, "sample_weights", "w")
    view = View("a − y", (*outputs, difference), "−=")
    yield _single(layer, BACKWARD, "difference", "none: a difference", view)
    terms = (weights, difference, _term(layer, key))
    view = View(f"{error_words(trace, formula)}, w: the weight of the class", terms, "⊙=")
    yield _single(layer, BACKWARD, key, "Hadamard", view)


def _delta(layer: LayerTrace) -> Operation:
    prime, upstream, delta = (_term(layer, key) for key in ("sigma_prime", "upstream", "delta"))
    views = {
        "hadamard": View("δ = ∂C/∂a ⊙ σ′(z)", (upstream, prime, delta), "⊙="),
        "index": View("δ_j = ∂C/∂a_j · σ′(z_j)", (delta,)),
    }
    if len(layer.placed.output_shape) == 1:
        diagonal = prime._replace(symbol="diag(σ′(z))", form="diagonal")
        columns = (upstream._replace(form="column"), delta._replace(form="column"))
        written = View("δ = diag(σ′(z)) ∂C/∂a", (diagonal, *columns), "·=")
        views |= {"matrix": written, "kronecker": written}
    return Operation(layer.name, BACKWARD, f"{layer.name}.delta", "Hadamard product", views)


def _weight_gradient(trace: Trace, layer: LayerTrace) -> Operation:
    a, delta = _term(layer, "input", "a"), _term(layer, "delta")
    gradient, mean = _term(layer, "weight_gradient"), _mean(trace)
    makes = f"{layer.name}.weight_gradient"
    if not isinstance(layer.placed.layer, Dense):
        views = {
            "matrix": View(f"∂C/∂W = {mean}(a ★ δ)", (a, delta, gradient), "★="),
            "index": View(f"∂C/∂w_fcij = {mean}Σ_rk a δ, over outputs", (gradient,)),
        }
        return Operation(layer.name, BACKWARD, makes, "windows ⊙ δ", views)
    outer = Term(f"{layer.name}.outer", "a ⊗ δ")
    n = len(trace.samples)
    last = (gradient,) if n == 1 else (outer, gradient)
    signs = "⊗=" if n == 1 else "⊗=→"
    column, row = a._replace(form="column"), delta._replace(form="row")
    vec = gradient._replace(form="vec", symbol="vec(∂C/∂W)")
    pieces = (column, delta._replace(form="column"))
    outer_vec = outer._replace(form="vec")
    views = {
        "matrix": View(
            f"∂C/∂W = {'' if n == 1 else f'1/{n} '}aᵀ δ",
            (a._replace(form="transposed", symbol="aᵀ"), delta, gradient),
            "·=",
        ),
        "hadamard": View(f"∂C/∂W = {mean}a ⊗ δ: row i is a_i ⊙ δ", (column, row, *last), signs),
        "kronecker": View(
            f"vec(∂C/∂W) = {mean}a ⊗ δ", (*pieces, *((vec,) if n == 1 else (outer_vec, vec))), signs
        ),
        "index": View(f"∂C/∂w_ij = {mean}a_i δ_j", (gradient,)),
    }
    return Operation(layer.name, BACKWARD, makes, "outer (Kronecker) product", views)


def _downstream(layer: LayerTrace) -> Operation:
    delta, weight = _term(layer, "delta"), _term(layer, "weight")
    result, makes = _term(layer, "downstream"), f"{layer.name}.downstream"
    if not isinstance(layer.placed.layer, Dense):
        view = View("∂C/∂input = δ ★ W turned (full)", (delta, weight, result), "★=")
        return Operation(layer.name, BACKWARD, makes, "δ ⊙ filter", {"matrix": view})
    turned = weight._replace(form="transposed", symbol="Wᵀ")
    views = {
        "matrix": View("∂C/∂input = δ Wᵀ", (delta, turned, result), "·="),
        "index": View("∂C/∂input_i = Σ_j δ_j w_ij", (result,)),
    }
    return Operation(layer.name, BACKWARD, makes, "matrix product", views)


def _update(trace: Trace, layer: LayerTrace) -> Iterator[Operation]:
    own = layer.placed.layer.symbols
    for key, usual in (("weight", "W"), ("bias", "b")):
        if getattr(layer, key) is None:
            continue
        w = own.get(key, usual)
        old, gradient, step, new = (
            Term(f"{layer.name}.{key}{part}", text)
            for part, text in (
                ("", w), ("_gradient", f"∂C/∂{w}"), ("_update", f"Δ{w}"), ("_new", f"{w} new")
            )
        )  # fmt: skip
        words = " and ".join(link.name for link in trace.links[:-1])
        formula = f"Δ{w} = −η ∂C/∂{w}" if not words else f"Δ{w}: ∂C/∂{w} with {words}, by −η"
        product = "none: a scaling"
        yield _single(layer, UPDATE, f"{key}_update", product, View(formula, (gradient, step), "→"))
        view = View(f"{w} new = {w} + Δ{w}", (old, step, new), "+=")
        yield _single(layer, UPDATE, f"{key}_new", "none: a sum", view)


def _by_formulas(
    layer: LayerTrace, phase: str, formulas: tuple[Formula, ...]
) -> Iterator[Operation]:
    """Of a kind that says by formulas what it computes."""
    for formula in formulas:
        terms = tuple(_term(layer, key) for key in formula.terms if layer.quantity(key) is not None)
        if terms:
            signs = (
                formula.signs if len(formula.signs) == len(terms) - 1 else "," * (len(terms) - 1)
            )
            view = View(formula.text, terms, signs)
            yield _single(layer, phase, formula.terms[-1], formula.product, view)


def _single(layer: LayerTrace, phase: str, key: str, product: str, view: View) -> Operation:
    return Operation(layer.name, phase, f"{layer.name}.{key}", product, {"matrix": view})


def _term(layer: LayerTrace, key: str, symbol: str = "") -> Term:
    name, _, part = key.partition("_")
    own = layer.placed.layer.symbols.get(name)
    if own is not None and not symbol:
        symbol = {"": own, "gradient": f"∂C/∂{own}"}.get(part, "")
    return Term(f"{layer.name}.{key}", symbol or SYMBOL[key])


def _mean(trace: Trace) -> str:
    n = len(trace.samples)
    return "" if n == 1 else f"1/{n} Σ_x "


def as_data(operation: Operation) -> dict[str, Any]:
    """As a page carries it."""
    views = {
        name: {"formula": view.formula, "signs": view.signs, "terms": [list(t) for t in view.terms]}
        for name, view in operation.views.items()
    }
    return {**operation._asdict(), "views": views}
