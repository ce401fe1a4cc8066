"""A run's record in words, for people to read."""

import json
import math
from typing import Any, TypeVar

from dnr_jax.config import RetargetConfig
from dnr_jax.pipeline import Result
from dnr_jax.sides import AXES, SIDES
from dnr_jax.taps import tap_stride

_Value = TypeVar("_Value")
_TOLD = (
    "size",
    "intermediate_size",
    "target_size",
    "importance_threshold",
    "seams",
    "reconstruction",
    "refinement",
    "seconds",
)


def table_rows(result: Result, config: RetargetConfig) -> list[tuple[str, str]]:
    """The record as (name, value): sizes, seams and why they stopped, losses, seconds, and whatever else it holds."""
    record = result.record
    rows = [
        ("Photo", show_size(record["size"])),
        ("After the seams", show_size(record["intermediate_size"])),
        ("Result", show_size(record["target_size"])),
        ("Threshold", _threshold(record["importance_threshold"], config)),
    ]
    for side, seams in in_order(record["seams"]).items():
        rows.append((f"Seams of the {side}", ", ".join(f"{tap}: {removed}" for tap, removed in seams.items())))
        rows.append((f"Why the {side}'s seams stopped", stop_reason(side, record, config)))
    if not record["seams"]:
        rows.append(("Seams", "none: the size is unchanged"))
    for stage in ("reconstruction", "refinement"):
        losses, steps = record[stage]["losses"], record[stage]["steps"]
        told = f"{count(steps, 'step')}, loss {losses[0]:.6g} to {losses[-1]:.6g}"
        rows.append((stage.capitalize(), f"{told}, stopped early" if record[stage]["stopped_early"] else told))
    rows += [(f"Seconds of {stage}", f"{seconds:.2f}") for stage, seconds in record["seconds"].items()]
    rows.append(("Seconds in all", f"{sum(record['seconds'].values()):.2f}"))
    rows += [(name.replace("_", " ").capitalize(), _plain(record[name])) for name in record if name not in _TOLD]
    return rows


def stop_reason(side: str, record: dict[str, Any], config: RetargetConfig) -> str:
    """Why no more seams of the deepest level went on a side that changed."""
    deepest, axis = config.taps[-1], AXES[side]
    stride, removed = tap_stride(deepest), record["seams"][side][deepest]
    most = abs(record["size"][axis] // stride - record["target_size"][axis] // stride)
    if not most:
        return f"{deepest}: the change is smaller than one neuron, so it gives no guidance"
    told = f"{deepest}: {removed} of {count(most, 'seam')}"
    if removed >= most:
        return f"{told}, as many as the target asks for"
    return f"{told}; the next one's mean importance is above the threshold of {record['importance_threshold']:.4g}"


def in_order(sides: dict[str, _Value]) -> dict[str, _Value]:
    """What belongs to each side, in the order in which sides are worked on; a dictionary's own may have changed."""
    return {side: sides[side] for side in SIDES if side in sides}


def show_size(size: tuple[int, ...]) -> str:
    """Width by height, as people write it, of a (height, width, ...) shape."""
    return f"{size[1]}x{size[0]}"


def count(number: int, noun: str) -> str:
    """The number and the noun, in the plural where it is one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _threshold(threshold: float, config: RetargetConfig) -> str:
    if math.isinf(threshold):
        return "none: every seam goes (importance_percentile 100)"
    return f"{threshold:.6g}, percentile {config.importance_percentile:g} of {config.taps[-1]}'s importance"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
