"""Where samples come from: tables, IDX, NumPy files; split, scaling, mini-batches."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nncli.datasets.load import load
from nncli.datasets.part import Data, Part, prepare
from nncli.datasets.read import read_source, read_values
from nncli.datasets.samples import Origin, Pair, Samples, Source
from nncli.datasets.scaling import Scale, Scaling
from nncli.datasets.tables import Table, Target, read_table, table_samples
from nncli.datasets.targets import Classes, Encoding, fit_encoding

if TYPE_CHECKING:
    from nncli.datasets.filters import FILTERS, read_filter
    from nncli.datasets.matrices import Matrix, open_npy_for_writing, read_matrix, write_matrix

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

# Matrix files are read by one command only; the others need not load their readers.
_HOME = {
    "FILTERS": "nncli.datasets.filters",
    "Matrix": "nncli.datasets.matrices",
    "open_npy_for_writing": "nncli.datasets.matrices",
    "read_filter": "nncli.datasets.filters",
    "read_matrix": "nncli.datasets.matrices",
    "write_matrix": "nncli.datasets.matrices",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'nncli.datasets' has no attribute {name!r}")
