"""Predicted memory of 20 ONNX models against the growth of a process that loads and runs them.

python benchmarks/peak_memory.py

Predicted: weights, and the peak of live tensors by liveness of the graph that ONNX Runtime makes;
and what a session keeps, and for each node, from two chains of tiny convolutions that are none of
the 20 models. Measured: by how much the process of each model grew at most while it ran, but for
the runtime's own code that the model is the first to use. "lean": each tensor is given back when it
is dead (no arena, no memory pattern). "default": ONNX Runtime's own arena, which doubles what it
takes and keeps it. What kernels need for themselves is in the measurement only.
"""

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx_networks import NETWORKS, export

import hwnas
from hwnas.kernels import split
from hwnas.kernels.memory import model_memory
from hwnas.onnx_graph import to_onnx
from hwnas.ops import Graph

SPACES = ("proxyless", "shufflenet", "ofa", "fbnet", "nasbench201")
MB = 1e6


def main() -> None:
    models = {name: export(name) for name in NETWORKS}
    for name in SPACES:
        space = hwnas.space(name)
        for number, arch in enumerate(space.sample(2, seed=0)):
            models[f"{name} {number}"] = space.to_onnx(arch)
    errors: dict[str, list[float]] = {"lean": [], "default": []}
    kept, of_node = bytes_of_a_session()
    print(f"a session keeps {kept / 1e3:.0f} kB, and {of_node / 1e3:.1f} kB for each node")
    print(
        "model                weights    live session  predicted     lean           default  (MB)"
    )
    for name, model in models.items():
        weights, live = model_memory(model)
        session = kept + of_node * nodes_of(model)
        predicted = weights + live + session
        row = f"{name:20s} {weights / MB:7.1f} {live / MB:7.1f} {session / MB:7.1f}"
        row += f" {predicted / MB:10.1f}"
        for kind, found in errors.items():
            grown = growth(model, kind)
            found.append(predicted / grown - 1)
            row += f" {grown / MB:8.1f} {found[-1]:+6.1%}"
        print(row, flush=True)
    for kind, found in errors.items():
        size = np.abs(found)
        print(f"{kind}: mean error {size.mean():.1%}, within 10 %: {(size <= 0.1).sum()} of 20")


def nodes_of(model: bytes) -> int:
    """Of the graph that ONNX Runtime runs."""
    return len(split(model))


def bytes_of_a_session() -> tuple[float, float]:
    """What a session keeps beside weights, and for each node: of a long chain and a short one."""
    rests, counts = [], []
    for length in (30, 230):
        graph = Graph((8, 8, 8))
        x = 0
        for at in range(length):
            x = graph.conv_bn(x, f"c{at}", 8, kernel=3, activation="relu6")
        model = to_onnx(graph)
        rests.append(min(growth(model, "lean") for _ in range(3)) - sum(model_memory(model)))
        counts.append(nodes_of(model))
    each = (rests[1] - rests[0]) / (counts[1] - counts[0])
    return rests[0] - counts[0] * each, each


def growth(model: bytes, kind: str) -> int:
    """Bytes by which a process of its own grew."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model)
        # freed memory goes back at once, whatever its size
        lean = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
        done = subprocess.run(
            [sys.executable, __file__, str(path), kind],
            check=True,
            stdout=subprocess.PIPE,
            env=os.environ | (lean if kind == "lean" else {}),
        )
    return int(json.loads(done.stdout))


def work(path: str, kind: str) -> None:
    """In the process of one model."""
    run(hwnas.space("nasbench201", input_size=8).to_onnx([0] * 6), kind)  # what libraries take once
    before, code = resident(), told("RssFile")
    session = run(path, kind)
    Path("/proc/self/clear_refs").write_text("5")
    for _ in range(3):
        session()
    print(json.dumps(told("VmHWM") - before - (told("RssFile") - code)))


def told(name: str) -> int:
    """Bytes, as the system tells them of this process."""
    status = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in status if line.startswith(name)).split()[1])


def run(model: "bytes | str", kind: str):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = options.enable_mem_pattern = kind == "default"
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    feeds = {x.name: rng.standard_normal(x.shape, np.float32) for x in session.get_inputs()}

    def again() -> None:
        session.run(None, feeds)

    resident()  # gives back what loading left
    again()
    return again


def resident() -> int:
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        work(*sys.argv[1:])
    else:
        main()
