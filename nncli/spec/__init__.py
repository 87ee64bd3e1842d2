"""A YAML file becomes a checked, frozen Spec."""

from nncli.spec.dump import dump_spec
from nncli.spec.inline import file_and_array
from nncli.spec.layers import (
    LAYERS,
    AvgPoolSpec,
    ConvSpec,
    DenseSpec,
    DropoutSpec,
    FlattenSpec,
    LayerSpec,
    MaxPoolSpec,
    WeightedLayerSpec,
)
from nncli.spec.load import load_spec, parse_spec
from nncli.spec.models import (
    ConstantSchedule,
    CosineSchedule,
    DataSpec,
    ExponentialSchedule,
    PairSpec,
    Schedule,
    Spec,
    StepSchedule,
    TrainSpec,
)
from nncli.spec.nodes import Origin
from nncli.spec.schema import json_schema

__all__ = [
    "LAYERS",
    "AvgPoolSpec",
    "ConstantSchedule",
    "ConvSpec",
    "CosineSchedule",
    "DataSpec",
    "DenseSpec",
    "DropoutSpec",
    "ExponentialSchedule",
    "FlattenSpec",
    "LayerSpec",
    "MaxPoolSpec",
    "Origin",
    "PairSpec",
    "Schedule",
    "Spec",
    "StepSchedule",
    "TrainSpec",
    "WeightedLayerSpec",
    "dump_spec",
    "file_and_array",
    "json_schema",
    "load_spec",
    "parse_spec",
]
