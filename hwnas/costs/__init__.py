"""Costs without a device (MACs, parameters, bytes, BitOps), additive costs, and budgets on them."""

from hwnas.costs.additive import AdditiveCost, Within
from hwnas.costs.budgets import Budget, Constraint, FeasibleSet, parse_budget
from hwnas.costs.counting import (
    COSTS,
    graph_bitops,
    graph_bytes,
    graph_macs,
    graph_params,
    workload_costs,
)
from hwnas.costs.probable import most_probable

__all__ = [
    "COSTS",
    "AdditiveCost",
    "Budget",
    "Constraint",
    "FeasibleSet",
    "Within",
    "graph_bitops",
    "graph_bytes",
    "graph_macs",
    "graph_params",
    "most_probable",
    "parse_budget",
    "workload_costs",
]
