"""Writes the report: one HTML file with its pictures in a folder beside it, and a blind mode that records votes.

Pictures are referred to by relative names, so that the file opens without a server, and large comparisons stay quick to
load. Their names are digests, so that whoever votes cannot read a method's name off a picture.
"""

import hashlib
import itertools
import json
import math
import string
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import PIL.Image

from dnr_jax.atomic import write_atomically
from dnr_jax.evaluation.measures import MEASURES, Judge
from dnr_jax.evaluation.runs import Scored, Subject
from dnr_jax.evaluation.tables import Summary, measure_name, measure_title, show, show_value, table_1_line
from dnr_jax.evaluation.votes import FORMAT

PICTURES = "report_pictures"


class Shown(NamedTuple):
    """A picture of the report: the path of its file relative to the page, and its (height, width)."""

    file: str
    size: tuple[int, int]


def write_report(
    out: Path,
    photos: Sequence[Subject],
    outcomes: Sequence[Scored],
    summaries: Sequence[Summary],
    judge: Judge,
    *,
    pairs: str = "first",
    rows: Sequence[tuple[str, str]] = (),
) -> Path:
    """Writes report.html and the pictures that it shows; returns the path of the page.

    Args:
      out: the directory of results, which the page is written into.
      photos: the photos, in the order of the page.
      outcomes: what every method made of every photo.
      summaries: what `summarise` returned.
      judge: the judge whose measures they are.
      pairs: what the blind mode compares: the "first" method with each other one, or "all" pairs.
      rows: the name and the value of each row of the table of settings, as plain text.

    Raises:
      OSError: a file cannot be written.
    """
    folder = out / PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    by_photo = {photo.case.name: [o for o in outcomes if o.photo == photo.case.name] for photo in photos}
    shown = {o.image: _place(o.image, folder) for o in outcomes}
    sections, trials = [], []
    for photo in photos:
        source, found = _place(photo.source_file, folder), by_photo[photo.case.name]
        sections.append(_section(photo, found, shown, folder, judge.weights.provenance.name))
        for first, second in _pairs(found, summaries[0].method if summaries else "", pairs):
            options = [{"method": o.method, **_trial_picture(shown[o.image])} for o in (first, second)]
            trials.append({"photo": photo.case.name, "source": _trial_picture(source), "options": options})
    data = {"format": FORMAT, "report": hashlib.sha256(json.dumps(trials).encode()).hexdigest()[:16], "trials": trials}
    here = files("dnr_jax.evaluation")
    page = string.Template((here / "report.html").read_text("utf-8")).substitute(
        style=(here / "report.css").read_text("utf-8"),
        script=(here / "report.js").read_text("utf-8"),
        # Of what a name may hold, "</script>" and "<!--" would end the script or change where it ends.
        data=json.dumps(data).replace("<", "\\u003c"),
        contents="".join(f'<a href="#{escape(p.case.name)}">{escape(p.case.name)}</a> ' for p in photos),
        summary=_summary_tables(summaries, judge),
        settings="".join(f'<tr><th scope="row">{escape(n)}</th><td>{escape(v)}</td></tr>' for n, v in rows),
        sections="\n".join(sections),
        trial_count=str(len(trials)),
    )
    path = out / "report.html"
    write_atomically(path, page.encode())
    return path


def _pairs(outcomes: Sequence[Scored], first: str, pairs: str) -> list[tuple[Scored, Scored]]:
    every = itertools.combinations(outcomes, 2)
    return [pair for pair in every if pairs == "all" or first in (pair[0].method, pair[1].method)]


def _place(image: Path, folder: Path) -> Shown:
    """Copies a picture into a folder, under the name of its digest."""
    data = image.read_bytes()
    name = f"{hashlib.sha256(data).hexdigest()[:16]}.png"
    if not (folder / name).is_file():
        write_atomically(folder / name, data)
    with PIL.Image.open(image) as opened:
        return Shown(f"{folder.name}/{name}", (opened.height, opened.width))


def _trial_picture(picture: Shown) -> dict[str, Any]:
    """A picture as the page's script reads it."""
    return {"file": picture.file, "height": picture.size[0], "width": picture.size[1]}


def _section(photo: Subject, outcomes: Sequence[Scored], shown: dict[Path, Shown], folder: Path, weights: str) -> str:
    """The HTML of one photo: a row of results, and below it a row of maps."""
    name = escape(photo.case.name)
    results = [_figure(_place(photo.source_file, folder), "photo", "")]
    maps = [_figure(_place(photo.importance_file, folder), f"importance by {weights}", "")]
    for outcome in outcomes:
        facts = [
            (measure_name(measure, weights), show_value(outcome.values[measure.key], measure)) for measure in MEASURES
        ]
        if not math.isnan(outcome.seconds):
            facts.append(("seconds", f"{outcome.seconds:.1f}"))
        rows = "".join(f'<tr><th scope="row">{escape(key)}</th><td>{value}</td></tr>' for key, value in facts)
        results.append(_figure(shown[outcome.image], outcome.method, f"<table>{rows}</table>"))
        if outcome.map_image is not None:
            maps.append(_figure(_place(outcome.map_image, folder), f"effective importance of {outcome.method}", ""))
    rows = "".join(f'<div class="row">{"".join(figures)}</div>' for figures in (results, maps))
    return f'<section id="{name}"><h2>{name}</h2>{rows}</section>'


def _figure(picture: Shown, caption: str, below: str) -> str:
    height, width = picture.size
    return (
        f'<figure><img src="{picture.file}" width="{width}" height="{height}" loading="lazy" alt="{escape(caption)}">'
        f"<figcaption><b>{escape(caption)}</b> {width} x {height}{below}</figcaption></figure>"
    )


def _summary_tables(summaries: Sequence[Summary], judge: Judge) -> str:
    if not summaries:
        return ""
    first = summaries[0].method
    columns = ("method", "mean", "photos", f"difference from {escape(first)}")
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    tables = []
    for measure in MEASURES:
        rows = []
        for summary in summaries:
            mean, difference = summary.means[measure.key], summary.differences.get(measure.key)
            cells = [show(mean, measure), str(mean.total), "" if difference is None else show(difference, measure)]
            rows.append(
                f'<tr><th scope="row">{escape(summary.method)}</th>{"".join(f"<td>{c}</td>" for c in cells)}</tr>'
            )
        title = f"{measure_title(measure, judge)}; {measure.better} is better"
        note = f"<p>{escape(table_1_line())}</p>" if measure.key == "semantic_score" and judge.is_papers else ""
        tables.append(f"<table><caption>{escape(title)}</caption><tr>{head}</tr>{''.join(rows)}</table>{note}")
    return "\n".join(tables)
