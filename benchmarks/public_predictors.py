"""Fit the predictors that ship for the cards people name, from public measurements.

python benchmarks/public_predictors.py DIR [--out FOLDER]

DIR holds ofa_latency.csv.gz and fbnet_latency.csv.gz. Each predictor is fitted on 2,000 of the
5,000 networks; the table shows how far it is off on the other 3,000, and each file says so itself.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from latency_models import Set, fbnet, once_for_all
from scipy.stats import spearmanr

from hwnas.predictors import LatencyRegressor

SAMPLES = 2000
SHIPPED = Path(__file__).parents[1] / "hwnas" / "predictors" / "shipped"
CARDS = {"v100": "NVIDIA Tesla V100", "titan_xp": "NVIDIA Titan XP", "titanxp": "NVIDIA Titan XP"}
SOURCE = "github.com/HayeonLee/HELP, data/{folder} (MIT licence)"


def fit(data: Set, device: str, space: str, folder: str) -> tuple[LatencyRegressor, dict[str, str]]:
    """One predictor, and what its file says."""
    ms = data.devices[device]
    order = np.random.default_rng(0).permutation(np.flatnonzero(np.isfinite(ms)))
    train, test = np.split(order, [SAMPLES])
    categories = None if data.space else [np.unique(column) for column in data.archs.T]
    model = LatencyRegressor(data.space, categories=categories)
    model.fit(data.archs[train], ms[train])
    error = np.abs(model.predict(data.archs[test]) / ms[test] - 1)
    low, high = model.predict_interval(data.archs[test], 0.9).T
    inside = float(np.mean((low <= ms[test]) & (ms[test] <= high)))
    rank = float(spearmanr(model.predict(data.archs[test]), ms[test])[0])
    card, batch = device.removeprefix("lat_").rsplit("_", 1)
    held_out = (
        f"{len(test)} other networks: mean error {error.mean():.1%}, "
        f"{np.mean(error <= 0.05):.1%} within 5 %, {np.mean(error <= 0.10):.1%} within 10 %, "
        f"Spearman {rank:.3f}, the 90 % interval holds {inside:.1%}"
    )
    return model, {
        "target": f"{CARDS[card]}, PyTorch eager (not TensorRT), batch {batch}",
        "space": space,
        "samples": f"{SAMPLES} networks, public measurements by others, not by hwnas",
        "held out": held_out,
        "source": SOURCE.format(folder=folder),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of the csv.gz files")
    parser.add_argument(
        "--out", type=Path, default=SHIPPED, help="where the predictors are written"
    )
    options = parser.parse_args()
    for space, data, folder in (
        ("ofa", once_for_all(options.folder), "ofa"),
        ("fbnet", fbnet(options.folder), "fbnet"),
    ):
        cards = {
            name: ms for name, ms in data.devices.items() if name[4:].rsplit("_", 1)[0] in CARDS
        }
        for device in cards:
            model, notes = fit(replace(data, devices=cards), device, space, folder)
            card, batch = device.removeprefix("lat_").rsplit("_", 1)
            path = options.out / f"{card.replace('_', '')}-{space}-b{batch}.npz"
            model.save(path, notes)
            print(
                f"{path.stem:20s} {model.chosen_:28s} {notes['held out']}; "
                f"{path.stat().st_size / 1024:.0f} KiB",
                flush=True,
            )


if __name__ == "__main__":
    main()
