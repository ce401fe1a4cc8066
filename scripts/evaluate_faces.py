"""Measures what retargeting does to faces, against boxes drawn by hand.

python scripts/evaluate_faces.py --photos=retargetme/,photos/ --methods=dnr,dnr:keep=objects,scl,sc,multiop

Every photo with a face goes to each of --widths, in percent of its own. Prints, for each method, the mean over faces of
|log(width / height after / before)|: 0 where proportions stay, 0.69 for half as wide, 1.39 for a face that is lost. A
method is dnr, dnr:OPTION=VALUE[:OPTION=VALUE...], or the name of another operator. dnr's faces are carried along its
own map; those of other methods along a map that is estimated from their pixels, so that small faces are uncertain
there: compare scl with its exact value, the logarithm of the width. --update_docs keeps the means in docs/measurements
and writes docs/pages/benchmarks.md from them.
"""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from detection.drawn import define_flags, load_drawn, read_photo
from detection.measures import LEAST_FACE, area
from dnr_jax.baselines import METHODS, Context
from dnr_jax.evaluation.rivals import Method, parse_methods
from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.ending import end_process
from measurements.store import record

if TYPE_CHECKING:
    import numpy as np

MAP_SIDE = 512
"""The longer side at which results are compared with photos, twice the usual: faces are small."""
LABEL = 28
"""The width of a method's name in the table."""


def main(argv: Sequence[str]) -> int:
    """Measures; returns the exit code: 0 done, 2 bad input (one line on stderr), 130 interrupted."""
    values = define_flags("evaluate_faces")
    text = {"flag_values": values, "module_name": "evaluate_faces"}
    flags.DEFINE_string("methods", "dnr,dnr:keep=objects,scl,sc,multiop", "Comma-separated; see above.", **text)
    flags.DEFINE_list("widths", ["75", "50"], "Target widths, in percent.", **text)

    def run(options: dict[str, Any]) -> None:
        figures = measure(options)
        if options["update_docs"]:
            record("faces", figures, argv)

    return run_command("evaluate_faces", argv, values, run, text=__doc__, required=("photos",), example="--photos=DIR")


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Measures every method at every width, prints the means, and returns them with the counts, ready for JSON."""
    from dnr_jax import compilation_cache
    from dnr_jax.weights import load_weights

    methods = parse_methods(options["methods"], [])
    widths = [parse_percent(text) for text in options["widths"]]
    compilation_cache.enable()
    network = load_weights("embedded").network
    folders = [Path(folder) for folder in options["photos"]]
    found: dict[str, dict[str, list[float]]] = {
        method.name: {f"{width:g}": [] for width in widths} for method in methods
    }
    photos = 0
    for name, drawn in sorted(load_drawn(Path(options["boxes"])).items()):
        faces = [face for face in drawn.faces if area(face) >= LEAST_FACE**2]
        if not faces:
            continue
        photos += 1
        photo = read_photo(folders, name, drawn)
        targets = [(drawn.size[0], round(drawn.size[1] * width / 100)) for width in widths]
        for method in methods:
            for width, each in zip(widths, distortions(photo, faces, targets, method, network), strict=True):
                found[method.name][f"{width:g}"] += each
        print(f"{name}: {len(faces)} faces", file=sys.stderr, flush=True)
    if not photos:
        raise ValueError(f"{options['boxes']} holds no face of {LEAST_FACE:g} pixels or more: name another file")
    count = len(next(iter(found[methods[0].name].values())))
    means = {
        name: {width: sum(values) / count for width, values in by_width.items()} for name, by_width in found.items()
    }
    title = f"{count} faces of {photos} photos"
    print(f"{title:{LABEL}}" + "".join(f"{f'{width:g} %':>10}" for width in widths))
    for name, by_width in means.items():
        print(f"{name:{LABEL}}" + "".join(f"{mean:>10.3f}" for mean in by_width.values()))
    return {"faces": count, "photos": photos, "methods": means}


def parse_percent(text: str) -> float:
    """A width in percent as a number; ValueError where it is none between 0 and 100."""
    try:
        width = float(text)
    except ValueError:
        width = math.nan
    if not 0 < width < 100:
        raise ValueError(f"--widths has {text!r}: give percents between 0 and 100, for instance 75,50")
    return width


def distortions(
    photo: "np.ndarray",
    faces: Sequence[Sequence[float]],
    targets: Sequence[tuple[int, int]],
    method: Method,
    network: Any,
) -> list[list[float]]:
    """How far one method changes each face of a photo, uint8 [H, W, 3], at each of several targets."""
    from detection.faces import face_distortions, plan_all, plan_map
    from dnr_jax.metrics import register

    size = (photo.shape[0], photo.shape[1])
    if method.config is not None:
        maps = [plan_map(plan, method.config) for plan in plan_all(photo, targets, method.config, network)]
    else:
        assert method.operator is not None
        operator, context = METHODS[method.operator], Context(network=network)
        maps = [register(photo, operator(photo, target, context), side=MAP_SIDE) for target in targets]
    return [face_distortions(faces, size, each) for each in maps]


if __name__ == "__main__":
    end_process(main(sys.argv))
