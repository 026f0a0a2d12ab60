"""No number that a person types is nan, endless or absurd: generated from the commands."""

import re

import click
import pytest

from hwnas.cli import group
from hwnas.cli.numbers import Number, Whole
from hwnas.search.methods import METHODS

STRANGE = ("nan", "inf", "-inf", "-1", str(10**30), "1e300")
#: What is strange, and means something: never prune; below 0 is where a threshold lies.
MEANT = {
    *(("--prune-margin", value) for value in ("inf", "1e300", str(10**30))),
    ("--prune-threshold", "-1"),
}


def commands(command=group, words=()):
    """Every command with the words that lead to it; a search once a method."""
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            below = command.get_command(click.Context(command), name)
            yield from commands(below, (*words, name))
        if not command.invoke_without_command:
            return
    if words == ("search",):
        for method in METHODS.names():
            yield command, (*words, "--method", method, "--latency", "9ms")
    else:
        yield command, words


def options(command, words):
    context = click.Context(command)
    if words[0] == "search":
        context.meta["hwnas.method"] = words[2]
    return [p for p in command.get_params(context) if isinstance(p, click.Option)]


def key(words, option):
    """What is alike for all methods of a search that have a flag is one case."""
    bounds = tuple(sorted(vars(option.type).items()))
    return words[:1] if words[0] == "search" else words, option.opts[0], bounds


ALL = list(commands())
EACH = {
    key(words, option): (words, option.opts[0])
    for command, words in ALL
    for option in options(command, words)
    if isinstance(option.type, Whole | Number) and not option.hidden
}
NUMERIC = [
    pytest.param(words, flag, id=f"{'-'.join(words[:3])}{flag}") for words, flag in EACH.values()
]


def test_every_number_is_of_a_bounded_type():
    assert len(ALL) >= 14
    assert len(NUMERIC) > 60
    loose = [
        (words, option.opts[0])
        for command, words in ALL
        for option in options(command, words)
        if option.type.name in ("integer", "float", "integer range", "float range")
        and not isinstance(option.type, Whole | Number)
    ]
    assert loose == []


@pytest.mark.parametrize(("words", "flag"), NUMERIC)
def test_strange_numbers_are_refused(hwnas, tmp_path, monkeypatch, words, flag):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hwnas.devices.tables.profile_space", _never)
    for value in STRANGE:
        if (flag, value) in MEANT:
            continue
        status, out, said = hwnas(*words, f"{flag}={value}")
        assert (status, out) == (2, ""), (value, said)
        assert said.count("\n") == 1, said
        assert said.startswith("error: "), said
    assert list(tmp_path.iterdir()) == []


SEARCH = ("search", "--macs", "330M")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((*SEARCH, "--train-batch", "30000"), "batch_size is at most 1079, since digits has 1079"),
        ((*SEARCH, "--method", "betanas", "--alpha-batch", "9999"), "alpha_batch is at most 359"),
        ((*SEARCH, "--proxy-width", "50"), "training proxyless at 16 pixels .* of memory or more"),
        ((*SEARCH, "--proxy-input-size", "2048"), "training proxyless at 2048 pixels"),
        (
            (*SEARCH, "--proxy-input-size", "2400", "--train-batch", "1", "--proxy-width", "0.01"),
            r"1797 images of 2400 x 2400 pixels takes 31 GB",
        ),
        (("search", "--macs", "900000G", "--width-mult", "60"), "an ONNX file holds 537 M"),
        ((*SEARCH, "--finalists", "1001"), "among the 1000 architectures of 20 generations of 50"),
        (
            (*SEARCH, "--confidence", "0.9"),
            "a confidence is of the latency budget, got 0.9 and mac",
        ),
        (
            (*SEARCH, "--sampler", "constraint", "--bins", "1k:10000001k:1k"),
            "--bins are 1000 or fewer",
        ),
        (("profile", "--batch", "65536"), "profiling proxyless at batch 65536 takes"),
        (("profile", "--width-mult", "60"), "an ONNX file holds"),
        (("profile", "--input-size", "8000"), "profiling proxyless at batch 1 takes"),
        (("profile", "bundle", "--width-mult", "60", "--out", "there"), "an ONNX file holds"),
    ],
    ids=lambda value: "-".join(value[-2:]) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_refused_before_it_starts(hwnas, tmp_path, monkeypatch, words, says):
    monkeypatch.setattr("hwnas.memory.machine_bytes", lambda: 24e9)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hwnas.search.find.deploy", _cheap)
    monkeypatch.setattr("hwnas.devices.tables.profile_space", _never)
    monkeypatch.setattr("hwnas.search.supernet_training.train_step", _never)
    status, out, said = hwnas(*words)
    assert (status, out) == (2, ""), said
    assert re.search(says, said.splitlines()[-1]), said
    assert said.count("\n") == 1, said
    assert list(tmp_path.iterdir()) == []


def _never(*given, **named):
    raise AssertionError("something was trained or measured")


def _cheap(space, *given, **named):
    """Latencies are of no interest here: what is asked is refused."""
    from hwnas.predictors import load_predictor
    from hwnas.search.deployment import Deployment

    class Macs:
        additive = True
        cost = space.cost("macs")

        def predict(self, archs):
            return self.cost(archs)

    return Deployment(load_predictor(Macs(), space), None, None, [])
