"""Operators, one family a file: a frozen dataclass here and a line in ``FAMILIES``."""

from hwnas.ops.ends import Classifier, ConvHead, Stem
from hwnas.ops.graph import Graph, Node, Shape
from hwnas.ops.identity import Identity
from hwnas.ops.mbconv import MBConv
from hwnas.ops.nasbench201 import AvgPool, ReLUConvBN, ResidualReduction, Zero
from hwnas.ops.op import Op
from hwnas.ops.resnet import LinearHead, QuantizedBasicBlock, ResNetStem
from hwnas.ops.shufflenet import ShuffleHead, ShuffleStem, ShuffleUnit, ShuffleXception
from hwnas.ops.workload import Workload
from hwnas.ops.workload import parse_workload as _parse_workload

__all__ = [
    "FAMILIES",
    "AvgPool",
    "Classifier",
    "ConvHead",
    "Graph",
    "Identity",
    "LinearHead",
    "MBConv",
    "Node",
    "Op",
    "QuantizedBasicBlock",
    "ReLUConvBN",
    "ResNetStem",
    "ResidualReduction",
    "Shape",
    "ShuffleHead",
    "ShuffleStem",
    "ShuffleUnit",
    "ShuffleXception",
    "Stem",
    "Workload",
    "Zero",
    "parse_workload",
]

FAMILIES: dict[str, type[Op]] = {
    family.__name__: family
    for family in (
        AvgPool,
        Classifier,
        ConvHead,
        Identity,
        LinearHead,
        MBConv,
        QuantizedBasicBlock,
        ReLUConvBN,
        ResNetStem,
        ResidualReduction,
        ShuffleHead,
        ShuffleStem,
        ShuffleUnit,
        ShuffleXception,
        Stem,
        Zero,
    )
}


def parse_workload(key: str) -> Workload:
    """The workload whose ``key`` this is; raises `UnknownNameError` or `OptionError`."""
    return _parse_workload(key, FAMILIES)
