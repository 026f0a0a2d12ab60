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
from torch.nn import functional as F

from hwnas.arrays import IntArray
from hwnas.data import Batch, Dataset
from hwnas.errors import OptionError
from hwnas.ops.module import initialise, seeded
from hwnas.progress import Progress, silent
from hwnas.search.auxiliary import AuxiliaryHead, auxiliary_place
from hwnas.search.regularisation import cutout, drop_path, edge_ends
from hwnas.search.retraining.settings import Autocast, RetrainSettings
from hwnas.search.runs.run import Run
from hwnas.search.supernet_training import checkpoint_due, lr_at, to_tensors
from hwnas.spaces import SearchSpace
from hwnas.supernet import (
    load_checkpoint,
    make_network,
    make_optimizer,
    save_checkpoint,
)

__all__ = ["accuracy", "check_regularisation", "logits", "paper_lr", "retrain", "weights_of"]

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}

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
    run: Run,
    space: SearchSpace,
    arch: IntArray,
    data: Dataset,
    settings: RetrainSettings,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> nn.Module:
    """Train one architecture alone on the training images.

    Args:
        run: holds the checkpoint, from which training goes on, and the log.
        space: of the network that is trained; its input shape is that of ``data``.
        arch: (n_decisions,).
        data: its training images are used.
        settings: steps, images a step, optimizer and the like.
        seed: of the first weights and the order of the images.
        progress: told after every step.

    Returns:
        The trained network in evaluation mode, as `SearchSpace.build` makes it, on the CPU: the
        running average of the weights where ``settings.ema`` asks for one, else the last.

    Raises:
        CheckpointError: the checkpoint is another training's.
        OptionError: dropout, and no linear layer that could have it; an auxiliary head or drop
            path, and no cells that could have them.
    """
    steps, ema = settings.steps, settings.ema
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    lr = paper_lr(settings.batch_size) if settings.base_lr is None else settings.base_lr
    network = make_network(space, arch, seed=seed)
    scaled = _LossScale(settings.autocast == "fp16")
    kept = nn.ModuleDict({"network": network, "scale": scaled})
    if ema:
        kept["average"] = make_network(space, arch, seed=seed)
    head, change = None, {}
    if settings.auxiliary:
        at, channels = auxiliary_place(space, arch)
        head = AuxiliaryHead(channels, data.classes)
        initialise(head, seed)
        kept["auxiliary"], change[at] = head, head.look
    edges = edge_ends(space, arch) if settings.path_drop else []
    kept.to(device)
    trained = nn.ModuleList([network] if head is None else [network, head])
    optimizer = make_optimizer(trained, settings.optimizer, weight_decay=settings.weight_decay)
    dropped = _Dropout(settings.dropout, seed)
    hook = _classifier(network).register_forward_pre_hook(dropped) if dropped.share else None
    path = run.folder / _CHECKPOINT
    about = {"architecture": space.format(arch), "space": space.identifier}
    step = load_checkpoint(path, kept, optimizer, about, steps=steps) if path.exists() else 0
    kept.train()
    while step < steps:
        images, labels = to_tensors(data.train_batch(step, settings.batch_size, seed))
        for group in optimizer.param_groups:
            group["lr"] = lr_at(step, steps, lr, settings.schedule)
        dropped.step = step
        images = cutout(images, settings.cutout, seed=seed, step=step)
        drop = drop_path(settings.path_drop * step / steps, seed=seed, step=step)
        changed = change if drop is None else {**change, **dict.fromkeys(edges, drop)}
        optimizer.zero_grad(set_to_none=True)
        images = images.to(device).contiguous(memory_format=torch.channels_last)
        with seeded(seed, _MODULE_STREAM, step), _autocast(device, settings.autocast):
            found = network(images, change=changed) if changed else network(images)
            seconds = None if head is None else head()
        smoothing, labels = settings.label_smoothing, labels.to(device)
        loss = F.cross_entropy(found.float(), labels, label_smoothing=smoothing)
        if seconds is not None:
            second = F.cross_entropy(seconds.float(), labels, label_smoothing=smoothing)
            loss = loss + settings.auxiliary * second
        (loss * scaled.factor).backward()  # type: ignore[no-untyped-call]
        if scaled.unscale(trained):
            nn.utils.clip_grad_norm_(trained.parameters(), settings.max_norm or inf)
            optimizer.step()
        if ema:
            _average(kept["average"], network, min(ema, (1 + step) / (10 + step)))
        step += 1
        if checkpoint_due(step, steps, _CHECKPOINT_EVERY):
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
    """Zeroes a share of a layer's input in training; what it draws follows from seed and step."""

    def __init__(self, share: float, seed: int):
        self.share, self.seed, self.step = share, seed, 0

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        """A hook that runs before the layer."""
        (x,) = inputs
        rng = np.random.default_rng([self.seed, _DROPOUT_STREAM, self.step])
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


class _LossScale(nn.Module):
    """Keeps small float16 gradients from vanishing; a buffer, so that a checkpoint holds it.

    The factor is halved when a gradient overflows, and the step is left out; it doubles after 200
    steps without (as in mixed precision training, Micikevicius et al., 2018).
    """

    factor: Tensor
    calm: Tensor

    def __init__(self, wanted: bool):
        super().__init__()
        self.wanted = wanted
        self.register_buffer("factor", torch.tensor(2.0**14 if wanted else 1.0))
        self.register_buffer("calm", torch.tensor(0))

    def unscale(self, network: nn.Module) -> bool:
        """Divide the gradients; returns whether all of them are finite."""
        if not self.wanted:
            return True
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        finite = True
        for gradient in gradients:
            gradient /= self.factor
            finite = finite and bool(gradient.isfinite().all())
        self.calm += 1
        if not finite:
            self.calm.zero_()
            self.factor /= 2
        elif self.calm >= 200:
            self.calm.zero_()
            self.factor *= 2
        return finite


@contextmanager
def _autocast(device: torch.device, kind: Autocast) -> Iterator[None]:
    if kind == "none":
        yield
    else:
        with torch.autocast(device.type, _DTYPES[kind]):
            yield


@torch.no_grad()
def _average(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the running average of weights and batch-norm statistics towards the network."""
    for mean, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(new, 1 - keep)
        else:
            mean.copy_(new)


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
