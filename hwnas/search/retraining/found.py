"""A found architecture, trained alone, exported, and compared with what the supernet promised."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from hwnas.arrays import IntArray
from hwnas.data import (
    Dataset,
    Preparation,
    notes_of,
    preparation_metadata,
    preparation_of,
    task_of,
)
from hwnas.files import write_atomically
from hwnas.progress import Progress, silent
from hwnas.search.candidates.evaluation import stored_evaluator, tested_accuracy
from hwnas.search.retraining.export_check import check_export
from hwnas.search.retraining.retrain import logits, retrain, score, weights_of
from hwnas.search.retraining.settings import RetrainSettings
from hwnas.search.runs.run import Run
from hwnas.search.runs.stored import StoredRun
from hwnas.spaces import SearchSpace
from hwnas.supernet import torchrun_workers

__all__ = ["accuracy_by_class", "help_training", "retrain_found"]


def retrain_found(
    run: Run,
    source: StoredRun,
    space: SearchSpace,
    arch: IntArray,
    data: Dataset,
    settings: RetrainSettings,
    *,
    seed: int,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train, test, export to ``network.onnx``, and write ``train.json``.

    Where torchrun started other processes, they train along, see `help_training`.

    Args:
        run: the folder.
        source: the search that found the architecture.
        space: ``source.proxy``, or ``source.deployed``.
        arch: (n_decisions,).
        data: at the input shape of ``space``; its test images are looked at here only.
        settings: of the training.
        seed: of weights and order of images.
        progress: told all along.

    Returns:
        The content of ``train.json``.

    Raises:
        ExportError: the exported file gives other answers than torch.
    """
    with torchrun_workers() as workers:
        how: dict[str, Any] = {"seed": seed, "workers": workers, "progress": progress}
        network = retrain(run, space, arch, data, settings, **how)
    task = task_of(data)
    about = {"hwnas.weights": "trained alone", "hwnas.data": data.name}
    about |= preparation_metadata(data, space.input_shape)
    preparation = preparation_of(data, space.input_shape)
    path = run.folder / "network.onnx"
    write_atomically(path, space.to_onnx(arch, weights_of(network), metadata=about))
    checked = check_export(path, network, data, progress)
    report: dict[str, Any] = {
        "space": space.name,
        "architecture": space.format(arch),
        "network": "deployed" if space is source.deployed else "proxy",
        "arguments": dict(space.arguments),
        "macs": int(space.macs(arch)[0]),
        "params": int(space.params(arch)[0]),
        "data": data.name,
        "data_notes": list(notes_of(data)),
        "preprocessing": None if preparation is None else preparation.facts,
        "accuracy": {
            "validation": score(network, data.validation(), task),
            "test": score(network, data.test(), task),
        },
        "accuracy_by_class": _by_class(network, data, preparation),
        **task.scored.facts,
        "supernet_accuracy": _supernet_accuracy(source, arch),
        "export": checked,
        "steps": settings.steps,
        "seed": seed,
        "seconds": round(run.seconds, 1),
        "files": {"network": path.name},
    }
    run.log("tested alone", step=settings.steps, **report["accuracy"], **task.scored.facts)
    run.write_json("train.json", report)
    return report


def help_training(
    space: SearchSpace, arch: IntArray, data: Dataset, settings: RetrainSettings, *, seed: int
) -> None:
    """Take part in a training that another process of torchrun leads, and be silent."""
    with torchrun_workers() as workers:
        retrain(None, space, arch, data, settings, seed=seed, workers=workers)


def _by_class(
    network: nn.Module, data: Dataset, preparation: Preparation | None
) -> list[dict[str, Any]]:
    """`accuracy_by_class` on the test images; nothing where there are no classes."""
    if task_of(data).metric is not None or data.classes is None:
        return []
    named = getattr(data, "class_names", ()) or map(str, range(data.classes))
    names = preparation.class_names if preparation else tuple(named)
    return accuracy_by_class(*logits(network, data.test()), names)


def accuracy_by_class(
    outputs: npt.NDArray[np.float32], labels: IntArray, names: Sequence[str]
) -> list[dict[str, Any]]:
    """How many of the images of each class are told right.

    Args:
        outputs: of a network, (n, at least as many as there are classes).
        labels: int64 (n,).
        names: of the classes.
    """
    right = outputs.argmax(1) == labels
    counts = np.bincount(labels, minlength=len(names)).tolist()
    hits = np.bincount(labels[right], minlength=len(names)).tolist()
    return [
        {"name": name, "images": count, "accuracy": hit / count if count else None}
        for name, count, hit in zip(names, counts, hits, strict=True)
    ]


def _supernet_accuracy(source: StoredRun, arch: IntArray) -> dict[str, float] | None:
    """The same architecture with the supernet's weights, on the same kinds of images."""
    if not source.has_supernet:
        return None
    data = source.data()
    validation = stored_evaluator(source, data)
    return {
        "validation": validation.accuracy_alone(arch),
        "test": tested_accuracy(validation, data, arch),
    }
