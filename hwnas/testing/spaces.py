"""What every search space promises."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

import hwnas.spaces
from hwnas.arrays import IntArray
from hwnas.costs import COSTS, workload_costs
from hwnas.errors import ArchitectureError
from hwnas.ops import Shape
from hwnas.spaces import SearchSpace
from hwnas.testing.modules import check_modules
from hwnas.testing.ops import (
    assert_computed,
    assert_graph_is_sound,
    count_macs,
    randomise,
    run_onnx,
)

__all__ = ["check_space"]


def check_space(space: SearchSpace, *, seed: int = 0, count: int = 3) -> None:
    """Assert all that the package relies on in a search space of `hwnas.spaces.names`.

    Name and arguments make it again; architectures print, parse and are checked; the costs of an
    architecture are the sum over its workloads and those of its torch module; the layout's wiring
    runs each used slot once, on a value of its shape; the ONNX model computes what the module
    computes. Of a family of own modules `check_modules` holds in place of what is said of slots and
    workloads. Give a small space: networks are built and run.

    Args:
        space: the space; one that does not ship must be registered (`hwnas.spaces.register_space`).
        seed: of the architectures that are drawn.
        count: how many are drawn, besides those that take each choice in turn.

    Raises:
        AssertionError: a promise is broken; the message says which, and for which architecture.
    """
    _check_decisions(space)
    _check_identifier(space)
    if space.modules is None:
        _check_slots(space)
    _check_sampling(space, seed)
    in_turn = [np.minimum(c, np.array(space.n_choices) - 1) for c in range(max(space.n_choices))]
    archs = np.concatenate([np.array(in_turn, np.int64), space.sample(count, seed=seed)])
    _check_strings(space, archs)
    _check_refusals(space)
    if space.modules is not None:
        return check_modules(space, archs)
    _check_costs(space, archs)
    for arch in archs:
        _check_wiring(space, arch)
    for arch in archs[-max(count, 1) :]:
        _check_network(space, arch)
    return None


def _check_decisions(space: SearchSpace) -> None:
    assert space.decisions, f"{space.name} decides nothing"
    names = [decision.name for decision in space.decisions]
    assert len(set(names)) == len(names), f"decisions share names: {names}"
    for decision in space.decisions:
        tokens = [op.token for op in decision.choices]
        assert tokens, f"decision {decision.name} has no choices"
        assert len(set(tokens)) == len(tokens), f"choices of {decision.name} share tokens: {tokens}"
    size = 1
    for decision in space.decisions:
        size *= len(decision.choices)
    assert space.size == size, f"size is {space.size}, the choices multiply to {size}"


def _check_identifier(space: SearchSpace) -> None:
    assert space.name in hwnas.spaces.SPACES, (
        f"no space is registered as {space.name!r}: call hwnas.spaces.register_space first"
    )
    stored = json.loads(json.dumps(dict(space.arguments)))
    again = hwnas.spaces.space(space.name, **stored)
    assert again.identifier == space.identifier, (
        f"name and arguments give {again.identifier}, not {space.identifier}"
    )
    assert again.decisions == space.decisions, "name and arguments give other decisions"
    assert space.identifier.startswith(f"{space.name}-"), f"identifier {space.identifier}"


def _check_slots(space: SearchSpace) -> None:
    names = [slot.name for slot in space.layout.slots]
    assert len(set(names)) == len(names), f"slots share names: {names}"
    _ = space.families  # names that ship are of what ships
    for slot in space.layout.slots:
        if slot.decision is None:
            assert slot.workloads, f"slot {slot.name} has no candidates"
            continue
        decision = space.decisions[slot.decision]
        told = len(slot.workloads if slot.picks is None else slot.picks)
        assert told == len(decision.choices), (
            f"slot {slot.name} has {told} {'candidates' if slot.picks is None else 'picks'}, its "
            f"decision {decision.name} {len(decision.choices)} choices"
        )
        picked = {at for at in slot.picks or () if at is not None}
        assert picked <= set(range(len(slot.workloads))), (
            f"slot {slot.name} has {len(slot.workloads)} candidates, its picks are {sorted(picked)}"
        )


def _check_sampling(space: SearchSpace, seed: int) -> None:
    archs = space.sample(200, seed=seed)
    assert archs.dtype == np.int64, f"sample gives {archs.dtype}, not int64"
    assert archs.shape == (200, len(space.decisions)), f"sample gives shape {archs.shape}"
    in_range = (archs >= 0) & (archs < np.array(space.n_choices))
    assert in_range.all(), "sample gives a choice that does not exist"
    assert np.array_equal(archs, space.sample(200, seed=seed)), "one seed gives two samples"
    assert space.size == 1 or len(np.unique(archs, axis=0)) > 1, "sample repeats one architecture"


def _check_strings(space: SearchSpace, archs: IntArray) -> None:
    for arch in archs:
        text = space.format(arch)
        got = space.parse(text)
        assert np.array_equal(got, arch), f"{text!r} reads back as {got}, not {arch}"
    different = len(np.unique(archs, axis=0))
    texts = len({space.format(arch) for arch in archs})
    assert texts == different, f"{different} architectures print as {texts} strings"


def _check_refusals(space: SearchSpace) -> None:
    good = space.sample(1, seed=0)
    beyond, below = good.copy(), good.copy()
    beyond[0, -1], below[0, -1] = space.n_choices[-1], -1
    wrong = {
        "a choice too many": beyond,
        "a negative choice": below,
        "a decision too few": good[:, :-1],
        "a decision too many": np.concatenate([good, good[:, :1]], axis=1),
        "floats": good.astype(np.float64),
        "three dimensions": good[None],
    }
    for what, archs in wrong.items():
        try:
            space.check(archs)
        except ArchitectureError:
            continue
        raise AssertionError(f"check takes {what}")
    text = space.format(good)
    for broken in ("", text + "-", text[:-1], f"{text} {text}", text.replace(text[1:3], "?", 1)):
        try:
            read = space.parse(broken)
        except ArchitectureError:
            continue
        another = space.format(read) == broken  # 32 without its last digit may be a choice, too
        assert another, f"parse takes {broken!r}"


def _check_costs(space: SearchSpace, archs: IntArray) -> None:
    distinct = space.distinct_workloads
    assert len(set(distinct)) == len(distinct), "distinct_workloads repeats a workload"
    free = [w.key for w in distinct if w.op.no_op]
    assert not free, f"distinct_workloads holds what costs nothing: {free}"
    counted = {
        "macs": space.macs(archs),
        "params": space.params(archs),
        "bytes": space.bytes(archs),
        "bitops": space.bitops(archs),
    }
    for at, arch in enumerate(archs):
        text = space.format(arch)
        workloads = space.workloads(arch)
        missing = {w.key for w in workloads if not w.op.no_op} - {w.key for w in distinct}
        assert not missing, f"{text}: distinct_workloads lacks {sorted(missing)}"
        parts = [workload_costs(w) for w in workloads if not w.op.no_op]
        graph = space.graph(arch)
        for quantity, values in counted.items():
            summed = sum(part[quantity] for part in parts)
            assert values[at] == summed, (
                f"{text}: {values[at]} {quantity}, its workloads sum to {summed}"
            )
            if quantity != "bytes":  # a cell's sums belong to no workload
                network = COSTS[quantity](graph)
                assert values[at] == network, (
                    f"{text}: {values[at]} {quantity}, its network has {network}"
                )


@dataclass(frozen=True, eq=False)
class _Traced:
    """A value as a wiring sees it: its shape, and whether it left the slot that ran last."""

    shape: Shape
    after: int | None


def _check_wiring(space: SearchSpace, arch: IntArray) -> None:
    text, layout = space.format(arch), space.layout
    path = layout.path(arch.tolist())
    assert len(path) == len(layout.slots), f"{text}: a path of {len(path)} slots"
    for slot, choice in zip(layout.slots, path, strict=True):
        chosen = slot.decision is not None
        expected = slot.candidate(int(arch[slot.decision])) if chosen else choice
        assert choice in (None, expected), f"{text}: {slot.name} does not follow its decision"
        assert choice is None or 0 <= choice < len(slot.workloads), f"{text}: {slot.name} {choice}"
        if layout.additive:
            as_said = choice == expected if chosen else choice is not None
            assert as_said, f"{text}: {slot.name} is not used in an additive layout"
            known = chosen or len(slot.workloads) == 1
            assert known, f"{slot.name} follows no decision in an additive layout"
    ran: list[int] = []

    def run(at: int, x: _Traced) -> _Traced:
        slot, choice = layout.slots[at], path[at]
        assert choice is not None, f"{text}: the wiring runs {slot.name}, which is not used"
        workload = slot.workloads[choice]
        needed = workload.in_channels, workload.height, workload.width
        assert x.shape == needed, f"{text}: {slot.name} needs {needed}, its wiring gives {x.shape}"
        before = ran[-1] if ran else None
        in_turn = x.after == before
        assert in_turn or not layout.sequential, f"{text}: {slot.name} reads not the slot before it"
        ran.append(at)
        graph = workload.graph()
        return _Traced(graph.shape(len(graph.nodes) - 1), at)

    def add(name: str, terms: Sequence[_Traced]) -> _Traced:
        assert not layout.sequential, f"{text}: {name} joins values in a sequential layout"
        return _Traced(terms[0].shape, None)

    def concat(name: str, parts: Sequence[_Traced]) -> _Traced:
        assert not layout.sequential, f"{text}: {name} joins values in a sequential layout"
        return _Traced((sum(part.shape[0] for part in parts), *parts[0].shape[1:]), None)

    layout.wire(path, _Traced(space.input_shape, None), run, add, concat)
    used = [at for at, choice in enumerate(path) if choice is not None]
    assert ran == used, f"{text}: the wiring runs the slots {ran}, its path uses {used} in order"


def _check_network(space: SearchSpace, arch: IntArray) -> None:
    text = space.format(arch)
    graph = space.graph(arch)
    assert_graph_is_sound(graph, text)
    assert graph.input_shape == space.input_shape, f"{text}: input {graph.input_shape}"
    module = space.build(arch)
    randomise(module, seed=0)
    trainable = sum(parameter.numel() for parameter in module.parameters())
    params = int(space.params(arch)[0])
    assert params == trainable, f"{text}: {params} parameters, the module has {trainable}"
    x = torch.randn(3, *space.input_shape, generator=torch.Generator().manual_seed(0))
    seen, y = count_macs(module, x)
    macs = int(space.macs(arch)[0])
    assert macs == seen, f"{text}: {macs} MACs, the module does {seen}"
    weights = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    got = run_onnx(space.to_onnx(arch, weights, batch=3), x.numpy())
    assert_computed(graph, got, y.numpy(), text)
