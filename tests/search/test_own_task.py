"""Networks of own inputs and outputs are searched and trained by an own loss and metric."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import hwnas
from hwnas.data import Task, from_batches
from hwnas.errors import OptionError
from hwnas.search.retraining.found import retrain_found
from hwnas.search.retraining.settings import RetrainSettings
from hwnas.search.runs.run import Run
from hwnas.search.runs.stored import StoredRun

QUICK = {"steps": 30, "batch_size": 32, "population": 4, "generations": 2}
GENERATOR = torch.Generator().manual_seed(0)
#: Dark and bright ones.
IMAGES = torch.rand(240, 1, 6, 6, generator=GENERATOR)
IMAGES *= torch.rand(240, 1, 1, 1, generator=GENERATOR)


def error(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).abs().mean()


def brightness(width: int, kernel: int) -> nn.Module:
    """Tells how bright an image is."""
    return nn.Sequential(
        nn.Conv2d(1, width, kernel, 2, kernel // 2),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 1),
    )


def brightness_space():
    return hwnas.family(brightness, {"width": [4, 8], "kernel": [1, 3]}, input_shape=(1, 6, 6))


def brightness_data(**changes):
    targets = 10 * IMAGES.double().mean((1, 2, 3))[:, None]  # what reaches the loss is float32
    task = Task(F.mse_loss, error, name="grey levels off", lower_is_better=True)
    return from_batches((IMAGES, targets), name="grey", **{"task": task, **changes})


def test_a_number_is_learned_and_its_error_is_least(tmp_path: Path) -> None:
    space, data = brightness_space(), brightness_data()
    result = hwnas.find_network(
        space, data, ["params<=1k"], out=tmp_path, **{**QUICK, "steps": 80, "base_lr": 2e-2}
    )
    assert result.content["metric"] == {"name": "grey levels off", "lower_is_better": True}
    targets = torch.cat([y for _, y in data.validation()])
    images = torch.cat([x for x, _ in data.validation()])
    constant = error(targets.median(), targets)
    with torch.no_grad():
        found = error(result.module(images), targets)
    assert result.metric.value(result.accuracy) == pytest.approx(found.item(), rel=1e-4)
    assert found < 0.5 * constant
    scores = result.content["random_paths"]
    assert scores["most"] <= result.accuracy  # the smallest error won
    said = str(result)
    assert f"grey levels off  {found:.4g}"[:20] in said.replace("   ", " ")
    assert "%" not in said.split("largest")[0].split("grey levels off")[1].split("seconds")[0]


def test_what_was_found_is_trained_alone_by_the_same_loss(tmp_path: Path) -> None:
    space, data = brightness_space(), brightness_data()
    hwnas.register_space("brightness", space)
    hwnas.find_network(space, data, ["params<=1k"], out=tmp_path / "run", **QUICK)
    source = StoredRun.open(tmp_path / "run", data)
    arch = source.architecture(None)
    settings = RetrainSettings(steps=60, batch_size=32, optimizer="adam", base_lr=2e-2)
    run = Run(tmp_path / "alone", {})
    report = retrain_found(run, source, space, arch, data, settings, seed=0)
    assert report["metric"]["lower_is_better"]
    assert report["accuracy_by_class"] == []
    assert report["export"]["same_answers"] == 1
    assert report["export"]["accuracy"] == pytest.approx(report["accuracy"]["test"], rel=1e-3)
    assert -1 < report["accuracy"]["test"] < 0
    session = onnxruntime.InferenceSession(tmp_path / "alone" / "network.onnx")
    pairs = [(x[None], y) for xs, ys in data.test() for x, y in zip(xs, ys, strict=True)]
    off = [abs(session.run(None, {"input": x.numpy()})[0][0] - y.numpy()) for x, y in pairs]
    assert np.mean(off) == pytest.approx(-report["accuracy"]["test"], rel=1e-3)


class Masks(nn.Module):
    """Tells for each pixel whether it is bright, and how sure it is."""

    def __init__(self, width: int):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, 1, 1)
        self.head = nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        logits = self.head(self.stem(x).relu())
        return {"logits": logits, "sure": logits.softmax(1).amax(1)}


class Overlap:
    """Intersection over union of all pixels of all batches, which is no mean of batches."""

    def reset(self) -> None:
        self.both = self.either = 0

    def update(self, outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> None:
        found, wanted = outputs["logits"].argmax(1) == 1, targets["mask"] == 1
        self.both += int((found & wanted).sum())
        self.either += int((found | wanted).sum())

    def compute(self) -> float:
        return self.both / max(1, self.either)


def mask_loss(outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
    return F.cross_entropy(outputs["logits"], targets["mask"].long())


def test_masks_are_learned_from_a_loader(tmp_path: Path) -> None:
    examples = [(x, {"mask": (x[0] > 0.2).byte()}) for x in IMAGES]
    train = DataLoader(examples[:160], batch_size=16, shuffle=True)
    validation, test = DataLoader(examples[160:200], 7), DataLoader(examples[200:], 7)
    data = from_batches(
        train, validation, test, name="masks", task=Task(mask_loss, Overlap(), name="IoU")
    )
    space = hwnas.family(Masks, {"width": [2, 4]}, input_shape=(1, 6, 6))
    result = hwnas.find_network(
        space, data, ["params<=1k"], out=tmp_path, **{**QUICK, "steps": 80, "base_lr": 3e-2}
    )
    overlap = Overlap()
    overlap.reset()
    with torch.no_grad():
        for x, y in data.test():
            overlap.update(result.module(x), y)
    assert result.content["test_accuracy"] == pytest.approx(overlap.compute(), abs=1e-3)
    assert overlap.compute() > 0.6
    names = [o.name for o in onnxruntime.InferenceSession(result.onnx).get_outputs()]
    assert names == ["output_0", "output_1"]


class Words(nn.Module):
    """Reads numbers of words, and a few numbers beside them."""

    def __init__(self, width: int):
        super().__init__()
        self.words, self.beside = nn.Embedding(5, width), nn.Linear(3, width)
        self.end = nn.Linear(width, 2)

    def forward(self, words: Tensor, beside: Tensor) -> Tensor:
        return self.end(self.words(words).mean(1) + self.beside(beside))


def test_two_inputs_and_whole_numbers(tmp_path: Path) -> None:
    words = torch.randint(0, 5, (120, 4), generator=GENERATOR)
    beside = torch.randn(120, 3, generator=GENERATOR)
    labels = (words.float().mean(1) > 2).long()
    examples = [((w, b), int(y)) for w, b, y in zip(words, beside, labels, strict=True)]
    shapes = [(4,), (3,)]
    space = hwnas.family(
        Words, {"width": [4, 8]}, input_shape=shapes, input_dtype=["int64", "float32"]
    )
    assert space.macs([[0], [1]]).tolist() == [3 * 4 + 4 * 2, 3 * 8 + 8 * 2]
    parts = examples[:80], examples[80:100], examples[100:]
    loaders = tuple(DataLoader(part, 10, shuffle=True) for part in parts)
    settings = {**QUICK, "steps": 80, "base_lr": 2e-2}
    result = hwnas.find_network(space, loaders, ["params<=0.5k"], out=tmp_path, **settings)
    assert result.accuracy > 0.8
    session = onnxruntime.InferenceSession(result.onnx)
    assert [(i.name, i.shape, i.type) for i in session.get_inputs()] == [
        ("input_0", [1, 4], "tensor(int64)"),
        ("input_1", [1, 3], "tensor(float)"),
    ]
    feeds = {"input_0": words[:1].numpy(), "input_1": beside[:1].numpy()}
    with torch.no_grad():
        expected = result.module(words[:1], beside[:1])
    assert np.allclose(session.run(None, feeds)[0], expected, atol=1e-5)


def test_a_search_goes_on_where_it_was_killed(tmp_path: Path, monkeypatch) -> None:
    from hwnas.search import supernet_training

    def search(out: Path):
        return hwnas.find_network(brightness_space(), brightness_data(), ["params<=1k"], out=out)

    real, small = supernet_training.train_path, {"steps": 8, "population": 3, "generations": 1}
    whole = hwnas.find_network(
        brightness_space(), brightness_data(), ["params<=1k"], out=tmp_path / "a", **small
    )

    def killed(*args, **settings):
        if args[4] == 6:
            raise KeyboardInterrupt
        return real(*args, **settings)

    monkeypatch.setattr(supernet_training, "train_path", killed)
    for stopped in (True, False):
        if not stopped:
            monkeypatch.setattr(supernet_training, "train_path", real)
        try:
            parts = hwnas.find_network(
                brightness_space(), brightness_data(), ["params<=1k"], out=tmp_path / "b", **small
            )
        except KeyboardInterrupt:
            assert stopped
    assert (parts.architecture, parts.accuracy) == (whole.architecture, whole.accuracy)


def nothing(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (Task(nothing, error), r"loss nothing gives a tensor of one number, got .*\(8, 1\)"),
        (Task(lambda o, t: 1.0, error), "loss <lambda> gives a tensor of one number, got 1.0"),
        (Task(lambda o, t: (o - t).detach().sum(), error), "loss <lambda> has no gradient"),
        (Task(lambda o, t: o.argmax(9), error), "the loss <lambda> raises IndexError"),
        (Task(F.nll_loss, error), "the loss nll_loss raises .* and targets"),
        (Task(lambda o, t: F.mse_loss(o, t[:, 0]), error), "raises UserWarning: Using a target"),
        (Task(F.mse_loss, nothing), r"the metric nothing gives a number, got .*\(8, 1\)"),
        (Task(F.mse_loss, lambda o, t: float("nan")), "metric <lambda> gives a number, got nan"),
        (Task(F.mse_loss, lambda o, t: "good"), "metric <lambda> gives a number, got 'good'"),
        (Task(F.mse_loss, lambda o, t: 1 / 0), "metric <lambda> raises ZeroDivisionError"),
    ],
)
def test_what_is_no_loss_or_metric_is_told_before_anything_trains(
    tmp_path: Path, task: Task, message: str
) -> None:
    data = brightness_data(task=task)
    with pytest.raises(OptionError, match=message):
        hwnas.find_network(brightness_space(), data, ["params<=1k"], out=tmp_path / "r", **QUICK)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("setting", [{"label_smoothing": 0.1}, {"rank_by": "separation"}])
def test_settings_of_classes_are_refused(tmp_path: Path, setting: dict) -> None:
    with pytest.raises(OptionError, match=f"leave.*(it|{next(iter(setting))}) out|leave it out"):
        hwnas.find_network(
            brightness_space(), brightness_data(), ["params<=1k"], out=tmp_path, **setting
        )


def test_a_shipped_space_learns_numbers_too(tmp_path: Path, deeper, deeper_predictor) -> None:
    images = IMAGES[:, :, :4, :4].repeat(1, 3, 2, 2)[:60]
    task = Task(F.mse_loss, error, lower_is_better=True)
    parts = TensorDataset(images, images.mean((1, 2, 3))[:, None])
    with pytest.raises(OptionError, match="give own data classes=, the numbers that its loss"):
        hwnas.find_network(deeper, from_batches(parts, task=task), ["params<=1M"], **QUICK)
    data = from_batches(parts, task=task, classes=1)
    small = {"steps": 3, "batch_size": 8, "population": 3, "generations": 1}
    found = hwnas.find_network(
        deeper, data, ["params<=1M"], predictor=deeper_predictor, out=tmp_path, **small
    )
    assert found.content["metric"]["name"] == "error"
    assert found.accuracy < 0
