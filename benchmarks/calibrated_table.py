"""A table calibrated by ten whole networks, against thirty others measured whole, on this CPU.

python benchmarks/calibrated_table.py [TABLE]

Without a table the machine is profiled first. Of a table's whole networks the first ten are used.
The thirty others are measured twice; how far the two passes differ is the noise floor.
"""

import sys
from dataclasses import replace
from itertools import islice

import numpy as np
from prediction_error import measured_twice

import hwnas
from hwnas.profilers import profile_space, runtime

CALIBRATION = 10
NETWORKS = 30


def main(table_name: str | None) -> None:
    space = hwnas.space("proxyless")
    cpu = runtime("cpu", 1)
    if table_name is None:
        table = profile_space(space, cpu, n_networks=CALIBRATION)
    else:
        table = hwnas.LatencyTable.load(table_name)
    table = replace(table, networks=dict(islice(table.networks.items(), CALIBRATION)))
    archs = space.sample(NETWORKS, seed=30_000)
    models = {space.format(arch): space.to_onnx(arch) for arch in archs}
    assert not table.networks.keys() & models.keys()
    passes = measured_twice(models, space, cpu)
    measured = np.mean(passes, axis=0)
    predictor = hwnas.load_predictor(table, space)
    predicted = predictor.predict(archs)
    known = predictor.calibration
    calls = table.call.latency_ms
    sums = [
        calls + sum(table.latency_ms(w) - calls for w in space.workloads(a) if not w.op.no_op)
        for a in archs
    ]
    print(f"on {table.target}")
    print(f"scale {known.scale:.3f}; factors: {known.deltas or 'none, one scale says it all'}")
    rows = {
        "plain sums of the table": np.array(sums) / measured,
        "calibrated": predicted / measured,
        "calibrated, without a common factor": predicted / measured,
        "noise floor (two passes)": passes[0] / passes[1],
    }
    rows["calibrated, without a common factor"] /= np.median(predicted / measured)
    print("                                       mean    most")
    errors = {name: np.abs(ratio - 1) for name, ratio in rows.items()}
    for name, error in errors.items():
        print(f"{name:36s}  {error.mean():5.2%}  {error.max():6.2%}")
    floor = errors["noise floor (two passes)"].mean()
    print(f"calibrated over noise floor: {errors['calibrated'].mean() / floor:.2f}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
