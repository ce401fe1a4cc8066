"""Times every stage of a warm run and compares it with other programs, as ratios measured in the same run.

  python scripts/run_benchmark.py --compare=torch,torch_compile,seam_carving,lqr --size=640x480 --width=75%

VGG19 has random, variance-preserving weights here: times do not depend on their values, results would. A ratio is
dnr_jax's time over the other's: below 1, dnr_jax is faster. None is printed unless both computed the same in this run
(`parity`). Stages of both sides take turns. All need the extra `bench`; lqr needs ImageMagick.

  python scripts/run_benchmark.py --megapixels=0.3,1,3 --plot=cost.png

times the features and a step of the reconstruction per megapixel instead, and

  python scripts/run_benchmark.py --new_size

a photo of a size not seen before beside one that was, in a process that has run and in new ones,

  python scripts/run_benchmark.py --near_joints=one.jpg,two.jpg

the optimisation of what is near joints alone, as it is by default, beside PyTorch's of all pixels, on real photos, and

  python scripts/run_benchmark.py --batch

batches of photos: photos a second by batch size, how evenly shards share, memory over many photos. --update_docs
keeps what was measured in docs/measurements, and writes docs/pages/benchmarks.md and README's table from it.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from absl import flags

from benchmark.batch import measure_batch, show
from benchmark.compare import OTHERS, measure, print_table
from benchmark.cost import cost_of_size, print_cost
from benchmark.near_joints import measure_near_joints, print_near_joints
from benchmark.new_size import measure_new_size, print_new_size
from dnr_jax.photos.files import check_writable, write_bytes
from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.ending import end_process
from dnr_jax.shell.sizes import parse_side
from measurements.store import record

Number = TypeVar("Number", int, float)


def main(argv: Sequence[str]) -> int:
    """Runs the benchmark; returns the exit code: 0 done, 2 bad input (one line on stderr), 130 interrupted."""

    def run(options: dict[str, Any]) -> None:
        _measure_and_write(options, argv)

    return run_command("benchmark", argv, _define_flags(), run, text=__doc__)


def _define_flags() -> flags.FlagValues:
    values = flags.FlagValues()
    flags.DEFINE_list("compare", [], f"What to compare with: {', '.join(OTHERS)}.", flag_values=values)
    flags.DEFINE_string("size", "640x480", "Photo size, WIDTHxHEIGHT.", flag_values=values)
    flags.DEFINE_string("width", "75%", "Target width, pixels or percent.", flag_values=values)
    flags.DEFINE_integer("repeats", 3, "Timed runs of each stage.", lower_bound=1, flag_values=values)
    flags.DEFINE_boolean("cold_start", False, "Also time two fresh processes.", flag_values=values)
    flags.DEFINE_boolean("memory", False, "Also run a fresh process for its peak memory.", flag_values=values)
    flags.DEFINE_list("megapixels", [], "Photo sizes at which to show how cost grows.", flag_values=values)
    flags.DEFINE_boolean("new_size", False, "Measure sizes not seen before instead.", flag_values=values)
    flags.DEFINE_list("near_joints", [], "Photo files: measure the optimisation near joints alone.", flag_values=values)
    flags.DEFINE_boolean("batch", False, "Measure batches instead.", flag_values=values)
    flags.DEFINE_list("batch_sizes", ["1", "2", "4", "8"], "Batch sizes to measure.", flag_values=values)
    flags.DEFINE_integer("side", 256, "With --batch: side of the photos, in pixels.", 32, flag_values=values)
    flags.DEFINE_integer("photos", 2000, "With --batch: photos of the long run; 0: none.", 0, flag_values=values)
    flags.DEFINE_string("json", None, "File to write the figures to as well.", flag_values=values)
    flags.DEFINE_string("plot", None, "PNG file to draw the figures to; not with --batch.", flag_values=values)
    flags.DEFINE_boolean("update_docs", False, "Keep the figures for the documents.", flag_values=values)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", flag_values=values)
    return values


def _measure_and_write(options: dict[str, Any], argv: Sequence[str]) -> None:
    for name in ("json", "plot"):
        if options[name] is not None:
            check_writable(options[name])
    kinds = {"megapixels": "cost", "compare": "speed"}
    flag = next((name for name in ("batch", "megapixels", "new_size", "near_joints", "compare") if options[name]), None)
    kind = flag if flag is None else kinds.get(flag, flag)
    if options["update_docs"] and kind is None:
        raise ValueError("--update_docs keeps ratios: say with --compare what to compare with")
    figures = _run(options)
    if options["json"] is not None:
        write_bytes(options["json"], json.dumps(figures, indent=1).encode())
    if options["plot"] is not None:
        from benchmark.plot import draw

        draw(figures, Path(options["plot"]))
    if options["update_docs"]:
        assert kind is not None
        record(kind, figures, argv)


def _run(options: dict[str, Any]) -> dict[str, Any]:
    """Measures what the flags ask for, and prints it."""
    unknown = [name for name in options["compare"] if name not in OTHERS]
    if unknown:
        raise ValueError(f"--compare names {unknown[0]}: choose from {', '.join(OTHERS)}")
    repeats = options["repeats"]
    if options["batch"]:
        if options["plot"] is not None:
            raise ValueError("--plot does not go with --batch")
        sizes = _numbers("batch_sizes", options["batch_sizes"], int)
        figures = measure_batch(sizes, options["side"], options["photos"], repeats)
        print(show(figures))
    elif options["megapixels"]:
        figures = cost_of_size(_numbers("megapixels", options["megapixels"], float), repeats)
        print_cost(figures)
    else:
        sides = _numbers("size", options["size"].split("x"), int)
        if len(sides) != 2:
            raise ValueError(f"--size is {options['size']}: give WIDTHxHEIGHT, for instance 640x480")
        size = (sides[1], sides[0])
        width = parse_side("width", options["width"], size[1])
        if options["new_size"]:
            if options["plot"] is not None:
                raise ValueError("--plot does not go with --new_size")
            figures = measure_new_size(size, width, repeats)
            print_new_size(figures)
            return figures
        if options["near_joints"]:
            if options["plot"] is not None:
                raise ValueError("--plot does not go with --near_joints")
            figures = measure_near_joints(options["near_joints"], size, width, repeats)
            print_near_joints(figures)
            return figures
        figures = measure(
            size,
            options["width"],
            options["compare"],
            repeats,
            cold_start=options["cold_start"],
            memory=options["memory"],
        )
        print_table(figures)
    return figures


def _numbers(flag: str, texts: Sequence[str], kind: Callable[[str], Number]) -> list[Number]:
    """Reads the numbers that a flag lists; raises ValueError for one that is no number above 0."""
    try:
        numbers = [kind(text) for text in texts]
    except ValueError:
        numbers = []
    if not numbers or any(not 0 < number < float("inf") for number in numbers):
        raise ValueError(f"--{flag} is {','.join(texts)}: give numbers above 0")
    return numbers


if __name__ == "__main__":
    end_process(main(sys.argv))
