"""What the documentation names is there: files, headings, commands, flags, benchmarks."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from hwnas.cli.commands import group

ROOT = Path(__file__).parents[1]
PAGES = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
ROOMS = ("hwnas", "benchmarks", "tests")
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
SOURCES = [f"/{path.relative_to(ROOT)}" for room in ROOMS for path in (ROOT / room).rglob("*.py")]
#: Code in backticks, and lines of blocks.
INLINE, BLOCK = re.compile(r"`([^`\n]+)`"), re.compile(r"^```.*?\n(.*?)^```", re.M | re.S)


def anchors(text: str) -> set[str]:
    """What links to headings end with, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", text), re.M)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def command_lines(text: str) -> Iterator[list[str]]:
    """The words behind each ``hwnas`` that is typed; lines that go on are joined."""
    blocks = "".join(BLOCK.findall(text)).replace("\\\n", " ").splitlines()
    for line in [*blocks, *INLINE.findall(BLOCK.sub("", text))]:
        for part in re.split(r"&&|\|(?=\s)|;|#", line.strip().removeprefix("$ ")):
            words = part.removeprefix(".venv/bin/").replace("python -m hwnas", "hwnas").split()
            if words[:1] == ["hwnas"]:
                yield words[1:]


def unknown(words: list[str]) -> list[str]:
    """The flags of a command line that its command does not know, or the command itself."""
    command: click.Command = group
    context = click.Context(group)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        if found is None:
            return words[:1]
        command, context, words = found, click.Context(found, context), words[1:]
    known = {name for option in command.get_params(context) for name in option.opts}
    typed = {word.strip("[](),").partition("=")[0] for word in words}
    return sorted(word for word in typed - known if word.startswith("--"))


@EACH_PAGE
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), target
        if heading:
            assert heading in anchors(there.read_text(encoding="utf-8")), target


def test_the_readme_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(docs/([\w-]+\.md)\)", text))
    assert linked == {path.name for path in (ROOT / "docs").glob("*.md")}


@EACH_PAGE
def test_commands_have_the_flags_that_are_told(page: Path) -> None:
    for words in command_lines(page.read_text(encoding="utf-8")):
        if "random_method.py" in words:  # a method of the page's own
            continue
        assert unknown(words) == [], " ".join(["hwnas", *words])


@EACH_PAGE
def test_sources_are_there(page: Path) -> None:
    """Benchmarks, tests and files of the package, by the end of their path."""
    for name in re.findall(r"(?<![\w./])\w+(?:/\w+)*/\w+\.py\b", page.read_text(encoding="utf-8")):
        assert any(path.endswith(f"/{name}") for path in SOURCES), name


def test_what_is_not_there_is_seen() -> None:
    text = "`hwnas search --latencies 6ms` and\n```bash\nhwnas find x  # --y\n```\n"
    assert list(command_lines(text)) == [["find", "x"], ["search", "--latencies", "6ms"]]
    assert unknown(["find", "x"]) == ["find"]
    assert unknown(["search", "--latency", "6ms", "[--budget=3]"]) == ["--budget"]
    assert unknown(["search", "--method", "betanas", "--alpha-lr", "1"]) == []
    assert unknown(["tables", "check", "FILE", "--devices", "cpu"]) == ["--devices"]
    assert anchors("## Any model: `x`, y\n```\n# no\n```\n") == {"any-model-x-y"}
