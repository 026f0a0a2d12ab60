"""What the models of a profile need on a card, by their shapes alone; no card is asked.

python benchmarks/gpu_memory.py [--batch N] [SPACE ...]

Activations are those that the layer with most of them reads and writes; an engine whose layers are
fused needs less. Weights, and what a runtime keeps besides, are not counted.
"""

import argparse
from math import prod

from hwnas import spaces
from hwnas.profilers.measuring import chains, onnx_models
from hwnas.profilers.profile import profile_graphs

_BYTES, _LINKS, _NETWORKS = 4, 4, 12


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("spaces", nargs="*", default=["proxyless", "shufflenet", "nasbench201"])
    parser.add_argument("--batch", type=int, default=32)
    arguments = parser.parse_args()
    print(f"fp32, batch {arguments.batch}, GB")
    for name in arguments.spaces:
        space = spaces.space(name)
        graphs = profile_graphs(space, _NETWORKS, seed=0)
        graphs |= chains(space.distinct_workloads, _LINKS)
        held = [model.most_held for model in onnx_models(graphs, "fp32", arguments.batch).values()]
        ends = [prod(g.input_shape) + prod(g.nodes[-1].shape) for g in graphs.values()]
        print(
            f"{name}: {len(graphs)} models, inputs and outputs {gb(sum(ends), arguments.batch)}, "
            f"activations shared {gb(max(held), arguments.batch)}, "
            f"each with its own {gb(sum(held), arguments.batch)}"
        )


def gb(numbers: int, batch: int) -> str:
    return f"{_BYTES * batch * numbers / 1e9:.2f}"


if __name__ == "__main__":
    main()
