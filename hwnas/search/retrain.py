"""Training one found network from scratch, as Single Path One-Shot retrains its winner (section 4).

SGD with momentum, a rate that falls linearly to zero, label smoothing, no weight decay on
parameters of one dimension. The paper's rate of 0.5 at 1,024 images a step is scaled to the batch.
The loop goes on bit for bit from its checkpoint where it was killed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwnas.arrays import IntArray
from hwnas.data import ArrayDataset, batch_indices
from hwnas.errors import OptionError
from hwnas.progress import Progress, silent
from hwnas.search.run import Run
from hwnas.spaces import SearchSpace
from hwnas.supernet import (
    OptimizerKind,
    learning_rate,
    load_checkpoint,
    make_network,
    make_optimizer,
    save_checkpoint,
)

__all__ = ["Autocast", "accuracy", "logits", "paper_rate", "retrain", "weights_of"]

Autocast = Literal["none", "bf16", "fp16"]
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}

_CHECKPOINT = "network.safetensors"
_CHECKPOINT_EVERY = 100
#: Images run at once where nothing is learned.
_EVALUATION_BATCH = 500


def paper_rate(batch: int) -> float:
    """The paper's learning rate, 0.5 at 1,024 images a step, for another batch."""
    return 0.5 * batch / 1024


def retrain(
    run: Run,
    space: SearchSpace,
    arch: IntArray,
    data: ArrayDataset,
    *,
    steps: int,
    batch: int = 128,
    optimizer: OptimizerKind = "sgd",
    base_rate: float | None = None,
    label_smoothing: float = 0.1,
    ema: float = 0.0,
    autocast: Autocast = "none",
    max_norm: float = 5.0,
    seed: int = 0,
    progress: Progress = silent,
) -> nn.Module:
    """Train one architecture alone on the training images.

    Args:
        run: holds the checkpoint, from which training goes on, and the log.
        space: of the network that is trained; its input size is that of ``data``.
        arch: (n_decisions,).
        data: its training images are used.
        steps, batch: how many, and images in each.
        optimizer, base_rate: `hwnas.supernet.make_optimizer`; the paper's rate by default.
        label_smoothing: share of the target spread over all classes.
        ema: what a step keeps of the running average of the weights, such as 0.998; with 0 the last
            weights are returned, else the average.
        autocast: type of activations in convolutions; float16 scales the loss.
        max_norm: gradients are scaled down to this norm.
        seed: of the first weights and the order of the images.
        progress: told after every step.

    Returns:
        The trained network in evaluation mode, `hwnas.ops.module.GraphModule`, on the CPU.

    Raises:
        OptionError: a setting that is not allowed.
        CheckpointError: the checkpoint is another training's.
    """
    if not 0 <= ema < 1 or autocast not in ("none", *_DTYPES):
        raise OptionError(
            f"ema is at least 0 and below 1, autocast none, bf16 or fp16; got {ema}, {autocast!r}"
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rate = paper_rate(batch) if base_rate is None else base_rate
    network = make_network(space, arch, seed=seed)
    kept = nn.ModuleDict({"network": network, "scale": _LossScale(autocast == "fp16")})
    if ema:
        kept["average"] = make_network(space, arch, seed=seed)
    kept.to(device)
    scale = kept["scale"]
    assert isinstance(scale, _LossScale)
    descent = make_optimizer(network, optimizer)
    path = run.folder / _CHECKPOINT
    about = {"architecture": space.format(arch), "space": space.identifier}
    step = load_checkpoint(path, kept, descent, about) if path.exists() else 0
    kept.train()
    while step < steps:
        rows = batch_indices(len(data.train_labels), batch, step, seed)
        images = torch.from_numpy(data.to_float(data.train_images[rows])).to(device)
        labels = torch.from_numpy(data.train_labels[rows]).to(device)
        for group in descent.param_groups:
            group["lr"] = learning_rate(step, steps, rate, warm_up=min(30, steps // 10))
        descent.zero_grad(set_to_none=True)
        with _autocast(device, autocast):
            found = network(images.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(found.float(), labels, label_smoothing=label_smoothing)
        (loss * scale.factor).backward()  # type: ignore[no-untyped-call]
        if scale.unscale(network):
            nn.utils.clip_grad_norm_(network.parameters(), max_norm)
            descent.step()
        if ema:
            _average(kept["average"], network, min(ema, (1 + step) / (10 + step)))
        step += 1
        if step % min(_CHECKPOINT_EVERY, 1 + steps // 4) == 0 or step == steps:
            save_checkpoint(path, kept, descent, step, about)
            run.log("trained", step=step, loss=round(loss.item(), 4))
        if step % 10 == 0 or step == steps:
            progress("training", step / steps, f"loss {loss.item():.2f}")
    return kept["average" if ema else "network"].cpu().eval()


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
    network: nn.Module, data: ArrayDataset, images: npt.NDArray[Any]
) -> npt.NDArray[np.float32]:
    """What a network in evaluation mode makes of images: float32 (n, classes)."""
    parts = [
        network(torch.from_numpy(data.to_float(images[at : at + _EVALUATION_BATCH])))
        for at in range(0, len(images), _EVALUATION_BATCH)
    ]
    result: npt.NDArray[np.float32] = torch.cat(parts).numpy()
    return result


def accuracy(outputs: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """The share, 0 to 1, of (n, classes) outputs whose largest is the label's."""
    return float((outputs.argmax(1) == labels).mean())


def weights_of(network: nn.Module) -> dict[str, npt.NDArray[Any]]:
    """A network's weights as `SearchSpace.to_onnx` takes them."""
    return {name: t.contiguous().numpy().copy() for name, t in network.state_dict().items()}
