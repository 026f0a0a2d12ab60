"""What is known of the parts of a network: milliseconds, MACs and parameters.

A part is what follows one decision, or what is fixed. Where a predictor knows what runs in each
slot of a layout (`AdditivePredictor.by_slot`), its parts are sums of these. Of a person's own
modules the layers are known, or the kernels. Of any other predictor only its nearest sum over
decisions can be taken apart, which says what a choice adds to the fastest one of its decision.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isqrt
from typing import TYPE_CHECKING, Literal

from hwnas.arrays import IntArray
from hwnas.costs import workload_costs
from hwnas.latency_tables import Target
from hwnas.ops import Workload
from hwnas.predictors.model_prediction import KernelLatency
from hwnas.predictors.parts import SlotLatency
from hwnas.predictors.protocol import LatencyPredictor, predictor_name
from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    from hwnas.spaces.module_facts import Layer

__all__ = ["Costs", "Key", "Shares", "Source", "Time", "shares_of"]

#: The number of a decision, or the name of what is fixed.
Key = int | str
#: Where milliseconds come from; empty where there are none.
Source = Literal["measured", "estimated", "modelled", ""]
#: MACs and parameters; the latter are not always known part by part.
Costs = tuple[int, int | None]


@dataclass(frozen=True, slots=True)
class Time:
    """Milliseconds of a part, and their standard deviation where it is known."""

    ms: float
    source: Source
    spread_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Shares:
    """What is known of parts; decisions that have none of their own are not in it.

    Attributes:
        costs: MACs and parameters of each.
        times: milliseconds of each.
        rest: what is left of the latency is called so.
        note: what the milliseconds are, where they are no entries of a table.
    """

    costs: Mapping[Key, Costs]
    times: Mapping[Key, Time] = field(default_factory=dict)
    rest: str = "rest"
    note: str = ""


def shares_of(space: SearchSpace, row: IntArray, predictor: LatencyPredictor | None) -> Shares:
    """What is known of the parts of an architecture (n_decisions,)."""
    target = None if predictor is None else predictor.target
    by_kernel, by_slot, by_layer = (
        getattr(predictor, name, None) for name in ("by_kernel", "by_slot", "by_layer")
    )
    if by_kernel is not None and isinstance(target, Target):
        return _of_kernels(by_kernel(row), target.batch)
    costs: dict[Key, Costs]
    if space.modules is not None:
        layers = space.modules.facts(row.tolist()).layers
        costs = {_layer(layer, runs): (runs * layer.macs, None) for layer, runs in layers.items()}
        if by_layer is not None:
            note = "what a layer takes is modelled from whole networks"
            found = by_layer(row).items()
            return Shares(
                costs,
                {_layer(layer, layers[layer]): Time(ms, "modelled") for layer, ms in found},
                note=note,
            )
    else:
        keys = _keys(space)
        costs = _costs(space, keys, row)
        if by_slot is not None:
            return Shares(costs, _times(keys, by_slot(row)), "call and joins")
    return Shares(costs) if predictor is None else _of_sum(costs, row, predictor)


def _keys(space: SearchSpace) -> list[Key]:
    """For each slot its decision, or the name that fixed slots of all cells share."""
    layout = space.layout
    return [
        (slot.name if layout.sequential else _shared(slot.name))
        if slot.decision is None
        else slot.decision
        for slot in layout.slots
    ]


def _shared(name: str) -> str:
    """``input0`` of ``cells.3.input0``, ``reductions`` of ``reductions.1``."""
    return re.sub(r"^.*\.\d+\.|\.\d+$", "", name)


def _costs(space: SearchSpace, keys: Sequence[Key], row: IntArray) -> dict[Key, Costs]:
    """The sums over slots; what is fixed and not used is left out."""
    found: dict[Key, tuple[int, int]] = {}
    known: dict[Workload, tuple[int, int]] = {}
    layout = space.layout
    for key, slot, candidate in zip(keys, layout.slots, layout.path(row.tolist()), strict=True):
        if candidate is None:
            if slot.decision is not None:
                found.setdefault(key, (0, 0))
            continue
        workload = slot.workloads[candidate]
        if workload not in known:
            known[workload] = _costs_of(workload)
        macs, params = found.get(key, (0, 0))
        found[key] = macs + known[workload][0], params + known[workload][1]
    return dict(found)


def _costs_of(workload: Workload) -> tuple[int, int]:
    costs = {"macs": 0, "params": 0} if workload.op.no_op else workload_costs(workload)
    return costs["macs"], costs["params"]


def _times(keys: Sequence[Key], slots: Iterable[SlotLatency | None]) -> dict[Key, Time]:
    """The sums over slots, as if all entries of a part were wrong in the same direction."""
    found = dict.fromkeys(keys, Time(0.0, "", 0.0))
    for key, slot in zip(keys, slots, strict=True):
        if slot is not None:
            before = found[key]
            measured = slot.measured and before.source != "estimated"
            found[key] = Time(
                before.ms + slot.ms,
                "measured" if measured else "estimated",
                (before.spread_ms or 0.0) + slot.spread_ms,
            )
    return found


def _of_kernels(kernels: Iterable[KernelLatency], batch: int) -> Shares:
    """By operator; MACs of one image."""
    costs: dict[Key, Costs] = {}
    times: dict[Key, Time] = {}
    for kernel in kernels:
        macs, ms = costs.get(kernel.op, (0, None))[0], kernel.ms or 0.0
        before_ms = times[kernel.op].ms if kernel.op in times else 0.0
        costs[kernel.op] = macs + kernel.macs // batch, None
        times[kernel.op] = Time(before_ms + ms, "estimated")
    return Shares(costs, times)


def _of_sum(costs: Mapping[Key, Costs], row: IntArray, predictor: LatencyPredictor) -> Shares:
    """By the sum over decisions that is the prediction, or is nearest to it."""
    cost = predictor.cost
    times: dict[Key, Time] = {
        decision: Time(float(steps[choice] - steps.min()) * cost.unit, "modelled")
        for decision, (steps, choice) in enumerate(zip(cost.entries, row.tolist(), strict=True))
    }
    note = (
        f"{predictor_name(predictor)} tells no parts: the milliseconds of a choice are what it "
        "adds to the fastest of its decision"
    )
    if not predictor.additive:
        note += ", by a sum over decisions that comes near the predictions"
        approximation = getattr(predictor, "approximation", None)
        note += "" if approximation is None else f" (off by {approximation.relative_error:.1%})"
    return Shares(costs, times, "whatever is chosen", note)


def _layer(layer: "Layer", runs: int) -> str:
    """``3x conv 3x3 16-32, 64 positions``."""
    if layer.kind == "other":
        return "what has no MACs"
    side = isqrt(layer.kernel)
    window = f"{side}x{side}" if side**2 == layer.kernel else f"{layer.kernel} pixels"
    kernel = f" {window}" if layer.kind in ("conv", "depthwise") else ""
    read, written = layer.groups * layer.inputs, layer.groups * layer.outputs
    grouped = layer.groups > 1 and layer.kind != "depthwise"
    groups = f" in {layer.groups} groups" if grouped else ""
    return f"{runs}x {layer.kind}{kernel} {read}-{written}{groups}, {layer.positions} positions"
