"""A YAML file becomes a checked, frozen Spec: the only room that imports yaml and pydantic.

The models (`models`, and for its parts `data` and `layers`) check each value by itself; `load`
reads a file and checks what concerns several parts at once. Start reading at `load`.

It may import yaml, pydantic, core and, of nn, the tables whose words are a spec's own: activations,
costs, initialisers, layers and quantities. The conditions of `expect` and `break` are in
`conditions`, their names in `binding`.
"""

from nncli.spec.data import DataSpec, PairSpec
from nncli.spec.dump import dump_spec
from nncli.spec.layers import (
    LAYERS,
    AvgPoolSpec,
    BatchNormSpec,
    ConvSpec,
    DenseSpec,
    DropoutSpec,
    FlattenSpec,
    GlobalAvgPoolSpec,
    LayerSpec,
    MaxPoolSpec,
    WeightedLayerSpec,
)
from nncli.spec.load import load_spec, override_spec, parse_spec, read_mapping
from nncli.spec.models import Spec, TrainSpec
from nncli.spec.nodes import ValueOrigin
from nncli.spec.schedules import ConstantSchedule, StepSchedule

__all__ = [
    "LAYERS",
    "AvgPoolSpec",
    "BatchNormSpec",
    "ConstantSchedule",
    "ConvSpec",
    "DataSpec",
    "DenseSpec",
    "DropoutSpec",
    "FlattenSpec",
    "GlobalAvgPoolSpec",
    "LayerSpec",
    "MaxPoolSpec",
    "PairSpec",
    "Spec",
    "StepSchedule",
    "TrainSpec",
    "ValueOrigin",
    "WeightedLayerSpec",
    "dump_spec",
    "load_spec",
    "override_spec",
    "parse_spec",
    "read_mapping",
]
