"""A found architecture, trained alone, exported, and compared with what the supernet promised."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.data import ArrayDataset
from hwnas.errors import ExportError
from hwnas.files import write_atomically
from hwnas.progress import Progress, silent
from hwnas.search.images import calibration_images, validation_evaluator
from hwnas.search.retrain import Autocast, accuracy, logits, retrain, weights_of
from hwnas.search.run import Run
from hwnas.search.stored import StoredRun
from hwnas.spaces import SearchSpace
from hwnas.supernet import Evaluator, OptimizerKind

__all__ = ["train_found"]

#: Test images that the exported file is tried on, one at a time as it will be used.
_EXPORT_IMAGES = 2000
#: Rounding flips the answer on an image in thousands, where two classes are level.
_EXPORT_TOLERANCE = 0.002


def train_found(
    run: Run,
    source: StoredRun,
    space: SearchSpace,
    arch: IntArray,
    data: ArrayDataset,
    *,
    steps: int,
    batch: int,
    optimizer: OptimizerKind,
    base_rate: float | None,
    label_smoothing: float,
    ema: float,
    autocast: Autocast,
    seed: int,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train, test, export to ``network.onnx``, and write ``train.json``.

    Args:
        run: the folder.
        source: the search that found the architecture.
        space: ``source.trained``, or ``source.deployed``.
        arch: (n_decisions,).
        data: at the input size of ``space``; its test images are looked at here only.
        steps, batch, optimizer, base_rate, label_smoothing, ema, autocast, seed: see `retrain`.
        progress: told all along.

    Returns:
        The content of ``train.json``.

    Raises:
        ExportError: the exported file gives other answers than torch.
    """
    network = retrain(
        run,
        space,
        arch,
        data,
        steps=steps,
        batch=batch,
        optimizer=optimizer,
        base_rate=base_rate,
        label_smoothing=label_smoothing,
        ema=ema,
        autocast=autocast,
        seed=seed,
        progress=progress,
    )
    outputs = logits(network, data, data.test_images)
    about = {"hwnas.weights": "trained alone", "hwnas.data": data.name}
    path = run.folder / "network.onnx"
    write_atomically(path, space.to_onnx(arch, weights_of(network), metadata=about))
    checked = _check_export(path, data, outputs[:_EXPORT_IMAGES], progress)
    report: dict[str, Any] = {
        "space": space.name,
        "architecture": space.format(arch),
        "network": "deployed" if space is source.deployed else "proxy",
        "arguments": dict(space.arguments),
        "macs": int(space.macs(arch)[0]),
        "params": int(space.params(arch)[0]),
        "data": data.name,
        "accuracy": {
            "validation": accuracy(
                logits(network, data, data.validation_images), data.validation_labels
            ),
            "test": accuracy(outputs, data.test_labels),
        },
        "supernet_accuracy": _supernet_accuracy(source, arch),
        "export": checked,
        "steps": steps,
        "seed": seed,
        "seconds": round(run.seconds, 1),
        "files": {"network": path.name},
    }
    run.write_json("train.json", report)
    return report


def _supernet_accuracy(source: StoredRun, arch: IntArray) -> dict[str, float] | None:
    """The same architecture with the supernet's weights, on the same kinds of images."""
    if not source.has_supernet:
        return None
    data = source.data()
    supernet = source.supernet()
    test = Evaluator(
        supernet, calibration_images(data), data.to_float(data.test_images), data.test_labels
    )
    return {
        "validation": validation_evaluator(supernet, data).accuracy_alone(arch),
        "test": test.accuracy_alone(arch),
    }


def _check_export(
    path: Path, data: ArrayDataset, expected: npt.NDArray[np.float32], progress: Progress
) -> dict[str, Any]:
    """Run the file on test images and compare with torch.

    Raises:
        ExportError: it answers differently on more than `_EXPORT_TOLERANCE` of them.
    """
    import onnxruntime as ort

    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    outputs = np.empty_like(expected)
    for at in range(len(expected)):
        image = data.to_float(data.test_images[at : at + 1])
        outputs[at] = session.run(None, {name: image})[0][0]
        progress("checking the exported network", (at + 1) / len(expected), "")
    labels = data.test_labels[: len(expected)]
    equal = float((outputs.argmax(1) == expected.argmax(1)).mean())
    if equal < 1 - _EXPORT_TOLERANCE:
        raise ExportError(
            f"{path} answers like the trained network on {equal:.2%} of {len(expected)} test "
            f"images only, of which {1 - _EXPORT_TOLERANCE:.1%} are asked for: please report it"
        )
    return {
        "images": len(expected),
        "accuracy": accuracy(outputs, labels),
        "torch_accuracy": accuracy(expected, labels),
        "same_answers": equal,
    }
