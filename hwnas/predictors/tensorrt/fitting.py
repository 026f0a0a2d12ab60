"""From a campaign of measured convolutions to `ConvolutionTimes`, and how far off they are."""

from dataclasses import dataclass

import numpy as np

from hwnas.arrays import BoolArray, FloatArray, IntArray
from hwnas.predictors.tensorrt.campaign import Campaign
from hwnas.predictors.tensorrt.convolutions import ConvolutionTimes
from hwnas.predictors.tensorrt.features import RATES, columns_of, roofline_ms
from hwnas.predictors.tensorrt.measured_range import MeasuredRange
from hwnas.predictors.tensorrt.perceptrons import Perceptrons
from hwnas.predictors.tensorrt.squares import squares_of
from hwnas.predictors.tensorrt.training import distance, fit_perceptrons, laplace
from hwnas.predictors.tensorrt.uncertainty import Uncertainty, score_range
from hwnas.progress import Progress, silent

__all__ = ["HeldOut", "Recipe", "fit_convolutions", "held_out_groups", "predict_left_out"]

#: Scores that are kept of those held out: quantiles in even steps.
_SCORES = 401
#: Of those that predict how far off times are.
_SIZE_NETWORKS, _SIZE_WIDTH = 4, 32


@dataclass(frozen=True, slots=True)
class Recipe:
    """How networks are fitted.

    Attributes:
        networks, width, epochs: of those that predict times.
        size_epochs: of those that predict how far off times are.
        share_held_out: of the distinct shapes.
        seed: of everything random.
    """

    networks: int = 3
    width: int = 256
    epochs: int = 30
    size_epochs: int = 10
    share_held_out: float = 0.2
    seed: int = 0


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Convolutions of shapes that the fit never saw.

    Attributes:
        rows: where they stand in the campaign, (n,).
        predicted_ms: by networks that were fitted on all other rows, (n,).
        inside: whether the 90 % interval holds the measured time, (n,); it was fitted on the half
            of these shapes that the row is not in.
    """

    rows: IntArray
    predicted_ms: FloatArray
    inside: BoolArray


def held_out_groups(groups: IntArray, share: float, seed: int) -> BoolArray:
    """Whether each row, (n,), is of a group that was drawn; a group is drawn as a whole."""
    drawn = np.random.default_rng(seed).random(int(groups.max()) + 1) < share
    return np.asarray(drawn[groups])


def fit_convolutions(
    campaign: Campaign,
    precision: str,
    notes: dict[str, str],
    recipe: Recipe = Recipe(),
    progress: Progress = silent,
) -> tuple[ConvolutionTimes, HeldOut]:
    """Fit on all rows; how far it is off, and how sure, comes from fits on fewer shapes.

    Args:
        campaign: what was measured in one precision.
        precision: ``fp32``, ``fp16`` or ``int8``.
        notes: what a reader of the file should know.
        recipe: how networks are fitted.
        progress: told after every epoch.
    """
    task = _Task.of(campaign, precision)
    groups = campaign.groups()
    drawn = held_out_groups(groups, recipe.share_held_out, recipe.seed)
    rows = np.flatnonzero(drawn)
    predicted = task.predicted_ms(task.fit(~drawn, recipe, progress), drawn)
    log_off = np.log(campaign.ms[rows] / predicted)

    half = held_out_groups(groups, 0.5, recipe.seed + 1)[rows]
    uncertainty, inside = _uncertainty(task.columns[rows], log_off, half, recipe)
    times = ConvolutionTimes(
        precision=precision,
        floor_ms=task.floor_ms,
        efficiency=task.fit(np.ones(len(campaign), bool), recipe, progress),
        uncertainty=uncertainty,
        measured=_range(campaign),
        notes=notes,
    )
    return times, HeldOut(rows, predicted, inside)


def predict_left_out(
    campaign: Campaign, precision: str, left_out: BoolArray, recipe: Recipe
) -> FloatArray:
    """Milliseconds of some rows, by networks that were fitted on all others."""
    task = _Task.of(campaign, precision)
    return task.predicted_ms(task.fit(~left_out, recipe, silent), left_out)


@dataclass(frozen=True, eq=False)
class _Task:
    """What networks learn: columns (n, n_columns), rooflines (n,) and log(ms / roofline) (n,)."""

    columns: FloatArray
    roofline: FloatArray
    target: FloatArray
    floor_ms: float

    @classmethod
    def of(cls, campaign: Campaign, precision: str) -> "_Task":
        floor_ms = float(campaign.ms.min())
        squares = squares_of(campaign.shapes, campaign.batch)
        roofline = roofline_ms(squares, RATES[precision], floor_ms)
        columns = columns_of(squares, RATES[precision], floor_ms)
        return cls(columns, roofline, np.log(campaign.ms / roofline), floor_ms)

    def fit(self, rows: BoolArray, recipe: Recipe, progress: Progress) -> Perceptrons:
        return fit_perceptrons(
            self.columns[rows],
            self.target[rows],
            distance,
            networks=recipe.networks,
            width=recipe.width,
            epochs=recipe.epochs,
            seed=recipe.seed,
            progress=progress,
        )

    def predicted_ms(self, efficiency: Perceptrons, rows: BoolArray) -> FloatArray:
        ms = self.roofline[rows] * np.exp(efficiency(self.columns[rows]))
        return np.asarray(np.maximum(self.floor_ms, ms))


def _uncertainty(
    columns: FloatArray, log_off: FloatArray, half: BoolArray, recipe: Recipe
) -> tuple[Uncertainty, BoolArray]:
    """From errors of n shapes: what to expect of others, and which lie in their 90 % interval.

    The usual size of each error, and the interval, come from the half that it is not in.
    """

    def usual(rows: BoolArray) -> Perceptrons:
        return fit_perceptrons(
            columns[rows],
            np.abs(log_off[rows]),
            laplace,
            networks=_SIZE_NETWORKS,
            width=_SIZE_WIDTH,
            epochs=recipe.size_epochs,
            seed=recipe.seed,
        )

    scores, inside = np.empty(len(log_off)), np.zeros(len(log_off), bool)
    for fitted in (half, ~half):
        scores[~fitted] = log_off[~fitted] / np.exp(usual(fitted)(columns[~fitted]))
    for known in (half, ~half):
        low, high = score_range(scores[known], 0.9)
        inside[~known] = (low <= scores[~known]) & (scores[~known] <= high)
    kept = np.quantile(scores, np.linspace(0, 1, _SCORES))
    deviation = float(np.sqrt(np.mean(scores**2)))
    return Uncertainty(usual(np.ones(len(log_off), bool)), kept, deviation), inside


def _range(campaign: Campaign) -> MeasuredRange:
    regular = [s for s in campaign.shapes if not s.depthwise]
    depthwise = [s for s in campaign.shapes if s.depthwise]

    def ends(numbers: list[int]) -> tuple[int, int]:
        return min(numbers), max(numbers)

    return MeasuredRange(
        batch=ends(campaign.batch.tolist()),
        in_channels=ends([s.in_channels for s in regular]),
        out_channels=ends([s.out_channels for s in regular]),
        depthwise_channels=ends([s.in_channels for s in depthwise]),
        size=ends([s.height for s in campaign.shapes]),
        kernels=tuple(sorted({s.kernel[0] for s in campaign.shapes})),
        strides=tuple(sorted({s.stride[0] for s in campaign.shapes})),
    )
