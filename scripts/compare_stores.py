"""Measures what storing weights as bfloat16 changes against float32: which pixels seams leave, and the final image.

python scripts/compare_stores.py --weights=vgg19.h5 --scale=0.5 photo1.jpg photo2.jpg

Prints, per photo, the share of kept indices per level that differ, and the mean and largest difference of the images in
grey levels. --scale shrinks the photos first.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from PIL import Image

from dnr_jax.config import DEFAULT_TAPS, RetargetConfig
from dnr_jax.networks.taps import Level
from dnr_jax.photos.files import read_image
from dnr_jax.pipeline import retarget
from dnr_jax.planning.seams import Seams
from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.ending import end_process
from dnr_jax.shell.sizes import parse_side
from dnr_jax.weights import read_weights
from dnr_jax.weights.install import convert_file


def main(argv: Sequence[str]) -> int:
    """Runs the comparison; returns the exit code: 0 done, 2 bad input (one line on stderr), 130 interrupted."""
    values = flags.FlagValues()
    text = {"flag_values": values, "module_name": "compare_stores"}
    flags.DEFINE_string("weights", None, "Weights file in any layout.", **text)
    flags.DEFINE_list("taps", ",".join(DEFAULT_TAPS), "Taps to carve.", **text)
    flags.DEFINE_string("width", "75%", "Target width: pixels or percent.", **text)
    flags.DEFINE_float("percentile", 20.0, "importance_percentile: 100 leaves everything to the seams.", **text)
    flags.DEFINE_float("scale", 1.0, "Factor on the photos' sides before all else.", **text)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", **text)
    return run_command(
        "compare_stores",
        argv,
        values,
        _compare,
        text=__doc__,
        required=("weights",),
        arguments="photos",
        example="python scripts/compare_stores.py --weights=vgg19.h5 photo.jpg",
    )


def _compare(options: dict[str, Any]) -> None:
    config = RetargetConfig(taps=tuple(options["taps"]), importance_percentile=options["percentile"])
    scale = options["scale"]
    if not 0 < scale <= 1:
        raise ValueError(f"--scale is {scale:g}: give a factor above 0 and up to 1")
    source = Path(options["weights"])
    with tempfile.TemporaryDirectory() as folder:
        half = Path(folder) / "half.safetensors"
        convert_file(source, half, store="bfloat16", any_shape=True)
        networks = [read_weights(source), read_weights(half)]
    for photo in options["photos"]:
        image = Image.fromarray(read_image(Path(photo)))
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        image = np.asarray(image.resize(size, Image.Resampling.BOX))
        target = image.shape[0], parse_side("width", options["width"], image.shape[1])
        full, rounded = (retarget(image, target, config, weights) for weights in networks)
        moved = []
        passes = [result.passes[0].carving.levels for result in (full, rounded)]
        for tap, a, b in zip(config.taps, *passes, strict=True):
            height = Level(tap).size((image.shape[0], image.shape[1]))[0]
            moved.append(f"{tap} {_share_moved(a, b, height):.2%} of {int(a.width)}")
        difference = np.abs(full.image.astype(float) - rounded.image.astype(float))
        print(f"{photo} {image.shape[1]}x{image.shape[0]}: kept columns that differ: {', '.join(moved)};", end=" ")
        print(f"image: mean {difference.mean():.4f}, largest {difference.max():.0f} grey levels", flush=True)


def _share_moved(first: Seams, second: Seams, height: int) -> float:
    """The share of kept indices that differ between two sets of seams; 1 where the number of seams differs."""
    left = int(first.width)
    if left != int(second.width):
        return 1.0
    return float((np.asarray(first.kept)[:height, :left] != np.asarray(second.kept)[:height, :left]).mean())


if __name__ == "__main__":
    end_process(main(sys.argv))
