"""Expected latency, and its gradient, of a predictor that is no sum over decisions."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import checked_probabilities
from hwnas.errors import OptionError

if TYPE_CHECKING:
    import torch

__all__ = ["SampledExpectation", "sampled_expectation"]


class _Predicting(Protocol):
    def predict(self, archs: IntArray, /) -> FloatArray: ...


class SampledExpectation:
    """Estimates the mean latency under independent choices from sampled architectures.

    The mean of any function f of an architecture is linear in the probabilities of each decision,
    with the gradient dE/dp[d][c] = E[f(a) | a_d = c]. Both are estimated, without bias, from
    ``samples`` architectures drawn from the probabilities, each with each of its decisions set to
    each choice in turn: ``samples x (sum of choices)`` predictions a call. Draws are stratified
    for each decision (a Latin hypercube), so that what is additive in f has an error of order
    1 / samples; the rest has one of order 1 / sqrt(samples). For an additive f, differences between
    the gradients of a decision's choices are exact.

    Args:
        predictor: has ``predict(archs)``, in ms.
        n_choices: of each decision.
        samples: architectures a call.
        seed: of the draws; every call draws anew, the same sequence for the same seed.
    """

    def __init__(
        self,
        predictor: _Predicting,
        n_choices: Sequence[int],
        *,
        samples: int = 64,
        seed: int = 0,
    ):
        if type(samples) is not int or samples < 1:
            raise OptionError(f"samples is a whole number of at least 1, got {samples!r}")
        self.predictor = predictor
        self.n_choices = tuple(n_choices)
        self.samples = samples
        self._rng = np.random.default_rng(seed)

    def expected(self, probabilities: Sequence["torch.Tensor"]) -> "torch.Tensor":
        """Estimated mean latency in ms, a float64 scalar with the estimated gradient.

        Args:
            probabilities: one tensor (n_choices,) a decision, not negative, each with sum 1.

        Raises:
            OptionError: another number of decisions or choices, or no probabilities.
        """
        import torch

        values = checked_probabilities(probabilities, self.n_choices)
        slopes = self._slopes(values)
        means = [float(row @ slope) for row, slope in zip(values, slopes, strict=True)]
        total = torch.tensor(float(np.mean(means)), dtype=torch.float64)
        for p, slope in zip(probabilities, slopes, strict=True):
            moved = p.double() - p.detach().double()  # 0, but with a gradient
            total = total + (moved * torch.from_numpy(slope).to(p.device)).sum()
        return total

    def _slopes(self, probabilities: Sequence[FloatArray]) -> list[FloatArray]:
        """For each decision, the mean of the samples with that decision set to each choice."""
        drawn = np.stack([self._draw(row) for row in probabilities], axis=1)
        rows = []
        for d, n in enumerate(self.n_choices):
            changed = np.repeat(drawn[None], n, axis=0)
            changed[:, :, d] = np.arange(n)[:, None]
            rows.append(changed.reshape(-1, len(self.n_choices)))
        ms = self.predictor.predict(np.concatenate(rows)).reshape(-1, self.samples).mean(axis=1)
        return np.split(ms, np.cumsum(self.n_choices)[:-1])

    def _draw(self, probabilities: FloatArray) -> IntArray:
        """A choice for each sample, (samples,), stratified and in random order."""
        levels = (
            self._rng.permutation(self.samples) + self._rng.random(self.samples)
        ) / self.samples
        upper = np.cumsum(probabilities)
        chosen = np.searchsorted(upper, levels * upper[-1], side="right")
        last = int(np.flatnonzero(probabilities)[-1])  # rounding must not lead beyond it
        drawn: IntArray = np.minimum(chosen, last)
        return drawn


def sampled_expectation(
    predictor: _Predicting, n_choices: Sequence[int], probabilities: Sequence["torch.Tensor"]
) -> "torch.Tensor":
    """`SampledExpectation` as a function of the probabilities alone.

    Draws are seeded by a digest of the probabilities: equal ones give an equal estimate, in a
    resumed search too, and others, such as those of the next step, draw anew.

    Args:
        predictor: has ``predict(archs)``, in ms.
        n_choices: of each decision.
        probabilities: one tensor (n_choices,) a decision, not negative, each with sum 1.

    Raises:
        OptionError: another number of decisions or choices, or no probabilities.
    """
    digest = hashlib.sha256()
    for p in probabilities:
        digest.update(p.detach().double().cpu().contiguous().numpy().tobytes())
    seed = int.from_bytes(digest.digest()[:8], "little")
    return SampledExpectation(predictor, n_choices, seed=seed).expected(probabilities)
