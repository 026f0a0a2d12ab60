"""A supernet with no parameter at ones or zeros, so that mixing them up shows."""

from collections.abc import Callable

import pytest
import torch

from hwnas.spaces import SearchSpace
from hwnas.supernet import Sharing, Supernet

MakeSupernet = Callable[..., Supernet]


@pytest.fixture
def make_supernet(small_space: SearchSpace) -> MakeSupernet:
    """Makes a supernet of the small space with random parameters and statistics."""

    def make(sharing: Sharing = "slices", seed: int = 0) -> Supernet:
        supernet = Supernet(small_space, sharing=sharing, seed=seed, zero_init_residual=False)
        generator = torch.Generator().manual_seed(seed + 1)
        with torch.no_grad():
            for name, tensor in supernet.state_dict().items():
                if tensor.ndim == 1:
                    low = 0.0 if name.endswith(("bias", "mean")) else 0.5
                    tensor.uniform_(low, low + 1, generator=generator)
                elif tensor.ndim == 2:
                    tensor.normal_(0, 2, generator=generator)
                elif tensor.ndim == 4:
                    fan_in = tensor[0].numel()
                    tensor.normal_(0, fan_in**-0.5, generator=generator)
        return supernet

    return make
