"""What follows --data: names, folders, and objects of a person."""

from pathlib import Path

import pytest

from hwnas.data import DATA, default_proxy_size, load_data, parse_data_spec, register_data
from hwnas.errors import DataError, HwnasError, OptionError
from hwnas.registry import typed_object

# Specs


def complains(spec: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_data(spec, input_size=8)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mnist", r"unknown data 'mnist': choose one of digits, fashion-mnist:DIR, cifar10:DIR"),
        ("", r"unknown data ''"),
        ("digits:here", r"digits come with scikit-learn and take no folder, got 'digits:here'"),
        ("cifar10", r"cifar10 needs a folder, written cifar10:DIR; got 'cifar10'"),
        ("imagefolder:", r"imagefolder needs a folder"),
        ("fashion-mnist:/no/such", r"there is no folder '/no/such', which fashion-mnist"),
    ],
)
def test_wrong_specs(spec: str, message: str) -> None:
    complains(spec, message)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    complains(f"cifar10:{tmp_path / 'file'}", "there is no folder")


def test_sizes_below_one_pixel() -> None:
    with pytest.raises(DataError, match="at least 1 pixel, got 0"):
        load_data("digits", input_size=0)


def test_a_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "images").mkdir()
    assert parse_data_spec("cifar10:~/images") == (DATA.get("cifar10"), tmp_path / "images")
    complains("cifar10:~nobody-of-this-name/x", "there is no folder '~nobody-of-this-name/x'")


def test_the_unknown_are_told_how_to_bring_their_own() -> None:
    complains("mnist", r"imagefolder:DIR, .*or your own as FILE.py:NAME or module:NAME$")
    complains("mnist:there", r"unknown data 'mnist:there': .*; there is no module 'mnist'$")


def test_proxies_of_digits_are_small(tmp_path: Path) -> None:
    assert default_proxy_size("digits") == 16
    assert default_proxy_size(f"cifar10:{tmp_path}") == 32


# A person's own

OWN = """
import numpy as np
from hwnas.data import DataEntry, LabelledImages, from_arrays

def made(input_shape):
    channels, height, width = input_shape
    images = np.arange(30)[:, None, None, None] * np.ones(input_shape)
    return from_arrays((images.astype(np.uint8), np.arange(30) % 2), name="made")

class Made:
    name, classes, digest, train_count = "class", 2, "0123456789ab", 9

    def __init__(self, input_shape):
        self.input_shape = input_shape

    def calibration(self, n):
        return np.zeros((min(n, 9), *self.input_shape), np.float32)

    def train_batch(self, step, size, seed):
        return np.zeros((size, *self.input_shape), np.float32), np.arange(size) % 2

    def validation(self):
        return [self.train_batch(0, 4, 0)]

    test = validation

ready = Made((3, 12, 12))

def read(folder, size):
    images = np.zeros((30, 1, size, size), np.uint8)
    return LabelledImages(images, np.arange(30) % 3, 3), None

entry = DataEntry("entry", read, folder=False, proxy_size=24)
wrong = DataEntry("wrong", lambda folder, size: read(folder, 1 + size), folder=False)

def raises(input_shape):
    raise RuntimeError("the disk is full")

def of_folder(input_shape, folder):
    data = Made(input_shape)
    data.name = folder.name
    return data

def small(input_shape):
    return Made((3, 4, 4))

def pair(input_shape):
    return np.zeros((9, *input_shape)), np.arange(9) % 2

def nothing(input_shape):
    return None

def two_lists(a, b, c):
    pass

def named(*, input_shape):
    pass

number = 5
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(DATA, "_registered", {})


@pytest.mark.parametrize(
    ("name", "size", "proxy_size", "said"),
    [
        ("made", 8, 32, "made"),
        ("Made", 8, 32, "class"),
        ("ready", 12, 12, "class"),
        ("entry", 24, 24, "entry"),
    ],
)
def test_a_file_brings_data(own: Path, name: str, size: int, proxy_size: int, said: str) -> None:
    spec = f"{own}:{name}"
    assert default_proxy_size(spec) == proxy_size
    data = load_data(spec, input_size=size)
    assert (data.name, data.input_shape) == (said, (3, size, size))


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("raises", DataError, r"cannot read .*own.py:raises: RuntimeError: the disk is full"),
        (
            "small",
            DataError,
            r"images of 4 x 4 pixels, asked for were 8 x 8: give --proxy",
        ),
        (
            "ready",
            DataError,
            r"12 x 12 pixels, asked for were 8 x 8: give --proxy-input-size 12",
        ),
        ("wrong", DataError, r"data 'wrong' hand out images of 9 x 9 pixels"),
        ("nothing", DataError, r"a data set \(NoneType\) lack name, classes, .*calibration\(\)"),
        (
            "pair",
            DataError,
            r"own.py:pair gives ndarray, ndarray: give a data set, such as",
        ),
        ("of_folder", DataError, r"own.py:of_folder needs a folder, which has no place in FILE"),
        ("two_lists", OptionError, r"make\(input_shape, folder\), got a function that needs 3 arg"),
        ("named", OptionError, r"got a function that needs other arguments"),
        ("number", OptionError, r"or a data set; got int, which lacks name, classes"),
        ("absent", OptionError, r"has no 'absent'"),
    ],
)
def test_what_is_wrong_with_own_data_is_one_line(
    own: Path, name: str, error: type[HwnasError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        load_data(f"{own}:{name}", input_size=8)
    assert "\n" not in str(caught.value)


def test_a_module_brings_data(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own.rename(own.with_name("own_data_module.py"))
    monkeypatch.syspath_prepend(str(own.parent))
    assert load_data("own_data_module:made", input_size=8).name == "made"


def test_a_module_that_lacks_another_says_so(own: Path) -> None:
    own.write_text("import no_such_package")
    with pytest.raises(OptionError, match=r"own.py:x cannot be imported: .*'no_such_package'"):
        load_data(f"{own}:x", input_size=8)


def test_schemes_win_over_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cifar10.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    complains("cifar10:made", "there is no folder 'made', which cifar10")


def test_what_a_file_names_is_not_imported(own: Path) -> None:
    own.write_text("raise SystemExit('imported')")
    for load in (
        lambda: load_data(f"{own}:made", input_size=8, typed=False),
        lambda: default_proxy_size(f"{own}:made", typed=False),
    ):
        with pytest.raises(DataError, match=r"a file names is not run: give --data .*own"):
            load()


def test_what_ships_may_be_named_by_a_file() -> None:
    assert load_data("digits", input_size=8, typed=False).name == "digits"


@pytest.mark.usefixtures("registry")
def test_registered_data_are_loaded_by_name(own: Path, tmp_path: Path) -> None:
    for name in ("made", "ready", "entry", "of_folder"):
        register_data(f"my-{name}", typed_object(f"{own}:{name}"))
    assert load_data("my-made", input_size=8).name == "made"
    assert load_data("my-made", input_size=8, typed=False).name == "made"
    assert load_data("my-entry", input_size=8).name == "my-entry"
    assert default_proxy_size("my-ready") == 12
    (tmp_path / "there").mkdir()
    assert load_data(f"my-of_folder:{tmp_path / 'there'}", input_size=8).name == "there"
    complains("my-of_folder", "my-of_folder needs a folder, written my-of_folder:DIR")
    complains("my-made:there", "my-made data take no folder, got 'my-made:there'")
    complains("mnist", "imagefolder:DIR, my-entry, my-made, my-of_folder, my-ready, or your own")


@pytest.mark.usefixtures("registry")
def test_a_name_is_registered_once(own: Path) -> None:
    made = typed_object(f"{own}:made")
    with pytest.raises(OptionError, match="there is a data set 'digits' already"):
        register_data("digits", made)
    register_data("mine", made)
    with pytest.raises(OptionError, match="there is a data set 'mine' already"):
        register_data("mine", made)
    with pytest.raises(OptionError, match="got int, which lacks"):
        register_data("five", 5)


@pytest.mark.usefixtures("registry")
def test_installed_packages_bring_data(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own.rename(own.with_name("own_data_package.py"))
    info = own.parent / "own_data_package-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-data-package\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[hwnas.data]\nshapes = own_data_package:made\n")
    monkeypatch.syspath_prepend(str(own.parent))
    assert load_data("shapes", input_size=8, typed=False).name == "made"
    complains("mnist", "imagefolder:DIR, shapes, or your own")
