"""What storing weights as bfloat16 changes: the seams that are kept, and the final image, against float32.

python scripts/compare_stores.py --weights=vgg19.h5 --scale=0.5 photo1.jpg photo2.jpg

Prints, per photo, the share of kept indices per level that differ, and the mean and largest difference of the images in
grey levels. --scale shrinks the photos first.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image

from dnr_jax.config import DEFAULT_TAPS, RetargetConfig
from dnr_jax.networks.taps import tap_size
from dnr_jax.photos.files import read_image
from dnr_jax.pipeline import retarget
from dnr_jax.planning.seams import Seams
from dnr_jax.shell.sizes import parse_side
from dnr_jax.weights import read_weights
from dnr_jax.weights.install import convert_file


def main(argv: Sequence[str]) -> int:
    """Runs the comparison; returns the exit code: 0 done, 2 bad input."""
    values = flags.FlagValues()
    text = {"flag_values": values, "module_name": "compare_stores"}
    flags.DEFINE_string("weights", None, "Weights file in any layout.", **text)
    flags.DEFINE_list("taps", ",".join(DEFAULT_TAPS), "Taps to carve.", **text)
    flags.DEFINE_string("width", "75%", "Target width: pixels or percent.", **text)
    flags.DEFINE_float("percentile", 20.0, "importance_percentile: 100 leaves everything to the seams.", **text)
    flags.DEFINE_float("scale", 1.0, "Factor on the photos' sides before all else.", **text)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", **text)
    try:
        photos = values(argv)[1:]
        if values["help"].value:
            print(f"{__doc__}\n{values.get_help(include_special_flags=False)}")
            return 0
        if not values["weights"].value or not photos:
            raise ValueError("--weights and at least one photo are needed")
        config = RetargetConfig(
            taps=tuple(values["taps"].value or ()), importance_percentile=float(values["percentile"].value or 0)
        )
        with tempfile.TemporaryDirectory() as folder:
            half = Path(folder) / "half.safetensors"
            convert_file(Path(str(values["weights"].value)), half, store="bfloat16", any_shape=True)
            networks = [read_weights(Path(str(values["weights"].value))), read_weights(half)]
        for photo in photos:
            image = Image.fromarray(read_image(Path(photo)))
            scale = float(values["scale"].value or 1)
            image = np.asarray(
                image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BOX)
            )
            target = image.shape[0], parse_side("width", str(values["width"].value), image.shape[1])
            full, rounded = (retarget(image, target, config, weights) for weights in networks)
            moved = []
            passes = [result.passes[0].carving.levels for result in (full, rounded)]
            for tap, a, b in zip(config.taps, *passes, strict=True):
                height = tap_size(tap, (image.shape[0], image.shape[1]))[0]
                moved.append(f"{tap} {_share_moved(a, b, height):.2%} of {int(a.width)}")
            difference = np.abs(full.image.astype(float) - rounded.image.astype(float))
            print(f"{photo} {image.shape[1]}x{image.shape[0]}: kept columns that differ: {', '.join(moved)};", end=" ")
            print(f"image: mean {difference.mean():.4f}, largest {difference.max():.0f} grey levels", flush=True)
    except (flags.Error, ValueError, OSError) as error:
        print(f"compare_stores: {error}", file=sys.stderr)
        return 2
    return 0


def _share_moved(first: Seams, second: Seams, height: int) -> float:
    """The share of kept indices that differ; all of them where the number of seams does."""
    left = int(first.width)
    if left != int(second.width):
        return 1.0
    return float((np.asarray(first.kept)[:height, :left] != np.asarray(second.kept)[:height, :left]).mean())


if __name__ == "__main__":
    sys.exit(main(sys.argv))
