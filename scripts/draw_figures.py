"""Remakes on any photo what a figure of the paper shows: one labelled PNG each.

  python scripts/draw_figures.py --figure=10 --image=photo.jpg --out=figures
  python scripts/draw_figures.py --figure=all --image=photo.jpg --out=figures --scale=0.5 --steps=10

The command, the network and the config of every run stand in the PNG's text chunks, and where each panel lies.

  python scripts/draw_figures.py --figure=results --dataset=RetargetMe --columns=before=out1,now=out2 --out=sheets

shows results that are there already, of a whole data set, a few photos a page and all at full size: the photo, its
published results (--published=sv,multiop), and out1/001.png, out2/001.png and so on. --blind=SEED shuffles the results
of every row, calls them A, B, C, and writes which is which to results_key.json.
"""

import json
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.ending import end_process
from dnr_jax.weights.names import describe_names

if TYPE_CHECKING:
    import numpy as np

    from figures.layout import Sheet
    from figures.runs import Studio

FIGURES = {
    1: "reconstruction",
    3: "reconstruction",
    4: "maps",
    6: "maps",
    8: "reconstruction",
    9: "maps",
    10: "reconstruction",
    11: "reconstruction",
    12: "reconstruction",
    13: "reconstruction",
    14: "reconstruction",
    16: "comparison",
    17: "comparison",
    18: "comparison",
    19: "comparison",
    21: "comparison",
}
"""The module that makes each of the paper's figures, by the figure's number."""
RESULTS = "results"
FOR_RESULTS = ("dataset", "photos", "published", "columns", "per_page", "blind")
_NAMES = ", ".join([*map(str, FIGURES), RESULTS])


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit code: 0 done, 2 bad input (one line on stderr)."""
    values = flags.FlagValues()
    flags.DEFINE_string("figure", None, f"Figure of the paper: {_NAMES}, or all of the paper's.", flag_values=values)
    flags.DEFINE_string("image", None, "Photo to make it on.", flag_values=values)
    flags.DEFINE_string("out", ".", "Directory for figure_NN.png; made where it is missing.", flag_values=values)
    flags.DEFINE_string("weights", "auto", f"Network: {describe_names()}, or a file.", flag_values=values)
    flags.DEFINE_float("scale", 1.0, "Scales the photo first; 0.5 for a quick look.", flag_values=values)
    flags.DEFINE_integer(
        "steps",
        None,
        "Reconstruction steps of every run, and half as many of refinement. Default: each figure's own.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_boolean("quiet", False, "No progress on stderr.", flag_values=values)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", flag_values=values)

    _define_results(values)

    def run(options: dict[str, Any]) -> None:
        of_results = options["figure"] == RESULTS
        numbers = [] if of_results else parse_figures(options["figure"])
        for flag in FOR_RESULTS if not of_results else ("image", "weights", "scale", "steps"):
            if values[flag].present:
                raise ValueError(f"--{flag} is not for --figure={options['figure']}: leave it out")
        needed, example = ("dataset", "name RetargetMe's directory") if of_results else ("image", "name a photo")
        if not options[needed]:
            raise ValueError(f"--{needed} is missing: {example}")
        if of_results:
            draw_results(options, command_line(argv))
        else:
            _run(numbers, options, command_line(argv))

    return run_command("figures", argv, values, run, text=__doc__)


def _define_results(values: flags.FlagValues) -> None:
    """Defines the flags of --figure=results."""
    flags.DEFINE_string("dataset", None, "Results: directory of the data set.", flag_values=values)
    flags.DEFINE_list("photos", [], "Results: names of photos. Default: all.", flag_values=values)
    flags.DEFINE_list("published", ["sv", "multiop"], "Results: published ones to show.", flag_values=values)
    flags.DEFINE_list("columns", [], "Results: NAME=DIR,..., DIR holding PHOTO.png.", flag_values=values)
    flags.DEFINE_integer("per_page", 3, "Results: photos a page.", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("blind", None, "Results: seed to shuffle and unname them.", lower_bound=0, flag_values=values)


def parse_figures(text: str | None) -> list[int]:
    """Reads the numbers of the figures that --figure names.

    Raises:
      ValueError: it names none, or one that shows nothing that can be remade.
    """
    if text == "all":
        return list(FIGURES)
    if text is None or not text.isascii() or not text.isdigit() or int(text) not in FIGURES:
        raise ValueError(f"--figure is {text}: choose {_NAMES} or all")
    return [int(text)]


def command_line(argv: Sequence[str]) -> str:
    """The command line as it was typed, which is written into the figure."""
    return shlex.join(["python", "scripts/draw_figures.py", *argv[1:]])


def _run(numbers: list[int], options: dict, command: str) -> None:
    from dnr_jax import compilation_cache
    from dnr_jax.atomic import write_atomically
    from dnr_jax.shell.progress import ProgressLine
    from dnr_jax.weights import load_weights
    from figures.runs import Studio

    photo = read_scaled(Path(options["image"]), options["scale"])
    folder = make_folder(options["out"])
    compilation_cache.enable()
    weights = load_weights(options["weights"], quiet=options["quiet"])
    with ProgressLine(sys.stderr, quiet=options["quiet"]) as line:
        for number in numbers:

            def report(stage: str, done: int, most: int, number: int = number) -> None:
                line.update(f"figure {number}, {stage}", done, most)

            studio = Studio(photo, weights, steps=options["steps"], progress=report)
            path = folder / f"figure_{number:02}.png"
            write_atomically(path, encode(make_figure(number, studio), number, studio, command))
            print(path, flush=True)


def make_folder(name: str) -> Path:
    """Makes the folder to write to, where it is missing; raises ValueError where a file is in its place."""
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ValueError(f"{folder} is no directory: name one to write figures to") from None
    return folder


def read_scaled(path: Path, scale: float) -> "np.ndarray":
    """Reads a photo, uint8 [H, W, 3], and scales both sides by a factor.

    Raises:
      ValueError: the file is no photo, or the factor would leave nothing of it.
    """
    import numpy as np
    import PIL.Image

    from dnr_jax.photos.files import read_image

    if not 0 < scale <= 1:
        raise ValueError(f"--scale is {scale}: it must be above 0 and at most 1")
    photo = read_image(path)
    size = (max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale)))
    return photo if scale == 1 else np.asarray(PIL.Image.fromarray(photo).resize(size, PIL.Image.Resampling.LANCZOS))


def make_figure(number: int, studio: "Studio") -> "Sheet":
    """Makes one figure of the paper from the studio's photo."""
    return getattr(import_module(f"figures.{FIGURES[number]}"), f"figure_{number}")(studio)


def encode(sheet: "Sheet", number: int, studio: "Studio", command: str) -> bytes:
    """The bytes of a figure as PNG, with command, config (JSON) and panels (JSON) in its text chunks."""
    from dnr_jax.record import environment
    from figures.layout import encode_sheet

    config = {
        "figure": number,
        "size": studio.size,
        "weights": studio.weights.provenance._asdict(),
        "runs": studio.runs,
        **environment(),
    }
    return encode_sheet(sheet, {"command": command, "config": json.dumps(config)})


def draw_results(options: dict[str, Any], command: str) -> None:
    """Writes the pages of --figure=results, and the key to blind ones."""
    from dnr_jax.atomic import write_atomically
    from dnr_jax.evaluation.dataset import read_dataset
    from figures.layout import encode_sheet
    from figures.results import choose_rows, draw_pages, shuffle_rows, write_key

    cases, seed = read_dataset(Path(options["dataset"])), options["blind"]
    rows = choose_rows(cases, options["photos"], options["published"], options["columns"])
    folder = make_folder(options["out"])
    if seed is not None:
        rows = shuffle_rows(rows, seed)
        write_atomically(folder / "results_key.json", write_key(rows, seed, command))
    # The command names the columns and the seed: in blind pages it would give them away.
    texts = {"command": command} if seed is None else {}
    for number, sheet in enumerate(draw_pages(rows, per_page=options["per_page"], blind=seed is not None), 1):
        path = folder / f"results_{number:02}.png"
        write_atomically(path, encode_sheet(sheet, texts))
        print(path, flush=True)


if __name__ == "__main__":
    end_process(main(sys.argv))
