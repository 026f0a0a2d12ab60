"""Accuracies are logged, looked up, and never computed twice."""

import numpy as np
import pytest

from hwnas.predictors import load_predictor
from hwnas.progress import silent
from hwnas.search.candidates.evaluation import LoggedEvaluation
from hwnas.search.runs.run import Run


@pytest.fixture
def predictor(small_table, small_space):
    return load_predictor(small_table, small_space)


def slower_is_better(predictor, archs):
    """Accuracies that tell architectures apart."""
    return predictor.predict(archs) / 100


def test_evaluations_are_logged_a_few_at_a_time(tmp_path, small_space, predictor):
    class StoppedError(Exception):
        pass

    def stops(archs):
        if len(list(run.logged("evaluated"))) >= 16:
            raise StoppedError
        return slower_is_better(predictor, archs)

    run = Run(tmp_path, {})
    archs = np.unique(small_space.sample(40, seed=0), axis=0)
    with pytest.raises(StoppedError):
        LoggedEvaluation(run, small_space, stops)(archs)
    count = 0

    def counting(rest):
        nonlocal count
        count += len(rest)
        return slower_is_better(predictor, rest)

    evaluate = LoggedEvaluation(Run(tmp_path, {}), small_space, counting, silent)
    assert np.array_equal(evaluate(archs), slower_is_better(predictor, archs))
    assert count == len(archs) - 16
