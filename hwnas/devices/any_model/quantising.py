"""Another precision of a model by ONNX Runtime's own tools, in a process of its own.

int8 is static: pairs of QuantizeLinear and DequantizeLinear around every tensor whose operator has
a kernel of bytes, weights per channel, ranges from the smallest to the largest value seen.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from hwnas.devices.any_model.child import limit_memory, reasons_told, tell
from hwnas.errors import ModelRejectedError
from hwnas.profilers.onnxruntime_sessions import BELOW, made_up, new_session, number_type

__all__ = ["ABOUT", "CALIBRATION", "GIVEN", "MADE", "work"]

#: Files of the process: the model, batches of its inputs, what is made of it, what is said of that.
GIVEN, CALIBRATION, MADE, ABOUT = "given.onnx", "calibration.npz", "made.onnx", "about.json"
_PREPARED = "prepared.onnx"
#: Batches of random numbers, where no calibration is given: ranges do not change the latency.
_RANDOM = 4
#: TensorRT reads a zero of 0, floats for weights in front of their pair, and biases in floats.
_TENSORRT = {
    **{"ActivationSymmetric": True, "WeightSymmetric": True},
    **{"AddQDQPairToWeight": True, "QuantizeBias": False},
}
#: What moves numbers, or makes them before the model runs, and computes nothing.
_MOVES = frozenset(
    {
        *("Cast", "Constant", "ConstantOfShape", "DequantizeLinear", "Expand", "Identity"),
        *("QuantizeLinear", "Range", "Shape", "Size"),
    }
)


def work(name: str, way: str) -> None:
    """Make the model of another precision, and tell which operators stay in floats."""
    folder = Path(name)
    with reasons_told(folder, "ONNX Runtime cannot convert it"):
        limit_memory()
        given = json.loads(way)
        if given["precision"] == "fp16":
            _halve(folder)
            floats: Mapping[str, int] = {}
        else:
            floats = _quantise(folder, bool(given["symmetric"]))
        tell(folder, ABOUT, {"floats": floats})


def _halve(folder: Path) -> None:
    """All numbers as halves, inputs and outputs too: some runtimes take the precision from them."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = convert_float_to_float16(onnx.load(folder / GIVEN))
    (folder / MADE).write_bytes(model.SerializeToString())


def _quantise(folder: Path, symmetric: bool) -> dict[str, int]:
    """Quantise statically; returns operators without kernels of bytes, and how many of each.

    Args:
        folder: of the process.
        symmetric: in the form that TensorRT reads.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry
    from onnxruntime.quantization.shape_inference import quant_pre_process

    given, prepared, made = (folder / name for name in (GIVEN, _PREPARED, MADE))
    quant_pre_process(given, prepared, skip_symbolic_shape=True)  # shapes are fixed by now
    quantize_static(
        prepared,
        made,
        _Reader(iter(_feeds(folder))),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        extra_options=_TENSORRT if symmetric else {},
    )
    proto = onnx.load(made)
    kinds = Counter(node.op_type for node in proto.graph.node)
    if not kinds["QuantizeLinear"]:
        raise ModelRejectedError(
            "nothing in it can be quantised: none of its operators has a kernel of bytes"
        )
    used = {node.domain for node in proto.graph.node}
    kept = [one for one in proto.opset_import if one.domain in used]
    del proto.opset_import[:]  # others may be unknown to an older runtime elsewhere
    proto.opset_import.extend(kept)
    made.write_bytes(proto.SerializeToString())
    known = {*QDQRegistry, *QLinearOpsRegistry} | _MOVES
    return {kind: count for kind, count in kinds.most_common() if kind not in known}


class _Reader:
    """What ONNX Runtime asks for batches."""

    def __init__(self, feeds: Iterator[dict[str, Any]]):
        self._feeds = feeds

    def get_next(self) -> dict[str, Any] | None:
        """The next batch, until there is none."""
        return next(self._feeds, None)


def _feeds(folder: Path) -> list[dict[str, Any]]:
    """Batches of all inputs: those that are given, else random numbers that fit."""
    session = new_session((folder / GIVEN).read_bytes(), 1)
    kinds = {place.name: number_type(place) for place in session.get_inputs()}
    if (folder / CALIBRATION).exists():
        with np.load(folder / CALIBRATION, allow_pickle=False) as file:
            batches = [np.asarray(file[str(at)], kind) for at, kind in enumerate(kinds.values())]
        return [dict(zip(kinds, parts, strict=True)) for parts in zip(*batches, strict=True)]
    said, rng = session.get_modelmeta().custom_metadata_map, np.random.default_rng(0)
    return [
        {
            place.name: made_up(place.shape, kinds[place.name], said.get(BELOW + place.name), rng)
            for place in session.get_inputs()
        }
        for _ in range(_RANDOM)
    ]
