"""One network on a few examples, before anything is measured or trained: do loss and metric fit?"""

import warnings

from hwnas.data import Dataset, mapped, task_of, tensors
from hwnas.spaces import SearchSpace

__all__ = ["check_task"]

_EXAMPLES = 8
#: What torch warns of where shapes do not fit: it broadcasts them, and something else is learned.
_BROADCAST = "Using a target size"


def check_task(space: SearchSpace, data: Dataset) -> None:
    """Refuse an own loss or metric that does not fit what networks give and data hand out.

    Args:
        space: that is trained.
        data: whose ``task`` is looked at; that of classes needs no look.

    Raises:
        OptionError: the loss or metric raises, gives no number, has no gradient, or broadcasts.
    """
    task = task_of(data)
    if not task.is_own:
        return
    import torch

    from hwnas.ops.module import called, seeded

    network = space.drawn([0] * len(space.decisions), seed=0).train()
    x, y = map(tensors, data.train_batch(0, _EXAMPLES, 0))
    with seeded(0), warnings.catch_warnings():
        warnings.filterwarnings("error", _BROADCAST)
        outputs = called(network, x)
        task.loss_of(tensors(outputs), y)
        with torch.no_grad():
            task.score_of([(mapped(torch.Tensor.detach, outputs), y)])
