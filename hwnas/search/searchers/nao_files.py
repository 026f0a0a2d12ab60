"""What a search on maps leaves: the maps, and a picture of what they know and where they led."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from hwnas.arrays import FloatArray, IntArray
from hwnas.data import ACCURACY, Metric
from hwnas.files import write_atomically
from hwnas.pictures import picture, said_if_not_drawn
from hwnas.search.searchers.nao import MapSearch
from hwnas.search.searchers.nao_model import ascend, centres
from hwnas.spaces import SearchSpace

__all__ = ["MAP", "PICTURE", "draw_maps", "save_maps"]

MAP, PICTURE = "map.safetensors", "map.png"


def save_maps(path: Path, searcher: MapSearch, space: SearchSpace) -> None:
    """Write the weights of the maps as ``NUMBER.NAME``, with space and scale in the metadata."""
    tensors = {
        f"{at}.{name}": tensor
        for at, network in enumerate(searcher.maps)
        for name, tensor in network.state_dict().items()
    }
    scale = [searcher.scale.low, searcher.scale.high]
    about = {"space": space.identifier, "scale": scale}
    write_atomically(path, save(tensors, {"hwnas": json.dumps(about)}))


def draw_maps(
    path: Path,
    searcher: MapSearch,
    archs: IntArray,
    accuracies: FloatArray,
    *,
    foretold: FloatArray,
    title: str,
    metric: Metric = ACCURACY,
) -> bool:
    """Draw predicted over evaluated accuracy, and the first map with the ascents on it.

    The map is seen along the two directions in which its points are spread most.

    Args:
        path: of the PNG file.
        searcher: trained on all that was evaluated.
        archs, accuracies: what was evaluated, (n, n_decisions) and (n,), 0 to 1.
        foretold: predicted before they were evaluated, of the last of ``archs``; may be none.
        title: above the picture.
        metric: what scores are of.

    Returns:
        Whether it could be drawn.
    """
    network, ascent = searcher.maps[0], searcher.ascent
    learned = searcher.predict(archs).mean(axis=0)
    with torch.no_grad():
        points = centres(network.encode(torch.from_numpy(searcher.canonical(archs)))).numpy()
    climbed = ascend(network, searcher.starts(), ascent.step, ascent.steps)
    paths = np.stack([centres(stage).numpy() for stage in climbed])
    middle = points.mean(axis=0)
    _, _, directions = np.linalg.svd(points - middle, full_matrices=False)
    flat, ways = ((values - middle) @ directions[:2].T for values in (points, paths))
    with said_if_not_drawn(), picture(path, (10, 4.5)) as figure:
        left, right = figure.subplots(1, 2)
        drawn, unit = metric.plotted, " (%)" if metric.is_accuracy else ""
        left.scatter(drawn(accuracies), drawn(learned), s=9, alpha=0.5, label="learned")
        if len(foretold):
            known = drawn(accuracies[-len(foretold) :])
            left.scatter(known, drawn(foretold), s=9, alpha=0.7, label="before it was evaluated")
        low, high = drawn(accuracies.min()), drawn(accuracies.max())
        left.plot([low, high], [low, high], color="gray", linewidth=0.8)
        evaluated = f"evaluated {metric.name}{unit}"
        left.set(xlabel=evaluated, ylabel=f"predicted {metric.name}{unit}")
        left.legend(fontsize=8)
        shown = right.scatter(*flat.T, c=drawn(accuracies), s=9, cmap="viridis")
        right.plot(ways[..., 0], ways[..., 1], color="tab:red", linewidth=0.6, alpha=0.6)
        right.set_title("ascents from the best", fontsize=9)
        figure.colorbar(shown, ax=right, label=evaluated)
        figure.suptitle(title, fontsize=9)
        return True
    return False
