"""What a search takes beside its method's own settings."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt

from hwnas.given import MOST_SECONDS
from hwnas.search.settings import setting

__all__ = [
    "UNIMPORTANT",
    "SearchOptions",
    "SpaceOptions",
    "StreamingOptions",
    "TableOptions",
    "TargetOptions",
]


@dataclass(frozen=True, kw_only=True)
class SpaceOptions:
    """What is said of a space that is given by name; None is left to the space."""

    input_size: Annotated[int, Ge(1)] | None = setting(
        None,
        "Height and width of the deployed network's input  [default: the space's own, or the "
        "table's]",
        metavar="PIXELS",
        most=8_192,
    )
    width_mult: Annotated[float, Gt(0)] | None = setting(
        None, "Width multiplier of the deployed network (not of cells).", metavar="X", most=100
    )
    channels: bool = setting(
        False, "Middle channels of each block from 0.2 to 1.6 times as well (shufflenet)."
    )
    blocks: str | None = setting(
        None,
        "Operator of each block, or one for all, so that it is not searched (shufflenet).",
        metavar="ARCH",
    )
    first_channels: Annotated[int, Ge(1)] | None = setting(
        None, "Channels of the first cell (spaces of cells).", metavar="C", most=65_536
    )
    cells: Annotated[int, Ge(1)] | None = setting(
        None,
        "Cells: of each stage (nasbench201), in each row (nao), in all (darts).",
        metavar="N",
        most=256,
    )
    classes: Annotated[int, Ge(1)] | None = setting(
        None,
        "Outputs of the deployed classifier  [default: the table's, else those of the data]",
        metavar="N",
        most=1_000_000,
    )


@dataclass(frozen=True, kw_only=True)
class TargetOptions:
    """How the target is used; None takes the table's, else the first of what is allowed."""

    threads: int | None = setting(
        None, "Threads inside an operator, on a CPU  [default: 1]", metavar="N", most=65_536
    )
    batch: Annotated[int, Ge(1)] | None = setting(
        None, "Images a run  [default: 1]", metavar="N", most=65_536
    )
    runtime: str | None = setting(
        None,
        "On a GPU: tensorrt, torch, torch-channels-last or onnxruntime  [default: the first of "
        "these that works]; on a CPU: onnxruntime [default] or openvino; on both torch-compile; "
        "your own as FILE.py:NAME",
        metavar="NAME",
    )
    precision: Literal["fp32", "fp16", "int8"] | None = setting(
        None, "Precision of weights and activations  [default: fp32]"
    )


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """What is looked up in the tables of a benchmark; None where it is not."""

    accuracies: str | None = setting(
        None,
        "Look accuracies up in a column of a table of architectures; nothing is trained.",
        metavar="FILE.csv[.gz]:COLUMN",
        later=True,
    )
    latencies: str | None = setting(
        None,
        "The same for latencies in ms; nothing is measured.",
        metavar="FILE.csv[.gz]:COLUMN",
        later=True,
    )
    missing: Literal["error", "infeasible"] = setting(
        "error", "An architecture without a row is an error, or infeasible.", later=True
    )


@dataclass(frozen=True, kw_only=True)
class StreamingOptions:
    """How images that memory does not hold are read."""

    data_workers: Annotated[int, Ge(0)] | None = setting(
        None,
        "Processes that read streamed images; 0 for this one  [default: one a core, at most 8]",
        metavar="N",
        most=1_024,
        later=True,
    )


@dataclass(frozen=True, kw_only=True)
class SearchOptions(StreamingOptions, TableOptions, TargetOptions, SpaceOptions):
    """What every search takes."""

    confidence: Annotated[float, Gt(0), Lt(1)] | None = setting(
        None,
        "Only networks whose interval of this confidence, such as 0.95, keeps the latency budget; "
        "with the device at hand, those in doubt are measured  [default: the prediction alone]",
        metavar="C",
    )
    proxy_input_size: Annotated[int, Ge(4)] | None = setting(
        None,
        "Input of the network that is trained  [default: 16 for digits, else 32]",
        metavar="PIXELS",
        most=8_192,
    )
    proxy_width: Annotated[float, Gt(0)] = setting(
        0.25, "Width of the trained network, times the deployed network's.", most=100
    )
    verify_seconds: Annotated[float, Ge(0)] = setting(
        6.0,
        "Measure the winner for at least so long; slow spells of a machine last seconds.",
        most=MOST_SECONDS,
    )
    workers: Annotated[int, Ge(1)] | None = setting(
        None,
        "Processes that evaluate candidates, a thread each  [default: this process]",
        metavar="N",
        most=1_024,
    )
    worker_backend: Literal["loky", "dask", "ray"] = setting(
        "loky", "What starts these processes; Dask and Ray where they are installed."
    )
    tensorboard: bool = setting(
        False,
        "Write what is logged for TensorBoard too, into the folder of the run.",
        later=True,
    )


#: Options that do not change the result.
UNIMPORTANT = ("workers", "worker_backend", "tensorboard", "data_workers")
