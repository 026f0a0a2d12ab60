"""Supernets: all networks of a space in one module, trained path by path, evaluated by prefix."""

from hwnas.supernet.checkpoint import load_checkpoint, load_weights, save_checkpoint
from hwnas.supernet.evaluate import Evaluator
from hwnas.supernet.gates import alpha_gradient, probabilities_of
from hwnas.supernet.network import Supernet, make_network
from hwnas.supernet.samplers import (
    SAMPLERS,
    BalancedSampler,
    ConstraintSampler,
    FeasibleSampler,
    PathSampler,
    ProbabilitySampler,
    SamplerKind,
    UniformSampler,
    make_sampler,
)
from hwnas.supernet.sharing import SHARINGS, Sharing
from hwnas.supernet.train import (
    OPTIMIZERS,
    OptimizerKind,
    learning_rate,
    make_optimizer,
    train_step,
)
from hwnas.supernet.workers import SINGLE_PROCESS, Workers, torchrun_workers

__all__ = [
    "OPTIMIZERS",
    "SAMPLERS",
    "SHARINGS",
    "SINGLE_PROCESS",
    "BalancedSampler",
    "ConstraintSampler",
    "Evaluator",
    "FeasibleSampler",
    "OptimizerKind",
    "PathSampler",
    "ProbabilitySampler",
    "SamplerKind",
    "Sharing",
    "Supernet",
    "UniformSampler",
    "Workers",
    "alpha_gradient",
    "learning_rate",
    "load_checkpoint",
    "load_weights",
    "make_network",
    "make_optimizer",
    "make_sampler",
    "probabilities_of",
    "save_checkpoint",
    "torchrun_workers",
    "train_step",
]
