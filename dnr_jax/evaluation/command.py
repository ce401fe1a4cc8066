"""Compares retargeting methods on a data set: results, measures, tables with intervals, a report to vote in.

  python -m dnr_jax.evaluation --dataset=RetargetMe --methods=dnr,scl,published --out=comparison

reads RetargetMe in its official layout (name/name.png, name/name_0.75_sc.png) or with a manifest.json, runs our
methods, reads the published results of others, and writes

  OUT/results.csv   every photo and method
  OUT/summary.csv   means and differences with 95 % bootstrap intervals; OUT/summary.txt the same in words
  OUT/report.html   every photo with all results, importance maps and measures, and a blind mode for votes, which
                    python -m dnr_jax.evaluation.tally counts; it opens without a server, and with report.html#vote
                    in the blind mode
  OUT/results/      the pictures; what is there already, with the same settings, is not computed again

A method is dnr, dnr:OPTION=VALUE[:OPTION=VALUE...], the name of another operator, published:OPERATOR, or published for
all of those. Differences are from the first method; the blind mode compares it with each other one.

Two measures need outlines of objects (--objects); photos without are left out of them, and the tables say so.

With --ratios=16:9,4:3,1:1,9:16 every photo goes to each of these aspects, width to height: the side that is too long
for it shrinks. Photos that have it already are left out, and so are published results, which exist at their own sizes
alone. Each ratio has a folder OUT/16x9 with all of the above, and

  OUT/ratios.txt    the measures of objects at every ratio beside uniform scaling's; OUT/ratios.csv all measures
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.ending import end_process
from dnr_jax.shell.flags import define_network_flags

Keep = Callable[[dict[str, Any], dict[str, Any]], None]
"""Takes the flags' values, and the figures that documents may show, by the kind of measurement."""


def main(argv: Sequence[str], *, values: flags.FlagValues | None = None, keep: Keep | None = None) -> int:
    """Runs the comparison; returns the exit code: 0 done, 2 bad input (one line on stderr), 130 interrupted.

    Args:
      argv: the command line, program first.
      values: the flags of `define_flags`, where the caller has added its own.
      keep: called once all is written.
    """

    def run(options: dict[str, Any]) -> None:
        from dnr_jax.evaluation.comparison import compare

        table, kept = compare(options)
        print(table, end="")
        if keep is not None:
            keep(options, kept)

    return run_command(
        "evaluate",
        argv,
        define_flags() if values is None else values,
        run,
        text=__doc__,
        required=("dataset", "out"),
        example="--dataset=RetargetMe --methods=dnr,scl,published --out=comparison",
        interrupted="interrupted; run it again to go on from there",
    )


def define_flags() -> flags.FlagValues:
    """The command's flags."""
    values = flags.FlagValues()
    text = {"flag_values": values, "module_name": "evaluate"}
    flags.DEFINE_string("dataset", None, "Directory of the data set.", **text)
    flags.DEFINE_string("methods", "dnr,scl,published", "Comma-separated; see above.", **text)
    flags.DEFINE_string("out", None, "Directory to write to; created where it is missing.", **text)
    flags.DEFINE_string("score_weights", None, "The network that measures. Default: DNR's.", **text)
    flags.DEFINE_string("score_tap", "block5_conv1", "Layer of the semantic score (Eq. 5).", **text)
    flags.DEFINE_string("width", None, "Target width where the data set says no size: pixels or percent.", **text)
    flags.DEFINE_string("height", None, "Target height where the data set says no size.", **text)
    flags.DEFINE_string("ratios", None, "Targets in place of the data set's sizes, width to height; see above.", **text)
    flags.DEFINE_string(
        "objects",
        None,
        "JSON file of outlined objects. Default: that of RetargetMe, in the package.",
        **text,
    )
    flags.DEFINE_integer("limit", None, "Only the first so many photos.", lower_bound=1, **text)
    flags.DEFINE_float("scale", 1.0, "Factor on the sides of photos and results, for a quick look.", **text)
    flags.DEFINE_integer("seed", 0, "Seed of the bootstrap.", lower_bound=0, **text)
    flags.DEFINE_enum(
        "pairs", "first", ["first", "all"], "Votes: the first method with each other, or all pairs.", **text
    )
    flags.DEFINE_boolean("recompute", False, "Run and measure everything anew.", **text)
    flags.DEFINE_boolean("quiet", False, "No progress on stderr.", **text)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", **text)
    define_network_flags(values)
    return values


def run() -> None:
    """The entry point of the installed command."""
    end_process(main(sys.argv))
