"""What ONNX Runtime takes from one node of a network to the next, over what a call takes.

python benchmarks/node_time.py

Nodes that map one number, one and 65 of them in a row, and 64 views between such.
"""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from hwnas.profilers.onnxruntime_sessions import load_session

COUNT, RUNS = 64, 2000


def model(maps: int, views: int) -> bytes:
    sizes = [numpy_helper.from_array(np.array(shape), str(at)) for at, shape in
             enumerate(([1], [1, 1]))]  # fmt: skip
    nodes = []
    for at in range(maps):
        nodes.append(helper.make_node("Neg", [f"v{at}"], [f"u{at}"]))
        if at < views:
            nodes.append(helper.make_node("Reshape", [f"u{at}", str(at % 2)], [f"v{at + 1}"]))
        else:
            nodes[-1].output[0] = f"v{at + 1}"
    shape = [1] if views % 2 else [1, 1]
    ends = [helper.make_tensor_value_info("v0", TensorProto.FLOAT, [1, 1]),
            helper.make_tensor_value_info(f"v{maps}", TensorProto.FLOAT, shape)]  # fmt: skip
    graph = helper.make_graph(nodes, "nodes", ends[:1], ends[1:], sizes if views else [])
    opset = [helper.make_opsetid("", 17)]
    data: bytes = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    return data


def microseconds(maps: int, views: int = 0) -> float:
    run = load_session(model(maps, views), 1)
    taken = [run() for _ in range(RUNS)]
    return 1e3 * float(np.quantile(taken, 0.25))


def main() -> None:
    call, many, viewed = microseconds(1), microseconds(COUNT + 1), microseconds(COUNT + 1, COUNT)
    print(f"a call of one node {call:.2f} us")
    print(
        f"each other node {(many - call) / COUNT:.3f} us, {(many - call) / COUNT / call:.3f} of it"
    )
    print(f"each view {(viewed - many) / COUNT:.3f} us, {(viewed - many) / COUNT / call:.3f} of it")


if __name__ == "__main__":
    main()
