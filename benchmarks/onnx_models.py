"""Predicted against measured: ten ONNX networks of five families that no profile has seen.

python benchmarks/onnx_models.py [KERNELS [TABLE]]

Without a table the machine's kernels are profiled first. The networks are measured twice, in random
order and interleaved with a reference; how far the two passes differ is the noise floor, and their
mean is what the prediction is compared with. The profile measures random networks: none of
the ten is among them, nor any of their widths by design.
"""

import sys
import time

import numpy as np
from onnx_networks import NETWORKS, export

import hwnas
from hwnas.predictors import KernelPredictor
from hwnas.profilers import Plan, measure_models, profile_kernels, profile_space, runtime
from hwnas.progress import progress_bars


def main(kernels: int, table_name: str | None) -> None:
    space = hwnas.space("proxyless")
    cpu = runtime("cpu", 1)
    if table_name is None:
        with progress_bars() as progress:
            table = profile_space(space, cpu, plan=Plan(min_runs=20, max_runs=20))
            started = time.monotonic()
            table = profile_kernels(table, space, cpu, kernels, progress=progress)
        seconds = time.monotonic() - started
        table.save("kernels.json")
        print(f"{len(table.kernels.entries)} kernels profiled in {seconds:.0f} s: kernels.json")
    else:
        table = hwnas.LatencyTable.load(table_name)
    models = {name: export(name) for name in NETWORKS}
    passes = []
    for seed in range(2):
        plan = Plan(min_runs=30, max_runs=50)
        with progress_bars() as progress:
            taken = measure_models(models, space, cpu, plan=plan, seed=seed, progress=progress)
        passes.append(np.array([taken[name].latency_ms for name in models]))
    measured = np.mean(passes, axis=0)
    predictor = KernelPredictor(table)
    found = {}
    started = time.monotonic()
    for name, model in models.items():
        found[name] = hwnas.predict_onnx(model, predictor)
    seconds = time.monotonic() - started
    print(f"on {table.target}; predicted in {seconds:.1f} s\n")
    print("network              measured ms  predicted ms   error  two passes  not predicted")
    errors = np.array([r.predicted_ms for r in found.values()]) / measured - 1
    floor = np.abs(passes[0] / passes[1] - 1)
    for at, (name, result) in enumerate(found.items()):
        lacking = ", ".join(sorted({kernel.op for kernel in result.unpredicted}))
        print(
            f"{name:20s} {measured[at]:11.3f}  {result.predicted_ms:12.3f}  {errors[at]:+6.1%}  "
            f"{floor[at]:10.2%}  {lacking}"
        )
    inside = [
        low <= ms <= high
        for ms, (low, high) in zip(
            measured, (r.interval(0.95) for r in found.values()), strict=True
        )
    ]
    shape = (1 + errors) / np.median(1 + errors) - 1
    print(f"\nmean error {np.abs(errors).mean():.1%}, most {np.abs(errors).max():.1%}")
    print(f"without a common factor {np.abs(shape).mean():.1%}, most {np.abs(shape).max():.1%}")
    print(
        f"noise floor {floor.mean():.2%}; 95 % intervals that hold: {sum(inside)} of {len(inside)}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500, sys.argv[2] if len(sys.argv) > 2 else None)
