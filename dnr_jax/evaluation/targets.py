"""Comparisons at several aspects: what was asked for, uniform scaling as the yardstick, measures side by side."""

import csv
import io
import math
from collections.abc import Mapping, Sequence

import numpy as np

from dnr_jax.evaluation.measures import OBJECT_MEASURES, measure_objects
from dnr_jax.evaluation.runs import Subject
from dnr_jax.evaluation.statistics import bootstrap_mean
from dnr_jax.evaluation.tables import Summary, align, show
from dnr_jax.metrics import scaling_map
from dnr_jax.shell.sizes import parse_target

SCALING = "uniform scaling"
_MOST_NAMES = 5


def parse_ratios(text: str | None) -> list[str]:
    """The aspects, width to height, of a comma-separated list; empty where nothing was asked for.

    Raises:
      ValueError: one that is no aspect, or none at all.
    """
    if text is None:
        return []
    ratios = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not ratios:
        raise ValueError("--ratios names nothing: give width to height, for instance 16:9,4:3,1:1,9:16")
    for ratio in ratios:
        try:
            parse_target((1000, 1000), aspect=ratio)
        except ValueError as error:
            raise ValueError(str(error).replace("--aspect", "--ratios", 1)) from None
    return ratios


def folder_name(ratio: str) -> str:
    """A ratio as a folder's name."""
    return ratio.replace(":", "x").replace("/", "x").replace(" ", "")


def scaling_summary(photos: Sequence[Subject], seed: int) -> Summary:
    """`OBJECT_MEASURES` of uniform scaling to the photos' targets, by its exact map; what any method has to beat."""
    values: dict[str, list[float]] = {measure.key: [] for measure in OBJECT_MEASURES}
    for photo in photos:
        exact = scaling_map((photo.image.shape[0], photo.image.shape[1]), photo.target)
        for key, value in measure_objects(photo.objects, exact).items():
            values[key].append(value)
    return Summary(SCALING, {key: bootstrap_mean(np.array(found), seed) for key, found in values.items()}, {})


def scaling_line(summary: Summary) -> str:
    """What uniform scaling has at the sizes of a comparison, for the terminal."""
    means = ", ".join(f"{m.key.replace('_', ' ')} {show(summary.means[m.key], m)}" for m in OBJECT_MEASURES)
    return f"Uniform scaling to the same sizes, exactly: {means}."


def outlines_line(photos: Sequence[Subject]) -> str | None:
    """Which photos the measures of objects leave out, for the terminal; None where all have outlines."""
    names = [photo.case.name for photo in photos if photo.objects is None]
    if not names:
        return None
    shown = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
    measures = " and ".join(measure.key.replace("_", " ") for measure in OBJECT_MEASURES)
    return f"Objects are outlined on {len(photos) - len(names)} of {len(photos)} photos: {measures} leave out {shown}."


def ratios_text(found: Mapping[str, Sequence[Summary]]) -> str:
    """A table for each of `OBJECT_MEASURES`: a line for each method, a column for each ratio.

    Args:
      found: the methods' summaries by ratio, `scaling_summary`'s the last.
    """
    lines = []
    for measure in OBJECT_MEASURES:
        rows = [["width to height", *found]]
        for name in dict.fromkeys(summary.method for summaries in found.values() for summary in summaries):
            means = [{s.method: s.means[measure.key] for s in summaries}.get(name) for summaries in found.values()]
            rows.append([name, *("-" if mean is None else show(mean, measure) for mean in means)])
        totals = (max((summary.means[measure.key].total for summary in each), default=0) for each in found.values())
        rows.append(["photos", *map(str, totals)])
        lines += [f"{measure.text}; {measure.better} is better", *align(rows), ""]
    return (
        "\n".join([*lines, "Means over photos with 95 % bootstrap intervals; uniform scaling by its exact map."]) + "\n"
    )


def ratios_csv(found: Mapping[str, Sequence[Summary]]) -> str:
    """All measures of all methods at all ratios, one row each."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["ratio", "method", "measure", "mean", "low", "high", "photos"])
    for ratio, summaries in found.items():
        for summary in summaries:
            for key, mean in summary.means.items():
                shown = ["" if math.isnan(number) else f"{number:.6g}" for number in mean[:3]]
                writer.writerow([ratio, summary.method, key, *shown, mean.total])
    return buffer.getvalue()
