"""Time and memory of one step of alpha: amended, exact and by differences, against DARTS' own.

DARTS' own second order is its published code's: weights move by one step, the validation gradient
is taken there, and two gradients of alpha at weights moved along it are subtracted. Time is that of
the processor (a busy machine does not count), methods in turn; memory is the peak of what torch
allocates beyond what is there before.

python benchmarks/amended_step.py [PIXELS] [CHANNELS] [IMAGES] [ROUNDS] [SPACE]
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from hwnas import spaces
from hwnas.search.gradient.amended import Loss, amended_gradient
from hwnas.supernet import Supernet, mixed_logits

LR, ETA = 0.025, 0.1
#: Space -> its cells here.
CELLS = {"nasbench201": 1, "darts-s1": 3}


def darts_second_order(
    train_loss: Loss, val_loss: Loss, weights: list[Tensor], alpha: Tensor
) -> Tensor:
    """The gradient of alpha of DARTS, section 2.3, with the learning rate of the weights."""
    before = [weight.detach().clone() for weight in weights]

    def at(direction: list[Tensor], by: float) -> None:
        with torch.no_grad():
            for weight, start, part in zip(weights, before, direction, strict=True):
                weight.copy_(start).add_(part, alpha=by)

    at(list(torch.autograd.grad(train_loss(), weights)), -LR)
    *direction, first = torch.autograd.grad(val_loss(), [*weights, alpha])
    move = 0.01 / float(torch.stack([part.norm() for part in direction]).norm())
    found = []
    for by in (move, -move):
        at(direction, by)
        found += torch.autograd.grad(train_loss(), [alpha])
    at(direction, 0.0)
    return first - LR * (found[0] - found[1]) / (2 * move)


def peak_bytes(work: Callable[[], object]) -> int:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        work()
    events = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return int(np.cumsum([event.nbytes() for event in events]).max())


def main(
    pixels: int = 16, channels: int = 8, count: int = 64, rounds: int = 9, of: str = "nasbench201"
) -> None:
    torch.set_num_threads(1)
    space = spaces.space(of, input_size=pixels, channels=channels, cells=CELLS[of])
    supernet = Supernet(space, sharing="separate", seed=0, batch_norms="plain").train()
    weights = [weight for weight in supernet.parameters() if weight.requires_grad]
    alpha = torch.zeros(len(space.decisions), max(space.n_choices), requires_grad=True)
    batches = [(torch.randn(count, 3, pixels, pixels), torch.arange(count) % 10) for _ in range(2)]

    def loss(at: int) -> Loss:
        images, labels = batches[at]
        return lambda: F.cross_entropy(mixed_logits(supernet, images, alpha.softmax(1)), labels)

    losses = loss(0), loss(1)
    given = weights, alpha
    steps: dict[str, Callable[[], object]] = {
        "first order": lambda: amended_gradient(*losses, *given, eta=0.0),
        "DARTS' own second order": lambda: darts_second_order(*losses, *given),
        "amended, exact": lambda: amended_gradient(*losses, *given, eta=ETA),
        "amended, finite": lambda: amended_gradient(*losses, *given, eta=ETA, products="finite"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            began = time.process_time()
            step()
            if turn:  # the first warms up
                seconds[name].append(time.process_time() - began)
    memory = {name: peak_bytes(step) for name, step in steps.items()}
    own = "DARTS' own second order"
    print(f"{of}, {pixels} pixels, {channels} channels, cells: {CELLS[of]}, {count} images")
    print(f"{'step of alpha':<26} {'ms':>7} {'times':>6} {'MB':>7} {'times':>6}")
    for name in steps:
        ratios = [a / b for a, b in zip(seconds[name], seconds[own], strict=True)]
        print(
            f"{name:<26} {1e3 * np.median(seconds[name]):>7.0f} {np.median(ratios):>6.2f} "
            f"{memory[name] / 1e6:>7.1f} {memory[name] / memory[own]:>6.2f}"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:5]), *sys.argv[5:])
