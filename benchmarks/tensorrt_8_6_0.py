"""TensorRT 8.6.0 from its full wheel, taken to a machine with a card that can fetch nothing.

python benchmarks/tensorrt_8_6_0.py pack BUNDLE --python PREFIX [--portion MIB]    (at home)
python3 benchmarks/tensorrt_8_6_0.py run BUNDLE OUT [gpu_everything.py's options]  (at the card)

8.6.0 is the only version of which the public index holds the libraries themselves, for Python 3.10
at most. ``pack`` puts that wheel, the Python at PREFIX (one of 3.10 that can be moved, such as
pyenv's), and what a profile needs (no torch) into one archive, in portions of so many MiB. ``run``
unpacks it below OUT and gives ``gpu_everything.py`` to that Python.

The wheel asks for cuBLAS 12 and cuDNN 8, which are not in it. Empty libraries stand in for them, so
tactics that would call them are switched off; what TensorRT picks then may be slower than what it
picks at home. ``run`` says so, and the folder of its tables is named for it.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSION = "8.6.0"
#: What profiling needs, of the newest versions that Python 3.10 still gets.
NEEDS = (
    *("annotated-types", "click", "joblib", "numpy", "onnx", "onnxruntime", "platformdirs"),
    *("pydantic", "rich", "safetensors", "scikit-learn", "threadpoolctl"),
)
#: For the packed Python: hwnas asks for 3.11, of which its profilers use this one name.
SITE = "import datetime\n\ndatetime.UTC = datetime.timezone.utc\n"
#: Appended to the packed TensorRT: no tactic that calls the libraries for which others stand in.
TACTICS = """

class Builder(Builder):
    def create_builder_config(self):
        config = super().create_builder_config()
        own = TacticSource.EDGE_MASK_CONVOLUTIONS, TacticSource.JIT_CONVOLUTIONS
        config.set_tactic_sources(sum(1 << int(source) for source in own))
        return config
"""
_SKIPPED = {"__pycache__", "test", "tests", "idlelib", "lib2to3", "ensurepip", "site-packages"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    packing = verbs.add_parser("pack")
    packing.add_argument("bundle", type=Path)
    packing.add_argument("--python", type=Path, required=True, metavar="PREFIX")
    packing.add_argument("--portion", type=int, default=60, metavar="MIB")
    running = verbs.add_parser("run")
    running.add_argument("bundle", type=Path)
    running.add_argument("out", type=Path)
    arguments, rest = parser.parse_known_args()
    if arguments.verb == "pack":
        pack(arguments.bundle.resolve(), arguments.python.resolve(), arguments.portion)
    else:
        sys.exit(run(arguments.bundle.resolve(), arguments.out.resolve(), rest))


def pack(bundle: Path, prefix: Path, portion_mib: int) -> None:
    """Gather everything in a folder that can be moved, and write it as portions."""
    bundle.mkdir(parents=True, exist_ok=True)
    folder = bundle / "python"
    shutil.rmtree(folder, ignore_errors=True)
    leave_out = shutil.ignore_patterns(*_SKIPPED, "*.a")
    for part in ("bin/python3.10", "lib/python3.10"):
        source, target = (prefix / part).resolve(), folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=leave_out)
        else:
            shutil.copy2(source, target)
    site = folder / "lib" / "python3.10" / "site-packages"
    print(f"installing {len(NEEDS)} packages and TensorRT {VERSION} (819 MB) ...", flush=True)
    install = [prefix / "bin" / "python3.10", "-m", "pip", "install", "-q", "--target", site]
    subprocess.run([*install, "--only-binary", ":all:", *NEEDS], check=True)
    subprocess.run([*install, "--no-deps", f"tensorrt=={VERSION}"], check=True)
    (site / "sitecustomize.py").write_text(SITE)
    with (site / "tensorrt" / "__init__.py").open("a") as file:
        file.write(TACTICS)
    stand_in(site / "tensorrt")
    print(f"TensorRT {imported(folder)} is imported by the packed Python", flush=True)
    print("packing, some ten minutes ...", flush=True)
    archive = bundle / "bundle.tar.xz"
    with tarfile.open(archive, "w:xz", preset=6) as file:
        file.add(folder, "python")
    digest, size = hashlib.sha256(), portion_mib << 20
    with archive.open("rb") as file:
        for count, portion in enumerate(iter(lambda: file.read(size), b"")):
            (bundle / f"portion-{count:03}").write_bytes(portion)
            digest.update(portion)
    archive.unlink()
    (bundle / "sha256").write_text(f"{digest.hexdigest()}\n")
    print(f"{count + 1} portions of at most {portion_mib} MiB and their sha256 are in {bundle}")


def stand_in(folder: Path) -> None:
    """One empty library for each foreign one whose functions the plugin library names."""
    listed = subprocess.check_output(
        ["nm", "-D", "--undefined-only", folder / "libnvinfer_plugin.so.8"], text=True
    )
    wanted: dict[str, list[str]] = {}
    for name, library in re.findall(r" (cu\w+)@(libcu\w+\.so\.\d+)", listed):
        wanted.setdefault(library, []).append(name)
    for library, names in wanted.items():
        source, versions = folder / "stub.c", folder / "stub.map"
        # 1 is an error in both libraries: called after all, it is an error and no wrong number
        source.write_text("".join(f"int {name}(void) {{ return 1; }}\n" for name in names))
        versions.write_text(f"{library} {{ global: {'; '.join(names)}; local: *; }};\n")
        link = ["-shared", "-fPIC", f"-Wl,-soname,{library}", f"-Wl,--version-script={versions}"]
        subprocess.run(["cc", *link, "-o", folder / library, source], check=True)
        source.unlink()
        versions.unlink()
    print(f"standing in for {', '.join(wanted)}: {sum(map(len, wanted.values()))} functions")


def imported(folder: Path) -> str:
    """The version of TensorRT that the packed Python imports."""
    command = [folder / "bin" / "python3.10", "-c", "import tensorrt; print(tensorrt.__version__)"]
    # from its own folder: -c looks for modules in the current one first
    where = {"env": environment(folder), "cwd": folder}
    return subprocess.check_output(command, text=True, **where).strip()


def environment(folder: Path) -> dict[str, str]:
    """What the packed Python needs wherever it lies."""
    return dict(os.environ) | {"PYTHONHOME": str(folder), "PYTHONNOUSERSITE": "1"}


def run(bundle: Path, out: Path, rest: list[str]) -> int:
    """Unpack, unless that is done, and measure by this TensorRT alone."""
    folder = out / "python"
    if not (out / "unpacked").exists():
        out.mkdir(parents=True, exist_ok=True)
        archive, digest = out / "bundle.tar.xz", hashlib.sha256()
        with archive.open("wb") as file:
            for portion in sorted(bundle.glob("portion-*")):
                content = portion.read_bytes()
                digest.update(content)
                file.write(content)
        if digest.hexdigest() != (bundle / "sha256").read_text().strip():
            print("the portions are not those that were packed: is one missing?")
            return 1
        shutil.rmtree(folder, ignore_errors=True)
        with tarfile.open(archive) as file:
            file.extractall(out, filter="tar")
        archive.unlink()
        (out / "unpacked").touch()
    print(f"TensorRT {imported(folder)}, without tactics of cuBLAS and cuDNN", flush=True)
    command = [folder / "bin" / "python3.10", ROOT / "benchmarks" / "gpu_everything.py"]
    words = [out / f"tensorrt-{VERSION}-own-tactics", "--only", "tensorrt", *rest]
    return subprocess.run([*command, *words], env=environment(folder), check=False).returncode


if __name__ == "__main__":
    main()
