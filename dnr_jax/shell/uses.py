"""The table behind `--for`: what photos are used for, and the exact pixels of each use. Plain Python.

Services change their figures now and then, and scale what they are given: the aspect matters most.
"""

from typing import NamedTuple


class Use(NamedTuple):
    """A use of photos.

    Attributes:
      width: the width in pixels.
      height: the height in pixels.
      what: what the use is, for the help text.
      source: the page or the reason that the size comes from.
    """

    width: int
    height: int
    what: str
    source: str


_INSTAGRAM = (
    "https://help.instagram.com/1631821640426723: photos are kept up to 1080 pixels wide, with aspects from 1.91:1 to"
    " 4:5 and, of late, 3:4"
)

USES: dict[str, Use] = {
    "instagram": Use(1080, 1350, "Instagram feed, upright", _INSTAGRAM),
    "instagram_square": Use(1080, 1080, "Instagram feed, square", _INSTAGRAM),
    "story": Use(
        1080,
        1920,
        "stories of Instagram and Facebook",
        "https://www.facebook.com/business/ads-guide: 9:16, at 1080 pixels of width",
    ),
    "youtube": Use(
        1280,
        720,
        "YouTube thumbnail",
        "https://support.google.com/youtube/answer/72431: 1280x720, 16:9",
    ),
    "x": Use(
        1600,
        900,
        "post on X",
        "X names no pixels for posts; guides agree on 16:9, which the timeline shows whole, and on 1600 pixels",
    ),
    "open_graph": Use(
        1200,
        630,
        "preview of a link, og:image",
        "https://developers.facebook.com/docs/sharing/webmasters/images: 1200x630 or more, 1.91:1",
    ),
}
"""Every use by the name that the command line knows."""


def describe_uses() -> str:
    """Names every use with its pixels, and says what it is, for a help text."""
    return ", ".join(f"{name} ({use.width}x{use.height}, {use.what})" for name, use in USES.items())
