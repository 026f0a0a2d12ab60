"""Several precisions under one budget: the better network, in a precision that pays as measured.

A supernet's weights are fp32 whatever is deployed, so it is trained once where training does not
look at latencies; each precision has latencies of its own, and its own network within the budget.
The accuracies that are compared are those of the networks in their precision.
"""

from hwnas.search.precisions.asked import precisions_of
from hwnas.search.precisions.searching import search_precisions

__all__ = ["precisions_of", "search_precisions"]
