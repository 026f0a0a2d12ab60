"""CSV files of strangers: what is read, and what is refused in one line."""

import gzip

import pytest

from hwnas.csv_files import read_csv, split_column
from hwnas.errors import DataError

TEXT = 'idx,name,ms\n0,a b, 1.5\n\n1,"c,d",2\n'


@pytest.fixture
def written(tmp_path):
    def write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize("packed", [False, True])
def test_columns_are_read_by_name_with_the_lines_they_stand_in(written, packed):
    content = gzip.compress(TEXT.encode()) if packed else TEXT
    file = read_csv(written(content))
    assert file.header == ("idx", "name", "ms")
    assert file.first == ("0", "a b", " 1.5")
    found = file.columns(["ms", "name"])
    assert found.lines == [2, 4]
    assert found.rows == [("1.5", "a b"), ("2", "c,d")]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("a,ms\n1\n", "line 2 of .* has 1 fields, and its first line names 2 columns"),
        ("a,b\n1,2\n", "has no column 'ms': its columns are a, b"),
        ("ms,ms\n1,2\n", "has 2 columns of the name 'ms'"),
        ("ms\n", "has no rows below its header"),
        ("", "names no columns"),
        ("\n\n", "names no columns"),
        (b"\xff\xfe\x00", "no text of UTF-8"),
        ('ms\n"a', "line 2 of .* is no row of a CSV file"),
        ("ms\n" + "9" * 200_000, "line 2 of .* is no row of a CSV file"),
        (gzip.compress(TEXT.encode(), mtime=0)[:-9], "not a whole gzip file"),
        (b"\x1f\x8bnothing", "not a whole gzip file"),
    ],
)
def test_what_is_no_such_file_is_said_in_one_line(written, content, complaint):
    with pytest.raises(DataError, match=complaint) as caught:
        read_csv(written(content)).columns(["ms"])
    assert "\n" not in str(caught.value)


def test_a_bomb_is_not_unpacked_and_a_folder_not_opened(written, tmp_path, monkeypatch):
    monkeypatch.setattr("hwnas.csv_files._MOST_BYTES", 2**20)
    with pytest.raises(DataError, match="larger than 1 MiB when unpacked"):
        read_csv(written(gzip.compress(bytes(2**24))))
    with pytest.raises(DataError, match=r"cannot be read .*larger than 1 MiB"):
        read_csv(written(b"a" * (2**20 + 1)))
    with pytest.raises(DataError, match="a folder, and a regular file is needed"):
        read_csv(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        read_csv(tmp_path / "none.csv")


def test_a_column_is_named_behind_the_file():
    path, column = split_column("C:/x/table.csv.gz:accuracy")
    assert (str(path), column) == ("C:/x/table.csv.gz", "accuracy")
    for wrong in ("table.csv", "table.csv:", ":accuracy"):
        with pytest.raises(DataError, match=r"a column of a table is FILE.csv:COLUMN"):
            split_column(wrong)
