"""Ten networks and the table of one thread, transferred to two threads of this machine.

python benchmarks/transfer.py [TABLE [THREADS [NETWORKS [RUNS]]]]

Without a table, one thread is profiled first. 50 further networks, which neither table has seen,
are measured on the new target as the truth (twice; their disagreement is the noise floor).
"""

import sys
from dataclasses import replace

import numpy as np

import hwnas
from hwnas.devices.tables import PROFILE_SECONDS, profile_plan
from hwnas.predictors import load_predictor
from hwnas.predictors.transfer import fit_transfer, transferred
from hwnas.profilers import Plan, measure_models, profile_space, runtime
from hwnas.profilers.profile import profile_networks

TRUE_NETWORKS = 50


def main(table_name: str | None, threads: int, count: int, runs: int) -> None:
    space = hwnas.space("proxyless")
    if table_name in (None, "-"):
        source = profile_space(space, runtime("cpu", 1), plan=profile_plan(PROFILE_SECONDS))
    else:
        source = hwnas.LatencyTable.load(str(table_name))
    new = runtime("cpu", threads)
    plan = Plan(min_runs=runs, max_runs=2 * runs)
    networks, call, reference_ms, provenance = profile_networks(space, new, count, plan=plan)
    archs = np.stack([space.parse(text) for text in networks])
    ms = np.array([entry.latency_ms for entry in networks.values()])
    fit = fit_transfer(source, space, archs, ms, call.latency_ms)
    entries, record = transferred(source, fit, call)
    table = replace(
        source,
        target=new.target("fp32", 1),
        reference_ms=reference_ms,
        reference_sessions_ms=(reference_ms,),
        call=call,
        workloads=entries,
        networks=networks,
        provenance=replace(provenance, transfer=replace(record, networks=len(networks))),
    )
    predictor = load_predictor(table, space)
    others = space.sample(TRUE_NETWORKS, seed=20_000)
    models = {space.format(arch): space.to_onnx(arch) for arch in others}
    assert not models.keys() & networks.keys()
    passes = []
    for seed in range(2):
        taken = measure_models(models, space, new, plan=plan, seed=seed)
        passes.append(np.array([taken[name].latency_ms for name in models]))
    measured = np.mean(passes, axis=0)
    low, high = predictor.predict_interval(others, 0.95).T
    untouched = load_predictor(source, space).predict(others)
    scaled = untouched * np.median(ms / load_predictor(source, space).predict(archs))
    print(f"from  {source.target}\nto    {table.target}")
    print(f"      {len(networks)} networks, {provenance.seconds} s")
    print(f"fit   scale {fit.common:.3f}, {fit.block_ms * 1000:.1f} us more a workload,")
    print(f"      strength {fit.strength:g},")
    print("      weights by height " + ", ".join(f"{h}: {w:.2f}" for h, w in fit.weights.items()))
    print("\n                          mean error   without a common factor")
    for name, values in (
        ("the other table as it is", untouched),
        ("scaled by the networks", scaled),
        ("transferred", predictor.predict(others)),
    ):
        ratio = values / measured
        error, shape = np.abs(ratio - 1), np.abs(ratio / np.median(ratio) - 1)
        print(f"{name:24s}  {error.mean():10.2%}  {shape.mean():24.2%}")
    print(f"{'noise floor (two passes)':24s}  {np.abs(passes[0] / passes[1] - 1).mean():10.2%}")
    inside = (low <= measured) & (measured <= high)
    print(f"left-one-out residual {fit.residual:.2%}; 95 % intervals hold {inside.mean():.0%}")


if __name__ == "__main__":
    words = sys.argv[1:]
    main(
        words[0] if words else None,
        int(words[1]) if len(words) > 1 else 2,
        int(words[2]) if len(words) > 2 else 10,
        int(words[3]) if len(words) > 3 else 60,
    )
