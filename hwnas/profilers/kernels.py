"""Kernels measured alone, and networks made of such measured whole: what predicts any ONNX model.

Kernels are drawn from random networks after ONNX Runtime has fused them and laid them out, so that
what is measured is what runs (nn-Meter samples kernels likewise: Zhang et al. 2021).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from hwnas.errors import OptionError
from hwnas.kernels import Kernel, Piece, canonical, content, features, split, work
from hwnas.latency_tables import KernelNetwork, KernelRecord, LatencyTable, Target
from hwnas.onnx_graph import to_onnx
from hwnas.profilers.measuring import CALL, empty_graph, measure
from hwnas.profilers.onnxruntime_provider import is_provider
from hwnas.profilers.protocol import NETWORK, Plan, summarise
from hwnas.profilers.random_networks import LOOSE, random_network
from hwnas.profilers.runtime import AnyRuntime, is_remote
from hwnas.progress import Progress, silent
from hwnas.spaces import SearchSpace

__all__ = ["check_kernels", "choose_kernels", "profile_kernels"]

#: Random networks that kernels are drawn from, in styles that take turns; graphs of single nodes.
_POOL, _LOOSE = 105, 50
#: The smallest number of kernels of each family, and of those that multiply, which take most of a
#: model's time; a family may have fewer. Of fewer than eight a plain roofline is made.
_LEAST, _LEAST_OF_PRODUCTS, _FEW = 16, 32, 8
#: The weight of convolutions, of matrix products, and of what stands between them everywhere, when
#: the other kernels are shared out.
_WEIGHT = 6
_EVERYWHERE = ("Add, Mul, Sub",)
#: A rough time of a kernel, to share kernels out by: ms each, per MAC, per byte.
_ROUGHLY = (0.002, 5e-8, 1e-7)
#: A kernel that takes less is lost in the noise of a call, ms.
_TINY = _ROUGHLY[0] + 0.001
#: Runtimes of CPUs that make other kernels than those of ONNX Runtime.
_OF_OTHERS = ("openvino", "torch-compile")
#: Larger kernels are not measured, only predicted: one takes as long as a hundred others, or as
#: much memory.
_MOST_MACS = 500_000_000
_MOST_CONSTANTS, _MOST_BYTES = 8_000_000, 16_000_000
#: Whole networks lie between these.
_NETWORK_MACS = (200_000, 1_200_000_000)


def profile_kernels(
    table: LatencyTable,
    origin: SearchSpace,
    runtime: AnyRuntime,
    count: int = 500,
    *,
    n_networks: int = 48,
    plan: Plan | None = None,
    seed: int = 0,
    journal: Path | None = None,
    progress: Progress = silent,
) -> LatencyTable:
    """A table with kernels joined to it, at the table's own scale.

    Args:
        table: made on the runtime's target.
        origin: the space of the table; its middle network is the reference.
        runtime: what runs them.
        count: how many kernels are measured alone, about; every family gets 16 at least, of
            convolutions and matrix products 32, where so many were drawn.
        n_networks: random networks measured whole, to know how far sums of kernels are off.
        plan: when a median is tight enough.
        seed: of the kernels, the networks and the order of the runs.
        journal: a file that lets a killed profile go on where it stopped.
        progress: told after every round.

    Raises:
        OptionError: as `check_kernels`, or the runtime is on another machine.
    """
    check_kernels(table.target, count)
    if is_remote(runtime):
        raise OptionError("kernels are profiled on this machine: install hwnas on the other one")
    batch = table.target.batch
    seeds = [seed * _POOL + at for at in range(_POOL)]
    drawn = [partial(random_network, number, batch=batch) for number in seeds]
    drawn += [partial(random_network, number, LOOSE, batch=batch) for number in seeds[:_LOOSE]]
    split_up = []
    for at, network in enumerate(drawn):
        progress("drawing kernels", at / len(drawn), "")
        split_up.append(split(network()))
    progress("drawing kernels", 1.0, "")
    rng = np.random.default_rng([seed, 0xCE11])
    chosen = choose_kernels([piece for pieces in split_up for piece in pieces], count, rng)
    whole = [at for at in range(len(seeds)) if _is_moderate(split_up[at])][:n_networks]
    models: dict[str, Callable[[], bytes]] = {piece.kernel.key: piece.to_onnx for piece in chosen}
    models[CALL] = partial(to_onnx, empty_graph(), batch=batch)
    alone = set(models)
    models |= {NETWORK + str(at): drawn[at] for at in whole}
    plan = plan or Plan(tolerance=0.015, min_runs=20, max_runs=40)
    samples = measure(
        models, origin, runtime, table.target, plan, seed, journal, progress, warm=alone
    )
    scale = table.reference_ms / samples.steady_reference_ms
    measured = {key: entry.scaled(scale) for key, entry in summarise(samples).items()}
    record = KernelRecord(
        measured[CALL],
        {piece.kernel.key: measured[piece.kernel.key] for piece in chosen},
        {
            f"random {seeds[at]}": KernelNetwork(
                measured[NETWORK + str(at)],
                dict(sorted(Counter(piece.kernel.key for piece in split_up[at]).items())),
            )
            for at in whole
        },
    )
    return replace(table, kernels=record)


def check_kernels(target: Target, count: int) -> None:
    """Complain about kernels that cannot be profiled, before anything is measured.

    Raises:
        OptionError: fewer than 20 kernels, a precision other than fp32, or no CPU: ONNX Runtime
            lays kernels out for its CPU provider, and others do not run those.
    """
    if target.runtime in _OF_OTHERS or is_provider(target.runtime):
        raise OptionError(
            "kernels are cut out of what ONNX Runtime makes of a model for its own CPU provider, "
            f"and {target.runtime} makes others: profile without --kernels, or with --runtime "
            "onnxruntime"
        )
    if count < 20:
        raise OptionError(f"at least 20 kernels are needed to model the others, got {count}")
    if (target.kind, target.precision) != ("cpu", "fp32"):
        raise OptionError(
            f"kernels are profiled on CPUs in fp32 only, got {target.kind} in {target.precision}: "
            "profile without --kernels"
        )


def choose_kernels(pieces: Sequence[Piece], count: int, rng: np.random.Generator) -> list[Piece]:
    """Distinct kernels of all families, half of them far from each other, half at random.

    Every family gets a few. The others are shared by how many different kernels a family has and
    what these take, very roughly; both count for less the larger they are, and those that multiply
    for more.

    The order of ``pieces`` decides nothing: ONNX Runtime writes the nodes of a model in another
    order in each process.
    """
    families = _families(pieces)
    products = {
        name for name, found in families.items() if any(p.kernel.macs for p in found.values())
    }
    weights = {
        name: sum(_roughly(piece.kernel) ** 0.5 for piece in found.values()) ** 0.7
        * (_WEIGHT if name in _EVERYWHERE or name in products else 1)
        for name, found in families.items()
    }
    free = max(0, count - len(families))
    chosen: list[Piece] = []
    for name, found in families.items():
        least = _LEAST_OF_PRODUCTS if name in products else _LEAST
        share = least + round(free * weights[name] / sum(weights.values()))
        members = list(found.values())
        chosen += [members[at] for at in _spread_out(members, share, rng)]
    return chosen


def _roughly(kernel: Kernel) -> float:
    each, by_mac, by_byte = _ROUGHLY
    macs, *moved = work(kernel)[:4]
    return float(each + by_mac * macs + by_byte * sum(moved))


def _families(pieces: Sequence[Piece]) -> dict[str, dict[str, Piece]]:
    """Family -> key -> kernel, sorted; of several pieces with one key the first by its content.

    What hardly does anything tells nothing but a call's noise: the largest of such kernels stand in
    where others are too few.
    """
    found: dict[str, dict[str, dict[bytes, Piece]]] = {}
    for piece in pieces:
        kernel = piece.kernel
        small = kernel.macs <= _MOST_MACS and kernel.elements_constant <= _MOST_CONSTANTS
        small &= kernel.bytes_in + kernel.bytes_out <= _MOST_BYTES
        if kernel.static and not kernel.no_op and small:
            same = found.setdefault(kernel.family, {}).setdefault(kernel.key, {})
            plain = canonical(piece)
            same[content(plain)] = plain
    families = {}
    for family, members in sorted(found.items()):
        every = {key: same[min(same)] for key, same in sorted(members.items())}
        sizes = {key: _roughly(piece.kernel) for key, piece in every.items()}
        least = min(_TINY, sorted(sizes.values())[-_FEW:][0])
        families[family] = {key: piece for key, piece in every.items() if sizes[key] >= least}
    return families


def _spread_out(pieces: Sequence[Piece], count: int, rng: np.random.Generator) -> Iterator[int]:
    """Positions of at most ``count`` pieces: at random, and each farthest from all before it."""
    rows = np.array([features(piece.kernel) for piece in pieces])
    rows = (rows - rows.mean(axis=0)) / np.maximum(rows.std(axis=0), 1e-9)
    order = rng.permutation(len(rows))
    taken = list(order[: min(len(rows), -(-count // 2))])
    while len(taken) < min(count, len(rows)):
        gaps = ((rows[:, None, :] - rows[None, taken, :]) ** 2).sum(axis=2).min(axis=1)
        taken.append(int(gaps.argmax()))
    yield from taken


def _is_moderate(pieces: Sequence[Piece]) -> bool:
    """Whether a network is neither over in an instant nor takes as long as many others."""
    low, high = _NETWORK_MACS
    return low <= sum(piece.kernel.macs for piece in pieces) <= high
