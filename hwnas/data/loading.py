"""From what a person types after ``--data`` to a data set."""

from dataclasses import replace
from pathlib import Path

from hwnas.data.arrays import ArrayDataset, from_parts
from hwnas.data.checking import check_dataset
from hwnas.data.folder_files import FolderFiles
from hwnas.data.image_folder import FolderImages
from hwnas.data.labelled import LabelledImages
from hwnas.data.protocol import Dataset, InputShape, is_image, shapes_of, shown_shape
from hwnas.data.sources import DATA, DataEntry, Found, as_entry, data_specs
from hwnas.errors import DataError, HwnasError, OptionError
from hwnas.given import check_seed
from hwnas.registry import is_typed_object, typed_object

__all__ = ["READINGS", "default_proxy_size", "load_data", "parse_data_spec", "suited"]

#: How `load_data` read folders of images in this and in earlier versions, the latest first: a run
#: goes on with the reading whose digest it holds.
READINGS: tuple[dict[str, bool], ...] = (
    {},
    {"streamed": False},
    {"streamed": False, "stratified": False},
)


def parse_data_spec(spec: str, *, typed: bool = True) -> tuple[DataEntry, Path | None]:
    """The kind of data of a spec, and its folder.

    The folder exists; files in it were not looked at.

    Args:
        spec: see `load_data`.
        typed: whether a person typed it; what stands in a file is never imported.

    Raises:
        DataError: no such data, or no such folder.
        OptionError: ``FILE.py:NAME`` or ``module:NAME`` cannot be imported, or is no data set.
    """
    if not isinstance(spec, str):
        raise OptionError(f"data are named by a text: {', '.join(data_specs())}; got {spec!r}")
    scheme, colon, folder = spec.partition(":")
    if scheme not in DATA:
        return _own(spec, typed), None
    entry = DATA.get(scheme)
    if not entry.folder:
        if colon:
            comes = "digits come with scikit-learn and" if scheme == "digits" else f"{scheme} data"
            raise DataError(f"{comes} take no folder, got {spec!r}")
        return entry, None
    if not folder:
        raise DataError(f"{scheme} needs a folder, written {scheme}:DIR; got {spec!r}")
    try:
        path = Path(folder).expanduser()
    except RuntimeError:  # ~NAME of nobody
        path = Path(folder)
    if not path.is_dir():
        raise DataError(f"there is no folder {folder!r}, which {scheme} was to be read from")
    return entry, path


def _own(spec: str, typed: bool) -> DataEntry:
    """The data of ``FILE.py:NAME`` or ``module:NAME``."""
    if not is_typed_object(spec):
        raise _unknown(spec)
    if not typed:
        raise DataError(
            f"the data {spec!r} are named by a file, and code that a file names is not run: give "
            f"--data {spec} yourself"
        )
    try:
        thing = typed_object(spec)
    except OptionError as error:
        cause, module = error.__cause__, spec.partition(":")[0]
        if isinstance(cause, ModuleNotFoundError) and cause.name == module.split(".")[0]:
            raise _unknown(spec, f"; there is no module {module!r}") from None
        raise
    entry = as_entry(spec.rpartition(":")[2], thing)
    if entry.folder:
        raise DataError(
            f"{spec} needs a folder, which has no place in FILE.py:NAME: read it from where the "
            "data lie without being told, or register it under a name"
        )
    return entry


def _unknown(spec: str, why: str = "") -> DataError:
    return DataError(
        f"unknown data {spec!r}: choose one of {', '.join(data_specs())}, or your own as "
        f"FILE.py:NAME or module:NAME{why}"
    )


def default_proxy_size(spec: str, *, typed: bool = True) -> int:
    """Pixels of the images that a supernet is trained on unless another size is asked for.

    Raises:
        DataError, OptionError: as `parse_data_spec`.
    """
    return parse_data_spec(spec, typed=typed)[0].proxy_size


def load_data(
    spec: str,
    *,
    input_size: int | None = None,
    input_shape: InputShape | None = None,
    seed: int = 0,
    typed: bool = True,
    stratified: bool = True,
    streamed: bool = True,
) -> Dataset:
    """Read a data set, resized to what a network reads.

    Args:
        spec: ``digits`` (1,797 images that come with scikit-learn), ``fashion-mnist:DIR`` (the four
            idx files, packed or not), ``cifar10:DIR`` (the binary version, or the JPEG packs
            ``cifar10_jpeg_train.npz`` and ``cifar10_jpeg_test.npz``), ``imagefolder:DIR`` (one
            sub-folder a class, perhaps in parts such as ``train``, ``val`` and ``test``),
            ``imagefolder-readable:DIR`` (the same without images that cannot be read),
            ``imagefolder-streamed:DIR`` (the same read from the files as needed), a registered
            name (with ``:DIR`` if it needs a folder), ``FILE.py:NAME`` or ``module:NAME``.
        input_size: height and width of square images in colour, pixels.
        input_shape: channels, height and width, in its place; any shape for a person's own data.
        seed: of the split. Sets without a test part are split 60 : 20 : 20; of the others a sixth
            of the training part, at most 10,000 images, becomes the validation part. A person's own
            data set comes split.
        typed: whether a person typed the spec. One that stands in a file may name what ships, what
            is registered and what installed packages bring; no module that it names is imported.
        stratified: whether images of a folder are split class by class; version 0.1.0 did not.
        streamed: whether images of a folder that take more than 4 GiB are streamed; earlier
            versions did not.

    Returns:
        A `hwnas.data.ArrayDataset`, or a person's own object.

    Raises:
        DataError: no such kind of data, a folder or file that is missing or broken, too few
            images, or an own object that is no data set of this shape.
        OptionError: an own object cannot be imported, or an argument is none.
    """
    if (input_size is None) == (input_shape is None):
        raise DataError("images need an input_size or an input_shape, one of them")
    shape = input_shape or (3, input_size or 0, input_size or 0)
    check_seed(seed)
    entry, folder = parse_data_spec(spec, typed=typed)
    if (least := min(map(min, shapes_of(shape)))) < 1:
        raise DataError(f"images need an input size of at least 1 pixel, got {least}")
    found = _read(entry, folder, shape, spec)
    if isinstance(found, FolderFiles) and found.in_memory and not streamed:
        found = found.in_memory()
    if isinstance(found, tuple):
        train, test = found
        data: Dataset = from_parts(
            entry.name,
            _checked(train, f"{spec}: training"),
            None,
            None if test is None else _checked(test, f"{spec}: test"),
            seed=seed,
        )
    elif isinstance(found, FolderImages):
        data = (None if stratified else found.split_as_before(seed)) or found.split(seed)
    elif isinstance(found, FolderFiles):
        data = found.split(seed)
    else:
        data = found
        check_dataset(data)
    return suited(data, shape, channels=input_shape is not None)


def suited(data: Dataset, shape: InputShape, *, channels: bool = True) -> Dataset:
    """Data as a network reads them: grey ones get one channel where it reads one.

    Args:
        data: of some shape.
        shape: channels, height and width that the network reads.
        channels: whether their number matters.

    Raises:
        DataError: they have another shape.
    """
    if not is_image(data.input_shape) or not is_image(shape):
        if shapes_of(data.input_shape) == shapes_of(shape):
            return data
        raise DataError(
            f"data {data.name!r} hand out inputs {data.input_shape}, and the network reads "
            f"{tuple(shape)}: give one of them the other's shape"
        )
    if isinstance(data, ArrayDataset) and shape[0] == data.train_images.shape[1] == 1:
        data = replace(data, grey=True)
    given, height, width = data.input_shape
    if (height, width) != shape[1:]:
        advice = f"give --proxy-input-size {height}, or make them of that size"
        if height != width:
            advice = "make them of that size, or search a space with this input_shape"
        raise DataError(
            f"data {data.name!r} hand out images of {height} x {width} pixels, asked for were "
            f"{shape[1]} x {shape[2]}: {advice}"
        )
    if channels and given != shape[0]:
        raise DataError(
            f"data {data.name!r} hand out images of {given} channels, and the network reads "
            f"{shape[0]}: make them, or the network, of that many"
        )
    return data


def _read(entry: DataEntry, folder: Path | None, shape: InputShape, spec: str) -> Found:
    """What a reader, a person's own perhaps, gives.

    Raises:
        DataError: it raises, makes no images of this shape, or gives two things that are no parts.
    """
    asked = shown_shape(shape)
    if entry.images and not is_image(shape):
        raise DataError(f"{entry.name} data are images, and the network reads {asked}: give others")
    if not entry.shaped and (shape[0] != 3 or shape[1] != shape[2]):
        raise DataError(
            f"{entry.name} data are square and in colour, asked for were images of {asked}: "
            "register a DataEntry with shaped=True, whose read takes a shape"
        )
    try:
        found = entry.read(folder, shape if entry.shaped else shape[1])
    except (HwnasError, MemoryError):
        raise
    except OSError as error:
        raise DataError(f"cannot read {spec}: {error.strerror or error}") from error
    except Exception as error:
        raise DataError(f"cannot read {spec}: {type(error).__name__}: {error}") from error
    if isinstance(found, tuple):
        kinds = [type(part) for part in found]
        if kinds not in ([LabelledImages, LabelledImages], [LabelledImages, type(None)]):
            raise DataError(
                f"{spec} gives {', '.join(kind.__name__ for kind in kinds) or 'nothing'}: give a "
                "data set, such as that of hwnas.data.from_arrays, or LabelledImages for training "
                "and for test (or None)"
            )
    return found


def _checked(part: LabelledImages, what: str) -> LabelledImages:
    checked = LabelledImages.checked(part.images, part.labels, part.classes, what)
    return replace(checked, class_names=part.class_names)
