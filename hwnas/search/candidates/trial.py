"""One network on a few examples, before anything is measured or trained: do loss and metric fit?"""

import warnings

from hwnas.data import Dataset, mapped, task_of, tensors
from hwnas.errors import OptionError, quoting
from hwnas.spaces import SearchSpace

__all__ = ["check_task"]

_EXAMPLES = 8
#: Torch's warning where shapes do not fit: it broadcasts them, and the loss is another one.
_BROADCAST = "Using a target size"


def check_task(space: SearchSpace, data: Dataset) -> None:
    """Refuse own networks, losses and metrics that do not fit each other and what data hand out.

    Args:
        space: that is trained.
        data: whose ``task`` is looked at; for that of classes, networks of hwnas need no look.

    Raises:
        OptionError: a network does not run on the data; the loss or metric raises, gives no number,
            has no gradient, or broadcasts.
    """
    task = task_of(data)
    if not task.is_own and space.modules is None:
        return
    import torch

    from hwnas.ops.module import called, seeded

    arch = [0] * len(space.decisions)
    network = space.drawn(arch, seed=0).train()
    x, y = map(tensors, data.train_batch(0, _EXAMPLES, 0))
    with seeded(0), warnings.catch_warnings():
        warnings.filterwarnings("error", _BROADCAST)
        named = f"{space.format(arch)} of {space.name}"
        with quoting(OptionError, f"{named} does not run on the training examples of {data.name}:"):
            outputs = called(network, x)
        task.loss_of(tensors(outputs), y)
        with torch.no_grad():
            task.score_of([(mapped(torch.Tensor.detach, outputs), y)])
