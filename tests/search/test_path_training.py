"""The recipe of a supernet that is trained path by path: changed images, schedules, precision."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hwnas.errors import DeviceUnavailableError, OptionError
from hwnas.search import supernet_training
from hwnas.search.limits import check_augmentation
from hwnas.search.methods import amended_darts, betanas, nao, spos, tnas_g, tnas_os
from hwnas.search.runs.run import Run
from hwnas.search.settings import fields_of, stored
from hwnas.search.shared_settings import PathTrainingSettings
from hwnas.search.supernet_training import train_supernet, training_batch
from hwnas.supernet import Supernet, UniformSampler

STEPS = 6


class StoppedError(Exception):
    pass


def settings(**options):
    return PathTrainingSettings(steps=STEPS, batch_size=8, base_lr=2e-3, **options)


def train(folder, space, data, stop_at=2.0, **options):
    def progress(task, share, remark):
        if share >= stop_at:
            raise StoppedError

    supernet = Supernet(space, seed=0)
    sampler = UniformSampler(space, seed=0)
    how = settings(**options)
    train_supernet(Run(folder, {}), supernet, sampler, data, how, seed=0, progress=progress)
    return supernet.state_dict()


def equal(one, other):
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize(
    "options",
    [
        {"random_crop": 0.3, "flip": 0.5, "colour": 0.2, "cutmix": 1.0, "plain_end": 0.4},
        {"autocast": "bf16", "lr_schedule": "cosine", "lr_warm_up": 3},
    ],
)
def test_killed_it_ends_as_undisturbed_and_not_as_without(tmp_path, tiny, digits, options):
    whole = train(tmp_path / "whole", tiny, digits, **options)
    with pytest.raises(StoppedError):
        train(tmp_path / "cut", tiny, digits, stop_at=0.6, **options)
    assert equal(train(tmp_path / "cut", tiny, digits, **options), whole)
    assert not equal(train(tmp_path / "plain", tiny, digits), whole)
    assert all(tensor.isfinite().all() for tensor in whole.values())


def test_the_learning_rate_follows_the_schedule(tmp_path, tiny, digits, monkeypatch):
    rates = []

    def step(*given, lr, **more):
        rates.append(lr)
        return 0.0

    monkeypatch.setattr(supernet_training, "train_step", step)
    train(tmp_path, tiny, digits, lr_schedule="cosine", lr_warm_up=2)
    cosine = [(1 + np.cos(np.pi * at / STEPS)) / 2 for at in range(STEPS)]
    assert rates == pytest.approx(
        [2e-3 * rise * fall for rise, fall in zip([0.5, 1, 1, 1, 1, 1], cosine, strict=True)]
    )


def test_a_batch_is_mixed_until_the_plain_end(tiny, digits):
    how = settings(mixup=1.0, plain_end=0.5)
    mixed, plain = (training_batch(digits, step, how, space=tiny, seed=0) for step in (2, 3))
    assert mixed[1].shape == (8, 10)
    assert torch.allclose(mixed[1].sum(1), torch.ones(8))
    assert plain[1].tolist() == digits.train_batch(3, 8, 0)[1].tolist()


def test_methods_that_train_paths_take_it_and_others_do_not():
    new = {"random_crop", "flip", "mixup", "cutmix", "lr_schedule", "lr_warm_up", "autocast"}
    for method in (spos, nao, betanas, tnas_g, tnas_os):
        assert new <= {field.name for field in fields_of(method.Settings)}
    assert not new & {field.name for field in fields_of(amended_darts.Settings)}


def test_configurations_of_earlier_versions_are_as_they_were():
    new = {f.key for f in fields_of(PathTrainingSettings)} - {
        *("sharing", "steps", "train_batch", "optimizer", "base_rate"),
    }
    assert not new & stored(settings()).keys()
    assert (
        stored(settings(flip=0.5, lr_warm_up=0)).items() >= {"flip": 0.5, "lr_warm_up": 0}.items()
    )


def test_images_that_cannot_be_changed_are_refused_before_anything_trains(digits):
    floats = replace(digits, name="floats", train_images=digits.train_images.astype(np.float32))
    check_augmentation(settings(mixup=0.2), floats)
    with pytest.raises(OptionError, match="floats has float32 with 1: leave them out"):
        check_augmentation(settings(flip=0.5), floats)


def test_a_gpu_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceUnavailableError, match="train_on gpu needs a GPU"):
        spos._check_gpu()
