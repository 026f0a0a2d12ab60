"""Predicted against measured: random architectures that no table has seen, on this CPU.

python benchmarks/prediction_error.py [TABLE] [--space NAME] [--networks N] [--runtime NAME]
                                      [--operators NAME ...]

Without a table the machine is profiled first. The networks are measured twice; how far the two
differ is the noise floor, and their mean is what the prediction is compared with. --operators draws
networks of these alone, as a search under a tight budget finds them.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

import hwnas
from hwnas.devices import ProfileJob, profile_to_file
from hwnas.profilers import Plan, Runtime, measure_models, runtime
from hwnas.spaces import SearchSpace


def measured_twice(models: dict[str, bytes], space: SearchSpace, cpu: Runtime) -> list[np.ndarray]:
    """Milliseconds of all models, in two interleaved passes one after the other."""
    passes = []
    for seed in range(2):
        taken = measure_models(models, space, cpu, plan=Plan(min_runs=40, max_runs=80), seed=seed)
        passes.append(np.array([taken[name].latency_ms for name in models]))
    return passes


def drawn(space: SearchSpace, count: int, operators: list[str]) -> np.ndarray:
    """Random networks (count, n_decisions) of all operators, or of some."""
    if not operators:
        return space.sample(count, seed=20_000)
    rng = np.random.default_rng(20_000)
    columns = []
    for decision in space.decisions:
        taken = [at for at, c in enumerate(decision.choices) if c.token in operators]
        columns.append(rng.choice(taken, size=count))
    return np.stack(columns, axis=1)


def main(
    table_name: str | None,
    space_name: str,
    count: int,
    runtime_name: str | None,
    operators: list[str],
) -> None:
    space = hwnas.space(space_name)
    cpu = runtime("cpu", 1, runtime_name)
    if table_name is None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.json"
            _, table = profile_to_file(space, cpu, ProfileJob(out=path))
    else:
        table = hwnas.LatencyTable.load(table_name)
    predictor = hwnas.load_predictor(table, space)
    archs = drawn(space, 2 * count, operators)
    archs = archs[space.connected(archs)][:count]
    models = {space.format(arch): space.to_onnx(arch) for arch in archs}
    assert not table.networks.keys() & models.keys()

    passes = measured_twice(models, space, cpu)
    measured = np.mean(passes, axis=0)
    predicted = predictor.predict(archs)
    interval = predictor.predict_interval(archs, 0.95)
    error = np.abs(predicted / measured - 1)
    floor = np.abs(passes[0] / passes[1] - 1)
    shape = predicted / measured
    shape_error = np.abs(shape / np.median(shape) - 1)
    inside = (interval[:, 0] <= measured) & (measured <= interval[:, 1])
    print(
        f"{count} random networks of {space.name}, {measured.min():.2f} to {measured.max():.2f} ms"
    )
    print(f"on {table.target}\n")
    print("                          mean    95 % below    most   within 5 %")
    for name, values in (
        ("predicted / measured", error),
        ("without a common factor", shape_error),
        ("noise floor (two passes)", floor),
    ):
        print(
            f"{name:24s}  {values.mean():5.2%}  {np.quantile(values, 0.95):10.2%}  "
            f"{values.max():6.2%}  {np.mean(values <= 0.05):11.0%}"
        )
    print(f"\n95 % intervals that hold the measurement: {inside.mean():.0%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", nargs="?")
    parser.add_argument("--space", default="proxyless")
    parser.add_argument("--networks", type=int, default=50)
    parser.add_argument("--runtime", help="openvino, torch-compile; by default onnxruntime")
    parser.add_argument("--operators", nargs="*", default=[], help="skip max3 ...; all by default")
    given = parser.parse_args()
    main(given.table, given.space, given.networks, given.runtime, given.operators)
