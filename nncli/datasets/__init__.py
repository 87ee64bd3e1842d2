"""Where samples come from: tables, IDX, NumPy files; split, scaling, mini-batches."""

from nncli.datasets.filters import FILTERS, read_filter
from nncli.datasets.load import load
from nncli.datasets.matrices import (
    Matrix,
    open_npy_for_writing,
    read_matrix,
    write_matrix,
)
from nncli.datasets.part import Data, Part, prepare
from nncli.datasets.read import read_source, read_values
from nncli.datasets.samples import Origin, Pair, Samples, Source
from nncli.datasets.scaling import Scale, Scaling
from nncli.datasets.tables import Table, Target, read_table, table_samples
from nncli.datasets.targets import Classes, Encoding, fit_encoding

__all__ = [
    "FILTERS",
    "Classes",
    "Data",
    "Encoding",
    "Matrix",
    "Origin",
    "Pair",
    "Part",
    "Samples",
    "Scale",
    "Scaling",
    "Source",
    "Table",
    "Target",
    "fit_encoding",
    "load",
    "open_npy_for_writing",
    "prepare",
    "read_filter",
    "read_matrix",
    "read_source",
    "read_table",
    "read_values",
    "table_samples",
    "write_matrix",
]
