"""The files of the package as text: what each imports, wherever the import stands."""

import ast
from collections.abc import Mapping
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "hwnas"
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    """The room that a file of the package lies in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module_of(path: Path) -> str:
    """The dotted name of a file of the package."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(source: str, *, parts: bool = False) -> list[str]:
    """Dotted names of all that a file imports.

    Args:
        source: of the file.
        parts: also say what is taken from each module, as if it were a module itself.
    """
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            each = parts or base == "hwnas"
            names += [f"{base}.{alias.name}" if each else base for alias in node.names]
    return names


def imported_modules(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Module -> the modules among ``sources`` that it imports, itself not counted."""

    def home(name: str) -> str:
        while name and name not in sources:
            name = name.rpartition(".")[0]
        return name

    return {
        module: {home(name) for name in imported_names(source, parts=True)} - {"", module}
        for module, source in sources.items()
    }


def circles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """Modules that import each other, directly or through others; a list for each that is one."""
    reach = {module: set(targets) for module, targets in imports.items()}
    for through in imports:
        for module in imports:
            if through in reach[module]:
                reach[module] |= reach[through]
    found = {
        tuple(sorted({module} | {m for m in reach[module] if module in reach[m]}))
        for module in imports
        if module in reach[module]
    }
    return [list(members) for members in sorted(found)]
