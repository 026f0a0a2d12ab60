"""TensorRT's fusions of small models whose kernels are known."""

from collections import Counter

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import hwnas
from hwnas.errors import ModelFormatError, OptionError
from hwnas.kernels import ConvolutionShape, fuse, fused_graph

SIZE = 8


class Model:
    """A model written node by node; every map has as many channels, and ``SIZE`` rows."""

    def __init__(self, channels=4, batch=1):
        self.nodes, self.initializers, self.sparse, self.channels = [], [], [], channels
        self.input = helper.make_tensor_value_info(
            "x", TensorProto.FLOAT, [batch, channels, SIZE, SIZE]
        )

    def constant(self, *shape, value=None):
        name = f"c{len(self.initializers)}"
        array = np.ones(shape, np.float32) if value is None else value
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def add(self, op, *inputs, outputs=1, **attributes):
        names = [f"{op}{len(self.nodes)}.{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=names[0], **attributes))
        return names[0] if outputs == 1 else names

    def conv(self, x, out=None, kernel=3, groups=1, channels=None):
        channels = channels or self.channels
        weight = self.constant(out or self.channels, channels // groups, kernel, kernel)
        return self.add("Conv", x, weight, pads=[kernel // 2] * 4, group=groups)

    def norm(self, x, channels=None):
        rows = [self.constant(channels or self.channels) for _ in range(4)]
        return self.add("BatchNormalization", x, *rows)

    def fused(self, *results, **arguments):
        graph = helper.make_graph(
            self.nodes,
            "model",
            [self.input],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in results],
            self.initializers,
            sparse_initializer=self.sparse,
        )
        opset = helper.make_opsetid("", 17)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
        return fuse(model.SerializeToString(), **arguments)


def told(fused):
    return [(kernel.kind, "+".join(kernel.ops)) for kernel in fused.kernels]


def test_scales_sums_and_activations_join_the_convolution_that_is_computed_last():
    model = Model()
    first = model.norm(model.conv("x"))
    second = model.norm(model.conv("x", kernel=1))
    result = model.add("Relu", model.add("Add", first, second))
    found = model.fused(result)
    assert told(found) == [
        ("convolution", "Conv+BatchNormalization"),
        ("convolution", "Conv+BatchNormalization+Add+Relu"),
    ]
    last = found.kernels[1]
    size = 4 * SIZE * SIZE
    assert last.convolution == ConvolutionShape(4, 4, SIZE, SIZE, SIZE, SIZE, fused_add=True)
    assert (last.elements_in, last.elements_out, last.elements_constant) == (2 * size, size, 16)
    assert found.macs == (9 + 1) * 4 * 4 * SIZE * SIZE


def test_what_others_read_stays_as_it_is():
    model = Model()
    x = model.conv("x")
    y = model.add("Relu", x)
    assert told(model.fused(x, y)) == [("convolution", "Conv"), ("pointwise", "Relu")]


def test_a_depthwise_convolution_takes_no_sum():
    model = Model()
    y = model.conv("x", groups=4)
    found = model.fused(model.add("Add", "x", y))
    assert told(found) == [("convolution", "Conv"), ("pointwise", "Add")]
    assert found.kernels[0].convolution.depthwise


def test_an_activation_closes_a_convolution():
    model = Model()
    y = model.add("Relu", model.conv("x"))
    found = model.fused(model.add("Relu", model.norm(model.add("Add", "x", y))))
    assert told(found) == [
        ("convolution", "Conv+Relu"),
        ("pointwise", "Add+BatchNormalization+Relu"),
    ]


def test_a_norm_in_front_of_a_convolution_is_a_kernel():
    model = Model()
    found = model.fused(model.conv(model.add("Relu", model.norm("x"))))
    assert told(found) == [("pointwise", "BatchNormalization+Relu"), ("convolution", "Conv")]
    assert found.kernels[0].elements_in == found.kernels[0].elements_out == 4 * SIZE * SIZE


def test_a_swish_and_a_gate_are_one_kernel_each():
    model = Model()
    x = model.conv("x")
    x = model.add("Mul", x, model.add("Sigmoid", x))
    gate = model.add("Relu", model.conv(model.add("GlobalAveragePool", x), 2, 1))
    gate = model.add("HardSigmoid", model.conv(gate, 4, 1, channels=2))
    found = model.fused(model.add("Mul", x, gate))
    assert told(found) == [
        ("convolution", "Conv"),
        ("pointwise", "Sigmoid+Mul"),
        ("reduce", "GlobalAveragePool"),
        ("convolution", "Conv+Relu"),
        ("convolution", "Conv"),
        ("pointwise", "HardSigmoid+Mul"),
    ]
    size = 4 * SIZE * SIZE
    assert [found.kernels[at].elements_in for at in (1, 2, 5)] == [size, size, size + 4]


def test_a_concatenation_moves_only_what_has_no_place():
    model = Model()
    one, two = model.conv("x"), model.add("MaxPool", "x", kernel_shape=[1, 1])
    inner = model.add("Concat", one, two, axis=1)
    outer = model.add("Concat", inner, "x", two, axis=1)
    found = model.fused(model.add("Relu", outer))
    assert told(found) == [
        ("convolution", "Conv"),
        ("pool", "MaxPool"),
        ("copy", "Concat"),  # the model's input lies elsewhere
        ("copy", "Concat"),  # the pool's result is written in the inner one
        ("pointwise", "Relu"),
    ]
    rows = Model()
    parts = rows.conv("x"), rows.conv("x", kernel=1)
    found = rows.fused(rows.add("Concat", *parts, axis=2))
    assert told(found)[2:] == [("copy", "Concat")] * 2, "only channels lie one after the other"


def test_concatenations_that_go_on_move_nothing():
    model = Model()
    parts = [model.conv("x"), model.conv("x", kernel=1)]
    for at in range(3):
        joined = model.add("Concat", *parts, axis=1)
        parts.append(model.conv(joined, kernel=3 - 2 * (at % 2), channels=4 * len(parts)))
    found = model.fused(parts[-1])
    assert [k.kind for k in found.kernels] == ["convolution"] * 5


def test_convolutions_of_one_form_that_read_one_tensor_are_one():
    model = Model()
    parts = [model.add("Relu", model.conv("x", 3, 1))]
    parts.append(model.add("Relu", model.norm(model.conv("x", 5, 1), 5)))
    parts.append(model.conv("x", 7, 1))  # no activation: another kernel
    found = model.fused(model.add("Concat", *parts, axis=1))
    assert [k.convolution.out_channels for k in found.kernels] == [3 + 5, 7]
    assert found.macs == 4 * (3 + 5 + 7) * SIZE * SIZE
    assert sum(k.elements_out for k in found.kernels) == (3 + 5 + 7) * SIZE * SIZE


def test_views_quantisation_and_padding_are_no_kernels():
    model = Model(batch=2)
    pads = model.constant(value=np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
    weight = model.constant(4, 4, 3, 3)
    scale = [model.constant(value=np.float32(0.1)), model.constant(value=np.int8(0))]
    y = model.add("Conv", model.add("Pad", "x", pads), weight)
    y = model.add("DequantizeLinear", model.add("QuantizeLinear", y, *scale), *scale)
    y = model.add("Flatten", model.add("Relu", y))
    y = model.add("Gemm", y, model.constant(5, 4 * SIZE * SIZE), transB=1)
    found = model.fused(model.add("Add", y, model.constant(5)))
    assert told(found) == [("convolution", "Conv+Relu"), ("linear", "Gemm+Add")]
    assert found.batch == 2
    assert found.kernels[0].elements_in == 4 * SIZE * SIZE, "of one image, without padding"
    assert found.kernels[1].convolution == ConvolutionShape(4 * SIZE * SIZE, 5, 1, 1, 1, 1)


def test_only_padding_with_zeros_is_taken_in():
    model = Model()
    pads = model.constant(value=np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
    y = model.add("Pad", "x", pads, mode="reflect")
    found = model.fused(model.add("Conv", y, model.constant(4, 4, 3, 3)))
    assert [k.kind for k in found.kernels] == ["copy", "convolution"]


def test_what_no_result_needs_does_not_run():
    model = Model()
    y = model.conv("x")
    model.add("Softmax", y)
    assert told(model.fused(model.add("Relu", y))) == [("convolution", "Conv+Relu")]


def test_sparse_weights_are_constants():
    model = Model()
    values = numpy_helper.from_array(np.ones(1, np.float32), "w")
    where = numpy_helper.from_array(np.zeros(1, np.int64), "at")
    model.sparse.append(helper.make_sparse_tensor(values, where, [6, 4, 1, 1]))
    (kernel,) = model.fused(model.add("Conv", "x", "w")).kernels
    assert kernel.convolution == ConvolutionShape(4, 6, SIZE, SIZE, SIZE, SIZE)


def test_shuffles_and_splits_are_copies():
    model = Model()
    shape = model.constant(value=np.array([1, 2, 2, SIZE, SIZE], np.int64))
    back = model.constant(value=np.array([1, 4, SIZE, SIZE], np.int64))
    y = model.add("Transpose", model.add("Reshape", "x", shape), perm=[0, 2, 1, 3, 4])
    one, two = model.add("Split", model.add("Reshape", y, back), axis=1, outputs=2)
    found = model.fused(one, two)
    assert told(found) == [("copy", "Transpose"), ("copy", "Split")]
    assert all(k.elements_in == k.elements_out == 4 * SIZE * SIZE for k in found.kernels)


def test_unusual_convolutions_keep_their_arithmetic_and_are_remarked():
    model = Model()
    weight = model.constant(4, 6, 4, 4)
    y = model.add("ConvTranspose", "x", weight, strides=[2, 2], pads=[1] * 4)
    dilated = model.add("Conv", "x", model.constant(4, 4, 3, 3), dilations=[2, 2], pads=[2] * 4)
    found = model.fused(y, dilated)
    transposed, other = found.kernels
    assert transposed.remark == "it is transposed"
    assert transposed.convolution.macs == SIZE * SIZE * 4 * 6 * 4 * 4
    assert transposed.elements_out == 6 * (2 * SIZE) ** 2
    assert "dilated" in other.remark


def test_products_of_activations():
    model = Model()
    found = model.fused(model.add("MatMul", "x", "x"))
    assert [k.kind for k in found.kernels] == ["product"]
    assert found.macs == 4 * SIZE * SIZE * SIZE


def test_sizes_that_a_model_computes_are_known():
    """Half of the channels, as exporters write ``chunk``, and a resize by them."""

    def number(value):
        return model.constant(value=np.array(value, np.int64))

    model = Model()
    channels = model.add("Gather", model.add("Shape", "x"), number([1]), axis=0)
    half = model.add("Div", model.add("Add", channels, number([1])), number([2]))
    y = model.add("Slice", "x", number([0]), half, number([1]))
    sizes = model.add("Concat", number([1]), half, number([3 * SIZE, SIZE]), axis=0)
    found = model.fused(model.add("Resize", y, "", "", sizes))
    assert told(found) == [("copy", "Slice"), ("resize", "Resize")]
    assert [k.elements_out for k in found.kernels] == [2 * SIZE * SIZE, 2 * 3 * SIZE * SIZE]


def test_what_is_not_known_is_named():
    model = Model()
    y = model.add("NonZero", "x")
    found = model.fused(model.add("Relu", model.add("Cast", y, to=TensorProto.FLOAT)))
    assert [k.kind for k in found.kernels] == ["NonZero", "pointwise"]
    assert all("not known before a run" in k.remark for k in found.kernels)


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("Conv", {"strides": [0, 1]}),
        ("Conv", {"strides": [1]}),
        ("Conv", {"dilations": 1}),
        ("Conv", {"group": 3}),
        ("Conv", {"group": -1}),
        ("ConvTranspose", {"strides": [0, 0]}),
        ("Transpose", {"perm": [9, 0, 1, 2]}),
        ("Transpose", {"perm": [0, 0, 0, 0]}),
        ("Concat", {"axis": "1"}),
        ("Gemm", {}),
        ("MatMul", {}),
        ("Add", {}),
    ],
)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_nodes_that_make_no_sense_end_nothing(op, attributes, count):
    model = Model()
    inputs = ["x", *(model.constant(4, 4, 3, 3) for _ in range(count))][:count]
    result = model.add(op, *inputs, **attributes)
    try:
        found = model.fused(model.add("Relu", result))
    except ModelFormatError:
        return
    assert all(k.kind and k.elements_out >= 0 for k in found.kernels)


def test_sizes_beyond_all_reason_are_not_known():
    model = Model()
    shape = model.constant(value=np.array([2**40, 2**40], np.int64))
    found = model.fused(model.add("Relu", model.add("Expand", "x", shape)))
    assert all("not known" in k.remark for k in found.kernels)


def test_a_batch_that_is_not_said_is_one_image_and_other_sizes_are_asked_for():
    model = Model()
    model.input = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, SIZE, SIZE])
    result = model.add("Relu", "x")
    assert model.fused(result).batch == 1
    assert model.fused(result, shapes={"": (3, 4, SIZE, SIZE)}).batch == 3
    with pytest.raises(OptionError, match="contradicts"):
        model.fused(result, shapes={"x": (3, 5, SIZE, SIZE)})
    model.input = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, "h", "w"])
    with pytest.raises(ModelFormatError, match="dynamic shape"):
        model.fused(result)


def facts(kernels):
    """What costs time; how a batch-norm is written does not."""
    return Counter(
        (k.kind, k.elements_in, k.elements_out, k.elements_constant, k.convolution)
        for k in kernels
        if k.kind != "pointwise"
    ) + Counter((k.kind, k.elements_in, k.elements_out) for k in kernels if k.kind == "pointwise")


CHAINS = {
    "ofa": {"input_size": 128},
    "shufflenet": {"input_size": 64},
    "resnet18-bits": {"input_size": 64},
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_space_its_models_and_its_workloads_run_the_same_kernels(name):
    space = hwnas.space(name, **CHAINS[name])
    arch = space.sample(1, seed=0)[0]
    whole = facts(fused_graph(space.graph(arch)).kernels)
    parts = [k for w in space.workloads(arch) for k in fused_graph(w.graph()).kernels]
    assert facts(parts) == whole
    assert facts(fuse(space.to_onnx(arch, precision="int8", symmetric=True)).kernels) == whole
    assert fused_graph(space.graph(arch)).macs == space.macs(arch)[0]


def test_a_cell_fuses_its_sums():
    space = hwnas.space("nasbench201", cells=1)
    arch = space.parse(
        "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|none~1|avg_pool_3x3~2|"
    )
    kinds = Counter(k.kind for k in fused_graph(space.graph(arch)).kernels)
    model = Counter(k.kind for k in fuse(space.to_onnx(arch)).kernels)
    assert kinds == model
    sums = [k for k in fused_graph(space.graph(arch)).kernels if "Add" in k.ops]
    assert sums
    assert all(k.kind == "convolution" and k.convolution.fused_add for k in sums)
