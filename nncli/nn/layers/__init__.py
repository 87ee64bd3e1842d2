"""The kinds of layers, a file each: hyperparameters, shapes, costs and the step side by side.

`LAYERS` is the one list of them; whatever depends on the kind of a layer asks the kind. A new kind
is a file here and a line in the list, a model in `nncli.spec.layers`, and its entries in the
exporters. It may import NumPy, core and, of nn, arrays, activations, initialisers, padding and
windows. Start reading at `base`, then `dense`.
"""

from nncli.nn.layers.base import (
    Formula,
    Layer,
    LayerStep,
    Placed,
    RecordedQuantity,
    ShapeMismatch,
    Workspace,
)
from nncli.nn.layers.batchnorm import BatchNorm, BatchNormStep
from nncli.nn.layers.conv import PADDING_MODES, Conv, ConvStep
from nncli.nn.layers.dense import Dense, DenseStep
from nncli.nn.layers.dropout import Dropout, DropoutStep
from nncli.nn.layers.flatten import Flatten, FlattenStep
from nncli.nn.layers.pool import (
    AvgPool,
    AvgPoolStep,
    GlobalAvgPool,
    GlobalAvgPoolStep,
    MaxPool,
    MaxPoolStep,
    Pool,
    PoolStep,
    SizedPool,
)
from nncli.nn.layers.weighted import OuterFactors, WeightedLayer, WeightedStep

__all__ = [
    "LAYERS",
    "PADDING_MODES",
    "AvgPool",
    "AvgPoolStep",
    "BatchNorm",
    "BatchNormStep",
    "Conv",
    "ConvStep",
    "Dense",
    "DenseStep",
    "Dropout",
    "DropoutStep",
    "Flatten",
    "FlattenStep",
    "Formula",
    "GlobalAvgPool",
    "GlobalAvgPoolStep",
    "Layer",
    "LayerStep",
    "MaxPool",
    "MaxPoolStep",
    "OuterFactors",
    "Placed",
    "Pool",
    "PoolStep",
    "RecordedQuantity",
    "ShapeMismatch",
    "SizedPool",
    "WeightedLayer",
    "WeightedStep",
    "Workspace",
]

LAYERS: dict[str, type[Layer]] = {
    kind.type: kind
    for kind in (Dense, Conv, MaxPool, AvgPool, GlobalAvgPool, Flatten, Dropout, BatchNorm)
}
