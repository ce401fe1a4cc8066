"""Writes docs/pages/benchmarks.md, its plots, and README's tables from the measurements in docs/measurements."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dnr_jax.atomic import write_atomically
from measurements import sections
from measurements.plot import draw_bars

PAGE = Path("docs/pages/benchmarks.md")
PICTURES = Path("docs/pages/pictures")
README = Path("README.md")
_INTRODUCTION = """# Benchmarks

Every figure on this page was measured by the command that stands with it. The command leaves its figures in
`docs/measurements` of the repository and writes this page from them (`--update_docs`), so that none is copied by hand.
Older figures, and what was concluded from them, stand among the [decisions](explanation/decisions.md).
"""
_ORIGIN = "```sh\n{command}\n```\n\nMeasured on {date} on {cores} cores, with dnr_jax {dnr_jax} and JAX {jax}.\n"


class Kind(NamedTuple):
    """One kind of measurement.

    Attributes:
      title: the title of its section.
      text: a text that says what is measured, and how to read it.
      show: writes the figures in Markdown.
      bars: gives the values to draw of the figures, by label; None to draw nothing.
      caption: the caption of the drawing.
    """

    title: str
    text: str
    show: Callable[[Mapping[str, Any]], str]
    bars: Callable[[Mapping[str, Any]], dict[str, float]] | None = None
    caption: str = ""


KINDS = {
    "objects": Kind(
        "What becomes of objects",
        "On photos whose objects are outlined by hand: how much of them is discarded, and how far their proportions"
        " change (the absolute logarithm). Lower is better for both.",
        sections.show_objects,
        sections.object_bars,
        "The change of outlined objects' proportions; shorter is better",
    ),
    "quality": Kind(
        "Quality beside other operators",
        "Means over the photos of a data set with 95 % bootstrap intervals. What each measure is, and what it cannot"
        " see, stands under [Measures](reference/measures.md) and in [their decision](explanation/decisions/measures.md"
        ").",
        sections.show_quality,
    ),
    "ratios": Kind(
        "At other aspects",
        "Every photo brought to these aspects, width to height, beside uniform scaling by its exact map.",
        sections.show_ratios,
    ),
    "speed": Kind(
        "Speed beside other programs",
        "The paper's method (all pixels optimised), stage by stage: dnr_jax's time over the other's, so that below 1"
        " dnr_jax is faster. No ratio is shown where the two did not compute the same.",
        sections.show_speed,
        sections.speed_bars,
        "dnr_jax's time over the other's; shorter is faster, and the line is 1",
    ),
    "near_joints": Kind(
        "Only what is near joints",
        "The paper's seams and warp on real photos, with VGG19's widths and random weights: the time of optimising what"
        " is near joints alone, which is the default, over that of optimising all pixels. Mean over the photos.",
        sections.show_near_joints,
    ),
    "new_size": Kind(
        "Sizes not seen before",
        "Photos of near sizes share their compiled programs: the time of a photo whose size is new over that of one"
        " whose size was seen before, in a process that has run, and in new processes that find compiled what an"
        " earlier one left.",
        sections.show_new_size,
    ),
    "cost": Kind(
        "How the cost grows with the photo",
        "Seconds per megapixel.",
        sections.show_cost,
    ),
    "batch": Kind(
        "Batches",
        "Photos a second by batch size, beside a loop over `retarget`; shares of shards; memory over a long run.",
        sections.show_batch,
    ),
    "importance": Kind(
        "What the networks find important",
        "Maps of importance against outlined objects: how they rank object above ground (area under the ROC curve, 0.5"
        " is chance), the same against other photos' objects (shuffled), and the share of the objects that the cheapest"
        " columns would take.",
        sections.show_importance,
    ),
    "detectors": Kind(
        "Faces and words",
        "Recall and false boxes a photo, against boxes drawn by hand before any detector was run.",
        sections.show_detectors,
    ),
    "faces": Kind(
        "What becomes of faces",
        "How far the proportions of faces drawn by hand change at a share of the width, as the absolute logarithm of"
        " the change: 0 where they stay, 0.69 for half as wide, 1.39 for a face that is lost. dnr's faces are carried"
        " along its own map, those of other methods along a map estimated from their pixels, which is uncertain for"
        " small faces.",
        sections.show_faces,
    ),
}
"""Every kind of measurement, by the name of its file, in the order of the page."""
_BRIEF = {
    "objects": sections.brief_objects,
    "speed": sections.brief_speed,
    "near_joints": sections.brief_near_joints,
}
"""What README says of some kinds."""


def write_documents(found: Mapping[str, Any], root: Path) -> None:
    """Writes the page, its plots and README's tables.

    Args:
      found: the measurements, by the name of their kind.
      root: the folder of the checkout.
    """
    for path, text in documents(found, root).items():
        write_atomically(root / path, text.encode())


def documents(found: Mapping[str, Any], root: Path) -> dict[Path, str]:
    """The content of every document that is made from measurements, by its path in the checkout."""
    page, written = [_INTRODUCTION], {}
    for name, kind in KINDS.items():
        if name not in found:
            continue
        measured = found[name]
        page.append(f"\n## {kind.title}\n\n{kind.text}\n\n")
        bars = kind.bars(measured["figures"]) if kind.bars else {}
        if bars:
            picture = PICTURES / f"measured_{name}.svg"
            written[picture] = draw_bars(bars)
            page.append(f"![{kind.caption}](pictures/{picture.name})\n\n*{kind.caption}.*\n\n")
        page.append(f"{kind.show(measured['figures'])}\n{origin(measured)}")
    written[PAGE] = "".join(page)
    readme = (root / README).read_text()
    for name, brief in _BRIEF.items():
        if name in found:
            said = f"Measured on {found[name]['date']} on {found[name]['cores']} cores by `{found[name]['command']}`."
            readme = between(readme, name, f"{brief(found[name]['figures'])}\n{said}\n")
    written[README] = readme
    return written


def origin(measured: Mapping[str, Any]) -> str:
    """Says by which command figures were measured, when, and on what machine."""
    note = f"\n{measured['note']}\n" if "note" in measured else ""
    return _ORIGIN.format(**measured) + note


def between(text: str, name: str, new: str) -> str:
    """Replaces the part of a document that stands between two marks.

    Args:
      text: the document.
      name: the name in the marks.
      new: the text to put between them.

    Raises:
      ValueError: the document has no such marks.
    """
    first, last = f"<!-- measured: {name} -->", "<!-- end -->"
    changed, count = re.subn(f"{first}.*?{last}", lambda _: f"{first}\n{new}{last}", text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"README.md has {count} places marked {first}: it needs one")
    return changed
