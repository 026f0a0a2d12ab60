"""Training a supernet path by path: the loop that SPOS, NAO and TNAS share.

It goes on where it was killed: weights, the optimizer and what a path sampler has learned are in
the run's checkpoint, and batches and paths follow from the seed, the step and that state.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from hwnas.arrays import IntArray
from hwnas.data import (
    CLASSIFICATION,
    Batch,
    Dataset,
    Task,
    augmented,
    share_of,
    task_of,
    tensors,
    train_share,
)
from hwnas.documents import read_regular
from hwnas.ops.module import seeded
from hwnas.progress import Progress, silent
from hwnas.search.mixing import mixed
from hwnas.search.runs.run import CHECKPOINT, Run
from hwnas.search.runs.schema import OWN
from hwnas.search.shared_settings import (
    AugmentationSettings,
    PathTrainingSettings,
    TrainingSettings,
)
from hwnas.spaces import SearchSpace
from hwnas.supernet import (
    SINGLE_PROCESS,
    PathSampler,
    Supernet,
    Workers,
    learning_rate,
    load_checkpoint,
    make_optimizer,
    sampler_state,
    save_checkpoint,
    tell_sampler,
    train_step,
)
from hwnas.supernet.kinds import Schedule

__all__ = [
    "checkpoint_due",
    "lr_at",
    "make_supernet",
    "optimizer_of",
    "resumed",
    "to_tensors",
    "train_path",
    "train_supernet",
    "training_batch",
]

_CHECKPOINT_EVERY = 50
_WARM_UP = 30
#: Keeps what a person's own modules draw apart from other draws of the same seed.
_DROPOUT_STREAM = 9
#: A checkpoint larger than this is none of ours.
_MOST_BYTES = 2**38


def train_supernet(
    run: Run | None,
    supernet: Supernet,
    sampler: PathSampler,
    data: Dataset,
    settings: TrainingSettings,
    *,
    seed: int,
    workers: Workers = SINGLE_PROCESS,
    progress: Progress = silent,
) -> None:
    """Train one path a step (Single Path One-Shot, eq. 7), or a few.

    Args:
        run: holds the checkpoint, from which training goes on; None for a worker that does not
            lead.
        supernet: trained in place.
        sampler: which path a step trains; the leader's is used, and its state is kept. Others may
            have one that learns nothing, or the same, which then goes on from the same state.
        data: its training images are used.
        settings: steps, images a step, optimizer; ``base_lr`` is a number here. Where they have
            ``micro_batches``, a batch is normalised in as many parts, and where they have
            ``paths``, a step trains as many, see `hwnas.supernet.train_step`. ``train_on`` says
            what one process trains on; several have a GPU each where there are enough.
        seed: of the order of the images.
        workers: the processes that train together.
        progress: told after every step.

    Raises:
        OptionError: the batch is not divisible by the micro-batches, or those not by the workers.
        WorkerLostError: another worker ended; the checkpoint is kept.
    """
    workers.own_micro_batches(_micro_batches(settings, workers))
    if workers.count == 1 and getattr(settings, "train_on", "cpu") == "gpu":
        workers = replace(workers, device="cuda")
    paths, task = getattr(settings, "paths", 1), task_of(data)
    if isinstance(settings, AugmentationSettings):
        data = augmented(data, settings.augmentation)
    supernet.to(workers.device)
    optimizer = optimizer_of(supernet, settings)
    path = run.folder / CHECKPOINT if run else None
    state = sampler_state(sampler)
    step = resumed(path, supernet, optimizer, workers, steps=settings.steps, state=state)
    while step < settings.steps:
        draws = range(step * paths, (step + 1) * paths)
        archs = workers.shared(np.stack([sampler.sample(draw) for draw in draws]))
        batch = training_batch(
            data, step, settings, space=supernet.space, seed=seed, workers=workers
        )
        with seeded(seed, _DROPOUT_STREAM, step):
            loss = train_path(
                supernet,
                optimizer,
                batch,
                archs,
                step,
                settings,
                task=task,
                workers=workers,
            )
        for draw, arch in zip(draws, archs, strict=True):
            tell_sampler(sampler, draw, arch, loss)
        step += 1
        if run and path and checkpoint_due(step, settings.steps):
            save_checkpoint(path, supernet, optimizer, step, extra=state)
            run.log("trained", step=step, loss=round(loss, 4), lr=optimizer.param_groups[0]["lr"])
        progress("training the supernet", step / settings.steps, f"loss {loss:.2f}")
    supernet.to("cpu")


def make_supernet(space: SearchSpace, settings: TrainingSettings, *, seed: int) -> Supernet:
    """The supernet of a space before its training, as the settings say it starts."""
    return Supernet(
        space,
        sharing=settings.sharing,
        seed=seed,
        initial_weights=settings.initial_weights,
        batch_norms=settings.batch_norms,
    )


def optimizer_of(supernet: torch.nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """What trains a supernet's weights, as the settings say."""
    return make_optimizer(supernet, settings.optimizer, weight_decay=settings.weight_decay)


def train_path(
    supernet: Supernet,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    arch: IntArray,
    step: int,
    settings: TrainingSettings,
    *,
    task: Task = CLASSIFICATION,
    workers: Workers = SINGLE_PROCESS,
) -> float:
    """`hwnas.supernet.train_step` of one step, 0 to ``settings.steps - 1``; returns the loss.

    The batch is what `training_batch` returns to this worker.
    """
    return train_step(
        supernet,
        optimizer,
        *to_tensors(batch),
        arch,
        lr=_lr(step, settings),
        label_smoothing=settings.label_smoothing,
        max_norm=settings.max_norm or None,
        micro_batches=_micro_batches(settings, workers),
        workers=workers,
        task=task,
        half=getattr(settings, "autocast", "none") == "bf16",
        own_share=True,
    )


def _micro_batches(settings: TrainingSettings, workers: Workers) -> int:
    """The parts of a batch: as many as there are workers where settings do not say it."""
    return getattr(settings, "micro_batches", None) or workers.count


def lr_at(
    step: int,
    steps: int,
    base_lr: float,
    schedule: Schedule = "linear",
    warm_up: int | None = None,
) -> float:
    """The learning rate of a step, 0 to ``steps - 1``: a short rise, then a fall to 0."""
    rise = min(_WARM_UP, steps // 10) if warm_up is None else warm_up
    return learning_rate(step, steps, base_lr, rise, schedule)


def training_batch(
    data: Dataset,
    step: int,
    settings: TrainingSettings,
    *,
    space: SearchSpace,
    seed: int,
    workers: Workers = SINGLE_PROCESS,
) -> Batch:
    """A worker's images of a step, 0 to ``settings.steps - 1``, mixed if that is asked for.

    It reads no others, but where they are mixed: a pair may be any two of the whole batch.

    Args:
        data: see `hwnas.data.augmented` for what changes each image alone.
        step: its number.
        settings: of the training.
        space: of the networks.
        seed: of the order of the images, and of what is mixed.
        workers: the processes that train together.

    Raises:
        OptionError: the workers cannot have equally many.
    """
    size, own = settings.batch_size, {"share": workers.rank, "of": workers.count}
    if not isinstance(settings, AugmentationSettings) or not (settings.mixup or settings.cutmix):
        return train_share(data, step, size, seed, **own)
    images, labels = to_tensors(data.train_batch(step, size, seed))
    done = step / settings.steps
    of = {"classes": space.classes, "seed": seed, "draw": step}
    return share_of(mixed(images, labels, settings, **of, done=done), **own)


def checkpoint_due(step: int, steps: int, every: int = _CHECKPOINT_EVERY) -> bool:
    """Whether a training saves its state after ``step`` of ``steps``.

    It does every ``every`` steps, a short one about every quarter, and at the end.
    """
    return step % min(every, 1 + steps // 4) == 0 or step == steps


def to_tensors(batch: Batch) -> tuple[Any, Any]:
    """A batch of a data set, whose arrays may be numpy's or torch's; see `hwnas.data.tensors`."""
    return tensors(batch[0]), tensors(batch[1])


def resumed(
    path: Path | None,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    workers: Workers,
    *,
    steps: int,
    about: Mapping[str, str] | None = None,
    state: Mapping[str, torch.Tensor] | None = None,
) -> int:
    """Load the leader's checkpoint into every worker, if there is one; returns the step.

    Args:
        path: of the leader's file; None for the others.
        network, optimizer: fresh ones; what the file holds is copied into them.
        workers: the processes that train together.
        steps: of the whole training.
        about: what else the training must agree on.
        state: what else the training changes; others than the leader may have none.

    Raises:
        CheckpointError: as `hwnas.supernet.load_checkpoint`.
        WorkerLostError: another worker ended.
    """
    content = read_regular(path, OWN, _MOST_BYTES) if path and path.exists() else b""
    content = workers.shared_bytes(content)
    if not content:
        return 0
    load = partial(load_checkpoint, metadata=about, extra=state, steps=steps, more=not state)
    if path:
        return load(path, network, optimizer, more=False)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / CHECKPOINT
        copy.write_bytes(content)
        return load(copy, network, optimizer)


def _lr(step: int, settings: TrainingSettings) -> float:
    if isinstance(settings, PathTrainingSettings):
        how = settings.lr_schedule, settings.lr_warm_up
        return lr_at(step, settings.steps, settings.peak_lr, *how)
    return lr_at(step, settings.steps, settings.peak_lr)
