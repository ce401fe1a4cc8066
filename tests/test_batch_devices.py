"""Several devices and several processes: the same results, nothing exchanged, and each loses only its own."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from batch_photos import ROOT, TINY, environment, results, tiny_photo, write_photos
from configs import paper_config

from dnr_jax.batch.buckets import find_bucket
from dnr_jax.batch.devices import Devices, Shaped
from dnr_jax.weights import load_weights

pytestmark = pytest.mark.slow
CONFIG = paper_config(taps=("block1_conv2",), reconstruct_steps=2, refine_steps=1)
SIZES = [(40 + i, 64 - i) for i in range(11)]

EIGHT_DEVICES = """
import sys, re, pathlib, numpy as np, jax
sys.path.insert(0, sys.argv[1])
import test_batch_devices as this
assert jax.device_count() == 8
devices, text, images, steps = this.on_all_devices()
assert not re.search("all-reduce|all-gather|all-to-all|collective|reduce-scatter|send|recv", text)
assert devices.count == 8
np.savez(sys.argv[2], *images, steps=steps)
"""


def on_all_devices() -> tuple[Devices, str, list[np.ndarray], list[int]]:
    """Eleven photos in batches of eight; the devices, the program's text, the results and how many steps each took."""
    devices = Devices(load_weights("embedded").network, CONFIG)
    bucket = find_bucket((64, 64), (64, 48), importance_side=384, seams_only=False)
    photos = [Shaped(tiny_photo(*size, seed=i), (size[0], 48)) for i, size in enumerate(SIZES)]
    found = devices.run(bucket, 8, photos)
    text = devices.compile(bucket, 8).as_text()
    return (
        devices,
        str(text),
        [np.asarray(result.image) for result, _ in found],
        [int(result.reconstruct_steps) for result, _ in found],
    )


def test_eight_devices_give_what_one_gives_and_exchange_nothing(tmp_path: Path, programs: Path) -> None:
    flags = environment(programs, XLA_FLAGS=f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8")
    args = [sys.executable, "-c", EIGHT_DEVICES, str(ROOT / "tests"), str(tmp_path / "images.npz")]
    child = subprocess.Popen(args, env=flags, stderr=subprocess.PIPE, text=True)  # Compiles beside this process.
    devices, text, images, steps = on_all_devices()
    complaint = child.communicate()[1]
    assert child.returncode == 0, complaint
    assert devices.count == len(jax.local_devices()) == 1
    assert len(devices.compile_seconds) == 1
    assert devices.busy_seconds > 0
    assert "while" in text
    with np.load(tmp_path / "images.npz") as found:
        np.testing.assert_array_equal(found["steps"], steps)
        for number, image in enumerate(images):
            assert image.shape == (SIZES[number][0], 48, 3)
            assert np.abs(found[f"arr_{number}"] - image).max() <= 0.5


def test_two_processes_share_the_work_and_one_survives_the_other(tmp_path: Path, programs: Path) -> None:
    """As Slurm starts them, on the loopback interface; process 0, which the other found it by, is killed."""
    write_photos(tmp_path / "in", [(40, 50)] * 64)
    args = [sys.executable, "-m", "dnr_jax.batch", f"--input={tmp_path / 'in'}", f"--output_dir={tmp_path / 'out'}"]
    slurm = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2"}
    processes = [
        subprocess.Popen(
            [*args, *TINY, "--workers=0"],
            env=environment(programs, **slurm, SLURM_PROCID=str(i), SLURM_LOCALID=str(i)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    first, second = (tmp_path / f"out/.dnr-batch/finished-{i}-of-2.jsonl" for i in range(2))
    end = time.monotonic() + 240
    while not (first.exists() and first.stat().st_size):
        assert time.monotonic() < end
        assert processes[0].poll() is None, processes[0].communicate()[1]
        time.sleep(0.01)
    processes[0].kill()
    processes[0].communicate()
    printed, complaint = processes[1].communicate(timeout=240)
    assert processes[1].returncode == 0, complaint
    assert "32 done, 0 failed" in printed
    mine, theirs = ({json.loads(line)["output"] for line in path.read_text().splitlines()} for path in (second, first))
    assert len(mine) == 32
    assert 1 <= len(theirs) < 32
    assert not mine & theirs
    # One process alone then does what the lost one has left.
    last = subprocess.run(
        [*args, *TINY, "--workers=0", "--shard=0/1"],
        env=environment(programs),
        capture_output=True,
        text=True,
        check=False,
    )
    assert last.returncode == 0, last.stderr
    assert re.search(rf"^{32 - len(theirs)} done, 0 failed, {32 + len(theirs)} done before", last.stdout)
    assert len(results(tmp_path / "out")) == 64
