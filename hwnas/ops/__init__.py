"""Operators, one family a file: a frozen dataclass here and a line in ``FAMILIES``."""

from collections.abc import Mapping
from types import MappingProxyType

from hwnas.ops.darts import DilConv, FactorizedReduction, MaxPool, MeanPool, SepConv
from hwnas.ops.fbnet import FBNetBlock, FBNetHead, FBNetSkip, FBNetStem
from hwnas.ops.graph import Graph, Node, Shape
from hwnas.ops.identity import Identity
from hwnas.ops.mbconv import MBConv
from hwnas.ops.mobilenetv3 import MobileNetV3Block, MobileNetV3Head, MobileNetV3Stem
from hwnas.ops.nasbench201 import AvgPool, ReLUConvBN, ResidualReduction, Zero
from hwnas.ops.op import Op
from hwnas.ops.resnet import LinearHead, QuantizedBasicBlock, ResNetStem
from hwnas.ops.shufflenet import ShuffleHead, ShuffleStem, ShuffleUnit, ShuffleXception
from hwnas.ops.stem_head import Classifier, ConvHead, Stem
from hwnas.ops.workload import Workload
from hwnas.ops.workload import parse_workload as _parse_workload

__all__ = [
    "FAMILIES",
    "AvgPool",
    "Classifier",
    "ConvHead",
    "DilConv",
    "FBNetBlock",
    "FBNetHead",
    "FBNetSkip",
    "FBNetStem",
    "FactorizedReduction",
    "Graph",
    "Identity",
    "LinearHead",
    "MBConv",
    "MaxPool",
    "MeanPool",
    "MobileNetV3Block",
    "MobileNetV3Head",
    "MobileNetV3Stem",
    "Node",
    "Op",
    "QuantizedBasicBlock",
    "ReLUConvBN",
    "ResNetStem",
    "ResidualReduction",
    "SepConv",
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
        DilConv,
        FBNetBlock,
        FBNetHead,
        FBNetSkip,
        FBNetStem,
        FactorizedReduction,
        Identity,
        LinearHead,
        MBConv,
        MaxPool,
        MeanPool,
        MobileNetV3Block,
        MobileNetV3Head,
        MobileNetV3Stem,
        QuantizedBasicBlock,
        ReLUConvBN,
        ResNetStem,
        ResidualReduction,
        SepConv,
        ShuffleHead,
        ShuffleStem,
        ShuffleUnit,
        ShuffleXception,
        Stem,
        Zero,
    )
}


def parse_workload(key: str, own: Mapping[str, type[Op]] = MappingProxyType({})) -> Workload:
    """The workload whose ``key`` this is.

    Args:
        key: what `Workload.key` printed.
        own: operator families that do not ship, by name; those of a space are
            `hwnas.spaces.SearchSpace.families`.

    Raises:
        UnknownNameError: it is no key, or of a family that is not known.
        OptionError: the operator does not exist at these shapes.
    """
    return _parse_workload(key, {**own, **FAMILIES})
