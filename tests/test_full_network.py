"""The whole of VGG19 at a real size: fetched, converted and run from the command line, within a memory bound."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import random_layers
from drawn_photos import textured_photo
from weight_files import write_keras
from weight_server import serving, write_registry

from dnr_jax.config import DEFAULT_TAPS
from dnr_jax.networks.vgg import VGG19_WIDTHS
from dnr_jax.photos.files import read_image, write_image
from dnr_jax.weights import read_layout

PEAK_GIB = 1.5
"""Measured 1.0 GiB, of which the weights are 0.08; the margin is for other allocators and core counts."""
_PROGRAM = """
import pathlib, resource, sys
from dnr_jax.resize import main
code = main(["resize", *sys.argv[1:]])
# Linux lets ru_maxrss inherit the peak of the process that started this one: its own is in /proc.
status = pathlib.Path("/proc/self/status")
lines = status.read_text().splitlines() if status.exists() else []
peaks = [int(line.split()[1]) * 2**10 for line in lines if line.startswith("VmHWM")]
unit = 1 if sys.platform == "darwin" else 2**10
print((peaks or [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit])[0] / 2**30)
sys.exit(code)
"""


@pytest.mark.slow
def test_vgg19_runs_end_to_end_at_640x480_within_its_memory(tmp_path: Path, shared: Path) -> None:
    # Real shallow blocks, variance-preserving random ones above them: the size and the arithmetic of the real thing.
    layers = random_layers(VGG19_WIDTHS)
    layers |= read_layout(shared / "data/weights/vgg19_keras_blocks123.h5").layers
    published = tmp_path / "vgg19.h5"
    write_keras(published, layers, "1")
    body = published.read_bytes()
    write_image(tmp_path / "photo.png", textured_photo(480, 640))
    arguments = [
        f"--input={tmp_path / 'photo.png'}",
        f"--output={tmp_path / 'out.png'}",
        f"--record={tmp_path / 'record.json'}",
        f"--weights_dir={tmp_path / 'cache'}",
        "--weights=vgg19",
        "--width=75%",
        "--importance_percentile=20",
        "--reconstruct_steps=3",
        "--refine_steps=2",
    ]
    with serving(body) as server:
        write_registry(tmp_path / "registry.json", VGG19_WIDTHS, body, keras=server.url("good"))
        settings = {
            "DNR_JAX_REGISTRY": str(tmp_path / "registry.json"),
            "DNR_JAX_OFFLINE": "0",
            "NO_PROXY": "127.0.0.1",
        }
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, *arguments],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert read_image(tmp_path / "out.png").shape == (480, 480, 3)
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["weights"]["source"] == "keras.h5"
    assert list(record["passes"][0]["seams"]) == list(DEFAULT_TAPS)
    assert record["reconstruction"]["steps"] == 3
    assert float(done.stdout) < PEAK_GIB
