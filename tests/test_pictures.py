"""A picture is drawn whatever the shell, the folder and the names are; or it is said that not."""

import os
import subprocess
import sys

import numpy as np
import pytest

from hwnas.errors import PictureError
from hwnas.pictures import picture, said_if_not_drawn
from hwnas.search.runs.plots import plot_accuracy_over_latency

DRAW = """
from pathlib import Path
from hwnas.pictures import picture
with picture(Path("drawn.png"), (2, 2)) as figure:
    figure.subplots().set_title("one $ too many")
"""


def drawn_elsewhere(folder, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", DRAW],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("settings", ["bytes", "pipe"])
def test_neither_shell_nor_folder_disturbs_a_picture(tmp_path, settings):
    rc = tmp_path / "matplotlibrc"
    if settings == "pipe":
        os.mkfifo(rc)
    else:
        rc.write_bytes(b"\xff\xfe nonsense")
    done = drawn_elsewhere(tmp_path, MPLBACKEND="no_such_backend")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "drawn.png").read_bytes().startswith(b"\x89PNG")


def test_settings_in_the_folder_change_nothing(tmp_path):
    plain, strange = tmp_path / "plain", tmp_path / "strange"
    for folder in (plain, strange):
        folder.mkdir()
    (strange / "matplotlibrc").write_text(
        "text.usetex: True\nfigure.facecolor: red\nno such line\nbackend: tkagg\n"
    )
    for folder in (plain, strange):
        done = drawn_elsewhere(folder)
        assert (done.returncode, done.stderr) == (0, "")
    assert (plain / "drawn.png").read_bytes() == (strange / "drawn.png").read_bytes()


@pytest.mark.parametrize("title", ["a $ b", "$\\frac$", "$$", "100 $_{", "\u7535\u8111 \x1b[31m"])
def test_a_name_is_no_mathematics(tmp_path, title):
    path = tmp_path / "a.png"
    latency, accuracies = np.array([1.0, 2.0]), np.array([0.5, 0.6])
    plot_accuracy_over_latency(
        path, latency, accuracies, winner=(1.0, 0.5), measured_ms=1.1, limit_ms=2.0, title=title
    )
    assert path.stat().st_size > 1000


def test_what_cannot_be_drawn_is_said_and_leaves_no_file(tmp_path, caplog):
    path = tmp_path / "a.png"
    message = r"a\.png is not drawn: ValueError: too bad"
    with pytest.raises(PictureError, match=message), picture(path, (2, 2)):
        raise ValueError("too bad")
    with said_if_not_drawn(), picture(path, (2, 2)):
        raise ValueError("too bad")
    assert "no picture: " in caplog.text
    assert not path.exists()
