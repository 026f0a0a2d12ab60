"""Whole networks on a V100 through TensorRT: predicted beside what others published.

python benchmarks/v100_networks.py

The networks are written here as ONNX; their weights are ``ConstantOfShape``, since latency does not
depend on them. What was published of ResNet-50 are times of a card alone. Of the others, copies of
input and output may be in the times: the last column adds them to the prediction, at what a card's
bus moves from ordinary memory.
"""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from hwnas.predictors import predict_engine
from hwnas.predictors.tensorrt.networks import WITHIN_NETWORK

__all__ = ["NETWORKS", "Net"]


class Net:
    """An ONNX graph that is written operator by operator; tensors are names with shapes."""

    def __init__(self, size: int = 224, channels: int = 3):
        self.nodes: list = []
        self.initializers: list = []
        self.shapes: dict[str, tuple[int, ...]] = {"input": (1, channels, size, size)}
        self.last = "input"

    def add(self, op: str, inputs: Sequence[str], shape: tuple[int, ...], **attributes) -> str:
        """Write a node; its result has this shape."""
        name = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        self.shapes[name] = shape
        self.last = name
        return name

    def weight(self, *shape: int) -> str:
        """A constant of this shape."""
        dims = f"dims{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.array(shape, np.int64), dims))
        name = f"weight{len(self.nodes)}"
        self.nodes.append(helper.make_node("ConstantOfShape", [dims], [name]))
        return name

    def conv(self, x, out, kernel=1, stride=1, act="Relu", groups=1, norm=True, pad=None):
        """Convolution, batch-norm if asked, activation if named."""
        kernels = (kernel, kernel) if isinstance(kernel, int) else kernel
        pads = tuple(k // 2 for k in kernels) if pad is None else (pad, pad)
        _, channels, *size = self.shapes[x]
        pixels = [
            (s + 2 * p - k) // stride + 1 for s, p, k in zip(size, pads, kernels, strict=True)
        ]
        shape = (1, out, *pixels)
        given = [x, self.weight(out, channels // groups, *kernels)]
        if not norm:
            given.append(self.weight(out))
        y = self.add(
            "Conv",
            given,
            shape,
            kernel_shape=kernels,
            strides=(stride, stride),
            pads=(*pads, *pads),
            group=groups,
        )
        return self.act(self.norm(y) if norm else y, act)

    def norm(self, x):
        """Batch normalisation."""
        channels = self.shapes[x][1]
        given = [x, *(self.weight(channels) for _ in range(4))]
        return self.add("BatchNormalization", given, self.shapes[x])

    def act(self, x, kind):
        """An activation; None leaves ``x``."""
        shape = self.shapes[x]
        if not kind:
            return x
        if kind == "Relu6":
            limits = []
            for value in (0.0, 6.0):
                limits.append(f"limit{len(self.initializers)}")
                array = np.array(value, np.float32)
                self.initializers.append(numpy_helper.from_array(array, limits[-1]))
            return self.add("Clip", [x, *limits], shape)
        if kind == "Swish":
            return self.add("Mul", [x, self.add("Sigmoid", [x], shape)], shape)
        return self.add(kind, [x], shape)

    def pool(self, x, op="MaxPool", kernel=3, stride=2, pad=None, ceil=False):
        """Pooling; half of the kernel is padded where nothing is said."""
        n, channels, *size = self.shapes[x]
        pad = kernel // 2 if pad is None else pad
        up = stride - 1 if ceil else 0
        pixels = [(s + 2 * pad - kernel + up) // stride + 1 for s in size]
        return self.add(
            op,
            [x],
            (n, channels, *pixels),
            kernel_shape=(kernel, kernel),
            strides=(stride, stride),
            pads=(pad,) * 4,
            ceil_mode=int(ceil),
        )

    def concat(self, *parts):
        """The channels one after the other."""
        n, _, *size = self.shapes[parts[0]]
        channels = sum(self.shapes[part][1] for part in parts)
        return self.add("Concat", parts, (n, channels, *size), axis=1)

    def sum(self, x, y, act="Relu"):
        """A residual sum and its activation."""
        return self.act(self.add("Add", [x, y], self.shapes[x]), act)

    def mean(self, x):
        """Mean over height and width."""
        return self.add("GlobalAveragePool", [x], (*self.shapes[x][:2], 1, 1))

    def linear(self, x, out, act=None):
        """A fully connected layer."""
        n, *rest = self.shapes[x]
        flat = self.add("Flatten", [x], (n, prod(rest)), axis=1) if len(rest) > 1 else x
        given = [flat, self.weight(out, prod(rest)), self.weight(out)]
        return self.act(self.add("Gemm", given, (n, out), transB=1), act)

    def classify(self, x, classes=1000):
        """Global pooling and a fully connected layer."""
        return self.linear(self.mean(x), classes)

    def gate(self, x, middle, act="Relu", gate="Sigmoid"):
        """Squeeze and excitation."""
        y = self.conv(self.mean(x), middle, act=act, norm=False)
        y = self.conv(y, self.shapes[x][1], act=gate, norm=False)
        return self.add("Mul", [x, y], self.shapes[x])

    def model(self) -> bytes:
        """What was written, from the input to the last node."""
        kind = TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("input", kind, self.shapes["input"])],
            [helper.make_tensor_value_info(self.last, kind, self.shapes[self.last])],
            self.initializers,
        )
        data: bytes = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
        ).SerializeToString()
        return data


def resnet(blocks: Sequence[int], bottleneck: bool, stride_first: bool = False) -> bytes:
    """He et al. 2016, table 1; version 1 has its stride in the first 1x1."""
    net = Net()
    x = net.pool(net.conv("input", 64, 7, 2))
    for stage, count in enumerate(blocks):
        width = 64 * 2**stage
        out = width * 4 if bottleneck else width
        for at in range(count):
            stride = 2 if stage and not at else 1
            if bottleneck:
                y = net.conv(x, width, 1, stride if stride_first else 1)
                y = net.conv(y, width, 3, 1 if stride_first else stride)
                y = net.conv(y, out, act=None)
            else:
                y = net.conv(net.conv(x, width, 3, stride), out, 3, act=None)
            if stride > 1 or net.shapes[x][1] != out:
                x = net.conv(x, out, 1, stride, act=None)
            x = net.sum(y, x)
    net.classify(x)
    return net.model()


def mobilenet_v1() -> bytes:
    """Howard et al. 2017, table 1."""
    net = Net()
    x = net.conv("input", 32, 3, 2)
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
    for out, stride in [*plan, *[(512, 1)] * 5, (1024, 2), (1024, 1)]:
        channels = net.shapes[x][1]
        x = net.conv(net.conv(x, channels, 3, stride, groups=channels), out)
    net.classify(x)
    return net.model()


def mobilenet_v2() -> bytes:
    """Sandler et al. 2018, table 2."""
    net = Net()
    x = net.conv("input", 32, 3, 2, "Relu6")
    plan = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)]
    for expand, out, count, first in [*plan, (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
        for at in range(count):
            stride = 1 if at else first
            channels = net.shapes[x][1]
            y = net.conv(x, channels * expand, act="Relu6") if expand > 1 else x
            y = net.conv(y, channels * expand, 3, stride, "Relu6", groups=channels * expand)
            y = net.conv(y, out, act=None)
            x = net.sum(x, y, None) if stride == 1 and channels == out else y
    net.classify(net.conv(x, 1280, act="Relu6"))
    return net.model()


#: Name -> how it is made, and precision -> batch -> published ms.
NETWORKS: dict[str, tuple[Callable[[], bytes], dict[str, dict[int, float]]]] = {
    "ResNet-50 v1": (
        lambda: resnet((3, 4, 6, 3), True, stride_first=True),
        {
            "fp32": {16: 11.17, 32: 20.26, 64: 37.81},
            "fp16": {16: 3.62, 32: 5.80, 64: 10.14},
        },
    ),
    "ResNet-18": (
        lambda: resnet((2, 2, 2, 2), False),
        {"fp32": {1: 1.22, 4: 2.19, 8: 3.63}},
    ),
    "ResNet-101": (
        lambda: resnet((3, 4, 23, 3), True),
        {"fp32": {1: 4.37, 4: 8.18, 8: 12.38}},
    ),
    "MobileNetV1": (mobilenet_v1, {"fp32": {1: 0.64, 4: 1.57, 8: 2.48}}),
    "MobileNetV2": (mobilenet_v2, {"fp32": {1: 1.02, 4: 1.93, 8: 2.89}}),
}


def main() -> None:
    print("network        precision batch published predicted   error   90 % interval  with copies")
    alone, copied, logs, names, inside = [], [], [], [], []
    for name, (make, published) in NETWORKS.items():
        model = make()
        for precision, known in published.items():
            engine = f"v100-tensorrt-{precision}"
            for batch, ms in known.items():
                found = predict_engine(model, engine, batch=batch)
                low, high = found.interval(0.9)
                error = found.predicted_ms / ms - 1
                line = f"{name:14s} {precision:9s} {batch:5d} {ms:9.2f} {found.predicted_ms:9.2f}"
                line += f" {error:+7.1%} {low:6.2f} to {high:5.2f}"
                logs.append(np.log(found.predicted_ms / ms))
                names.append(name)
                inside.append(low <= ms <= high)
                if name != "ResNet-50 v1":
                    moved = predict_engine(model, engine, batch=batch, copies=True)
                    alone.append(error)
                    copied.append(moved.predicted_ms / ms - 1)
                    line += f" {copied[-1]:+11.1%}"
                print(line)
    fifty = [log for log, name in zip(logs, names, strict=True) if name == "ResNet-50 v1"]
    factor = WITHIN_NETWORK * np.exp(-np.mean(fifty))
    spread = np.sqrt(np.mean(np.square(logs)))
    print(f"\nResNet-50 takes {factor:.3f} times its kernels alone; {WITHIN_NETWORK} is used")
    print(f"all {len(logs)}: root mean square error {spread:.3f} (log)")
    print(f"90 % intervals hold {np.mean(inside):.0%} of these")
    for what, errors in (("", alone), (" and copies", copied)):
        sizes = np.abs(errors)
        print(f"all but ResNet-50{what}: mean {sizes.mean():.1%}, at most {sizes.max():.1%}")


if __name__ == "__main__":
    main()
