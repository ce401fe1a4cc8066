"""The gallery's page, from the scenes in docs/gallery.json by which scripts/readme_pictures.py makes the pictures."""

import html
import json
from pathlib import Path
from typing import Any

import PIL.Image
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

DOCS = Path(__file__).resolve().parents[1]
_INTRODUCTION = """---
hide:
  - navigation
---

# Gallery

On the left the photo, then what the command under it makes of it, and where there is a third picture what the second
command makes, for comparison. The pictures are made by these very commands (`python scripts/readme_pictures.py`) with
the network that comes with the package; photos and masks lie in `scripts/pictures` of the repository. Select a picture
to see it at its full size.
"""
_CREDITS = """
## Photos

All four come from scikit-image's sample data. The launch of DSCOVR on a Falcon 9 was photographed by SpaceX and
released into the public domain; Eileen Collins was photographed by NASA, without known copyright restrictions; the cat
Chelsea by Stéfan van der Walt (CC0); the cup by Rachel Michetti, courtesy of Pikolo Espresso Bar (CC0).
"""


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Adds the page to the site's files."""
    scenes = json.loads((DOCS / "gallery.json").read_text())
    text = _INTRODUCTION + "".join(map(show_scene, scenes)) + _CREDITS
    files.append(File.generated(config, "gallery.md", content=text))
    return files


def show_scene(scene: dict[str, Any]) -> str:
    """One scene in Markdown: pictures in a row, and under them the commands."""
    pictures = [(scene["photo"], "The photo"), (f"{scene['name']}.jpg", " ".join(scene["flags"]))]
    if scene["beside"]:
        pictures.append((f"{scene['name']}_beside.jpg", " ".join(scene["beside"])))
    row = "".join(show_picture(file, text) for file, text in pictures)
    commands = [command(scene, scene["flags"])] + ([command(scene, scene["beside"])] if scene["beside"] else [])
    lines = "\n".join(commands)
    return f'\n## {scene["title"]}\n\n{scene["text"]}\n\n<div class="row">{row}</div>\n\n```sh\n{lines}\n```\n'


def show_picture(file: str, text: str) -> str:
    """A picture that grows with its row in proportion to its own width, so that all of a row have one scale."""
    with PIL.Image.open(DOCS / "pages/pictures" / file) as opened:
        width, height = opened.size
    picture = f'<img src="pictures/{file}" alt="{html.escape(text)}" width="{width}" height="{height}" loading="lazy">'
    return f'<a href="pictures/{file}" style="flex-grow: {width}">{picture}</a>'


def command(scene: dict[str, Any], options: list[str]) -> str:
    """The command that makes a scene's picture."""
    return f"dnr-resize --input={scene['photo']} --output=out.jpg {' '.join(options)}"
