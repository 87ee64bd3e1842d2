"""Layers without weights or formulas: flatten, and pooling of either kind."""

from collections.abc import Iterator

from nncli.nn.layers import Pool
from nncli.nn.trace import LayerTrace, Trace
from nncli.render.document import Block, equations
from nncli.render.pages.kinds.base import LayerPage, Row
from nncli.render.pages.matrices import units
from nncli.render.text import Extent, shape


class FlattenPage(LayerPage):
    def formula(self, layer: LayerTrace) -> str:
        placed = layer.placed
        return f"{shape(placed.input_shape)} as a vector of {placed.output_shape[0]}"

    def error_source_below(self, name: str) -> str:
        return f"∂C/∂a: that of {name}'s output, as an image"

    def forward_products(self, layer: LayerTrace) -> Iterator[Row]:
        placed = layer.placed
        sizes = f"{shape(placed.input_shape)} → {shape(placed.output_shape)}"
        yield Row("a = input, as a vector", "none", sizes, "a")


class PoolPage(LayerPage):
    """Pooling: `what` it takes of each window, and `back`, where an error goes in a window."""

    def __init__(self, what: str, back: str) -> None:
        self.what = what
        self.back = back

    def formula(self, layer: LayerTrace) -> str:
        placed = layer.placed
        assert isinstance(placed.layer, Pool)
        windows = placed.layer.windows(placed.input_shape)
        kernel = shape((windows.rows.kernel, windows.columns.kernel))
        padded = f", padded to {shape(windows.padded_shape)}" if windows.is_padded else ""
        return (
            f"{self.what} of each {kernel} window  "
            f"({shape(placed.input_shape)}{padded} → {shape(placed.output_shape)})"
        )

    def forward(self, trace: Trace, layer: LayerTrace, extent: Extent) -> Iterator[Block]:
        yield from equations([("a", layer.a)], "", extent, units(trace))

    def forward_products(self, layer: LayerTrace) -> Iterator[Row]:
        inputs, outputs = shape(layer.placed.input_shape), shape(layer.placed.output_shape)
        yield Row(f"a = {self.what} of each", "none", f"{inputs} → {outputs}", "a")

    def backward_products(self, layer: LayerTrace, *, fused: bool) -> Iterator[Row]:
        inputs, outputs = shape(layer.placed.input_shape), shape(layer.placed.output_shape)
        yield Row(f"back: {self.back}", "none", f"{outputs} → {inputs}", "downstream")
