"""By how much rounding alone changes the gradients of a step, entry by entry.

Bounds of a running error analysis hold for any rounding, but add up sizes, |W| |a| |δ|, where a
network adds up numbers of both signs: layer by layer they grow beyond what happens, and a wrong
gradient of a deep network would be within them. So the error is sampled, as in Monte Carlo
arithmetic (Parker, Monte Carlo arithmetic, 1997): the step is repeated in float64, and all that it
starts from, and the result of every NumPy call, is changed by up to an ulp of the trace's dtype, at
random. How far an entry moves contains whatever cancels on its way.

A unit within an ulp of its kink would change sides, and its gradients by all they are: that is no
rounding. The repetitions are held on the smooth piece that the trace is on, as the derivatives are
that it is compared with.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from nncli.inspection.probe import pieces_of
from nncli.nn.arrays import Array, Operation, Operations, execute
from nncli.nn.layers import LayerStep
from nncli.nn.passes import Pass
from nncli.nn.step import Step
from nncli.nn.trace import Trace

SEED = 0
DRAWS = 8
# Times the mean change over the draws: few draws may all be small by chance, and a product of many
# terms rounds more often than the changes of its factors stand for. Right steps need up to 8.
MARGIN = 16
CANCELLED = 32  # ulps of its terms that may be left of a sum where they cancel altogether

GradientKey = tuple[str, str]  # layer, quantity


def rounding(trace: Trace) -> dict[GradientKey, Array]:
    """The error that rounding in the trace's dtype can cause, for each entry of each gradient.

    Arrays are laid out as in the trace. They are infinite where rounding moves the outputs by as
    much as they are, as in a network that has diverged: what is sampled there says nothing.
    """
    ulp = float(np.finfo(trace.inputs.dtype).eps)
    repetition = _Repetition(trace)
    exact = repetition.gradients(0.0)
    total = {place: np.zeros(array.shape) for place, array in exact.items()}
    with np.errstate(all="ignore"):
        for _ in range(DRAWS):
            for place, moved in repetition.gradients(ulp).items():
                change = np.abs(moved - exact[place])
                total[place] += np.where(np.isfinite(change), change, 0)
    errors = {place: MARGIN / DRAWS * changes for place, changes in total.items()}
    outputs = trace.layers[-1].name, "a"
    scale = max(np.abs(exact[outputs]).max(), np.abs(trace.targets).max())
    if not errors[outputs].max() <= scale:
        return {place: np.full(array.shape, np.inf) for place, array in errors.items()}
    return errors


class _Repetition:
    """A trace's step in float64, on the pieces of the trace."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.rng = np.random.default_rng(SEED)
        self.network = trace.network().astype(np.float64)
        self.parameters = self.network.parameters.copy()
        step = Step(self.network, None, len(trace.samples), differentiable=True)
        step.replay_random(trace.recorded_by_sample())
        self.step: Pass = step.passes[0]
        self.step.targets[...] = trace.targets
        self.pieces = pieces_of(trace)
        self.off = 0.0

    def gradients(self, off: float) -> dict[GradientKey, Array]:
        """The gradients and outputs of a step with rounding errors, copies.

        Each number is changed by up to `off` times itself.
        """
        self.off = off
        with np.errstate(all="ignore"):
            self._forward()
            self._back()
        last = self.step.last
        return dict(_gradients(self.step.layers)) | {(last.name, "a"): _samples_first(last.a)}

    def _forward(self) -> None:
        step = self.step
        self.network.parameters[...], step.inputs[...] = self.parameters, self.trace.inputs
        self._change(self.network.parameters)
        self._change(step.inputs)
        step.first_input[...] = step.inputs_t
        for layer, piece in zip(step.layers, self.pieces, strict=True):
            self._execute(layer.forward())
            if piece is not None:
                execute(layer.evaluate_pieces(piece))
            self._change(layer.a)
        execute(step.compare())

    def _back(self) -> None:
        step = self.step
        if self.network.cost.error_is_delta:
            self._change(step.error)
            step.fill_upstream()
        for layer in reversed(step.layers):
            self._change(layer.upstream)
            if not step.is_fused(layer):
                self._execute(layer.multiply_hadamard())
            self._execute(layer.backward())
            self._execute(layer.backward_input())

    def _execute(self, operations: Operations) -> None:
        for operation in operations:
            operation()
            result = _result(operation)
            if result is not None:
                self._change(result)

    def _change(self, array: Array) -> None:
        if self.off:
            array *= 1 + self.off * self.rng.uniform(-1, 1, array.shape)


def _result(operation: Operation) -> Array | None:
    """The array of rounded numbers that a NumPy call writes; None where it cannot be told."""
    if not isinstance(operation, partial):
        return None
    function, arguments = operation.func, operation.args
    result = operation.keywords.get("out")
    if isinstance(function, np.ufunc) and len(arguments) > function.nin:
        result = arguments[function.nin]
    elif getattr(function, "__name__", "") == "dot":
        result = arguments[-1]
    return result if isinstance(result, np.ndarray) and result.dtype.kind == "f" else None


def _gradients(layers: Sequence[LayerStep]) -> Iterator[tuple[GradientKey, Array]]:
    """Copies of all gradients, in the layouts of a trace."""
    for layer in layers:
        yield (layer.name, "upstream"), _samples_first(layer.upstream)
        if layer.delta is not None:
            yield (layer.name, "delta"), _samples_first(layer.delta)
        for key, gradient in layer.gradients.items():
            yield (layer.name, f"{key}_gradient"), gradient.copy()
    yield (layers[0].name, "downstream"), _samples_first(layers[0].downstream)


def _samples_first(array: Array) -> Array:
    return np.moveaxis(array, -1, 0).copy()


def terms_of(trace: Trace) -> dict[GradientKey, Array]:
    """Σ of the sizes of the terms that each entry of a parameter's gradient is the sum of.

    Where terms cancel altogether, as those of a bias before a batchnorm, rounding of this size is
    all that is left. Each layer goes back once with the absolute value of all that it goes back
    from.
    """
    step = Step(trace.network(), None, len(trace.samples), differentiable=True)
    found = {}
    with np.errstate(all="ignore"):
        for layer, recorded, arrays in zip(
            step.layers, trace.layers, trace.recorded_by_sample(), strict=True
        ):
            layer.input[...] = np.abs(np.moveaxis(recorded.input, 0, -1))
            execute(layer.forward())  # which lays out what `backward` reads
            for key, array in arrays.items():
                layer.recorded[key][...] = np.abs(array)
            layer.upstream[...] = np.abs(np.moveaxis(recorded.upstream, 0, -1))
            if recorded.delta is not None:
                assert layer.delta is not None
                layer.delta[...] = np.abs(np.moveaxis(recorded.delta, 0, -1))
            execute(layer.backward())
            for key, gradient in layer.gradients.items():
                found[layer.name, f"{key}_gradient"] = gradient.copy()
    return found
