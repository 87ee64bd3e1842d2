"""Another program's network, layer by layer, as a spec's network and arrays by nncli's names.

A reader (`from_torch`, `from_onnx`) tells a `NetworkBuilder` what comes next; what has no place in
a spec is noted under the name that the other program gives it, and all of that is told at once.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from nncli.core.errors import NncliError
from nncli.core.text import printable, sizes
from nncli.nn.activations import ACTIVATIONS
from nncli.nn.arrays import Array, Shape
from nncli.nn.layers import LAYERS, ShapeMismatch

BY_PLAIN_NAME = {name.replace("_", ""): name for name in ACTIVATIONS}  # as classes are called
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

    def refuse(self, name: str, why: str) -> None:
        """Notes that something has no place in a spec."""
        self.problems.append(f"{printable(name)}: {why}")
        self.shape = None

    def add(
        self, name: str, kind: str, arrays: Mapping[str, Array] | None = None, **keys: Any
    ) -> None:
        """The next layer, of a kind of `LAYERS`; `name` is the other program's for it."""
        self._check_last(name)
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
            self._arrays[f"{kind}{number}.{key}"] = np.array(array, order="C")

    def flatten(self) -> None:
        """An image becomes a vector; a vector stays one."""
        if self.shape is None or len(self.shape) != 1:
            self.add("flatten", "flatten")

    def dense(self, name: str, weight: Array, bias: Array | None, **keys: Any) -> None:
        """Weights are inputs x units."""
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
        for key, array in arrays.items():
            if not np.isfinite(array).all():
                self.refuse(name, f"its {key} holds what is not a finite number")
        self.add(name, kind, arrays, **keys, activation="identity")

    def activation(self, name: str, row: str, **parameters: float) -> None:
        """σ of what came last, a row of `ACTIVATIONS`."""
        if row == "identity":
            return
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

    def _pass_on(self, name: str) -> None:
        """A layer that gives what it gets, and is not trained, for an activation of its own.

        Its sums have one term that is not 0, so they are equal to the bit.
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
            self.add(name, "conv", ones, filters=n, kernel=(1, 1), groups=n, **frozen)
        self._notes.append(
            f"{printable(name)} has no layer of its own in nncli: it is that of a frozen layer "
            f"that passes its input on, {self._layers[-1]['type']}"
        )

    def made(self) -> ForeignNetwork:
        """The network, when all has been told.

        Raises:
            NncliError: something has no place in a spec; all of it.
        """
        if not self.problems and not self._layers:
            raise NncliError("the network has no layers")
        if not self.problems and not LAYERS[self._layers[-1]["type"]].is_output:
            self.flatten()
            self._pass_on("the output")
        if self.problems:
            lines = list(dict.fromkeys(self.problems))
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
