"""A process of its own for what a stranger's model may do: never end, take all memory, or crash."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hwnas.errors import HwnasError, ModelRejectedError
from hwnas.files import write_atomically
from hwnas.memory import machine_bytes
from hwnas.reading import MIB, parse_json, read_bytes

__all__ = ["limit_memory", "read_record", "reasons_told", "run_child", "tell"]

_REFUSED = "refused.json"
_MOST_BYTES = 64 * MIB
_CHILD = (
    "import json, sys; from importlib import import_module; sys.path[:] = json.loads(sys.argv[1]); "
    "import_module(sys.argv[2]).work(*sys.argv[3:])"
)


def run_child(module: str, folder: Path, words: Sequence[str], limit_s: float) -> str:
    """Run ``work(folder, *words)`` of a module of ours, in silence.

    Args:
        module: its name.
        folder: where it finds what it reads, and leaves what it tells.
        words: further arguments.
        limit_s: after which it is stopped.

    Returns:
        How it ended, for the message where what it should have left is not there.

    Raises:
        ModelRejectedError: it said why it refuses the model.
    """
    status: int | None = None
    with suppress(subprocess.TimeoutExpired):
        status = subprocess.run(
            [
                *(sys.executable, "-P", "-c", _CHILD),
                *(json.dumps(sys.path), module, str(folder), *words),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=limit_s,
            check=False,
        ).returncode
    refused = read_record(folder, _REFUSED)
    if refused is not None:
        raise ModelRejectedError(str(refused["reason"]))
    if status is None:
        return f"within {limit_s:g} s: it takes longer, or never ends"
    ended = f"signal {-status}" if status < 0 else f"status {status}"
    return f"and ended its process ({ended}); is there memory enough?"


def read_record(folder: Path, name: str) -> Any:
    """What the process told in a file; None where it did not."""
    with suppress(OSError, ValueError):
        return parse_json(read_bytes(folder / name, _MOST_BYTES))
    return None


def tell(folder: Path, name: str, record: Mapping[str, Any]) -> None:
    """Within the process: leave a record for the process that started it."""
    write_atomically(folder / name, json.dumps(record).encode())


@contextmanager
def reasons_told(folder: Path, failed: str) -> Iterator[None]:
    """Within the process: what goes wrong is told as the reason why the model is refused.

    Args:
        folder: of the process.
        failed: what could not be done, where a library's own error says why.
    """
    try:
        yield
    except HwnasError as error:
        reason = str(error)
    except MemoryError:
        reason = "it needs more memory than there is"
    except Exception as error:  # whatever a library raises
        why = " ".join(str(error).split())[:300]
        reason = f"{failed}: {why or type(error).__name__}"
    else:
        return
    tell(folder, _REFUSED, {"reason": reason})


def limit_memory(device: str = "cpu") -> None:
    """Within the process: bound what it may take, which is no machine's whole memory."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most = machine_bytes()
    if device == "cpu" and most < float("inf"):  # a GPU's driver reserves addresses without end
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = int(most)
        least = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_AS, (least, hard))
