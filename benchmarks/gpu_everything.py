"""Everything that is to be measured on a real NVIDIA card, in one command.

python benchmarks/gpu_everything.py OUT [--rehearse] [--only RUNTIME] [--hours H]

Looks at the card and at what is installed, runs the tests that need a card, then profiles
``proxyless`` at 224 pixels by every runtime that works, at batch 1 and 32, fp32 and fp16 (and int8
by TensorRT), calibrated on 10 networks, and measures 30 others whole for the error. Each step runs
in its own process with its own log, so that one that crashes or hangs takes nothing with it. A step
that is finished is not run again: after a kill, give the same command. At the end OUT holds

  tables/      the latency tables, as they would ship
  report.md    what came out, and what did not with the reason
  report.json  the same, for programs
  *.log        what each step said

--rehearse does all of it on the synthetic card of `hwnas.testing`, in a small space and in some
minutes, to see that the script works. Its numbers mean nothing, and its report says so.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CALIBRATED_ON, TESTED_ON = 10, 30
BATCHES = (1, 32)
#: A step that takes longer than this is ended, in seconds: TensorRT builds some 160 engines. They
#: are kept, so that the same command goes on from there.
STEP_LIMIT = 7200
#: How the coefficient of variation follows from the 10th and 90th percentile of a normal one.
_SPREADS = 2.563
_LOOSE = 0.025


def main() -> None:
    arguments = parse()
    out: Path = arguments.out.resolve()
    (out / "tables").mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ) | {"PYTHONPATH": str(ROOT), "HWNAS_HOME": str(out / "home")}
    if arguments.rehearse:
        environment |= synthetic(out)
    deadline = time.monotonic() + 3600 * arguments.hours

    step(out, "probe", ["probe"], environment, deadline)
    probe = read(out / "probe.json")
    if probe is None or probe["problem"] is not None:
        why = probe["problem"] if probe else "the probe crashed, see probe.log"
        print(f"no card can be used: {why}")
        write_report(out, arguments.rehearse)
        sys.exit(1)
    if not arguments.rehearse:
        step(out, "tests", ["tests"], environment, deadline)
    for name in probe["runtimes"]:
        if arguments.only not in (None, name):
            continue
        step(out, f"start-{name}", ["start", name], environment, deadline)
        started = read(out / f"start-{name}.json") or {"problem": "it crashed, see its log"}
        if started["problem"] is not None:
            print(f"{name}: {started['problem']}")
            continue
        for batch in BATCHES:
            for precision in started["precisions"]:
                label = f"{name}-{precision}-b{batch}"
                words = ["measure", name, precision, str(batch)]
                step(out, label, words, environment, deadline)
                write_report(out, arguments.rehearse)
    write_report(out, arguments.rehearse)
    print(f"\n{(out / 'report.md').read_text()}\neverything is in {out}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("--only", metavar="RUNTIME")
    parser.add_argument("--hours", type=float, default=12.0)
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:  # a step in its own process
        kind, *words = arguments.step
        STEPS[kind](arguments.out, arguments.rehearse, *words)
        sys.exit(0)
    return arguments


def synthetic(out: Path) -> dict[str, str]:
    """The environment in which the synthetic card is found."""
    from hwnas.testing.synthetic_gpu import build_synthetic_gpu, synthetic_environment

    problem = build_synthetic_gpu(out / "synthetic")
    if problem is not None:
        sys.exit(problem)
    found = synthetic_environment(out / "synthetic")
    found["PYTHONPATH"] += f"{os.pathsep}{ROOT}"
    return found | {"SYNTHETIC_GPU_THROTTLE": "spells"}


def step(
    out: Path, label: str, words: list[str], environment: dict[str, str], deadline: float
) -> None:
    """Run one step in its own process, unless its result is there; say how it went."""
    found = read(out / f"{label}.json")
    if found is not None and found.get("problem") is None:  # what was missing may be there now
        print(f"{label}: done before")
        return
    left = min(STEP_LIMIT, deadline - time.monotonic())
    if left <= 0:
        print(f"{label}: no time left")
        return
    command = [sys.executable, __file__, str(out)]
    command += ["--rehearse"] if "SYNTHETIC_GPU_THROTTLE" in environment else []
    print(f"{label} ...", end=" ", flush=True)
    started = time.monotonic()
    with (out / f"{label}.log").open("w") as log:
        try:
            done = subprocess.run(
                [*command, "--step", *words], env=environment, stdout=log, stderr=log, timeout=left
            )
            how = "done" if done.returncode == 0 else f"failed ({done.returncode})"
        except subprocess.TimeoutExpired:
            how = "took too long"
            log.write(f"\nended after {left:.0f} seconds\n")
    print(f"{how}, {time.monotonic() - started:.0f} s")


def probe(out: Path, rehearse: bool) -> None:
    """The card, and what is installed."""
    from importlib.metadata import PackageNotFoundError, version

    from hwnas.profilers import GPU_RUNTIMES, gpu_problem

    known: dict[str, Any] = {
        "problem": gpu_problem(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {},
        "runtimes": list(GPU_RUNTIMES),
    }
    for package in (
        *("hwnas", "torch", "onnx", "onnxruntime", "onnxruntime-gpu", "numpy"),
        *("tensorrt", "tensorrt-cu12", "tensorrt-cu13", "nvidia-cudnn-cu12"),
    ):
        try:
            known["packages"][package] = version(package)
        except PackageNotFoundError:
            known["packages"][package] = None
    if known["problem"] is None:
        from hwnas.profilers.gpu.cuda_driver import CudaDriver
        from hwnas.profilers.gpu.nvml import Nvml

        card = CudaDriver().card
        known["card"] = asdict(card)
        reader = Nvml.find(card.uuid)
        known["driver"] = reader.driver_version() if reader else None
        known["state"] = asdict(reader.state("before")) if reader else None
    print(json.dumps(known, indent=2))
    write(out / "probe.json", known)


def start(out: Path, rehearse: bool, name: str) -> None:
    """Whether a runtime starts, in a process of its own since a foreign library may crash."""
    from hwnas.errors import HwnasError
    from hwnas.profilers import runtime

    try:
        chosen = runtime("gpu", name=name)
    except HwnasError as error:
        write(out / f"start-{name}.json", {"problem": str(error), "precisions": []})
        return
    found = {"problem": None, "precisions": list(chosen.precisions)}
    write(out / f"start-{name}.json", found)


def tests(out: Path, rehearse: bool) -> None:
    """The tests that need a card."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/gpu"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "SKIPPED"))]
    summary = (done.stdout or done.stderr).strip().splitlines()[-1:]
    write(out / "tests.json", {"status": done.returncode, "summary": summary, "lines": lines})


def measure(out: Path, rehearse: bool, name: str, precision: str, batch_: str) -> None:
    """One table, and its error on networks that it has not seen."""
    import numpy as np

    from hwnas import spaces
    from hwnas.latency_tables import check_table
    from hwnas.predictors import load_predictor
    from hwnas.profilers import Plan, measure_models, profile_space, runtime

    batch, label = int(batch_), f"{name}-{precision}-b{batch_}"
    small = {"input_size": 32, "classes": 10, "width_mult": 0.25} if rehearse else {}
    space = spaces.space("proxyless", **small)
    plan = Plan(min_runs=10, max_runs=20) if rehearse else Plan()
    chosen = runtime("gpu", name=name)
    path = out / "tables" / f"proxyless-{label}.json"
    journal = path.with_suffix(".partial")
    started = time.monotonic()
    table = profile_space(
        space,
        chosen,
        precision=precision,
        batch=batch,
        n_networks=CALIBRATED_ON,
        plan=plan,
        journal=journal,
        progress=Lines(),
    )
    table.save(path)
    journal.unlink(missing_ok=True)
    profile_seconds = time.monotonic() - started

    entries = {**table.workloads, **table.networks}
    spread = {k: (m.p90_ms - m.p10_ms) / _SPREADS / m.latency_ms for k, m in entries.items()}
    result: dict[str, Any] = {
        "target": asdict(table.target),
        "profile_seconds": round(profile_seconds, 1),
        "workloads": len(table.workloads),
        "unmeasured": table.unmeasured,
        "conditions": asdict(table.provenance.conditions) if table.provenance.conditions else None,
        "warning": table.provenance.conditions.warning if table.provenance.conditions else None,
        "spread_median": float(np.median(list(spread.values()))),
        "spread_most": max(spread.values()),
        "spread_above_2.5_%": sorted(k for k, v in spread.items() if v > _LOOSE),
        "marked": [asdict(finding) for finding in check_table(table)],
    }
    if not table.unmeasured:
        predictor = load_predictor(table, space)
        archs = space.sample(TESTED_ON, seed=20_000)
        symmetric = table.target.kind == "gpu"
        models = {
            space.format(arch): space.to_onnx(
                arch,
                batch=batch,
                precision=precision,  # type: ignore[arg-type]
                symmetric=symmetric,
            )
            for arch in archs
        }
        options = {"precision": precision, "batch": batch, "plan": plan, "progress": Lines()}
        passes = []
        for seed in (1, 2):
            taken = measure_models(models, space, chosen, seed=seed, **options)
            passes.append(np.array([taken[key].latency_ms for key in models]))
        measured = np.mean(passes, axis=0)
        error = np.abs(predictor.predict(archs) / measured - 1)
        floor = np.abs(passes[0] / passes[1] - 1)
        result |= {
            "scale": predictor.calibration.scale,
            "networks_ms": [float(measured.min()), float(measured.max())],
            "error_mean": float(error.mean()),
            "error_95": float(np.quantile(error, 0.95)),
            "error_most": float(error.max()),
            "noise_floor_mean": float(floor.mean()),
        }
    explain = getattr(chosen, "explain", None)
    if explain is not None:
        middle = [n // 2 for n in space.n_choices]
        kind: Any = precision
        model = space.to_onnx(middle, batch=batch, precision=kind, symmetric=True)
        layers = sorted(explain(model), key=lambda layer: -layer.latency_ms)
        result["slowest_layers"] = [[layer.name, layer.latency_ms] for layer in layers[:10]]
    write(out / f"{label}.json", result)


class Lines:
    """Progress as lines of a log, a few a step."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def __call__(self, task: str, share: float, remark: str) -> None:
        """Told where a task stands."""
        if share >= 1 or share - self._last.get(task, -1) >= 0.1:
            self._last[task] = share
            print(f"{time.strftime('%H:%M:%S')} {task} {share:.0%} {remark}", flush=True)


STEPS = {"probe": probe, "start": start, "tests": tests, "measure": measure}


def write_report(out: Path, rehearse: bool) -> None:
    """Gather what the steps wrote; what is missing is named with the last line of its log."""
    known = read(out / "probe.json") or {}
    steps = {path.stem: read(path) for path in sorted(out.glob("*-b*.json"))}
    logs = {path.stem for path in out.glob("*-b*.log")}
    lines = ["# What a real card said", ""]
    if rehearse:
        lines = ["# A rehearsal: no card produced these numbers, and they mean nothing", ""]
    card = known.get("card")
    if card:
        capability = ".".join(str(part) for part in card["capability"])
        lines += [
            f"{card['name']}, compute capability {capability}, driver {known['driver']}, CUDA "
            f"{card['cuda']}; Python {known['python']}, {known['system']}",
            "",
        ]
    elif known:
        lines += [f"No card: {known['problem']}", ""]
    for name in known.get("runtimes", []):
        started = read(out / f"start-{name}.json")
        if started or (out / f"start-{name}.log").exists():
            problem = started["problem"] if started else "it crashed, see its log"
            lines.append(f"- {name}: {problem or 'works'}")
    tested = read(out / "tests.json")
    if tested:
        lines += ["", f"Tests: {' '.join(tested['summary'])}", *tested["lines"]]
    lines += [
        "",
        "| step | profile, s | networks, ms | mean error | 95 % below | noise floor | spread, "
        "median / most | entries above 2.5 % | throttled windows kept | not measured |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for label, found in steps.items():
        if found is not None:
            lines.append(row(label, found))
    for label in sorted(logs - steps.keys()):
        said = (out / f"{label}.log").read_text().strip().splitlines() or ["nothing"]
        lines.append(f"\n{label} failed: {said[-1]}")
    (out / "report.md").write_text("\n".join(lines) + "\n")
    write(out / "report.json", {"rehearsal": rehearse, "probe": known, "steps": steps})


def row(label: str, found: dict[str, Any]) -> str:
    conditions = found["conditions"] or {"kept_throttled": "unknown"}
    spread = f"{found['spread_median']:.1%} / {found['spread_most']:.1%}"
    if "error_mean" in found:
        low, high = found["networks_ms"]
        errors = [f"{low:.3f} to {high:.3f}"]
        errors += [f"{found[k]:.2%}" for k in ("error_mean", "error_95", "noise_floor_mean")]
    else:
        errors = ["-"] * 4
    cells = [
        *(label, f"{found['profile_seconds']:.0f}", *errors, spread),
        *(str(len(found["spread_above_2.5_%"])), str(conditions["kept_throttled"])),
        str(len(found["unmeasured"])),
    ]
    return f"| {' | '.join(cells)} |"


def read(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content


def write(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all: the file is the mark of a finished step."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        json.dump(content, file, indent=2)
    Path(file.name).replace(path)


if __name__ == "__main__":
    main()
