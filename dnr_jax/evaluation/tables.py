"""Makes tables of outcomes: a CSV file with a row for each photo and method, and means as in the paper's Table 1."""

import csv
import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dnr_jax.evaluation.measures import MEASURES, Judge, Measure
from dnr_jax.evaluation.runs import Scored
from dnr_jax.evaluation.statistics import Estimate, bootstrap_mean
from dnr_jax.metrics.semantic import TABLE_1


class Summary(NamedTuple):
    """One method over all photos.

    Attributes:
      method: the method's name.
      means: the mean of each measure, by key.
      differences: by how much each mean differs from the first method's on the photos that both have, by key; empty for
        the first.
    """

    method: str
    means: dict[str, Estimate]
    differences: dict[str, Estimate]


def summarise(outcomes: Sequence[Scored], seed: int) -> list[Summary]:
    """Means over photos and paired differences from the first method, with 95 % bootstrap intervals.

    Args:
      outcomes: the results of every method, in the order in which methods are to be shown.
      seed: the seed by which the resamples are drawn.
    """
    names = list(dict.fromkeys(outcome.method for outcome in outcomes))
    values = {name: {o.photo: o.values for o in outcomes if o.method == name} for name in names}
    summaries = []
    for name in names:
        means, differences = {}, {}
        for measure in MEASURES:
            found = {photo: measured[measure.key] for photo, measured in values[name].items()}
            means[measure.key] = bootstrap_mean(np.array([*found.values()]), seed)
            if name != names[0]:
                first = values[names[0]]
                paired = [value - first[photo][measure.key] for photo, value in found.items() if photo in first]
                differences[measure.key] = bootstrap_mean(np.array(paired), seed)
        summaries.append(Summary(name, means, differences))
    return summaries


def results_csv(outcomes: Sequence[Scored], judge: Judge) -> str:
    """The CSV of all results, a row for each photo and method, with the layer and weights of the semantic score."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    keys = [measure.key for measure in MEASURES]
    writer.writerow(
        [
            "photo",
            "method",
            "width",
            "height",
            "seconds",
            *keys,
            "score_tap",
            "score_weights",
            "score_of_table_1",
            "scale",
        ]
    )
    judged_by = [judge.tap, judge.weights.provenance.name, "yes" if judge.is_papers else "no", f"{judge.scale:g}"]
    for outcome in outcomes:
        numbers = [outcome.seconds, *(outcome.values[key] for key in keys)]
        shown = ["" if math.isnan(number) else f"{number:.6g}" for number in numbers]
        writer.writerow([outcome.photo, outcome.method, outcome.size[1], outcome.size[0], *shown, *judged_by])
    return buffer.getvalue()


def summary_csv(summaries: Sequence[Summary], judge: Judge) -> str:
    """The CSV of means and differences, a row for each method and measure."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["method", "measure", "kind", "value", "low", "high", "photos", "score_tap", "score_weights"])
    for summary in summaries:
        for kind, estimates in (("mean", summary.means), ("difference from the first", summary.differences)):
            for key, estimate in estimates.items():
                shown = ["" if math.isnan(n) else f"{n:.6g}" for n in estimate[:3]]
                judged = [judge.tap, judge.weights.provenance.name] if key == "semantic_score" else ["", ""]
                writer.writerow([summary.method, key, kind, *shown, estimate.total, *judged])
    return buffer.getvalue()


def summary_text(summaries: Sequence[Summary], judge: Judge, *, notes: Sequence[str] = ()) -> str:
    """The table for the terminal: a line for each method, a column for each measure, then the paired differences.

    Args:
      summaries: what `summarise` returned.
      judge: the judge whose measures they are.
      notes: lines to print below the table.
    """
    lines = [f"{measure_title(measure, judge)}; {measure.better} is better" for measure in MEASURES]
    lines += ["", *_aligned(summaries, [summary.means for summary in summaries], judge)]
    if judge.is_papers:
        lines.append(table_1_line())
    if len(summaries) > 1:
        lines += ["", f"Difference from {summaries[0].method}, photo by photo:"]
        lines += _aligned(summaries[1:], [summary.differences for summary in summaries[1:]], judge)
    lines += ["", *notes, "Means over photos with 95 % bootstrap intervals."]
    return "\n".join(lines) + "\n"


def _aligned(summaries: Sequence[Summary], estimates: Sequence[dict[str, Estimate]], judge: Judge) -> list[str]:
    """The lines of a table: a line for each method, a column for each measure."""
    heads = [measure_name(measure, judge.weights.provenance.name) for measure in MEASURES]
    rows = [["method", "photos", *heads]]
    for summary, row in zip(summaries, estimates, strict=True):
        shown = [show(row[measure.key], measure) for measure in MEASURES]
        rows.append([summary.method, str(max(estimate.total for estimate in row.values())), *shown])
    return align(rows)


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Writes rows of cells as lines, in which every column has one width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def table_1_line() -> str:
    """The line of the paper's own means, which may be shown beside scores of the same kind only."""
    return "the paper's Table 1, over all of RetargetMe: " + ", ".join(f"{k} {v} %" for k, v in TABLE_1.items())


def measure_title(measure: Measure, judge: Judge) -> str:
    """Says what a measure is; for the semantic score, with its layer and network."""
    return judge.label if measure.key == "semantic_score" else measure.text


def measure_name(measure: Measure, weights: str) -> str:
    """The name of a measure in a word or two; for the semantic score, with the name of its weights."""
    name = measure.key.replace("_", " ")
    return f"{name} ({weights})" if measure.key == "semantic_score" else name


def show(estimate: Estimate, measure: Measure) -> str:
    """Writes an estimate with its interval, or alone where it has none."""
    value = show_value(estimate.value, measure)
    if math.isnan(estimate.low):
        return value
    return f"{value} [{show_value(estimate.low, measure)}, {show_value(estimate.high, measure)}]"


def show_value(value: float, measure: Measure) -> str:
    """Writes a value of a measure, in percent or with three digits."""
    if math.isnan(value):
        return "-"
    return f"{100 * value:.1f} %" if measure.percent else f"{value:.3g}"
