"""From a table, a file or a name to a predictor."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, overload

from hwnas import spaces
from hwnas.errors import PredictorFormatError
from hwnas.latency_tables import LatencyTable
from hwnas.predictors.additive import AdditivePredictor
from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    from hwnas.predictors.of_space import SpacePredictor

__all__ = ["load_predictor", "shipped_predictors"]


def shipped_predictors() -> Mapping[str, Path]:
    """Name -> path of the fitted predictors that come with hwnas."""
    folder = Path(str(files("hwnas.predictors"))) / "shipped"
    return {path.stem: path for path in sorted(folder.glob("*.npz"))}


@overload
def load_predictor(source: LatencyTable, space: SearchSpace | None = None) -> AdditivePredictor: ...
@overload
def load_predictor(
    source: str | Path, space: SearchSpace | None = None
) -> "AdditivePredictor | SpacePredictor": ...
def load_predictor(
    source: LatencyTable | str | Path, space: SearchSpace | None = None
) -> "AdditivePredictor | SpacePredictor":
    """The predictor of a latency table, or one that was fitted and saved.

    Args:
        source: a table, the path of a table or of a saved `hwnas.LatencyRegressor` (.npz), or the
            name of a table or predictor that ships.
        space: whose architectures to predict; by default the space that was measured.

    Raises:
        TableFormatError: the table cannot be read.
        PredictorFormatError: the saved predictor cannot be read, or does not say its space.
        WorkloadNotInTableError: the table lacks a workload of the space.
    """
    fitted = shipped_predictors().get(str(source))
    if fitted is None and not isinstance(source, LatencyTable) and Path(source).suffix == ".npz":
        fitted = Path(source)
    if fitted is not None:
        return _fitted(fitted, space)
    known = source if isinstance(source, LatencyTable) else LatencyTable.load(source)
    origin = spaces.space(known.space.name, **known.space.arguments)
    return AdditivePredictor(known, origin if space is None else space, origin)


def _fitted(path: Path, space: SearchSpace | None) -> "SpacePredictor":
    from hwnas.predictors.of_space import SpacePredictor
    from hwnas.predictors.regression import LatencyRegressor

    regressor = LatencyRegressor.load(path)
    if space is None:
        space = regressor.space
    if space is None and "space" in regressor.notes_:
        space = spaces.space(regressor.notes_["space"])
    if space is None:
        raise PredictorFormatError(
            f"{path} does not say which space its columns belong to: give space=, or use "
            "LatencyRegressor.load(path).predict(rows)"
        )
    return SpacePredictor(regressor, space)
