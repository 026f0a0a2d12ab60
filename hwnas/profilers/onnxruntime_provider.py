"""ONNX Runtime's execution providers by name: of the installed build, or of a plugin's library."""

from pathlib import Path

import onnxruntime as ort

from hwnas.errors import OptionError, UnknownNameError
from hwnas.profilers.onnxruntime_cpu import OnnxRuntimeCpu
from hwnas.profilers.onnxruntime_sessions import plugin_devices

__all__ = ["is_provider", "provider_of", "provider_runtime"]

_SUFFIX = "ExecutionProvider"
#: What runs on cards: their runs do not end when a call returns, and are timed otherwise.
_OF_CARDS = ("CUDA", "NvTensorRTRTX", "Tensorrt", "ROCM", "MIGraphX", "Dml", "WebGpu")
#: Provider -> the library that this process registered for it, which can be done once.
_LIBRARIES: dict[str, Path] = {}


def is_provider(name: str) -> bool:
    """Whether a name is written as ONNX Runtime writes its providers': XnnpackExecutionProvider."""
    return name.isidentifier() and name.endswith(_SUFFIX) and name != _SUFFIX


def provider_of(text: str) -> str | None:
    """The provider in what a person typed, NAME or NAME=LIBRARY; None where it is another thing.

    A library is code that is run: a text that stands in a file is asked by `is_provider` alone.
    """
    name = text.partition("=")[0]
    return name if is_provider(name) else None


def provider_runtime(text: str, threads: int) -> OnnxRuntimeCpu:
    """The runtime of a provider; what it does not take of a model runs on ONNX Runtime's own CPU.

    Args:
        text: as `provider_of` knows it.
        threads: inside an operator.

    Raises:
        UnknownNameError: the installed ONNX Runtime has no such provider.
        OptionError: it is one of cards, its library cannot be used, or there are no so many
            threads.
    """
    name, _, library = text.partition("=")
    if name.startswith(_OF_CARDS):
        raise OptionError(
            f"{name} runs on cards, whose runs are timed on the card: give --device gpu, with "
            "--runtime onnxruntime or tensorrt"
        )
    if library:
        _register(name, Path(library).expanduser().resolve())
    known = [found for found in ort.get_available_providers() if not found.startswith(_OF_CARDS)]
    if name not in (*known, *_LIBRARIES):
        raise UnknownNameError(
            f"execution provider of onnxruntime {ort.__version__}",
            name,
            [*known, f"{name}=LIBRARY for a plugin's"],
        )
    return OnnxRuntimeCpu(threads, "cpu" if name == f"CPU{_SUFFIX}" else name)


def _register(name: str, library: Path) -> None:
    """Load the library of a plugin, which offers a provider of this name on this processor."""
    if _LIBRARIES.get(name) == library:
        return
    register = getattr(ort, "register_execution_provider_library", None)
    if register is None:
        raise OptionError(
            f"onnxruntime {ort.__version__} knows no plugins: install 1.23 or newer for {library}"
        )
    if name in (*ort.get_available_providers(), *_LIBRARIES):
        raise OptionError(f"there is a provider {name} already: leave out ={library}")
    if not library.is_file():
        raise OptionError(f"no library at {library}: give NAME=PATH of a plugin's library")
    try:
        register(name, str(library))
    except Exception as error:  # its errors share no class but this one
        reason = " ".join(str(error).split())[:300]
        raise OptionError(
            f"{library} is no plugin of onnxruntime {ort.__version__}: {reason}"
        ) from None
    if not plugin_devices(name):
        ort.unregister_execution_provider_library(name)
        raise OptionError(
            f"{library} offers no provider {name} that runs on this processor: give the name that "
            "its own documentation gives"
        )
    _LIBRARIES[name] = library
