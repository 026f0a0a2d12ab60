"""Training one found network from scratch, as Single Path One-Shot retrains its winner (section 4).

SGD with momentum, a rate that falls linearly to zero, label smoothing, no weight decay on
parameters of one dimension. The paper's rate of 0.5 at 1,024 images a step is scaled to the batch.
A cosine and dropout before the classifier, as BetaNAS retrains, are settings; so are cutout, drop
path and an auxiliary head, as DARTS does. The loop goes on bit for bit from its checkpoint where it
was killed.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hwnas.arrays import IntArray
from hwnas.data import Batch, Dataset, Task, augmented, moved, task_of, tensors
from hwnas.errors import OptionError
from hwnas.ops.module import called, channels_last, initialise, seeded
from hwnas.progress import Progress, silent
from hwnas.search.auxiliary import AuxiliaryHead, auxiliary_place
from hwnas.search.mixing import mixed
from hwnas.search.regularisation import cutout, drop_path, edge_ends
from hwnas.search.retraining.precision import LossScale, half_precision
from hwnas.search.retraining.settings import RetrainSettings
from hwnas.search.runs.run import Run
from hwnas.search.supernet_training import checkpoint_due, lr_at, resumed, to_tensors
from hwnas.spaces import SearchSpace
from hwnas.supernet import (
    SINGLE_PROCESS,
    Workers,
    make_network,
    make_optimizer,
    save_checkpoint,
)

__all__ = [
    "accuracy",
    "check_regularisation",
    "logits",
    "paper_lr",
    "retrain",
    "score",
    "weights_of",
]

_CHECKPOINT = "network.safetensors"
_CHECKPOINT_EVERY = 100
#: Keeps the draws of dropout apart from others of the same seed.
_DROPOUT_STREAM = 8
#: The same for what a person's own module draws while it is trained.
_MODULE_STREAM = 9


def paper_lr(batch_size: int) -> float:
    """The paper's learning rate, 0.5 at 1,024 images a step, for another batch."""
    return 0.5 * batch_size / 1024


def check_regularisation(space: SearchSpace, arch: IntArray, settings: RetrainSettings) -> None:
    """Complain about an auxiliary head or drop path for a network that cannot have them.

    Raises:
        OptionError: it cannot.
    """
    if settings.auxiliary:
        auxiliary_place(space, arch)
    if settings.path_drop:
        edge_ends(space, arch)


def retrain(
    run: Run | None,
    space: SearchSpace,
    arch: IntArray,
    data: Dataset,
    settings: RetrainSettings,
    *,
    seed: int = 0,
    workers: Workers = SINGLE_PROCESS,
    progress: Progress = silent,
) -> nn.Module:
    """Train one architecture alone on the training images.

    A batch is computed in ``settings.micro_batches`` equal parts, whose gradients are averaged, and
    which the workers share out; it does not matter who computes one. Each is normalised with its
    own statistics, and the first moves the running ones.

    Args:
        run: holds the checkpoint, from which training goes on, and the log; None for a worker that
            does not lead.
        space: of the network that is trained; its input shape is that of ``data``.
        arch: (n_decisions,).
        data: its training images are used.
        settings: steps, images a step, optimizer and the like.
        seed: of the first weights and the order of the images.
        workers: the processes that train together.
        progress: told after every step.

    Returns:
        The trained network in evaluation mode, as `SearchSpace.build` makes it, on the CPU: the
        running average of the weights where ``settings.ema`` asks for one, else the last.

    Raises:
        CheckpointError: the checkpoint is another training's.
        OptionError: an own loss that is none; dropout, and no linear layer that could have it; an
            auxiliary head or drop path, and no cells that could have them; parts that do not divide
            the batch, or that the workers cannot share out; or images that cannot be changed as the
            settings say.
        WorkerLostError: another worker ended; the checkpoint is kept.
    """
    steps, ema, task = settings.steps, settings.ema, task_of(data)
    parts, each = settings.micro_batches, settings.batch_size // settings.micro_batches
    workers.own_micro_batches(parts)
    alone = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(alone if workers.count == 1 else workers.device)
    data = augmented(data, settings.augmentation)
    lr = paper_lr(settings.batch_size) if settings.base_lr is None else settings.base_lr
    network = make_network(space, arch, seed=seed)
    scaled = LossScale(settings.autocast == "fp16")
    kept = nn.ModuleDict({"network": network, "scale": scaled})
    if ema:
        kept["average"] = make_network(space, arch, seed=seed)
    head, change = None, {}
    if settings.auxiliary:
        at, channels = auxiliary_place(space, arch)
        head = AuxiliaryHead(channels, data.classes or space.classes)
        initialise(head, seed)
        kept["auxiliary"], change[at] = head, head.look
    edges = edge_ends(space, arch) if settings.path_drop else []
    kept.to(device)
    trained = nn.ModuleList([network] if head is None else [network, head])
    optimizer = make_optimizer(trained, settings.optimizer, weight_decay=settings.weight_decay)
    dropped = _Dropout(settings.dropout, seed)
    hook = _classifier(network).register_forward_pre_hook(dropped) if dropped.share else None
    path = run.folder / _CHECKPOINT if run else None
    about = {"architecture": space.format(arch), "space": space.identifier}
    step = resumed(path, kept, optimizer, workers, steps=steps, about=about)
    kept.train()
    while step < steps:
        for group in optimizer.param_groups:
            group["lr"] = lr_at(step, steps, lr, settings.schedule, settings.lr_warm_up)
        optimizer.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=device)
        for part in range(workers.rank, parts, workers.count):
            dropped.draw = draw = step * parts + part  # of all parts of all batches
            images, labels = to_tensors(data.train_batch(draw, each, seed))
            if settings.mixup or settings.cutmix:
                images, labels = mixed(
                    images,
                    labels,
                    settings,
                    classes=space.classes,
                    seed=seed,
                    draw=draw,
                    done=step / steps,
                )
            images = cutout(images, settings.cutout, seed=seed, step=draw)
            drop = drop_path(settings.path_drop * step / steps, seed=seed, step=draw)
            changed = change if drop is None else {**change, **dict.fromkeys(edges, drop)}
            images, labels = channels_last(moved(images, device)), moved(labels, device)
            with (
                seeded(seed, _MODULE_STREAM, draw),
                half_precision(device, settings.autocast),
                _statistics(network, moved=part == 0),
            ):
                found = network(images, change=changed) if changed else called(network, images)
                seconds = None if head is None else head()
            own = task.loss_of(tensors(found), labels, settings.label_smoothing)
            if seconds is not None:
                second = task.loss_of(seconds.float(), labels, settings.label_smoothing)
                own = own + settings.auxiliary * second
            (own / parts * scaled.factor).backward()  # type: ignore[no-untyped-call]
            loss += own.detach() / parts
        if workers.count > 1:
            loss.fill_(workers.add_gradients(trained.parameters(), loss))
        if scaled.unscale(trained):
            nn.utils.clip_grad_norm_(trained.parameters(), settings.max_norm or inf)
            optimizer.step()
        if ema:
            _average(kept["average"], network, min(ema, (1 + step) / (10 + step)))
        step += 1
        if run and path and checkpoint_due(step, steps, _CHECKPOINT_EVERY):
            save_checkpoint(path, kept, optimizer, step, about)
            run.log(
                "trained", step=step, loss=round(loss.item(), 4), lr=optimizer.param_groups[0]["lr"]
            )
        if step % 10 == 0 or step == steps:
            progress("training", step / steps, f"loss {loss.item():.2f}")
    if hook:
        hook.remove()
    return kept["average" if ema else "network"].cpu().eval()


class _Dropout:
    """Zeroes a share of a layer's input in training; what it draws follows from seed and draw."""

    def __init__(self, share: float, seed: int):
        self.share, self.seed, self.draw = share, seed, 0

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        """A hook that runs before the layer."""
        (x,) = inputs
        rng = np.random.default_rng([self.seed, _DROPOUT_STREAM, self.draw])
        kept = torch.from_numpy(rng.random(tuple(x.shape)) >= self.share).to(x.device)
        return x * kept / (1 - self.share)


def _classifier(network: nn.Module) -> nn.Module:
    """The last linear layer.

    Raises:
        OptionError: there is none.
    """
    for layer in reversed(list(network.modules())):
        if isinstance(layer, nn.Linear):
            return layer
    raise OptionError("dropout is before a linear classifier, and this network has none")


@contextmanager
def _statistics(network: nn.Module, *, moved: bool) -> Iterator[None]:
    """Where batch-norms move their running statistics in training, or leave them."""
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = moved
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


@torch.no_grad()
def _average(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the running average of weights and batch-norm statistics towards the network."""
    for mean, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(new, 1 - keep)
        else:
            mean.copy_(new)


@torch.inference_mode()
def score(network: nn.Module, batches: Iterable[Batch], task: Task) -> float:
    """The score of a network in evaluation mode: accuracy, 0 to 1, or the data's own metric.

    Larger is better, see `hwnas.data.Metric`.
    """
    answers = ((called(network, tensors(x)), tensors(y)) for x, y in batches)
    return task.score_of(answers)


@torch.inference_mode()
def logits(
    network: nn.Module, batches: Iterable[Batch]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """What a network in evaluation mode makes of images: float32 (n, classes), and labels (n,)."""
    outputs, labels = [], []
    for batch in batches:
        images, target = to_tensors(batch)
        outputs.append(network(images))
        labels.append(target)
    return torch.cat(outputs).numpy(), torch.cat(labels).numpy()


def accuracy(outputs: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """The share, 0 to 1, of (n, classes) outputs whose largest is the label's."""
    return float((outputs.argmax(1) == labels).mean())


def weights_of(network: nn.Module) -> dict[str, npt.NDArray[Any]]:
    """A network's weights as `SearchSpace.to_onnx` takes them."""
    return {name: t.contiguous().numpy().copy() for name, t in network.state_dict().items()}
