"""Draws a figure on one sheet, as rows of labelled panels under a title, and says where each panel lies."""

import io
import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from PIL.PngImagePlugin import PngInfo

GAP = 8
NARROWEST = 128
"""The least width of a column in pixels, so that labels have room."""
BEST = (200, 30, 30)
_LINE = 14
_FONT, _TITLE_FONT = 11, 14


class Panel(NamedTuple):
    """One picture of a figure.

    Attributes:
      picture: uint8 [H, W, 3].
      label: a text that says what it shows, which is wrapped to the width of its column.
      best: whether a frame marks it as the best of its kind.
    """

    picture: np.ndarray
    label: str
    best: bool = False


class Sheet(NamedTuple):
    """A figure before it is drawn: a title, and rows of panels, which need not be equally long."""

    title: str
    rows: list[list[Panel]]


class Box(NamedTuple):
    """Where a panel's picture lies on the sheet, in pixels."""

    left: int
    top: int
    width: int
    height: int


def draw_sheet(sheet: Sheet) -> tuple[np.ndarray, list[list[Box]]]:
    """Draws a sheet, with black labels under its pictures, on white.

    Returns:
      The sheet, uint8 [H, W, 3], and for each panel the box of its picture.
    """
    font, title_font = PIL.ImageFont.load_default(_FONT), PIL.ImageFont.load_default(_TITLE_FONT)
    count = max(len(row) for row in sheet.rows)
    widths = [
        max(NARROWEST, *(row[column].picture.shape[1] for row in sheet.rows if column < len(row)))
        for column in range(count)
    ]
    lefts = [GAP + sum(widths[:column]) + GAP * column for column in range(count)]
    total = lefts[-1] + widths[-1] + GAP
    title = wrap(sheet.title, total - 2 * GAP, title_font)
    top = GAP + len(title) * (_LINE + 4)
    boxes, labels = [], []
    for row in sheet.rows:
        height = max(panel.picture.shape[0] for panel in row)
        shapes = [panel.picture.shape for panel in row]
        boxes.append([Box(left, top, shape[1], shape[0]) for left, shape in zip(lefts, shapes, strict=False)])
        labels.append([wrap(panel.label, width, font) for panel, width in zip(row, widths, strict=False)])
        top += height + _LINE * max(len(lines) for lines in labels[-1]) + 2 * GAP
    image = PIL.Image.new("RGB", (total, top), "white")
    draw = PIL.ImageDraw.Draw(image)
    draw.multiline_text((GAP, GAP // 2), "\n".join(title), fill="black", font=title_font, spacing=4)
    for panels, places, texts in zip(sheet.rows, boxes, labels, strict=True):
        below = max(box.top + box.height for box in places) + 2
        for panel, box, lines in zip(panels, places, texts, strict=True):
            if panel.best:
                edges = (box.left - 4, box.top - 4, box.left + box.width + 3, box.top + box.height + 3)
                draw.rectangle(edges, outline=BEST, width=3)
            image.paste(PIL.Image.fromarray(panel.picture), (box.left, box.top))
            for number, line in enumerate(lines):
                draw.text((box.left, below + number * _LINE), line, fill=BEST if panel.best else "black", font=font)
    return np.asarray(image), boxes


def encode_sheet(sheet: Sheet, texts: Mapping[str, str]) -> bytes:
    """The bytes of a sheet as PNG; its text chunks hold its title, where its panels lie (JSON), and `texts`."""
    pixels, boxes = draw_sheet(sheet)
    panels = [
        [{"label": panel.label, "best": panel.best, "box": box} for panel, box in zip(row, places, strict=True)]
        for row, places in zip(sheet.rows, boxes, strict=True)
    ]
    chunks = PngInfo()
    for name, value in {"Title": sheet.title, **texts, "panels": json.dumps(panels)}.items():
        chunks.add_text(name, value)
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG", pnginfo=chunks)
    return buffer.getvalue()


def wrap(text: str, width: int, font: PIL.ImageFont.ImageFont | PIL.ImageFont.FreeTypeFont) -> list[str]:
    """Breaks a text between words into lines of at most `width` pixels; a longer word has a line of its own."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
