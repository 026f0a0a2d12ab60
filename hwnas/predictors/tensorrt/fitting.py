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
from hwnas.predictors.tensorrt.training import fit_perceptrons, laplace, relative_error
from hwnas.predictors.tensorrt.uncertainty import Uncertainty
from hwnas.progress import Progress, silent

__all__ = ["HeldOut", "Recipe", "fit_convolutions", "held_out_groups"]

#: Scores that are kept of those held out: quantiles in even steps.
_SCORES = 401


@dataclass(frozen=True, slots=True)
class Recipe:
    """How networks are fitted.

    Attributes:
        networks, width, epochs: of those that predict times.
        share_held_out: of the distinct shapes.
        seed: of everything random.
    """

    networks: int = 4
    width: int = 256
    epochs: int = 40
    share_held_out: float = 0.2
    seed: int = 0


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Convolutions of shapes that the fit never saw.

    Attributes:
        rows: where they stand in the campaign, (n,).
        predicted_ms: by networks that were fitted on all other rows, (n,).
        inside: whether the 90 % interval of the half of these shapes in which it was not fitted
            holds the measured time, (n,).
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
    floor_ms = float(campaign.ms.min())
    rates = RATES[precision]
    squares = squares_of(campaign.shapes, campaign.batch)
    roofline = roofline_ms(squares, rates, floor_ms)
    columns = columns_of(squares, rates, floor_ms)
    target = np.log(campaign.ms / roofline)

    def efficiency(rows: BoolArray) -> Perceptrons:
        return fit_perceptrons(
            columns[rows],
            target[rows],
            relative_error,
            networks=recipe.networks,
            width=recipe.width,
            epochs=recipe.epochs,
            seed=recipe.seed,
            progress=progress,
        )

    groups = campaign.groups()
    drawn = held_out_groups(groups, recipe.share_held_out, recipe.seed)
    rows = np.flatnonzero(drawn)
    predicted = np.maximum(floor_ms, roofline[rows] * np.exp(efficiency(~drawn)(columns[rows])))
    log_off = np.log(campaign.ms[rows] / predicted)

    half = held_out_groups(groups, 0.5, recipe.seed + 1)[rows]
    inside = np.zeros(len(rows), bool)
    for fitted in (half, ~half):
        found = _uncertainty(columns[rows][fitted], log_off[fitted], recipe.seed)
        low, high = found.interval_factors(columns[rows][~fitted], 0.9).T
        off = np.exp(log_off[~fitted])
        inside[~fitted] = (low <= off) & (off <= high)
    times = ConvolutionTimes(
        precision=precision,
        floor_ms=floor_ms,
        efficiency=efficiency(np.ones(len(campaign), bool)),
        uncertainty=_uncertainty(columns[rows], log_off, recipe.seed),
        measured=_range(campaign),
        notes=notes,
    )
    return times, HeldOut(rows, predicted, inside)


def _uncertainty(columns: FloatArray, log_off: FloatArray, seed: int) -> Uncertainty:
    size = fit_perceptrons(
        columns, np.abs(log_off), laplace, networks=4, width=32, epochs=20, seed=seed
    )
    scores = log_off / np.exp(size(columns))
    kept = np.quantile(scores, np.linspace(0, 1, _SCORES))
    return Uncertainty(size, kept, float(np.sqrt(np.mean(scores**2))))


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
