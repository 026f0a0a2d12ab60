"""A family of a person's own networks: a function that builds them, and what it may be asked for.

A family is a space whose layout has one slot, in which a whole network runs. It has no operators
and no workloads: what it costs is counted on the modules themselves, its networks are measured
whole, and they share weights by the names of their parameters (`hwnas.supernet.named`).
"""

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray, IntArray
from hwnas.errors import ExportError, HwnasError, OptionError
from hwnas.onnx_graph import Precision, Weights
from hwnas.ops import Graph, Op, Shape, Workload
from hwnas.spaces.layout import Decision, Join, Path, Run, Slot
from hwnas.spaces.space import SearchSpace, check_quantity

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hwnas.spaces.module_facts import Facts

__all__ = ["Family", "FamilySpace", "Value", "ends_so", "family"]

T = TypeVar("T")

#: Networks that are built to see that a family is one, besides those of the first choices, of the
#: last and of those in the middle.
_PROBES = 4
#: Texts of choices that stand in an architecture's string as they are.
_PLAIN = re.compile(r"[\w.+]+")
#: No parameter is cut part by part.
_NO_PARTS: Mapping[str, int] = {}


def family(
    build: Callable[..., "nn.Module"],
    choices: Mapping[str, Sequence[Any]],
    *,
    input_shape: Sequence[int],
    name: str | None = None,
    parts: Mapping[str, int] = _NO_PARTS,
    evaluate: Callable[["nn.Module"], float] | None = None,
    pretrained: Mapping[str, "Tensor"] | None = None,
) -> "FamilySpace":
    """A search space of a function that returns `torch.nn.Module`s.

    ``build(**choices)`` is called with one value for each name, and gives the same network for the
    same values. The largest numbers of ``choices`` come last by habit; their order is free.

    Args:
        build: makes a network, with torch's own layers or others.
        choices: for each argument of ``build`` the values it may have: numbers, words, truth
            values, None, or lists of these.
        input_shape: of one input, without the batch, such as (3, 32, 32).
        name: of the space, by which tables and runs name it; the function's own by default.
        parts: parameters that stack parts of equal height, by the end of their name, and how many:
            ``{"qkv.weight": 3}``, or ``{"qkv": 3}`` for its bias as well. Networks of other widths
            then share each part for itself. Torch's own attention and grouped convolutions are
            known.
        evaluate: gives the accuracy, 0 to 1, of a network with fresh weights that it is handed, and
            may train it first; then no weights are shared, and a search needs no data. By default
            a search trains all networks together.
        pretrained: weights by the names of a network's ``state_dict``, that the shared weights
            start with; what no network has, or of another size, is left out.

    Raises:
        OptionError: the function raises, gives no module, gives another output shape or another
            network for other calls; choices that it does not take; an input shape that is none.
    """
    label, decisions = _checked_name(build, name), _decisions(choices)
    if evaluate is not None and not callable(evaluate):
        raise OptionError(f"evaluate is a function of a network, got {evaluate!r}")
    shape = _checked_shape(input_shape)
    given = dict(pretrained or {})
    networks = Family(label, build, decisions, shape, dict(parts), evaluate, given)
    networks.check_call()
    arguments = {
        "choices": {name: list(values) for name, values in choices.items()},
        "input_shape": list(networks.input_shape),
        "networks": networks.fingerprint(),
        **({"pretrained": _digest(given)} if given else {}),
    }
    networks.check_parts()
    return FamilySpace(label, json.loads(json.dumps(arguments)), networks)


@dataclass(frozen=True, slots=True)
class Value:
    """One value of an argument."""

    value: Any
    token: str


@dataclass(frozen=True, eq=False)
class Family:
    """A `Layout` and its `Modules`: a single slot, whose candidates are all networks of the family.

    Attributes:
        name: of the family, for messages.
        function: builds a network.
        decisions: the arguments of the function, in order.
        input_shape: of one input.
        parts: parameters that stack parts, by the end of their name, and how many.
        evaluate: gives the accuracy of a network.
        pretrained: what shared weights start with, by name.
    """

    name: str
    function: Callable[..., "nn.Module"]
    decisions: tuple[Decision, ...]
    input_shape: Shape
    parts: Mapping[str, int]
    evaluate: Callable[["nn.Module"], float] | None = None
    pretrained: Mapping[str, "Tensor"] = field(default_factory=dict)
    _facts: dict[tuple[int, ...], "Facts"] = field(default_factory=dict, init=False)
    slots = (Slot("", ()),)
    additive = False
    sequential = False
    cell = None

    def path(self, arch: Sequence[int], /) -> Path:
        """The number of the architecture, which is what runs in the only slot."""
        number = 0
        for choice, n in zip(arch, self._n_choices, strict=True):
            number = number * n + int(choice)
        return (number,)

    def arch(self, number: int) -> list[int]:
        """The architecture of a number, one index per decision."""
        arch = []
        for n in reversed(self._n_choices):
            number, choice = divmod(number, n)
            arch.append(choice)
        return arch[::-1]

    def wire(self, path: Path, x: T, run: Run[T], add: Join[T], concat: Join[T]) -> T:
        """Run the network."""
        return run(0, x)

    def parse(self, text: str) -> list[int]:
        """Read ``width=32-kernel=3``, or the values alone: ``32-3``."""
        parts = text.split("-")
        if len(parts) != len(self.decisions):
            raise ValueError(
                f"{len(self.decisions)} values joined by '-' are needed, got {len(parts)}"
            )
        arch = []
        for part, decision in zip(parts, self.decisions, strict=True):
            name, _, token = part.rpartition("=")
            if name not in ("", decision.name):
                raise ValueError(f"{decision.name} comes here, got {part!r}")
            allowed = [choice.token for choice in decision.choices]
            if token not in allowed:
                raise ValueError(f"{decision.name} is one of {', '.join(allowed)}, got {token!r}")
            arch.append(allowed.index(token))
        return arch

    def format(self, arch: Sequence[int]) -> str:
        """Print each argument with its value, joined by ``-``."""
        chosen = zip(self.decisions, arch, strict=True)
        return "-".join(f"{d.name}={d.choices[choice].token}" for d, choice in chosen)

    def canonical(self, rows: IntArray) -> IntArray:
        """Architectures (n, n_decisions) with the first choice wherever that changes nothing.

        So a choice that another one puts out of use is written in one way.
        """
        written = rows.copy()
        for row in written:
            for decision in range(len(row)):
                first = row.copy()
                first[decision] = 0
                if self.facts(first).digest == self.facts(row).digest:
                    row[decision] = 0
        return written

    def arguments(self, arch: Sequence[int]) -> dict[str, Any]:
        """What the function is called with."""
        values: list[Any] = [d.choices[c] for d, c in zip(self.decisions, arch, strict=True)]
        return {d.name: v.value for d, v in zip(self.decisions, values, strict=True)}

    def make(self, arch: Sequence[int]) -> "nn.Module":
        """Call the function.

        Raises:
            OptionError: it raises, or gives no module.
        """
        from torch import nn

        try:
            module: Any = self.function(**self.arguments(arch))
        except HwnasError:
            raise
        except Exception as error:  # whatever a person's own function raises
            raise self._wrong(arch, f"raised {type(error).__name__}: {error}") from error
        if not isinstance(module, nn.Module):
            raise self._wrong(arch, f"gives a torch.nn.Module, got a {type(module).__name__}")
        return module

    def unfilled(self, arch: Sequence[int]) -> "nn.Module":
        """One network whose parameters have no values yet."""
        from hwnas.spaces.module_facts import unfilled

        return unfilled(partial(self.make, arch))

    def facts(self, arch: Sequence[int]) -> "Facts":
        """What is known of one network, which is built and looked at once.

        Raises:
            OptionError: the function raises or gives no module, or the module does not run or gives
                an output of another shape than others.
        """
        from hwnas.spaces.module_facts import facts_of

        key = tuple(int(choice) for choice in arch)
        if key not in self._facts:
            try:
                found = facts_of(partial(self.make, key), self.input_shape)
            except HwnasError:
                raise
            except Exception as error:  # whatever a person's own module raises
                said = f"gives a network that does not run on an input of {self.input_shape}"
                raise self._wrong(key, f"{said}: {type(error).__name__}: {error}") from error
            first, known = next(iter(self._facts.items()), (key, found))
            if found.output != known.output:
                raise self._wrong(
                    key,
                    f"gives an output of {found.output}, and {known.output} for "
                    f"{self.format(first)}: all networks of a family give one shape",
                )
            self._facts[key] = found
        return self._facts[key]

    def check_call(self) -> None:
        """Refuse a function that does not take these arguments, by its signature.

        Raises:
            OptionError: it lacks one, or needs another.
        """
        names = [decision.name for decision in self.decisions]
        try:
            inspect.signature(self.function).bind(**dict.fromkeys(names))
        except TypeError as error:
            raise OptionError(
                f"{self.name} is built by a function that takes the choices {', '.join(names)} by "
                f"name: {error}"
            ) from None
        except ValueError:  # it has no signature that can be read; it is called soon enough
            return

    def fingerprint(self) -> str:
        """Tells families apart by some of their networks, and sees that they are one family.

        Raises:
            OptionError: outputs of several shapes, or two networks for the same choices.
        """
        from hwnas.spaces.module_facts import facts_of, shapes_of

        rng = np.random.default_rng(0)
        sizes = np.array(self._n_choices)
        drawn = rng.integers(0, sizes, (_PROBES, len(sizes)))
        seen = {}
        for row in (sizes - 1, np.zeros_like(sizes), sizes // 2, *drawn):
            arch = tuple(row.tolist())
            found = self.facts(arch)
            if facts_of(partial(self.make, arch), self.input_shape).digest != found.digest:
                raise self._wrong(arch, "gives another network each time it is called")
            seen[self.format(arch)] = list(shapes_of(self.unfilled(arch)).items())
        return sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:12]

    def check_parts(self) -> None:
        """Refuse parts of parameters that are not there.

        Raises:
            OptionError: the largest network has none of this name, or a number that is none.
        """
        largest = self.unfilled([n - 1 for n in self._n_choices])
        names = [name for name, _ in largest.named_parameters()]
        for end, count in self.parts.items():
            if type(count) is not int or count < 2:
                raise OptionError(f"parts of {end} are a whole number above 1, got {count!r}")
            if not any(ends_so(name, end) for name in names):
                raise OptionError(
                    f"parts name parameters of {self.name}, such as {', '.join(names[:3])}; none "
                    f"ends in {end!r}"
                )

    @cached_property
    def _n_choices(self) -> tuple[int, ...]:
        return tuple(len(decision.choices) for decision in self.decisions)

    def _wrong(self, arch: Sequence[int], what: str) -> OptionError:
        told = ", ".join(f"{name}={value!r}" for name, value in self.arguments(arch).items())
        return OptionError(f"the function that builds {self.name}, called with {told}, {what}")


@dataclass(frozen=True, eq=False, repr=False)
class FamilySpace(SearchSpace):
    """A `SearchSpace` whose networks are a person's own modules."""

    layout: Family
    quantised = False

    @property
    def modules(self) -> Family:
        """What builds the networks."""
        return self.layout

    @property
    def classes(self) -> int:
        """Outputs of every network.

        Raises:
            OptionError: networks give no vector of them.
        """
        output = self.layout.facts([0] * len(self.decisions)).output
        if len(output) != 1:
            raise OptionError(
                f"networks of {self.name} give (n, {', '.join(map(str, output))}), and a network "
                "that tells classes apart gives (n, classes)"
            )
        return output[0]

    def workloads(self, arch: npt.ArrayLike) -> list[Workload]:
        """Raises `OptionError`: there are none."""
        self._lacks_workloads()

    @property
    def distinct_workloads(self) -> tuple[Workload, ...]:
        """Raises `OptionError`: there are none."""
        self._lacks_workloads()

    @property
    def families(self) -> dict[str, type[Op]]:
        """There are no operators."""
        return {}

    def graph(self, arch: npt.ArrayLike) -> Graph:
        """Raises `OptionError`: a module of torch is no `Graph`."""
        self._lacks_workloads()

    def build(self, arch: npt.ArrayLike) -> "nn.Module":
        """One network, as the function makes it."""
        return self.layout.make(self._one(arch))

    def drawn(self, arch: npt.ArrayLike, seed: int) -> "nn.Module":
        """One network as the function makes it, torch's generator being at a seed."""
        from hwnas.ops.module import seeded

        with seeded(seed):
            return self.build(arch)

    def to_onnx(
        self,
        arch: npt.ArrayLike,
        weights: Weights | None = None,
        *,
        batch: int = 1,
        precision: Precision = "fp32",
        symmetric: bool = False,
        ranges: Mapping[str, float] | None = None,
        metadata: Mapping[str, str] | None = None,
        seed: int = 0,
    ) -> bytes:
        """One network as fp32 ONNX, written by torch; see `SearchSpace.to_onnx`.

        Raises:
            OptionError: another precision.
            ExportError: torch cannot write the module down.
        """
        import torch

        from hwnas.spaces.module_onnx import module_to_onnx

        if precision != "fp32":
            raise OptionError(
                f"networks of {self.name} are written by torch, in fp32, got {precision}: build "
                "the runtime's own engine of the file in that precision"
            )
        module = self.drawn(arch, seed)
        if weights is not None:
            module.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in weights.items()})
        about = {"space": self.name, "architecture": self.format(arch), **(metadata or {})}
        try:
            return module_to_onnx(module, self.input_shape, batch, about)
        except Exception as error:  # whatever torch raises for a person's own module
            raise ExportError(
                f"torch cannot write {self.format(arch)} of {self.name} as ONNX "
                f"({type(error).__name__}: {error}): does it use operations that ONNX lacks?"
            ) from error

    def exact(self, quantity: str) -> Callable[[npt.ArrayLike], FloatArray]:
        """MACs, parameters or bytes as a function of architectures, counted on the modules."""
        check_quantity(quantity)
        return partial(self._counted, quantity)

    def _counted(self, quantity: str, archs: npt.ArrayLike) -> FloatArray:
        rows = self.check(archs).tolist()
        return np.array([getattr(self.layout.facts(row), quantity, 0) for row in rows], np.float64)

    def _lacks_workloads(self) -> NoReturn:
        raise OptionError(
            f"networks of {self.name} are a person's own modules, which are not made of workloads: "
            "they are measured whole"
        )


def _checked_name(build: object, name: str | None) -> str:
    if not callable(build):
        raise OptionError(f"a family is built by a function, got a {type(build).__name__}")
    text = getattr(build, "__name__", "<lambda>").replace("<lambda>", "family")
    text = text if name is None else name
    if not isinstance(text, str) or not re.fullmatch(r"\w[\w.-]*", text):
        raise OptionError(
            f"the name of a family is of letters, digits, '_', '-' and '.', got {text!r}: give it "
            "another one, name="
        )
    return text


def _checked_shape(input_shape: Sequence[int]) -> Shape:
    try:
        channels, height, width = (int(size) for size in input_shape)
    except (TypeError, ValueError):
        raise OptionError(
            f"input_shape is (channels, height, width), got {input_shape!r}"
        ) from None
    if min(channels, height, width) < 1:
        raise OptionError(f"input_shape holds numbers of at least 1, got {input_shape!r}")
    return channels, height, width


def _decisions(choices: Mapping[str, Sequence[Any]]) -> tuple[Decision, ...]:
    if not isinstance(choices, Mapping) or not choices:
        raise OptionError(
            "choices are the values of each argument, such as {'width': [16, 32]}, got "
            f"{choices!r}"
        )
    decisions = []
    for name, values in choices.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise OptionError(f"choices are named as arguments of the function, got {name!r}")
        if isinstance(values, str) or not isinstance(values, Sequence) or not len(values):
            raise OptionError(f"choices of {name} are a list of values, got {values!r}")
        tokens = [_token(name, value, at) for at, value in enumerate(values)]
        if len(set(tokens)) < len(tokens):
            raise OptionError(f"choices of {name} are each given once, got {list(values)!r}")
        told = (Value(value, token) for value, token in zip(values, tokens, strict=True))
        decisions.append(Decision(name, tuple(told)))
    return tuple(decisions)


def _token(name: str, value: Any, at: int) -> str:
    """The text of a value; its place where the text could be misread."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise OptionError(
            f"choices of {name} are numbers, words, truth values or lists of these, so that runs "
            f"can name them, got {value!r}: give a word, and look it up in the function"
        ) from None
    text = str(value)
    return text if _PLAIN.fullmatch(text) and not isinstance(value, Mapping) else f"#{at}"


def _digest(weights: Mapping[str, "Tensor"]) -> str:
    """Tells weights apart."""
    import torch

    found = sha256()
    for name, tensor in sorted(weights.items()):
        if not isinstance(tensor, torch.Tensor):
            raise OptionError(
                f"pretrained weights are tensors by name, as of state_dict(), got {name!r}: a "
                f"{type(tensor).__name__}"
            )
        found.update(f"{name} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().double().numpy().tobytes())
    return found.hexdigest()[:12]


def ends_so(name: str, end: str) -> bool:
    """Whether a dotted name of a parameter, or of the module that it is of, ends in whole words."""
    words, wanted = name.split("."), end.split(".")
    return wanted in (words[-len(wanted) :], words[:-1][-len(wanted) :])
