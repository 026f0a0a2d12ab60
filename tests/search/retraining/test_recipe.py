"""Parts of a batch, processes that share them, changed images, and how the learning rate moves."""

import json
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from hwnas.data import augmented
from hwnas.errors import OptionError
from hwnas.search.retraining.retrain import retrain
from hwnas.search.retraining.settings import RetrainSettings
from hwnas.search.runs.run import Run
from hwnas.search.supernet_training import lr_at
from hwnas.supernet import make_network

#: Run by every process of torchrun: trains, and tells its weights.
SCRIPT = """
import sys
from pathlib import Path
import numpy as np
import torch
from hwnas import spaces
from hwnas.data import from_arrays
from hwnas.search.retraining.retrain import retrain
from hwnas.search.retraining.settings import RetrainSettings
from hwnas.search.runs.run import Run
from hwnas.supernet import torchrun_workers

out, steps, parts = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (90, 3, 8, 8), dtype=np.uint8)
data = from_arrays((images, np.arange(90) % 2), name="noise")
space = spaces.space("proxyless", input_size=8, classes=2, stage_widths=(8,), stage_depths=(2,),
                     stage_strides=(2,), first_width=8, stem_width=8, head_width=16)
settings = RetrainSettings(steps=steps, batch_size=16, micro_batches=parts, ema=0.5, dropout=0.2,
                           flip=0.5, mixup=0.3, plain_end=0.2, cutout=3, optimizer="adam")
with torchrun_workers() as workers:
    run = Run(out, {}) if workers.leads else None
    arch = space.sample(1, seed=0)[0]
    network = retrain(run, space, arch, data, settings, seed=1, workers=workers)
torch.save({k: v.double() for k, v in network.state_dict().items()}, f"{out}.{workers.rank}")
"""


def settings(**options):
    return RetrainSettings(**{"steps": 1, "batch_size": 16, "base_lr": 0.1, **options})


def naive_step(space, arch, data, parts):
    """Weights after one step of plain SGD on the mean loss of the parts of a batch."""
    network = make_network(space, arch, seed=0).train()
    images, labels = (torch.as_tensor(half) for half in data.train_batch(0, 16, 0))
    losses = []
    for at, (x, y) in enumerate(zip(images.chunk(parts), labels.chunk(parts), strict=True)):
        losses.append(F.cross_entropy(network(x), y, label_smoothing=0.1))
        if not at:
            kept = {name: buffer.clone() for name, buffer in network.named_buffers()}
    torch.stack(losses).mean().backward()
    state = network.state_dict()
    moved = {name: p.detach() - 0.1 * p.grad for name, p in network.named_parameters()}
    return {**state, **moved, **kept}


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_a_step_follows_the_mean_gradient_of_its_parts(tmp_path, space, arch, data, parts):
    how = settings(micro_batches=parts, weight_decay=0.0, max_norm=0.0)
    found = retrain(Run(tmp_path, {}), space, arch, data, how).state_dict()
    expected = naive_step(space, arch, data, parts)
    for name, tensor in found.items():
        assert torch.allclose(tensor, expected[name], atol=1e-5), name


def test_two_processes_train_like_one_that_takes_both_parts(tmp_path, monkeypatch):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = str(Path(__file__).parents[3])
    known = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    known |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    known |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / "two"), "8", "2"],
            env={**known, "RANK": rank, "LOCAL_RANK": rank},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    said = [process.communicate(timeout=200)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    monkeypatch.setattr(sys, "argv", ["train.py", str(tmp_path / "one"), "8", "2"])
    runpy.run_path(str(script))
    one, two = (torch.load(tmp_path / f"{name}.0") for name in ("one", "two"))
    for name, tensor in one.items():
        assert torch.allclose(tensor, two[name], atol=1e-4), name
    others = torch.load(tmp_path / "two.1")
    assert all(torch.equal(two[n], others[n]) for n in two if n.endswith("weight"))
    logged = (tmp_path / "two/log.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in logged if '"trained"' in line]
    assert steps == sorted(set(steps))  # one process writes
    assert steps[-1] == 8


def test_training_sees_changed_images_and_mixed_labels(tmp_path, space, arch, data):
    how = {"random_crop": 0.3, "flip": 0.5, "colour": 0.3}
    plain, changed, mixed = (
        retrain(Run(tmp_path / str(at), {}), space, arch, data, settings(steps=3, **options))
        for at, options in enumerate(({}, how, {"mixup": 0.5}))
    )
    weights = [next(network.parameters()) for network in (plain, changed, mixed)]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    looked_at = augmented(data, settings(**how).augmentation).calibration(4)
    assert np.array_equal(data.calibration(4), looked_at)


def test_the_learning_rate_rises_as_long_as_it_is_told():
    assert [lr_at(step, 100, 1.0, warm_up=4) for step in (0, 1, 2, 3)] == pytest.approx(
        [0.25 * 1.0, 0.5 * 0.99, 0.75 * 0.98, 0.97]
    )
    assert lr_at(0, 100, 1.0) == 0.1  # a tenth of the steps
    assert lr_at(50, 100, 1.0, "cosine", warm_up=0) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"batch_size": 16, "micro_batches": 3},
            "equal parts of at least 2 images, got a batch of",
        ),
        ({"batch_size": 4, "micro_batches": 4}, "at least 2 images, got a batch of 4 and 4 parts"),
        ({"random_crop": 0.0}, "random_crop is a number above 0 up to 1, got 0.0"),
        ({"flip": 1.5}, "flip is a number of at least 0 up to 1, got 1.5"),
        ({"plain_end": -0.1}, "plain_end is a number of at least 0 up to 1, got -0.1"),
    ],
)
def test_recipes_that_cannot_be(options, says):
    with pytest.raises(OptionError, match=says):
        RetrainSettings(**options)
