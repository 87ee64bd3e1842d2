"""What the pages of a step say of a layer of each kind: a kind a file, as in `nncli.nn.layers`.

A kind that computes by formulas of its own (`Layer.forward_formulas`) needs nothing here: its page
is `LayerPage`. Any other is a class and a line in PAGES. Start reading at `base`, then `dense`.

It may import NumPy, core, nn, inspection and what is beside it in render, but no formats.
"""

from nncli.nn.layers import AvgPool, Conv, Dense, Flatten, GlobalAvgPool, Layer, MaxPool
from nncli.nn.trace import LayerTrace
from nncli.render.pages.kinds.base import Choices, LayerPage
from nncli.render.pages.kinds.conv import ConvPage
from nncli.render.pages.kinds.dense import DensePage
from nncli.render.pages.kinds.shapes import FlattenPage, PoolPage

__all__ = ["PAGES", "Choices", "LayerPage", "page_of"]

PAGES: dict[type[Layer], LayerPage] = {
    Dense: DensePage(),
    Conv: ConvPage(),
    MaxPool: PoolPage("the largest", "to the largest"),
    AvgPool: PoolPage("the mean", "in equal shares"),
    GlobalAvgPool: PoolPage("the mean", "in equal shares"),
    Flatten: FlattenPage(),
}
_BY_FORMULAS = LayerPage()


def page_of(layer: LayerTrace) -> LayerPage:
    return PAGES.get(type(layer.placed.layer), _BY_FORMULAS)
