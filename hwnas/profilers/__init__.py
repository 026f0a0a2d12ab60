"""Profilers: the measuring protocol, and one small file per runtime.

A new runtime is a file with a class that satisfies `Runtime`, a line in `runtimes`, and a line in
the conformance tests. One from outside the package is registered: `register_runtime`, an entry
point of the group ``hwnas.runtimes``, or ``--runtime FILE.py:NAME``.
"""

from hwnas.profilers.gpu import GPU_RUNTIMES, gpu_problem
from hwnas.profilers.kernels import check_kernels, profile_kernels
from hwnas.profilers.profile import profile_space
from hwnas.profilers.protocol import Plan
from hwnas.profilers.remote.results import collect, space_bundle
from hwnas.profilers.remote.runtime import RemoteRuntime
from hwnas.profilers.runtime import AnyRuntime, Runtime, check_precision, is_remote
from hwnas.profilers.runtimes import (
    DEVICES,
    RUNTIMES,
    check_device,
    names_remote_device,
    register_runtime,
    remote_runtime,
    runtime,
)
from hwnas.profilers.supplement import extend_table, measure_models

__all__ = [
    "DEVICES",
    "GPU_RUNTIMES",
    "RUNTIMES",
    "AnyRuntime",
    "Plan",
    "RemoteRuntime",
    "Runtime",
    "check_device",
    "check_kernels",
    "check_precision",
    "collect",
    "extend_table",
    "gpu_problem",
    "is_remote",
    "measure_models",
    "names_remote_device",
    "profile_kernels",
    "profile_space",
    "register_runtime",
    "remote_runtime",
    "runtime",
    "space_bundle",
]
