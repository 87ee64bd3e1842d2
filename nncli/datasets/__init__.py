"""Where samples come from: tables, IDX, NumPy files; split, scaling, mini-batches."""

from nncli.datasets.arrays import read_whole_npz
from nncli.datasets.files import file_size
from nncli.datasets.later import Inputs, read_inputs, read_measured
from nncli.datasets.load import load
from nncli.datasets.part import Data, Part, prepare
from nncli.datasets.read import read_source, read_values
from nncli.datasets.recipe import Recipe, recipe_from
from nncli.datasets.samples import Origin, Pair, Samples, Source
from nncli.datasets.scaling import Scale, Scaling
from nncli.datasets.tables import Table, Target, read_table, table_samples
from nncli.datasets.targets import Classes, Encoding, fit_encoding

__all__ = [
    "Classes",
    "Data",
    "Encoding",
    "Inputs",
    "Origin",
    "Pair",
    "Part",
    "Recipe",
    "Samples",
    "Scale",
    "Scaling",
    "Source",
    "Table",
    "Target",
    "file_size",
    "fit_encoding",
    "load",
    "prepare",
    "read_inputs",
    "read_measured",
    "read_source",
    "read_table",
    "read_values",
    "read_whole_npz",
    "recipe_from",
    "table_samples",
]
