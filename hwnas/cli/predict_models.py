"""``hwnas predict model.onnx``: which models can be predicted, and what predicts them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from hwnas.cli.options import shapes_of
from hwnas.cli.output import print_json, progress_bars, say
from hwnas.cli.predict_report import described, print_prediction, say_target
from hwnas.cli.shipped import measured_table
from hwnas.errors import HwnasError, OptionError
from hwnas.progress import Progress

if TYPE_CHECKING:
    from hwnas.kernels import Piece
    from hwnas.predictors import ModelPrediction

__all__ = ["Asked", "is_file", "predict_models"]

#: Files of networks. Only the first kind can be read; an error says so of the others.
_MODELS = (".onnx", ".pth", ".pt", ".pb", ".tflite", ".h5", ".keras", ".safetensors", ".ort")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of all models.

    Attributes:
        table: a name or path.
        confidence: of the intervals.
        shapes: as they were typed.
        strict: fail where a kernel is not known.
        batch: images a run, of an engine; None where it was not typed.
        copies: those of inputs and results as well, of an engine.
    """

    table: str
    confidence: float
    shapes: Sequence[str]
    strict: bool
    batch: int | None
    copies: bool


def is_file(text: str) -> bool:
    """Whether a word means a file: what it holds is told when it is read."""
    # a path of that many characters is an error for pathlib
    return text.lower().endswith(_MODELS) or os.path.exists(text)  # noqa: PTH110


#: Path -> prediction, and path -> why there is none.
_Found = tuple[dict[str, "ModelPrediction"], dict[str, str]]


def predict_models(paths: Sequence[str], asked: Asked, as_json: bool, costliest: int = 0) -> None:
    """Predict and print each model; of several, those that cannot be read are named.

    Args:
        paths: of the models.
        asked: of all of them.
        as_json: print one document.
        costliest: so many kernels are printed one by one.

    Raises:
        click.exceptions.Exit: 2 where one could not be read, 1 where kernels were left out.
    """
    from hwnas.predictors import is_engine

    found, failed = _of_engine(paths, asked) if is_engine(asked.table) else _of_table(paths, asked)
    if as_json:
        failures = [{"model": path, "error": reason} for path, reason in failed.items()]
        records = (described(path, each, asked.confidence) for path, each in found.items())
        print_json([*records, *failures])
    else:
        for result in {str(result.target): result for result in found.values()}.values():
            say_target(result)
        for path, result in found.items():
            print_prediction(path, result, asked.confidence, costliest)
    for path, reason in failed.items():
        say(reason if path in reason else f"{path}: {reason}", warning="error:")
    if failed:
        raise click.exceptions.Exit(2)
    if any(result.unpredicted for result in found.values()):
        raise click.exceptions.Exit(1)


def _of_engine(paths: Sequence[str], asked: Asked) -> _Found:
    from hwnas.predictors import predict_engine

    sizes = shapes_of(asked.shapes)
    found: dict[str, ModelPrediction] = {}
    failed: dict[str, str] = {}
    for path in dict.fromkeys(paths):
        with _collecting(failed, path, alone=len(paths) == 1):
            found[path] = predict_engine(
                path,
                asked.table,
                strict=asked.strict,
                shapes=sizes,
                batch=asked.batch,
                copies=asked.copies,
            )
    return found, failed


def _of_table(paths: Sequence[str], asked: Asked) -> _Found:
    from hwnas.predictors import KernelPredictor, predict_pieces

    if asked.batch is not None or asked.copies:
        raise OptionError(
            "--batch and --copies are of engines such as v100-tensorrt-fp16: a table has its own "
            "batch, and was measured without copies"
        )
    table = measured_table(asked.table)
    sizes = shapes_of(asked.shapes)
    found: dict[str, ModelPrediction] = {}
    failed: dict[str, str] = {}
    with progress_bars() as progress:
        models = {}
        for path in dict.fromkeys(paths):
            with _collecting(failed, path, alone=len(paths) == 1):
                models[path] = _read(path, sizes, progress)
        if models:
            predictor = KernelPredictor(table, progress=progress)
        for path, (pieces, macs) in models.items():
            with _collecting(failed, path, alone=len(paths) == 1):
                found[path] = predict_pieces(pieces, predictor, strict=asked.strict, macs=macs)
    return found, failed


@contextmanager
def _collecting(failed: dict[str, str], path: str, alone: bool) -> Iterator[None]:
    """Remember why a model cannot be predicted, so that the others are; one alone is an error."""
    try:
        yield
    except HwnasError as error:
        if alone:
            raise
        failed[path] = " ".join(str(error).split())


def _read(
    path: str, sizes: Mapping[str, tuple[int, ...]], progress: Progress
) -> "tuple[list[Piece], int]":
    from hwnas.kernels import count_model_macs, split

    return split(path, sizes, progress), count_model_macs(path, sizes)
