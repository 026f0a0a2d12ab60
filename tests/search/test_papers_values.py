"""The papers' own values, where they differ from the defaults: what each setting changes."""

import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from hwnas import spaces
from hwnas.errors import OptionError
from hwnas.search.candidates.evaluation import validation_evaluator
from hwnas.search.methods import betanas, spos
from hwnas.search.options import SearchOptions
from hwnas.search.retraining.settings import RetrainSettings
from hwnas.search.runs.run import CHECKPOINT, Run
from hwnas.search.settings import fields_of, restored, stored
from hwnas.search.shared_settings import EvaluationSettings, TrainingSettings
from hwnas.search.supernet_training import (
    lr_at,
    make_supernet,
    optimizer_of,
    to_tensors,
    train_path,
    train_supernet,
)
from hwnas.supernet import UniformSampler, Workers, make_optimizer

ROOT = Path(__file__).parents[2]
QUICK = {"steps": 8, "batch_size": 16, "base_lr": 2e-3}
#: Of Single Path One-Shot, section 4 and the release.
PAPER = {
    **{"optimizer": "sgd", "base_lr": 0.5, "batch_size": 1024, "steps": 150_000},
    **{"weight_decay": 4e-5, "label_smoothing": 0.1, "max_norm": 0.0, "sharing": "separate"},
    **{"initial_weights": "drawn", "batch_norms": "plain", "sampler": "constraint"},
    **{"bins": "290M:360M:10M", "calibration_images": 20_000, "validation_images": 50_000},
    **{"population": 50, "generations": 20, "parents": 10, "mutation": 0.1},
}


# What is written


@pytest.mark.parametrize("settings", [spos.Settings, betanas.Settings, RetrainSettings])
def test_what_earlier_versions_lacked_is_written_where_it_is_not_the_default(settings):
    later = [f for f in fields_of(settings) if f.later]
    assert later
    assert not {f.key for f in later} & stored(settings()).keys()
    for field in later:
        other = field.choices[-1] if field.choices else 2 if field.kind is int else 0.25
        of = {"neighbour_share": {"searcher": "trees"}, "ranked_draws": {"searcher": "nao"}}
        given = stored(settings(**{field.name: other, **of.get(field.name, {})}))
        assert given[field.key] == other != field.default


def test_the_papers_values_are_read_back_from_what_is_written():
    settings = spos.Settings(**PAPER)
    config = json.loads(json.dumps(stored(settings)))
    assert restored(spos.Settings, config) == settings
    assert restored(EvaluationSettings, config) == EvaluationSettings(
        calibration_images=20_000, validation_images=50_000
    )
    assert restored(EvaluationSettings, {}) == EvaluationSettings()
    with pytest.raises(OptionError, match="calibration_images is a whole number of at least 2"):
        restored(EvaluationSettings, {"calibration_images": 1})


# Training


def test_a_step_smooths_labels_and_leaves_gradients_and_decays_as_it_is_told(tiny, digits):
    """Against the same step by hand: SGD with momentum moves by the rate times the gradient."""
    given = {"label_smoothing": 0.2, "weight_decay": 0.3, "max_norm": 0.0, "optimizer": "sgd"}
    settings = TrainingSettings(steps=100, batch_size=16, base_lr=2.0, **given)
    supernet = make_supernet(tiny, settings, seed=0)
    before = {name: p.detach().clone() for name, p in supernet.named_parameters()}
    batch, arch = digits.train_batch(0, 16, 0), tiny.sample(1, seed=0)[0]
    images, labels = to_tensors(batch)
    supernet.train()
    scores = supernet(images, arch).log_softmax(1)
    target = 0.8 * F.one_hot(labels, 10) + 0.2 / 10
    loss = -(target * scores).sum(1).mean()
    loss.backward()
    gradients = {name: p.grad for name, p in supernet.named_parameters()}
    norm = torch.stack([g.norm() for g in gradients.values() if g is not None]).norm()
    got = train_path(supernet, optimizer_of(supernet, settings), batch, arch, 0, settings)
    assert got == pytest.approx(loss.item(), rel=1e-5)
    rate = lr_at(0, 100, 2.0)
    for name, now in supernet.named_parameters():
        expected = before[name]
        if gradients[name] is not None:
            decay = 0.3 * expected if expected.ndim > 1 else 0.0
            expected = expected - rate * (gradients[name] + decay)
        assert torch.allclose(now, expected, atol=1e-6), name
    # at half of their norm, gradients are halved
    clipped = TrainingSettings(
        steps=100, batch_size=16, base_lr=2.0, **{**given, "max_norm": float(norm) / 2}
    )
    other = make_supernet(tiny, clipped, seed=0)
    train_path(other, optimizer_of(other, clipped), batch, arch, 0, clipped)
    for name, now in other.named_parameters():
        if gradients[name] is not None and now.ndim == 1:  # nothing decays there
            expected = before[name] - rate * gradients[name] / 2
            assert torch.allclose(now, expected, atol=1e-5), name


@pytest.mark.parametrize("sharing", ["slices", "separate"])
def test_plain_batch_norms_keep_scale_1_and_shift_0(tiny, digits, sharing, tmp_path):
    settings = TrainingSettings(**QUICK, batch_norms="plain", sharing=sharing, max_norm=0.0)
    supernet = make_supernet(tiny, settings, seed=0)
    start = {name: p.detach().clone() for name, p in supernet.named_parameters()}
    sampler = UniformSampler(tiny, seed=0)
    train_supernet(Run(tmp_path, {}), supernet, sampler, digits, settings, seed=0)
    norms = [m for m in supernet.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    assert all((m.weight == 1).all() and (m.bias == 0).all() for m in norms)
    moved = [name for name, p in supernet.named_parameters() if not torch.equal(p, start[name])]
    assert len(moved) > 5  # and the rest learns, residual branches included
    weights = supernet.weights(tiny.sample(1, seed=0)[0])
    tiny.build(tiny.sample(1, seed=0)[0]).load_state_dict(
        {name: torch.from_numpy(value) for name, value in weights.items()}
    )


def test_who_follows_a_leader_whose_sampler_learns_goes_on_from_its_weights(
    tiny, digits, tmp_path, monkeypatch
):
    """The leader's checkpoint holds what its sampler learned; others may have a plain sampler."""
    from hwnas.search.supernet_training import resumed
    from hwnas.supernet import save_checkpoint

    settings = TrainingSettings(**QUICK)
    led = make_supernet(tiny, settings, seed=0)
    train_supernet(Run(tmp_path, {}), led, UniformSampler(tiny, seed=0), digits, settings, seed=0)
    state = {"sampler loss": torch.arange(3.0)}
    optimizer = make_optimizer(led)
    save_checkpoint(tmp_path / CHECKPOINT, led, optimizer, 8, extra=state)
    content = (tmp_path / CHECKPOINT).read_bytes()
    monkeypatch.setattr(Workers, "shared_bytes", lambda self, given: content)
    for own in ({}, {"sampler loss": torch.zeros(3)}):
        follower = make_supernet(tiny, settings, seed=5)
        step = resumed(None, follower, make_optimizer(follower), Workers(1, 2), steps=8, state=own)
        assert step == 8
        for name, tensor in led.state_dict().items():
            assert torch.equal(tensor, follower.state_dict()[name]), name
        for name, tensor in own.items():
            assert torch.equal(tensor, state[name])


# Evaluation


@pytest.mark.parametrize(("calibration", "validation"), [(20, 30), (10_000, 10_000), (None, None)])
def test_candidates_are_evaluated_on_as_many_images_as_asked(tiny, digits, calibration, validation):
    asked = EvaluationSettings(calibration_images=calibration, validation_images=validation)
    supernet = make_supernet(tiny, TrainingSettings(**QUICK), seed=0)
    seen, images, labels, _ = validation_evaluator(supernet, digits, asked).inputs()
    most = sum(len(y) for _, y in digits.validation())
    assert len(seen) == min(calibration or 512, digits.train_count)
    assert len(images) == len(labels) == min(validation or 1000, most)
    given = np.concatenate([y for _, y in digits.validation()])
    assert (labels == given[: len(labels)]).all()


def test_the_papers_search_space_and_values_make_a_supernet_that_trains(tmp_path):
    """Its values at a size of seconds: a separate, drawn, plain supernet of the blocks."""
    from hwnas.data import load_data

    digits = load_data("digits", input_size=16)
    space = spaces.proxy(spaces.space("shufflenet"), 16, 10, 0.25)
    small = {"batch_size": 16, "steps": 2, "bins": None, "sampler": "uniform"}
    settings = spos.Settings(**{**PAPER, **small})
    supernet = make_supernet(space, settings, seed=0)
    sampler = UniformSampler(space, seed=0)
    train_supernet(Run(tmp_path, {}), supernet, sampler, digits, settings, seed=0)
    evaluator = validation_evaluator(
        supernet, digits, EvaluationSettings(calibration_images=16, validation_images=20)
    )
    accuracies = evaluator.accuracies(space.sample(2, seed=0))
    assert ((accuracies >= 0) & (accuracies <= 1)).all()


# What the documentation says


def values_of(command, kinds):
    """Settings of a typed command: field -> value, of the fields of some dataclasses."""
    words = command.replace("\\\n", " ").split()
    flags = {f.flag: f for kind in kinds for f in fields_of(kind)}
    found = {}
    for flag, value in pairwise(words):
        if flag in flags:
            field = flags[flag]
            found[field.name] = field.kind(value) if field.kind in (int, float) else value
    return found


def test_the_documentation_types_the_papers_values():
    text = (ROOT / "docs" / "spos.md").read_text()
    (command,) = re.findall(r"\$ (hwnas search[^`]*--batch-norms plain[^`]*)```", text)
    assert spos.Settings(**values_of(command, [spos.Settings])) == spos.Settings(**PAPER)
    (command,) = re.findall(r"`(hwnas train RUN --full --steps 300000[^`]*)`", text)
    assert values_of(command, [RetrainSettings]) == {
        **{"steps": 300_000, "batch_size": 1024, "max_norm": 0.0},
    }
    text = (ROOT / "docs" / "betanas.md").read_text()
    (command,) = re.findall(r"`(hwnas train RUN --full --train-batch 2048[^`]*)`", text)
    assert values_of(command, [RetrainSettings]) == {
        **{"steps": 219_000, "batch_size": 2048, "base_lr": 1.4, "schedule": "cosine"},
        **{"weight_decay": 2e-5, "dropout": 0.2, "max_norm": 0.0},
    }
    assert round(350 * 1_281_167 / 2048, -3) == 219_000


@pytest.mark.parametrize("name", ["spos", "betanas"])
def test_every_flag_that_a_table_names_is_one(name):
    text = (ROOT / "docs" / f"{name}.md").read_text()
    table = text[text.index("## What differs from the paper") :].partition("\n\n## ")[0]
    known = {
        f.flag
        for kind in (spos.Settings, betanas.Settings, RetrainSettings, SearchOptions)
        for f in fields_of(kind)
    }
    named = set(re.findall(r"(--[a-z][a-z-]+)", table))
    assert len(named) > 10
    assert named <= known | {"--full", "--space", "--macs", "--data"}
