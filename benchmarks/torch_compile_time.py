"""What torch.compile takes of a processor to make the models of a profile, compilers included.

python benchmarks/torch_compile_time.py [--space NAME] [--networks N]

Twice, in processes of their own that share a cache: the first compiles, the second finds it.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile

import hwnas
from hwnas.profilers import runtime
from hwnas.profilers.measuring import form, onnx_models
from hwnas.profilers.profile import profile_graphs


def used_s() -> float:
    """Seconds of a processor, of this process and of those that it waited for."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, kinds))


def compile_all(space_name: str, networks: int) -> None:
    space, here = hwnas.space(space_name), runtime("cpu", 1, "torch-compile")
    graphs = profile_graphs(space, networks, 0)
    models = onnx_models(graphs, *form(here.target("fp32", 1)))
    taken = {}
    for name, model in models.items():
        data, start = model(), used_s()
        here.load(data)
        taken[name] = used_s() - start
    first, *others = taken.values()
    wholes = [s for name, s in taken.items() if name.startswith("network ")]
    print(
        f"{len(taken)} models of {space.name}: {sum(taken.values()):.0f} s of a processor; the "
        f"first {first:.1f}, others {min(others):.2f} to {max(others):.2f}, whole networks "
        f"{sum(wholes) / max(len(wholes), 1):.2f}",
        flush=True,
    )


def main(space_name: str, networks: int) -> None:
    words = [sys.executable, __file__, "--space", space_name, "--networks", str(networks), "--here"]
    with tempfile.TemporaryDirectory() as folder:
        for what in ("nothing compiled yet", "all compiled before"):
            print(what, flush=True)
            environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": folder}
            subprocess.run(words, env=environment, check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", default="proxyless")
    parser.add_argument("--networks", type=int, default=12)
    parser.add_argument("--here", action="store_true", help="in this process, once")
    given = parser.parse_args()
    (compile_all if given.here else main)(given.space, given.networks)
