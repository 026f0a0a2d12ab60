"""What strangers write is seen and never obeyed."""

import errno
import io
import os

import pytest
from rich import box
from rich.table import Column, Table
from rich.text import Text

from hwnas.visible import console, printing_to, visible

EVIL = "\x1b]0;title\x07\x1b[2Ja\rb\x9b31mc\x7f\u202ed\u2066\u200be\udcff\x00"


def test_control_characters_are_written_out():
    assert visible("\x1b[31mred\x07") == "\\x1b[31mred\\x07"
    assert visible("a\rb\x00\x7f\x9b") == "a\\x0db\\x00\\x7f\\x9b"
    assert visible("\u202e\u2028\udcff\ufeff") == "\\u202e\\u2028\\udcff\\ufeff"
    assert visible(visible(EVIL)) == visible(EVIL)


def test_words_stay_as_they_are():
    for text in ("plain\n\ttext", "Grüße, 漢字, ms ≤ 6, ☂, a\u0301", "C:\\x1b"):
        assert visible(text) == text


def rows():
    table = Table(EVIL, Column(EVIL, overflow="fold"), title=EVIL, box=box.SIMPLE)
    table.add_row(EVIL, Text.assemble((EVIL, "bold"), EVIL))
    return table


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("thing", [EVIL, Text(EVIL, "red"), rows()], ids=["str", "text", "table"])
def test_a_console_prints_what_is_visible(thing, terminal):
    made = console()
    made.file = io.StringIO()
    made._force_terminal = terminal
    made.print(thing, "[bold]:smile:[/bold]", soft_wrap=isinstance(thing, str))
    printed = made.file.getvalue()
    assert "[bold]:smile:[/bold]" in printed
    own = printed.replace("\x1b[0m", "").replace("\x1b[1m", "").replace("\x1b[31m", "")
    own = own.replace("\x1b[3m", "")
    assert visible(own) == own
    assert "\\x1b" in printed


class Full(io.StringIO):
    def __init__(self, number):
        super().__init__()
        self.number = number

    def flush(self):
        raise OSError(self.number, os.strerror(self.number))


def test_a_reader_that_is_gone_is_no_error():
    made = console()
    made.file = Full(errno.EPIPE)
    made.print("nobody reads this")


def test_a_full_disk_behind_standard_output_is_named():
    with pytest.raises(OSError, match="standard output"), printing_to(Full(errno.ENOSPC)):
        pass
