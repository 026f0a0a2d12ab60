"""Candidates evaluated by processes: the same numbers, and what happens when one dies."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hwnas.errors import MissingPackageError, OptionError, WorkerLostError
from hwnas.search.candidates.parallel import Parallel, ParallelAccuracies
from hwnas.supernet import Evaluator, Supernet


@pytest.fixture(scope="module")
def evaluator(small_space):
    rng = np.random.default_rng(0)
    supernet = Supernet(small_space, seed=0, zero_init_residual=False)
    with torch.no_grad():  # an untrained network calls everything by the same name
        for name, parameter in supernet.named_parameters():
            if parameter.ndim == 2 or (parameter.ndim == 1 and name.endswith("bias")):
                parameter.normal_(0, 2, generator=torch.Generator().manual_seed(parameter.numel()))
    images = rng.standard_normal((160, 3, 32, 32)).astype(np.float32)
    labels = rng.integers(0, 10, 96)
    return Evaluator(supernet, images[:64], images[64:], labels, batch=40)


@pytest.fixture(scope="module")
def archs(small_space):
    return small_space.sample(9, seed=1)


@pytest.fixture(scope="module")
def expected(evaluator, archs):
    """By this process, with one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield evaluator.accuracies(archs)
    torch.set_num_threads(before)


class Deadly:
    """A copy of an evaluator that kills the process that unpacks it, so many times."""

    def __init__(self, inner, folder, deaths):
        self.inner, self.folder, self.deaths = inner, folder, deaths

    def evaluator(self):
        died = len(list(Path(self.folder).iterdir()))
        if died < self.deaths:
            (Path(self.folder) / f"{died}-{os.getpid()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.inner.evaluator()


def test_any_number_of_processes_gives_the_numbers_of_this_one(evaluator, archs, expected):
    assert len(set(expected)) > 2
    for workers in (1, 2):
        assert np.array_equal(ParallelAccuracies(evaluator, Parallel(workers))(archs), expected)


def test_processes_rank_by_what_this_one_does(evaluator, archs, expected):
    calibration, images, labels, batch = evaluator.inputs()
    separating = Evaluator(
        evaluator.supernet, calibration, images, labels, rank_by="separation", batch=batch
    )
    found = ParallelAccuracies(separating, Parallel(1))(archs)
    assert np.array_equal(found, separating.accuracies(archs))
    assert not np.array_equal(found, expected)


def test_a_process_that_dies_is_replaced(evaluator, archs, expected, tmp_path):
    accuracies = ParallelAccuracies(evaluator, Parallel(2))
    accuracies._copy = Deadly(accuracies._copy, tmp_path, 1)
    assert np.array_equal(accuracies(archs), expected)
    assert len(list(tmp_path.iterdir())) >= 1


def test_processes_that_keep_dying_end_the_work_with_words(evaluator, archs, tmp_path):
    accuracies = ParallelAccuracies(evaluator, Parallel(2))
    accuracies._copy = Deadly(accuracies._copy, tmp_path, 99)
    with pytest.raises(WorkerLostError, match=r"what was evaluated is kept.*Take fewer"):
        accuracies(archs)


def test_fewer_architectures_than_processes(evaluator, archs, expected):
    assert ParallelAccuracies(evaluator, Parallel(2))(archs[:1])[0] == expected[0]


@pytest.mark.parametrize(("workers", "backend"), [(0, "loky"), (2, "threading")])
def test_bad_workers(workers, backend):
    with pytest.raises(OptionError, match="1 or more workers of loky, dask, ray"):
        Parallel(workers, backend)


@pytest.mark.parametrize(("backend", "package"), [("ray", "ray"), ("dask", "distributed")])
def test_a_backend_that_is_not_installed_is_named(evaluator, monkeypatch, backend, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=f"pip install {package}"):
        ParallelAccuracies(evaluator, Parallel(2, backend))
