"""Several processes that train one supernet together, as ``torchrun`` starts them.

All of them train the same path at a step, each on its share of the batch, and add up their
gradients. A batch is cut into a number of *micro-batches*, each of which normalises with its own
statistics. It does not matter which process computes a micro-batch: two processes with one each
take the same steps as one process that accumulates the gradients of both.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from traceback import clear_frames

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor

from hwnas.errors import OptionError, WorkerLostError
from hwnas.supernet.ranks import torchrun_ranks

__all__ = ["SINGLE_PROCESS", "Workers", "torchrun_workers"]

#: Longer than a step, a checkpoint, or profiling a machine that has no table yet.
_PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Workers:
    """This process among those that train together.

    Attributes:
        rank: 0 leads: it alone writes files.
        count: how many there are.
        device: what this one computes on.
    """

    rank: int = 0
    count: int = 1
    device: str = "cpu"

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def own_micro_batches(self, micro_batches: int) -> range:
        """The micro-batches of a batch that this process computes.

        Raises:
            OptionError: the workers cannot have equally many.
        """
        if micro_batches < 1 or micro_batches % self.count:
            raise OptionError(
                f"{self.count} workers cannot compute {micro_batches} micro-batches equally: "
                f"give a multiple of {self.count}"
            )
        each = micro_batches // self.count
        return range(self.rank * each, (self.rank + 1) * each)

    def shared(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The leader's whole numbers; all give an array of the same shape."""
        if self.count == 1:
            return values
        sent = torch.from_numpy(values.copy()).to(self.device)
        with _lost_workers():
            dist.broadcast(sent, 0)
        return sent.cpu().numpy()

    def shared_bytes(self, content: bytes) -> bytes:
        """The leader's bytes; what the others give is ignored."""
        if self.count == 1:
            return content
        (size,) = self.shared(np.array([len(content)]))
        padded = np.zeros(-(-size // 8) * 8, np.uint8)
        if self.leads:
            padded[:size] = np.frombuffer(content, np.uint8)
        return self.shared(padded.view(np.int64)).tobytes()[:size]

    def add_gradients(self, parameters: Iterable[Tensor], loss: Tensor) -> float:
        """Replace gradients and loss by their sums over all workers; returns the loss.

        Args:
            parameters: those that were trained at this step, the same on every worker.
            loss: a scalar.
        """
        if self.count == 1:
            return loss.item()
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([loss.detach().reshape(1), *(g.reshape(-1) for g in gradients)])
        with _lost_workers():
            dist.all_reduce(flat)
        parts = torch.split(flat[1:], [g.numel() for g in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
        return flat[0].item()


#: Training in this process only.
SINGLE_PROCESS = Workers()


@contextmanager
def torchrun_workers() -> Iterator[Workers]:
    """Meet the other processes that ``torchrun`` started; `SINGLE_PROCESS` where it did not.

    NCCL joins them where each has a GPU of its own, Gloo elsewhere.

    Raises:
        OptionError: what torchrun sets is incomplete, see `torchrun_ranks`.
        WorkerLostError: another process ended.
    """
    ranks = torchrun_ranks()
    if ranks.count == 1:
        yield SINGLE_PROCESS
        return
    # Loaded later, as the optimizers do, its functions would keep the group as their default.
    import torch.distributed.nn

    on_gpus = torch.cuda.is_available() and torch.cuda.device_count() >= ranks.local_count
    with _lost_workers():
        dist.init_process_group("nccl" if on_gpus else "gloo", timeout=_PATIENCE)
    try:
        device = f"cuda:{ranks.local_rank}" if on_gpus else "cpu"
        yield Workers(dist.get_rank(), ranks.count, device)
    finally:
        dist.destroy_process_group()


@contextmanager
def _lost_workers() -> Iterator[None]:
    """Say in words that another process is gone."""
    try:
        yield
    except RuntimeError as error:
        # They hold the process group, whose threads would still run at the exit of the process,
        # and may abort it there.
        clear_frames(error.__traceback__)
        raise WorkerLostError(
            f"another worker of this training ended or cannot be reached ({error}): start the same "
            "command again, it goes on from the last checkpoint"
        ) from None
