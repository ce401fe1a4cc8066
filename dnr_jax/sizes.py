"""Target sizes as people write them."""

import math
import re


def parse_side(name: str, text: str | None, has: int) -> int:
    """Pixels of a target side from "480", "75%" or None (unchanged); percentages round to the nearest pixel.

    Args:
      name: "width" or "height", for the message.
      text: what was asked for.
      has: the photo's pixels on that side.

    Raises:
      ValueError: when it is no size, or not from 1 pixel to the photo's.
    """
    if text is None:
        return has
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%|px)?\s*", text)
    if match is None or (match[2] != "%" and "." in match[1]):
        raise ValueError(f"--{name} is {text!r}: give pixels (480) or percent (75%)")
    pixels = math.floor(has * float(match[1]) / 100 + 0.5) if match[2] == "%" else int(match[1])
    if not 1 <= pixels <= has:
        raise ValueError(f"--{name} is {text} ({pixels} pixels): it must be from 1 to the photo's {has} pixels")
    return pixels
