"""Supernets: all networks of a space in one module, trained path by path, evaluated together.

What needs torch, which is slow to import, loads on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hwnas.supernet.kinds import OPTIMIZERS, SAMPLERS, SHARINGS, OptimizerKind, SamplerKind, Sharing

if TYPE_CHECKING:
    from hwnas.supernet.checkpoint import (
        check_origin,
        load_checkpoint,
        load_weights,
        save_checkpoint,
    )
    from hwnas.supernet.evaluate import Evaluator
    from hwnas.supernet.gates import alpha_gradient, probabilities_of
    from hwnas.supernet.mixed import check_mixable, mixed_bytes, mixed_logits
    from hwnas.supernet.network import Supernet, concat_values, make_network
    from hwnas.supernet.samplers import (
        BalancedSampler,
        ConstraintSampler,
        FeasibleSampler,
        LearningSampler,
        PathSampler,
        PoolSampler,
        ProbabilitySampler,
        UniformSampler,
        make_sampler,
        sampler_state,
        tell_sampler,
    )
    from hwnas.supernet.second_derivatives import twice_differentiable
    from hwnas.supernet.train import learning_rate, make_optimizer, train_step
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
    "LearningSampler",
    "OptimizerKind",
    "PathSampler",
    "PoolSampler",
    "ProbabilitySampler",
    "SamplerKind",
    "Sharing",
    "Supernet",
    "UniformSampler",
    "Workers",
    "alpha_gradient",
    "check_mixable",
    "check_origin",
    "concat_values",
    "learning_rate",
    "load_checkpoint",
    "load_weights",
    "make_network",
    "make_optimizer",
    "make_sampler",
    "mixed_bytes",
    "mixed_logits",
    "probabilities_of",
    "sampler_state",
    "save_checkpoint",
    "tell_sampler",
    "torchrun_workers",
    "train_step",
    "twice_differentiable",
]

_HOMES = {
    "tell_sampler": "hwnas.supernet.samplers",
    "sampler_state": "hwnas.supernet.samplers",
    "LearningSampler": "hwnas.supernet.samplers",
    "check_origin": "hwnas.supernet.checkpoint",
    "load_checkpoint": "hwnas.supernet.checkpoint",
    "load_weights": "hwnas.supernet.checkpoint",
    "save_checkpoint": "hwnas.supernet.checkpoint",
    "Evaluator": "hwnas.supernet.evaluate",
    "alpha_gradient": "hwnas.supernet.gates",
    "probabilities_of": "hwnas.supernet.gates",
    "check_mixable": "hwnas.supernet.mixed",
    "mixed_bytes": "hwnas.supernet.mixed",
    "mixed_logits": "hwnas.supernet.mixed",
    "Supernet": "hwnas.supernet.network",
    "concat_values": "hwnas.supernet.network",
    "make_network": "hwnas.supernet.network",
    "BalancedSampler": "hwnas.supernet.samplers",
    "ConstraintSampler": "hwnas.supernet.samplers",
    "FeasibleSampler": "hwnas.supernet.samplers",
    "PathSampler": "hwnas.supernet.samplers",
    "PoolSampler": "hwnas.supernet.samplers",
    "ProbabilitySampler": "hwnas.supernet.samplers",
    "UniformSampler": "hwnas.supernet.samplers",
    "make_sampler": "hwnas.supernet.samplers",
    "twice_differentiable": "hwnas.supernet.second_derivatives",
    "learning_rate": "hwnas.supernet.train",
    "make_optimizer": "hwnas.supernet.train",
    "train_step": "hwnas.supernet.train",
    "SINGLE_PROCESS": "hwnas.supernet.workers",
    "Workers": "hwnas.supernet.workers",
    "torchrun_workers": "hwnas.supernet.workers",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'hwnas.supernet' has no attribute {name!r}")
