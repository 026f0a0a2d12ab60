"""Which kernels are drawn: a function of the seed alone."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
from onnx import NodeProto, TensorProto

from hwnas.kernels import canonical, content, split
from hwnas.profilers.kernels import choose_kernels
from hwnas.profilers.random_networks import LOOSE, random_network


def otherwise(piece, number):
    """The same kernel as another process may write it: other names, attributes in another order."""
    node = NodeProto()
    node.CopyFrom(piece.node)
    node.name = f"node {number}"
    renamed = {name: f"{number}.{name}" for name in (*node.input, *node.output) if name}
    node.input[:] = [renamed.get(name, "") for name in node.input]
    node.output[:] = [renamed.get(name, "") for name in node.output]
    attributes = list(node.attribute)[::-1]
    node.ClearField("attribute")
    node.attribute.extend(attributes)
    constants = []
    for tensor in piece.constants[::-1]:
        copy = TensorProto()
        copy.CopyFrom(tensor)
        copy.name = renamed[tensor.name]
        constants.append(copy)
    return replace(piece, node=node, constants=tuple(constants), opsets=piece.opsets[::-1])


def test_the_order_and_the_names_of_nodes_decide_nothing():
    pieces = [piece for seed in (1, 5, 8) for piece in split(random_network(seed))]
    rng = np.random.default_rng(0)
    shuffled = [otherwise(pieces[at], at) for at in rng.permutation(len(pieces))]
    chosen, again = (choose_kernels(p, 40, np.random.default_rng(7)) for p in (pieces, shuffled))
    assert [piece.kernel for piece in chosen] == [piece.kernel for piece in again]
    assert [piece.to_onnx() for piece in chosen] == [piece.to_onnx() for piece in again]
    other = choose_kernels(pieces, 40, np.random.default_rng(8))
    assert [piece.kernel for piece in chosen] != [piece.kernel for piece in other]


def test_a_canonical_kernel_runs_as_it_did():
    import onnxruntime as ort

    for piece in split(random_network(5))[:12]:
        plain = canonical(piece)
        assert plain.kernel == piece.kernel
        assert content(canonical(plain)) == content(plain)
        session = ort.InferenceSession(plain.to_onnx(), providers=["CPUExecutionProvider"])
        shapes = [tuple(place.shape) for place in session.get_outputs()]
        assert shapes == [value.shape for value in piece.kernel.outputs]


def test_two_processes_measure_the_same_kernels():
    code = (
        "import hashlib, numpy as np\n"
        "from hwnas.kernels import split\n"
        "from hwnas.profilers.kernels import choose_kernels\n"
        "from hwnas.profilers.random_networks import random_network\n"
        "pieces = [p for seed in (4, 5) for p in split(random_network(seed))]\n"
        "chosen = choose_kernels(pieces, 40, np.random.default_rng(0))\n"
        "text = b'|'.join(p.kernel.key.encode() + p.to_onnx() for p in chosen)\n"
        "print(len(chosen), hashlib.sha256(text).hexdigest())\n"
    )
    words = [sys.executable, "-c", code]
    running = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (process.communicate()[0] for process in running)
    assert int(first.split()[0]) > 20
    assert first == second


def test_kernels_that_hardly_do_anything_are_left_out_where_others_are():
    pieces = split(random_network(0, "residual")) + split(random_network(2, LOOSE))
    chosen = choose_kernels(pieces, 20, np.random.default_rng(0))
    found = {}
    for piece in pieces:
        kernel = piece.kernel
        if kernel.static and not kernel.no_op:
            found.setdefault(kernel.family, {})[kernel.key] = kernel
    for family, kernels in found.items():
        large = [k for k in kernels.values() if k.macs >= 20_000 or k.bytes_in + k.bytes_out > 10e3]
        taken = [piece.kernel for piece in chosen if piece.kernel.family == family]
        if len(large) >= 8:
            assert len(taken) >= 8, family
            assert all(k.macs * 5e-8 + (k.bytes_in + k.bytes_out + k.bytes_constant) * 1e-7 > 1e-3
                       for k in taken), family  # fmt: skip
    assert any(len(kernels) >= 8 for kernels in found.values())


def test_where_large_kernels_are_few_the_largest_of_the_small_ones_stand_in():
    pieces = [piece for seed in (2, 5) for piece in split(random_network(seed, LOOSE))]
    chosen = {piece.kernel for piece in choose_kernels(pieces, 20, np.random.default_rng(0))}
    found = {}
    for kernel in (piece.kernel for piece in pieces):
        if kernel.static and not kernel.no_op and kernel.bytes_in + kernel.bytes_out < 16e6:
            found.setdefault(kernel.family, set()).add(kernel)
    filled = 0
    for family, kernels in found.items():
        sizes = sorted((roughly(kernel) for kernel in kernels), reverse=True)
        if len(sizes) > 8 and sizes[7] < 1e-3:
            filled += 1
            taken = sorted((roughly(k) for k in kernels & chosen), reverse=True)
            assert taken[:8] == sizes[:8], family
    assert filled


def roughly(kernel):
    """Milliseconds beside a call, of a processor that nobody has."""
    moved = kernel.bytes_in + kernel.bytes_out + kernel.bytes_constant
    return kernel.macs * 5e-8 + moved * 1e-7
