"""One comparison from end to end: runs methods, measures their results, writes tables and the report."""

import dataclasses
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dnr_jax.atomic import write_atomically
from dnr_jax.evaluation.dataset import Case, read_dataset
from dnr_jax.evaluation.measures import Judge
from dnr_jax.evaluation.outlines import OUTLINES, read_outlines
from dnr_jax.evaluation.report import write_report
from dnr_jax.evaluation.rivals import Method, parse_methods
from dnr_jax.evaluation.runs import Settings, Subject, run_all
from dnr_jax.evaluation.tables import Summary, results_csv, summarise, summary_csv, summary_text
from dnr_jax.evaluation.targets import (
    folder_name,
    outlines_line,
    parse_ratios,
    ratios_csv,
    ratios_text,
    scaling_line,
    scaling_summary,
)
from dnr_jax.shell.flags import network_from_flags
from dnr_jax.shell.progress import ProgressLine
from dnr_jax.weights.load import load_chosen


def compare(options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Runs the comparison, at every ratio where ratios are given, and writes all files.

    Returns:
      The table for the terminal, and the figures that the documents show, by the kind of measurement.
    """
    if not 0 < options["scale"] <= 1:
        raise ValueError(f"--scale is {options['scale']:g}: give a factor above 0 and up to 1")
    cases = read_dataset(Path(options["dataset"]))[: options["limit"]]
    methods = parse_methods(options["methods"], cases)

    ratios = parse_ratios(options["ratios"])
    if ratios and (options["width"] or options["height"]):
        raise ValueError("--ratios sets every size, so --width and --height have no say: leave them out")
    if ratios:
        methods = [method for method in methods if method.published is None]
    if not methods:
        raise ValueError("published results have their own sizes: name --methods that run, or leave out --ratios")
    out = make_directory(Path(options["out"]))
    outlines = read_outlines(Path(options["objects"] or OUTLINES))
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


def documented(summaries: Sequence[Summary], score: str) -> dict[str, Any]:
    """The figures that the documents show of a comparison, by the kind of measurement: whole pictures, and objects."""
    first, *others = summaries
    methods = means(summaries)
    differences = {other.method: {key: value[:3] for key, value in other.differences.items()} for other in others}
    kinds: dict[str, Any] = {"quality": {"methods": methods, "differences": clean(differences), "score": score}}
    if first.means["object_aspect_distortion"].total:
        kinds["objects"] = {"methods": methods}
    return kinds


def means(summaries: Sequence[Summary]) -> dict[str, Any]:
    """The mean and the interval of every measure, by method, ready for JSON."""
    return clean({each.method: {key: value[:3] for key, value in each.means.items()} for each in summaries})


def clean(numbers: Any) -> Any:
    """The same figures with None in place of what is not a number, which JSON does not know."""
    if isinstance(numbers, dict):
        return {key: clean(value) for key, value in numbers.items()}
    return [None if math.isnan(number) else float(number) for number in numbers]


def compare_at(
    settings: Settings, cases: Sequence[Case], methods: Sequence[Method], options: dict[str, Any]
) -> tuple[str, list[Summary]]:
    """Compares at one target for each photo and writes the files; returns the table and its numbers."""

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
