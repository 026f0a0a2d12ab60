"""A card that does not exist, to rehearse everything that talks to one; needs a C compiler."""

import shutil
import subprocess
from pathlib import Path

__all__ = ["build_synthetic_gpu", "synthetic_environment"]

_HERE = Path(__file__).parent
_LIBRARIES = ("libcuda.so.1", "libnvidia-ml.so.1")


def build_synthetic_gpu(folder: Path) -> str | None:
    """Build the synthetic driver, management library and TensorRT in a folder.

    Returns:
        Why that is not possible here, or None.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return "no C compiler (cc) to build the synthetic card with"
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / _LIBRARIES[0]
    source = _HERE / "synthetic_gpu.c"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"the C compiler does not build the synthetic card: {done.stderr.strip()[-300:]}"
    for name in _LIBRARIES[
        1:
    ]:  # a link, so that the loader takes them for one and they share state
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(library.name)
    shutil.copyfile(_HERE / "synthetic_tensorrt.py", folder / "tensorrt.py")
    return None


def synthetic_environment(folder: Path) -> dict[str, str]:
    """Variables that make a new process find the card that was built in a folder."""
    return {"LD_LIBRARY_PATH": str(folder), "PYTHONPATH": str(folder)}
