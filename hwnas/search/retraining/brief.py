"""Each network of a family trained for itself for a short while, where weights cannot be shared."""

from collections.abc import Callable

from torch import nn

from hwnas.data import Dataset, task_of
from hwnas.ops.module import called, seeded
from hwnas.search.retraining.retrain import score
from hwnas.search.supernet_training import lr_at, to_tensors
from hwnas.supernet import make_optimizer

__all__ = ["brief_training"]

_MAX_NORM = 5.0


def brief_training(
    data: Dataset, *, steps: int = 200, batch_size: int = 64, lr: float = 2e-3, seed: int = 0
) -> Callable[[nn.Module], float]:
    """An ``evaluate`` for `hwnas.family`: train a network with Adam, look at validation images.

    Every network sees the same images in the same order.

    Args:
        data: its training images are trained on, its validation images looked at.
        steps: of each network.
        batch_size: images a step.
        lr: the highest learning rate; a short rise, then a fall to 0.
        seed: of the order of the images, and of what networks draw.

    Returns:
        A function that trains the network that it is given and returns its accuracy, 0 to 1, or
        its score by the data's own metric.
    """
    task = task_of(data)

    def evaluate(model: nn.Module) -> float:
        optimizer = make_optimizer(model.train())
        with seeded(seed):
            for step in range(steps):
                images, labels = to_tensors(data.train_batch(step, batch_size, seed))
                for group in optimizer.param_groups:
                    group["lr"] = lr_at(step, steps, lr)
                optimizer.zero_grad(set_to_none=True)
                loss = task.loss_of(called(model, images), labels)
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(model.parameters(), _MAX_NORM)
                optimizer.step()
        return score(model.eval(), data.validation(), task)

    evaluate.metric = task.scored  # type: ignore[attr-defined]  # of what it returns
    return evaluate
