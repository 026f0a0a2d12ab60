"""The fitted predictors that ship: where they are, and what they were made of.

What they are made of is read without loading them, or what they need to predict.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.reading import MIB, parse_json, read_bytes

__all__ = ["ShippedPredictor", "shipped_convolutions", "shipped_notes", "shipped_predictors"]

#: Imported, the package of the predictors would bring all that they need.
_FOLDER = Path(str(files("hwnas"))) / "predictors"
_MOST_BYTES = 16 * MIB
_HEADER = "description"


@dataclass(frozen=True, slots=True)
class ShippedPredictor:
    """A predictor that was fitted to measurements of others.

    Attributes:
        name: what ``--table`` takes.
        path: of its file.
        target: card, runtime, precision or batch.
        source: where the measurements were published.
        samples: what was measured, and how often.
        held_out: how far it is off on measurements that it was not fitted to.
        space: whose architectures it predicts; None for those of any space, and for any model.
    """

    name: str
    path: Path
    target: str
    source: str
    samples: str
    held_out: str
    space: str | None = None

    @property
    def runtime(self) -> str:
        """What ran the models that were measured."""
        return self.target.partition(", ")[2].partition(", ")[0] or "not said"


def shipped_predictors() -> Mapping[str, Path]:
    """Name -> path of the fitted predictors that come with hwnas."""
    return {path.stem: path for path in sorted((_FOLDER / "shipped").glob("*.npz"))}


def shipped_convolutions() -> dict[str, Path]:
    """Precision -> path of the fitted times that come with hwnas."""
    paths = sorted((_FOLDER / "tensorrt").glob("v100-*.npz"))
    return {path.stem.removeprefix("v100-"): path for path in paths}


def shipped_notes() -> Iterator[ShippedPredictor]:
    """Those of whole spaces, then those of the V100 through TensorRT."""
    engines = {f"v100-tensorrt-{kind}": path for kind, path in shipped_convolutions().items()}
    for name, path in {**shipped_predictors(), **engines}.items():
        notes = _notes(path)
        target, source, samples, held_out = (
            notes.get(key, "not said") for key in ("target", "source", "samples", "held out")
        )
        yield ShippedPredictor(name, path, target, source, samples, held_out, notes.get("space"))


def _notes(path: Path) -> Mapping[str, str]:
    with np.load(io.BytesIO(read_bytes(path, _MOST_BYTES)), allow_pickle=False) as file:
        content: Any = parse_json(str(file[_HEADER]))["content"]
    return dict(dict(content["pairs"])["notes"]["pairs"])
