"""Puts the record of a run into words for people to read."""

import json
import math
from typing import Any

from dnr_jax.config import RetargetConfig
from dnr_jax.planning.sides import AXES
from dnr_jax.result import Result

_SHOWN_ABOVE = (
    "size",
    "intermediate_size",
    "target_size",
    "importance_percentile",
    "importance_threshold",
    "seen",
    "passes",
    "warps",
    "reconstruction",
    "refinement",
    "seconds",
)


def table_rows(result: Result, config: RetargetConfig) -> list[tuple[str, str]]:
    """The record of a run as rows of (name, value): sizes, seams and why they stopped, losses, seconds and the rest.

    Args:
      result: what `retarget` returned.
      config: the options that it was called with.
    """
    record = result.record
    rows = [
        ("Photo", show_size(record["size"])),
        ("After the seams", show_size(record["intermediate_size"])),
        ("Result", show_size(record["target_size"])),
        ("Threshold", _threshold(record, config)),
    ]
    for number, step in enumerate(record["passes"], 1):
        seams = ", ".join(f"{tap}: {removed}" for tap, removed in step["seams"].items())
        rows.append((f"Pass {number}, {step['side']}, seams to {step['action']}", seams))
        rows.append((f"Why pass {number} stopped", stop_reason(step, record["importance_threshold"], config)))
        if step["damage"] is not None:
            tried = ", ".join(f"{deep}: {value:.3f}" for deep, value in step["damage"].items())
            rows.append((f"Damage by number of {config.taps[-1]}'s seams", tried))
    for kind, noun in (("faces", "face"), ("words", "line")):
        if kind in (record["seen"] or {}):
            rows.append((f"{kind.capitalize()} seen", count(len(record["seen"][kind]), noun)))
    if not record["passes"]:
        rows.append(("Seams", "none: the size is unchanged"))
    for side, warp in record["warps"].items():
        before, after = warp["cropped"]
        scales = f"cells scaled by {warp['least_scale']:.3g} to {warp['most_scale']:.3g}"
        rows.append((f"Warp of the {side}", f"cropped {before:g} and {after:g} pixels, {scales}"))
    for stage in ("reconstruction", "refinement"):
        losses, steps = record[stage]["losses"], record[stage]["steps"]
        summary = f"{count(steps, 'step')}, loss {losses[0]:.6g} to {losses[-1]:.6g}"
        rows.append((stage.capitalize(), f"{summary}, stopped early" if record[stage]["stopped_early"] else summary))
    rows += [(f"Seconds of {stage}", f"{seconds:.2f}") for stage, seconds in record["seconds"].items()]
    rows.append(("Seconds in all", f"{sum(record['seconds'].values()):.2f}"))
    rows += [(name.replace("_", " ").capitalize(), _plain(record[name])) for name in record if name not in _SHOWN_ABOVE]
    return rows


def stop_reason(step: dict[str, Any], threshold: float, config: RetargetConfig) -> str:
    """Says why no more seams of the deepest level went in one pass.

    Args:
      step: the pass, as the record's "passes" hold it.
      threshold: the record's "importance_threshold".
      config: the options, resolved for the photo's size.
    """
    deepest, stride = config.taps[-1], config.levels[-1].stride
    removed = step["seams"][deepest]
    most = abs(step["size"][AXES[step["side"]]] // stride - step["wanted"] // stride)
    if not most:
        return f"{deepest}: the change is smaller than one neuron, so it gives no guidance"
    taken = f"{deepest}: {removed} of {count(most, 'seam')}"
    if removed >= most:
        return f"{taken}, as many as the target asks for"
    if step["damage"] is not None:
        return f"{taken}; with the crop and the squeeze that are left, this does the least damage of those tried"
    return f"{taken}; the next one's mean importance is above the threshold of {threshold:.4g}"


def show_size(size: tuple[int, ...]) -> str:
    """Writes the size of a shape (height, width, ...) as people do, width first: "640x480"."""
    return f"{size[1]}x{size[0]}"


def count(number: int, noun: str) -> str:
    """A number and a noun, which is put into the plural unless the number is 1."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _threshold(record: dict[str, Any], config: RetargetConfig) -> str:
    threshold, percentile = record["importance_threshold"], record["importance_percentile"]
    if percentile == "auto":
        return "none: the number of seams that does least damage (importance_percentile=auto)"
    if math.isinf(threshold):
        return f"none: every seam goes (importance_percentile {percentile:g})"
    return f"{threshold:.6g}, percentile {percentile:g} of {config.taps[-1]}'s importance"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
