"""Compares retargeting methods on a data set: results, measures, tables with intervals, a report to vote in.

  python scripts/evaluate.py --dataset=RetargetMe --methods=dnr,scl,published --out=comparison

reads RetargetMe in its official layout (name/name.png, name/name_0.75_sc.png) or with a manifest.json, runs our
methods, reads the published results of others, and writes

  OUT/results.csv   every photo and method
  OUT/summary.csv   means and differences with 95 % bootstrap intervals; OUT/summary.txt the same in words
  OUT/report.html   every photo with all results, importance maps and measures, and a blind mode for votes, which
                    scripts/tally_votes.py counts; it opens without a server, report.html#vote in the blind mode
  OUT/results/      the pictures; what is there already, with the same settings, is not computed again

A method is dnr, dnr:OPTION=VALUE[:OPTION=VALUE...], the name of another operator, published:OPERATOR, or published for
all of those. Differences are from the first method; the blind mode compares it with each other one.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.flags import define_network_flags, network_from_flags
from dnr_jax.shell.progress import ProgressLine


def main(argv: Sequence[str]) -> int:
    """Runs the comparison; returns the exit code: 0 done, 2 bad input (one line on stderr), 130 interrupted."""

    def run(options: dict[str, Any]) -> None:
        print(compare(options), end="")

    return run_command(
        "evaluate",
        argv,
        define_flags(),
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


def compare(options: dict[str, Any]) -> str:
    """Runs the comparison and writes all files; returns the table."""
    from dnr_jax.evaluation.dataset import read_dataset
    from dnr_jax.evaluation.methods import parse_methods

    if not 0 < options["scale"] <= 1:
        raise ValueError(f"--scale is {options['scale']:g}: give a factor above 0 and up to 1")
    dataset, out = Path(options["dataset"]), Path(options["out"])
    cases = read_dataset(dataset)[: options["limit"]]
    methods = parse_methods(options["methods"], cases)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ValueError(f"--out={out} is no directory: name another") from None

    from dnr_jax.atomic import write_atomically
    from dnr_jax.evaluation.measures import Judge
    from dnr_jax.evaluation.report import write_report
    from dnr_jax.evaluation.runs import Photo, Settings, run_all
    from dnr_jax.evaluation.tables import results_csv, summarise, summary_csv, summary_text
    from dnr_jax.weights.load import load_chosen

    choice, named = network_from_flags(options), options["score_weights"]
    weights = load_chosen(choice)
    judged = load_chosen(dataclasses.replace(choice, name=named)) if named else weights
    judge = Judge(judged, options["score_tap"], options["scale"])
    settings = Settings(
        out,
        weights,
        judge,
        scale=options["scale"],
        width=options["width"],
        height=options["height"],
        recompute=options["recompute"],
    )
    with ProgressLine(sys.stderr, quiet=options["quiet"]) as line:
        outcomes = run_all(cases, methods, settings, line.update)
    summaries = summarise(outcomes, options["seed"])
    table = summary_text(summaries, judge)
    rows = [
        ("data set", f"{dataset.name}, {len(cases)} photos"),
        ("methods", options["methods"]),
        ("DNR's weights", f"{weights.provenance.name} ({weights.provenance.source})"),
        ("semantic score", judge.label),
        ("importance", f"the sum of the normalised maps of {', '.join(judge.taps)} of {judged.provenance.name}"),
        ("scale", f"{options['scale']:g}"),
        ("bootstrap seed", str(options["seed"])),
    ]
    photos = [Photo(case, settings) for case in cases]
    page = write_report(out, photos, outcomes, summaries, judge, pairs=options["pairs"], rows=rows)
    write_atomically(out / "results.csv", results_csv(outcomes, judge).encode())
    write_atomically(out / "summary.csv", summary_csv(summaries, judge).encode())
    write_atomically(out / "summary.txt", table.encode())
    return f"{table}{page}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv))
