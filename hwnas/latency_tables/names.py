"""What tables are called: this user's, and those that ship."""

import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

__all__ = ["known_tables", "own_tables", "shipped", "tables_folder"]

#: Names of the user's own tables that a message lists.
_LISTED = 8


def tables_folder() -> Path:
    """The folder of this user's tables: below ``$HWNAS_HOME``, else the platform's data folder."""
    home = os.environ.get("HWNAS_HOME")
    if home:
        return Path(home) / "tables"
    from platformdirs import user_data_path

    return user_data_path("hwnas") / "tables"


def own_tables() -> dict[str, Path]:
    """Name -> path of the user's tables."""
    return {path.stem: path for path in sorted(tables_folder().glob("*.json"))}


def shipped() -> Mapping[str, Path]:
    """Name -> path of the tables that come with hwnas."""
    folder = Path(str(files("hwnas.latency_tables")))
    return {path.stem: path for path in sorted(folder.glob("*.json"))}


def known_tables() -> str:
    """The names of all tables, for a message."""
    own = list(own_tables())
    names = [*own[:_LISTED], *shipped()]
    more = f" and {len(own) - _LISTED} more of yours" if len(own) > _LISTED else ""
    return f"{', '.join(names) or 'there are none'}{more}"
