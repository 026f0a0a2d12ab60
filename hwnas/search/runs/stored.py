"""What an earlier run left in its folder: its spaces, its data, its supernet, its accuracies."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwnas import spaces
from hwnas.arrays import IntArray
from hwnas.data import READINGS, Dataset, has_digest, load_data
from hwnas.documents import Document, check_regular, inside, read_document
from hwnas.errors import ArchitectureError, CheckpointError, DataError, HwnasError, OptionError
from hwnas.latency_tables import LatencyTable, Target
from hwnas.reading import open_regular
from hwnas.search.runs.events import evaluated_last, read_events
from hwnas.search.runs.network import target_of
from hwnas.search.runs.run import CHECKPOINT, CONFIG, LOG, RESULT, TABLE
from hwnas.search.runs.schema import ANOTHER, Config, Winner, parse_of_file
from hwnas.spaces import SearchSpace
from hwnas.supernet import Supernet, check_origin, load_weights

__all__ = ["StoredRun", "stored_space"]

#: What a configuration must say: enough to make the supernet again, and to know its data.
_KEYS = ("space", "data", "data_digest", "deployed", "trained", "sharing", "steps")
#: What else it may say of the training, and of the images that candidates are evaluated on.
_MORE = (
    *("method", "train_batch", "base_rate", "optimizer", "shares", "label_smoothing"),
    *("weight_decay", "max_norm", "initial_weights", "batch_norms"),
    *("calibration_images", "validation_images", "rank_by", "paths"),
    *("random_crop", "flip", "colour", "mixup", "cutmix", "plain_end"),
    *("lr_schedule", "lr_warm_up", "autocast", "train_on"),
)


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A run that is read, never written.

    Attributes:
        folder: of the run.
        config: what it was asked for.
        home: the folder of the run that trained the supernet: the same, or an earlier one.
        deployed: the space whose latency counts.
        proxy: the space of the supernet.
        given: where the data are now, or the data themselves; None for where they were.
    """

    folder: Path
    config: Mapping[str, Any]
    home: Path
    deployed: SearchSpace
    proxy: SearchSpace
    given: str | Dataset | None = None

    @classmethod
    def open(cls, folder: Path, data: str | Dataset | None = None) -> "StoredRun":
        """Read the configuration of a run.

        Args:
            folder: of the run.
            data: where its data are now.

        Raises:
            CheckpointError: there is no run, or its configuration cannot be read.
        """
        config = _config(folder)
        path = folder / CONFIG
        lacking = [key for key in _KEYS if key not in config]
        if lacking:
            raise CheckpointError(
                f"{path} does not say {', '.join(lacking)}: it is not the run of a search of this "
                "version; search again"
            )
        try:
            deployed, proxy = (
                spaces.remake(config["space"], config[which]) for which in ("deployed", "trained")
            )
        except HwnasError as error:
            raise CheckpointError(
                f"{path} names no space of this version ({error}); if it is a space of your own, "
                "give it again: --space FILE.py:NAME"
            ) from None
        return cls(folder, config, _home(folder, config), deployed, proxy, data)

    @classmethod
    def of(
        cls, folder: Path, deployed: SearchSpace, proxy: SearchSpace, data: Dataset
    ) -> "StoredRun":
        """A run whose spaces and data are at hand, so that it need not name them.

        Raises:
            CheckpointError: there is no run, or its configuration cannot be read.
        """
        config = _config(folder)
        return cls(folder, config, _home(folder, config), deployed, proxy, data)

    def data(self, *, full: bool = False, written: str | None = None) -> Dataset:
        """The data of the run: where they were, or where a person says that they are now.

        Args:
            full: at the input size of the deployed network.
            written: their digest at that size, where a training that goes on holds it: it may be of
                an earlier version, which read folders of images otherwise.

        Raises:
            CheckpointError: the data are others than the supernet was trained on, or there were
                none, since accuracies were looked up.
            DataError: they are not there; own ones must be given, nothing that a run names is
                imported.
        """
        looked_up = self.config.get("accuracies")
        if looked_up is not None:
            raise CheckpointError(
                f"accuracies of {self.folder} were looked up in {looked_up}: nothing was trained, "
                "and there are no images; search with --data in place of --accuracies"
            )
        spec = str(self.config["data"]) if self.given is None else self.given
        found: Dataset | None = None
        for reading in READINGS:
            data = self._loaded(spec, self.proxy, reading)
            if has_digest(data, str(self.config["data_digest"])):
                data = self._loaded(spec, self.deployed, reading) if full else data
                if not written or has_digest(data, written):
                    return data
                found = found or data
        if found is not None:
            return found
        raise CheckpointError(
            f"{spec if isinstance(spec, str) else data.name} holds other images than "
            f"{self.config['data']} did when the supernet of {self.home} was trained: give the "
            "same data, or train a supernet on these"
        )

    def _loaded(
        self, spec: str | Dataset, space: SearchSpace, reading: Mapping[str, bool]
    ) -> Dataset:
        """The data as the networks of a space read them."""
        if not isinstance(spec, str):
            return spec
        typed, shape = self.given is not None, space.input_shape
        try:
            return load_data(spec, input_shape=shape, typed=typed, **reading)
        except DataError as error:
            if typed:
                raise
            raise DataError(
                f"{error}; that is where the data of {self.folder} were: say where they are now, "
                "--data SPEC"
            ) from None

    def supernet(self) -> Supernet:
        """The trained supernet.

        Raises:
            CheckpointError: there is none, or its training was not finished.
        """
        path = self.home / CHECKPOINT
        if not path.exists():
            raise CheckpointError(f"{self.home} holds no supernet ({CHECKPOINT} is not there)")
        check_origin(path, self.proxy, self.config["sharing"])  # before memory is taken for it
        supernet = Supernet(self.proxy, sharing=self.config["sharing"], seed=0)
        steps = self.config["steps"]
        step = load_weights(path, supernet, steps)
        if step < steps:
            raise CheckpointError(
                f"the supernet of {self.home} was trained for {step} of {steps} steps: run its own "
                "search to the end first"
            )
        return supernet

    @property
    def has_supernet(self) -> bool:
        """Whether there is a supernet, finished or not."""
        return (self.home / CHECKPOINT).exists()

    @property
    def target(self) -> Target | None:
        """What the networks of the run are deployed on; None where it does not say.

        Raises:
            CheckpointError: its result is damaged.
        """
        path = self.folder / RESULT
        return target_of(
            self.folder, read_document(path, Document, ANOTHER) if path.exists() else {}
        )

    def table(self) -> LatencyTable:
        """The latency table that the run searched with."""
        return LatencyTable.load(self.folder / TABLE)

    def accuracies(self) -> dict[str, float]:
        """What was evaluated with the weights that the supernet has, by architecture string.

        Raises:
            CheckpointError: the log is damaged, or of another space.
        """
        path = inside(self.folder, LOG, advice=ANOTHER)
        events = evaluated_last(read_events(path, ANOTHER))
        for event in events:
            parse_of_file(self.deployed, event["architecture"], path, ANOTHER)
        return {e["architecture"]: float(e["accuracy"]) for e in events}

    def identity(self, user: Path) -> dict[str, Any]:
        """The part of a configuration that says what the supernet is, for a run that uses it.

        Args:
            user: the folder of that run; the way to the supernet is stored as seen from there, so
                that both can be moved.

        Raises:
            CheckpointError: the supernet is no regular file.
        """
        kept = {key: self.config[key] for key in (*_KEYS, *_MORE) if key in self.config}
        kept["supernet"] = os.path.relpath(self.home.resolve(), user.resolve())
        checkpoint = self.home / CHECKPOINT
        if checkpoint.exists():
            check_regular(checkpoint, ANOTHER)
            with open_regular(checkpoint) as file:
                kept["supernet_digest"] = hashlib.file_digest(file, "sha256").hexdigest()[:12]
        return kept

    def architecture(self, text: str | None = None) -> IntArray:
        """The architecture of a text, or the one that the search found.

        Raises:
            OptionError: the search found none, or several.
            ArchitectureError: the text is no architecture of the space, or one that has no path
                from its input to its output.
        """
        if text is None:
            path = self.folder / RESULT
            result = read_document(path, Winner, ANOTHER) if path.exists() else {}
            found = result.get("architecture")
            if found is None:
                raise OptionError(
                    f"{self.folder} holds no single result (a search that is not finished, or one "
                    "of several budgets): give --architecture, or the folder of one budget"
                )
            return parse_of_file(self.deployed, found, path, ANOTHER)
        arch = self.deployed.parse(text)
        if not self.deployed.connected(arch).all():
            raise ArchitectureError(
                f"{text} has no path from its input to its output, so that it gives all images the "
                "same: it is neither trained nor deployed; give one that has"
            )
        return arch

    def check_flags(
        self, given: Mapping[str, tuple[str, Any]], defaults: Mapping[str, Any] | None = None
    ) -> None:
        """Flags that describe a supernet, where they are given beside one, must describe this one.

        Args:
            given: flag -> the setting's name in a configuration, and the value given.
            defaults: of settings that a configuration need not say.

        Raises:
            OptionError: one does not; the message names it.
        """
        found = {
            **(defaults or {}),
            **self.config,
            "input_size": self.config["deployed"].get("input_size"),
            "width_mult": self.config["deployed"].get("width_mult"),
        }
        for flag, (name, value) in given.items():
            if found.get(name) != value:
                raise OptionError(
                    f"{flag} {json.dumps(value)} does not fit the supernet of "
                    f"{self.home}, which was trained with {json.dumps(found.get(name))}: leave it "
                    "out, or train another supernet"
                )


def stored_space(folder: Path) -> str:
    """The name of the space of a run, which may be one that a person must bring along.

    Raises:
        CheckpointError: there is no run, or its configuration cannot be read.
    """
    return str(_config(folder).get("space"))


def _home(folder: Path, config: Mapping[str, Any]) -> Path:
    """The folder of the run that trained the supernet."""
    return Path(os.path.normpath(folder / config.get("supernet", ".")))


def _config(folder: Path) -> dict[str, Any]:
    if not (folder / CONFIG).exists():
        raise CheckpointError(
            f"there is no run in {folder} (no config.json): give the folder that "
            "'hwnas search' printed"
        )
    return read_document(inside(folder, CONFIG, advice=ANOTHER), Config, ANOTHER)
