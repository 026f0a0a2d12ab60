"""Predicted against measured: any folder of ONNX models, whatever they are.

python benchmarks/onnx_cases.py FOLDER TABLE [OTHER_TABLE]

Every model that loads is predicted from the table and measured, interleaved with the table's
reference, so that what else the machine does at that time is divided out. Sizes that a model leaves
open are those that hwnas suggests. With another table of the same machine, made with another seed,
it is printed whether each prediction lies within the interval of the other.
"""

import ast
import re
import sys
from pathlib import Path

import numpy as np

import hwnas
from hwnas.errors import HwnasError, ModelFormatError
from hwnas.kernels import Piece, count_model_macs, split
from hwnas.kernels.runnable import runnable
from hwnas.predictors import KernelPredictor, ModelPrediction, predict_pieces
from hwnas.profilers import Plan, measure_models, runtime
from hwnas.progress import progress_bars


def read(path: Path) -> tuple[list[Piece], int, bytes]:
    """Pieces, MACs, and the model with all its weights and its sizes fixed."""
    shapes: dict[str, tuple[int, ...]] = {}
    try:
        pieces = split(path)
    except ModelFormatError as error:
        suggested = re.search(r"shapes=(\{.*\})\)$", str(error))
        if suggested is None:
            raise
        shapes = ast.literal_eval(suggested[1])
        pieces = split(path, shapes)
    return pieces, count_model_macs(path, shapes), runnable(path, shapes).data


def agree(first: ModelPrediction, second: ModelPrediction) -> bool:
    """Whether each lies within the interval of the other."""
    low, high = first.interval()
    back = second.interval()
    return low <= second.predicted_ms <= high and back[0] <= first.predicted_ms <= back[1]


def main(folder: str, table_name: str, other_name: str | None) -> None:
    table = hwnas.LatencyTable.load(table_name)
    predictor = KernelPredictor(table)
    other = KernelPredictor(hwnas.LatencyTable.load(other_name)) if other_name else None
    space = hwnas.space("proxyless")
    models: dict[str, bytes] = {"reference": space.to_onnx([n // 2 for n in space.n_choices])}
    found, seconds = {}, {}
    for path in sorted(Path(folder).glob("*.onnx")):
        try:
            pieces, macs, models[path.stem] = read(path)
        except HwnasError as error:
            print(str(error).replace(f"{folder}/", "")[:170])
            continue
        found[path.stem] = predict_pieces(pieces, predictor, macs=macs)
        if other is not None:
            seconds[path.stem] = predict_pieces(pieces, other, macs=macs)
    plan = Plan(min_runs=30, max_runs=50)
    with progress_bars() as progress:
        cpu = runtime("cpu", table.target.threads)
        taken = measure_models(models, space, cpu, plan=plan, progress=progress)
    scale = table.reference_ms / taken["reference"].latency_ms
    print(f"\non {table.target}\n")
    print(
        "model                         measured   predicted   95 % interval    error  holds   MACs"
    )
    errors, holds, alike, partial = [], [], [], 0
    for name, result in found.items():
        ms = scale * taken[name].latency_ms
        low, high = result.interval()
        left_out = sorted({kernel.op for kernel in result.unpredicted})
        error = result.predicted_ms / ms - 1
        if left_out:
            partial += 1
            words = f"at least {low:.2f} ({', '.join(left_out)} left out)"
            print(f"{name:28s} {ms:9.3f}   {words}: {'true' if low <= ms else 'FALSE'}")
            continue
        errors.append(error)
        holds.append(low <= ms <= high)
        between = f"{low:.3g} to {high:.3g}"
        words = f"{name:28s} {ms:9.3f}  {result.predicted_ms:10.3f}   {between:15s} {error:+7.1%}"
        words += f"  {'yes' if holds[-1] else 'NO':5s} {(result.macs or 0) / 1e6:8.1f} M"
        if name in seconds:
            alike.append(agree(result, seconds[name]))
            words += "" if alike[-1] else f"  other seed: {seconds[name].predicted_ms:.3f}"
        print(words)
    size = np.abs(errors)
    print(f"\n{len(errors)} models wholly predicted, {partial} in part (no interval)")
    print(f"mean error {size.mean():.1%}, median {np.median(size):.1%}, most {size.max():.1%}")
    print(f"95 % intervals that hold: {sum(holds)} of {len(holds)}")
    if alike:
        print(f"two seeds within each other's intervals: {sum(alike)} of {len(alike)}")


if __name__ == "__main__":
    main(*sys.argv[1:3], sys.argv[3] if len(sys.argv) > 3 else None)  # type: ignore[misc]
