"""Processes that train together, against one process that accumulates gradients."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from hwnas.errors import OptionError
from hwnas.supernet import (
    SINGLE_PROCESS,
    Supernet,
    UniformSampler,
    Workers,
    learning_rate,
    make_optimizer,
    train_step,
)

STEPS, BATCH, RATE = 16, 32, 2e-3
#: Run by every process: trains, and writes its losses and a fingerprint of its weights.
SCRIPT = """
import json, os, signal, sys
from pathlib import Path
import numpy as np, torch
from hwnas import spaces
from hwnas.errors import WorkerLostError
from hwnas.supernet import *
torch.set_num_threads(1)
name, arguments, kind, dies_at = json.loads(sys.argv[1])
space = spaces.space(name, **arguments)

def train(workers):
    supernet = Supernet(space, seed=0)
    optimizer = make_optimizer(supernet, kind)
    # only the leader knows the paths
    sampler = UniformSampler(space, seed=workers.rank)
    generator = torch.Generator().manual_seed(1)
    losses = []
    for step in range(16):
        if step == dies_at and not workers.leads:
            os.kill(os.getpid(), signal.SIGKILL)
        images = torch.randn(32, 3, 32, 32, generator=generator)
        labels = torch.randint(10, (32,), generator=generator)
        losses.append(train_step(
            supernet, optimizer, images, labels, workers.shared(sampler.sample(step)),
            lr=learning_rate(step, 16, 2e-3, 4), micro_batches=2, workers=workers))
    content = workers.shared_bytes(b"the leader's bytes" if workers.leads else b"")
    norm = float(sum(p.detach().norm() for p in supernet.parameters()))
    with open(f"{sys.argv[0]}.{workers.rank}", "w") as file:
        json.dump([workers.rank, workers.count, losses, norm, content.decode()], file)

try:
    with torchrun_workers() as workers:
        train(workers)
except WorkerLostError as error:
    print(f"lost: {error}")
    print("threads:", [path.read_text() for path in Path("/proc/self/task").glob("*/comm")])
    sys.exit(1)
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "worker.py"
    path.write_text(SCRIPT)
    return path


def run_two(script, space, dies_at=None):
    """Start the script twice, as torchrun would; exit statuses and what was said, by rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    known = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    known |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    known |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    words = [space.name, dict(space.arguments), "adam", dies_at]
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), json.dumps(words)],
            env={**known, "RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    said = [process.communicate(timeout=200) for process in processes]
    return [process.returncode for process in processes], said


def accumulated(space, kind):
    """Losses of one process that adds up the gradients of both halves of every batch itself."""
    supernet = Supernet(space, seed=0).train()
    optimizer = make_optimizer(supernet, kind)
    sampler = UniformSampler(space, seed=0)
    generator = torch.Generator().manual_seed(1)
    losses = []
    for step in range(STEPS):
        images = torch.randn(BATCH, 3, 32, 32, generator=generator)
        labels = torch.randint(10, (BATCH,), generator=generator)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, STEPS, RATE, 4)
        optimizer.zero_grad(set_to_none=True)
        halves = [slice(0, BATCH // 2), slice(BATCH // 2, BATCH)]
        parts = [
            F.cross_entropy(supernet(images[h], sampler.sample(step)), labels[h]) for h in halves
        ]
        (0.5 * (parts[0] + parts[1])).backward()
        used = [p for p in supernet.parameters() if p.grad is not None]
        torch.nn.utils.clip_grad_norm_(used, 5.0)
        optimizer.step()
        losses.append(0.5 * (parts[0] + parts[1]).item())
    return losses, float(sum(p.detach().norm() for p in supernet.parameters()))


def test_two_ranks_train_like_one_that_accumulates_their_half_batches(small_space, script):
    statuses, said = run_two(script, small_space)
    assert statuses == [0, 0], said
    printed = [json.loads(Path(f"{script}.{rank}").read_text()) for rank in range(2)]
    (rank0, count, losses, norm, content), (rank1, _, others, other_norm, heard) = printed
    assert (rank0, rank1, count) == (0, 1, 2)
    assert content == heard == "the leader's bytes"
    assert losses == others  # both ranks know the loss of the whole batch
    assert norm == pytest.approx(other_norm, rel=1e-6)
    expected, expected_norm = accumulated(small_space, "adam")
    assert np.abs(np.array(losses) - expected).max() < 1e-4
    assert norm == pytest.approx(expected_norm, rel=1e-4)
    assert losses[-1] != losses[0]


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_shares_of_one_process_are_accumulated_half_batches(small_space, kind):
    supernet = Supernet(small_space, seed=0)
    optimizer = make_optimizer(supernet, kind)
    sampler = UniformSampler(small_space, seed=0)
    generator = torch.Generator().manual_seed(1)
    losses = []
    for step in range(STEPS):
        images = torch.randn(BATCH, 3, 32, 32, generator=generator)
        labels = torch.randint(10, (BATCH,), generator=generator)
        rate = learning_rate(step, STEPS, RATE, 4)
        arch = sampler.sample(step)
        losses.append(
            train_step(supernet, optimizer, images, labels, arch, lr=rate, micro_batches=2)
        )
    assert np.abs(np.array(losses) - accumulated(small_space, kind)[0]).max() < 1e-4


def test_the_death_of_a_worker_is_said_in_words(small_space, script):
    statuses, said = run_two(script, small_space, dies_at=3)
    assert statuses == [1, -9], said
    assert "another worker of this training ended" in said[0][0]
    assert "goes on from the last checkpoint" in said[0][0]
    threads = said[0][0].partition("threads: ")[2]
    assert "python" in threads
    assert "gloo" not in threads  # at the exit they may abort the process


def test_shares_are_divided_among_the_workers():
    assert [list(Workers(rank, 2).own_micro_batches(4)) for rank in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(
        OptionError, match=r"3 workers cannot compute 4 micro-batches.*a multiple of 3"
    ):
        Workers(0, 3).own_micro_batches(4)


def test_a_batch_that_does_not_fall_into_shares_is_refused(small_space):
    supernet = Supernet(small_space, seed=0)
    images, labels = torch.zeros(5, 3, 32, 32), torch.zeros(5, dtype=torch.int64)
    with pytest.raises(
        OptionError, match="a batch of 5 images is not divisible by 2 micro-batches"
    ):
        train_step(
            supernet,
            make_optimizer(supernet),
            images,
            labels,
            small_space.sample(1, seed=0)[0],
            lr=1e-3,
            micro_batches=2,
        )


def test_alone_everything_stays_as_it_is():
    assert SINGLE_PROCESS.leads
    assert SINGLE_PROCESS.shared(np.array([1, 2])).tolist() == [1, 2]
    assert SINGLE_PROCESS.shared_bytes(b"abc") == b"abc"
