"""Runs of the batch command in this process, and one over forty photos that several tests look at."""

import json
from pathlib import Path

import jax
import jax.monitoring
import numpy as np
import pytest
from batch_photos import TINY, results, write_photos

from dnr_jax.batch.command import main
from dnr_jax.photos.files import read_image
from dnr_jax.weights import Weights

SIZES = [(33 + i % 8 * 4, 34 + i) for i in range(40)]
"""Forty photos of forty sizes."""


class Finished(dict):
    """A run's figures; `code` is its exit code, `compiled` how many programs XLA compiled or fetched for it."""

    code = 0
    compiled = 0


def run(output_dir: Path, *args: str) -> Finished:
    """Runs the command in this process, without worker processes."""
    count = 0

    def listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
        nonlocal count
        count += event == "/jax/core/compile/backend_compile_duration"

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        code = main(["batch", f"--output_dir={output_dir}", "--workers=0", *TINY, *args])
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    path = output_dir / ".dnr-batch" / "summary-0-of-1.json"
    figures = Finished(json.loads(path.read_text()) if path.exists() else {})
    figures.code, figures.compiled = code, count
    return figures


def assert_near(folder: Path, expected: Path) -> None:
    """Every result is that of the same name elsewhere, to one grey level: other batch sizes round otherwise."""
    names = list(results(folder))
    assert names
    for name in names:
        found, wanted = (read_image(place / name).astype(int) for place in (folder, expected))
        assert np.abs(found - wanted).max() <= 1


@pytest.fixture(scope="session")
def forty(tmp_path_factory: pytest.TempPathFactory, programs: Path, embedded: Weights) -> tuple[Path, Path, Finished]:
    """Forty photos, their results and the figures of the run; `embedded` compiles what loading the network needs."""
    folder = tmp_path_factory.mktemp("forty")
    write_photos(folder / "in", SIZES)
    return folder / "in", folder / "out", run(folder / "out", f"--input={folder / 'in'}")
