"""The command line: the only place that reads flags, prints, and draws progress.

This file imports nothing that takes time, so that an interrupt finds `main` ready for it.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hwnas.cli.commands import group

__all__ = ["group", "main"]


def __getattr__(name: str) -> object:
    if name == "group":
        from hwnas.cli.commands import group

        return group
    raise AttributeError(f"module 'hwnas.cli' has no attribute {name!r}")


def main() -> None:
    """Run the command line; errors are one line on stderr, and an exit status that is not 0."""
    try:
        from hwnas.cli.stopping import end_at_once_for_now

        end_at_once_for_now()
        from hwnas.cli.commands import group
        from hwnas.cli.errors import guarded
    except KeyboardInterrupt:  # within the first milliseconds
        import os

        os.write(2, b"error: interrupted; the same command goes on where it stopped\n")
        os._exit(130)
    except (ImportError, MemoryError, OSError) as error:
        import sys

        reason = " ".join(f"{type(error).__name__}: {error}".split())
        sys.stderr.write(f"error: hwnas cannot be loaded ({ascii(reason)[1:-1]})\n")
        sys.exit(1)
    guarded(group)
