"""A found architecture, trained alone, exported, and compared with what the supernet promised."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.data import Dataset, notes_of, preparation_metadata, preparation_of
from hwnas.errors import ExportError
from hwnas.files import write_atomically
from hwnas.progress import Progress, silent
from hwnas.search.candidates.evaluation import stored_evaluator, tested_accuracy
from hwnas.search.retraining.retrain import accuracy, logits, retrain, weights_of
from hwnas.search.retraining.settings import RetrainSettings
from hwnas.search.runs.run import Run
from hwnas.search.runs.stored import StoredRun
from hwnas.spaces import SearchSpace

__all__ = ["accuracy_by_class", "retrain_found"]

#: Test images that the exported file is tried on, one at a time as it will be used.
_EXPORT_IMAGES = 2000
#: Rounding flips the answer on an image in thousands, where two classes are level.
_EXPORT_TOLERANCE = 0.002


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
    network = retrain(run, space, arch, data, settings, seed=seed, progress=progress)
    outputs, labels = logits(network, data.test())
    about = {"hwnas.weights": "trained alone", "hwnas.data": data.name}
    about |= preparation_metadata(data, space.input_shape)
    preparation = preparation_of(data, space.input_shape)
    names = preparation.class_names if preparation else [*map(str, range(data.classes))]
    path = run.folder / "network.onnx"
    write_atomically(path, space.to_onnx(arch, weights_of(network), metadata=about))
    checked = _check_export(path, data, (outputs, labels), progress)
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
            "validation": accuracy(*logits(network, data.validation())),
            "test": accuracy(outputs, labels),
        },
        "accuracy_by_class": accuracy_by_class(outputs, labels, names),
        "supernet_accuracy": _supernet_accuracy(source, arch),
        "export": checked,
        "steps": settings.steps,
        "seed": seed,
        "seconds": round(run.seconds, 1),
        "files": {"network": path.name},
    }
    run.log("tested", step=settings.steps, **report["accuracy"])
    run.write_json("train.json", report)
    return report


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


def _check_export(
    path: Path,
    data: Dataset,
    expected: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]],
    progress: Progress,
) -> dict[str, Any]:
    """Run the file on test images, one at a time as it will be used, and compare with torch.

    Args:
        path: of the file.
        data: its first test images are used.
        expected: torch's outputs for the test images, and the labels.
        progress: told after every image.

    Raises:
        ExportError: it answers differently on more than `_EXPORT_TOLERANCE` of them.
    """
    import onnxruntime as ort

    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    wanted, labels = expected[0][:_EXPORT_IMAGES], expected[1][:_EXPORT_IMAGES]
    images = (image for x, _ in data.test() for image in np.asarray(x, np.float32))
    outputs = np.empty_like(wanted)
    for at, image in zip(range(len(wanted)), images, strict=False):
        outputs[at] = session.run(None, {name: image[None]})[0][0]
        progress("checking the exported network", (at + 1) / len(wanted), "")
    equal = float((outputs.argmax(1) == wanted.argmax(1)).mean())
    if equal < 1 - _EXPORT_TOLERANCE:
        raise ExportError(
            f"{path} answers like the trained network on {equal:.2%} of {len(wanted)} test "
            f"images only, of which {1 - _EXPORT_TOLERANCE:.1%} are asked for: please report it"
        )
    return {
        "images": len(wanted),
        "accuracy": accuracy(outputs, labels),
        "torch_accuracy": accuracy(wanted, labels),
        "same_answers": equal,
    }
