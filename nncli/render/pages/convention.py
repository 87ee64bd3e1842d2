"""A step as other texts and programs write it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nncli.app.records import InspectedStep
from nncli.core.text import join_words
from nncli.inspection.conventions import CONVENTIONS, Convention, WrittenLayer, WrittenStep, written
from nncli.nn.arrays import Array
from nncli.render.document import Block, Document, Grid, Heading, Page, Paragraph, equations
from nncli.render.pages.brief import verdict_words
from nncli.render.pages.kinds import Choices
from nncli.render.pages.matrices import WEIGHTS, units
from nncli.render.text import Extent, number


def convention_names() -> tuple[str, ...]:
    return tuple(CONVENTIONS)


def convention_document(step: InspectedStep, name: str, choices: Choices) -> Document:
    """A step in the convention of that name, for every format but a drawing."""
    convention = CONVENTIONS[name]
    trace = step.inspection.trace
    if choices.layer is not None:
        step.inspection.layer(choices.layer)  # refuses one that there is not
    made = written(trace, convention)
    page = convention_page(step, made, choices)
    return Document(
        trace.name, lambda: page, lambda: written_record(made, name), lambda: written_arrays(made)
    )


def convention_page(step: InspectedStep, made: WrittenStep, choices: Choices) -> Page:
    trace = made.trace
    chosen = [w for w in made.layers if choices.layer in (None, w.layer.name)]
    page: Page = [
        Heading(f"{trace.name}: one step, in the convention of {made.convention.title}", 0),
        banner(made),
        Paragraph(_loss_words(made)),
        Paragraph(exact_words(made), note=True),
        Paragraph(verdict_words(step)),
    ]
    for name, section in SECTIONS.items():
        if not choices.sections or name in choices.sections:
            in_order = list(reversed(chosen)) if name == "backward" else chosen
            page += [Heading(name, 1), *section(made, in_order, choices.extent)]
    return page


def banner(made: WrittenStep) -> Grid:
    """In what the convention differs from nncli's own."""
    ours, theirs = CONVENTIONS["rows"], made.convention
    parts: dict[str, Callable[[Convention], str]] = {
        "a sample is a": lambda c: "column" if c.samples_are_columns else "row",
        "weights are": lambda c: "units × inputs" if c.units_first else "inputs × units",
        "quadratic cost": lambda c: "½ Σ (a − y)²" if c.is_halved else "Σ (a − y)²",
        "error signals": lambda c: "divided by n" if c.error_is_mean else "of each sample",
        "gradients": lambda c: "summed over samples" if c.gradient_is_sum else "of the mean",
    }
    rows = [(part, words(theirs), words(ours)) for part, words in parts.items()]
    rows.append(("learning rate", f"{theirs.eta} = {made.eta:g}", f"η = {made.trace.eta:g}"))
    return Grid(("", "here", "nncli's own"), tuple(rows), words=3)


def _loss_words(made: WrittenStep) -> str:
    """The cost in numbers and, for PyTorch, as a call."""
    trace, factor = made.trace, made.cost_factor
    before, after = (number(factor * c, 10) for c in (trace.cost_before, trace.cost_after))
    words = f"The cost is {before} before the step and {after} after it"
    if factor != 1:
        words += (
            f", {factor} times nncli's C. Error signals and gradients have the factor {factor}, "
            "too; half of η takes the same step"
        )
    if made.convention is CONVENTIONS["torch"]:
        calls = "; ".join(line.removeprefix("return ") for line in trace.cost.pytorch)
        words += f". It is {calls}"
        if trace.cost.name == "quadratic":
            outputs = trace.targets.shape[-1]
            words += (
                f"; nn.MSELoss() alone, a mean over all outputs without ½, is 2/{outputs} of it"
            )
    if len(trace.links) > 1:
        names = join_words([link.name for link in trace.links[:-1]])
        words += f". The step is that of {names}; --section update without --convention shows how"
    return f"{words}."


def exact_words(made: WrittenStep) -> str:
    """Whether what is shown is the record to the last digit."""
    which = (
        "All numbers"
        if made.cost_factor == 1
        else f"Apart from the factor {made.cost_factor} all numbers"
    )
    if made.off == 0:
        return f"{which} are those of nncli's record: 0 units in the last place off it."
    scaled = "gradients" if made.convention.gradient_is_sum else "error signals"
    factor = "times" if made.convention.gradient_is_sum else "divided by"
    n = len(made.trace.samples)
    return (
        f"{which} are those of nncli's record, but for {scaled}, which are {factor} {n}, "
        f"rounded once: taken back they are off by at most {made.off:g} unit in the last place."
    )


Section = Callable[[WrittenStep, Sequence[WrittenLayer], Extent], Iterator[Block]]


def _forward(made: WrittenStep, layers: Sequence[WrittenLayer], extent: Extent) -> Iterator[Block]:
    for w in layers:
        arrays, symbols = w.arrays, w.symbols
        if "z" not in arrays:
            yield Heading(w.layer.name, 2)
            keys = ("input", "weight", "bias", "a") if "weight" in arrays else ("a",)
            yield from _shown(made, w, keys, extent)
            continue
        activation = f"{symbols['a']} = {w.layer.activation}({symbols['z']})"
        yield Heading(f"{w.layer.name}: {w.formulas['z']}, {activation}", 2)
        if arrays["weight"].ndim != 2:
            yield from _shown(made, w, ("input", "weight", "bias", "z", "a"), extent)
            continue
        terms = [(symbols["turned"], _acting(made, arrays)), (symbols["input"], arrays["input"])]
        if not made.convention.samples_are_columns:
            terms.reverse()
        signs = "·="
        if "bias" in arrays:
            terms.append((symbols["bias"], arrays["bias"]))
            signs = "·+="
        yield from equations([*terms, (symbols["z"], arrays["z"])], signs, extent)
        terms = [(symbols["z"], arrays["z"]), (symbols["a"], arrays["a"])]
        yield from equations(terms, "→", extent)


def _acting(made: WrittenStep, arrays: dict[str, Array] | Any) -> Array:
    """The weights as they stand in z's formula."""
    convention, weight = made.convention, arrays["weight"]
    turned: Array = weight.T if convention.units_first != convention.samples_are_columns else weight
    return turned


def _backward(made: WrittenStep, layers: Sequence[WrittenLayer], extent: Extent) -> Iterator[Block]:
    for w in layers:
        arrays, symbols = w.arrays, w.symbols
        is_last = w is made.layers[-1]
        fused = is_last and made.trace.cost.error_is_delta
        if "delta" not in arrays:
            yield Heading(w.layer.name, 2)
            shown = ("upstream", "weight_gradient", "bias_gradient", "downstream")
            yield from _shown(made, w, shown if "weight" in arrays else ("downstream",), extent)
            continue
        source = w.formulas["fused" if fused else "error"] if is_last else w.formulas["delta"]
        yield Heading(f"{w.layer.name}: {source}", 2)
        if is_last:
            error = (
                symbols["delta" if fused else "upstream"],
                arrays["delta" if fused else "upstream"],
            )
            terms = [(symbols["a"], arrays["a"]), (symbols["y"], made.targets), error]
            is_weighted = made.trace.sample_weights is not None
            is_plain = (
                made.cost_factor == 1
                and not is_weighted
                and (len(made.trace.samples) == 1 or not made.convention.error_is_mean)
            )
            yield from equations(terms, "−=" if is_plain else "−→", extent)
            if made.trace.sample_weights is not None:
                weights = ", ".join(f"{w:g}" for w in made.trace.sample_weights.tolist())
                yield Paragraph(
                    "The error of each sample is multiplied by the weight of its class besides: "
                    f"{weights}."
                )
        if not fused:
            if is_last:
                yield Paragraph(f"{w.formulas['delta']}:")
            terms = [(symbols[k], arrays[k]) for k in ("upstream", "sigma_prime", "delta")]
            yield from equations(terms, "⊙=", extent, units(made.trace))
        if arrays["weight"].ndim != 2:
            yield from _shown(made, w, ("weight_gradient", "bias_gradient", "downstream"), extent)
            continue
        yield Paragraph(f"{w.formulas['weight_gradient']}:")
        yield from _gradient(made, w, extent)
        if "bias_gradient" in arrays:
            yield Paragraph(f"{w.formulas['bias_gradient']}:")
            yield from _shown(made, w, ("bias_gradient",), extent)
        yield Paragraph(f"{w.formulas['downstream']}:")
        yield from _flow(made, w, extent)


def _gradient(made: WrittenStep, w: WrittenLayer, extent: Extent) -> Iterator[Block]:
    arrays, symbols = w.arrays, w.symbols
    delta, inputs = (symbols["delta"], arrays["delta"]), (symbols["input"], arrays["input"])
    if made.convention.samples_are_columns:
        terms = [delta, _transposed(inputs)]
    elif made.convention.units_first:
        terms = [_transposed(delta), inputs]
    else:
        terms = [_transposed(inputs), delta]
    convention, n = made.convention, len(made.trace.samples)
    is_plain = n == 1 or convention.error_is_mean or convention.gradient_is_sum
    result = (symbols["weight_gradient"], arrays["weight_gradient"])
    yield from equations([*terms, result], "·=" if is_plain else "·→", extent)


def _flow(made: WrittenStep, w: WrittenLayer, extent: Extent) -> Iterator[Block]:
    arrays, symbols = w.arrays, w.symbols
    delta, weight = (symbols["delta"], arrays["delta"]), (symbols["weight"], arrays["weight"])
    if made.convention.samples_are_columns:
        terms = [_transposed(weight), delta]
    elif made.convention.units_first:
        terms = [delta, weight]
    else:
        terms = [delta, _transposed(weight)]
    yield from equations([*terms, (symbols["downstream"], arrays["downstream"])], "·=", extent)


def _transposed(term: tuple[str, Array]) -> tuple[str, Array]:
    symbol, array = term
    in_code = symbol.isascii() and len(symbol) > 1 and "^" not in symbol
    return f"{symbol}.T" if in_code or symbol in ("x", "X") else f"{_bracketed(symbol)}ᵀ", array.T


def _bracketed(symbol: str) -> str:
    return f"({symbol})" if "^" in symbol else symbol


def _update(made: WrittenStep, layers: Sequence[WrittenLayer], extent: Extent) -> Iterator[Block]:
    is_plain = len(made.trace.links) == 1
    for w in layers:
        if "weight" not in w.arrays:
            continue
        yield Heading(w.layer.name, 2)
        for key in ("weight", "bias"):
            if key not in w.arrays:
                continue
            symbol = w.symbols[key]
            step = w.formulas["step"].replace(
                w.symbols["weight_gradient"], w.symbols[f"{key}_gradient"]
            )
            terms = [
                (symbol, w.arrays[key]),
                (step if is_plain else f"Δ{symbol}", w.arrays[f"{key}_update"]),
                (w.symbols[f"{key}_new"], w.arrays[f"{key}_new"]),
            ]
            yield from equations(terms, "+=", extent, WEIGHTS)


SECTIONS: dict[str, Section] = {"forward": _forward, "backward": _backward, "update": _update}


def _shown(
    made: WrittenStep, w: WrittenLayer, keys: Sequence[str], extent: Extent
) -> Iterator[Block]:
    """Arrays one by one."""
    for key in keys:
        if key in w.arrays:
            axes = WEIGHTS if key.startswith("weight") else units(made.trace)
            yield from equations([(w.symbols[key], w.arrays[key])], "", extent, axes)


# As plain data


def written_record(made: WrittenStep, name: str) -> dict[str, Any]:
    """The schema nncli.convention/1."""
    trace = made.trace
    return {
        "schema": "nncli.convention/1",
        "name": trace.name,
        "convention": name,
        "eta": made.eta,
        "samples": list(trace.samples),
        "cost": {
            "name": trace.cost.name,
            "before": made.cost_factor * trace.cost_before,
            "after": made.cost_factor * trace.cost_after,
        },
        "targets": made.targets.tolist(),
        "layers": [
            {
                "name": w.layer.name,
                "symbols": {key: w.symbols[key] for key in w.arrays if key in w.symbols},
                **{key: array.tolist() for key, array in w.arrays.items()},
            }
            for w in made.layers
        ],
    }


def written_arrays(made: WrittenStep) -> dict[str, Array]:
    """Every array; those of a layer are named layer.quantity."""
    arrays = {"targets": made.targets}
    for w in made.layers:
        arrays |= {f"{w.layer.name}.{key}": array for key, array in w.arrays.items()}
    return arrays
