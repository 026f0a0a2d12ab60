"""A variational autoencoder of transformers over architectures (TNAS, sections 3.2 and 3.3).

An architecture is a sequence of decisions. The encoder reads it and gives a normal distribution of
a latent vector z. The decoder gives, from z, a distribution over the choices of every decision at
once: given z the decisions are independent, and what ties them together is in z. One pass of the
decoder is all that a draw takes.

Beside the paper, a few small predictors may read z and learn the accuracies that were told, so that
draws can be ranked.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hwnas.arrays import BoolArray, FloatArray, IntArray
from hwnas.search.searchers.vae_settings import VAESettings

__all__ = [
    "ArchitectureVAE",
    "Fit",
    "draw_scores",
    "log_likelihoods",
    "predicted",
    "train_vae",
]

_WIDTH, _HEADS, _LATENT, _HIDDEN = 32, 4, 24, 32
#: What of z is read from the mean over decisions, the rest from each of them.
_SUMMARY = 12
#: Initial standard deviation of what stands for choices and for decisions.
_EMBEDDING = 0.3
_LR, _WEIGHT_DECAY, _WARM_UP = 1e-2, 1e-4, 10
#: Architectures a training step, at most.
_BATCH = 256


class ArchitectureVAE(nn.Module):
    """Encoder, decoder and predictors; a choice is known by its index, a decision by its place.

    Args:
        n_choices: of each decision; they may differ.
        predictors: of accuracy, from z; 0 for the paper's VAE.
        layers: transformer layers of the encoder and of the decoder.
        seed: of the initial weights.
    """

    exist: Tensor

    def __init__(
        self, n_choices: Sequence[int], *, predictors: int = 0, layers: int = 1, seed: int = 0
    ):
        super().__init__()
        self.n_choices = tuple(n_choices)
        n_decisions, most = len(n_choices), max(n_choices)
        exist = torch.arange(most) < torch.tensor(self.n_choices)[:, None]
        self.register_buffer("exist", exist, persistent=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.read_choices = _normal(most, _WIDTH, std=_EMBEDDING)
            self.read_places = _normal(n_decisions, _WIDTH, std=_EMBEDDING)
            self.encoder = _transformer(layers)
            self.of_all = nn.Linear(_WIDTH, 2 * _SUMMARY)
            self.of_each = nn.Linear(n_decisions * _WIDTH, 2 * (_LATENT - _SUMMARY))
            self.from_latent = nn.Linear(_LATENT, _WIDTH)
            self.written_places = _normal(n_decisions, _WIDTH, std=1.0)
            self.decoder = _transformer(layers)
            self.written_choices = _normal(n_decisions, most, _WIDTH, std=_WIDTH**-0.5)
            self.hidden = _normal(predictors, _SUMMARY, _HIDDEN, std=_SUMMARY**-0.5)
            self.bias = _normal(predictors, 1, _HIDDEN, std=0.1)
            self.output = _normal(predictors, _HIDDEN, 1, std=_HIDDEN**-0.5)

    def encode(self, archs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of z, (n, 24) each, of architectures (n, n_decisions)."""
        read = self.encoder(self.read_choices[archs] + self.read_places)
        halves = [self.of_all(read.mean(1)).chunk(2, 1), self.of_each(read.flatten(1)).chunk(2, 1)]
        mean, log_variance = (torch.cat(parts, 1) for parts in zip(*halves, strict=True))
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """Log-probabilities (n, n_decisions, most choices) of z (n, 24); -inf for no choice."""
        written = self.decoder(self.from_latent(z)[:, None] + self.written_places)
        scores = torch.einsum("ndw,dcw->ndc", written, self.written_choices)
        return scores.masked_fill(~self.exist, -torch.inf).log_softmax(2)

    def predict(self, z: Tensor) -> Tensor:
        """What each predictor says of z (n, 24), (n, predictors)."""
        hidden = torch.relu(torch.einsum("nl,plh->pnh", z[:, :_SUMMARY], self.hidden) + self.bias)
        return torch.bmm(hidden, self.output)[:, :, 0].T


@dataclass(frozen=True)
class Fit:
    """How well a VAE knows the architectures that it was trained on, means in nats.

    Attributes:
        kl: divergence of their z from the prior.
        reconstruction: minus the log-probability of an architecture given its z.
    """

    kl: float
    reconstruction: float


def train_vae(
    model: ArchitectureVAE,
    archs: IntArray,
    best: BoolArray,
    rng: np.random.Generator,
    settings: VAESettings,
    worths: FloatArray | None = None,
) -> Fit:
    """Maximise eq. 2 over the best architectures; the predictors learn from all.

    Each predictor learns from its own bootstrap: every architecture counts as often as a Poisson
    draw of mean 1 says. So they differ where little is known.

    Args:
        model: trained in place.
        archs: (n, n_decisions).
        best: which of them the VAE learns, (n,); at least one.
        rng: of z, of batches, of the bootstraps.
        settings: steps, weight of the divergence.
        worths: what the predictors learn, (n,), about standard normal; None to leave them.
    """
    rows, learned = torch.from_numpy(archs), torch.from_numpy(archs[best])
    noise = torch.Generator().manual_seed(int(rng.integers(2**63)))
    targets = None if worths is None else torch.from_numpy(worths).float()
    counts = torch.poisson(torch.ones(len(rows), len(model.hidden)), generator=noise)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=_LR, weight_decay=_WEIGHT_DECAY, fused=True
    )
    for step in range(settings.vae_steps):
        for group in optimizer.param_groups:
            group["lr"] = _LR * min(1.0, (step + 1) / _WARM_UP) * (1 - step / settings.vae_steps)
        kl, nats = _bound(model, learned[_batch(len(learned), noise)], noise)
        loss = (settings.kl_weight * kl + nats).mean()
        if targets is not None:
            batch = _batch(len(rows), noise)
            said = model.predict(model.encode(rows[batch])[0])
            errors = counts[batch] * (said - targets[batch, None]) ** 2
            loss = loss + errors.mean(0).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        kl, nats = _bound(model, learned, noise)
    return Fit(kl.mean().item(), nats.mean().item())


def draw_scores(model: ArchitectureVAE, count: int, rng: np.random.Generator) -> FloatArray:
    """Log-probabilities (count, n_decisions, most choices) of as many z of the prior."""
    z = torch.from_numpy(rng.standard_normal((count, _LATENT), np.float32))
    with torch.no_grad():
        scores: FloatArray = model.decode(z).double().numpy()
    return scores


def predicted(model: ArchitectureVAE, archs: IntArray) -> FloatArray:
    """What each predictor says of architectures, (n, predictors)."""
    with torch.no_grad():
        mean, _ = model.encode(torch.from_numpy(archs))
        worths: FloatArray = model.predict(mean).double().numpy()
    return worths


def log_likelihoods(
    model: ArchitectureVAE, archs: IntArray, rng: np.random.Generator, *, draws: int = 256
) -> FloatArray:
    """Log-probabilities (n,) of architectures under the VAE, in nats.

    Each is an estimate from draws of z by the encoder, weighted by their importance (Burda et al.,
    2016): a lower bound in the mean, which draws tighten.

    Args:
        model: the VAE.
        archs: (n, n_decisions).
        rng: of z.
        draws: of z, for each architecture.
    """
    values = np.empty(len(archs))
    for at, row in enumerate(torch.from_numpy(archs)):
        with torch.no_grad():
            mean, log_variance = model.encode(row[None])
            noise = torch.from_numpy(rng.standard_normal((draws, _LATENT), np.float32))
            z = mean + (0.5 * log_variance).exp() * noise
            prior_to_posterior = 0.5 * (noise**2 + log_variance - z**2).sum(1)
            weights = _of(model.decode(z), row.expand(draws, -1)) + prior_to_posterior
            values[at] = weights.double().logsumexp(0).item() - math.log(draws)
    return values


def _bound(model: ArchitectureVAE, rows: Tensor, noise: torch.Generator) -> tuple[Tensor, Tensor]:
    """Both terms of eq. 2 without their signs, (n,) each: divergence and reconstruction."""
    mean, log_variance = model.encode(rows)
    z = mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=noise)
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
    return kl, -_of(model.decode(z), rows)


def _batch(count: int, noise: torch.Generator) -> Tensor:
    """Positions of all architectures, or of some if they are many."""
    if count <= _BATCH:
        return torch.arange(count)
    return torch.randperm(count, generator=noise)[:_BATCH]


def _of(scores: Tensor, rows: Tensor) -> Tensor:
    """Log-probabilities (n,) of architectures under those of all choices."""
    return scores.gather(2, rows[:, :, None])[:, :, 0].sum(1)


def _transformer(layers: int) -> nn.Module:
    layer = nn.TransformerEncoderLayer(_WIDTH, _HEADS, 2 * _WIDTH, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


def _normal(*shape: int, std: float) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape) * std)
