"""What all search spaces have in common."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hwnas.spaces
from hwnas import spaces
from hwnas.errors import ArchitectureError, OptionError, UnknownNameError
from hwnas.spaces import SearchSpace

PROXYLESS = hwnas.spaces.space("proxyless", input_size=32, classes=10, width_mult=0.25)
CELLS = hwnas.spaces.space("nasbench201", input_size=8, channels=4, cells=1)
SPACES = pytest.mark.parametrize("space", [PROXYLESS, CELLS], ids=lambda space: space.name)


def test_names_are_those_that_can_be_made() -> None:
    cells = ["darts", "darts-s1", "darts-s2"]
    chains = ["ofa", "proxyless", "resnet18-bits", "resnet34-bits", "shufflenet"]
    assert hwnas.spaces.names() == [*cells, "fbnet", "nao", "nasbench201", *chains]
    for name in hwnas.spaces.names():
        assert hwnas.spaces.space(name).name == name


def test_unknown_space_is_named_with_those_there_are() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown space 'nosuch': .* nasbench201, ofa, proxyless"
    ):
        hwnas.spaces.space("nosuch")


def test_unknown_argument_is_named_with_those_there_are() -> None:
    with pytest.raises(OptionError, match=r"nasbench201 takes input_size, .*cells, got 'width'"):
        hwnas.spaces.space("nasbench201", width=16)


@SPACES
@given(seed=st.integers(0, 2**32))
def test_architectures_print_and_read_back(space: SearchSpace, seed: int) -> None:
    (arch,) = space.sample(1, seed=seed)
    text = space.format(arch)
    assert np.array_equal(space.parse(text), arch)
    assert np.array_equal(space.parse(f"  {text}\n"), arch)
    assert space.format(space.parse(text)) == text


@SPACES
def test_architectures_of_the_other_space_are_refused(space: SearchSpace) -> None:
    other = CELLS if space is PROXYLESS else PROXYLESS
    (arch,) = other.sample(1, seed=0)
    with pytest.raises(ArchitectureError, match=f"not an architecture of {space.name}"):
        space.parse(other.format(arch))
    with pytest.raises(ArchitectureError, match="is it an architecture of another space"):
        space.check(arch)


@SPACES
@pytest.mark.parametrize(
    "entries",
    [
        pytest.param(lambda good: good.astype(float), id="floats"),
        pytest.param(lambda good: good == 1, id="bools"),
        pytest.param(lambda good: good.astype(str), id="text"),
        pytest.param(lambda good: good.astype(object), id="objects"),
        pytest.param(lambda good: good[None], id="three dimensions"),
        pytest.param(lambda good: good[0, 0], id="a number"),
        pytest.param(lambda good: [], id="nothing"),
        pytest.param(lambda good: [[0, 1], [0]], id="ragged"),
        pytest.param(lambda good: None, id="none"),
        pytest.param(lambda good: "k3e3", id="a string"),
    ],
)
def test_what_is_no_integer_matrix_is_refused(space: SearchSpace, entries: object) -> None:
    good = space.sample(2, seed=0)
    n = len(space.decisions)
    with pytest.raises(ArchitectureError, match=rf"an integer array \(n, {n}\), got"):
        space.check(entries(good))  # type: ignore[operator]


@SPACES
@pytest.mark.parametrize("wrong", [-1, 7, 100, -(2**40)])
def test_choices_out_of_range_are_named(space: SearchSpace, wrong: int) -> None:
    archs = space.sample(3, seed=0)
    archs[1, 2] = wrong
    name, last = space.decisions[2].name, len(space.decisions[2].choices) - 1
    message = rf"decision {name} of {space.name} has choices 0 to {last}, got {wrong} in arch.* 1"
    with pytest.raises(ArchitectureError, match=message):
        space.macs(archs)


@SPACES
def test_check_takes_rows_lists_and_all_integer_types(space: SearchSpace) -> None:
    archs = space.sample(3, seed=0)
    for given_archs in (archs, archs.tolist(), archs.astype(np.int8), archs.astype(np.uint64)):
        checked = space.check(given_archs)
        assert checked.dtype == np.int64
        assert np.array_equal(checked, archs)
    assert np.array_equal(space.check(archs[0]), archs[:1])
    assert space.check(np.empty((0, len(space.decisions)), int)).shape == (0, len(space.decisions))
    assert space.macs(np.empty((0, len(space.decisions)), int)).shape == (0,)


@SPACES
def test_one_architecture_is_needed_where_one_is_described(space: SearchSpace) -> None:
    archs = space.sample(2, seed=0)
    for use in (space.format, space.workloads, space.graph, space.build, space.to_onnx):
        with pytest.raises(ArchitectureError, match="one architecture is needed here, got 2"):
            use(archs)


@SPACES
def test_samples_follow_from_the_seed_and_are_uniform(space: SearchSpace) -> None:
    archs = space.sample(4000, seed=7)
    assert np.array_equal(archs, space.sample(4000, seed=7))
    assert np.array_equal(archs, space.sample(4000, seed=np.random.default_rng(7)))
    assert not np.array_equal(archs, space.sample(4000, seed=8))
    for column, n in zip(archs.T, space.n_choices, strict=True):
        share = np.bincount(column, minlength=n) / 4000
        assert len(share) == n
        assert np.abs(share - 1 / n).max() < 5 * (1 / n / 4000) ** 0.5


def test_unknown_cost_is_named_with_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown cost 'joules': .* macs, params, bytes"):
        CELLS.cost("joules")


def test_a_changed_copy_has_its_own_costs() -> None:
    arch = CELLS.sample(1, seed=0)
    small = int(CELLS.macs(arch)[0])
    wide = hwnas.spaces.space("nasbench201", input_size=8, channels=8, cells=1)
    copy = dataclasses.replace(CELLS, layout=wide.layout)
    assert copy.macs(arch)[0] == wide.macs(arch)[0] != small


# Identifiers


def test_equal_arguments_give_equal_identifiers() -> None:
    make = hwnas.spaces.space
    one = make("proxyless", width_mult=1, stage_widths=(24, 40, 80, 96, 192, 320))
    assert make("proxyless").identifier == one.identifier
    assert make("proxyless", input_size=224).identifier == one.identifier
    assert one.identifier.startswith("proxyless-")


def test_different_arguments_give_different_identifiers() -> None:
    make = hwnas.spaces.space
    spaces = [
        make("proxyless"),
        make("proxyless", input_size=192),
        make("proxyless", classes=10),
        make("proxyless", width_mult=0.75),
        make("proxyless", stem_width=40),
        make("proxyless", first_width=24),
        make("proxyless", stage_widths=(24, 32, 64, 96, 160, 320)),
        make("proxyless", head_width=1000),
        make("proxyless", stage_depths=(4, 4, 4, 4, 4, 2)),
        make("proxyless", stem_stride=1),
        make("proxyless", stage_strides=(1, 2, 2, 1, 2, 1)),
        make("proxyless", skippable=[False] * 21),
        make("nasbench201"),
        make("nasbench201", input_size=16),
        make("nasbench201", classes=100),
        make("nasbench201", channels=8),
        make("nasbench201", cells=1),
    ]
    assert len({space.identifier for space in spaces}) == len(spaces)


def test_identifiers_are_equal_in_every_process() -> None:
    code = "import hwnas.spaces; print(hwnas.spaces.space('nasbench201', cells=2).identifier)"
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    printed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == hwnas.spaces.space("nasbench201", cells=2).identifier


def test_a_space_can_be_made_again_from_its_arguments() -> None:
    for space in (PROXYLESS, CELLS):
        again = hwnas.spaces.space(space.name, **space.arguments)
        assert again.identifier == space.identifier
        assert again.decisions == space.decisions


@pytest.mark.parametrize(
    ("name", "arguments", "complaint"),
    [
        ("proxyless", {"input_size": 0}, "input_size .*at least 1, got 0"),
        ("proxyless", {"input_size": -8}, "input_size .*got -8"),
        ("proxyless", {"input_size": 224.0}, r"input_size .*got 224\.0"),
        ("proxyless", {"input_size": "224"}, "input_size .*got '224'"),
        ("proxyless", {"classes": True}, "classes .*got True"),
        ("proxyless", {"stem_width": 0}, "stem_width .*got 0"),
        (
            "proxyless",
            {"stage_widths": (24, 40, 0, 96, 192, 320)},
            r"stage_widths .*got \[24, 40, 0",
        ),
        ("proxyless", {"stage_depths": (4, 4, 4, 4, 4, 0)}, "stage_depths"),
        ("proxyless", {"stage_strides": (2, 2, 2, 0, 2, 1)}, "stage_strides"),
        ("proxyless", {"stage_widths": (24, 40)}, "one value a stage each, got 2, 6 and 6"),
        ("proxyless", {"stage_widths": 24}, "proxyless"),
        ("proxyless", {"skippable": [True]}, "one value for each of 21 choice blocks, got 1"),
        ("proxyless", {"skippable": [True] * 21}, "does not exist at these shapes"),
        ("proxyless", {"width_mult": 0}, "width_mult .*got 0"),
        ("proxyless", {"width_mult": float("nan")}, "width_mult .*got nan"),
        ("proxyless", {"width_mult": float("inf")}, "width_mult .*got inf"),
        ("proxyless", {"width_mult": "0.5"}, "width_mult .*got '0.5'"),
        ("nasbench201", {"input_size": 30}, "multiple of 4, got 30"),
        ("nasbench201", {"input_size": 0}, "input_size .*got 0"),
        ("nasbench201", {"cells": 0}, "cells .*got 0"),
        ("nasbench201", {"channels": 1.5}, r"channels .*got 1\.5"),
    ],
)
def test_impossible_arguments_are_refused(
    name: str, arguments: dict[str, object], complaint: str
) -> None:
    with pytest.raises(OptionError, match=complaint):
        hwnas.spaces.space(name, **arguments)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("nasbench201", {"cells": 10**7}),
        ("nasbench201", {"input_size": 2**40}),
        ("proxyless", {"stage_depths": [10**7] * 6}),
        ("proxyless", {"stage_depths": [200] * 6}),
        ("proxyless", {"width_mult": 1e300}),
        ("shufflenet", {"stage_widths": [64] * 1000}),
        ("resnet18-bits", {"stem_kernel": 10**9}),
        ("ofa", {"classes": 10**30}),
        ("fbnet", {"head_width": 2**62}),
    ],
)
def test_sizes_of_no_network_are_refused_at_once(name, arguments):
    """A file of a stranger names them, and making the space would fill the memory."""
    with pytest.raises(OptionError, match="at most"):
        spaces.remake(name, arguments)


@pytest.mark.parametrize(
    ("name", "said", "arguments"),
    [
        ("nasbench201", {"cells": 1, "first_channels": 8}, {"cells": 1, "channels": 8}),
        ("nao", {"cells": 2, "first_channels": 20}, {"repeats": 2, "channels": 20}),
        ("darts", {"cells": 8, "channels": False, "classes": None}, {"cells": 8}),
        ("shufflenet", {"channels": True, "input_size": 64}, {"input_size": 64}),
    ],
)
def test_what_a_person_says_of_any_space_becomes_its_own_arguments(name, said, arguments):
    found = spaces.entry(name).arguments_of(said)
    scales = found.pop("scales", ())
    assert found == arguments
    assert len(scales) == (8 if name == "shufflenet" else 0)
    spaces.space(name, **found)
