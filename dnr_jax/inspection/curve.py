"""Draws the curve of a loss over its steps, as SVG for a page and as a picture."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

WIDTH, HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 50, 20, 40
_TICKS = 5
_LINE, _GRID = "#d62728", "#999999"


class Curve(NamedTuple):
    """Where the parts of a curve are drawn, in pixels.

    Attributes:
      points: the place (x, y) of each loss.
      rows: the height y and the label of each line of the grid, which is logarithmic where all losses are above 0.
      columns: the place x and the label of the first and the last step.
    """

    points: list[tuple[float, float]]
    rows: list[tuple[float, str]]
    columns: list[tuple[float, str]]


def place_curve(losses: Sequence[float]) -> Curve:
    """Places the losses of steps 0 to n in a box of `WIDTH` x `HEIGHT` pixels.

    Args:
      losses: the loss of each step, at least one; all finite.
    """
    logarithmic = min(losses) > 0
    heights = [math.log(loss) if logarithmic else loss for loss in losses]
    low, high = min(heights), max(heights)
    high = high if high > low else low + 1

    def y(height: float) -> float:
        return HEIGHT - _BOTTOM - (height - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    steps = len(losses) - 1
    xs = [_LEFT + (WIDTH - _LEFT - _RIGHT) * step / max(1, steps) for step in range(steps + 1)]
    ticks = [low + (high - low) * i / (_TICKS - 1) for i in range(_TICKS)]
    return Curve(
        points=[(round(x, 2), round(y(height), 2)) for x, height in zip(xs, heights, strict=True)],
        rows=[(round(y(tick), 2), f"{math.exp(tick) if logarithmic else tick:.4g}") for tick in ticks],
        columns=[(xs[0], "step 0"), *([(xs[-1], f"step {steps}")] if steps else [])],
    )


def curve_svg(losses: Sequence[float], title: str) -> str:
    """The curve of losses as an <svg> element for an HTML page, in the colour of the page's text.

    Args:
      losses: the loss of each step, at least one; all finite.
      title: what the picture is, for those who cannot see it.
    """
    curve = place_curve(losses)
    grid = [
        f'<line x1="{_LEFT}" y1="{y}" x2="{WIDTH - _RIGHT}" y2="{y}" stroke="{_GRID}" stroke-opacity="0.4"/>'
        f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{label}</text>'
        for y, label in curve.rows
    ]
    steps = [f'<text x="{x}" y="{HEIGHT - 14}" text-anchor="middle">{label}</text>' for x, label in curve.columns]
    line = f'<polyline fill="none" stroke="{_LINE}" stroke-width="2" points="{_joined(curve)}"/>'
    dots = [f'<circle cx="{x}" cy="{y}" r="2.5" fill="{_LINE}"/>' for x, y in curve.points]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" font-size="12"'
        f' font-family="sans-serif" fill="currentColor">{"".join([*grid, *steps, line, *dots])}</svg>'
    )


def draw_curve(losses: Sequence[float]) -> np.ndarray:
    """The curve of losses, at least one and all finite, as a picture, uint8 [HEIGHT, WIDTH, 3]."""
    curve = place_curve(losses)
    image = PIL.Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw, font = PIL.ImageDraw.Draw(image), PIL.ImageFont.load_default()
    for y, label in curve.rows:
        draw.line([(_LEFT, y), (WIDTH - _RIGHT, y)], fill="#dddddd")
        draw.text((_LEFT - 8 - draw.textlength(label, font), y - 6), label, fill="black", font=font)
    for x, label in curve.columns:
        draw.text((x - draw.textlength(label, font) / 2, HEIGHT - 26), label, fill="black", font=font)
    draw.line(curve.points, fill=_LINE, width=2)
    for x, y in curve.points:
        draw.ellipse([x - 2.5, y - 2.5, x + 2.5, y + 2.5], fill=_LINE)
    return np.asarray(image)


def _joined(curve: Curve) -> str:
    """The places of a curve's losses as SVG writes them."""
    return " ".join(f"{x},{y}" for x, y in curve.points)
