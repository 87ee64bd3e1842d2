"""Every gradient of a trace, compared with a derivative computed without backpropagation."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from nncli.inspection.probe import Index, Probe
from nncli.inspection.rounding import CANCELLED, GradientKey, rounding, terms_of
from nncli.nn.arrays import Array
from nncli.nn.trace import Trace

METHOD = "complex step"
SEED = 0  # for the choice of entries where not all are checked
DEFAULT_SECONDS = 1.0  # that the default check may take at most, by the estimate below
MAX_DEFAULT_ENTRIES = 300  # of one gradient; more tell the default check little
SMALL = 1e-2  # of the largest entry: what is smaller is judged on this scale
PROVEN_SHARE = 0.9  # of the entries compared that must be verified for a gradient to be proven


class TensorCheck(NamedTuple):
    """One gradient against its derivatives.

    Attributes:
        layer, quantity: as in the trace: weight_gradient, bias_gradient, delta, upstream or
            downstream.
        size, checked: the number of its entries, and of those compared.
        kinks: the compared entries that a kink is next to: the derivative is that of the smooth
            piece that the trace is on.
        verified: of those compared, the number that agree and are large enough to be told from
            rounding. An entry that is 0, as its derivative is to the last bit, is verified too.
        too_small: the number that agree as far as rounding allows, which may be most of them.
        unknown: the number whose derivative cannot be computed in float64.
        largest, floor: the largest |entry| of those compared, and what rounding can make of it.
        max_relative_error: the largest, at entry `worst`.
        value, reference: of the trace, and of the check, at that entry.
    """

    layer: str
    quantity: str
    size: int
    checked: int
    kinks: tuple[Index, ...]
    verified: int
    too_small: int
    unknown: int
    largest: float
    floor: float
    max_relative_error: float
    worst: Index | None
    value: float
    reference: float

    @property
    def proven(self) -> bool:
        """Whether enough entries were verified to speak of the whole gradient."""
        if self.verified == self.checked:
            return True
        return self.verified >= PROVEN_SHARE * self.checked and self.floor < self.largest


Verdict = Literal["passed", "failed", "not_proven"]


class Check(NamedTuple):
    """Whether a trace's gradients are right, as far as rounding in its dtype allows to tell."""

    method: str
    tolerance: float
    tensors: tuple[TensorCheck, ...]

    @property
    def max_relative_error(self) -> float:
        return max((tensor.max_relative_error for tensor in self.tensors), default=0.0)

    @property
    def verdict(self) -> Verdict:
        if self.failure is not None:
            return "failed"
        return "passed" if self.unproven is None else "not_proven"

    @property
    def passed(self) -> bool:
        return self.verdict == "passed"

    @property
    def unproven(self) -> TensorCheck | None:
        """The first gradient in backward order of which too little could be verified."""
        return next((tensor for tensor in self.tensors if not tensor.proven), None)

    @property
    def failure(self) -> TensorCheck | None:
        """The first wrong gradient in backward order; later ones may be wrong because of it."""
        wrong = (t for t in self.tensors if not t.max_relative_error <= self.tolerance)
        return next(wrong, None)


def check(trace: Trace, entries: int | None = None) -> Check:
    """Checks every gradient in a trace.

    Args:
        entries: at most this many entries of each gradient, a seeded choice that includes the
            largest; None: as many as take about a second.
    """
    probe = Probe(trace)
    gradients = list(_gradients(trace))
    limit = entries if entries is not None else default_entries(trace, [g.size for g in gradients])
    errors = _Errors(rounding(trace), terms_of(trace), not trace.layers[-1].upstream.any())
    rng = np.random.default_rng(SEED)
    results = []
    for gradient in gradients:
        chosen = _choose(gradient.array, limit, rng)
        found = probe.derivatives(gradient.layer, gradient.variable, chosen)
        compared = _compare(gradient, chosen, found.values / gradient.divisor, errors)
        results.append(_summary(gradient, chosen, found.kinks, compared))
    return Check(METHOD, tolerance(trace.inputs.dtype), tuple(results))


def tolerance(dtype: np.dtype[Any]) -> float:
    """The largest relative error that rounding alone explains, for entries well above it.

    Smaller entries are compared on the scale of `rounding`.
    """
    return 1e-3 if dtype == np.float32 else 1e-10


def resolution(dtype: np.dtype[Any]) -> float:
    """How large a share of an entry rounding may be for the entry to be judged."""
    return 5e-3 if dtype == np.float32 else 5e-4


def underflow(dtype: np.dtype[Any]) -> float:
    """The size below which the products that make up an entry may have become 0."""
    return max(1e6 * float(np.finfo(dtype).tiny), 1e-270)


def default_entries(trace: Trace, sizes: list[int]) -> int:
    """How many entries of each gradient are checked in about DEFAULT_SECONDS.

    Estimated from the network's size rather than by a clock, so that a trace is always checked at
    the same entries.
    """
    sizes_of = (t.placed.multiply_adds or math.prod(t.placed.input_shape) for t in trace.layers)
    seconds = sum(2e-5 + 1e-9 * len(trace.samples) * size for size in sizes_of)
    left = DEFAULT_SECONDS / seconds
    limit = 1
    for rank, size in enumerate(sorted(sizes)):
        # Entries that a small gradient leaves over go to the larger ones.
        limit = max(limit, int(left / (len(sizes) - rank)))
        left -= min(size, limit)
    return min(max(limit, 10), MAX_DEFAULT_ENTRIES)


class _Gradient(NamedTuple):
    """A gradient of a trace, and the derivative that it has to be.

    Attributes:
        variable: of the derivative of Σ_x C_x, as `Probe` names it; divisor: of that derivative.
    """

    layer: str
    quantity: str
    variable: str
    array: Array
    divisor: int

    @property
    def size(self) -> int:
        return self.array.size


def _gradients(trace: Trace) -> Iterator[_Gradient]:
    """Each gradient once, in backward order.

    A layer's downstream is the upstream of the layer below, so only the first has one of its own.
    """
    n = len(trace.samples)
    for layer in reversed(trace.layers):
        yield _Gradient(layer.name, "upstream", "a", layer.upstream, 1)
        if layer.delta is not None:
            yield _Gradient(layer.name, "delta", "z", layer.delta, 1)
        if layer.weight_gradient is not None:
            yield _Gradient(layer.name, "weight_gradient", "weight", layer.weight_gradient, n)
        if layer.bias_gradient is not None:
            yield _Gradient(layer.name, "bias_gradient", "bias", layer.bias_gradient, n)
    first = trace.layers[0]
    yield _Gradient(first.name, "downstream", "input", first.downstream, 1)


class _Errors(NamedTuple):
    """What rounding does to the gradients of a trace, see `rounding` and `terms_of`.

    `no_error`: whether all outputs are exactly right, so that every gradient has to be 0.
    """

    rounding: dict[GradientKey, Array]
    terms: dict[GradientKey, Array]
    no_error: bool


class _Compared(NamedTuple):
    """Entries of a gradient beside their derivatives.

    Attributes:
        noise: what rounding can make of each.
        errors: relative to the reference, or to the noise where that explains more; 0 where the
            derivative is not known.
        known: whether the derivative could be computed.
        is_told: whether the entry is large enough beside its noise to be judged.
    """

    values: Array
    references: Array
    noise: Array
    errors: Array
    known: Array
    is_told: Array


def _compare(
    gradient: _Gradient, entries: Sequence[Index], references: Array, known_errors: _Errors
) -> _Compared:
    array, dtype = gradient.array, gradient.array.dtype
    at = tuple(np.array(entries, int).reshape(len(entries), array.ndim).T)
    values = array[at].astype(np.float64)
    noise = known_errors.rounding[gradient.layer, gradient.quantity][at] + underflow(dtype)
    # NaN is wrong, but for where a network has gone so far that its 0 times infinity is NaN.
    known = np.where(np.isnan(values), np.isfinite(noise), np.isfinite(references))
    with np.errstate(over="ignore"):  # infinity is right where the trace's dtype overflows
        rounded = references.astype(dtype)
    references = np.where(np.isinf(values) & np.isinf(rounded), rounded, references)
    allowed = tolerance(dtype)
    errors = _relative_errors(values, references, noise / allowed)
    is_zero = _is_zero(gradient, at, values, references, known_errors)
    if known_errors.no_error:
        is_zero |= (values == 0) & (errors <= allowed)
    errors[is_zero | ~known] = 0
    # Digits that agree on the entry's own scale are no rounding, however small the entry is.
    sizes = np.abs(references)
    with np.errstate(invalid="ignore"):
        agree = (sizes > underflow(dtype)) & (np.abs(values - references) <= allowed * sizes)
    scale = np.maximum(sizes, SMALL * np.abs(values).max(initial=0))
    is_told = is_zero | agree | (noise <= resolution(dtype) * scale)
    return _Compared(values, references, noise, errors, known, is_told)


def _is_zero(
    gradient: _Gradient, at: Any, values: Array, references: Array, known_errors: _Errors
) -> Array:
    """Whether an entry and its derivative are both 0.

    But for underflow, and what cancelling leaves of the terms of a sum.
    """
    dtype, larger = gradient.array.dtype, np.maximum(np.abs(values), np.abs(references))
    is_zero: Array = larger == 0
    largest = np.abs(values).max(initial=0)
    if largest == 0 or largest * resolution(dtype) > underflow(dtype):
        is_zero |= larger < underflow(dtype)
    terms = known_errors.terms.get((gradient.layer, gradient.quantity))
    if terms is not None:
        is_zero |= larger <= CANCELLED * np.finfo(dtype).eps * terms[at]
    return is_zero


def _summary(
    gradient: _Gradient,
    entries: Sequence[Index],
    is_kink: npt.NDArray[np.bool_],
    compared: _Compared,
) -> TensorCheck:
    values, references, noise, errors, known, is_told = compared
    right = known & (errors <= tolerance(gradient.array.dtype))
    worst = int(errors.argmax()) if known.any() else None
    largest = int(np.abs(values).argmax())
    return TensorCheck(
        layer=gradient.layer,
        quantity=gradient.quantity,
        size=gradient.size,
        checked=len(entries),
        kinks=tuple(entry for entry, near in zip(entries, is_kink, strict=True) if near),
        verified=int(np.count_nonzero(right & is_told)),
        too_small=int(np.count_nonzero(right & ~is_told)),
        unknown=int(np.count_nonzero(~known)),
        largest=float(np.abs(values[largest])),
        floor=float(noise[largest]),
        max_relative_error=0.0 if worst is None else float(errors[worst]),
        worst=None if worst is None else entries[worst],
        value=0.0 if worst is None else float(values[worst]),
        reference=0.0 if worst is None else float(references[worst]),
    )


def _choose(array: Array, limit: int, rng: np.random.Generator) -> list[Index]:
    if array.size <= limit:
        flat = np.arange(array.size)
    else:
        flat = rng.choice(array.size, limit, replace=False)
        flat[0] = np.abs(array).argmax()
        flat = np.array(sorted(set(flat.tolist())))
    return [tuple(int(i) for i in np.unravel_index(k, array.shape)) for k in flat]


def _relative_errors(values: Array, references: Array, floor: Array) -> Array:
    """|value − reference| relative to the reference, or to `floor` where that is more."""
    with np.errstate(all="ignore"):
        scale = np.maximum(np.abs(references), floor)
        errors = np.abs(values - references) / scale
    errors[values == references] = 0
    return np.where(np.isnan(errors), np.inf, errors)


class Sweep(NamedTuple):
    """The error of central differences at one entry, for one step size after the other.

    Attributes:
        layer, quantity, entry: of the derivative; `value` is that of the trace.
        errors: pairs (h, relative error of the difference).
    """

    layer: str
    quantity: str
    entry: Index
    value: float
    errors: tuple[tuple[float, float], ...]


def sweep(trace: Trace) -> Sweep:
    """Central differences by the largest entry of the first layer's ∂C/∂W, h from 1 to 1e-15.

    The error of a large h is truncation, which grows as h²; that of a small h is rounding, as 1/h.
    """
    layer = next(layer for layer in trace.layers if layer.weight_gradient is not None)
    gradient = layer.weight_gradient
    assert gradient is not None
    entry = tuple(int(k) for k in np.unravel_index(np.abs(gradient).argmax(), gradient.shape))
    probe = Probe(trace)
    exact = float(probe.derivatives(layer.name, "weight", [entry]).values[0]) / len(trace.samples)
    plain = Probe(trace, np.float64)
    errors = []
    for exponent in np.arange(0, -15.5, -0.5):
        h = float(10.0**exponent)
        with np.errstate(all="ignore"):
            found, crosses = plain.central(layer.name, "weight", entry, h)
        found = math.nan if crosses else found / len(trace.samples)
        errors.append((h, abs(found - exact) / abs(exact) if exact else math.nan))
    return Sweep(layer.name, "weight_gradient", entry, float(gradient[entry]), tuple(errors))
