"""Costs without a device (MACs, parameters, bytes, BitOps), additive costs, and budgets on them."""

from hwnas.costs.additive import AdditiveCost, FeasibleRegion
from hwnas.costs.budgets import Budget, Constraint, FeasibleSet, parse_budget
from hwnas.costs.constrained_argmax import constrained_argmax
from hwnas.costs.counting import (
    COSTS,
    graph_bitops,
    graph_bytes,
    graph_macs,
    graph_params,
    workload_costs,
)

__all__ = [
    "COSTS",
    "AdditiveCost",
    "Budget",
    "Constraint",
    "FeasibleRegion",
    "FeasibleSet",
    "constrained_argmax",
    "graph_bitops",
    "graph_bytes",
    "graph_macs",
    "graph_params",
    "parse_budget",
    "workload_costs",
]
