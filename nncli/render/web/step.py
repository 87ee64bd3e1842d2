"""The interactive page of one step: what it carries, and what it says without scripts."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.text import count_of
from nncli.inspection.along import cost_along
from nncli.inspection.check import Check, TensorCheck
from nncli.inspection.record import Inspection
from nncli.nn.arrays import Array
from nncli.nn.layers import LAYERS, Conv, Pool
from nncli.nn.links import before
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import Block, Page
from nncli.render.notation import TERMS, weight_factors
from nncli.render.web.along import along_html
from nncli.render.web.blocks import to_html
from nncli.render.web.convolution import cell_axis, forward_axis, tap_axis
from nncli.render.web.network import network_data, network_html, windows_of
from nncli.render.web.operations import as_data, operations
from nncli.render.web.page import WebPage

SMALL = 64  # arrays of at most this many numbers are carried as they are
MOST_TERMS = 12  # of a sum that is written out, as in panel.js
WHOLE = 16  # columns of a matrix that is written as a table
LARGEST = 20_000_000  # bytes of arrays that a page may carry
POOLS = {name for name, kind in LAYERS.items() if issubclass(kind, Pool)}
KINDS_OF_LAYERS = ("conv", "pool", "flatten", "batchnorm", "dropout")
MATHEMATICS = (
    "mathematics",
    *(
        f"mathematics_{kind}"
        for kind in (
            "cross_entropy",
            "softmax",
            "activations",
            "optimizers",
            "weights",
            *KINDS_OF_LAYERS,
        )
    ),
)
NUMBERS = (
    "numbers",
    "images",
    *(f"numbers_{kind}" for kind in (*KINDS_OF_LAYERS, "weights", "optimizers")),
)
SCRIPTS = (
    *("record", *MATHEMATICS, *NUMBERS, "matrix", "picture", "tables", "play"),
    *("step", "channels", "network", "controls", "panel", "sums", "whatif"),
    *("windows", "step_windows"),
)
STYLES = ("matrix", "picture", "windows")  # those of scripts, by the same name
# What is for some kinds of layers, activations or costs only, by the end of its name.
FOR_KINDS = {
    "cross_entropy": {"cross_entropy"},
    "softmax": {"softmax"},
    "activations": {"leaky_relu", "elu", "softplus", "gelu"},
    "conv": {"conv"},
    "pool": POOLS,
    "flatten": {"flatten"},
    "batchnorm": {"batchnorm"},
    "dropout": {"dropout"},
    "images": {"conv", *POOLS, "flatten"},
    "channels": {"conv", *POOLS, "flatten"},
    "windows": {"conv", *POOLS},
}
VERDICTS = {"passed": "PASSED", "failed": "FAILED", "not_proven": "NOT PROVEN"}


class Carried(NamedTuple):
    """The arrays of a step as a page carries them.

    Attributes:
        arrays: those that are in it.
        aliases: by name, the array that holds the same numbers, and the shape.
        rules: by name, how the page makes an array, bit for bit, of one or two that it has:
            ["scale", name, factor], ["sum", name, name] or ["product", name, name].
    """

    arrays: dict[str, Array]
    aliases: dict[str, tuple[str, list[int]]]
    rules: dict[str, list[Any]]


def step_page(
    inspection: Inspection, page: Page, layer: str | None = None, glossary: Sequence[Block] = ()
) -> WebPage:
    """The page.

    Args:
        page: the whole step as text.
        layer: carry this layer's arrays only.
        glossary: the symbols, with what they are in this step.

    Raises:
        NncliError: the arrays are too large for a page.
    """
    trace = inspection.trace
    carried = carry(trace, layer)
    size = sum(array.nbytes for array in carried.arrays.values())
    if size > LARGEST:
        raise NncliError(
            f"a page of this step would carry {size / 1e6:.0f} MB of numbers, and a browser is at "
            f"ease with {LARGEST / 1e6:.0f}; narrow it with --samples 0 or --layer "
            f"{trace.layers[-1].name}, or write --output step.npz"
        )
    record = step_data(inspection, layer)
    record |= {"aliases": carried.aliases, "rules": carried.rules}
    check, symbols = inspection.check, to_html([*glossary])
    body = f"""<main class="step">
{to_html(page[:2])}
{_verdict(check)}
<div class="app"><noscript><p class="note">Scripts are off. What follows is the whole step as text,
large matrices in part; with scripts on, every number is here, with where it comes from.</p>
</noscript></div>
{network_html(trace)}
{along_html(trace, cost_along(trace))}
<details class="text" open><summary>The whole step as text</summary>
<article aria-label="the whole step as text">
{to_html(page[2:])}
</article></details>
{f"<details><summary>The symbols</summary>{symbols}</details>" if symbols else ""}
</main>"""
    scripts = _scripts(trace, carried)
    return WebPage(
        trace.name,
        body,
        scripts=scripts,
        styles=["step", *(name for name in STYLES if name in scripts)],
        start="startStep",
        record=record,
        arrays=carried.arrays,
    )


def _scripts(trace: Trace, carried: Carried) -> list[str]:
    """What the page of a network needs."""
    kinds = {trace.cost.name, *(name for x in trace.layers for name in (x.type, x.activation))}
    needed = {end for end, of in FOR_KINDS.items() if kinds & of}
    if len(trace.links) > 1:
        needed.add("optimizers")
    if trace.class_weights is not None:
        needed.add("weights")
    if "windows" in needed or any(_is_large(array) for array in carried.arrays.values()):
        needed.add("picture")
    if any(array.size >= MOST_TERMS for array in carried.arrays.values()):
        needed.add("sums")
    some = {*FOR_KINDS, "optimizers", "weights", "picture", "sums"} - needed
    return [name for name in SCRIPTS if not name.endswith(tuple(some))]


def _is_large(array: Array) -> bool:
    """Whether a matrix of an array may be drawn as a picture, see `WHOLE` of matrix.js."""
    return array.size > 2 * WHOLE or max(array.shape) > WHOLE


def _verdict(check: Check | None) -> str:
    """What was proven, and of how many of the entries."""
    if check is None:
        return '<p class="verdict">The gradients were not checked.</p>'
    words = {
        "passed": "every entry that was tried agrees with its derivative",
        "failed": "a gradient differs from its derivative",
        "not_proven": "not every gradient could be verified",
    }[check.verdict]
    size, tried, verified, kinks = (
        sum(counts)
        for counts in zip(
            *((t.size, t.checked, t.verified, len(t.kinks)) for t in check.tensors), strict=True
        )
    )
    near = f"; {count_of(kinks, 'entry', 'entries')} next to a kink" if kinks else ""
    return (
        f'<p class="verdict {check.verdict}">{VERDICTS[check.verdict]}: {words} '
        f"({check.method}): of {count_of(size, 'entry', 'entries')} of all gradients {tried:,} "
        f"were tried and {verified:,} verified{near}; the largest relative error is "
        f"{check.max_relative_error:.1e}</p>"
    )


def step_data(inspection: Inspection, layer: str | None = None) -> dict[str, Any]:
    """All but the arrays."""
    trace = inspection.trace
    lines = [op for op in operations(trace) if layer is None or op.layer == layer]
    return {
        "kind": "step",
        "name": trace.name,
        "dtype": str(trace.inputs.dtype),
        "eta": trace.eta,
        "samples": trace.samples,
        "only": layer,
        "cost": {
            "name": trace.cost.name,
            "before": trace.cost_before,
            "after": trace.cost_after,
            "fused": trace.cost.error_is_delta,
        },
        "network": network_data(trace),
        "operations": [as_data(op) for op in lines],
        "symbols": {
            t.key: t.symbol
            for t in TERMS
            if any(x.quantity(t.key) is not None for x in trace.layers)
        }
        | ({} if trace.difference is None else {"sample_weights": "w", "difference": "a − y"}),
        "given": given(trace),
        "windows": {each.name: axes for each in trace.layers if (axes := _windows(each))},
        "own": {each.name: dict(each.placed.layer.symbols) for each in trace.layers},
        "check": _check(inspection),
    }


def _windows(layer: LayerTrace) -> dict[str, list[dict[str, Any]]]:
    """The axes of a layer's windows as its player takes them; empty for a layer without any."""
    if not layer.placed.layer.has_windows:
        return {}
    windows = windows_of(layer.placed)
    kind = layer.placed.layer
    mode = kind.padding_mode if isinstance(kind, Conv) else "zeros"
    axes = {"output": [forward_axis(axis, mode) for axis in windows]}
    axes["matrix"] = [cell_axis(axis, mode) for axis in windows]
    if layer.weight is not None:
        axes["filter"] = [tap_axis(axis, mode, turned=False) for axis in windows]
    return axes


def given(trace: Trace) -> list[str]:
    """What a step is computed from: all the rest follows from these arrays."""
    names = ["inputs", "targets"]
    for layer in trace.layers:
        names += [f"{layer.name}.{key}" for key in layer.placed.parameter_shapes]
        if layer.placed.layer.is_random:
            names += [f"{layer.name}.{key}" for key in layer.recorded]
        for key, vectors in layer.optimizer.items():
            names += [f"{layer.name}.{key}.{name}" for name in vectors if name.endswith(before(""))]
    return names


def _check(inspection: Inspection) -> dict[str, dict[str, str]] | None:
    """The verdict of each gradient; the ∂C/∂input of a layer has that of the ∂C/∂a below it."""
    check = inspection.check
    if check is None:
        return None
    rows = {f"{t.layer}.{t.quantity}": _words(t, check.tolerance) for t in check.tensors}
    for below, above in pairwise(inspection.trace.layers):
        if (shared := rows.get(f"{below.name}.upstream")) is not None:
            rows[f"{above.name}.downstream"] = shared
    return rows


def _words(tensor: TensorCheck, tolerance: float) -> dict[str, str]:
    verdict = "passed" if tensor.proven else "not_proven"
    if not tensor.max_relative_error <= tolerance:
        verdict = "failed"
    return {
        "verdict": verdict,
        "words": f"{VERDICTS[verdict]}: of {count_of(tensor.size, 'entry', 'entries')} of this "
        f"gradient {tensor.checked} were tried and {tensor.verified} verified; the largest "
        f"relative error is {tensor.max_relative_error:.1e}",
    }


# What a page can make of what it has, to the last bit, need not travel.


def carry(trace: Trace, layer: str | None = None) -> Carried:
    """The arrays of a step, each once."""
    carried, known = Carried({}, {}, {}), dict[str, Array]()
    for name, array in named_arrays(trace, layer):
        _carry(carried, name, array, _rules(name, known, trace.eta))
        known[name] = array
    return carried


def named_arrays(trace: Trace, layer: str | None = None) -> Iterator[tuple[str, Array]]:
    """Every array of a trace by its name, in the order in which the step computes them."""
    yield "inputs", trace.inputs
    yield "targets", trace.targets
    for each in trace.layers:
        if layer is not None and each.name != layer:
            continue
        for term in TERMS:
            array = each.quantity(term.key)
            if array is not None:
                yield f"{each.name}.{term.key}", array
        if each is trace.layers[-1] and (factors := weight_factors(trace)) is not None:
            (_, weights), (_, difference) = factors
            yield f"{each.name}.sample_weights", weights
            yield f"{each.name}.difference", difference
        for key, vectors in each.optimizer.items():
            yield from ((f"{each.name}.{key}.{name}", array) for name, array in vectors.items())


Rule = tuple[list[Any], Array]  # how an array follows from others, and what that gives


def _carry(carried: Carried, name: str, array: Array, rules: Iterator[Rule]) -> None:
    whole = np.ascontiguousarray(array)
    for other, kept in carried.arrays.items():
        is_alike = kept.size == whole.size and kept.dtype == whole.dtype
        if is_alike and kept.tobytes() == whole.tobytes():
            carried.aliases[name] = (other, list(array.shape))
            return
    if array.size > SMALL:
        for rule, made in rules:
            if made.tobytes() == whole.tobytes():
                carried.rules[name] = rule
                return
    carried.arrays[name] = whole


def _rules(name: str, known: Mapping[str, Array], eta: float) -> Iterator[Rule]:
    """How the new parameters and their change may follow from what is known before them."""
    layer, _, key = name.partition(".")
    parameter, _, part = key.partition("_")
    gradient, old = f"{layer}.{parameter}_gradient", f"{layer}.{parameter}"
    update = f"{layer}.{parameter}_update"
    with np.errstate(all="ignore"):  # as in the step
        if part == "update" and gradient in known:
            yield ["scale", gradient, -eta], known[gradient] * known[gradient].dtype.type(-eta)
        if part == "new" and old in known and update in known:
            yield ["sum", old, update], known[old] + known[update]
