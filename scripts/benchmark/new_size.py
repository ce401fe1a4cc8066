"""Measures what a size costs that was not seen before: photos of near sizes share their compiled programs."""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.timing import describe_environment, seconds_of, tell

_ONE_PHOTO = """
import sys
sys.path.insert(0, sys.argv[1])
from benchmark.stages import synthetic_photo
from dnr_jax import compilation_cache
from dnr_jax.config import RetargetConfig
from dnr_jax.pipeline import retarget
from dnr_jax.weights import load_weights
compilation_cache.enable(programs=True)
height, width, target = (int(n) for n in sys.argv[2:])
retarget(synthetic_photo((height, width)), (height, target), RetargetConfig(), load_weights("embedded"))
"""
Sizes = Sequence[tuple[int, int, int]]
"""(height, width, target width) of each photo."""


def near_sizes(size: tuple[int, int], target_width: int, count: int) -> Sizes:
    """The size itself, and `count` smaller ones whose padded arrays have the same shapes.

    Raises:
      ValueError: there are not so many.
    """
    from dnr_jax.shapes import bucket_shape, bucket_side

    near = [(size[0] - n, size[1] - n, target_width - n) for n in range(count + 1)]
    shapes = {(bucket_shape((height, width)), bucket_side(target)) for height, width, target in near}
    if min(near[-1]) < 1 or len(shapes) > 1:
        raise ValueError(f"--size and --width leave no {count} smaller sizes of one padded shape: try 640x480 and 480")
    return near


def measure_new_size(size: tuple[int, int], target_width: int, repeats: int) -> dict[str, Any]:
    """Times sizes that were seen before and new ones, in one process and in processes of their own.

    Args:
      size: the (height, width) of the photo.
      target_width: the target width in pixels.
      repeats: how many new sizes are timed, in the same process and in new ones, each after one that was seen before.

    Returns:
      {"warm process": ..., "new process, warm cache": ...}, each with the median seconds of a size that was "seen" and
      of one that is "new" and their "ratio"; "environment".
    """
    from dnr_jax.config import RetargetConfig

    config = RetargetConfig()
    near = near_sizes(size, target_width, 2 * repeats)
    kinds = {
        "warm process": _in_one_process(near[: repeats + 1], config),
        "new process, warm cache": _in_processes([near[0], *near[repeats + 1 :]]),
    }
    figures: dict[str, Any] = {}
    for kind, (seen, new) in kinds.items():
        medians = statistics.median(seen), statistics.median(new)
        figures[kind] = {"seen": medians[0], "new": medians[1], "ratio": medians[1] / medians[0]}
    return {**figures, "environment": describe_environment(config, size, (size[0], target_width), repeats)}


def print_new_size(figures: dict[str, Any]) -> None:
    for kind, values in figures.items():
        if kind != "environment":
            print(
                f"new size, {kind}: {values['new']:.2f} s, a size seen before {values['seen']:.2f} s"
                f" ({values['ratio']:.2f}x)"
            )
    print(", ".join(f"{name} {value}" for name, value in figures["environment"].items()))


def _in_one_process(near: Sizes, config: Any) -> tuple[list[float], list[float]]:
    """The seconds of the first size, again and again, and of each other one, its first time."""
    from benchmark.stages import synthetic_photo
    from dnr_jax.pipeline import retarget
    from dnr_jax.weights import load_weights

    weights = load_weights("embedded")

    def one(height: int, width: int, target: int) -> float:
        photo = synthetic_photo((height, width))
        return seconds_of(lambda: retarget(photo, (height, target), config, weights))

    tell("new size, warm process")
    one(*near[0])
    pairs = [(one(*near[0]), one(*other)) for other in near[1:]]
    return [seen for seen, _ in pairs], [new for _, new in pairs]


def _in_processes(near: Sizes) -> tuple[list[float], list[float]]:
    """The same of whole processes, which find compiled what the first one left."""
    folder = str(Path(__file__).parents[1])
    with tempfile.TemporaryDirectory(prefix="benchmark-") as cache:
        settings = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
        settings["DNR_JAX_CACHE"] = cache

        def one(height: int, width: int, target: int) -> float:
            command = [sys.executable, "-c", _ONE_PHOTO, folder, *map(str, (height, width, target))]
            return seconds_of(lambda: subprocess.run(command, env=settings, capture_output=True, check=True))

        tell("new size, new process")
        one(*near[0])
        pairs = [(one(*near[0]), one(*other)) for other in near[1:]]
    return [seen for seen, _ in pairs], [new for _, new in pairs]
