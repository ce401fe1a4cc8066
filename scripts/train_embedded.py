"""Trains the network that ships with the package, without human labels, from a folder of photos.

  python scripts/train_embedded.py --photos=photos/ --out=dnr_jax/weights/data/learned.safetensors --origin=TEXT

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

from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.ending import end_process
from dnr_jax.shell.progress import ProgressLine

if TYPE_CHECKING:
    from training.data import Dataset
    from training.loop import Record
    from training.recipe import Recipe

IMPORTANCE_SIDE = 384
PACKAGES = ("jax", "flax", "optax", "numpy", "scipy", "scikit-image", "pillow")


def main(argv: Sequence[str]) -> int:
    """Trains; returns the exit code: 0 done, 2 bad input (one line on stderr), 130 interrupted."""
    return run_command(
        "train_embedded",
        argv,
        define_flags(),
        _check_and_run,
        text=__doc__,
        required=("photos", "out"),
        example="--photos=DIR --out=FILE.safetensors",
        interrupted="interrupted; run it again to go on from there",
    )


def define_flags() -> flags.FlagValues:
    """The command's flags."""
    values = flags.FlagValues()
    text = {"flag_values": values, "module_name": "train_embedded"}
    flags.DEFINE_string("photos", None, "Folder of photos, none of them one to be measured on.", **text)
    flags.DEFINE_string("out", None, "File to write, .safetensors.", **text)
    flags.DEFINE_string("origin", "", "Where the photos come from, for the record.", **text)
    flags.DEFINE_string("recipe", "default", "default, or plain: as first written down.", **text)
    flags.DEFINE_integer("seed", 0, "Seed of weights and batches.", lower_bound=0, **text)
    flags.DEFINE_integer("steps", None, "Steps instead of the recipe's.", lower_bound=1, **text)
    flags.DEFINE_integer("processes", os.cpu_count(), "Processes that label.", lower_bound=1, **text)
    flags.DEFINE_boolean("quiet", False, "No progress on stderr.", **text)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", **text)
    return values


def _check_and_run(options: dict[str, Any]) -> None:
    out = Path(options["out"])
    if out.suffix != ".safetensors" or not out.parent.is_dir():
        raise ValueError(f"--out is {out}: name a .safetensors file in a folder that exists")
    try:
        run(Path(options["photos"]), out, options)
    except ImportError as error:
        raise ImportError(f"{error}: pip install 'dnr_jax[train]'") from None


def run(photos: Path, out: Path, options: dict[str, Any]) -> None:
    """Labels the photos, trains the network, and writes all files.

    Args:
      photos: the folder of photos.
      out: the file of the network; the others lie beside it.
      options: the values of the command's flags, by name.
    """
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
    """The record of a training run: everything that is needed to repeat it."""
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
    """The bytes of a PNG that shows the training loss and, below it, 1 - correlation on held-out photos."""
    import numpy as np
    import PIL.Image

    from dnr_jax.inspection.curve import draw_curve

    curves = [[record.loss for record in history], [1 - record.correlation for record in history]]
    pictures = [draw_curve(values) for values in curves if np.isfinite(values).all()]
    stream = io.BytesIO()
    PIL.Image.fromarray(np.concatenate(pictures)).save(stream, "PNG")
    return stream.getvalue()


if __name__ == "__main__":
    end_process(main(sys.argv))
