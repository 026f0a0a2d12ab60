"""The group of all commands, each of which is imported when it is used."""

from importlib import import_module

import click

from hwnas.version import __version__

__all__ = ["group"]

_COMMANDS = {
    "measure": "measure any ONNX model, here or elsewhere",
    "predict": "predicted latency of architectures",
    "profile": "measure this machine into a latency table",
    "rank": "how well a supernet ranks architectures",
    "report": "one HTML page of runs, tables and measurements",
    "search": "find a network that keeps a latency budget",
    "show": "where the milliseconds of a network go",
    "verify": "measure a found network on the machine that it is for",
    "tables": "list, show and check latency tables",
    "train": "train the network that a search found",
}


class _Commands(click.Group):
    """Imports a command when it is used, so that ``hwnas --help`` is immediate."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"hwnas.cli.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="hwnas")
def group() -> None:
    """From a device to a neural network that keeps its latency budget there, measured.

    \b
    Examples:
      hwnas search --latency 6ms            profile this machine if need be, then search
      hwnas train RUN                       train what the search found
      hwnas profile --device cpu            only measure this machine
      hwnas measure model.onnx              measure any ONNX model
      hwnas tables list                     what has been measured
    """
