"""Data sets: what one is, those that ship, and a person's own.

Nothing here needs torch to hand out a batch, and nothing turns a whole part into floats.
"""

from hwnas.data.arrays import ArrayDataset, from_arrays, has_digest, notes_of
from hwnas.data.augmentation import PLAIN, Augmentation, augmented
from hwnas.data.batches import batch_indices, even_slices
from hwnas.data.checking import check_dataset
from hwnas.data.labelled import LabelledImages, resized
from hwnas.data.loading import READINGS, default_proxy_size, load_data, parse_data_spec, suited
from hwnas.data.nested import (
    arrays,
    first_examples,
    joined,
    length,
    mapped,
    moved,
    parts_of,
    rows_of,
    tensors,
)
from hwnas.data.no_images import NoImages
from hwnas.data.own import OwnData, from_batches
from hwnas.data.preparation import PREPROCESSING, Preparation, preparation_metadata, preparation_of
from hwnas.data.protocol import (
    Batch,
    Dataset,
    InputShape,
    TrainableValidation,
    is_image,
    shapes_of,
    shown_shape,
)
from hwnas.data.shares import share_of, train_share
from hwnas.data.sources import DATA, DataEntry, data_specs, register_data
from hwnas.data.streamed import StreamedImages, with_data_workers
from hwnas.data.task import ACCURACY, CLASSIFICATION, Metric, Task, task_of

__all__ = [
    "ACCURACY",
    "CLASSIFICATION",
    "DATA",
    "PLAIN",
    "PREPROCESSING",
    "READINGS",
    "ArrayDataset",
    "Augmentation",
    "Batch",
    "DataEntry",
    "Dataset",
    "InputShape",
    "LabelledImages",
    "Metric",
    "NoImages",
    "OwnData",
    "Preparation",
    "StreamedImages",
    "Task",
    "TrainableValidation",
    "arrays",
    "augmented",
    "batch_indices",
    "check_dataset",
    "data_specs",
    "default_proxy_size",
    "even_slices",
    "first_examples",
    "from_arrays",
    "from_batches",
    "has_digest",
    "is_image",
    "joined",
    "length",
    "load_data",
    "mapped",
    "moved",
    "notes_of",
    "parse_data_spec",
    "parts_of",
    "preparation_metadata",
    "preparation_of",
    "register_data",
    "resized",
    "rows_of",
    "shapes_of",
    "share_of",
    "shown_shape",
    "suited",
    "task_of",
    "tensors",
    "train_share",
    "with_data_workers",
]
