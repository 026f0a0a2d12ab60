"""Archives of arrays of strangers: what is read, and what is refused in one line."""

import io
import random
import struct
import zipfile

import numpy as np
import pytest

from hwnas.npz_files import read_npy, read_npz
from hwnas.reading import MIB


def archive(content, packing=zipfile.ZIP_STORED):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", packing) as file:
        file.writestr("x.npy", content)
    return packed.getvalue()


def npy(header, data=bytes(64), version=1):
    """An array with a header of one's own, in a format of one's own."""
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes((version, 0)) + length + header + data


def stated(what):
    """What an array says of itself where one of the three is something else."""
    given = {"descr": "'<f4'", "fortran_order": "False", "shape": "(16,)"} | what
    return f"{{{', '.join(f'{name!r}: {value}' for name, value in given.items())}}}\n".encode()


WRONG = (
    *(stated({"descr": value}) for value in ("'O'", "'x'", "3", "None", "[('a', 'O')]")),
    *(stated({"shape": value}) for value in ("4", f"({2**70},)", "(-1,)", "(17,)", "('a',)")),
    *(stated({"shape": f"({'1,' * 70})"}), stated({"fortran_order": "1"})),
    *(b"", b"[]\n", b"{'descr': (\n", b"\\\n", b"  \n\tx\n x\n", b"(" * 9000, b"-" * 9000 + b"1\n"),
    *(b"\xff\xfe\n", b"{\0}\n", b"'''\n", b"L" * 20_000, b"{'shape': " + b"9" * 5000 + b"}\n"),
)


def test_arrays_come_back_by_name_however_numpy_packs_them():
    values = {"x": np.arange(6.0).reshape(2, 3), "y": np.array("text")}
    for save in (np.savez, np.savez_compressed):
        packed = io.BytesIO()
        save(packed, **values)
        found = read_npz(packed.getvalue(), MIB)
        assert found.keys() == values.keys()
        assert all(np.array_equal(found[name], value) for name, value in values.items())
    assert np.array_equal(read_npy(npy(stated({}))), np.zeros(16, np.float32))


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_wrong_header_is_one_kind_of_error(version):
    for header in WRONG:
        content = npy(header, version=version)
        with pytest.raises(ValueError, match=r"."):
            read_npy(content)
        with pytest.raises(ValueError, match=r"."):
            read_npz(archive(content), MIB)


def test_damaged_bytes_are_one_kind_of_error():
    """Most flips are seen by the checksum of the archive; none may be anything but a refusal."""
    rng, refused = random.Random(0), 0
    for packing in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        whole = archive(npy(stated({})) * 20, packing)
        for _ in range(50):
            flipped = bytearray(whole)
            for _ in range(rng.choice((1, 2, 8))):
                flipped[rng.randrange(len(whole))] = rng.randrange(256)
            try:
                read_npz(bytes(flipped), MIB)
            except ValueError:
                refused += 1
    assert refused > 100


def test_bombs_are_refused_before_they_are_unpacked():
    large = archive(bytes(3 * MIB), zipfile.ZIP_DEFLATED)
    assert len(large) < MIB / 16
    with pytest.raises(ValueError, match="it unpacks to more than 2 MiB"):
        read_npz(large, 2 * MIB)
    said_small = bytearray(archive(npy(stated({}), bytes(2**24)), zipfile.ZIP_LZMA))
    at = said_small.index(b"PK\x01\x02") + 24  # the unpacked size that the directory says
    said_small[at : at + 4] = struct.pack("<I", 200)
    with pytest.raises(ValueError, match="packed as numpy packs nothing"):
        read_npz(bytes(said_small), MIB)
