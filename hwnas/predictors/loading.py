"""From a table, a file, a name or an object to a predictor."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from hwnas import spaces
from hwnas.errors import OptionError, PredictorFormatError, TableFormatError
from hwnas.latency_tables import LatencyTable
from hwnas.latency_tables.published import shipped_predictors
from hwnas.predictors.additive import AdditivePredictor
from hwnas.predictors.kernels import KernelPredictor
from hwnas.predictors.looked_up import LookedUpLatency, UnknownLatency
from hwnas.predictors.means import (
    MeansPredictor,
    OperatorMeans,
    is_csv,
    read_means,
    read_means_table,
)
from hwnas.predictors.own import OwnPredictor
from hwnas.predictors.protocol import LatencyPredictor, predictor_name
from hwnas.predictors.tensorrt.engines import engine_names, is_engine, parse_engine
from hwnas.predictors.tensorrt.of_space import EnginePredictor, engine_times
from hwnas.registry import is_typed_object, typed_object
from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    from hwnas.predictors.of_space import SpacePredictor
    from hwnas.predictors.regression import LatencyRegressor
    from hwnas.predictors.whole_networks import WholeNetworkPredictor

__all__ = ["load_latencies", "load_predictor", "load_table", "shipped_predictors"]


@overload
def load_predictor(source: LatencyTable, space: SearchSpace | None = None) -> AdditivePredictor: ...
@overload
def load_predictor(
    source: "LatencyRegressor", space: SearchSpace | None = None
) -> "SpacePredictor": ...
@overload
def load_predictor(source: object, space: SearchSpace | None = None) -> LatencyPredictor: ...
def load_predictor(source: Any, space: SearchSpace | None = None) -> LatencyPredictor:
    """The predictor of a latency table, one that was fitted, or a person's own object.

    Args:
        source: a table or a fitted `hwnas.LatencyRegressor`; the path of a table, of a saved
            regressor (.npz) or of means of operators (`hwnas.predictors.means`); the name of a
            table or predictor that ships, or of an engine of the V100 with its batch,
            ``v100-tensorrt-fp16-b32``; an own object with ``predict`` (see `OwnPredictor`), or
            where one stands, ``FILE.py:NAME`` or ``module:NAME``, which imports that file. A
            predictor of hwnas stays as it is.
        space: whose architectures to predict; by default the space that was measured, or an own
            object's ``space``.

    Raises:
        TableFormatError: the table cannot be read.
        PredictorFormatError: the saved predictor cannot be read, or does not say its space.
        WorkloadNotInTableError: the table lacks a workload of the space.
        OptionError: an object that is no predictor, or of another space, or no space.
    """
    if space is not None and not isinstance(space, SearchSpace):
        raise OptionError(f"a space is what hwnas.space(NAME) makes, got {space!r}")
    if not isinstance(source, str | Path):
        return _of_object(source, space, None)
    text = str(source)
    if is_engine(text):
        return _of_engine(text, space)
    if text in shipped_predictors():
        return _fitted(shipped_predictors()[text], space, text)
    if Path(source).suffix == ".npz":
        return _fitted(Path(source), space, text)
    if is_typed_object(text) and not Path(source).exists():
        return _of_object(typed_object(text), space, text)
    return _of_object(load_latencies(source), space, text)


def load_latencies(source: str | Path) -> LatencyTable | OperatorMeans:
    """A table, or means of operators where that is all that a file tells.

    Raises:
        TableFormatError: there is no such table, or it cannot be read.
        DataError: a CSV file that cannot be read.
    """
    if is_csv(source):
        return read_means(Path(source))
    try:
        return load_table(source)
    except TableFormatError:
        if (means := read_means_table(Path(source))) is None:
            raise
        return means


def _of_means(means: OperatorMeans, space: SearchSpace | None) -> MeansPredictor:
    if space is None and means.origin is not None:
        space = spaces.remake(means.origin.name, means.origin.arguments)
    if space is None:
        raise OptionError(
            f"{means.name} does not say which space's architectures it predicts: give space=, on "
            "the command line --space NAME"
        )
    return MeansPredictor(means, space)


def load_table(source: str | Path) -> LatencyTable:
    """A table where a predictor of any kind could stand: an unknown name lists all kinds.

    Raises:
        TableFormatError: there is no such table, or it cannot be read.
    """
    try:
        return LatencyTable.load(source)
    except TableFormatError as error:
        if Path(source).exists():
            raise
        raise TableFormatError(
            f"{error}; a predictor's name ({', '.join([*shipped_predictors(), *engine_names()])}); "
            "or the path of a saved predictor (.npz)"
        ) from None


def _of_object(source: Any, space: SearchSpace | None, name: str | None) -> LatencyPredictor:
    """The predictor that an object makes; ``name`` is what a person typed for it."""
    if isinstance(source, LatencyTable):
        return _of_table(source, space)
    if isinstance(source, OperatorMeans):
        return _of_means(source, space)
    if isinstance(source, KernelPredictor):
        raise OptionError(
            "a KernelPredictor predicts the kernels of an ONNX model, not architectures: give its "
            "table, or an object with predict(archs)"
        )
    if type(source).__module__.partition(".")[0] == "hwnas":
        # imported here: scikit-learn is slow to import, and a caller with an object has loaded it
        from hwnas.predictors.of_space import SpacePredictor
        from hwnas.predictors.regression import LatencyRegressor

        if isinstance(source, LatencyRegressor):
            return _of_regressor(source, space, name or "LatencyRegressor")
        from hwnas.predictors.tensorrt.families import EngineFamilyPredictor
        from hwnas.predictors.whole_networks import WholeNetworkPredictor

        looked_up = LookedUpLatency | UnknownLatency
        whole = WholeNetworkPredictor | EngineFamilyPredictor | looked_up
        if isinstance(
            source, AdditivePredictor | SpacePredictor | OwnPredictor | MeansPredictor | whole
        ):
            return _same_space(source, space)
    if space is None:
        space = getattr(source, "space", None)
    if not isinstance(space, SearchSpace):
        raise OptionError(
            f"{name or predictor_name(source)} does not say which space's architectures it "
            "predicts: give space="
        )
    return OwnPredictor(source, space, name)


def _same_space(predictor: LatencyPredictor, space: SearchSpace | None) -> LatencyPredictor:
    if space is not None and space.identifier != predictor.space.identifier:
        raise OptionError(
            f"{predictor_name(predictor)} predicts {predictor.space.identifier}, got "
            f"{space.identifier}: load what it was made from for this space"
        )
    return predictor


def _of_engine(name: str, space: SearchSpace | None) -> LatencyPredictor:
    engine = parse_engine(name)
    if space is None:
        raise OptionError(
            f"{name} predicts the networks of any space, and does not say which: give space=, on "
            "the command line --space NAME"
        )
    if space.modules is not None:
        from hwnas.predictors.tensorrt.families import EngineFamilyPredictor

        return EngineFamilyPredictor(engine_times(engine), space)
    return EnginePredictor(engine_times(engine), space)


def _of_table(
    table: LatencyTable, space: SearchSpace | None
) -> "AdditivePredictor | WholeNetworkPredictor":
    origin = spaces.remake(table.space.name, table.space.arguments, space)
    wanted = origin if space is None else space
    if wanted.modules is not None:
        return _of_networks(table, wanted, origin)
    return AdditivePredictor(table, origin if space is None else space, origin)


def _of_networks(
    table: LatencyTable, space: SearchSpace, origin: SearchSpace
) -> "WholeNetworkPredictor":
    from hwnas.predictors.whole_networks import WholeNetworkPredictor

    if origin.identifier == space.identifier:
        return WholeNetworkPredictor.of_table(table, space)
    if table.kernels is not None:
        return WholeNetworkPredictor.of_kernels(table, space)
    raise OptionError(
        f"networks of {space.name} are measured whole, or predicted by a table with kernels, and "
        f"the table is of {origin.identifier}, got {space.identifier}: leave the table out to "
        "measure some now, or profile --kernels 500"
    )


def _fitted(path: Path, space: SearchSpace | None, name: str) -> "SpacePredictor":
    from hwnas.predictors.regression import LatencyRegressor

    return _of_regressor(LatencyRegressor.load(path), space, name)


def _of_regressor(
    regressor: "LatencyRegressor", space: SearchSpace | None, name: str
) -> "SpacePredictor":
    from hwnas.predictors.of_space import SpacePredictor

    if not hasattr(regressor, "model_"):
        raise OptionError(f"{name} is not fitted: call fit(archs, ms) first")
    notes = getattr(regressor, "notes_", {})
    if space is None:
        space = regressor.space
    if space is None and "space" in notes:
        space = spaces.space(notes["space"])
    if space is None:
        raise PredictorFormatError(
            f"{name} does not say which space its columns belong to: give space=, or use "
            "LatencyRegressor.load(path).predict(rows)"
        )
    return SpacePredictor(regressor, space, name)
