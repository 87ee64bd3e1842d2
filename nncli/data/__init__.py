"""Where samples come from: files become arrays, arrays become datasets that hand out mini-batches.

`readers/` makes arrays and tables of files, `columns/` inputs of their columns. `load` reads what
a spec names, splits it and finds out what targets mean (`targets`); `preprocessing` is that and how
inputs become numbers of a size (`scaling`), kept with a run, by which `inference_inputs` reads data
that come later. A `dataset` gathers mini-batches. `survey` looks at a file for `nncli init`.

It may import NumPy, core and, in `readers`, Pillow; it knows nothing of networks. Start with
`load`, then `dataset`.
"""

from nncli.data.columns.choice import ColumnKeys
from nncli.data.columns.samples import table_samples
from nncli.data.dataset import Checksum, Data, Dataset, make_dataset
from nncli.data.inference_inputs import Inputs, read_inputs, read_measured
from nncli.data.load import load
from nncli.data.preprocessing import Preprocessing, preprocessing_from
from nncli.data.readers.arrays import read_whole_npz
from nncli.data.readers.files import file_size
from nncli.data.readers.read import read_source, read_values
from nncli.data.readers.rows import read_table
from nncli.data.readers.tables import Table, Target
from nncli.data.samples import Origin, Pair, Samples, Source
from nncli.data.scaling import Scale, Scaling
from nncli.data.targets import Classes, Encoding, fit_encoding

__all__ = [
    "Checksum",
    "Classes",
    "ColumnKeys",
    "Data",
    "Dataset",
    "Encoding",
    "Inputs",
    "Origin",
    "Pair",
    "Preprocessing",
    "Samples",
    "Scale",
    "Scaling",
    "Source",
    "Table",
    "Target",
    "file_size",
    "fit_encoding",
    "load",
    "make_dataset",
    "preprocessing_from",
    "read_inputs",
    "read_measured",
    "read_source",
    "read_table",
    "read_values",
    "read_whole_npz",
    "table_samples",
]
