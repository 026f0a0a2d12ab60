"""Own batches and examples, of any shape, as a data set."""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, TensorDataset

from hwnas.data import Task, check_dataset, from_batches, load_data, register_data, task_of
from hwnas.data.sources import DATA
from hwnas.errors import DataError, OptionError
from hwnas.testing import check_data

N = 90
X = torch.arange(N).float().reshape(N, 1, 1, 1).expand(N, 3, 2, 2).contiguous()
Y = torch.arange(N) % 5


class Examples:
    """Map-style, and no class of torch's; what it draws is added to its images."""

    def __init__(self, noise: bool = False):
        self.noise = noise

    def __len__(self) -> int:
        return N

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        drawn = torch.rand(1) + np.random.rand() + random.random()  # noqa: NPY002
        return X[row] + self.noise * drawn.float(), int(Y[row])


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return zip(X, Y, strict=True)


def states() -> list[Any]:
    theirs = np.random.get_state()[1]  # noqa: NPY002
    return [torch.get_rng_state().tolist(), random.getstate(), theirs.tolist()]


def read_all(data: Any) -> None:
    for step in range(9):
        data.train_batch(step, 30, 0)


def generated() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for at in range(0, N, 20):
        yield X[at : at + 20], Y[at : at + 20]


def numbers(batch: tuple[Any, Any]) -> list[float]:
    """What tells the examples of a batch apart."""
    return batch[0].flatten(1)[:, 0].tolist()


def test_map_style_examples_are_a_sound_data_set() -> None:
    data = from_batches(Examples(), classes=5)
    check_data(data)
    assert (data.train_count, data.validation_count) == (54, 18)
    assert data.input_shape == (3, 2, 2)
    parts = [data.train_batch(0, 54, 0), *data.validation(), *data.test()]
    assert sorted(n for part in parts for n in numbers(part)) == list(range(N))


def test_two_arrays_are_examples() -> None:
    data = from_batches((X.numpy(), Y.numpy()), classes=5, seed=3)
    again = from_batches(TensorDataset(X, Y), classes=5, seed=3)
    assert numbers(data.train_batch(2, 8, 1)) == numbers(again.train_batch(2, 8, 1))
    assert data.digest == again.digest != from_batches((X.numpy(), Y.numpy()), classes=5).digest


def test_a_batch_follows_from_its_step_whatever_process_makes_it() -> None:
    here, elsewhere = (from_batches(Examples(True), classes=5, workers=n) for n in (0, 2))
    expected = [here.train_batch(step, 16, 0) for step in range(5)]
    torch.rand(7)
    random.random()
    assert numbers(here.train_batch(3, 16, 0)) == numbers(expected[3])
    got = [elsewhere.train_batch(step, 16, 0) for step in range(5)]
    assert [numbers(batch) for batch in got] == [numbers(batch) for batch in expected]
    assert numbers(expected[0]) != [float(round(n)) for n in numbers(expected[0])]
    before = states()
    here.train_batch(0, 16, 0)
    assert states() == before  # nobody else's draws


def test_a_plain_loader_is_taken_for_its_examples() -> None:
    train = DataLoader(TensorDataset(X[:60], Y[:60]), 13, shuffle=True)
    validation = DataLoader(TensorDataset(X[60:], Y[60:]), 13)
    data = from_batches(train, validation, classes=5)
    check_data(data)
    parts = [data.train_batch(0, 48, 0), *data.test()]  # a fifth of the training part
    assert sorted(n for part in parts for n in numbers(part)) == list(range(60))
    assert [n for part in data.validation() for n in numbers(part)] == list(range(60, 90))


@pytest.mark.parametrize(
    "source",
    [
        generated,
        list(generated()),
        DataLoader(Stream(), 17),
        DataLoader(
            TensorDataset(X, Y), sampler=RandomSampler(range(N), num_samples=N, replacement=True)
        ),
    ],
)
def test_batches_are_cut_anew(source: Any) -> None:
    data = from_batches(source, [(X[:30], Y[:30])], [(X[:300:2], Y[:300:2])], classes=5)
    check_dataset(data)
    assert data.train_count == N
    steps = [numbers(data.train_batch(step, 32, 0)) for step in range(7)]
    assert {len(step) for step in steps} == {32}
    again = from_batches(source, [(X[:30], Y[:30])], classes=5)
    assert numbers(again.train_batch(5, 32, 0)) == steps[5]  # begins in the second epoch
    seen = [n for step in steps for n in step]
    if not isinstance(getattr(source, "sampler", None), RandomSampler):
        assert seen[:N] == seen[N : 2 * N] == list(range(N))
    else:
        assert seen[:N] != seen[N : 2 * N]  # epochs of one seed draw for themselves
        assert numbers(again.train_batch(0, 32, 1)) != steps[0]


def test_a_shuffled_loader_of_its_own_kind_repeats_for_a_seed() -> None:
    class Own(DataLoader):
        pass

    loader = Own(TensorDataset(X, Y), 8, shuffle=True, worker_init_fn=print)
    data = from_batches(loader, [(X, Y)], classes=5)
    assert not data.in_any_order
    first = [numbers(data.train_batch(step, 45, 7)) for step in range(4)]
    assert sorted(first[0] + first[1]) == sorted(first[2] + first[3]) == list(range(N))
    assert first[0] != first[2]
    assert numbers(data.train_batch(2, 45, 7)) == first[2]
    assert data.notes == (
        "own data has no test part: what is said of it is said of the validation part",
    )


def test_targets_and_inputs_of_any_structure() -> None:
    boxes = [{"boxes": torch.rand(n % 3, 4)} for n in range(N)]
    words = torch.arange(N * 3).reshape(N, 3)
    batches = [
        ((X[at : at + 16].numpy(), words[at : at + 16]), boxes[at : at + 16])
        for at in range(0, N, 16)
    ]
    task = Task(lambda o, t: o.mean(), lambda o, t: 0.0)
    data = from_batches(batches, batches, task=task)
    check_dataset(data)
    assert data.classes is None
    assert data.input_shape == ((3, 2, 2), (3,))
    x, y = data.train_batch(2, 40, 0)
    assert [len(x[0]), len(x[1]), len(y)] == [40, 40, 40]
    assert y[3] is boxes[83]
    assert x[1][3].tolist() == words[83].tolist()
    assert [len(part) for part in data.calibration(20)] == [20, 20]


def test_doubles_reach_a_loss_as_float32() -> None:
    task = Task(F.mse_loss, F.mse_loss, lower_is_better=True)
    data = from_batches((X.double(), X.double().mean((1, 2, 3))), task=task)
    assert [half.dtype for half in data.train_batch(0, 8, 0)] == [torch.float32] * 2
    check_dataset(data)


def broken_later() -> Iterator[Any]:
    yield X[:4], Y[:4]
    yield X[:4, :2], Y[:4]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (iter([(X, Y)]), "training part is an iterator, which ends after one epoch: give what it"),
        (generated(), "training part is an iterator, which ends .* a function that returns"),
        (5, "training part is an iterable of batches .*got int"),
        ([], "training part hands out nothing"),
        (lambda: 5, "training part: the function returns no iterable but 5"),
        (lambda: 1 / 0, "training part raises ZeroDivisionError"),
        ([(X, Y, Y)], r"the first batch is a pair \(x, y\), got 3 things: where there are several"),
        ([X], "the first batch is a pair .*got Tensor"),
        ([("cat", 1)], "inputs are arrays or tensors with the batch first, .* got str"),
        (broken_later, r"batch 1 of the training part has inputs float32 \(2, 2, 2\), and the fir"),
        (
            [(X, Y), (X.long(), Y)],
            r"batch 1 .* has inputs int64 \(3, 2, 2\), and the first .*float",
        ),
        ([(X, Y[:50])], "batch 0 of the training part has 90 inputs and 50 targets"),
        ([(X, 3)], "batch 0 of the training part has a Tensor as target: one an example"),
        ([(X, Y.float())], r"labels float32 \(90,\): classes are integers .* needs a loss"),
        ([(X, Y + 1)], "labels 0 to 4, got 5"),
        ((X, Y[:3]), "the training part: 90 inputs, 3 targets"),
        (TensorDataset(X[:2], Y[:2]), "has too few images to be split"),
        (TensorDataset(X[:0], Y[:0]), "the training part has no examples"),
    ],
)
def test_what_is_no_data_is_told_with_its_place(source: Any, message: str) -> None:
    validation = None if isinstance(source, TensorDataset | tuple) else [(X[:20], Y[:20])]
    with pytest.raises(DataError, match=message) as caught:
        check_dataset(from_batches(source, validation, classes=5))
    assert "\n" not in str(caught.value)


def test_an_iterable_that_becomes_shorter_is_told() -> None:
    class Shorter:
        left = [90] * 4 + [30] * 9

        def __iter__(self) -> Iterator[Any]:
            count = self.left.pop(0)
            return iter([(X[:count], Y[:count])])

    data = from_batches(Shorter(), [(X, Y)], classes=5)
    data.train_batch(0, 30, 0)
    with pytest.raises(DataError, match="handed out 90 examples before, and 30 when it was gone"):
        read_all(data)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_example_that_cannot_be_read_is_named(workers: int) -> None:
    class Broken(Examples):
        def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
            if row == 11:
                raise OSError("no such file: 11.jpg")
            return super().__getitem__(row)

    with pytest.raises(
        DataError, match=r"example 11 raises OSError: no such file: 11.jpg"
    ) as caught:
        read_all(from_batches(Broken(), Examples(), Examples(), classes=5, workers=workers))
    assert "Traceback" not in str(caught.value)


def test_classes_are_needed_unless_loss_and_metric_are_own() -> None:
    for task in (Task(), Task(loss=F.cross_entropy), Task(metric=lambda o, t: 0.0)):
        with pytest.raises(DataError, match="need classes=, how many there are"):
            from_batches((X, Y), task=task)
    with pytest.raises(DataError, match="2 class_names for 5 classes"):
        from_batches((X, Y), classes=5, class_names=("cat", "dog"))
    with pytest.raises(DataError, match="need a validation part"):
        from_batches([(X, Y)], classes=5)
    with pytest.raises(OptionError, match="a loss is a function of"):
        Task(loss=3)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="go together with the metric"):
        Task(lower_is_better=True)


def test_a_metric_is_a_mean_of_examples_and_its_sign_follows_from_its_direction() -> None:
    def off(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (outputs - targets).abs().mean()

    batches = [(torch.zeros(3), torch.ones(3)), (torch.zeros(1), torch.full((1,), 5.0))]
    assert Task(metric=off).score_of(batches) == (3 * 1 + 1 * 5) / 4
    lower = Task(metric=off, lower_is_better=True)
    assert lower.score_of(batches) == -2
    assert lower.scored.text(-2.0) == "2"
    assert task_of(object()).scored.text(0.875) == "87.5%"
    logits = torch.eye(4)
    assert Task().score_of([(logits, torch.tensor([0, 1, 2, 0]))]) == 3 / 4
    with pytest.raises(OptionError, match="an accuracy is from 0 to 1, got 2: scale it"):
        Task(metric=off, name="accuracy").score_of(batches)


def test_the_command_line_takes_a_function_without_arguments(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(DATA, "_registered", {})
    register_data("own", lambda: from_batches((X, Y), classes=5))
    assert load_data("own", input_shape=(3, 2, 2)).train_count == 54
    with pytest.raises(
        DataError, match=r"hand out inputs \(3, 2, 2\), and the network reads \(4,\)"
    ):
        load_data("own", input_shape=(4,))
    with pytest.raises(DataError, match="digits data are images, and the network reads 4: give"):
        load_data("digits", input_shape=(4,))
