"""Whether candidates that are deployed in int8 should be ranked by their accuracy in int8.

python benchmarks/int8_ranking.py RUN [DATA]

RUN is the folder of a search with a supernet, DATA says where its data are now. The search ranked
its candidates by their fp32 weights. Its best twelve and twelve random architectures are quantised
as what is deployed, and what either ranking knows, the accuracy on the images that candidates are
ranked on, is compared with what is wanted: the accuracy in int8 on test images, which no ranking
saw.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from hwnas.arrays import FloatArray
from hwnas.data import first_examples, task_of
from hwnas.search.candidates.evaluation import stored_evaluator, validation_images
from hwnas.search.candidates.in_precision import score_of_file, trained_in
from hwnas.search.runs.stored import StoredRun
from hwnas.search.settings import restored
from hwnas.search.shared_settings import EvaluationSettings

BEST, RANDOM, TEST_IMAGES = 12, 12, 4000


def accuracies(run: StoredRun) -> tuple[FloatArray, int, int]:
    """In fp32 and int8, on the images of the ranking and of the test, (n, 2, 2); their counts."""
    data, space = run.data(), run.proxy
    evaluator = stored_evaluator(run, data)
    ranking = validation_images(data, restored(EvaluationSettings, run.config))
    test = first_examples(data.test(), TEST_IMAGES)
    evaluated = run.accuracies()
    best = sorted(evaluated, key=evaluated.__getitem__, reverse=True)[:BEST]
    archs = [*map(space.parse, best), *space.sample(RANDOM, seed=7)]
    found = np.empty((len(archs), 2, 2))
    for at, arch in enumerate(archs):
        evaluator.set_statistics(arch)
        weights = dict(evaluator.supernet.weights(arch))
        for which, precision in enumerate(("fp32", "int8")):
            model = trained_in(space, arch, weights, data, precision, symmetric=False, metadata={})
            for part, (images, targets) in enumerate((ranking, test)):
                found[at, which, part] = score_of_file(model, images, targets, task_of(data))
    return found, len(ranking[1]), len(test[1])


def agreement(known: FloatArray, wanted: FloatArray) -> str:
    return f"{spearmanr(known, wanted)[0]:.2f}" if np.ptp(known) else "none, since all are alike"


def main(folder: str, data: str | None) -> None:
    torch.set_num_threads(1)
    run = StoredRun.open(Path(folder), data)
    found, n_ranking, n_test = accuracies(run)
    print(f"{run.config['space']} on {run.config['data']}: {n_ranking} and {n_test} images")
    for name, rows in (("best", found[:BEST]), ("random", found[BEST:]), ("all", found)):
        (full, full_test), (low, low_test) = np.moveaxis(rows, 0, -1)
        lost = 100 * (full_test - low_test)
        by_full, by_low = (agreement(known, low_test) for known in (full, low))
        print(
            f"{name:6s} int8 costs {lost.mean():+.2f} points, sd {lost.std():.2f}, where networks "
            f"differ by {100 * full_test.std():.2f}; Spearman with int8 on test images: ranked by "
            f"fp32 {by_full}, by int8 {by_low}; the first of either: "
            f"{low_test[full.argmax()]:.2%}, {low_test[low.argmax()]:.2%}"
        )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
