"""Outcomes as tables: one row a photo and method in a CSV file, means with intervals as the paper's Table 1."""

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
      differences: how far each mean is from the first method's on the photos that both have; empty for the first.
    """

    method: str
    means: dict[str, Estimate]
    differences: dict[str, Estimate]


def summarise(outcomes: Sequence[Scored], seed: int) -> list[Summary]:
    """Means over photos and paired differences from the first method, with 95 % bootstrap intervals.

    Args:
      outcomes: the results of every method, in the order in which methods are to be shown.
      seed: what the resamples are drawn by.
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
    """Every photo and method; the semantic score's layer and weights stand beside it in each row."""
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
    """Means and differences, one row a method and measure."""
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
      notes: lines to stand below.
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
    heads = [measure_name(measure, judge.weights.provenance.name) for measure in MEASURES]
    rows = [["method", "photos", *heads]]
    for summary, row in zip(summaries, estimates, strict=True):
        shown = [show(row[measure.key], measure) for measure in MEASURES]
        rows.append([summary.method, str(max(estimate.total for estimate in row.values())), *shown])
    return align(rows)


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines with columns of one width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def table_1_line() -> str:
    """The paper's own means; to be shown beside scores of the same kind only."""
    return "the paper's Table 1, over all of RetargetMe: " + ", ".join(f"{k} {v} %" for k, v in TABLE_1.items())


def measure_title(measure: Measure, judge: Judge) -> str:
    """What a measure is, in words; the semantic score's names its weights."""
    return judge.label if measure.key == "semantic_score" else measure.text


def measure_name(measure: Measure, weights: str) -> str:
    """A measure in a word or two; the semantic score's with the name of its weights."""
    name = measure.key.replace("_", " ")
    return f"{name} ({weights})" if measure.key == "semantic_score" else name


def show(estimate: Estimate, measure: Measure) -> str:
    """An estimate and its interval, or the estimate alone where there is none."""
    value = show_value(estimate.value, measure)
    if math.isnan(estimate.low):
        return value
    return f"{value} [{show_value(estimate.low, measure)}, {show_value(estimate.high, measure)}]"


def show_value(value: float, measure: Measure) -> str:
    """A number as a measure's: in percent, or with three digits."""
    if math.isnan(value):
        return "-"
    return f"{100 * value:.1f} %" if measure.percent else f"{value:.3g}"
