"""Transport through the system's own OpenSSH, so that its keys, jump hosts and settings hold."""

import re

from hwnas.errors import OptionError
from hwnas.profilers.remote.transport import REMOTE_COMMAND, Transport

__all__ = ["ssh_transport"]

_USER = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\]"
_ADDRESS = re.compile(rf"ssh://(?:({_USER})@)?({_NAME})(?::(\d{{1,5}}))?/?", re.ASCII)


def ssh_transport(address: str) -> Transport:
    """The transport to ``ssh://[user@]host[:port]``.

    ``host`` may be an alias of the user's ssh config.

    Raises:
        OptionError: not of this form; nothing else reaches ssh.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None or len(address) > 300 or not 0 < int(found[3] or 22) < 65536:
        raise OptionError(
            "a machine behind ssh is written ssh://user@host or ssh://user@host:port, "
            f"got {address!r}"
        )
    user, host, port = found[1], found[2].strip("[]"), found[3]
    return Transport(
        name=address.rstrip("/"),
        command=(
            "ssh",
            "-T",
            *("-o", "BatchMode=yes"),  # a question would hang behind the progress bars
            *("-o", "ConnectTimeout=20"),
            *("-o", "ServerAliveInterval=10"),
            *("-o", "ServerAliveCountMax=3"),
            *(("-p", port) if port else ()),
            *(("-l", user) if user else ()),
            "--",
            host,
            REMOTE_COMMAND,
        ),
        hint="'ssh' must log in there without a question (a key, and its host key accepted once)",
    )
