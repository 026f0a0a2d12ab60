"""Time and memory of the commands and calls that large inputs strain, beside what they may take.

python benchmarks/load.py [--only WORDS] [--json]

All inputs are made here from a seed: nothing is measured. Every row runs in a process of its own,
so that its memory is its own. Lines of ``hwnas`` are commands, with the start of Python.
"""

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from hwnas.latency_tables import LatencyTable, Measurement
from hwnas.ops import MBConv, Workload

MB = 2**20
#: Wall clock, seconds, after which a row is given up.
GIVE_UP = 300


def measurement(ms: float) -> Measurement:
    return Measurement(ms, 0.01, 0.98 * ms, 1.03 * ms, 100)


def plausible(workload: Workload) -> float:
    """Milliseconds of a processor of 20 GMAC/s that moves 10 GB/s, give or take its shape."""
    from hwnas.costs import workload_costs

    cost = workload_costs(workload)
    jitter = 1 + 0.1 * np.sin(workload.in_channels + 3 * workload.out_channels + workload.height)
    return float(0.01 + jitter * (cost["macs"] / 20e6 + cost["bytes"] / 10e6))


def example() -> LatencyTable:
    return LatencyTable.load("amd-epyc-1thread")


def table_of_workloads(count: int) -> LatencyTable:
    """Bottlenecks of many shapes, six operators each."""
    table, rng = example(), np.random.default_rng(0)
    found: dict[str, Measurement] = dict(table.workloads)
    while len(found) < count:
        sizes = (int(rng.integers(1, 40)) * 8, int(rng.integers(1, 40)) * 8)
        stride, size = int(rng.integers(1, 3)), int(rng.choice((7, 14, 28, 56, 112)))
        for kernel in (3, 5, 7):
            for expand in (3, 6):
                workload = Workload(MBConv(kernel, expand), *sizes, stride, size, size)
                found[workload.key] = measurement(plausible(workload))
    return replace(table, workloads=dict(list(found.items())[:count]))


def table_of_networks(count: int) -> LatencyTable:
    """The example's entries, and networks 20 % slower than their sum, give or take 2 %."""
    from hwnas.predictors import load_predictor

    table = example()
    predictor, rng = load_predictor(table), np.random.default_rng(0)
    space = predictor.space
    archs = space.sample(count, seed=1)
    ms = 1.2 * predictor.predict(archs) * np.exp(0.02 * rng.standard_normal(count))
    names = [space.format(arch) for arch in archs]
    measured = {n: measurement(float(v)) for n, v in zip(names, ms, strict=True)}
    return replace(table, networks=measured)


def long_model(path: Path, nodes: int) -> Path:
    """A chain of 1x1 convolutions, activations and sums."""
    from onnx import TensorProto, helper, numpy_helper

    held = [numpy_helper.from_array(np.full((8, 8, 1, 1), 0.1, np.float32), "w")]
    chain, last = [], "x"
    for at in range(nodes):
        op = ("Conv", "Relu", "Add", "Sigmoid")[at % 4]
        inputs = {"Conv": [last, "w"], "Add": [last, "x"]}.get(op, [last])
        chain.append(helper.make_node(op, inputs, [f"t{at}"], name=f"n{at}"))
        last = f"t{at}"
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, (1, 8, 8, 8)) for n in ("x", last)]
    graph = helper.make_graph(chain, "long", info[:1], info[1:], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@dataclass(frozen=True)
class Row:
    """One line of the table: ``make`` writes the input, ``run`` is what is timed."""

    name: str
    seconds: float | None
    megabytes: float | None
    make: Callable[[Path], object]
    run: Callable[[object], object]


def hwnas(*words: object) -> None:
    """The command in a process of its own, as a person starts it."""
    command = [sys.executable, "-m", "hwnas", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=GIVE_UP)
    if done.returncode not in (0, 1) or "Traceback" in done.stderr:
        raise SystemExit(f"{' '.join(map(str, words))}: {done.stderr.strip()[-500:]}")


def saved(table: LatencyTable, path: Path) -> Path:
    table.save(path)
    return path


def folder_of_tables(folder: Path) -> Path:
    home = folder / "home"
    text = table_of_workloads(20_000).to_json()
    (home / "tables").mkdir(parents=True)
    for at in range(30):
        (home / "tables" / f"large-{at}.json").write_text(text)
    return saved(example(), folder / "small.json")


def named_table(path: object) -> None:
    from hwnas.latency_tables import table_path

    LatencyTable.load(table_path(str(path)))


def predicted(path: object) -> None:
    from hwnas.predictors import load_predictor

    load_predictor(str(path))


def ten_million(folder: Path) -> object:
    from hwnas.predictors import load_predictor

    predictor = load_predictor(example())
    sizes = np.array(predictor.space.n_choices)
    archs = np.empty((10_000_000, len(sizes)), np.uint8)
    rng = np.random.default_rng(0)
    for start in range(0, len(archs), 100_000):
        archs[start : start + 100_000] = rng.integers(0, sizes, (100_000, len(sizes)))
    predictor.predict_interval(archs[:100])
    return predictor, archs


def kernels_of(path: object) -> None:
    from hwnas.kernels import split

    split(str(path))


def wide(space: str = "proxyless", size: int = 176) -> tuple[object, ...]:
    return ("--space", space, "--input-size", size)


def fill(source: object) -> None:
    hwnas("tables", "fill", source, *wide(), "--out", f"{source}.filled")


ROWS = (
    Row(
        "tables check, 20,000 workloads",
        2,
        None,
        lambda folder: saved(table_of_workloads(20_000), folder / "t.json"),
        lambda path: hwnas("tables", "check", path),
    ),
    Row(
        "tables fill, 470 measured",
        10,
        None,
        lambda folder: saved(table_of_workloads(470), folder / "t.json"),
        fill,
    ),
    Row(
        "tables fill, 20,000 measured",
        60,
        None,
        lambda folder: saved(table_of_workloads(20_000), folder / "t.json"),
        fill,
    ),
    Row(
        "predictor of 1,000 networks",
        1,
        None,
        lambda folder: saved(table_of_networks(1_000), folder / "t.json"),
        predicted,
    ),
    Row(
        "predictor of 3,000 networks",
        5,
        None,
        lambda folder: saved(table_of_networks(3_000), folder / "t.json"),
        predicted,
    ),
    Row(
        "tables report, 300 networks",
        5,
        None,
        lambda folder: saved(table_of_networks(300), folder / "t.json"),
        lambda path: hwnas("tables", "report", path),
    ),
    Row(
        "intervals of 10 million architectures",
        None,
        200,
        ten_million,
        lambda held: held[0].predict_interval(held[1]),
    ),
    Row(
        "kernels of an ONNX model of 100,000 nodes",
        20,
        None,
        lambda folder: long_model(folder / "long.onnx", 100_000),
        kernels_of,
    ),
    Row("--table PATH beside 30 large tables", 0.3, None, folder_of_tables, named_table),
)


def peak_of_this_process() -> int:
    """Bytes, the most since `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def measure(name: str, folder: str, pipe: Connection) -> None:
    (row,) = (row for row in ROWS if row.name == name)
    os.environ["HWNAS_HOME"] = str(Path(folder) / "home")
    held = row.make(Path(folder))
    forget_peak()
    before = peak_of_this_process()
    start, busy = time.perf_counter(), sum(os.times()[:4])
    kept = row.run(held)
    seconds, busy = time.perf_counter() - start, sum(os.times()[:4]) - busy
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    pipe.send((seconds, busy, max(peak_of_this_process() - before, child) / MB))
    del kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="rows whose name holds these words")
    parser.add_argument("--json", action="store_true", help="one JSON line a row")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    print(
        f"{'':44s} {'seconds':>8s} {'of a CPU':>9s} {'to reach':>9s} {'+MB':>7s} {'to reach':>9s}"
    )
    for row in ROWS:
        if options.only not in row.name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            mine, other = context.Pipe()
            process = context.Process(target=measure, args=(row.name, folder, other))
            process.start()
            other.close()
            try:
                seconds, busy, grown = mine.recv() if mine.poll(4 * GIVE_UP) else [np.inf] * 3
            except EOFError:
                seconds, busy, grown = [np.inf] * 3
            process.kill()
            process.join()
        if options.json:
            print(
                json.dumps({"row": row.name, "seconds": seconds, "cpu": busy, "megabytes": grown})
            )
            continue
        aims = [f"{aim:g}" if aim else "" for aim in (row.seconds, row.megabytes)]
        print(
            f"{row.name:44s} {seconds:8.2f} {busy:9.2f} {aims[0]:>9s} {grown:7.0f} {aims[1]:>9s}",
            flush=True,
        )


if __name__ == "__main__":
    main()
