"""Another program's network, layer by layer, as a spec's network and arrays by nncli's names.

A reader (`from_torch`, `from_onnx`) tells a `NetworkBuilder` what comes next; what has no place in
a spec is noted under the name that the other program gives it, and all of that is told at once.
"""

from collections.abc import Mapping, Sequence
from math import inf, prod
from typing import Any, NamedTuple

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.text import join_words, printable, sizes
from nncli.nn.activations import ACTIVATIONS
from nncli.nn.arrays import Array, Shape
from nncli.nn.layers import LAYERS, Conv, ShapeMismatch
from nncli.nn.padding import sources, widest
from nncli.nn.windows import Axis, Pair, Windows

BY_PLAIN_NAME = {name.replace("_", ""): name for name in ACTIVATIONS}  # as classes are called
MOST_PROBLEMS = 20  # that are told at once
MOST_UNITS = 4096  # of a layer that only passes numbers on: its weights are units x units


class ForeignNetwork(NamedTuple):
    """A network as a spec has it.

    Attributes:
        layers: their keys and values, in order.
        arrays: weights, biases and what layers keep, by nncli's names and in its layout.
        input_shape: of a sample.
        output_shape: of what it gives.
        activation: of the last layer.
        notes: what its user should know.
    """

    layers: tuple[Mapping[str, Any], ...]
    arrays: Mapping[str, Array]
    input_shape: Shape
    output_shape: Shape
    activation: str
    notes: tuple[str, ...]

    @property
    def dtype(self) -> str:
        wide = any(array.dtype == np.float64 for array in self.arrays.values())
        return "float64" if wide else "float32"


class _Padding(NamedTuple):
    """What was put around an image, and is in no layer yet; `shape` is that of the image."""

    name: str
    shape: Shape
    widths: tuple[Pair, Pair]
    mode: str
    fill: float


def as_key(widths: tuple[Pair, Pair]) -> tuple[Any, ...]:
    """Padding above and below, left and right, as a spec has it."""
    (above, below), (left, right) = widths
    return (above, left) if (above, left) == (below, right) else widths


def _widths(windows: Windows) -> tuple[Pair, Pair]:
    rows, columns = ((axis.before, axis.after) for axis in windows)
    return rows, columns


def _is_alike(padded: Any, padding: _Padding, pool: Any, shape: Shape) -> bool:
    """Whether a pool that pads the image itself computes what `pool` does of the padded image."""
    windows = padded.windows(padding.shape), pool.windows(shape)
    begins = [[axis.before for axis in each] for each in windows]
    shifts = [before for before, _ in padding.widths]
    counts = padded.counts(padding.shape), pool.counts(shape)
    return (
        windows[0].output_shape == windows[1].output_shape
        and begins[0] == [a + b for a, b in zip(begins[1], shifts, strict=True)]
        and (not pool.is_mean or all(map(np.array_equal, *counts)))
    )


def _sum(one: tuple[Pair, Pair], other: tuple[Pair, Pair]) -> tuple[Pair, Pair]:
    rows, columns = ((a + c, b + d) for (a, b), (c, d) in zip(one, other, strict=True))
    return rows, columns


class NetworkBuilder:
    """Puts layers one behind the other.

    Attributes:
        shape: of what came last; None behind something that has no place.
        problems: what has none, so far.
    """

    def __init__(self, input_shape: Shape) -> None:
        self._input_shape = input_shape
        self.shape: Shape | None = input_shape
        self.problems: list[str] = []
        self._layers: list[dict[str, Any]] = []
        self._arrays: dict[str, Array] = {}
        self._notes: list[str] = []
        self._mixing = ""  # the name of what mixes units, behind which nothing may come
        self._padding: _Padding | None = None

    def refuse(self, name: str, why: str) -> None:
        """Notes that something has no place in a spec."""
        self.problems.append(f"{printable(name)}: {why}")
        self.shape = None

    def add(
        self, name: str, kind: str, arrays: Mapping[str, Array] | None = None, **keys: Any
    ) -> None:
        """The next layer, of a kind of `LAYERS`; `name` is the other program's for it."""
        self._check_last(name)
        keys = self._with_padding(kind, keys)
        number = 1 + sum(layer["type"] == kind for layer in self._layers)
        settings = {k: v for k, v in keys.items() if k not in ("activation", "freeze")}
        if self.shape is not None:
            try:
                layer = LAYERS[kind](**settings)
                is_image = len(self.shape) == 3
                if layer.takes_vectors if is_image else layer.takes_images:
                    given = f"{'an image' if is_image else 'a vector'} ({sizes(self.shape)})"
                    raise ShapeMismatch(f"cannot take {given}")
                self.shape = layer.output_shape(self.shape)
            except ShapeMismatch as error:
                self.refuse(name, str(error))
        self._layers.append({"type": kind, **keys})
        for key, array in (arrays or {}).items():
            if array.dtype.kind not in "iuf":
                self.refuse(name, f"its {key} is {array.dtype}; nncli's numbers are real")
            elif not np.isfinite(array).all():
                self.refuse(name, f"its {key} holds what is not a finite number")
            self._arrays[f"{kind}{number}.{key}"] = np.array(array, order="C")

    def pad(
        self, name: str, rows: Pair, columns: Pair, mode: str = "zeros", fill: float = 0.0
    ) -> None:
        """Puts cells around an image: padding of the next layer, where that can have it.

        Args:
            rows, columns: how many before the image and behind it.
            mode: a word of `PADDING_MODES`.
            fill: what is put there by `zeros`.
        """
        if self.shape is None or not any((*rows, *columns)):
            return
        if len(self.shape) != 3:
            self.refuse(name, "pads a vector; nncli pads images")
        elif min(*rows, *columns) < 0:
            self.refuse(name, "cuts cells off the image, which no layer of nncli does")
        elif fill not in (0, -inf):
            self.refuse(
                name, f"pads with {fill:g}; nncli pads with zeros, or with cells of the image"
            )
        else:
            self._check_last(name)
            self._pad(_Padding(name, self.shape, (rows, columns), mode, fill))

    def _pad(self, padding: _Padding) -> None:
        before = self._padding
        if before is not None:
            is_other_axis = not any(
                any(one) and any(other)
                for one, other in zip(before.widths, padding.widths, strict=True)
            )
            is_alike = (before.mode, before.fill) == (padding.mode, padding.fill)
            if is_alike and (padding.mode == "zeros" or is_other_axis):
                widths = _sum(before.widths, padding.widths)
                padding = before._replace(widths=widths)
            else:
                self._settle_padding()
        channels, *image = padding.shape
        for size, width, lines in zip(image, padding.widths, ("rows", "columns"), strict=True):
            limit = widest(padding.mode, size)
            if limit is not None and max(width) > limit:
                self.refuse(
                    padding.name,
                    f"pads {sizes(tuple(image))} by {max(width)} {lines}, and {padding.mode} has "
                    f"at most {limit}",
                )
                return
        self._padding = padding
        padded = (size + sum(width) for size, width in zip(image, padding.widths, strict=True))
        self.shape = (channels, *padded)

    def repeat(self, name: str, axis: int, indices: Array) -> None:
        """Takes lines of an image by their numbers, where that pads it with lines of its own.

        Args:
            axis: 1: rows, 2: columns.
        """
        if self.shape is None:
            return
        if len(self.shape) != 3 or axis not in (1, 2):
            self.refuse(name, "takes parts of its input")
            return
        size = self.shape[axis]
        modes = ["circular", "reflect", "replicate"]
        if self._padding is not None and self._padding.mode in modes:  # where several fit
            modes.insert(0, self._padding.mode)
        for mode in modes:
            for before in range(min(len(indices) - size, size) + 1):
                around = Axis(size, 1, before=before, after=len(indices) - size - before)
                limit = widest(mode, size)
                if limit is not None and max(around.before, around.after) > limit:
                    continue
                if np.array_equal(sources(around, mode), indices):
                    widths = [(0, 0), (0, 0)]
                    widths[axis - 1] = (around.before, around.after)
                    self.pad(name, widths[0], widths[1], mode)
                    return
        self.refuse(name, "takes parts of its input")

    def _with_padding(self, kind: str, keys: dict[str, Any]) -> dict[str, Any]:
        """The keys of the next layer with the padding before it, which else has its own layer."""
        padding, shape = self._padding, self.shape
        if padding is None or shape is None:
            return keys
        more = self._padding_keys(padding, kind, keys)
        if more is None:
            self._settle_padding()
            return keys
        self._padding, self.shape = None, padding.shape
        return keys | more

    def _padding_keys(
        self, padding: _Padding, kind: str, keys: dict[str, Any]
    ) -> dict[str, Any] | None:
        """The keys by which a layer pads the image itself; None: it cannot to the bit."""
        assert self.shape is not None
        if kind not in ("conv", "maxpool", "avgpool"):
            return None
        settings = {k: v for k, v in keys.items() if k not in ("activation", "freeze")}
        layer: Any = LAYERS[kind](**settings)
        try:
            if isinstance(layer, Conv):
                own = layer.windows(self.shape)
                keys = {"padding": as_key(_sum(padding.widths, _widths(own)))}
                if padding.mode == "zeros":
                    return None if padding.fill or layer.repeats(own) else keys
                return None if own.is_padded else {**keys, "padding_mode": padding.mode}
            # Zeros may be the largest of a window, or share that with a cell of the image.
            if padding.mode != "zeros" or padding.fill != layer.fill:
                return None
            own = layer.padded_windows(self.shape)
            widths = _sum(padding.widths, _widths(own))
            # What a mean does not count may be what ceil_mode has beyond the image.
            beyond = {"padding": as_key(padding.widths), "ceil_mode": True}
            choices: list[dict[str, Any]] = [{"padding": as_key(widths)}, beyond]
            for more in choices:
                if not settings.get("count_include_pad", True):
                    more["count_include_pad"] = True
                if _is_alike(LAYERS[kind](**settings | more), padding, layer, self.shape):
                    return more
        except ShapeMismatch:
            pass
        return None

    def _settle_padding(self) -> None:
        """Gives padding that no layer takes a layer of its own."""
        padding, self._padding = self._padding, None
        if padding is None or self.shape is None:
            return
        if padding.fill:
            why = "pads with -inf, which only a max pool right behind it can take"
            self.refuse(padding.name, f"{why}, and no window on padding alone")
            return
        self.shape = padding.shape
        keys: dict[str, Any] = {"padding": as_key(padding.widths)}
        if padding.mode != "zeros":
            keys["padding_mode"] = padding.mode
        self._pass_on(padding.name, **keys)

    def reshape(self, name: str, wanted: Shape) -> None:
        """Gives a sample other sizes, of which one may be -1: an image may become a vector."""
        if self.shape is None:
            return
        if not wanted:
            self.refuse(name, "makes one vector of all samples")
            return
        whole = prod(self.shape)
        known = prod(size for size in wanted if size != -1)
        found = tuple(whole // max(known, 1) if size == -1 else size for size in wanted)
        if found == (whole,):
            self.flatten()
        elif found != self.shape:
            wants = f"{sizes(wanted)} of samples of {sizes(self.shape)}"
            self.refuse(name, f"makes {wants}; nncli makes vectors of images")

    def mean(self, name: str, axes: Sequence[int], keeps_axes: bool) -> None:
        """The mean of each channel; axes are counted from the samples' on, or from the end."""
        if self.shape is None:
            return
        if len(self.shape) != 3 or {axis % 4 for axis in axes} != {2, 3}:
            over = join_words(map(str, axes), "and") if axes else "all axes"
            self.refuse(
                name, f"is a mean over {over}; nncli has that over rows and columns, 2 and 3"
            )
            return
        self.add(name, "global_avgpool")
        if not keeps_axes:
            self.flatten()

    def note(self, note: str) -> None:
        """Notes what the network's user should know."""
        self._notes.append(printable(note))

    def flatten(self) -> None:
        """An image becomes a vector; a vector stays one."""
        if self.shape is None or len(self.shape) != 1:
            self.add("flatten", "flatten")

    def dense(self, name: str, weight: Array, bias: Array | None, **keys: Any) -> None:
        """Weights are inputs x units."""
        if weight.ndim != 2:
            self.refuse(name, "is no product with a matrix of weights")
            return
        if self.shape is not None and self.shape != weight.shape[:1]:
            self.refuse(name, f"takes {weight.shape[0]:,} numbers, and gets {sizes(self.shape)}")
        self._weighted(name, "dense", weight, bias, units=int(weight.shape[1]), **keys)

    def conv(self, name: str, weight: Array, bias: Array | None, groups: int, **keys: Any) -> None:
        """Weights are filters x channels (of a group) x rows x columns."""
        channels = weight.shape[1] * groups
        if self.shape is not None and len(self.shape) == 3 and self.shape[0] != channels:
            self.refuse(name, f"takes {channels:,} channels, and gets {sizes(self.shape)}")
        if groups != 1:
            keys["groups"] = groups
        filters, kernel = int(weight.shape[0]), tuple(map(int, weight.shape[2:]))
        self._weighted(name, "conv", weight, bias, filters=filters, kernel=kernel, **keys)

    def _weighted(
        self, name: str, kind: str, weight: Array, bias: Array | None, **keys: Any
    ) -> None:
        arrays = {"weight": weight}
        if bias is None:
            keys["bias"] = False
        else:
            arrays["bias"] = bias
        self.add(name, kind, arrays, **keys, activation="identity")

    def log_softmax(self, name: str) -> None:
        """A softmax, whose logarithm is the cost's: with it, it is the cross-entropy."""
        self.note(f"{name} is a softmax, and its logarithm is taken by the cost, cross_entropy")
        self.activation(name, "softmax")

    def activation(self, name: str, row: str, **parameters: float) -> None:
        """σ of what came last, a row of `ACTIVATIONS`."""
        if row == "identity":
            return
        self._settle_padding()
        for parameter in ACTIVATIONS[row].parameters:
            value = parameters.get(parameter.key, parameter.default)
            if not parameter.least <= value <= parameter.most:
                allowed = f"from {parameter.least:g} to {parameter.most:g}"
                self.refuse(name, f"its {parameter.key} is {value:g}; nncli takes it {allowed}")
        if not self._layers or self._layers[-1].get("activation") != "identity":
            self._pass_on(name)
        if not self._layers or "activation" not in self._layers[-1]:
            return  # what it would belong to was refused
        self._check_last(name)
        if not ACTIVATIONS[row].elementwise:
            self._mixing = name
            if self._layers[-1]["type"] != "dense":
                self.refuse(name, f"{row} is known only behind a dense layer, the last")
        self._layers[-1] |= {"activation": row, **parameters}

    def _check_last(self, name: str) -> None:
        if self._mixing:
            self.refuse(
                self._mixing, f"mixes its units, so nothing may come behind it: {name} does"
            )
            self._mixing = ""

    def _pass_on(self, name: str, **padding: Any) -> None:
        """A layer that gives what it gets, and is not trained, for an activation of its own.

        Its sums have one term that is not 0, so they are equal to the bit. That of an image may
        have padding.
        """
        if self.shape is None:
            return
        n, frozen = self.shape[0], {"activation": "identity", "bias": False, "freeze": True}
        if len(self.shape) == 1:
            if n > MOST_UNITS:
                self.refuse(name, f"stands alone, which takes {n:,} x {n:,} weights of 1 and 0")
                return
            self.add(name, "dense", {"weight": np.eye(n, dtype=np.float32)}, units=n, **frozen)
        else:
            ones = {"weight": np.ones((n, 1, 1, 1), np.float32)}
            self.add(name, "conv", ones, filters=n, kernel=(1, 1), groups=n, **padding, **frozen)
        self._notes.append(
            f"{printable(name)} has no layer of its own in nncli: it is that of a frozen layer "
            f"that passes its input on, {self._layers[-1]['type']}"
        )

    def made(self) -> ForeignNetwork:
        """The network, when all has been told.

        Raises:
            NncliError: something has no place in a spec; all of it.
        """
        self._settle_padding()
        if not self.problems and not self._layers:
            raise NncliError("the network has no layers")
        if not self.problems and not LAYERS[self._layers[-1]["type"]].is_output:
            self.flatten()
            self._pass_on("the output")
        if self.problems:
            lines = list(dict.fromkeys(self.problems))
            if len(lines) > MOST_PROBLEMS:
                more = len(lines) - MOST_PROBLEMS
                lines = [*lines[:MOST_PROBLEMS], f"and {more:,} more of it"]
            raise NncliError("\n".join(lines))
        assert self.shape is not None
        last = self._layers[-1]
        return ForeignNetwork(
            tuple(self._layers),
            self._arrays,
            self._input_shape,
            self.shape,
            last["activation"],
            tuple(self._notes),
        )
