"""One step of backpropagation, taken apart: the page of `nncli inspect-grad`.

The same step as plain data has the schema nncli.trace/1.
"""

from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from typing import Any

import numpy as np

from nncli.app.records import InspectedStep
from nncli.core.text import count_of, first_of
from nncli.inspection.check import Check, TensorCheck
from nncli.inspection.findings import Why
from nncli.inspection.record import Inspection
from nncli.nn.arrays import Array
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import (
    Block,
    Document,
    Equation,
    Heading,
    Interactive,
    Page,
    Paragraph,
    rounding_note,
)
from nncli.render.notation import TERMS, error_words
from nncli.render.pages.brief import verdict_words
from nncli.render.pages.excerpt import (
    excerpt_backward,
    excerpt_forward,
    excerpt_update,
    is_small,
    more_to_see,
    short_meaning,
    short_products,
    short_proof,
)
from nncli.render.pages.kinds import Choices, page_of
from nncli.render.pages.products import product_tables
from nncli.render.pages.proof import findings, proof, sweep_page, why_block
from nncli.render.pages.update import all_sums, overflow_words, update
from nncli.render.text import Extent, number


def document(step: InspectedStep, choices: Choices) -> Document:
    """What there is to read of a step, for every format."""
    trace = step.inspection.trace
    page = breakdown(step, choices)  # at once: it refuses what there is not, whatever the format

    # What the page for a browser, or the drawing, alone needs is loaded for it.
    def web() -> Interactive:
        from nncli.render.pages.glossary import glossary_grid
        from nncli.render.web.step import step_page

        whole = breakdown(step, choices._replace(is_short=False)) if choices.is_short else page
        return step_page(step.inspection, whole, choices.layer, [glossary_grid(trace)])

    def figure() -> str:
        from nncli.render.pages.figures import step_figure

        return step_figure(trace, choices.layer, choices.extent)

    return Document(
        trace.name,
        lambda: page,
        lambda: trace_record(step.inspection, step.why),
        lambda: trace_arrays(trace),
        None if choices.sections else web,
        figure,
    )


def breakdown(step: InspectedStep, choices: Choices) -> Page:
    """The page: all of it, or the sections that are chosen."""
    inspection = step.inspection
    trace = inspection.trace
    chosen = [inspection.layer(choices.layer)] if choices.layer else list(trace.layers)
    about = f"{summary(trace)} {PASSES}" if choices.is_short else summary(trace)
    page: Page = [Heading(f"{trace.name}: one step, taken apart", 0), Paragraph(about)]
    beyond = inspection.overflow
    if beyond is not None:
        page.append(Paragraph(overflow_words(trace, beyond)))
    if choices.is_short:
        page.append(Paragraph(verdict_words(step)))
    wanted = choices.sections or tuple(SECTIONS)
    short: dict[str, Short] = {}
    if choices.is_short:
        short = IN_SHORT if is_small(trace) else EXCERPTS
    for name, section in SECTIONS.items():
        if name in wanted:
            made = short[name](step, chosen) if name in short else section(step, choices, chosen)
            page += made
        if name == LAST_OF_NUMBERS and any(isinstance(block, Equation) for block in page):
            page.append(rounding_note(page))
        if name == "proof" and step.sweep is not None:
            page += sweep_page(step.sweep)
    if step.why is not None:
        page += why_block(trace, step.why)
    return [*page, more_to_see(trace)] if choices.is_short else page


def _forward(step: InspectedStep, choices: Choices, chosen: Sequence[LayerTrace]) -> Page:
    page: Page = [Heading("forward", 1)]
    for layer in chosen:
        page += forward(step.inspection.trace, layer, choices.extent)
    return page


def _backward(step: InspectedStep, choices: Choices, chosen: Sequence[LayerTrace]) -> Page:
    page: Page = [Heading(f"backward ({choices.view} view)", 1)]
    for layer in reversed(chosen):
        page += backward(step.inspection.trace, layer, choices)
    return page


def _update(step: InspectedStep, choices: Choices, chosen: Sequence[LayerTrace]) -> Page:
    page: Page = [Heading("update", 1)]
    for layer in chosen:
        if layer.weight is not None:
            sums = not choices.is_short
            page += update(step.inspection.trace, layer, choices.extent, sums=sums)
    return [*page, *all_sums(chosen)] if choices.is_short else page


def _products(step: InspectedStep, choices: Choices, chosen: Sequence[LayerTrace]) -> Page:
    heading = Heading("which product is used where", 1)
    return [heading, *product_tables(step.inspection.trace, chosen)]


def _proof(step: InspectedStep, choices: Choices, chosen: Sequence[LayerTrace]) -> Page:
    return proof(step.inspection)


def _meaning(step: InspectedStep, choices: Choices, chosen: Sequence[LayerTrace]) -> Page:
    trace, beyond = step.inspection.trace, step.inspection.overflow
    words = findings(trace) if beyond is None else [Paragraph(overflow_words(trace, beyond))]
    return [Heading("what the numbers mean", 1), *words]


PASSES = (
    "Forward, the outputs are computed; backward, how C changes with each number; then every "
    "weight takes its step."
)
Section = Callable[[InspectedStep, Choices, Sequence[LayerTrace]], Page]
Short = Callable[[InspectedStep, Sequence[LayerTrace]], Page]

SECTIONS: dict[str, Section] = {
    "forward": _forward,
    "backward": _backward,
    "update": _update,
    "products": _products,
    "proof": _proof,
    "meaning": _meaning,
}
LAST_OF_NUMBERS = "update"  # behind which it is said how they are rounded
IN_SHORT: dict[str, Short] = {"products": short_products, "proof": short_proof}
EXCERPTS: dict[str, Short] = {
    "forward": excerpt_forward,
    "backward": excerpt_backward,
    "update": excerpt_update,
    "products": lambda step, chosen: [],  # stand beside the lines already
    "proof": short_proof,
    "meaning": short_meaning,
}


def summary(trace: Trace) -> str:
    samples = first_of(trace.samples, 12)
    after = number(trace.cost_after, 10) if isfinite(trace.cost_after) else "not finite"
    named = "number" if len(trace.samples) == 1 else "numbers"
    return (
        f"{count_of(len(trace.samples), 'sample')} of the training data ({named} {samples}), "
        f"cost {trace.cost.name}, η = {trace.eta:g}. "
        f"C = {number(trace.cost_before, 10)} before the step, {after} after it."
    )


def forward(trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
    page = page_of(layer)
    yield Heading(f"{layer.name}: {page.formula(layer)}", 2)
    yield from page.forward(trace, layer, extent)


def backward(trace: Trace, layer: LayerTrace, choices: Choices) -> Iterator[Block]:
    """Where the layer's error comes from, its gradient, what flows on."""
    yield Heading(f"{layer.name}: {error_source(trace, layer)}", 2)
    yield from page_of(layer).backward(trace, layer, choices)


def error_source(trace: Trace, layer: LayerTrace) -> str:
    position = [other.name for other in trace.layers].index(layer.name)
    if position == len(trace.layers) - 1:
        fused = trace.cost.error_is_delta
        return error_words(trace, "δ = a − y" if fused else "∂C/∂a = a − y")
    above = trace.layers[position + 1]
    return page_of(above).error_source_below(above.name)


# As plain data


def trace_record(inspection: Inspection, why: Why | None = None) -> dict[str, Any]:
    """Every array in full, every digit kept."""
    trace = inspection.trace
    record: dict[str, Any] = {
        "schema": "nncli.trace/1",
        "name": trace.name,
        "eta": trace.eta,
        "momentum": _setting(trace, "momentum"),
        "weight_decay": _setting(trace, "weight_decay"),
        "optimizer": {
            "links": [
                {"name": link.name, "outgoing": link.outgoing, **link.settings()}
                for link in trace.links
            ],
            "scalars": {name: scalar.item() for name, scalar in trace.scalars.items()},
        },
        "dtype": str(trace.inputs.dtype),
        "batch_size": len(trace.samples),
        "samples": list(trace.samples),
        "cost": {
            "name": trace.cost.name,
            "before": trace.cost_before,
            "after": trace.cost_after,
        },
        "inputs": trace.inputs.tolist(),
        "targets": trace.targets.tolist(),
        **_weights(trace),
        "layers": [_layer(layer) for layer in trace.layers],
        "overflow": None if inspection.overflow is None else inspection.overflow._asdict(),
        "check": None if inspection.check is None else _check(inspection.check),
    }
    if why is not None:
        record["why"] = {
            "layer": why.layer,
            "weight": list(why.index),
            "contributions": [c._asdict() for c in why.contributions],
            "total": why.total,
            "cancellation": why.cancellation,
        }
    return record


def _weights(trace: Trace) -> dict[str, Any]:
    """Those of the classes and of the samples; nothing where classes have none."""
    arrays = {key: getattr(trace, key) for key in ("class_weights", "sample_weights")}
    return {key: array.tolist() for key, array in arrays.items() if array is not None}


def trace_arrays(trace: Trace) -> dict[str, Array]:
    """Every array of the trace; those of a layer are named layer.quantity."""
    arrays = {"inputs": trace.inputs, "targets": trace.targets, "samples": np.array(trace.samples)}
    arrays["cost"] = np.array([trace.cost_before, trace.cost_after])
    for key in ("class_weights", "sample_weights"):
        if (array := getattr(trace, key)) is not None:
            arrays[key] = array
    for layer in trace.layers:
        for term in TERMS:
            array = layer.quantity(term.key)
            if array is not None:
                arrays[f"{layer.name}.{term.key}"] = array
        for key, vectors in layer.optimizer.items():
            arrays |= {f"{layer.name}.{key}.{name}": array for name, array in vectors.items()}
    return arrays


def _layer(layer: LayerTrace) -> dict[str, Any]:
    return {
        "name": layer.name,
        "type": layer.type,
        "activation": layer.activation,
        "hyperparameters": layer.placed.layer.settings(),
        **{term.key: _list(layer.quantity(term.key)) for term in TERMS},
        "optimizer": {
            key: {name: array.tolist() for name, array in vectors.items()}
            for key, vectors in layer.optimizer.items()
        },
    }


def _setting(trace: Trace, key: str) -> float:
    """A setting of the first link that has it; 0 without one."""
    return next((s[key] for s in (link.settings() for link in trace.links) if key in s), 0.0)


def _list(array: Array | None) -> Any:
    return None if array is None else array.tolist()


def _check(check: Check) -> dict[str, Any]:
    return {
        "method": check.method,
        "max_relative_error": check.max_relative_error,
        "passed": check.passed,
        "verdict": check.verdict,
        "tolerance": check.tolerance,
        "gradients": [_tensor(tensor) for tensor in check.tensors],
    }


def _tensor(tensor: TensorCheck) -> dict[str, Any]:
    return {
        "layer": tensor.layer,
        "quantity": tensor.quantity,
        "entries": tensor.size,
        "checked": tensor.checked,
        "verified": tensor.verified,
        "kinks": [list(entry) for entry in tensor.kinks],
        "max_relative_error": tensor.max_relative_error,
        "at": None if tensor.worst is None else list(tensor.worst),
    }
