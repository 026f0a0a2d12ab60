"""The predictors that ship, as ``hwnas tables`` tells of them."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hwnas.cli.output import print_json, say, stdout
from hwnas.errors import TableFormatError
from hwnas.latency_tables import LatencyTable, table_path
from hwnas.latency_tables.published import ShippedPredictor, shipped_notes

__all__ = ["described", "measured_table", "shipped_predictor", "show_shipped"]


def shipped_predictor(name: str) -> ShippedPredictor | None:
    """The predictor that ships under a name, an engine also with its batch; None for a table's.

    Raises:
        OptionError: an engine of a precision or batch that was not measured.
    """
    from hwnas.predictors import is_engine, parse_engine

    source = table_path(name)
    if Path(source).exists():
        return None
    known = {entry.name: entry for entry in shipped_notes()}
    if source in known or not is_engine(source):
        return known.get(source)
    engine = parse_engine(source)
    entry = known[replace(engine, batch=1).name]
    return replace(entry, name=source, target=f"{entry.target}, batch {engine.batch}")


def measured_table(name: str) -> LatencyTable:
    """The table of a name or path, where nothing else will do.

    Raises:
        TableFormatError: it cannot be read, holds others' means, or is the name of a predictor that
            ships.
    """
    from hwnas.predictors import load_measured

    known = shipped_predictor(name)
    if known is not None:
        raise TableFormatError(
            f"{known.name} is a predictor made of others' measurements, and holds none of them: "
            f"'hwnas tables show {known.name}' says how far it is off; give a table, such as one "
            "of 'hwnas profile'"
        )
    return load_measured(table_path(name))


def described(known: ShippedPredictor) -> dict[str, Any]:
    """Of a JSON document."""
    facts = {"path": str(known.path), "runtime": known.runtime, "transferred": False}
    return asdict(known) | facts


def show_shipped(known: ShippedPredictor, as_json: bool) -> None:
    """Print what a predictor predicts, what it was made of, and how far it is off."""
    from hwnas.predictors.tensorrt.engines import MOST_IMAGES

    if as_json:
        print_json(described(known))
        return
    predicts = f"architectures of {known.space}"
    example = f"hwnas predict --table {known.name} ARCH"
    if known.space is None:
        predicts = (
            "any ONNX model, and architectures of any space (--space NAME); up to "
            f"{MOST_IMAGES} images a run (--batch N, or -bN behind the name)"
        )
        example = f"hwnas predict --table {known.name} model.onnx"
    say(f"{known.name} is a predictor made of others' measurements; hwnas measured nothing of it")
    facts = {
        "target": known.target,
        "runtime": known.runtime,
        "predicts": predicts,
        "fitted to": known.samples,
        "held out": known.held_out,
        "source": known.source,
        "example": example,
    }
    stdout.print("\n".join(f"{name:<9}  {fact}" for name, fact in facts.items()), soft_wrap=True)
