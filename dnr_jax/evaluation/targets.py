"""Compares methods at several aspects, with uniform scaling as the yardstick, and puts their measures side by side."""

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
    """Reads aspects, width to height, from a comma-separated list; None gives none.

    Raises:
      ValueError: an item is no aspect, or the list is empty.
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
    """An aspect as the name of a folder: "16:9" becomes "16x9"."""
    return ratio.replace(":", "x").replace("/", "x").replace(" ", "")


def scaling_summary(photos: Sequence[Subject], seed: int) -> Summary:
    """`OBJECT_MEASURES` of uniform scaling to the photos' targets, which any method has to beat.

    They are exact: it is known, and need not be measured, where scaling moves each pixel.

    Args:
      photos: the photos of the comparison.
      seed: the seed by which the bootstrap's resamples are drawn.
    """
    values: dict[str, list[float]] = {measure.key: [] for measure in OBJECT_MEASURES}
    for photo in photos:
        exact = scaling_map((photo.image.shape[0], photo.image.shape[1]), photo.target)
        for key, value in measure_objects(photo.objects, exact).items():
            values[key].append(value)
    return Summary(SCALING, {key: bootstrap_mean(np.array(found), seed) for key, found in values.items()}, {})


def scaling_line(summary: Summary) -> str:
    """A line for the terminal that says what uniform scaling does to objects at the sizes of a comparison."""
    means = ", ".join(f"{m.key.replace('_', ' ')} {show(summary.means[m.key], m)}" for m in OBJECT_MEASURES)
    return f"Uniform scaling to the same sizes, exactly: {means}."


def outlines_line(photos: Sequence[Subject]) -> str | None:
    """A line for the terminal that says how many photos the measures of objects leave out; None where they use all."""
    names = [photo.case.name for photo in photos if photo.objects is None]
    if not names:
        return None
    shown = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
    measures = " and ".join(measure.key.replace("_", " ") for measure in OBJECT_MEASURES)
    return f"Objects are outlined on {len(photos) - len(names)} of {len(photos)} photos: {measures} leave out {shown}."


def ratios_text(found: Mapping[str, Sequence[Summary]]) -> str:
    """A table for each of `OBJECT_MEASURES`: a line for each method, a column for each ratio.

    Args:
      found: the summaries of the methods, by ratio; the last of them is `scaling_summary`'s.
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
    """The CSV of all measures of all methods at all ratios, a row for each."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["ratio", "method", "measure", "mean", "low", "high", "photos"])
    for ratio, summaries in found.items():
        for summary in summaries:
            for key, mean in summary.means.items():
                shown = ["" if math.isnan(number) else f"{number:.6g}" for number in mean[:3]]
                writer.writerow([ratio, summary.method, key, *shown, mean.total])
    return buffer.getvalue()
