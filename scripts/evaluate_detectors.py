"""Measures how well faces and words are found, against boxes drawn by hand.

python scripts/evaluate_detectors.py --photos=retargetme/,photos/

Prints recall on faces of 20 pixels or more (the root of their area) and on words of 12 pixels or more in height, and
false boxes a photo: for the half of the photos on which thresholds were chosen, for the other half, and for all. With
--haar, OpenCV's cascade of Haar features beside it for faces (OpenCV before 5). --update_docs keeps the counts in
docs/measurements and writes docs/pages/benchmarks.md from them.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from detection.drawn import define_flags, load_drawn, read_photo
from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.ending import end_process
from measurements.store import record

if TYPE_CHECKING:
    import numpy as np

    from detection.measures import Count


def main(argv: Sequence[str]) -> int:
    """Measures; returns the exit code: 0 done, 2 bad input (one line on stderr), 130 interrupted."""
    values = define_flags("evaluate_detectors")
    text = {"flag_values": values, "module_name": "evaluate_detectors"}
    flags.DEFINE_boolean("haar", False, "Measure OpenCV's cascade too.", **text)

    def run(options: dict[str, Any]) -> None:
        figures = _measure(options)
        if options["update_docs"]:
            record("detectors", figures, argv)

    return run_command(
        "evaluate_detectors", argv, values, run, text=__doc__, required=("photos",), example="--photos=DIR"
    )


def _measure(options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Counts what is found, prints the counts, and returns them by what was looked for and by half of the photos."""
    import jax.numpy as jnp

    from detection.measures import Count, count_faces, count_words
    from dnr_jax import compilation_cache
    from dnr_jax.config import RetargetConfig
    from dnr_jax.padding import traced_size
    from dnr_jax.sight import see

    compilation_cache.enable()
    config = RetargetConfig(keep=("faces", "words"))
    cascade = haar() if options["haar"] else None
    folders = [Path(folder) for folder in options["photos"]]
    counts: dict[str, list[Count]] = {"faces": [], "words": []} | ({"faces, Haar": []} if cascade else {})
    for name, drawn in sorted(load_drawn(Path(options["boxes"])).items()):
        photo = read_photo(folders, name, drawn)
        seen = see(jnp.asarray(photo, jnp.float32), traced_size(drawn.size), config)
        counts["faces"].append(count_faces(drawn, seen.faces))
        counts["words"].append(count_words(drawn, seen.words))
        if cascade:
            counts["faces, Haar"].append(count_faces(drawn, cascade(photo)))
    print(f"{'':14}{'chosen on':>28}{'others':>28}{'all':>28}")
    figures: dict[str, dict[str, Any]] = {}
    for title, of_photos in counts.items():
        # Photos were taken in turn, by name.
        halves = {"chosen on": of_photos[::2], "others": of_photos[1::2], "all": of_photos}
        totals = {half: sum(cell, start=Count(0, 0, 0, 0)) for half, cell in halves.items()}
        print(f"{title:14}" + "".join(f"{describe(total):>28}" for total in totals.values()))
        figures[title] = {half: total._asdict() for half, total in totals.items()}
    return figures


def describe(total: "Count") -> str:
    """Writes the recall, and how many false boxes there are in a photo."""
    recall = total.found / max(total.drawn, 1)
    return f"{recall:.2f} ({total.found}/{total.drawn}), {total.false / max(total.photos, 1):.2f} false"


def haar() -> "Callable[[np.ndarray], np.ndarray]":
    """OpenCV's detector of frontal faces: a function from a photo, uint8 [H, W, 3] RGB, to boxes, [n, 4]."""
    import numpy as np

    try:
        import cv2  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ImportError("--haar needs OpenCV: pip install 'opencv-python-headless<5'") from None
    path = Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: pip install 'opencv-python-headless<5'")
    cascade = cv2.CascadeClassifier(str(path))

    def find(photo: "np.ndarray") -> "np.ndarray":
        found = cascade.detectMultiScale(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), 1.1, 5, minSize=(15, 15))
        return np.array([(y, x, y + h, x + w) for x, y, w, h in found], np.float32).reshape(-1, 4)

    return find


if __name__ == "__main__":
    end_process(main(sys.argv))
