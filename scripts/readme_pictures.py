"""Makes the documents' pictures anew: the gallery's, the tutorial's and README's strip, by the commands shown there.

  python scripts/readme_pictures.py
  python scripts/readme_pictures.py --only=rocket_75,coffee_protect

Photos and masks lie in scripts/pictures, with their origin and licences; docs/gallery.json says which command makes
which picture, and the gallery's page shows the same commands. Every one of them runs through the real command line,
with the network that comes with the package and otherwise the defaults of the day. Pictures go to docs/pages/pictures.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from absl import flags

from dnr_jax import resize
from dnr_jax.photos.files import read_image, write_image
from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.ending import end_process

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = ROOT / "scripts/pictures"
PICTURES = ROOT / "docs/pages/pictures"
GALLERY = ROOT / "docs/gallery.json"
STRIP = ("coffee.jpg", "coffee_square.jpg", "coffee_square_beside.jpg")
"""The pictures of README's strip, from left to right."""
STAGES = {
    "objects": "2_objects",
    "importance": "2_importance_block4_conv4",
    "seams": "3_seams_1_width_block1_conv2",
    "start": "4_start_seam",
    "reconstruction": "6_after",
    "warp": "7_warp_width",
    "result": "8_result",
}
"""The pictures of the inspection that the tutorial shows, by the tutorial's names for them."""
STAGES_RUN = ("--width=75%", "--importance_percentile=20")
"""The options of the run that the tutorial looks into, in which seams go, so that every stage has something to show."""
GAP = 8


def main(argv: Sequence[str]) -> int:
    """Makes the pictures; returns the exit code: 0 done, 2 bad input (one line on stderr), 130 interrupted."""
    values = flags.FlagValues()
    flags.DEFINE_list(
        "only", [], "Names of docs/gallery.json's scenes, stages, strip. Default: all.", flag_values=values
    )
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", flag_values=values)
    return run_command("readme_pictures", argv, values, _make, text=__doc__)


def _make(options: dict[str, Any]) -> None:
    scenes = json.loads(GALLERY.read_text())
    names = [scene["name"] for scene in scenes] + ["stages", "strip"]
    for name in options["only"]:
        if name not in names:
            raise ValueError(f"--only names {name}: choose from {', '.join(names)}")
    wanted = options["only"] or names
    PICTURES.mkdir(exist_ok=True)
    for scene in scenes:
        if scene["name"] in wanted:
            print(scene["name"], flush=True)
            (PICTURES / scene["photo"]).write_bytes((PHOTOS / scene["photo"]).read_bytes())
            run(scene["photo"], scene["flags"], PICTURES / f"{scene['name']}.jpg")
            if scene["beside"]:
                run(scene["photo"], scene["beside"], PICTURES / f"{scene['name']}_beside.jpg")
    if "stages" in wanted:
        draw_stages()
    if "strip" in wanted:
        write_image(PICTURES / "strip.jpg", beside([read_image(PICTURES / name) for name in STRIP]))


def run(photo: str, options: Sequence[str], output: Path, *more: str) -> None:
    """Runs the command on a photo.

    Args:
      photo: the name of a file in PHOTOS, where the masks that options name lie as well.
      options: the options that the documents show.
      output: the file to write.
      more: further options.

    Raises:
      ValueError: the command refuses.
    """
    placed = [place(option) for option in options]
    network = [] if any(option.startswith("--method=s") for option in options) else ["--weights=embedded"]
    command = ["dnr_jax.resize", f"--input={PHOTOS / photo}", f"--output={output}", *placed, *network, *more, "--quiet"]
    if resize.main(command):
        raise ValueError(f"{' '.join(command)} failed: its line above says why")


def place(option: str) -> str:
    """An option with the path of the mask that it names, if it names one."""
    name, _, value = option.partition("=")
    return f"{name}={PHOTOS / value}" if name in ("--protect", "--remove", "--objects") else option


def draw_stages() -> None:
    """Writes the tutorial's pictures: some of those that --inspect_dir makes of one run."""
    print("stages", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        run("rocket.jpg", STAGES_RUN, Path(folder) / "out.png", f"--inspect_dir={folder}")
        for name, picture in STAGES.items():
            with PIL.Image.open(Path(folder) / f"{picture}.png") as opened:
                write_image(PICTURES / f"stage_{name}.jpg", np.asarray(opened.convert("RGB")))


def beside(images: Sequence[np.ndarray]) -> np.ndarray:
    """Sets images, uint8 [H, W, 3], in a row on white, with their tops aligned."""
    height = max(image.shape[0] for image in images)
    row = []
    for image in images:
        below = ((0, height - image.shape[0]), (0, GAP), (0, 0))
        row.append(np.pad(image, below, constant_values=255))
    return np.concatenate(row, 1)[:, :-GAP]


if __name__ == "__main__":
    end_process(main(sys.argv))
