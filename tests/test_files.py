"""Files that are appended to: what stands there stays."""

import multiprocessing

import pytest

from hwnas.files import Appender, append_line


def test_a_line_that_was_cut_short_is_ended_and_nothing_is_rewritten(tmp_path):
    path = tmp_path / "new folder" / "log"
    append_line(path, "one")
    with path.open("a") as file:
        file.write('{"two": [1.')
    with Appender(path) as file:
        file.add("three")
        assert path.read_bytes() == b'one\n{"two": [1.\nthree\n'  # before it is closed
        file.add("four")
    assert path.read_bytes() == b'one\n{"two": [1.\nthree\nfour\n'


def _alone(path):
    with Appender(path) as file:
        return file.alone


def test_one_process_adds_at_a_time(tmp_path):
    pytest.importorskip("fcntl")
    path = tmp_path / "log"
    with Appender(path) as file, multiprocessing.get_context("fork").Pool(1) as pool:
        assert file.alone
        assert not pool.apply(_alone, (path,))
    assert _alone(path)
