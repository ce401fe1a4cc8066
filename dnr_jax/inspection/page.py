"""Makes the page that shows an inspection: one HTML file, with pictures beside it and nothing from anywhere else."""

from collections.abc import Iterable
from html import escape
from typing import NamedTuple

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 sans-serif; max-width: 90rem; margin: 0 auto; padding: 0 1rem 4rem; }
section div { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
section p { max-width: 50rem; }
figure { margin: 0; flex: 0 1 auto; max-width: min(42rem, 100%); }
figure img { max-width: 100%; height: auto; display: block; }
figure svg { width: 40rem; max-width: 100%; display: block; }
table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: 0.2rem 1rem 0.2rem 0; border-bottom: 1px solid #8886; }
"""


class Figure(NamedTuple):
    """One picture on the page.

    Attributes:
      file: the name of the picture's file, which lies beside the page.
      size: the (height, width) of the picture in pixels.
      caption: the caption, as plain text.
      svg: an <svg> element to show in place of the picture, which is linked then; None to show the picture.
    """

    file: str
    size: tuple[int, int]
    caption: str
    svg: str | None = None


class Chapter(NamedTuple):
    """A part of the page: a heading, a sentence or two of plain text, and figures."""

    title: str
    text: str
    figures: list[Figure]


def render_page(title: str, chapters: Iterable[Chapter], rows: Iterable[tuple[str, str]]) -> str:
    """The HTML of the page.

    Args:
      title: the title, as plain text.
      chapters: the chapters, in the order of the page.
      rows: the name and the value of each row of the table at its end, as plain text.
    """
    table = "\n".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in rows)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{"".join(_chapter(chapter) for chapter in chapters)}<section>
<h2>Record</h2>
<table>
{table}
</table>
</section>
</body>
</html>
"""


def _chapter(chapter: Chapter) -> str:
    figures = "\n".join(_figure(figure) for figure in chapter.figures)
    return (
        f"<section>\n<h2>{escape(chapter.title)}</h2>\n<p>{escape(chapter.text)}</p>\n<div>\n{figures}\n</div>\n"
        "</section>\n"
    )


def _figure(figure: Figure) -> str:
    caption, file = escape(figure.caption), escape(figure.file)
    height, width = figure.size
    picture = f'<img src="{file}" width="{width}" height="{height}" alt="{caption}" loading="lazy">'
    if figure.svg is not None:
        return f'<figure>{figure.svg}<figcaption>{caption} (<a href="{file}">PNG</a>)</figcaption></figure>'
    return f'<figure><a href="{file}">{picture}</a><figcaption>{caption}</figcaption></figure>'
