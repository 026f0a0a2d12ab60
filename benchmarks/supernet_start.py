"""What it is worth that a block's candidates start as one function: random paths after training.

python benchmarks/supernet_start.py DIR [STEPS]

DIR holds the four files of Fashion-MNIST. Each way of sharing is trained twice, as `Supernet`
starts, and with all kernels drawn at random.
"""

import sys
import time

import numpy as np
import torch
from spos_fashion import INPUT_SIZE, WIDTH, lines

from hwnas import spaces
from hwnas.data import load_data
from hwnas.ops.module import initialise
from hwnas.search.candidates.evaluation import validation_evaluator
from hwnas.search.shared_settings import TrainingSettings
from hwnas.search.supernet_training import train_supernet
from hwnas.supernet import SHARINGS, Supernet, UniformSampler

PATHS, SEED = 20, 0


def drawn_at_random(supernet: Supernet) -> None:
    """Give every kernel a draw of its own; batch-norms stay as they were."""
    norms = {n: p.detach().clone() for n, p in supernet.named_parameters() if p.ndim == 1}
    initialise(supernet, SEED)
    with torch.no_grad():
        for name, parameter in supernet.named_parameters():
            if name in norms:
                parameter.copy_(norms[name])


def main(folder: str, steps: int) -> None:
    data = load_data(f"fashion-mnist:{folder}", input_size=INPUT_SIZE)
    space = spaces.proxy(spaces.space("proxyless"), INPUT_SIZE, data.classes, WIDTH)
    archs = space.sample(PATHS, seed=SEED)
    rows = []
    for sharing in SHARINGS:
        for start in ("alike", "at random"):
            supernet = Supernet(space, sharing=sharing, seed=SEED)
            if start == "at random":
                drawn_at_random(supernet)
            began = time.monotonic()
            settings = TrainingSettings(steps=steps, base_lr=2e-3)
            paths = UniformSampler(space, seed=SEED)
            train_supernet(None, supernet, paths, data, settings, seed=SEED, progress=lines())
            seconds = time.monotonic() - began
            found = validation_evaluator(supernet, data).accuracies(archs)
            rows.append((sharing, start, seconds, found))
    print(f"\n{space.name} of width {WIDTH:g}, Fashion-MNIST at {INPUT_SIZE} pixels, {steps} steps")
    print(f"sharing   candidates start  {PATHS} random paths: median, least, most    seconds")
    for sharing, start, seconds, found in rows:
        print(
            f"{sharing:9} {start:16} {np.median(found):22.1%} {found.min():8.1%} "
            f"{found.max():6.1%} {seconds:10.0f}"
        )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 600)
