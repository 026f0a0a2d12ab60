"""Processes that train a supernet together read their part of a batch, and end as they did."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

#: Run by every process: trains with data that are read in parts and whole, and counts images.
SCRIPT = """
import json, sys
import numpy as np, torch
from hwnas import spaces
from hwnas.data import ArrayDataset, from_arrays
from hwnas.search.methods.spos import Settings
from hwnas.search.supernet_training import make_supernet, train_supernet
from hwnas.supernet import UniformSampler, torchrun_workers

class InParts(ArrayDataset):
    one_sequence = True
    def train_batch(self, step, size, seed):
        global read
        read += size
        return super().train_batch(step, size, seed)

class Whole(InParts):
    one_sequence = False

torch.set_num_threads(1)
images = np.random.default_rng(0).integers(0, 256, (90, 3, 8, 8), dtype=np.uint8)
noise = vars(from_arrays((images, np.arange(90) % 2), name="noise"))
space = spaces.space("proxyless", input_size=8, classes=2, stage_widths=(8,), stage_depths=(2,),
                     stage_strides=(2,), first_width=8, stem_width=8, head_width=16)
asked = dict(steps=3, batch_size=16, micro_batches=4, paths=2, base_lr=2e-3, flip=0.5)
told = []
with torchrun_workers() as workers:
    for more in ({}, {"mixup": 0.4}):
        settings, ended, counts = Settings(**asked, **more), [], []
        for kind in (InParts, Whole):
            read = 0
            supernet = make_supernet(space, settings, seed=0)
            paths = UniformSampler(space, seed=0)
            train_supernet(None, supernet, paths, kind(**noise), settings, seed=0, workers=workers)
            ended.append(supernet.state_dict())
            counts.append(read)
        told.append((counts, all(torch.equal(t, ended[1][name]) for name, t in ended[0].items())))
with open(f"{sys.argv[0]}.{workers.rank}", "w") as file:
    json.dump(told, file)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What each process counted, plain and with mixup: images in parts, and whole."""
    script = tmp_path_factory.mktemp("shares") / "train.py"
    script.write_text(SCRIPT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = str(Path(__file__).parents[2])
    known = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root, "MASTER_ADDR": "127.0.0.1"}
    known |= {"MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(script)],
            env={**known, "RANK": rank, "LOCAL_RANK": rank},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    said = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    return [json.loads(Path(f"{script}.{rank}").read_text()) for rank in range(2)]


def test_each_of_two_processes_reads_half_of_every_batch(told):
    steps, batch = 3, 16
    for plain, mixed in told:
        assert plain[0] == [steps * batch // 2, steps * batch]
        assert mixed[0] == [steps * batch] * 2  # pairs may be any two of the batch


def test_the_weights_are_the_same_to_the_last_bit(told):
    assert [same for each in told for _, same in each] == [True] * 4
