"""What a search hands back, to a program and to a person."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.arrays import IntArray
from hwnas.costs.written import millions
from hwnas.data import Metric
from hwnas.documents import check_regular
from hwnas.errors import CheckpointError
from hwnas.html_text import html_table
from hwnas.search.runs.network import read_network
from hwnas.search.runs.precision_rows import as_fp32, precision_rows
from hwnas.search.runs.run import WEIGHTS
from hwnas.search.runs.schema import ANOTHER
from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Result", "latency_summary", "summary"]


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
        """The predicted latency of the deployed network, or the one that was looked up.

        Nan where accuracies were looked up and no latencies were given.
        """
        predicted = self.content["predicted_ms"]
        return math.nan if predicted is None else float(predicted)

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
        """On the validation images, of the trained network with shared weights, 0 to 1.

        The one of the table, where accuracies were looked up. Where the data have an own metric,
        its score, of which more is better: an error has a minus; see `metric`.
        """
        return float(self.content["accuracy"])

    @property
    def metric(self) -> Metric:
        """By what networks were compared; ``result.metric.value(result.accuracy)`` is its value."""
        return Metric.of(self.content)

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
        looked_up = "accuracy" in self.content.get("looked_up", {})
        if self.proxy.identifier == self.space.identifier and not looked_up:
            return self.proxy_module
        return self.space.drawn(self.arch, self.content["seed"]).eval()

    @property
    def proxy_module(self) -> "nn.Module":
        """The trained network with the supernet's weights, batch-norms recalibrated.

        Raises:
            CheckpointError: nothing was trained, the run is of a version that did not keep them,
                or they are damaged.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = self.folder / WEIGHTS
        if "accuracy" in self.content.get("looked_up", {}):
            raise CheckpointError(
                f"no network of {self.folder} was trained: its accuracies were looked up"
            )
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
        """What a terminal of IPython shows."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return html_table("a network within its budgets", summary(self.content, self.folder))


def summary(result: Mapping[str, Any], folder: Path) -> list[tuple[str, str]]:
    """What a person reads of a ``result.json``: rows of a label and a text."""
    rows = [
        ("architecture", result["architecture"]),
        ("budget", ", ".join(result["budget"])),
        *precision_rows(result),
        *latency_summary(result),
    ]
    rows.append(
        ("size", f"{millions(result['macs'])} MACs, {millions(result['params'], 2)} params")
    )
    if result["bitops"] is not None:
        rows.append(("bitops", f"{result['bitops'] / 2**30:.2f}G (of 2^30)"))
    if result.get("memory_bytes") is not None:
        memory = (
            f"{result['memory_bytes'] / 1e6:.1f} MB of weights and live tensors (fp32, batch 1)"
        )
        rows.append(("memory", memory))
    paths, metric = result["random_paths"], Metric.of(result)
    least, median, most = (metric.text(paths[which]) for which in ("least", "median", "most"))
    rows += [
        (metric.name, _accuracy(result)),
        (
            "random paths",
            f"median {median}, {least} to {most} ({paths['count']} within the budget)",
        ),
    ]
    if result.get("largest") is not None:
        rows.append(("largest", _largest(result)))
    alone = result.get("finalists", {}).values()
    if alone:
        rows.append(
            (
                "finalists",
                f"{len(alone)} trained alone, validation {metric.text(min(alone))} to "
                f"{metric.text(max(alone))}",
            )
        )
    rows += [
        ("weights", f"of best.onnx: {result['weights']}"),
        ("seconds", f"{result['seconds']:.0f}"),
        ("files", f"{folder}: {', '.join(result['files'].values())}"),
    ]
    return rows


def latency_summary(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a ``result.json`` says of the latency, and from where: rows of a label and a text."""
    interval, looked_up = result["predicted_interval_ms"], result.get("looked_up", {})
    if result["predicted_ms"] is None:
        return [("latency", "not asked for")]
    text = f"{result['predicted_ms']:.3f} ms"
    told = f"95 %: {interval[0]:.3f} to {interval[1]:.3f}" if interval is not None else ""
    if "latency" in looked_up:
        noise = f", a second measurement {told}" if told else ""
        return [("latency", f"{text}, looked up in {looked_up['latency']['table']}{noise}")]
    rows = [("predicted", f"{text} ({told or 'the predictor gives no interval'})")]
    if result["measured_ms"] is not None:
        return [*rows, ("measured", _measured(result)), *_by_clock(result["measured"])]
    verify = ("verify it", f"there, with this folder: {result['verify']}")
    return [*rows, ("measured", _not_measured(result)), verify]


def _by_clock(measured: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The steady latency beside what the clock said; results of earlier versions lack it."""
    clock = measured.get("clock_ms")
    if not clock:
        return []
    names = {"p50": "median"}
    parts = [f"{names.get(at, at)} {ms:.3f}" for at, ms in clock.items()]
    return [("by the clock", f"steady {measured['latency_ms']:.3f}, {', '.join(parts)} ms")]


def _accuracy(result: Mapping[str, Any]) -> str:
    looked_up = result.get("looked_up", {}).get("accuracy")
    if looked_up is not None:
        unit = " %" if looked_up["unit"] == "%" else ""
        return f"{looked_up['value']:g}{unit}, looked up in {looked_up['table']}"
    ranked_by = result.get("rank_by", "accuracy")
    ranking = "validation" if ranked_by == "accuracy" else ranked_by
    text = Metric.of(result).text
    return (
        f"{text(result['accuracy'])} {ranking}, {text(result['test_accuracy'])} test, of the "
        f"trained proxy with shared weights{as_fp32(result)}"
    )


def _largest(result: Mapping[str, Any]) -> str:
    """The baseline that costs nothing, and whether the winner beats it."""
    largest, metric = result["largest"], Metric.of(result)
    text = f"{metric.text(largest['accuracy'])} with {millions(largest['macs'])} MACs"
    if not largest["exact"]:
        text += ", the most that were found within the budget"
    better = result["accuracy"] - largest["accuracy"]
    if largest["architecture"] == result["architecture"]:
        return f"{text}: it is the winner"
    if better > 0:
        by = f"{100 * better:.1f} points" if metric.is_accuracy else f"{better:.4g}"
        return f"{text}: the winner is better by {by}"
    return f"{text}: the winner does not beat it"


def _not_measured(result: Mapping[str, Any]) -> str:
    if isinstance(result["target"], str):
        return f"not measured: predictions are of {result['target']}"
    if result.get("source"):
        return f"not measured: predictions are {result['source']}"
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
