"""A folder that measurements take for the checkout, so that tests leave the real documents alone."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from measurements import store

ROOT = Path(__file__).resolve().parents[1]


def make_checkout(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes `folder` the checkout; all that it holds is README."""
    shutil.copy(ROOT / "README.md", folder)
    (folder / "docs/pages/pictures").mkdir(parents=True)
    monkeypatch.setattr(store, "ROOT", folder)
    return folder


def kept_figures(checkout: Path, kind: str) -> Any:
    """What was measured, from the file that was left."""
    return json.loads((checkout / f"docs/measurements/{kind}.json").read_text())["figures"]
