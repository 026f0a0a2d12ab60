"""A map of architectures: encoder, predictor and decoder of Neural Architecture Optimization.

An architecture is the sequence of its choices, and a point of the map one vector a decision. The
encoder, an LSTM, gives an architecture's point; the predictor says how accurate the architecture
of a point is; the decoder, an LSTM that attends to the point, says which architecture it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwnas.arrays import FloatArray, IntArray
from hwnas.search.searchers.worth import accuracies_of, are_shares, log_worth

__all__ = ["ArchitectureMap", "Decoding", "Fit", "Scale", "ascend", "centres", "fit"]

_EMBEDDING, _HIDDEN, _DROPOUT = 32, 64, 0.1
_CLIP = 5.0


@dataclass(frozen=True, slots=True)
class Fit:
    """How a map is trained.

    Attributes:
        steps: of Adam.
        batch_size: architectures a step.
        lr: at the first step; falls linearly to 0.
        prediction: share of the predictor's squared error in the loss; the rest is the decoder's
            negative log-likelihood.
    """

    steps: int = 400
    batch_size: int = 50
    lr: float = 8e-3
    prediction: float = 0.8


@dataclass(frozen=True, slots=True)
class Scale:
    """Accuracies as targets from 0 to 1, which keep differences among the best apart.

    A target is linear in -log(1.01 - accuracy), 0 for the least and 1 for the most accurate; in the
    score itself where scores are no shares.

    Attributes:
        low, high: that logarithm for target 0 and 1.
        shares: whether it is a logarithm.
    """

    low: float
    high: float
    shares: bool = True

    @classmethod
    def of(cls, accuracies: FloatArray) -> "Scale":
        """The scale on which accuracies (n,), 0 to 1, span 0 to 1."""
        shares = are_shares(accuracies)
        values = log_worth(accuracies) if shares else accuracies
        low, high = float(values.min()), float(max(values.max(), values.min() + 1e-9))
        return cls(low, high, shares)

    def targets(self, accuracies: FloatArray) -> FloatArray:
        """Targets (n,) of accuracies (n,)."""
        values = log_worth(accuracies) if self.shares else accuracies
        scaled: FloatArray = (values - self.low) / (self.high - self.low)
        return scaled

    def accuracies(self, targets: FloatArray) -> FloatArray:
        """Accuracies (n,) of targets (n,)."""
        values: FloatArray = self.low + targets * (self.high - self.low)
        return accuracies_of(values) if self.shares else values


class ArchitectureMap(nn.Module):
    """Encoder, predictor and decoder over the decisions of any space.

    Args:
        n_choices: of each decision.
        seed: of the initial weights.
    """

    offsets: Tensor
    others: Tensor

    def __init__(self, n_choices: Sequence[int], *, seed: int):
        super().__init__()
        self.n_choices = tuple(n_choices)
        ends = np.cumsum(self.n_choices)
        total = int(ends[-1])
        owner = np.repeat(np.arange(len(ends)), self.n_choices)
        # which of all choices are not the decision's own, (n_decisions, total)
        others = torch.from_numpy(owner != np.arange(len(ends))[:, None])
        self.register_buffer("offsets", torch.from_numpy(ends - self.n_choices), persistent=False)
        self.register_buffer("others", others, persistent=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            # one vector for each choice of each decision, and one for what is before the first
            self.embedding = nn.Embedding(total + 1, _EMBEDDING)
            self.encoder = nn.LSTM(_EMBEDDING, _HIDDEN, batch_first=True)
            self.predictor = nn.Sequential(
                nn.Linear(_HIDDEN, _HIDDEN),
                nn.ReLU(),
                nn.Dropout(_DROPOUT),
                nn.Linear(_HIDDEN, 1),
                nn.Sigmoid(),
            )
            self.decoder = nn.LSTM(_EMBEDDING, _HIDDEN, batch_first=True)
            self.query = nn.Linear(_HIDDEN, _HIDDEN)
            self.mixed = nn.Linear(2 * _HIDDEN, _HIDDEN)
            self.logits = nn.Linear(_HIDDEN, total)

    def encode(self, archs: Tensor) -> Tensor:
        """Points (n, n_decisions, hidden) of architectures (n, n_decisions).

        A point's vectors have length 1.
        """
        return F.normalize(self.encoder(self.embedding(archs + self.offsets))[0], dim=-1)

    def predict(self, points: Tensor) -> Tensor:
        """Targets (n,), 0 to 1, of points (n, n_decisions, hidden)."""
        targets: Tensor = self.predictor(centres(points))[:, 0]
        return targets

    def negative_log_likelihood(self, points: Tensor, archs: Tensor) -> Tensor:
        """Mean over decisions, in nats, with which points are decoded as architectures."""
        tokens = archs + self.offsets
        before = torch.cat([self._start(len(archs)), tokens[:, :-1]], dim=1)
        hidden, _ = self.decoder(self.embedding(before), self.first_state(points))
        scores = self.scores(hidden, points).masked_fill(self.others, -torch.inf)
        return F.cross_entropy(scores.flatten(0, 1), tokens.flatten())

    def first_state(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """What the decoder starts from."""
        centre = centres(points)[None]
        return centre, torch.zeros_like(centre)

    def scores(self, hidden: Tensor, points: Tensor) -> Tensor:
        """Scores (n, t, all choices), in nats up to a constant, of t states of the decoder."""
        attention = torch.softmax(self.query(hidden) @ points.transpose(1, 2), dim=-1)
        seen = torch.cat([hidden, attention @ points], dim=-1)
        scores: Tensor = self.logits(torch.tanh(self.mixed(seen)))
        return scores

    def _start(self, count: int) -> Tensor:
        return self.offsets.new_full((count, 1), self.embedding.num_embeddings - 1)


class Decoding:
    """Scores of the choices of points, decision by decision: what `hwnas.costs.decode` asks for.

    Args:
        network: whose decoder is asked.
        points: (n, n_decisions, hidden).
    """

    def __init__(self, network: ArchitectureMap, points: Tensor):
        self._network, self._points = network, points
        self._state = network.first_state(points)

    @torch.no_grad()
    def __call__(self, decided: IntArray) -> FloatArray:
        """Scores (n, n_choices of decision d) after the choices (n, d); d is 0, then 1, ..."""
        network, at = self._network, decided.shape[1]
        if at:
            tokens = torch.from_numpy(decided[:, -1:]) + network.offsets[at - 1]
        else:
            tokens = network._start(len(decided))
        hidden, self._state = network.decoder(network.embedding(tokens), self._state)
        own = network.scores(hidden, self._points)[:, 0, ~network.others[at]]
        return own.double().numpy()


def fit(
    network: ArchitectureMap, archs: IntArray, targets: FloatArray, settings: Fit, *, seed: int
) -> None:
    """Train a map, from where it is (Balanced NAO, algorithm 1).

    Args:
        network: trained in place.
        archs: (n, n_decisions).
        targets: 0 to 1, (n,).
        settings: how.
        seed: of the order of the architectures, and of what dropout drops.
    """
    rows, wanted = torch.from_numpy(archs), torch.from_numpy(targets).float()
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.lr, fused=True)
    network.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for step in range(settings.steps):
            optimizer.param_groups[0]["lr"] = settings.lr * (1 - step / settings.steps)
            chosen = torch.randperm(len(rows))[: settings.batch_size]
            points = network.encode(rows[chosen])
            error = F.mse_loss(network.predict(points), wanted[chosen])
            unlike = network.negative_log_likelihood(points, rows[chosen])
            loss = settings.prediction * error + (1 - settings.prediction) * unlike
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
            optimizer.step()
    network.eval()


def ascend(network: ArchitectureMap, archs: IntArray, step: float, steps: int) -> Tensor:
    """Follow the predictor's gradient from the points of architectures.

    Each step goes the same distance, ``step`` a decision on average, however steep the slope is.

    Args:
        network: trained.
        archs: (n, n_decisions).
        step: how far; the vectors of a point have length 1 to begin with.
        steps: how often.

    Returns:
        Points (1 + steps, n, n_decisions, hidden), those of the architectures first.
    """
    points = network.encode(torch.from_numpy(archs)).detach()
    path = [points]
    for _ in range(steps):
        points = points.requires_grad_()
        (slope,) = torch.autograd.grad(network.predict(points).sum(), points)
        length = slope.flatten(1).norm(dim=1)[:, None, None].clamp_min(1e-12)
        points = (points + step * points.shape[1] ** 0.5 * slope / length).detach()
        path.append(points)
    return torch.stack(path).detach()


def centres(points: Tensor) -> Tensor:
    """Mean vectors (n, hidden) of points (n, n_decisions, hidden), of length 1."""
    return F.normalize(points.mean(dim=1), dim=-1)
