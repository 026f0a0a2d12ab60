"""Chains and cells as layouts: slots, paths, and the wiring that all readings share."""

import pytest
from branches import branches

import hwnas.spaces
from hwnas.errors import OptionError
from hwnas.ops import Classifier, Identity, MBConv, ReLUConvBN, ResidualReduction, Stem
from hwnas.spaces import SearchSpace
from hwnas.spaces.cells import Cells, Ends, Strings
from hwnas.spaces.chain import chain, stages
from hwnas.spaces.emission import emit

CELLS = hwnas.spaces.space("nasbench201", input_size=8, channels=4, cells=1)


def terms_of(space: SearchSpace, arch: list[int]) -> str:
    """How a network computes its value, written out: a fifth reading of the wiring."""
    layout = space.layout

    def join(mark):
        return lambda name, terms: f"{name}({mark.join(terms)})"

    def run(slot, x):
        return f"{layout.slots[slot].name}[{x}]"

    return layout.wire(layout.path(arch), "x", run, join("+"), join(","))


def test_a_chain_is_one_behind_the_other(small_space: SearchSpace) -> None:
    written = terms_of(small_space, [0, 0, 0, 0])
    blocks = ["head", "blocks.3", "blocks.2", "blocks.1", "blocks.0", "first", "stem"]
    assert written == "[".join([*blocks, "x"]) + "]" * 7


def test_a_cell_is_a_sum_of_edges_a_node() -> None:
    written = terms_of(CELLS, [0] * 6)
    first = written[written.index("stages.0.0.node3") :]
    stem = "stem[x]"
    edge = {name: f"stages.0.0.edge{name}" for name in ("10", "20", "21", "30", "31", "32")}
    node1 = f"stages.0.0.node1({edge['10']}[{stem}])"
    node2 = f"stages.0.0.node2({edge['20']}[{stem}]+{edge['21']}[{node1}])"
    node3 = f"{edge['30']}[{stem}]+{edge['31']}[{node1}]+{edge['32']}[{node2}]"
    assert first.startswith(f"stages.0.0.node3({node3})")
    assert written.startswith("head[stages.2.0.node3(")


def test_an_unused_slot_does_not_run() -> None:
    space = branches()
    assert terms_of(space, [2, 1]) == "head[block[stem[x]]]"
    assert terms_of(space, [0, 1]) == "head[both(block[stem[x]],branch[stem[x]])]"


def test_a_wiring_that_contradicts_its_path_is_refused() -> None:
    layout = branches().layout
    with pytest.raises(OptionError, match="runs block, which the path does not use"):
        emit(layout, (0, None, None, 0))


def test_a_lone_operator_is_fixed_and_a_sequence_of_one_is_a_decision() -> None:
    layout = chain(
        (3, 8, 8), [("stem", Stem(3), 8, 1), ("a", [MBConv(3, 3)], 8, 1), ("b", Identity(), 8, 1)]
    )
    assert [slot.decision for slot in layout.slots] == [None, 0, None]
    assert [decision.name for decision in layout.decisions] == ["a"]
    assert layout.path([0]) == (0, 0, 0)


def test_stages_stride_in_their_first_block() -> None:
    assert list(stages([8, 16], [1, 3], [1, 2])) == [(0, 8, 1), (1, 16, 2), (2, 16, 1), (3, 16, 1)]


def test_cells_of_other_edges_are_wired_too() -> None:
    layout = Cells(
        (3, 8, 8),
        5,
        channels=(4, 8),
        cells=2,
        edges=((1, 2), (0, 1), (0, 2)),  # not in the order in which they run
        ops=(Identity(), ReLUConvBN(3)),
        ends=Ends(Stem(3), ResidualReduction(), Classifier()),
        strings=Strings(lambda text: [int(c) for c in text], lambda arch: "".join(map(str, arch))),
    )
    space = SearchSpace("own-cells", {}, layout)
    assert layout.cell is None  # no operator means that an edge is not there
    assert [d.name for d in space.decisions] == ["edge21", "edge10", "edge20"]
    written = terms_of(space, [0, 1, 0])
    node1 = "stages.0.0.node1(stages.0.0.edge10[stem[x]])"
    node2 = f"stages.0.0.node2(stages.0.0.edge21[{node1}]+stages.0.0.edge20[stem[x]])"
    assert node2 in written
    convolutions = [node for node in space.graph([0, 1, 0]).nodes if node.kind == "conv"]
    # the stem, four cells with one convolution each, three in the reduction
    assert len(convolutions) == 1 + 4 + 3
    assert space.parse("010").tolist() == [0, 1, 0]


@pytest.mark.parametrize("edges", [((1, 0),), ((0, 2),), ((0, 1), (1, 1)), ()])
def test_edges_that_make_no_cell_are_refused(edges: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(OptionError, match="from a lower node to a higher one"):
        Cells(
            (3, 8, 8),
            5,
            (4,),
            1,
            edges,
            (Identity(),),
            Ends(Stem(3), ResidualReduction(), Classifier()),
            Strings(lambda text: [], lambda arch: ""),
        )


@pytest.mark.parametrize("name", hwnas.spaces.names())
def test_a_space_prints_in_one_line(name: str) -> None:
    space = hwnas.spaces.space(name)
    text = repr(space)
    assert len(text) <= 100
    assert text.startswith(f"<SearchSpace {name}(input_size={space.input_shape[1]}, classes=")
    assert f"{len(space.decisions)} decisions" in text
    assert space.classes == space.arguments["classes"]


def test_sizes_of_small_spaces_print_exactly() -> None:
    assert repr(CELLS).endswith("6 decisions, size 15,625>")
    assert repr(hwnas.spaces.space("fbnet")).endswith("size over 10^20>")
