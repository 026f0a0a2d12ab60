"""Latency tables: their schema and store, and the measured tables that ship, one JSON file each."""

from hwnas.latency_tables.agreement import Agreement, agreement, drift_tolerance
from hwnas.latency_tables.checks import Finding, check_table, only_noise
from hwnas.latency_tables.conditions import Conditions, DeviceState
from hwnas.latency_tables.names import shipped, tables_folder
from hwnas.latency_tables.spread import percentile_factor
from hwnas.latency_tables.store import (
    all_tables,
    default_path,
    earlier_profile,
    find_table,
    table_path,
)
from hwnas.latency_tables.table import (
    Estimate,
    KernelNetwork,
    KernelRecord,
    LatencyTable,
    Measurement,
    Provenance,
    SpaceRecord,
    Transfer,
)
from hwnas.latency_tables.target import Target

__all__ = [
    "Agreement",
    "Conditions",
    "DeviceState",
    "Estimate",
    "Finding",
    "KernelNetwork",
    "KernelRecord",
    "LatencyTable",
    "Measurement",
    "Provenance",
    "SpaceRecord",
    "Target",
    "Transfer",
    "agreement",
    "all_tables",
    "check_table",
    "default_path",
    "drift_tolerance",
    "earlier_profile",
    "find_table",
    "only_noise",
    "percentile_factor",
    "shipped",
    "table_path",
    "tables_folder",
]
