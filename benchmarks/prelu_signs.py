"""What a PRelu of ONNX Runtime takes a number, by how the signs of its numbers are strewn.

python benchmarks/prelu_signs.py
"""

import time

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

SHAPE = (1, 128, 400)
RUNS = 60


def session() -> ort.InferenceSession:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in "xy"]
    slope = numpy_helper.from_array(np.full(1, 0.1, np.float32), "slope")
    node = helper.make_node("PRelu", ["x", "slope"], ["y"])
    graph = helper.make_graph([node], "prelu", ends[:1], ends[1:], [slope])
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options)


def main() -> None:
    rng, run = np.random.default_rng(0), session().run
    normal = rng.standard_normal(SHAPE)
    for name, values in (
        ("each sign at random", normal),
        ("shifted by 0.3", normal + 0.3),
        ("along a random walk", np.cumsum(normal, axis=-1)),
        ("one sign a channel", np.abs(normal) * np.sign(rng.standard_normal((1, 128, 1)))),
        ("all positive", np.abs(normal)),
    ):
        x, taken = values.astype(np.float32), []
        for _ in range(RUNS):
            start = time.perf_counter_ns()
            run(None, {"x": x})
            taken.append(time.perf_counter_ns() - start)
        print(f"{name:20s} {np.quantile(taken, 0.25) / x.size:5.2f} ns a number")


if __name__ == "__main__":
    main()
