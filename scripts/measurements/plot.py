"""Draws bars as an SVG picture, which is the same to the last byte for the same figures."""

from collections.abc import Mapping
from html import escape

_BAR, _ROW, _LETTER = 320, 26, 7.2


def draw_bars(values: Mapping[str, float]) -> str:
    """Draws a horizontal bar for each label, with its value.

    Args:
      values: numbers of 0 or more by label, at least one above 0; where some are below 1 and some above, a line is
        drawn at 1.
    """
    most = max(values.values())
    left = round(_LETTER * max(map(len, values)) + 12)
    height = _ROW * len(values) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + _BAR + 45} {height}" role="img"'
        ' font-family="sans-serif" font-size="13">',
        f'<rect width="100%" height="{height}" fill="#ffffff"/>',
    ]
    for place, (label, value) in enumerate(values.items()):
        y = 4 + _ROW * place
        width = round(_BAR * value / most, 1)
        colour = "#3f51b5" if label.startswith("dnr") or " / " in label else "#9fa8da"
        parts.append(f'<text x="{left - 8}" y="{y + 17}" text-anchor="end" fill="#222222">{escape(label)}</text>')
        parts.append(f'<rect x="{left}" y="{y + 3}" width="{width}" height="{_ROW - 8}" fill="{colour}"/>')
        parts.append(f'<text x="{left + width + 6}" y="{y + 17}" fill="#222222">{value:.2f}</text>')
    if min(values.values()) < 1 < most:
        x = round(left + _BAR / most, 1)
        parts.append(f'<line x1="{x}" x2="{x}" y1="0" y2="{height}" stroke="#222222" stroke-dasharray="4 3"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"
