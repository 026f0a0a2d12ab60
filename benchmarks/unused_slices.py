"""What it is worth to leave the weights that a step did not use exactly as they are.

python benchmarks/unused_slices.py [DATA [SEEDS [STEPS]]]

With ``slices``, candidates take parts of one kernel. The optimizer moves all of a kernel of which
any part was used: the other elements have no gradient, but momentum of earlier steps. Each supernet
is trained twice with the same seed: as `hwnas search` does, and with every element put back, weight
and moments, that the step's path did not take. DATA is what ``--data`` takes, by default digits.
"""

import sys
import time

import numpy as np
import torch

from hwnas import spaces
from hwnas.data import load_data
from hwnas.search.candidates.evaluation import validation_evaluator
from hwnas.search.methods.spos import Settings
from hwnas.search.supernet_training import lr_at, to_tensors
from hwnas.spaces import entry
from hwnas.supernet import Supernet, UniformSampler, make_optimizer, train_step
from hwnas.supernet.sharing import SlicedLayer

INPUT_SIZE, WIDTH, PATHS = 16, 0.25, 50


class Masks:
    """Which elements of the shared parameters each candidate takes."""

    def __init__(self, supernet: Supernet):
        self.supernet = supernet
        self.of_choice = [
            [self._masks(block.shared, candidate) for candidate in block.choices]
            for block in supernet.slots
        ]

    def _masks(self, shared: torch.nn.ParameterDict, candidate: torch.nn.Module):
        """Parameter -> 1 where the candidate takes an element, by the gradient of its slices."""
        layers = [m for m in candidate.modules() if isinstance(m, SlicedLayer)]
        taken = [part for layer in layers for part in layer.slices().values()]
        if not taken:
            return {}
        used = torch.autograd.grad(
            sum(t.sum() for t in taken), list(shared.values()), allow_unused=True
        )
        return {p: g != 0 for p, g in zip(shared.values(), used, strict=True) if g is not None}

    def used(self, arch: np.ndarray) -> dict[torch.nn.Parameter, torch.Tensor]:
        """What the path of an architecture takes."""
        path = self.supernet.path(arch)
        masks = [self.of_choice[slot][c] for slot, c in enumerate(path) if c is not None]
        return {parameter: mask for block in masks for parameter, mask in block.items()}


def moments(optimizer: torch.optim.Optimizer, parameter: torch.nn.Parameter) -> list[torch.Tensor]:
    """Adam's two, none before the first step of a parameter."""
    state = optimizer.state[parameter]
    return [state[name] for name in ("exp_avg", "exp_avg_sq") if name in state]


def step_masked(masks: Masks, optimizer: torch.optim.Optimizer, images, labels, arch, lr) -> float:
    """`train_step`, after which what was not used is as it was; returns how far it had moved."""
    used = masks.used(arch)
    before = {p: [t.clone() for t in (p.detach(), *moments(optimizer, p))] for p in used}
    train_step(masks.supernet, optimizer, images, labels, arch, lr=lr)
    moved = 0.0
    with torch.no_grad():
        for p, mask in used.items():
            now = [p, *moments(optimizer, p)]
            moved = max(moved, float(((p - before[p][0]).abs() * ~mask).max()))
            for new, old in zip(now, before[p], strict=False):
                new.copy_(torch.where(mask, new, old))
            for new in now[len(before[p]) :]:  # moments that this step made
                new.mul_(mask)
    return moved


def trained(space, data, seed: int, steps: int, masked: bool) -> tuple[Supernet, float, float]:
    supernet = Supernet(space, sharing="slices", seed=seed)
    settings = Settings(steps=steps, base_lr=entry(space.name).base_lr)
    optimizer, sampler = make_optimizer(supernet), UniformSampler(space, seed=seed)
    masks = Masks(supernet)
    began, moved = time.monotonic(), 0.0
    for step in range(steps):
        batch = to_tensors(data.train_batch(step, settings.batch_size, seed))
        arch, lr = sampler.sample(step), lr_at(step, settings.steps, settings.peak_lr)
        if masked:
            moved = max(moved, step_masked(masks, optimizer, *batch, arch, lr))
        else:
            train_step(supernet, optimizer, *batch, arch, lr=lr)
    return supernet, time.monotonic() - began, moved


def main(spec: str, seeds: int, steps: int) -> None:
    data = load_data(spec, input_size=INPUT_SIZE)
    space = spaces.proxy(spaces.space("proxyless"), INPUT_SIZE, data.classes, WIDTH)
    archs = space.sample(PATHS, seed=0)
    medians, means = [], []
    print(f"{space.name} of width {WIDTH:g}, {spec} at {INPUT_SIZE} pixels, {steps} steps")
    print("seed   momentum of unused weights   left as they are    (median and mean of 50 paths)")
    for seed in range(seeds):
        row = []
        for masked in (False, True):
            supernet, seconds, moved = trained(space, data, seed, steps, masked)
            found = validation_evaluator(supernet, data).accuracies(archs)
            row.append((float(np.median(found)), float(found.mean()), seconds))
        medians.append([part[0] for part in row])
        means.append([part[1] for part in row])
        print(
            f"{seed:4}   "
            + "   ".join(f"{m:8.2%} {a:8.2%} {s:6.0f} s" for m, a, s in row)
            + f"   most that an unused weight moved in a step: {moved:.4f}",
            flush=True,
        )
    for name, values in (("median", medians), ("mean", means)):
        difference = np.diff(np.array(values), axis=1)[:, 0]
        error = difference.std(ddof=1) / len(difference) ** 0.5 if seeds > 1 else float("nan")
        print(f"{name}: left as they are is better by {difference.mean():+.2%} +- {error:.2%}")


if __name__ == "__main__":
    words = sys.argv[1:]
    main(
        words[0] if words else "digits",
        int(words[1]) if len(words) > 1 else 5,
        int(words[2]) if len(words) > 2 else 600,
    )
