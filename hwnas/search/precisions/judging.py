"""What the network of a precision is worth, and whether the precision pays."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwnas.data import preparation_metadata, task_of
from hwnas.files import write_atomically
from hwnas.predictors import LatencyPredictor
from hwnas.progress import Progress
from hwnas.search.candidates.evaluation import validation_images
from hwnas.search.candidates.in_precision import score_of_file, trained_in
from hwnas.search.candidates.twins import measured_twins, not_faster, predicted_twins
from hwnas.search.deployment import deploy
from hwnas.search.job import Job
from hwnas.search.precisions.asked import FULL, Several
from hwnas.search.result import Result
from hwnas.search.runs.run import TABLE
from hwnas.search.shared_settings import EvaluationSettings

__all__ = ["Found", "judged", "proxy_file"]


@dataclass(frozen=True, eq=False)
class Found:
    """The network of one precision, or why there is none to return.

    Attributes:
        precision: of the network.
        why: it is not returned; None where it may be.
        result: of its search; None where it found none.
        accuracy: on the validation images, in this precision.
        twins: beside the same in fp32; None for fp32 itself, and where nothing is known.
    """

    precision: str
    why: str | None
    result: Result | None = None
    accuracy: float | None = None
    twins: Mapping[str, Any] | None = None

    @property
    def rank(self) -> tuple[float, float]:
        """The more accurate is the better; of two that are alike, the faster."""
        assert self.result is not None
        assert self.accuracy is not None
        measured = self.result.measured_ms
        return self.accuracy, -(self.result.predicted_ms if measured is None else measured)

    def record(self, out: Path) -> dict[str, Any]:
        """What ``result.json`` says of it; null where nothing was found."""
        known = {} if self.result is None else self.result.content
        return {
            "precision": self.precision,
            "why_not": self.why,
            **{name: known.get(name) for name in ("architecture", "predicted_ms", "measured_ms")},
            "accuracy": self.accuracy,
            "twins": self.twins,
            "folder": self.result and self.result.folder.relative_to(out).as_posix(),
        }


def judged(several: Several, precision: str, result: Result, progress: Progress) -> Found:
    """What a network is worth in its precision, and whether that pays.

    Args:
        several: what is searched.
        precision: of the network.
        result: of its search.
        progress: told of the measurement beside its fp32 twin.
    """
    accuracy = _accuracy(several.job, precision, result)
    if precision == FULL:
        return Found(precision, None, result, accuracy)
    options = several.job.options
    if result.measured_ms is None:
        twins = predicted_twins(result, _full_predictor(several, progress))
    else:
        twins = measured_twins(
            result,
            precision,
            seconds=options.verify_seconds,
            runtime=options.runtime,
            progress=progress,
        )
    return Found(precision, not_faster(precision, twins), result, accuracy, twins)


def _full_predictor(several: Several, progress: Progress) -> LatencyPredictor:
    """What predicts networks in fp32."""
    job = several.job
    return deploy(
        job.space,
        several.requests[FULL].predictor,
        several.folder(FULL) / TABLE,
        several.options(FULL),
        device=job.device,
        progress=progress,
    ).predictor


def proxy_file(precision: str) -> str:
    """The name of the trained proxy in a precision, where it is not what is deployed."""
    return f"proxy-{precision}.onnx"


def _accuracy(job: Job, precision: str, result: Result) -> float:
    """On the validation images, of the trained network in a precision; keeps its file."""
    if result.proxy.identifier == result.space.identifier:
        model = result.onnx
    else:
        weights = {k: v.numpy() for k, v in result.proxy_module.state_dict().items()}
        target = result.content["target"]
        symmetric = isinstance(target, dict) and target["kind"] == "gpu"
        model = trained_in(
            result.proxy,
            result.arch,
            weights,
            job.data,
            precision,
            symmetric=symmetric,
            metadata=preparation_metadata(job.data, result.proxy.input_shape),
        )
        write_atomically(result.folder / proxy_file(precision), model)
    settings = job.settings if isinstance(job.settings, EvaluationSettings) else None
    images, targets = validation_images(job.data, settings or EvaluationSettings())
    return score_of_file(model, images, targets, task_of(job.data))
