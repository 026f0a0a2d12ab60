"""Numbers of architectures from files, against the same rows in a dictionary."""

import gzip

import numpy as np
import pytest

from hwnas import spaces
from hwnas.errors import ArchitectureError, DataError
from hwnas.spaces.tabulated import ArchitectureTable, read_tables

SPACE = spaces.space("nasbench201")
ARCHS = np.unique(SPACE.sample(60, seed=0), axis=0)
#: As in the published files: the one names architectures, the other has the key alone.
NAMING = "idx,arch_str,cifar10_test,cifar10_test_200,e10,macs_M"
KEYED = "idx,1080ti_1,titanxp_32"


def write(path, header, rows):
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    content = "\n".join(lines).encode() + b"\n"
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.fixture
def naming(tmp_path):
    rows = [
        (at, SPACE.format(arch), 0.5, 90 + at / 100, arch[0], at + 1)
        for at, arch in enumerate(ARCHS)
    ]
    return write(tmp_path / "accuracy.csv.gz", NAMING, rows)


@pytest.fixture
def keyed(tmp_path):
    """In another order."""
    rows = [(at, 1.0, 2 + at / 8) for at in range(len(ARCHS))][::-1]
    return write(tmp_path / "latency.csv.gz", KEYED, rows)


def test_a_table_is_a_dictionary_of_its_rows():
    values = np.arange(len(ARCHS)) / 7
    table = ArchitectureTable(SPACE, ARCHS, values, "mine")
    known = {tuple(arch.tolist()): value for arch, value in zip(ARCHS, values, strict=True)}
    order = np.random.default_rng(0).permutation(len(ARCHS))
    assert table(ARCHS[order].astype(np.uint8)).tolist() == [known[tuple(a)] for a in ARCHS[order]]
    other = next(a for a in SPACE.sample(1000, seed=1) if tuple(a.tolist()) not in known)
    assert table.places(np.stack([ARCHS[3], other])).tolist() == [3, -1]
    assert not table.complete
    with pytest.raises(ArchitectureError, match="mine has no row of .none~0"[:16]):
        table(other)


def test_digests_tell_numbers_and_architectures_apart():
    values = np.arange(len(ARCHS), dtype=float)
    tables = [
        ArchitectureTable(SPACE, ARCHS, values),
        ArchitectureTable(SPACE, ARCHS, values + 1e-9),
        ArchitectureTable(SPACE, ARCHS[::-1], values),
    ]
    assert len({table.digest for table in tables}) == 3
    assert ArchitectureTable(SPACE, ARCHS, values).digest == tables[0].digest


def test_files_are_matched_by_architecture_and_across_files_by_their_key(naming, keyed):
    accuracy, latency = read_tables(SPACE, [f"{naming}:cifar10_test_200", f"{keyed}:titanxp_32"])
    assert accuracy(ARCHS) == pytest.approx(90 + np.arange(len(ARCHS)) / 100)
    assert latency(ARCHS) == pytest.approx(2 + np.arange(len(ARCHS)) / 8)
    assert accuracy.name == "accuracy.csv.gz:cifar10_test_200"
    (alone,) = read_tables(SPACE, [f"{naming}:macs_M"])
    assert alone(ARCHS) == pytest.approx(1 + np.arange(len(ARCHS)))
    latency, accuracy = read_tables(  # in either order
        SPACE, [f"{keyed}:titanxp_32", f"{naming}:cifar10_test_200"]
    )
    assert latency(ARCHS[:1]) == 2.0


def rows(**changed):
    """Three good rows, some fields of which are others: ``arch0`` is the first one's."""
    table = [[at, SPACE.format(ARCHS[at]), 90 + at] for at in range(3)]
    for name, value in changed.items():
        table[int(name[-1])][("key", "arch", "value").index(name[:-1])] = value
    return table


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"value1": "fast"}, "line 3 of .*: acc is a number, got 'fast'"),
        ({"value1": "nan"}, "line 3 of .*: acc is a number, got 'nan'"),
        ({"value2": "inf"}, "line 4 of .*: acc is a number, got 'inf'"),
        ({"arch1": SPACE.format(ARCHS[0])}, "more than once: give one row for each"),
        ({"arch2": "k3e6-skip"}, "line 4 of .*: not an architecture of nasbench201"),
        ({"arch0": "k3e6-skip"}, "no column of .* holds architectures of nasbench201, such as"),
        ({"value0": "", "value1": "", "value2": ""}, "holds no numbers: its fields are empty"),
    ],
)
def test_wrong_rows_are_said(tmp_path, changed, complaint):
    path = write(tmp_path / "t.csv", "idx,arch,acc", rows(**changed))
    with pytest.raises(DataError, match=complaint):
        read_tables(SPACE, [f"{path}:acc"])


def test_an_empty_field_is_a_missing_row(tmp_path):
    path = write(tmp_path / "t.csv", "idx,arch,acc", rows(value1=""))
    (table,) = read_tables(SPACE, [f"{path}:acc"])
    assert table.places(ARCHS[:3]).tolist() == [0, -1, 1]


@pytest.mark.parametrize(
    ("header", "keys", "complaint"),
    [
        ("idx,ms", [0, 0, 1], "holds .* more than once"),
        ("idx,ms", [0, 1, 99], "line 4 of .*: no architecture has the idx '99'"),
        ("number,ms", [0, 1, 2], "no column in common with .*: number, ms, and idx, arch_str"),
    ],
)
def test_keys_that_name_no_row_or_one_twice_are_said(tmp_path, naming, header, keys, complaint):
    path = write(tmp_path / "ms.csv", header, [(key, 1.5) for key in keys])
    with pytest.raises(DataError, match=complaint):
        read_tables(SPACE, [f"{naming}:cifar10_test", f"{path}:ms"])


def test_a_column_that_does_not_tell_rows_apart_is_no_key(tmp_path, naming):
    path = write(tmp_path / "ms.csv", "e10,idx,ms", [(0, 1, 1.5), (0, 2, 2.5)])
    _, ms = read_tables(SPACE, [f"{naming}:cifar10_test", f"{path}:ms"])
    assert ms(ARCHS[1:3]).tolist() == [1.5, 2.5]


def test_another_space_is_told_what_an_architecture_looks_like(naming):
    with pytest.raises(DataError, match="holds architectures of fbnet, such as k3e1-k3e1"):
        read_tables(spaces.space("fbnet"), [f"{naming}:cifar10_test"])


def test_numbers_must_be_finite_and_one_each():
    for values in ([np.nan] * len(ARCHS), [1.0]):
        with pytest.raises(DataError, match="one finite number for each architecture"):
            ArchitectureTable(SPACE, ARCHS, values)
