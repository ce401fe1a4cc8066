"""Measures batch runs: photos a second by batch size, shards, memory over many photos; estimates a million photos."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmark.timing import tell

STEPS = 60
"""How many Adam steps reconstruction and refinement take together at the defaults."""


def measure_batch(batch_sizes: list[int], side: int, photos: int, repeats: int) -> dict[str, Any]:
    """Measures everything.

    Args:
      batch_sizes: the batch sizes to compare.
      side: the side of the square photos in pixels.
      photos: how many photos the long run has; 0 leaves it out.
      repeats: how often each batch size is timed.

    Returns:
      The figures, ready for JSON.
    """
    tell("speed by batch size")
    speed = measure_speed(batch_sizes, side, repeats)
    figures: dict[str, Any] = {
        "speed": speed,
        "shards": simulate_shards(speed["seconds_a_megapixel"]),
        "estimates": [estimate(**machine) for machine in MACHINES],
    }
    if photos:
        tell(f"{photos} photos")
        figures["long_run"] = measure_long_run(photos)
    return figures


def measure_speed(batch_sizes: list[int], side: int, repeats: int) -> dict[str, Any]:
    """Measures photos a second, by `retarget` in a loop and in batches of each size, with the embedded network.

    All programs are compiled before. The tolerance is 0, so that every photo takes all its steps. Loop and batches take
    turns, and medians are compared.
    """
    import jax
    import numpy as np

    from dnr_jax.batch.buckets import find_bucket
    from dnr_jax.batch.devices import Devices, Shaped
    from dnr_jax.config import PAPER_GEOMETRY, RetargetConfig
    from dnr_jax.pipeline import retarget
    from dnr_jax.weights import load_weights

    weights, config = load_weights("embedded"), RetargetConfig(tolerance=0, **PAPER_GEOMETRY)
    target = (side, 3 * side // 4)
    rng = np.random.default_rng(0)
    most = max(batch_sizes)
    pixels = [_textured(side, side, rng).astype(np.float32) for _ in range(most)]
    bucket = find_bucket((side, side), target, importance_side=weights.network.importance_side, seams_only=False)
    devices = Devices(weights.network, config)
    sizes = [-(-size // devices.count) * devices.count for size in batch_sizes]
    shaped = [Shaped(photo, target) for photo in pixels]
    retarget(pixels[0], target, config, weights)
    for size in sizes:
        devices.compile(bucket, size)
    alone, together = [], {size: [] for size in sizes}
    for _ in range(repeats):
        start = time.perf_counter()
        for photo in pixels[: min(4, most)]:
            retarget(photo, target, config, weights)
        alone.append((time.perf_counter() - start) / min(4, most))
        for size in sizes:
            start = time.perf_counter()
            devices.run(bucket, size, shaped[:size])
            together[size].append((time.perf_counter() - start) / min(size, most))
    loop = statistics.median(alone)
    seconds = {size: statistics.median(times) for size, times in together.items()}
    return {
        "device": jax.devices()[0].device_kind,
        "devices": devices.count,
        "side": side,
        "loop_photos_a_second": 1 / loop,
        "photos_a_second": {size: 1 / value for size, value in seconds.items()},
        "times_the_loop": {size: loop / value for size, value in seconds.items()},
        "compile_seconds": {size: value for (_, size), value in devices.compile_seconds.items()},
        "seconds_a_megapixel": min(seconds.values()) / (side * side / 1e6),
    }


def simulate_shards(seconds_a_megapixel: float, count: int = 1000) -> list[dict[str, float]]:
    """Computes how evenly 1, 2, 4 and 8 shards share generated entries, each with a given service time.

    Sizes are log-normal around 0.3 megapixels; an entry's time is what its bucket's padded pixels cost, times a
    log-normal spread of 0.2 that the shards do not know of. A shard's work holds the empty places of its batches too.
    """
    import numpy as np

    from dnr_jax.batch.buckets import find_bucket
    from dnr_jax.batch.entries import Entry
    from dnr_jax.batch.hosts import deal
    from dnr_jax.batch.jobs import Job, Request, make_batches
    from dnr_jax.config import RetargetConfig

    rng = np.random.default_rng(0)
    request = Request(RetargetConfig(), (), Path())
    jobs, recorded = [], {}
    for number in range(count):
        pixels, aspect = 0.3e6 * rng.lognormal(0, 0.5), rng.choice([4 / 3, 3 / 4, 3 / 2, 1.0])
        size = (round((pixels / aspect) ** 0.5), round((pixels * aspect) ** 0.5))
        target = (size[0], 3 * size[1] // 4)
        bucket = find_bucket(size, target, importance_side=384, seams_only=False)
        jobs.append(Job(Entry(f"{number}.jpg", f"{number}.jpg"), size, target, bucket, "", ""))
        padded = bucket.shape[0] * bucket.shape[1] / 1e6
        recorded[jobs[-1].entry.output] = padded * seconds_a_megapixel * rng.lognormal(0, 0.2)
    ideal = sum(recorded.values())
    rows = []
    for shards in (1, 2, 4, 8):
        owners = deal([job.pixels for job in jobs], shards)
        loads = []
        for shard in range(shards):
            work = 0.0
            for batch in make_batches([j for j, o in zip(jobs, owners, strict=True) if o == shard], request, 1):
                times = [recorded[job.entry.output] for job in batch.jobs]
                work += sum(times) * batch.size / len(times)  # Empty places cost what the others do.
            loads.append(work)
        rows.append(
            {
                "shards": shards,
                "slowest_to_mean": max(loads) * shards / sum(loads),
                "work_to_ideal": sum(loads) / ideal,
            }
        )
    return rows


def measure_long_run(photos: int, early: int = 200) -> dict[str, Any]:
    """Runs the command on small generated photos; gives its peak memory and open files early and late.

    All photos are of one bucket, because every further program that is compiled takes memory of its own, however many
    photos there are.

    Args:
      photos: how many photos there are.
      early: how many photos are finished at the first look.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_small(folder / "in", photos)
        record = folder / "out/.dnr-batch/finished-0-of-1.jsonl"
        args = ["--weights=embedded", "--taps=block1_conv2", "--reconstruct_steps=2", "--refine_steps=1"]
        places = [f"--input={folder / 'in'}", f"--output_dir={folder / 'out'}"]
        process = subprocess.Popen(
            [sys.executable, "-m", "dnr_jax.batch", *places, *args, "--width=75%", "--quiet"],
            stdout=subprocess.PIPE,
            text=True,
        )
        proc, seen, done = Path(f"/proc/{process.pid}"), {}, 0
        while process.poll() is None:
            done = record.read_bytes().count(b"\n") if record.exists() else 0
            try:
                now = {"megabytes": _peak_megabytes(proc), "files": len(list((proc / "fd").iterdir())), "photos": done}
            except OSError:
                break
            if early <= done < photos:
                seen.setdefault("early", now)
                seen["late"] = now
            time.sleep(0.1)
        printed = process.communicate()[0]
        figures = json.loads((folder / "out/.dnr-batch/summary-0-of-1.json").read_text())
        assert process.returncode == 0, printed
        return {
            **seen,
            "memory_ratio": seen["late"]["megabytes"] / seen["early"]["megabytes"],
            "photos_a_second": figures["photos_per_second"],
            "device_busy_share": figures["device_busy_share"],
        }


MACHINES: list[dict[str, Any]] = [
    {"name": "v5e-64 slice", "devices": 64, "float32_tflops": 197 / 6, "used": 0.4, "batch": 16, "step_us": 5},
    {"name": "16 H200", "devices": 16, "float32_tflops": 67, "used": 0.5, "batch": 64, "step_us": 10},
]
"""The published peaks of machines; a TPU makes a float32 product at full precision of six bfloat16 ones."""


def estimate(
    name: str, devices: int, float32_tflops: float, used: float, batch: int, step_us: float, photos: int = 1_000_000
) -> dict[str, Any]:
    """Estimates, without running anything, the hours for photos of 640x480 narrowed to 75 % with VGG19 at the defaults.

    The operations are block 1 forward and back in every step, and all of VGG19 once. Seams take one small step of a
    loop for each row of the map, there and back, for each seam of each level; a batch shares these steps.

    Args:
      name: the name of the machine.
      devices: how many devices the machine has.
      float32_tflops: the peak of one device at full float32 precision, in 10^12 operations a second.
      used: the share of the peak that convolutions reach.
      batch: how many photos a device computes at a time.
      step_us: how many microseconds one step of the seam loops takes.
      photos: how many photos there are.
    """
    height, width, seams = 480, 640, 160
    block1 = 2 * 9 * (3 * 64 + 64 * 64)
    whole = 2 * 19.6e9 / (224 * 224)
    operations = height * width * (2 * block1 * STEPS + whole)
    computing = operations / (float32_tflops * 1e12 * used)
    levels = sum(1 / (stride * stride) for stride in (1, 2, 4, 8, 32))
    seaming = seams * 2 * height * levels * step_us * 1e-6 / batch
    per_photo = computing + seaming
    return {
        "name": name,
        "teraflop_a_photo": operations / 1e12,
        "computing_seconds_a_photo": computing,
        "seam_seconds_a_photo": seaming,
        "photos_a_second": devices / per_photo,
        "hours": photos * per_photo / devices / 3600,
        "assumptions": f"{used:.0%} of {float32_tflops:.0f} TFLOP/s a device in float32, batches of {batch},"
        f" {step_us} us a step of the seam loops, decoding and encoding hidden behind the devices",
    }


def show(figures: dict[str, Any]) -> str:
    """Puts the figures of `measure_batch` into words."""
    speed = figures["speed"]
    lines = [
        f"{speed['side']}x{speed['side']}, embedded network, on {speed['devices']} {speed['device']}:",
        f"  loop over retarget(): {speed['loop_photos_a_second']:.3g} photos/s",
    ]
    for size, rate in speed["photos_a_second"].items():
        lines.append(f"  batches of {size}: {rate:.3g} photos/s, {speed['times_the_loop'][size]:.2f} times the loop")
    for row in figures["shards"]:
        lines.append(
            f"{row['shards']} shards of 1,000 entries: the slowest {row['slowest_to_mean'] - 1:.1%} above the mean,"
            f" {row['work_to_ideal'] - 1:.1%} more work than without empty places"
        )
    if "long_run" in figures:
        run = figures["long_run"]
        for when in ("early", "late"):
            seen = run[when]
            lines.append(
                f"after {seen['photos']} small photos: peak {seen['megabytes']:.0f} MB, {seen['files']} open files"
            )
        lines.append(
            f"peak memory {run['memory_ratio']:.3f} times that early on; {run['photos_a_second']:.3g} photos/s"
        )
    for machine in figures["estimates"]:
        lines.append(
            f"a million photos of 640x480 on {machine['name']}: {machine['hours']:.1f} h,"
            f" {machine['photos_a_second']:.0f} photos/s (estimate: {machine['teraflop_a_photo']:.1f} TFLOP a photo,"
            f" {machine['computing_seconds_a_photo']:.3f} s of convolutions and {machine['seam_seconds_a_photo']:.3f} s"
            f" of seams; {machine['assumptions']})"
        )
    return "\n".join(lines)


def _peak_megabytes(proc: Path) -> float:
    """The peak resident memory of a process, whose folder in /proc is given, in megabytes."""
    for line in (proc / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("the process is over")


def _textured(height: int, width: int, rng: Any) -> Any:
    """Draws a photo of coloured blocks with grain, uint8 [H, W, 3]."""
    import numpy as np

    blocks = np.kron(rng.uniform(0, 255, (height // 16 + 1, width // 16 + 1, 3)), np.ones((16, 16, 1)))
    return np.clip(blocks[:height, :width] + rng.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)


def _write_small(folder: Path, photos: int) -> None:
    import numpy as np
    import PIL.Image

    rng = np.random.default_rng(0)
    for number in range(photos):
        height, width = (int(n) for n in rng.integers(65, 97, 2))
        path = folder / f"{number // 100:03}" / f"{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(_textured(height, width, rng)).save(path, quality=92)
