"""Data sets: what one is, those that ship, and a person's own.

Nothing here needs torch to hand out a batch, and nothing turns a whole part into floats.
"""

from hwnas.data.arrays import ArrayDataset, from_arrays, has_digest
from hwnas.data.batches import batch_indices, even_slices
from hwnas.data.checking import check_dataset
from hwnas.data.labelled import LabelledImages, resized
from hwnas.data.loading import default_proxy_size, load_data, parse_data_spec
from hwnas.data.no_images import NoImages
from hwnas.data.protocol import Batch, Dataset, TrainableValidation
from hwnas.data.sources import DATA, DataEntry, data_specs, register_data

__all__ = [
    "DATA",
    "ArrayDataset",
    "Batch",
    "DataEntry",
    "Dataset",
    "LabelledImages",
    "NoImages",
    "TrainableValidation",
    "batch_indices",
    "check_dataset",
    "data_specs",
    "default_proxy_size",
    "even_slices",
    "from_arrays",
    "has_digest",
    "load_data",
    "parse_data_spec",
    "register_data",
    "resized",
]
