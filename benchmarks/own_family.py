"""The three families of docs/own-family.md: budgets kept, networks measured, ranking, step.

python benchmarks/own_family.py step                  a shared-weight step against the plain module
python benchmarks/own_family.py interval              networks measured until the interval is narrow
python benchmarks/own_family.py rank FASHION_MNIST    Spearman with 20 networks trained alone
python benchmarks/own_family.py budget [DATA]         three families, five seeds each
"""

import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import hwnas
from hwnas.devices.whole_networks import whole_table
from hwnas.predictors.whole_networks import WholeNetworkPredictor
from hwnas.profilers import Plan, runtime
from hwnas.profilers.whole import profile_whole
from hwnas.spaces.family import FamilySpace
from hwnas.supernet import Supernet, make_optimizer, train_step

DOCS = Path(__file__).parents[1] / "docs" / "own-family.md"
FAMILIES = ("my_cnn", "my_resnet", "my_vit")
SEEDS = range(5)


def families() -> dict[str, FamilySpace]:
    """The families of images as the documentation writes them, registered by their names."""
    written = dict(re.findall(r"In `(\w+)\.py`:\n\n```python\n(.*?)```", DOCS.read_text(), re.S))
    found = {}
    for name in FAMILIES:
        names: dict[str, FamilySpace] = {}
        exec(compile(written[name], name, "exec"), names)
        found[name] = names["space"]
        hwnas.register_space(names["space"].name, names["space"])
    return found


def step() -> None:
    """Median time of a step on the same paths, each way in turn."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 3, 32, 32, generator=generator)
    labels = torch.randint(0, 10, (64,), generator=generator)
    for name, space in families().items():
        supernet = Supernet(space, seed=0)
        shared = make_optimizer(supernet)
        ratios, fresh = [], []
        for arch in space.sample(16, seed=0):
            plain = space.build(arch).to(memory_format=torch.channels_last).train()
            alone = make_optimizer(plain)

            def plain_step(plain=plain, alone=alone) -> None:  # type: ignore[no-untyped-def]
                alone.zero_grad(set_to_none=True)
                logits = plain(x.contiguous(memory_format=torch.channels_last))
                F.cross_entropy(logits, labels).backward()
                torch.nn.utils.clip_grad_norm_(plain.parameters(), 5.0)
                for group in alone.param_groups:
                    group["lr"] = 1e-3
                alone.step()

            times: list[list[float]] = [[], []]
            begun = time.perf_counter()
            train_step(supernet, shared, x, labels, arch, lr=1e-3)
            fresh.append(time.perf_counter() - begun)
            for _ in range(9):
                for kind in range(2):
                    begun = time.perf_counter()
                    if kind:
                        plain_step()
                    else:
                        train_step(supernet, shared, x, labels, arch, lr=1e-3)
                    times[kind].append(time.perf_counter() - begun)
            ratios.append(np.median(times[0]) / np.median(times[1]))
            fresh[-1] /= float(np.median(times[1]))
        print(
            f"{name}: a step takes {np.median(ratios):.2f} times the plain module's "
            f"({min(ratios):.2f} to {max(ratios):.2f}); {np.median(fresh):.2f} where the network "
            "is built first",
            flush=True,
        )


def interval() -> None:
    """Networks that are measured, and the error on 200 others; a regression on the choices."""
    space, here = families()["my_cnn"], runtime("cpu", 1)
    with tempfile.TemporaryDirectory() as folder:
        _, table = whole_table(space, here, out=Path(folder) / "t.json")
        plan = Plan(tolerance=0.015, min_runs=60, max_runs=200, min_seconds=20)
        tested = profile_whole(space, here, space.sample(200, seed=99), plan=plan)
    factor = table.reference_ms / tested.reference_ms
    archs = np.array([space.parse(name) for name in tested.networks])
    ms = np.array([entry.latency_ms for entry in tested.networks.values()]) * factor
    predictor = WholeNetworkPredictor.of_table(table, space)
    low, high = predictor.predict_interval(archs, 0.9).T
    print(
        f"{len(table.networks)} networks measured, 90 % interval within "
        f"{predictor.interval_factor(0.9) - 1:.1%}; 200 others: mean error "
        f"{np.abs(predictor.predict(archs) / ms - 1).mean():.1%}, "
        f"{((low <= ms) & (ms <= high)).mean():.1%} within it"
    )
    values = [np.array([c.value for c in d.choices], float) for d in space.decisions]

    def rows(some: np.ndarray) -> np.ndarray:
        return np.stack([v[column] for v, column in zip(values, some.T, strict=True)], axis=1)

    known = np.array([space.parse(name) for name in table.networks])
    known_ms = np.array([entry.latency_ms for entry in table.networks.values()])
    model = hwnas.LatencyRegressor(categories=values).fit(rows(known), known_ms)
    error = np.abs(model.predict(rows(archs)) / ms - 1).mean()
    print(
        f"LatencyRegressor on the choices of the same networks: mean error {error:.1%}, 90 % "
        f"interval within {model.interval_factors(0.9)[1] - 1:.1%}"
    )


def rank(data: str, minutes: float = 5.0) -> None:
    """A supernet of some minutes against 20 networks trained alone for 400 steps each."""
    from hwnas.search.candidates.evaluation import validation_evaluator
    from hwnas.search.retraining.ranking import rank_correlation
    from hwnas.search.supernet_training import lr_at, to_tensors
    from hwnas.supernet import UniformSampler

    space = families()["my_cnn"]
    images = hwnas.load_data(data, input_size=32)
    supernet = Supernet(space, seed=0)
    optimizer, paths = make_optimizer(supernet), UniformSampler(space, seed=0)
    begun, steps, at = time.perf_counter(), 10_000, 0
    while at < steps:
        batch = to_tensors(images.train_batch(at, 64, 0))
        train_step(supernet, optimizer, *batch, paths.sample(at), lr=lr_at(at, steps, 2e-3))
        at += 1
        if at == 50:  # as many steps as there is time for
            steps = int(50 * 60 * minutes / (time.perf_counter() - begun))
    trained_s = time.perf_counter() - begun
    archs = space.sample(20, seed=7)
    shared = validation_evaluator(supernet, images).accuracies(archs)
    alone_of = hwnas.brief_training(images, steps=400)
    alone = np.array([alone_of(space.drawn(arch, seed=1)) for arch in archs])
    agreement = rank_correlation(alone, shared, seed=0)
    print(
        f"{steps} steps in {trained_s:.0f} s: Spearman {agreement['spearman']['value']:.2f}, "
        f"Kendall {agreement['kendall']['value']:.2f}; shared {shared.min():.1%} to "
        f"{shared.max():.1%}, alone {alone.min():.1%} to {alone.max():.1%}"
    )


def budget(data: str = "digits") -> None:
    """Searches whose result is measured: a latency that about half of the networks keep."""
    kept = 0
    for name, space in families().items():
        _, table = whole_table(space, runtime("cpu", 1))
        limit_ms = float(np.median([entry.latency_ms for entry in table.networks.values()]))
        for seed in SEEDS:
            with tempfile.TemporaryDirectory() as folder:
                result = hwnas.find_network(
                    space,
                    data,
                    [f"latency<={limit_ms:.4f}ms"],
                    out=folder,
                    seed=seed,
                    steps=200,
                    population=20,
                    generations=5,
                )
            kept += result.measured_ms is not None and result.measured_ms <= limit_ms
            print(
                f"{name}, seed {seed}: {result.measured_ms:.4f} of {limit_ms:.4f} ms, predicted "
                f"{result.predicted_ms:.4f}; validation {result.accuracy:.1%}",
                flush=True,
            )
    print(f"measured within the budget: {kept} of {len(FAMILIES) * len(SEEDS)}")


if __name__ == "__main__":
    parts = {"step": step, "interval": interval, "rank": rank, "budget": budget}
    parts[sys.argv[1]](*sys.argv[2:])  # type: ignore[operator]
