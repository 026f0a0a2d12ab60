"""What a search hands back, to a program and to a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.arrays import IntArray
from hwnas.documents import check_regular
from hwnas.errors import CheckpointError
from hwnas.search.runs.network import read_network
from hwnas.search.runs.run import WEIGHTS
from hwnas.search.runs.schema import ANOTHER
from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Result", "summary"]


@dataclass(frozen=True, eq=False)
class Result:
    """The network that a search found, and the folder that holds everything.

    Attributes:
        folder: of the run.
        content: of its ``result.json``.
        space: the deployed space.
        proxy: the space that was trained; ``space`` itself where they are one.
    """

    folder: Path
    content: Mapping[str, Any]
    space: SearchSpace
    proxy: SearchSpace

    @property
    def architecture(self) -> str:
        """As ``space.parse`` reads it."""
        return str(self.content["architecture"])

    @property
    def arch(self) -> IntArray:
        """The same as indices, int64 (n_decisions,)."""
        return self.space.parse(self.architecture)

    @property
    def predicted_ms(self) -> float:
        """The predicted latency of the deployed network."""
        return float(self.content["predicted_ms"])

    @property
    def predicted_interval_ms(self) -> tuple[float, float] | None:
        """Its 95 % interval; None where the predictor gives none."""
        interval = self.content["predicted_interval_ms"]
        return None if interval is None else (float(interval[0]), float(interval[1]))

    @property
    def measured_ms(self) -> float | None:
        """The measured latency; None where the device was not at hand."""
        measured = self.content["measured_ms"]
        return None if measured is None else float(measured)

    @property
    def accuracy(self) -> float:
        """On the validation images, of the trained network with shared weights, 0 to 1."""
        return float(self.content["accuracy"])

    @cached_property
    def onnx(self) -> bytes:
        """The deployed network, as it was measured.

        Raises:
            CheckpointError: the file is another, or not there.
        """
        return read_network(self.folder, self.content)

    @property
    def module(self) -> "nn.Module":
        """The deployed network with the weights of `onnx`: (n, channels, h, w) -> (n, classes).

        They are the supernet's where the trained network is the deployed one; else they are drawn
        at random until the network is trained, and ``content["weights"]`` says so.
        """
        if self.proxy.identifier == self.space.identifier:
            return self.proxy_module
        import torch

        from hwnas.onnx_graph import random_weights

        module = self.space.build(self.arch)
        drawn = random_weights(self.space.graph(self.arch), self.content["seed"])
        weights = {name: torch.from_numpy(value) for name, value in drawn.items()}
        module.load_state_dict(weights, strict=False)  # counters of batches are no weights
        return module.eval()

    @property
    def proxy_module(self) -> "nn.Module":
        """The trained network with the supernet's weights, batch-norms recalibrated.

        Raises:
            CheckpointError: the run is of a version that did not keep them, or they are damaged.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = self.folder / WEIGHTS
        if not path.exists():
            raise CheckpointError(f"{path} is not there: the run is of an earlier version")
        module = self.proxy.build(self.arch)
        check_regular(path, ANOTHER)
        try:
            module.load_state_dict(load_file(path))
        except (SafetensorError, OSError, RuntimeError) as error:
            why = " ".join(str(error).split())[:200]
            raise CheckpointError(f"{path} holds other weights ({why}): {ANOTHER}") from None
        return module.eval()

    def __str__(self) -> str:
        rows = summary(self.content, self.folder)
        width = max(len(label) for label, _ in rows)
        return "\n".join(f"{label:<{width}}  {text}" for label, text in rows)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What a notebook shows."""
        printer.text(str(self))


def summary(result: Mapping[str, Any], folder: Path) -> list[tuple[str, str]]:
    """What a person reads of a ``result.json``: rows of a label and a text."""
    measured, interval = result["measured_ms"], result["predicted_interval_ms"]
    predicted = f"{result['predicted_ms']:.3f} ms"
    if interval is not None:
        predicted += f" (95 %: {interval[0]:.3f} to {interval[1]:.3f})"
    else:
        predicted += " (the predictor gives no interval)"
    rows = [
        ("architecture", result["architecture"]),
        ("budget", ", ".join(result["budget"])),
        ("predicted", predicted),
    ]
    if measured is None:
        rows.append(("measured", _not_measured(result)))
        rows.append(("verify it", f"there, with this folder: {result['verify']}"))
    else:
        rows.append(("measured", _measured(result)))
    rows.append(
        ("size", f"{result['macs'] / 1e6:.1f} M MACs, {result['params'] / 1e6:.2f} M params")
    )
    if result["bitops"] is not None:
        rows.append(("bitops", f"{result['bitops'] / 2**30:.2f}G (of 2^30)"))
    paths = result["random_paths"]
    ranked_by = result.get("rank_by", "accuracy")
    ranking = "validation" if ranked_by == "accuracy" else ranked_by
    rows += [
        (
            "accuracy",
            f"{result['accuracy']:.1%} {ranking}, {result['test_accuracy']:.1%} test, of the "
            "trained proxy with shared weights",
        ),
        (
            "random paths",
            f"median {paths['median']:.1%}, {paths['least']:.1%} to {paths['most']:.1%} "
            f"({paths['count']} within the budget)",
        ),
    ]
    alone = result.get("finalists", {}).values()
    if alone:
        rows.append(
            (
                "finalists",
                f"{len(alone)} trained alone, validation {min(alone):.1%} to {max(alone):.1%}",
            )
        )
    rows += [
        ("weights", f"of best.onnx: {result['weights']}"),
        ("seconds", f"{result['seconds']:.0f}"),
        ("files", f"{folder}: {', '.join(result['files'].values())}"),
    ]
    return rows


def _not_measured(result: Mapping[str, Any]) -> str:
    if isinstance(result["target"], str):
        return f"not measured: predictions are of {result['target']}"
    return "not measured: the table is of another machine"


def _measured(result: Mapping[str, Any]) -> str:
    measured = result["measured"]
    off = result["predicted_ms"] / result["measured_ms"] - 1
    error = measured.get("relative_error")
    times, waited_s = measured.get("measurements", 1), measured.get("waited_s", 0)
    text = f"{result['measured_ms']:.3f} ms"
    text += f" +-{error:.1%}" if error is not None else ""
    text += f", prediction off by {off:+.1%}"
    text += f", the least of {times} measurements" if times > 1 else ""
    return text + (f", {waited_s} s waited for a slow spell to end" if waited_s else "")
