"""Trains the network that ships with the package, without human labels, from a folder of photos.

  python scripts/train_embedded.py --photos=photos/ --out=weights/learned.safetensors --origin="where they come from"

Needs the extra `train`. Beside FILE it writes its record (.json), a plot of the run (.png) and, while it runs, labels
and state (.labels.npz, .state.npz): started again after an interruption it goes on from there, to the same result.
"""

import dataclasses
import importlib.metadata
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from dnr_jax.progress import ProgressLine

if TYPE_CHECKING:
    from training.data import Dataset
    from training.loop import Record
    from training.recipe import Recipe

IMPORTANCE_SIDE = 384
PACKAGES = ("jax", "flax", "optax", "numpy", "scipy", "scikit-image", "pillow")


def main(argv: Sequence[str]) -> int:
    """Trains; returns the exit code."""
    values = flags.FlagValues()
    flags.DEFINE_string("photos", None, "Folder of photos, none of them one to be measured on.", flag_values=values)
    flags.DEFINE_string("out", None, "File to write, .safetensors.", flag_values=values)
    flags.DEFINE_string("origin", "", "Where the photos come from, for the record.", flag_values=values)
    flags.DEFINE_string("recipe", "default", "default, or plain: as first written down.", flag_values=values)
    flags.DEFINE_integer("seed", 0, "Seed of weights and batches.", lower_bound=0, flag_values=values)
    flags.DEFINE_integer("steps", None, "Steps instead of the recipe's.", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("processes", os.cpu_count(), "Processes that label.", lower_bound=1, flag_values=values)
    flags.DEFINE_boolean("quiet", False, "No progress on stderr.", flag_values=values)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", flag_values=values)
    try:
        rest = values(argv)[1:]
        if values["help"].value:
            print(f"{__doc__}\n{values.get_help(include_special_flags=False)}")
            return 0
        if rest or not values["photos"].value or not values["out"].value:
            raise ValueError("--photos=DIR and --out=FILE are needed, and nothing else but options")
        out = Path(str(values["out"].value))
        if out.suffix != ".safetensors" or not out.parent.is_dir():
            raise ValueError(f"--out is {out}: name a .safetensors file in a folder that exists")
        run(Path(str(values["photos"].value)), out, {name: values[name].value for name in values})
    except (flags.Error, ValueError, OSError, FloatingPointError) as error:
        print(f"train_embedded: {error}", file=sys.stderr)
        return 2
    except ImportError as error:
        print(f"train_embedded: {error}: pip install 'dnr_jax[train]'", file=sys.stderr)
        return 2
    return 0


def run(photos: Path, out: Path, options: dict[str, Any]) -> None:
    """Labels, trains and writes everything."""
    from dnr_jax.atomic import write_atomically
    from dnr_jax.weights.packaged import write_learned
    from training.data import load_dataset
    from training.loop import settle_statistics, train
    from training.model import exported, fold
    from training.recipe import named_recipe

    recipe = named_recipe(options["recipe"], options["steps"])
    with ProgressLine(sys.stderr, quiet=options["quiet"]) as line:
        labels, state_file = out.with_suffix(".labels.npz"), out.with_suffix(".state.npz")
        dataset = load_dataset(photos, recipe, labels, options["processes"], line.update)
        state, history = train(dataset, recipe, options["seed"], state_file, progress=line.update)
        statistics = settle_statistics(state, dataset, recipe, options["seed"], line.update)
    layers = fold(state.average, statistics)
    write_learned(out, layers, exported(recipe), IMPORTANCE_SIDE, record_of(recipe, dataset, history, options))
    write_atomically(out.with_suffix(".png"), plot(history))
    labels.unlink()
    state_file.unlink()
    last = history[-1]
    print(f"{out}: {out.stat().st_size} bytes, held-out correlation {last.correlation:.3f}, loss {last.loss:.3f}")


def record_of(recipe: "Recipe", dataset: "Dataset", history: "list[Record]", options: dict[str, Any]) -> dict[str, Any]:
    """What a reader of the weights must know to make them again."""
    return {
        "script": "scripts/train_embedded.py",
        "licence": "as the package",
        "seed": options["seed"],
        "recipe": {"name": options["recipe"], **dataclasses.asdict(recipe)},
        "photos": {
            "origin": options["origin"],
            "found": dataset.found,
            "trained_on": len(dataset.training),
            "held_out": len(dataset.validation),
            "sha256": dataset.digest,
        },
        "held_out_correlation": history[-1].correlation,
        "versions": {
            "python": ".".join(str(n) for n in sys.version_info[:3]),
            **{package: importlib.metadata.version(package) for package in PACKAGES},
        },
    }


def plot(history: "list[Record]") -> bytes:
    """A PNG: training loss above, below it 1 - correlation on held-out photos."""
    import numpy as np
    import PIL.Image

    from dnr_jax.curve import draw_curve

    curves = [[record.loss for record in history], [1 - record.correlation for record in history]]
    pictures = [draw_curve(values) for values in curves if np.isfinite(values).all()]
    stream = io.BytesIO()
    PIL.Image.fromarray(np.concatenate(pictures)).save(stream, "PNG")
    return stream.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv))
