"""What engines need at once is shared between them, so that many fit on a card."""

from itertools import pairwise

import pytest

from hwnas.errors import DeviceMemoryError
from hwnas.onnx_graph import to_onnx
from hwnas.ops import MBConv, Workload
from hwnas.profilers import Plan, profile_space, runtime
from hwnas.profilers.measuring import chains
from hwnas.profilers.profile import profile_graphs

QUICK = Plan(1.0, min_runs=5)
VERSIONS = {"8.6.1": "6.1", "10.0.1": "7.0", "10.4.0": "7.0", "11.4.0": "9.0"}


def block(channels, size, batch=1):
    return to_onnx(Workload(MBConv(3, 6), channels, channels, 1, size, size).graph(), batch=batch)


def ends_bytes(channels, size):
    """Input and output of a block in fp32."""
    return 2 * 4 * channels * size**2


def activation_bytes(channels, size):
    """The expanded map before and behind the depthwise convolution, in fp32."""
    return 2 * 4 * 6 * channels * size**2


@pytest.fixture(params=VERSIONS)
def library(request, card):
    return card(tensorrt=request.param, gpu_capability=VERSIONS[request.param])


def test_engines_share_what_the_largest_needs(library):
    chosen = runtime("gpu")
    jobs = [chosen.load(block(16, size)) for size in (32, 16, 8, 16)]
    ends = sum(ends_bytes(16, size) for size in (32, 16, 8, 16))
    assert library.synthetic_used_bytes() == ends + activation_bytes(16, 32)
    assert all(job() > 0 for job in jobs)
    del jobs
    assert library.synthetic_used_bytes() == 0


def test_a_larger_one_that_comes_later_gets_more_and_the_others_still_run(library):
    chosen = runtime("gpu")
    small = chosen.load(block(16, 8))
    large = chosen.load(block(16, 16))
    ends = ends_bytes(16, 8) + ends_bytes(16, 16)
    both = activation_bytes(16, 8) + activation_bytes(16, 16)
    assert library.synthetic_used_bytes() == ends + both
    third = chosen.load(block(16, 8))
    assert library.synthetic_used_bytes() == ends + ends_bytes(16, 8) + both
    del small
    assert library.synthetic_used_bytes() == ends_bytes(16, 8) + ends_bytes(
        16, 16
    ) + activation_bytes(16, 16)
    assert large() > third() > 0


def test_the_layers_of_an_engine_are_explained_in_the_same_memory(library):
    chosen = runtime("gpu")
    job = chosen.load(block(16, 16))
    used = library.synthetic_used_bytes()
    assert len(chosen.explain(block(16, 8))) == 3
    assert library.synthetic_used_bytes() == used
    assert job() > 0


def test_a_profile_fits_a_card_that_holds_all_ends_and_one_model_more(card, small_space):
    """Each engine with memory of its own would need several times that."""
    batch = 32
    workloads = small_space.distinct_workloads
    graphs = {**profile_graphs(small_space, 3, seed=0), **chains(workloads, 4)}
    graphs["reference"] = small_space.graph([n // 2 for n in small_space.n_choices])
    sizes = [[volume(node.shape) for node in graph.nodes] for graph in graphs.values()]
    ends = 4 * batch * sum(size[0] + size[-1] for size in sizes)
    held = [4 * batch * max(map(sum, pairwise(size[1:-1])), default=0) for size in sizes]
    assert sum(held) > ends + 2 * max(held)
    library = card(gpu_memory=str(ends + max(held)))
    table = profile_space(small_space, runtime("gpu"), batch=batch, plan=QUICK, n_networks=3)
    assert table.unmeasured == {}
    assert library.synthetic_used_bytes() == 0
    card(gpu_memory=str(ends // 2))
    with pytest.raises(DeviceMemoryError, match="smaller --batch"):
        profile_space(small_space, runtime("gpu"), batch=batch, plan=QUICK, n_networks=3)


def test_the_largest_model_is_loaded_first_and_the_table_keeps_its_order(
    card, small_space, monkeypatch
):
    chosen = runtime("gpu")
    pieces = []
    allocate = chosen._driver.allocate
    monkeypatch.setattr(
        chosen._driver, "allocate", lambda count: (pieces.append(count), allocate(count))[1]
    )
    table = profile_space(small_space, chosen, plan=QUICK, n_networks=3)
    activations = [count for count in pieces if count == max(pieces)]
    assert pieces.index(max(pieces)) == 0
    assert len(activations) == 1
    assert list(table.workloads) == [w.key for w in small_space.distinct_workloads]


def volume(shape):
    return shape[0] * shape[1] * shape[2]
