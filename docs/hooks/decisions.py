"""The decisions, docs/decisions/*.md, as pages of the site below explanation/, and the page that lists them."""

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

DECISIONS = Path(__file__).resolve().parents[1] / "decisions"
_INTRODUCTION = """# Decisions

What was chosen where the paper or the platform leaves a choice, why, and what was measured for it. Figures on these
pages belong to the version of their date; what is measured anew with every version stands under
[Benchmarks](../benchmarks.md).

"""


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Adds every decision, outside the navigation, and the list."""
    lines = []
    for path in sorted(DECISIONS.glob("*.md")):
        text = path.read_text()
        address = f"explanation/decisions/{path.name}"
        page = File.generated(config, address, content=text, inclusion=InclusionLevel.NOT_IN_NAV)
        files.append(page)
        lines.append(f"- [{text.splitlines()[0].removeprefix('# ')}](decisions/{path.name})")
    text = _INTRODUCTION + "\n".join(lines) + "\n"
    files.append(File.generated(config, "explanation/decisions.md", content=text))
    return files
