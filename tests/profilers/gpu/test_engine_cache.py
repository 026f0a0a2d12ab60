"""Engines are code: only this user's own, unchanged, are ever handed out."""

import os

import pytest

from hwnas.errors import OptionError
from hwnas.profilers.gpu.engine_cache import EngineCache, cache_folder

INGREDIENTS = (b"model", "10.4.0", "Synthetic V100")


@pytest.fixture
def cache(tmp_path):
    return EngineCache(tmp_path / "engines")


def path_of(cache):
    (path,) = cache.folder.iterdir()
    return path


def test_keeps_bytes_by_what_they_were_made_from(cache):
    assert cache.read("engine", INGREDIENTS) is None
    cache.write("engine", INGREDIENTS, b"plan")
    assert cache.read("engine", INGREDIENTS) == b"plan"
    assert EngineCache(cache.folder).read("engine", INGREDIENTS) == b"plan"
    assert cache.read("timing", INGREDIENTS) is None
    for at in range(len(INGREDIENTS)):
        other = [*INGREDIENTS]
        other[at] = "another"
        assert cache.read("engine", other) is None
    assert cache.read("engine", (b"model1", "0.4.0", "Synthetic V100")) is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign"])
def test_damaged_files_are_not_handed_out(cache, damage):
    cache.write("engine", INGREDIENTS, b"plan" * 100)
    path = path_of(cache)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        del content[-1]
    elif damage == "flipped":
        content[-1] ^= 1
    elif damage == "empty":
        content.clear()
    else:
        content[:] = b"an engine from somewhere"
    path.write_bytes(content)
    assert cache.read("engine", INGREDIENTS) is None


def test_an_engine_of_another_model_under_this_name_is_not_handed_out(cache):
    cache.write("engine", INGREDIENTS, b"mine")
    mine = path_of(cache)
    cache.write("engine", (b"other",), b"theirs")
    (theirs,) = set(cache.folder.iterdir()) - {mine}
    mine.write_bytes(theirs.read_bytes())
    assert cache.read("engine", INGREDIENTS) is None


@pytest.mark.skipif(os.name == "nt", reason="Windows protects the profile folder itself")
def test_what_others_may_write_to_is_not_trusted(cache, tmp_path):
    cache.write("engine", INGREDIENTS, b"plan")
    path = path_of(cache)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o666)
    assert cache.read("engine", INGREDIENTS) is None
    cache.folder.chmod(0o777)
    with pytest.raises(OptionError, match=r"compiled engines, which are code.*chmod 700"):
        EngineCache(cache.folder)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_are_not_followed(cache, tmp_path):
    cache.write("engine", INGREDIENTS, b"plan")
    path = path_of(cache)
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert cache.read("engine", INGREDIENTS) is None
    (tmp_path / "link").symlink_to(cache.folder)
    with pytest.raises(OptionError, match="somebody else may write"):
        EngineCache(tmp_path / "link")


def test_lies_below_the_users_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HWNAS_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "engines"
    monkeypatch.delenv("HWNAS_HOME")
    assert "hwnas" in cache_folder().parts


def test_what_is_unused_for_longest_makes_room(cache, monkeypatch):
    for at, name in enumerate("abc", start=1):
        known = set(cache.folder.iterdir())
        cache.write("engine", (name,), b"x" * 200)
        (path,) = set(cache.folder.iterdir()) - known
        os.utime(path, (1000 * at, 1000 * at))
    assert cache.read("engine", "a")  # a is in use; b is the oldest now, then c
    monkeypatch.setattr("hwnas.profilers.gpu.engine_cache._MOST_BYTES", 1000)
    cache.write("engine", "d", b"x" * 600)  # 1,200 bytes and four heads of 47: two must go
    kept = [name for name in "abcd" if cache.read("engine", name)]
    assert kept == ["a", "d"]
