# pyright: reportMissingImports=false
"""Runs what the benchmark measures in other programs and processes: seam-carving tools, and cold starts."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

_COLD = """
import sys, time
begun = time.perf_counter()
sys.path.insert(0, sys.argv[1])
from benchmark.stages import synthetic_photo
from dnr_jax import compilation_cache
from dnr_jax.config import PAPER_GEOMETRY, RetargetConfig
from dnr_jax.pipeline import retarget
from dnr_jax.weights import load_weights
compilation_cache.enable(programs=True)
class Started(Exception):
    pass
def progress(stage, done, most):
    if "reconstruction" not in stage:  # Analyses come first.
        return
    print(time.perf_counter() - begun)
    raise Started
height, width, target = (int(n) for n in sys.argv[3:])
config = RetargetConfig(reconstruct_steps=20, **PAPER_GEOMETRY)  # So few that progress is called after every step.
try:
    photo = synthetic_photo((height, width))
    retarget(photo, (height, target), config, load_weights(sys.argv[2]), progress=progress)
except Started:
    pass
"""

_MEMORY = """
import sys
sys.path.insert(0, sys.argv[1])
from benchmark.stages import random_vgg19, synthetic_photo
from dnr_jax.config import PAPER_GEOMETRY, RetargetConfig
from dnr_jax.pipeline import retarget
height, width, target = (int(n) for n in sys.argv[2:])
# Further steps reuse the memory of the first.
config = RetargetConfig(reconstruct_steps=3, refine_steps=2, **PAPER_GEOMETRY)
retarget(synthetic_photo((height, width)), (height, target), config, random_vgg19())
# Not ru_maxrss, which a process inherits from the one that started it.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""


def seam_carving_tool(photo: np.ndarray, target: tuple[int, int]) -> Callable[[], np.ndarray]:
    """A function that carves a photo by the PyPI package seam-carving, with its default energy."""
    import seam_carving

    return lambda: seam_carving.resize(photo, (target[1], target[0]))


class LiquidRescale:
    """A function that carves a photo by ImageMagick's liquid rescale.

    Args:
      photo: the photo, uint8 [H, W, 3].
      target: the (height, width) wanted.

    Raises:
      ValueError: ImageMagick or its lqr delegate is not installed.
    """

    def __init__(self, photo: np.ndarray, target: tuple[int, int]) -> None:
        program = shutil.which("convert-im6") or shutil.which("convert")
        printed = (
            subprocess.run([program, "-version"], capture_output=True, text=True, check=True).stdout if program else ""
        )
        if program is None or "lqr" not in printed:
            raise ValueError("lqr needs ImageMagick with its lqr delegate: apt-get install imagemagick")
        import PIL.Image

        self._folder = tempfile.TemporaryDirectory(prefix="benchmark-")
        folder = Path(self._folder.name)
        PIL.Image.fromarray(photo).save(folder / "in.ppm")
        size = f"{target[1]}x{target[0]}!"
        self._whole = [program, str(folder / "in.ppm"), "-liquid-rescale", size, str(folder / "out.ppm")]
        self._files = [program, str(folder / "in.ppm"), str(folder / "copy.ppm")]
        self._out = folder / "out.ppm"

    def __call__(self) -> np.ndarray:
        """Reads the photo, rescales it, and writes the result, which is returned."""
        import PIL.Image

        subprocess.run(self._whole, check=True)
        return np.asarray(PIL.Image.open(self._out))

    def overhead(self) -> None:
        """Reads and writes the photo, which is what a call costs beside rescaling."""
        subprocess.run(self._files, check=True)


def cold_starts(size: tuple[int, int], target_width: int, network: str) -> list[float]:
    """Measures the seconds from the beginning of a process to the end of the reconstruction's first step.

    Args:
      size: the (height, width) of the photo.
      target_width: the target width in pixels.
      network: "vgg19", with random weights read from a file, or a name for `load_weights`.

    Returns:
      The seconds of a first process, which finds nothing compiled, and of a second one at the same size.
    """
    import jax

    from benchmark.stages import random_vgg19
    from dnr_jax.weights import save_weights

    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        settings = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
        settings["DNR_JAX_CACHE"] = folder
        if network == "vgg19":
            weights = random_vgg19()
            network = f"{folder}/random.safetensors"
            layers = jax.tree.map(np.asarray, weights.network.params)
            save_weights(Path(network), layers, weights.network.module.preprocessing, weights.provenance)
        arguments = [str(Path(__file__).parents[1]), network, *map(str, (*size, target_width))]
        seconds = []
        for _ in range(2):
            done = subprocess.run(
                [sys.executable, "-c", _COLD, *arguments], env=settings, capture_output=True, text=True, check=True
            )
            seconds.append(float(done.stdout.split()[0]))
        return seconds


def peak_gibibytes(size: tuple[int, int], target_width: int) -> float:
    """The peak resident memory of a fresh process that retargets one photo, on Linux."""
    arguments = [str(Path(__file__).parents[1]), *map(str, (*size, target_width))]
    done = subprocess.run([sys.executable, "-c", _MEMORY, *arguments], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) / 1024**2
