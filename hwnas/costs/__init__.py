"""Costs without a device (MACs, parameters, bytes, BitOps), sums, and budgets on any cost."""

from hwnas.costs.additive import AdditiveCost, FeasibleRegion
from hwnas.costs.budgets import QUANTITIES, Budget, parse_budget
from hwnas.costs.constrained_argmax import argmax_within, constrained_argmax
from hwnas.costs.constraint import Check, Constraint
from hwnas.costs.counting import (
    COSTS,
    graph_bitops,
    graph_bytes,
    graph_macs,
    graph_params,
    workload_costs,
)
from hwnas.costs.decoding import decode
from hwnas.costs.feasible_set import FeasibleSet, can_be_kept, sample_choices
from hwnas.costs.guided import everything, keep_all
from hwnas.costs.listed_set import ListedSet
from hwnas.costs.memory import Step, peak_live
from hwnas.costs.most_probable import most_probable_within
from hwnas.costs.nearest_sum import Approximation, nearest_sum
from hwnas.costs.probabilities import checked_probabilities

__all__ = [
    "COSTS",
    "QUANTITIES",
    "AdditiveCost",
    "Approximation",
    "Budget",
    "Check",
    "Constraint",
    "FeasibleRegion",
    "FeasibleSet",
    "ListedSet",
    "Step",
    "argmax_within",
    "can_be_kept",
    "checked_probabilities",
    "constrained_argmax",
    "decode",
    "everything",
    "graph_bitops",
    "graph_bytes",
    "graph_macs",
    "graph_params",
    "keep_all",
    "most_probable_within",
    "nearest_sum",
    "parse_budget",
    "peak_live",
    "sample_choices",
    "workload_costs",
]
