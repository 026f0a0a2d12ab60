"""What a file is that should have been an ONNX model."""

__all__ = ["what_it_is"]

#: Where a file begins so, it is that; and what to do about it.
_BEGINNINGS = (
    (b"version https://git-lfs", "a Git LFS pointer", "fetch the file itself: git lfs pull"),
    (b"PK\x03\x04", "a zip archive, as PyTorch and Keras save weights", "export the network"),
    (b"\x80", "a pickle, as PyTorch saves weights", "export the network"),
    (b"\x89HDF", "an HDF5 file, as Keras saves weights", "export the network"),
    (b"\x1f\x8b", "a compressed file", "unpack it"),
)
_PAGES = (b"<!doctype html", b"<html", b"<?xml")
_FLATBUFFERS = {b"TFL3": "a TensorFlow Lite model", b"ORTM": "a model in ONNX Runtime's ORT format"}
#: Of a model: the tag of its first field, and the numbers of all its fields.
_IR_VERSION, _FIELDS = 0x08, {*range(1, 9), 14, 20, 25, 26}
_EXPORT = "export it: torch.onnx.export (PyTorch), tf2onnx (TensorFlow, Keras, TFLite)"


def what_it_is(data: bytes) -> str:
    """The end of a sentence that begins with the file's name: what it is, and what to do."""
    if not data:
        return "is an empty file, not an ONNX model: download or export it again"
    for beginning, what, advice in _BEGINNINGS:
        if data.startswith(beginning):
            more = f" ({_EXPORT})" if advice.startswith("export") else ""
            return f"is {what}, not an ONNX model: {advice}{more}"
    if data[:200].lstrip().lower().startswith(_PAGES):
        return "is a web page, not an ONNX model: download the file itself, not the page about it"
    if data[4:8] in _FLATBUFFERS:
        return f"is {_FLATBUFFERS[data[4:8]]}, not an ONNX model: {_EXPORT}"
    end = _promised_end(data)
    if end is not None and end > len(data):
        return (
            f"is an ONNX model that was cut off: {len(data):,} bytes of at least {end:,} are "
            "there; download or export it again"
        )
    return f"is not an ONNX model with at least one node: {_EXPORT}"


def _promised_end(data: bytes) -> int | None:
    """Where the last field of a model ends as its length says; None where it is no model.

    A model in protobuf's encoding begins with its IR version, and every field says its length.
    """
    at, first = 0, True
    while at < len(data):
        tag, at = _varint(data, at)
        field, kind = tag >> 3, tag & 7
        if (first and tag != _IR_VERSION) or field not in _FIELDS or kind not in (0, 2):
            return None
        first = False
        value, at = _varint(data, at)
        if kind == 2:
            at += value
    return None if first else at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends; one that is cut ends beyond the data."""
    value = 0
    for shift in range(0, 70, 7):
        if at + shift // 7 >= len(data):
            break
        byte = data[at + shift // 7]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + shift // 7 + 1
    return value, len(data) + 1
