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

Two measures need outlines of objects (--objects); photos without are left out of them, and the tables say so.

With --ratios=16:9,4:3,1:1,9:16 every photo goes to each of these aspects, width to height: the side that is too long
for it shrinks. Photos that have it already are left out, and so are published results, which exist at their own sizes
alone. Each ratio has a folder OUT/16x9 with all of the above, and

  OUT/ratios.txt    the measures of objects at every ratio beside uniform scaling's; OUT/ratios.csv all measures

--update_docs keeps the means in docs/measurements, and writes docs/pages/benchmarks.md and README's table from them.
"""

import dataclasses
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.ending import end_process
from dnr_jax.shell.flags import define_network_flags, network_from_flags
from dnr_jax.shell.progress import ProgressLine
from measurements.store import record

if TYPE_CHECKING:
    from dnr_jax.evaluation.dataset import Case
    from dnr_jax.evaluation.rivals import Method
    from dnr_jax.evaluation.runs import Settings
    from dnr_jax.evaluation.tables import Summary

OUTLINES = Path(__file__).resolve().parents[1] / "tests/data/object_masks.json"
"""The file of the outlines of objects on 22 photos of RetargetMe."""


def main(argv: Sequence[str]) -> int:
    """Runs the comparison; returns the exit code: 0 done, 2 bad input (one line on stderr), 130 interrupted."""

    def run(options: dict[str, Any]) -> None:
        table, kept = compare(options)
        print(table, end="")
        if options["update_docs"]:
            for kind, figures in kept.items():
                record(kind, figures, argv)

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
    flags.DEFINE_string("ratios", None, "Targets in place of the data set's sizes, width to height; see above.", **text)
    flags.DEFINE_string(
        "objects", None, "JSON file of outlined objects. Default: the one that comes with the tests.", **text
    )
    flags.DEFINE_integer("limit", None, "Only the first so many photos.", lower_bound=1, **text)
    flags.DEFINE_float("scale", 1.0, "Factor on the sides of photos and results, for a quick look.", **text)
    flags.DEFINE_integer("seed", 0, "Seed of the bootstrap.", lower_bound=0, **text)
    flags.DEFINE_enum(
        "pairs", "first", ["first", "all"], "Votes: the first method with each other, or all pairs.", **text
    )
    flags.DEFINE_boolean("recompute", False, "Run and measure everything anew.", **text)
    flags.DEFINE_boolean("update_docs", False, "Keep the means for the documents.", **text)
    flags.DEFINE_boolean("quiet", False, "No progress on stderr.", **text)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", **text)
    define_network_flags(values)
    return values


def compare(options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Runs the comparison, at every ratio where ratios are given, and writes all files.

    Returns:
      The table for the terminal, and the figures that the documents show, by the kind of measurement.
    """
    from dnr_jax.evaluation.dataset import read_dataset
    from dnr_jax.evaluation.rivals import parse_methods

    if not 0 < options["scale"] <= 1:
        raise ValueError(f"--scale is {options['scale']:g}: give a factor above 0 and up to 1")
    cases = read_dataset(Path(options["dataset"]))[: options["limit"]]
    methods = parse_methods(options["methods"], cases)

    from dnr_jax.atomic import write_atomically
    from dnr_jax.evaluation.measures import Judge
    from dnr_jax.evaluation.outlines import read_outlines
    from dnr_jax.evaluation.runs import Settings, Subject
    from dnr_jax.evaluation.targets import folder_name, parse_ratios, ratios_csv, ratios_text, scaling_summary
    from dnr_jax.weights.load import load_chosen

    ratios = parse_ratios(options["ratios"])
    if ratios and (options["width"] or options["height"]):
        raise ValueError("--ratios sets every size, so --width and --height have no say: leave them out")
    if ratios:
        methods = [method for method in methods if method.published is None]
    if not methods:
        raise ValueError("published results have their own sizes: name --methods that run, or leave out --ratios")
    out = make_directory(Path(options["out"]))
    outlines = read_outlines(Path(options["objects"] or OUTLINES)) if options["objects"] or OUTLINES.exists() else {}
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
        outlines=outlines,
        recompute=options["recompute"],
    )
    if not ratios:
        table, summaries = compare_at(settings, cases, methods, options)
        return table, documented(summaries, judge.label)
    found, pages = {}, []
    for ratio in ratios:
        here = dataclasses.replace(settings, out=make_directory(out / folder_name(ratio)), aspect=ratio)
        changed = [case for case in cases if (photo := Subject(case, here)).target != photo.image.shape[:2]]
        if not changed:
            raise ValueError(f"--ratios has {ratio}, which every photo has already: leave it out")
        _, summaries = compare_at(here, changed, methods, options)
        found[ratio] = [*summaries, scaling_summary([Subject(case, here) for case in changed], options["seed"])]
        pages.append(f"{here.out / 'report.html'}\n")
    table = ratios_text(found)
    write_atomically(out / "ratios.csv", ratios_csv(found).encode())
    write_atomically(out / "ratios.txt", table.encode())
    return f"{table}{''.join(pages)}", {"ratios": {"ratios": {ratio: means(found[ratio]) for ratio in ratios}}}


def documented(summaries: "Sequence[Summary]", score: str) -> dict[str, Any]:
    """The figures that the documents show of a comparison, by the kind of measurement: whole pictures, and objects."""
    first, *others = summaries
    methods = means(summaries)
    differences = {other.method: {key: value[:3] for key, value in other.differences.items()} for other in others}
    kinds: dict[str, Any] = {"quality": {"methods": methods, "differences": clean(differences), "score": score}}
    if first.means["object_aspect_distortion"].total:
        kinds["objects"] = {"methods": methods}
    return kinds


def means(summaries: "Sequence[Summary]") -> dict[str, Any]:
    """The mean and the interval of every measure, by method, ready for JSON."""
    return clean({each.method: {key: value[:3] for key, value in each.means.items()} for each in summaries})


def clean(numbers: Any) -> Any:
    """The same figures with None in place of what is not a number, which JSON does not know."""
    if isinstance(numbers, dict):
        return {key: clean(value) for key, value in numbers.items()}
    return [None if math.isnan(number) else float(number) for number in numbers]


def compare_at(
    settings: "Settings", cases: "Sequence[Case]", methods: "Sequence[Method]", options: dict[str, Any]
) -> "tuple[str, list[Summary]]":
    """Compares at one target for each photo and writes the files; returns the table and its numbers."""
    from dnr_jax.atomic import write_atomically
    from dnr_jax.evaluation.report import write_report
    from dnr_jax.evaluation.runs import Subject, run_all
    from dnr_jax.evaluation.tables import results_csv, summarise, summary_csv, summary_text
    from dnr_jax.evaluation.targets import outlines_line, scaling_line, scaling_summary

    judge, out, seed = settings.judge, settings.out, options["seed"]
    with ProgressLine(sys.stderr, quiet=options["quiet"]) as line:
        outcomes = run_all(cases, methods, settings, progress=line.update)
    summaries = summarise(outcomes, seed)
    photos = [Subject(case, settings) for case in cases]
    outlined = [photo for photo in photos if photo.objects is not None]
    left_out = outlines_line(photos)
    notes = [scaling_line(scaling_summary(outlined, seed))] if outlined else []
    notes += [left_out] if left_out else []
    table = summary_text(summaries, judge, notes=notes)
    weights = settings.weights.provenance
    rows = [
        ("data set", f"{Path(options['dataset']).name}, {len(cases)} photos"),
        ("methods", ",".join(method.name for method in methods)),
        ("width to height", settings.aspect or "as the data set says"),
        ("DNR's weights", f"{weights.name} ({weights.source})"),
        ("semantic score", judge.label),
        ("importance", f"the sum of the normalised maps of {', '.join(judge.taps)} of {judge.weights.provenance.name}"),
        ("objects", f"outlined on {len(outlined)} of {len(photos)} photos"),
        ("scale", f"{options['scale']:g}"),
        ("bootstrap seed", str(seed)),
    ]
    page = write_report(out, photos, outcomes, summaries, judge, pairs=options["pairs"], rows=rows)
    write_atomically(out / "results.csv", results_csv(outcomes, judge).encode())
    write_atomically(out / "summary.csv", summary_csv(summaries, judge).encode())
    write_atomically(out / "summary.txt", table.encode())
    return f"{table}{page}\n", summaries


def make_directory(path: Path) -> Path:
    """Makes the directory to write to, where it is missing; raises ValueError where a file is in its place."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ValueError(f"--out={path} is no directory: name another") from None
    return path


if __name__ == "__main__":
    end_process(main(sys.argv))
