# pyright: reportMissingImports=false
"""Times the optimisation of what is near joints alone beside PyTorch's optimisation of all pixels, on real photos."""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from benchmark.timing import describe_environment, seconds_of, tell

PARTS = ("reconstruction", "end to end")


def measure_near_joints(
    photos: Sequence[str], size: tuple[int, int], target_width: int, repeats: int
) -> dict[str, Any]:
    """Times one photo after the other, all sides in turns.

    The seams and the warp are the paper's. There is no early stopping. A run of dnr_jax, which compiles, comes before;
    eager PyTorch compiles nothing.

    Args:
      photos: paths of photo files, each of which is scaled to `size`.
      size: the (height, width) of the photos.
      target_width: the target width in pixels.
      repeats: how often each side runs on each photo.

    Returns:
      {"photos": {name: {part: {side: median seconds}, "difference": mean grey levels between both of dnr_jax's ways,
      "parity": mean grey levels between dnr_jax and PyTorch where both optimise all pixels}},
      "ratio": {part: {side: the mean over photos of near joints over that side}}, "environment": ...}. Reconstruction
      is what Adam takes, refinement not included.

    Raises:
      ValueError, OSError: a photo cannot be read, two have one name, or no seam goes, so that nothing is optimised.
      RuntimeError: dnr_jax and PyTorch do not give the same picture.
    """
    from benchmark.stages import random_vgg19
    from dnr_jax.config import PAPER_GEOMETRY, RetargetConfig
    from dnr_jax.photos.files import read_photo

    weights = random_vgg19()
    config = RetargetConfig(tolerance=0, optimise="everywhere", **PAPER_GEOMETRY)
    scaled: dict[str, np.ndarray] = {}
    for path in photos:
        if Path(path).name in scaled:
            raise ValueError(f"--near_joints names two photos {Path(path).name}: rename one")
        photo = PIL.Image.fromarray(np.round(read_photo(path).pixels).astype(np.uint8))
        scaled[Path(path).name] = np.asarray(photo.resize((size[1], size[0]), PIL.Image.Resampling.LANCZOS))
    found: dict[str, Any] = {}
    for name, photo in scaled.items():
        tell(f"{name}, near joints and everywhere")
        found[name] = _measure_one(photo, (size[0], target_width), config, weights, repeats)
    sides = ("everywhere", "torch")
    ratio = {
        part: {
            side: statistics.mean(figures[part]["near joints"] / figures[part][side] for figures in found.values())
            for side in sides
        }
        for part in PARTS
    }
    environment = describe_environment(config, size, (size[0], target_width), repeats)
    return {"photos": found, "ratio": ratio, "environment": environment}


def print_near_joints(figures: dict[str, Any]) -> None:
    for name, values in figures["photos"].items():
        seconds = "; ".join(
            f"{part} {', '.join(f'{side} {s:.2f} s' for side, s in values[part].items())}" for part in PARTS
        )
        print(f"{name}: {seconds}; {values['difference']:.2f} grey levels apart, torch {values['parity']:.2f}")
    for part, ratios in figures["ratio"].items():
        print(f"{part}, near joints over {', '.join(f'{side}: {value:.2f}x' for side, value in ratios.items())}")
    print(", ".join(f"{name} {value}" for name, value in figures["environment"].items()))


def _measure_one(photo: np.ndarray, target: tuple[int, int], config: Any, weights: Any, repeats: int) -> dict[str, Any]:
    """The figures of one photo."""
    import jax

    from benchmark.stages import torch_stages
    from dnr_jax.pipeline import retarget
    from torch_reference.parity import TOLERANCES
    from torch_reference.reference import Reference

    params = jax.tree.map(np.asarray, weights.network.params)
    reference = Reference(
        params, preprocessing=weights.network.module.preprocessing, taps=config.taps, device="cpu", compile=False
    )
    theirs = torch_stages(photo, target, config, reference).run
    configs = {"near joints": replace(config, optimise="joints"), "everywhere": config}
    seconds: dict[str, dict[str, list[float]]] = {part: {} for part in PARTS}
    images: dict[str, np.ndarray] = {}
    for number in range(repeats + 1):
        for side, options in configs.items():
            results: list[Any] = []
            whole = seconds_of(lambda: results.append(retarget(photo, target, options, weights)))  # noqa: B023
            images[side] = np.asarray(results[0].image, np.float32)
            if number:
                seconds["end to end"].setdefault(side, []).append(whole)
                part = results[0].record["seconds"].get("reconstruction", 0.0)
                seconds["reconstruction"].setdefault(side, []).append(part)
        if number:
            seconds["end to end"].setdefault("torch", []).append(
                seconds_of(lambda: images.update(torch=np.asarray(theirs["end_to_end"]().image, np.float32)))
            )
            seconds["reconstruction"].setdefault("torch", []).append(seconds_of(theirs["reconstruct"]))
    if not all(seconds["reconstruction"]["near joints"]):
        raise ValueError("no seam goes, so that nothing is optimised: give a smaller --width")
    parity = float(np.abs(images["everywhere"] - images["torch"]).mean())
    if parity > TOLERANCES["image"]:
        raise RuntimeError(f"dnr_jax and PyTorch differ by {parity:.2f} grey levels: times say nothing")
    medians = {part: {side: statistics.median(runs) for side, runs in sides.items()} for part, sides in seconds.items()}
    return {
        **medians,
        "difference": float(np.abs(images["near joints"] - images["everywhere"]).mean()),
        "parity": parity,
    }
