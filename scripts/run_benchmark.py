"""Times every stage of a warm run and compares it with other programs, as ratios measured in the same run.

  python scripts/run_benchmark.py --compare=torch,torch_compile,seam_carving,lqr --size=640x480 --width=75%

VGG19 has random, variance-preserving weights here: times do not depend on their values, results would. A ratio is
dnr_jax's time over the other's: below 1, dnr_jax is faster. None is printed unless both computed the same in this run
(`parity`). Stages of both sides take turns. All need the extra `bench`; lqr needs ImageMagick.

  python scripts/run_benchmark.py --megapixels=0.3,1,3 --plot=cost.png

times the features and a step of the reconstruction per megapixel instead, and

  python scripts/run_benchmark.py --batch

batches of photos: photos a second by batch size, how evenly shards share, memory over many photos.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from benchmark.batch import measure_batch, show
from benchmark.compare import OTHERS, measure, print_table
from benchmark.cost import cost_of_size, print_cost


def main(argv: Sequence[str]) -> int:
    """Runs the benchmark; returns the exit code."""
    values = _define_flags()
    try:
        values(argv)
        if values["help"].value:
            print(f"{__doc__}\n{values.get_help(include_special_flags=False)}")
            return 0
        figures = _run(values)
        if values["json"].value:
            Path(str(values["json"].value)).write_text(json.dumps(figures, indent=1))
        if values["plot"].value:
            from benchmark.plot import draw

            draw(figures, Path(str(values["plot"].value)))
    except (flags.Error, ValueError, ImportError) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2
    return 0


def _define_flags() -> flags.FlagValues:
    values = flags.FlagValues()
    flags.DEFINE_list("compare", [], f"What to compare with: {', '.join(OTHERS)}.", flag_values=values)
    flags.DEFINE_string("size", "640x480", "Photo size, WIDTHxHEIGHT.", flag_values=values)
    flags.DEFINE_string("width", "75%", "Target width, pixels or percent.", flag_values=values)
    flags.DEFINE_integer("repeats", 3, "Timed runs of each stage.", lower_bound=1, flag_values=values)
    flags.DEFINE_boolean("cold_start", False, "Also time two fresh processes.", flag_values=values)
    flags.DEFINE_boolean("memory", False, "Also run a fresh process for its peak memory.", flag_values=values)
    flags.DEFINE_list("megapixels", [], "Photo sizes at which to show how cost grows.", flag_values=values)
    flags.DEFINE_boolean("batch", False, "Measure batches instead.", flag_values=values)
    flags.DEFINE_list("batch_sizes", ["1", "2", "4", "8"], "Batch sizes to measure.", flag_values=values)
    flags.DEFINE_integer("side", 256, "With --batch: side of the photos, in pixels.", 32, flag_values=values)
    flags.DEFINE_integer("photos", 2000, "With --batch: photos of the long run; 0: none.", 0, flag_values=values)
    flags.DEFINE_string("json", None, "File to write the figures to as well.", flag_values=values)
    flags.DEFINE_string("plot", None, "PNG file to draw the figures to; not with --batch.", flag_values=values)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", flag_values=values)
    return values


def _run(values: flags.FlagValues) -> dict[str, Any]:
    """Measures what the flags ask for, and prints it."""
    compare = [str(name) for name in values["compare"].value or []]
    unknown = [name for name in compare if name not in OTHERS]
    if unknown:
        raise ValueError(f"--compare names {unknown[0]}: choose from {', '.join(OTHERS)}")
    repeats = int(values["repeats"].value or 1)
    if values["batch"].value:
        if values["plot"].value:
            raise ValueError("--plot does not go with --batch")
        sizes = [int(size) for size in values["batch_sizes"].value or ()]
        figures = measure_batch(sizes, int(values["side"].value or 0), int(values["photos"].value or 0), repeats)
        print(show(figures))
    elif values["megapixels"].value:
        figures = cost_of_size([float(number) for number in values["megapixels"].value], repeats)
        print_cost(figures)
    else:
        width, height = (int(number) for number in str(values["size"].value).split("x"))
        figures = measure(
            (height, width),
            str(values["width"].value),
            compare,
            repeats,
            cold_start=bool(values["cold_start"].value),
            memory=bool(values["memory"].value),
        )
        print_table(figures)
    return figures


if __name__ == "__main__":
    sys.exit(main(sys.argv))
