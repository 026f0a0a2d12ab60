"""Families whose networks read and give something else than an image and a vector."""

import pytest
import torch
from families import vit_space
from torch import Tensor, nn

import hwnas
from hwnas.errors import OptionError
from hwnas.kernels import check_exported
from hwnas.supernet import Supernet
from hwnas.testing.spaces import check_space


class Words(nn.Module):
    """Numbers of words, and a few numbers beside them; several outputs."""

    def __init__(self, width: int):
        super().__init__()
        self.words, self.beside = nn.Embedding(5, width), nn.Linear(3, width)
        self.end = nn.Linear(width, 2)

    def forward(self, words: Tensor, beside: Tensor) -> tuple[Tensor, Tensor]:
        x = self.words(words).mean(1) + self.beside(beside)
        return self.end(x), x.mean(1)


class Mean(nn.Module):
    """A convolution, whose output is averaged."""

    def __init__(self, conv: nn.Module, norm: nn.Module):
        super().__init__()
        self.conv, self.norm = conv, norm

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)).relu().flatten(1).mean(1, keepdim=True)


def volumes(width: int) -> nn.Module:
    return Mean(nn.Conv3d(1, width, 3, 1, 1), nn.BatchNorm3d(width))


def sequences(width: int) -> nn.Module:
    return Mean(nn.Conv1d(5, width, 3, 1, 1), nn.BatchNorm1d(width))


@pytest.mark.parametrize(
    ("build", "shape", "dtype", "macs"),
    [
        (Words, [(4,), (3,)], ["int64", "float32"], 3 * 2 + 2 * 2),
        (volumes, (1, 4, 4, 4), "float32", 64 * 27 * 2),
        (sequences, (5, 9), "float32", 9 * 3 * 5 * 2),
    ],
)
def test_they_keep_the_promises_of_a_space(build, shape, dtype, macs: int) -> None:
    space = hwnas.family(build, {"width": [2, 4]}, input_shape=shape, input_dtype=dtype)
    hwnas.register_space(space.name, space)
    check_space(space, count=1)
    assert space.macs([[0]]).tolist() == [macs]
    shared = Supernet(space, seed=0).eval()
    x = space.modules.inputs.zeros(2)
    given = shared(x, [0])
    alone = space.build([0]).eval()
    alone.load_state_dict({k: torch.from_numpy(v) for k, v in shared.weights([0]).items()})
    expected = alone(*x) if isinstance(x, tuple) else alone(x)
    torch.testing.assert_close(given, expected)


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ("wide", "float32", "is the shape of an input without the batch"),
        ([(4,), (0,)], "float32", "holds numbers of at least 1"),
        ((), "float32", "holds numbers of at least 1"),
        ((4,), "float64", r"input_dtype is float32, int64, int32, one for all .*'float64' for 1"),
        ([(4,), (3,)], ["int64"], r"one each, got \['int64'\] for 2"),
        ([(4,), (2,)], ["int64", "float32"], r"not run on an input of \(\(4,\), \(2,\)\)"),
    ],
)
def test_what_is_no_input_is_refused(shape, dtype, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        hwnas.family(Words, {"width": [2]}, input_shape=shape, input_dtype=dtype)


def test_a_notebook_shows_the_shape_of_each_input() -> None:
    shape, dtype = [(4,), (3,)], ["int64", "float32"]
    space = hwnas.family(Words, {"width": [2]}, input_shape=shape, input_dtype=dtype)
    assert ">4 and 3</td>" in space._repr_html_()


def test_a_transformer_is_read_back_as_what_it_is() -> None:
    space = vit_space()
    check_exported(space.to_onnx(space.sample(1, seed=0)[0]), "best.onnx")
