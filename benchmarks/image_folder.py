"""Peak memory of reading a folder of JPEGs, next to what its images take as bytes.

python benchmarks/image_folder.py [--images 3000] [--pixels 224]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

MIB = 2**20
READ = """
import resource, sys
from hwnas.data import load_data
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
load_data(sys.argv[1], input_size=int(sys.argv[2])).digest
print(before, peak())
"""


def fill(folder: Path, count: int, pixels: int) -> None:
    """Smooth noise in three classes."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"class{number % 3}" / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        noise = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        noise.resize((pixels, pixels), Image.Resampling.BILINEAR).save(path, quality=85)


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--pixels", type=int, default=224)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), asked.images, asked.pixels)
        words = [sys.executable, "-c", READ, f"imagefolder:{folder}", str(asked.pixels)]
        printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    before, peak = map(int, printed.split())
    size = 3 * asked.images * asked.pixels**2
    print(
        f"{asked.images} images of {asked.pixels} pixels take {size / MIB:.0f} MiB; reading them "
        f"takes {(peak - before) / MIB:.0f} MiB, {(peak - before) / size:.2f} times as much"
    )


if __name__ == "__main__":
    main()
