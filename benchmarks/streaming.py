"""Folders of images that are streamed: how fast, in how much memory, and killed at any moment.

python benchmarks/streaming.py speed [--images 20000] [--workers 2]
python benchmarks/streaming.py memory [--images 20000 200000] [--workers 2]
python benchmarks/streaming.py kills [--kills 100] [--workers 2]

``speed`` reads JPEGs of 256 pixels as a training of 224 does, random crops and mirroring, and next
to it a plain loop of torch with the same transforms; both in turns. ``memory`` trains a small
network and adds up what all its processes hold (their proportional set sizes, /proc), at the
highest. ``kills`` kills a training (SIGKILL) at a random moment and goes on; weights must equal
those of an undisturbed one to the last bit.

Images are a few hundred different ones under many names (hard links).
"""

import argparse
import hashlib
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from hwnas import spaces
from hwnas.data import Augmentation, StreamedImages, augmented, load_data, with_data_workers
from hwnas.search.retraining.retrain import logits, retrain
from hwnas.search.retraining.settings import RetrainSettings
from hwnas.search.runs.run import Run

CLASSES = 100
DIFFERENT = 500
BATCH = 128
CROP, FLIP = 0.08, 0.5


def fill(folder: Path, count: int, pixels: int) -> None:
    """JPEGs as rough as photographs in ``CLASSES`` classes."""
    rng = np.random.default_rng(0)
    known: list[Path] = []
    for number in range(count):
        path = folder / f"class{number % CLASSES:03}" / f"photograph_{number:08}.jpg"
        path.parent.mkdir(exist_ok=True)
        if number >= DIFFERENT:
            path.hardlink_to(known[number % DIFFERENT])
            continue
        layers = [
            Image.fromarray(rng.integers(0, 256, (n, n, 3), dtype=np.uint8)).resize(
                (pixels, pixels), Image.Resampling.BICUBIC
            )
            for n in (6, pixels // 10, pixels // 3)
        ]
        blended = Image.blend(Image.blend(layers[0], layers[1], 0.4), layers[2], 0.25)
        blended.save(path, quality=85)
        known.append(path)


def streamed(folder: Path, pixels: int, workers: int) -> StreamedImages:
    data = load_data(f"imagefolder-streamed:{folder}", input_size=pixels)
    found = with_data_workers(data, workers)
    assert isinstance(found, StreamedImages)
    return found


# speed


class PlainImages(TorchDataset[tuple[torch.Tensor, int]]):
    """What people write: a file, a crop, a mirror, floats."""

    def __init__(self, data: StreamedImages):
        self.paths = [data.files[row] for row in data.train_rows]
        self.labels = data.labels[data.train_rows].tolist()
        self.size = data.input_shape[1:]
        self.mean, self.std = (torch.tensor(v)[:, None, None] for v in (data.mean, data.std))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, at: int) -> tuple[torch.Tensor, int]:
        with Image.open(self.paths[at]) as opened:
            image = opened.convert("RGB")
        area = image.width * image.height * random.uniform(CROP, 1)
        ratio = (4 / 3) ** random.uniform(-1, 1)
        width = min(image.width, (area * ratio) ** 0.5)
        height = min(image.height, (area / ratio) ** 0.5)
        left = random.random() * (image.width - width)
        top = random.random() * (image.height - height)
        box = (left, top, left + width, top + height)
        image = image.resize(self.size, Image.Resampling.BILINEAR, box=box)
        if random.random() < FLIP:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(image).transpose(2, 0, 1))
        return (pixels.float() - self.mean) / self.std, self.labels[at]


def rate(batches: Any, steps: int) -> float:
    """Images a second of batches, the start of the processes included."""
    started = time.perf_counter()
    count = 0
    for images, _ in islice(batches, steps):
        count += len(torch.as_tensor(images))
    return count / (time.perf_counter() - started)


def speed(count: int, workers: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, count, 256)
        data = streamed(folder, 224, workers)
        steps = data.train_count // BATCH
        print(f"{data.train_count} training images, {steps} steps of {BATCH}, {workers} workers")
        found: dict[str, list[float]] = {"streamed": [], "plain loop": []}
        for _ in range(rounds):
            ours = augmented(data, Augmentation(random_crop=CROP, flip=FLIP))
            batches = (ours.train_batch(step, BATCH, 0) for step in range(steps))
            found["streamed"].append(rate(batches, steps))
            plain = DataLoader(
                PlainImages(data), BATCH, shuffle=True, num_workers=workers, drop_last=True
            )
            found["plain loop"].append(rate(plain, steps))
        for what, rates in found.items():
            print(f"{what:12s} {', '.join(f'{r:.0f}' for r in rates)} images a second")
        ours, plain = (statistics.median(rates) for rates in found.values())
        print(f"streamed / plain loop, medians: {ours / plain:.3f}")


# memory


def small_network(data: StreamedImages, out: Path, settings: RetrainSettings) -> torch.nn.Module:
    """Train a network of some thousand weights."""
    space = spaces.space(
        "proxyless",
        input_size=data.input_shape[1],
        classes=data.classes,
        stage_widths=(8, 16),
        stage_depths=(2, 1),
        stage_strides=(2, 2),
        first_width=8,
        stem_width=8,
        head_width=32,
    )
    return retrain(Run(out, {}), space, space.sample(1, seed=0)[0], data, settings)


def train_once(folder: Path, workers: int) -> None:
    """What ``memory`` measures; a process of its own."""
    torch.set_num_threads(1)
    data = streamed(folder, 32, workers)
    with tempfile.TemporaryDirectory() as out:
        how = RetrainSettings(steps=40, batch_size=64, random_crop=CROP, flip=FLIP)
        network = small_network(data, Path(out), how)
    logits(network, islice(data.test(), 4))


def held(process: int) -> int:
    """Bytes that a process and all below it hold, shared ones in proportion."""
    total = 0
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        total = 1024 * int(rollup.split("\nPss:")[1].split()[0])
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except (OSError, IndexError):  # it ended meanwhile
        return total
    return total + sum(held(int(child)) for child in children)


def memory(counts: list[int], workers: int) -> None:
    peaks = []
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            fill(Path(name), count, 64)
            words = [sys.executable, __file__, "train", name, "--workers", str(workers)]
            started, peak = time.monotonic(), 0
            with subprocess.Popen(words) as process:
                while process.poll() is None:
                    peak = max(peak, held(process.pid))
                    time.sleep(0.1)
            assert process.returncode == 0
        peaks.append(peak)
        seconds = time.monotonic() - started
        print(f"{count} images: {peak / 2**20:.0f} MiB at the highest, {seconds:.0f} s")
    print(f"the last is {peaks[-1] / peaks[0]:.3f} times the first")


# kills


def train_and_tell(folder: Path, out: Path, workers: int) -> None:
    """The training that is killed; at its end a digest of the weights is in a file."""
    torch.set_num_threads(1)
    settings = RetrainSettings(
        steps=16,
        batch_size=16,
        micro_batches=2,
        ema=0.9,
        random_crop=CROP,
        flip=FLIP,
        colour=0.4,
        mixup=0.2,
        cutmix=1.0,
        plain_end=0.25,
    )
    network = small_network(streamed(folder, 16, workers), out, settings)
    digest = hashlib.sha256()
    for tensor in network.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    (out / "weights").write_text(digest.hexdigest())


def child(folder: Path, out: Path, workers: int) -> int:
    """Start the training in a process that has all modules already; its number."""
    number = os.fork()
    if not number:
        status = 1
        try:
            train_and_tell(folder, out, workers)
            status = 0
        finally:
            os._exit(status)
    return number


def kills(count: int, workers: int, seed: int) -> None:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "images"
        folder.mkdir()
        fill(folder, 5 * CLASSES, 48)
        whole = Path(name) / "whole"
        started = time.monotonic()
        assert os.waitpid(child(folder, whole, workers), 0)[1] == 0
        seconds = time.monotonic() - started
        wanted = (whole / "weights").read_text()
        killed = behind = equal = 0
        while killed < count:
            out = Path(name) / str(killed)
            number = child(folder, out, workers)
            time.sleep(rng.uniform(0, seconds))
            if os.waitpid(number, os.WNOHANG)[0]:
                continue  # it had ended: no kill
            os.kill(number, signal.SIGKILL)
            os.waitpid(number, 0)
            killed += 1
            behind += (out / "network.safetensors").exists()
            ended = os.waitpid(child(folder, out, workers), 0)[1] == 0
            equal += ended and (out / "weights").read_text() == wanted
        print(
            f"an undisturbed training takes {seconds:.1f} s; {killed} killed, {behind} of them "
            f"behind a checkpoint; {equal} resumed to the same weights"
        )


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    commands = words.add_subparsers(dest="command", required=True)
    known = {name: commands.add_parser(name) for name in ("speed", "memory", "kills", "train")}
    known["speed"].add_argument("--images", type=int, default=20_000)
    known["speed"].add_argument("--rounds", type=int, default=3)
    known["memory"].add_argument("--images", type=int, nargs="+", default=[20_000, 200_000])
    known["kills"].add_argument("--kills", type=int, default=100)
    known["kills"].add_argument("--seed", type=int, default=0)
    known["train"].add_argument("folder", type=Path)
    for one in known.values():
        one.add_argument("--workers", type=int, default=2)
    given = words.parse_args()
    if given.command == "speed":
        speed(given.images, given.workers, given.rounds)
    elif given.command == "memory":
        memory(given.images, given.workers)
    elif given.command == "kills":
        kills(given.kills, given.workers, given.seed)
    else:
        train_once(given.folder, given.workers)


if __name__ == "__main__":
    main()
