"""Data sets: what one is, those that ship, and a person's own.

Nothing here needs torch to hand out a batch, and nothing turns a whole part into floats.
"""

from hwnas.data.arrays import ArrayDataset, from_arrays, has_digest, notes_of
from hwnas.data.batches import batch_indices, even_slices, first_images
from hwnas.data.checking import check_dataset
from hwnas.data.labelled import LabelledImages, resized
from hwnas.data.loading import default_proxy_size, load_data, parse_data_spec, suited
from hwnas.data.no_images import NoImages
from hwnas.data.preparation import PREPROCESSING, Preparation, preparation_metadata, preparation_of
from hwnas.data.protocol import Batch, Dataset, TrainableValidation
from hwnas.data.sources import DATA, DataEntry, data_specs, register_data

__all__ = [
    "DATA",
    "PREPROCESSING",
    "ArrayDataset",
    "Batch",
    "DataEntry",
    "Dataset",
    "LabelledImages",
    "NoImages",
    "Preparation",
    "TrainableValidation",
    "batch_indices",
    "check_dataset",
    "data_specs",
    "default_proxy_size",
    "even_slices",
    "first_images",
    "from_arrays",
    "has_digest",
    "load_data",
    "notes_of",
    "parse_data_spec",
    "preparation_metadata",
    "preparation_of",
    "register_data",
    "resized",
    "suited",
]
