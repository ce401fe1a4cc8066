"""Keeps the measurements that the documents show, in a JSON file each in docs/measurements.

A script that measures something calls `record`, where --update_docs asks for it. Nothing is copied by hand:
docs/pages/benchmarks.md and the table in README.md are made from these files alone (`measurements.documents`).
"""

import datetime
import json
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dnr_jax.atomic import write_atomically
from measurements.documents import KINDS, write_documents

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path("docs/measurements")
_NOT_KEPT = ("device",)
"""The names of figures about the machine that are not kept, since the documents do not show them."""


def record(kind: str, figures: Mapping[str, Any], argv: Sequence[str]) -> None:
    """Keeps what was measured, and writes the documents anew.

    Args:
      kind: the name of one of `KINDS`; the figures of an earlier run of the same kind are replaced.
      figures: what was measured, ready for JSON.
      argv: the command line that measured it.

    Raises:
      OSError: a file cannot be written.
    """
    assert kind in KINDS, kind
    kept = {
        "command": " ".join(["python", *map(_in_checkout, argv)]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "dnr_jax": version("dnr_jax"),
        "jax": version("jax"),
        "figures": _without_machine(figures),
    }
    folder = ROOT / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{kind}.json", (json.dumps(kept, indent=1) + "\n").encode())
    write_documents(read_all(), ROOT)
    print(f"docs/measurements/{kind}.json and the documents are written", file=sys.stderr)


def read_all() -> dict[str, Any]:
    """Reads every measurement, by the name of its kind, in the order of the documents."""
    found = {kind: ROOT / FOLDER / f"{kind}.json" for kind in KINDS}
    return {kind: json.loads(path.read_text()) for kind, path in found.items() if path.exists()}


def _in_checkout(argument: str) -> str:
    """An argument of a command line, without the folders of the person who measured."""
    name, equals, value = argument.partition("=")
    paths = (value if equals else name).split(",")
    inside = [path.removeprefix(f"{ROOT}/") for path in paths]
    text = ",".join(Path(path).name if path.startswith("/") else path for path in inside)
    return f"{name}={text}" if equals else text


def _without_machine(figures: Any) -> Any:
    if isinstance(figures, Mapping):
        return {name: _without_machine(value) for name, value in figures.items() if name not in _NOT_KEPT}
    return figures
