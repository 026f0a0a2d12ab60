"""A space whose costs are no sums keeps all promises, and refuses what needs sums."""

import dataclasses

import numpy as np
import pytest
from branches import Branches, branches

import hwnas.spaces
from hwnas.costs import graph_macs, graph_params, workload_costs
from hwnas.errors import OptionError, UnknownNameError
from hwnas.testing.spaces import check_space

SPACE = branches()
ALL = np.array([[block, branch] for block in range(3) for branch in range(2)])


def test_it_keeps_its_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hwnas.spaces.SPACES, "_registered", {})
    hwnas.spaces.register_space("branches", branches)
    check_space(SPACE)


class CallsItselfASum(Branches):
    additive = True


class CallsItselfAChain(Branches):
    sequential = True


class FollowsAnother(Branches):
    @property
    def slots(self):
        stem, block, branch, head = super().slots
        return stem, block, dataclasses.replace(branch, decision=0), head


class RunsTheOther(Branches):
    def path(self, arch):
        stem, block, branch, head = super().path(arch)
        return stem, block, None if branch is None else 1 - branch, head


class RunsTheBranchFirst(Branches):
    def wire(self, path, x, run, add, concat):
        x = run(0, x)
        y = None if path[2] is None else run(2, x)
        x = run(1, x)
        return run(3, x if y is None else concat("both", [x, y]))


@pytest.mark.parametrize(
    ("layout", "complaint"),
    [
        (CallsItselfASum, "its workloads sum to"),
        (CallsItselfAChain, "branch reads not the slot before it"),
        (FollowsAnother, "slot branch has 2 candidates, its decision block 3 choices"),
        (RunsTheOther, "branch does not follow its decision"),
        (RunsTheBranchFirst, r"the wiring runs the slots \[0, 2, 1, 3\]"),
    ],
)
def test_broken_claims_are_seen(
    layout: type[Branches], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**arguments):
        made = branches(**arguments)
        facts = made.layout.input_shape, made.layout.classes, made.layout.channels
        return dataclasses.replace(made, layout=layout(*facts))

    monkeypatch.setattr(hwnas.spaces.SPACES, "_registered", {})
    with pytest.raises(AssertionError, match="no space is registered as 'branches'"):
        check_space(broken())
    hwnas.spaces.register_space("branches", broken)
    with pytest.raises(AssertionError, match=complaint):
        check_space(broken())


def test_costs_are_those_of_each_network() -> None:
    # stem 3x3 from 3 to 4 channels at 8x8; blocks of 1x1 or 3x3 of 4 channels; a head of 3 classes
    stem, small, large = 3 * 4 * 9 * 64, 4 * 4 * 64, 4 * 4 * 9 * 64
    expected = [
        stem + block + branch + 8 * 3 for block in (small, large) for branch in (small, large)
    ] + [stem + 4 * 3] * 2
    assert SPACE.macs(ALL).tolist() == expected
    assert SPACE.macs(ALL).tolist() == [graph_macs(SPACE.graph(arch)) for arch in ALL]
    assert SPACE.params(ALL).tolist() == [graph_params(SPACE.graph(arch)) for arch in ALL]
    summed = [
        sum(workload_costs(w)["bytes"] for w in SPACE.workloads(a) if not w.op.no_op) for a in ALL
    ]
    assert SPACE.exact("bytes")(ALL).tolist() == summed
    assert SPACE.bitops(ALL).tolist() == [0] * 6


def test_costs_are_no_sum() -> None:
    macs = SPACE.exact("macs")(ALL).reshape(3, 2)
    with_block, without = macs[0, 1] - macs[0, 0], macs[2, 1] - macs[2, 0]
    assert with_block != without


def test_workloads_that_follow_no_decision_come_first() -> None:
    names = [w.key.split("(")[0] for w in SPACE.workloads([1, 0])]
    assert names == ["Stem", "Classifier", "ReLUConvBN", "ReLUConvBN"]
    assert len(SPACE.workloads([2, 0])) == 3
    # the stem, two heads, a 1x1 and a 3x3; the identity costs nothing
    assert len(SPACE.distinct_workloads) == 5


def test_what_needs_a_sum_is_refused() -> None:
    with pytest.raises(OptionError, match=r"branches does not cost a sum .*exact\('macs'\)"):
        SPACE.cost("macs")
    with pytest.raises(OptionError, match=r"take workloads\(arch\)"):
        SPACE.choice_workloads(0, 0)
    with pytest.raises(OptionError, match=r"take workloads\(arch\)"):
        _ = SPACE.fixed_workloads
    with pytest.raises(UnknownNameError, match="unknown cost 'joules'"):
        SPACE.exact("joules")


def test_exact_is_the_sum_where_there_is_one() -> None:
    space = hwnas.spaces.space("nasbench201", input_size=8, channels=4, cells=1)
    archs = space.sample(20, seed=0)
    assert space.additive
    assert space.exact("macs") is space.cost("macs")
    assert space.exact("macs")(archs).tolist() == [graph_macs(space.graph(arch)) for arch in archs]


def test_workloads_of_choices_make_up_those_of_an_architecture() -> None:
    space = hwnas.spaces.space("nasbench201", input_size=8, channels=4, cells=2)
    (arch,) = space.sample(1, seed=1)
    chosen = [w for d, c in enumerate(arch) for w in space.choice_workloads(d, c)]
    assert [*space.fixed_workloads, *chosen] == space.workloads(arch)
