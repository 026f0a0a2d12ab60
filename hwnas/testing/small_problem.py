"""The small problem that `hwnas.testing.check_method` searches."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from hwnas import spaces
from hwnas.costs import Budget
from hwnas.data import from_arrays
from hwnas.data.arrays import ArrayDataset
from hwnas.predictors import AdditivePredictor, GivesIntervals, load_predictor
from hwnas.profilers import Plan, profile_space
from hwnas.progress import Progress
from hwnas.search.problem import Problem
from hwnas.spaces import SearchSpace
from hwnas.testing.devices import SyntheticRuntime

__all__ = ["CountedData", "SlowDevice", "batches_drawn", "small_problem", "small_space"]

#: Of the training, validation and test part.
_IMAGES = (96, 48, 48)


@dataclasses.dataclass(frozen=True)
class CountedData(ArrayDataset):
    """Knows which training steps were asked for."""

    asked: list[int] = dataclasses.field(default_factory=list)

    def train_batch(self, step: int, size: int, seed: int) -> Any:
        """As of the arrays; the step is noted."""
        self.asked.append(step)
        return super().train_batch(step, size, seed)


def batches_drawn(problem: Problem) -> int:
    """How many training batches of a `small_problem` were asked for."""
    assert isinstance(problem.data, CountedData)
    return len(problem.data.asked)


def small_space() -> SearchSpace:
    """Four decisions at 8 pixels, whose networks train in milliseconds."""
    return spaces.space(
        "proxyless",
        input_size=8,
        classes=4,
        stage_widths=(8, 8),
        stage_depths=(1, 3),
        stage_strides=(1, 2),
        first_width=8,
        stem_width=8,
        head_width=16,
    )


def small_problem(space: SearchSpace, seed: int) -> Problem:
    """A space and its own images, under the median latency and MACs of its networks."""
    plan = Plan(tolerance=1.0, min_runs=20, max_runs=20)
    predictor = load_predictor(profile_space(space, SyntheticRuntime(), plan=plan), space)
    assert isinstance(predictor, AdditivePredictor)
    archs = space.sample(500, seed=0)
    budgets = [
        Budget("latency", float(np.median(predictor.predict(archs)))),
        Budget("macs", float(np.quantile(space.macs(archs), 0.7))),
    ]
    data = _data(space)
    return Problem(space, space, data, predictor, budgets, SlowDevice(space, predictor), None, seed)


def _data(space: SearchSpace) -> CountedData:
    """Noise, brighter the higher the label."""
    rng = np.random.default_rng(0)

    def part(count: int) -> tuple[Any, Any]:
        labels = np.arange(count) % space.classes
        images = rng.normal(0, 1, (count, *space.input_shape)) + labels[:, None, None, None]
        return images.astype(np.float32), labels

    made = from_arrays(*map(part, _IMAGES), name="synthetic", classes=space.classes)
    return CountedData(**{f.name: getattr(made, f.name) for f in dataclasses.fields(made)})


@dataclasses.dataclass(frozen=True)
class SlowDevice:
    """Takes almost the upper end of the predicted interval: slower than predicted, but no spell."""

    space: SearchSpace
    predictor: GivesIntervals

    def __call__(self, model: bytes, progress: Progress) -> Mapping[str, Any]:
        """Measures a model that says its architecture."""
        known = {p.key: p.value for p in onnx.load_from_string(model).metadata_props}
        return {"latency_ms": self.latency_ms(known["architecture"])}

    def latency_ms(self, architecture: str) -> float:
        """What it says of one architecture."""
        interval = self.predictor.predict_interval(self.space.parse(architecture)[None], 0.95)
        return 0.999 * float(interval[0, 1])
