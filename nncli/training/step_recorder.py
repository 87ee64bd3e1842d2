"""What conditions read of a training's steps, kept for some steps and then read of all at once.

A step of a small network takes some ten microseconds, and a call of NumPy half of one. So nothing
is computed at a step: its arrays lie beside each other in memory, and are copied as they are, in
one call where they are near enough. What is asked of them is computed for a block of steps.
"""

import array as bare
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from io import BytesIO
from itertools import accumulate
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from nncli.nn.arrays import LINE, Array
from nncli.nn.quantities import LAYER_ARRAYS, LEAST_SQUARE, MOST_SQUARE, array_of, norms
from nncli.nn.step import Step
from nncli.training.conditions import ArrayKey, Needs, Reading

BLOCK = 4096  # steps, at most
BLOCK_BYTES = 2**22  # of a block
CHUNK_BYTES = 2**20  # of a block that are looked at together: more would leave the cache
NEAR = 4096  # bytes between two arrays that are copied in one go: as many as a call's time
LARGE = 2**14  # bytes of an array whose norm is taken at once, rather than kept

Keep = Callable[[int, float], bool]

_BY_SAMPLE = {row.key: row.by_sample for row in LAYER_ARRAYS}


class _Span(NamedTuple):
    """Bytes of memory, from `start` to `end` in `root`."""

    root: Array
    start: int
    end: int


class StepRecorder:
    """Keeps what some conditions need of the steps of one workspace.

    Attributes:
        capacity: how many steps it has room for. One: nothing is copied, they are read at once.
        keep: keeps a step that was just taken, by its number and cost; whether there is no room for
            another.
    """

    def __init__(self, step: Step, needs: Needs) -> None:
        self._parts = {key: _parts(step, key) for key in (*needs.arrays, *needs.norms)}
        at_once = {key for key in needs.norms if _is_large(key, self._parts[key])}
        self._norms = {key: (_norm(self._parts[key][0]), bare.array("d")) for key in at_once}
        self._kept = {key: parts for key, parts in self._parts.items() if key not in at_once}
        # Bare numbers: of thousands of objects the cache would be full.
        self.costs = bare.array("d")
        spans = _spans(part for parts in self._kept.values() for part in parts)
        sources = [_bytes_of(span) for span in spans]
        starts = [0, *accumulate(map(len, sources))]
        size = starts[-1]
        self.capacity = max(1, min(BLOCK, BLOCK_BYTES // max(size, 1)))
        self._chunk = max(1, CHUNK_BYTES // max(size, 64))
        self._ring = BytesIO()
        self._sources: list[memoryview] = []
        self._views = {key: [part[None] for part in parts] for key, parts in self._kept.items()}
        if self.capacity > 1 and spans:
            # It takes bytes in half the time of an assignment to a memoryview.
            self._ring = BytesIO(bytes(self.capacity * size))
            memory = self._ring.getbuffer()
            self._sources = sources
            self._views = {
                key: [_view(part, spans, starts, memory, self.capacity) for part in parts]
                for key, parts in self._kept.items()
            }
        self.keep = self._keeper()

    def _keeper(self) -> Keep:
        # In as few calls as there can be: each is half a percent of a step.
        costs, capacity, sources = self.costs, self.capacity, self._sources
        copy, append = self._ring.writelines, costs.append
        norms = [(measure, sizes.append) for measure, sizes in self._norms.values()]

        def keep(number: int, cost: float) -> bool:
            if sources:
                copy(sources)
            append(cost)
            for measure, keep_norm in norms:
                keep_norm(measure())
            return len(costs) == capacity

        return keep

    def reading(self, numbers: Mapping[str, Array | float]) -> Reading:
        """What was kept. It is valid until the next step is."""
        count = len(self.costs)
        arrays = {
            key: views[0][:count]
            if len(views) == 1
            else np.concatenate([view[:count] for view in views], axis=-1)
            for key, views in self._views.items()
        }
        taken = {key: np.array(sizes) for key, (_, sizes) in self._norms.items()}
        return Reading(count, {**numbers, "cost": np.array(self.costs)}, arrays, taken, self._chunk)

    def forget(self) -> None:
        del self.costs[:]
        self._ring.seek(0)
        for _, sizes in self._norms.values():
            del sizes[:]


def reading_of(step: Step, needs: Needs, numbers: Mapping[str, Array | float]) -> Reading:
    """The quantities of one step, read from its workspace."""
    arrays = {
        key: np.concatenate(parts, axis=-1)[None] if len(parts) > 1 else parts[0][None]
        for key in (*needs.arrays, *needs.norms)
        for parts in (_parts(step, key),)
    }
    return Reading(1, numbers, arrays, {})


def _parts(step: Step, key: ArrayKey) -> list[Array]:
    """An array of a step; of several passes, the part of each."""
    layer, name = key
    if layer is None:
        assert step.optimizer is not None
        return [step.optimizer.gradient if name == "gradient" else step.optimizer.update]
    k = next(k for k, placed in enumerate(step.network.layers) if placed.name == layer)
    # Sums over samples are whole in the first pass.
    passes = step.passes if _BY_SAMPLE[name] else step.passes[:1]
    arrays = [array_of(part.layers[k], name) for part in passes]
    return [array for array in arrays if array is not None]


def _is_large(key: ArrayKey, parts: list[Array]) -> bool:
    is_sum = key[0] is None or not _BY_SAMPLE[key[1]]
    return is_sum and parts[0].nbytes > LARGE


def _norm(array: Array) -> Callable[[], float]:
    """Takes the norm of a large array: by BLAS in the array's own dtype, where that loses nothing.

    float64 sums of float32 numbers would take six times as long.
    """
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        array = array.T
    if not array.flags.c_contiguous:
        return lambda: float(norms(array[None])[0])
    flat = array.reshape(-1)
    dot = partial(flat.dot, flat)

    def norm() -> float:
        squares = dot()
        if LEAST_SQUARE < squares < MOST_SQUARE:
            return sqrt(squares)
        return float(norms(flat[None])[0])

    return norm


# Memory


def _root(array: Array) -> Array:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _bounds(array: Array, root: Array) -> tuple[int, int]:
    """From which byte of `root` to which an array lies."""
    start: int = array.ctypes.data - root.ctypes.data
    reach = sum((n - 1) * s for n, s in zip(array.shape, array.strides, strict=True))
    return start, start + reach + array.itemsize


def _spans(arrays: Iterable[Array]) -> list[_Span]:
    """The memory of some arrays in as few pieces as are worth it."""
    pieces = {}
    for array in arrays:
        root = _root(array)
        start, end = _bounds(array, root)
        pieces[id(root), start, end] = root
    spans: list[_Span] = []
    for (_, start, end), root in sorted(pieces.items(), key=lambda item: item[0]):
        last = spans[-1] if spans else None
        if last is not None and last.root is root and start <= last.end + NEAR:
            spans[-1] = last._replace(end=max(last.end, end))
        else:
            spans.append(_Span(root, start, end))
    return spans


def _bytes_of(span: _Span) -> memoryview:
    """What is to be copied: to the end of a line of the cache, where memory goes as far."""
    memory = span.root.reshape(-1).view(np.uint8)
    end = span.start - (span.start - span.end) // LINE * LINE
    return memory[span.start : end].data


def _view(
    array: Array, spans: list[_Span], starts: list[int], memory: memoryview, capacity: int
) -> Array:
    """Where an array is in the copies of all steps: steps x the array."""
    root = _root(array)
    first, last = _bounds(array, root)
    k = next(
        k for k, s in enumerate(spans) if s.root is root and s.start <= first and last <= s.end
    )
    shape, strides = (capacity, *array.shape), (starts[-1], *array.strides)
    offset = starts[k] + first - spans[k].start
    view: np.ndarray[Any, Any] = np.ndarray(shape, array.dtype, memory, offset, strides)
    return view
