"""Supernets: all networks of a space in one module, trained path by path, evaluated by prefix."""

from hwnas.supernet.checkpoint import load_checkpoint, load_weights, save_checkpoint
from hwnas.supernet.data import DATA_SPECS, Dataset, batch_indices, load_data, parse_data_spec
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
    "DATA_SPECS",
    "OPTIMIZERS",
    "SAMPLERS",
    "SHARINGS",
    "SINGLE_PROCESS",
    "BalancedSampler",
    "ConstraintSampler",
    "Dataset",
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
    "batch_indices",
    "learning_rate",
    "load_checkpoint",
    "load_data",
    "load_weights",
    "make_network",
    "make_optimizer",
    "make_sampler",
    "parse_data_spec",
    "probabilities_of",
    "save_checkpoint",
    "torchrun_workers",
    "train_step",
]
