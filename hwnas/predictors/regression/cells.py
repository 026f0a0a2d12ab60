"""What a space tells about its choices beyond their numbers: costs, and kernels."""

import numpy as np

from hwnas.arrays import FloatArray
from hwnas.ops import Workload
from hwnas.spaces import SearchSpace

__all__ = ["entry_costs", "kernels"]

#: Nodes that runtimes fold into the kernel before them, or that run nothing.
_NO_KERNEL = {"input", "batch_norm", "relu", "relu6", "zero"}


def kernels(workload: Workload) -> int:
    """Kernels that a runtime launches for a workload once activations are folded in."""
    return sum(node.kind not in _NO_KERNEL for node in workload.graph().nodes)


def entry_costs(space: SearchSpace) -> FloatArray | None:
    """MACs, bytes and kernels of every choice, decision after decision, (n_entries, 3).

    Each quantity is divided by its mean over decisions and choices. None where a choice has no
    costs of its own: the space is not additive.
    """
    if not space.additive:
        return None
    launches: dict[Workload, int] = {}

    def count(decision: int, choice: int) -> int:
        total = 0
        for workload in space.choice_workloads(decision, choice):
            if not workload.op.no_op:
                if workload not in launches:
                    launches[workload] = kernels(workload)
                total += launches[workload]
        return total

    columns = []
    for name in ("macs", "bytes"):
        cost = space.cost(name)
        columns.append(np.concatenate([row * cost.unit for row in cost.entries]))
    columns.append(
        np.array([count(d, c) for d, n in enumerate(space.n_choices) for c in range(n)], float)
    )
    table = np.stack(columns, axis=1).astype(float)
    return np.asarray(table / np.maximum(table.mean(axis=0), 1e-12))
