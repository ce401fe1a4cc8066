"""Measures importance maps against object masks: how they rank pixels, and how much of the object seams would take.

  python scripts/evaluate_importance.py --photos=retargetme/ --vgg=vgg19_blocks123.h5 --networks=C=c.safetensors

Prints a table of means over the photos with 95 % bootstrap intervals, for gradient energy, a Gaussian at the centre,
the analytic and the learned network, VGG19's shallow taps where --vgg names a file, and any other --networks.
A network sees the photo with its longer side at each of --sides pixels; its map is block5_pool's norm (Eq. 1), or for
VGG19 the sum of its shallow taps' norms, each divided by its mean. --update_docs keeps the means in docs/measurements
and writes docs/pages/benchmarks.md from them.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from dnr_jax.evaluation.outlines import OUTLINES
from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.ending import end_process
from measurements.store import record

if TYPE_CHECKING:
    import jax
    import numpy as np

    from dnr_jax.networks.network import Network

MEASURES = ("auc", "shuffled_auc", "lost_75", "lost_50")
MAP_SIDE = 192
LABEL = 32
"""The width of a label in the table."""
SHALLOW = ("block1_conv2", "block2_conv2", "block3_conv4")


def main(argv: Sequence[str]) -> int:
    """Measures; returns the exit code: 0 done, 2 bad input (one line on stderr), 130 interrupted."""

    def measure(options: dict[str, Any]) -> None:
        results = run(options)
        if options["update_docs"]:
            means = {
                label: {key: value for key, value in found.items() if key.endswith("_mean")}
                for label, found in results.items()
            }
            record("importance", means, argv)

    return run_command(
        "evaluate_importance",
        argv,
        define_flags(),
        measure,
        text=__doc__,
        required=("photos",),
        example="--photos=DIR",
    )


def define_flags() -> flags.FlagValues:
    """The command's flags."""
    values = flags.FlagValues()
    text = {"flag_values": values, "module_name": "evaluate_importance"}
    flags.DEFINE_string("photos", None, "Folder of photos, NAME.* or NAME/src.* for each mask.", **text)
    flags.DEFINE_string("masks", str(OUTLINES), "JSON file of polygons.", **text)
    flags.DEFINE_list("sides", ["384", "640"], "Longer sides at which networks see a photo.", **text)
    flags.DEFINE_list("networks", [], "More networks to measure, LABEL=NAME_OR_FILE.", **text)
    flags.DEFINE_string("vgg", None, "VGG19 weights that hold blocks 1 to 3 at least.", **text)
    flags.DEFINE_string("json", None, "File to write the figures of every photo to.", **text)
    flags.DEFINE_boolean("update_docs", False, "Keep the figures for the documents.", **text)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", **text)
    return values


def run(options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Measures every kind of map on every photo, and prints the figures of each; returns them by the kind's label."""
    from dnr_jax.atomic import write_atomically
    from training.measures import bootstrap, load_masks, measure

    masks = load_masks(Path(options["masks"]), MAP_SIDE)
    photos = {name: find_photo(Path(options["photos"]), name) for name in masks}
    results = {}
    print(
        f"{'':{LABEL}}" + "".join(f"{title:>24}" for title in ("AUC", "shuffled AUC", "lost at 75 %", "lost at 50 %"))
    )
    for label, maker in makers(options).items():
        maps = {name: maker(photos[name], mask.shape) for name, mask in masks.items()}
        found = measure(maps, masks)
        results[label] = {"photos": list(masks), **found}
        cells = []
        for key in MEASURES:
            mean, low, high = bootstrap(found[key])
            results[label][f"{key}_mean"] = [mean, low, high]
            cells.append(f"{mean:.3f} ({low:.3f}-{high:.3f})".rjust(24))
        print(f"{label:{LABEL}}" + "".join(cells), flush=True)
    if options["json"]:
        write_atomically(Path(options["json"]), (json.dumps(results, indent=1) + "\n").encode())
    return results


def makers(options: dict[str, Any]) -> "dict[str, Callable[[Path, tuple[int, ...]], np.ndarray]]":
    """The kinds of map to measure, by label: each is a function from a photo's file and a (height, width) to a map."""
    from dnr_jax.weights import load_weights, read_weights
    from dnr_jax.weights.packaged import read_learned

    chosen: dict[str, Any] = {"gradient energy": gradient_energy, "centre Gaussian": centre_gaussian}
    networks = {name: load_weights(name).network for name in ("analytic", "learned")}
    for item in options["networks"]:
        label, _, name = item.partition("=")
        if not name:
            raise ValueError(f"--networks has {item!r}: write LABEL=NAME_OR_FILE")
        own = name.endswith(".safetensors")
        networks[label] = read_learned(path=Path(name))[0] if own else load_weights(name).network
    for side in (int(side) for side in options["sides"]):
        if side < 32 or side % 32:
            raise ValueError(f"--sides has {side}: give multiples of 32")
        for label, network in networks.items():
            chosen[f"{label}, {side} px"] = network_map(network, ("block5_pool",), side)
        if options["vgg"]:
            vgg = read_weights(Path(options["vgg"])).network
            chosen[f"VGG19 blocks 1 to 3, {side} px"] = network_map(vgg, SHALLOW, side)
    return {**chosen, **object_makers(networks)}


def object_makers(networks: "Mapping[str, Network]") -> "dict[str, Callable[[Path, tuple[int, ...]], np.ndarray]]":
    """The kinds of map that `see_objects` makes, as in `makers`; a photo is looked at once for all of them."""
    from functools import cache

    from training.object_maps import see_objects

    see = cache(lambda path: see_objects(path, networks))
    labels = ["salience", *(f"{kind}, {name}" for kind in ("objects", "deepest with objects") for name in networks)]
    return {label: lambda path, shape, label=label: fit(see(path)[label], shape) for label in labels}


def find_photo(folder: Path, name: str) -> Path:
    """The file of the photo of a name in a folder; FileNotFoundError where it is not there."""
    found = sorted([*folder.glob(f"{name}.*"), *folder.glob(f"{name}/src.*")])
    if not found:
        raise FileNotFoundError(f"{folder} holds no photo {name}: masks and photos must belong together")
    return found[0]


def read_photo(path: Path, side: int, multiple: int) -> "np.ndarray":
    """Reads a photo, float32 [H, W, 3] in [0, 255], and scales it.

    Args:
      path: the file.
      side: the longer side that it gets, in pixels.
      multiple: both sides are rounded to a multiple of this.
    """
    import numpy as np
    import PIL.Image

    with PIL.Image.open(path) as file:
        photo = file.convert("RGB")
    scale = side / max(photo.size)
    width, height = (multiple * max(1, round(n * scale / multiple)) for n in photo.size)
    return np.asarray(photo.resize((width, height), PIL.Image.Resampling.LANCZOS), np.float32)


def gradient_energy(path: Path, shape: tuple[int, ...]) -> "np.ndarray":
    """The gradient energy |dI/dx| + |dI/dy| of the grey photo, by central differences (Avidan and Shamir, 2007)."""
    import numpy as np

    grey = read_photo(path, MAP_SIDE, 1).mean(-1)
    rows, columns = np.gradient(grey)
    return fit(np.abs(rows) + np.abs(columns), shape)


def centre_gaussian(_: Path, shape: tuple[int, ...]) -> "np.ndarray":
    """A Gaussian at the photo's centre, whose standard deviation is 0.3 of either side."""
    import numpy as np

    from dnr_jax.planning.objects import centre_weight

    return np.asarray(centre_weight(shape, 1.0))


def network_map(network: Any, taps: tuple[str, ...], side: int) -> "Callable[[Path, tuple[int, ...]], np.ndarray]":
    """Makes a function as in `makers`, for a network: Eq. 1 at one tap, or the sum over taps of map divided by mean.

    Args:
      network: the network.
      taps: the taps.
      side: the longer side, in pixels, at which the network sees a photo.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    from dnr_jax.networks.taps import Level
    from dnr_jax.planning.importance import feature_norm

    @jax.jit
    def maps(image: "jax.Array", size: "tuple[jax.Array, jax.Array]") -> "dict[str, jax.Array]":
        return {tap: feature_norm(values) for tap, values in network.features(image, taps, size=size).items()}

    def make(path: Path, shape: tuple[int, ...]) -> "np.ndarray":
        photo = read_photo(path, side, 32)
        height, width = photo.shape[:2]
        padded = np.zeros((side, side, 3), np.float32)  # One shape: one compilation.
        padded[:height, :width] = photo
        total = np.zeros(shape)
        for tap, values in maps(jnp.asarray(padded), (jnp.int32(height), jnp.int32(width))).items():
            rows, columns = Level(tap).size((height, width))
            inside = np.asarray(values)[:rows, :columns]
            total += fit(inside / max(float(inside.mean()), 1e-12), shape)
        return total

    return make


def fit(values: "np.ndarray", shape: tuple[int, ...]) -> "np.ndarray":
    """A map of the whole photo, resized bilinearly to (height, width) `shape`."""
    import numpy as np
    import PIL.Image

    picture = PIL.Image.fromarray(np.asarray(values, np.float32))
    return np.asarray(picture.resize((shape[1], shape[0]), PIL.Image.Resampling.BILINEAR))


if __name__ == "__main__":
    end_process(main(sys.argv))
