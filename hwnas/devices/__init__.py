"""Devices: what is measured where, and the tables that come of it."""

from hwnas.devices.completing import completed
from hwnas.devices.fitting import check_exportable, check_profile_fits
from hwnas.devices.saving import keep, saved_already
from hwnas.devices.tables import (
    PROFILE_SECONDS,
    RELOADED_SECONDS,
    ProfileJob,
    filled,
    profile_to_file,
    table_for,
    transfer_to_file,
)
from hwnas.devices.target import (
    Measure,
    available,
    differences_here,
    measure_on,
    measure_runs,
    precision_for,
    runtime_for,
)

__all__ = [
    "PROFILE_SECONDS",
    "RELOADED_SECONDS",
    "Measure",
    "ProfileJob",
    "available",
    "check_exportable",
    "check_profile_fits",
    "completed",
    "differences_here",
    "filled",
    "keep",
    "measure_on",
    "measure_runs",
    "precision_for",
    "profile_to_file",
    "runtime_for",
    "saved_already",
    "table_for",
    "transfer_to_file",
]
