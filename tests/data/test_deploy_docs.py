"""The example of docs/deploy.md shows a network what it was trained on, and names its answer."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from hwnas.data import ArrayDataset, from_arrays, load_data, preparation_metadata, resized

TEXT = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text(encoding="utf-8")
(CODE,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def network(shape: tuple[int, int, int], classes: int) -> onnx.ModelProto:
    """One linear layer with random weights."""
    weights = np.random.default_rng(0).normal(size=(int(np.prod(shape)), classes))
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["input"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["output"]),
        ],
        "linear",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, *shape])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, classes])],
        [numpy_helper.from_array(weights.astype(np.float32), "weights")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 12, 8)])
def test_the_example_does_as_training_did(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    shape: tuple[int, int, int],
) -> None:
    rng = np.random.default_rng(1)
    for name in ("bird", "cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(5):
            pixels = rng.integers(0, 256, (17, 31, 3), dtype=np.uint8)
            exif = Image.Exif()
            exif[0x0112] = 6  # a camera that was held upright
            Image.fromarray(pixels).save(
                tmp_path / "images" / name / f"{number}.jpg", exif=exif, quality=95
            )
    data = load_data(f"imagefolder:{tmp_path / 'images'}", input_shape=shape)
    assert isinstance(data, ArrayDataset)
    model = network(shape, data.classes)
    helper.set_model_props(model, preparation_metadata(data, shape))
    onnx.save(model, tmp_path / "network.onnx")
    monkeypatch.chdir(tmp_path)
    known = np.concatenate([data.train_images, data.validation_images, data.test_images])
    for path in sorted((tmp_path / "images").rglob("*.jpg")):
        path.rename(tmp_path / "image.jpg")
        names: dict[str, np.ndarray] = {}
        exec(compile(CODE, "docs/deploy.md", "exec"), names)
        shown = names["x"][0]
        (at,) = [
            at
            for at, image in enumerate(known)
            if np.allclose(data.to_float(image[None])[0], shown, atol=1e-5)
        ]
        weights = numpy_helper.to_array(model.graph.initializer[0])
        answer = (data.to_float(known[at : at + 1]).reshape(1, -1) @ weights).argmax()
        assert capsys.readouterr().out.strip() == ("bird", "cat", "dog")[answer]


def test_the_example_squeezes_what_was_not_cropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = np.random.default_rng(2).integers(0, 256, (20, 3, 16, 31), dtype=np.uint8)
    data = from_arrays((resized(large, (8, 12)), np.arange(20) % 2), name="x")
    model = network((3, 8, 12), 2)
    helper.set_model_props(model, preparation_metadata(data, (3, 8, 12)))
    onnx.save(model, tmp_path / "network.onnx")
    Image.fromarray(large[0].transpose(1, 2, 0)).save(tmp_path / "image.jpg", "PNG")
    monkeypatch.chdir(tmp_path)
    names: dict[str, np.ndarray] = {}
    exec(compile(CODE, "docs/deploy.md", "exec"), names)
    wanted = data.to_float(resized(large[:1], (8, 12)))
    np.testing.assert_allclose(names["x"], wanted, atol=1.01 / min(data.std))  # a level, rounded


def test_ten_lines_suffice() -> None:
    assert len([line for line in CODE.splitlines() if line and "import" not in line]) <= 10
