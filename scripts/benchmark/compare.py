# pyright: reportMissingImports=false
"""Compares every stage of a warm run with other programs: seconds, ratios, and whether both compute the same."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmark.timing import alternate, describe_environment, seconds_of, tell

OTHERS = ("torch", "torch_compile", "seam_carving", "lqr")


def measure(
    size: tuple[int, int],
    target_width: str,
    compare: Sequence[str],
    repeats: int,
    *,
    cold_start: bool = False,
    memory: bool = False,
) -> dict[str, Any]:
    """Times the stages of dnr_jax and of what it is compared with.

    Args:
      size: the (height, width) of the photo.
      target_width: the target width as typed, in pixels or percent.
      compare: the names of what it is compared with, from OTHERS.
      repeats: how often each stage is timed, after one run that warms up.
      cold_start: whether to time two fresh processes as well.
      memory: whether to run a fresh process for its peak memory as well.

    Returns:
      {"stages": {stage: {name: median seconds, "ratio": {name: dnr_jax / name}, "spread": {name: [least, most]}}},
      "parity": {name: what was compared}, "environment": ...}; a ratio is None where parity failed. With `memory`, it
      has "peak_gibibytes" too.
    """
    from benchmark.stages import OPTIMISATIONS, STAGES, dnr_jax_stages, random_vgg19, synthetic_photo, torch_stages
    from benchmark.tools import LiquidRescale, cold_starts, peak_gibibytes, seam_carving_tool
    from dnr_jax.config import PAPER_GEOMETRY, RetargetConfig
    from dnr_jax.shell.sizes import parse_side

    photo, weights = synthetic_photo(size), random_vgg19()
    target = (size[0], parse_side("width", target_width, size[1]))
    # No early stopping on either side, and all pixels are optimised on both.
    config = RetargetConfig(tolerance=0, optimise="everywhere", **PAPER_GEOMETRY)
    sides = {"dnr_jax": dnr_jax_stages(photo, target, config, weights)}
    parities: dict[str, Any] = {}
    for name in (name for name in compare if name.startswith("torch")):
        reference = _reference(weights, config, compiled=name == "torch_compile")
        tell(f"parity with {name}")
        parities[name] = _torch_parity(photo, target, config, weights, reference)
        sides[name] = torch_stages(photo, target, config, reference)

    stages: dict[str, Any] = {}
    for stage in STAGES:
        tell(stage)
        runs = {name: side.run[stage] for name, side in sides.items()}
        # Parity has run both sides from end to end already.
        seconds = alternate(runs, repeats, warm_up=stage != "end_to_end" or not parities)
        stages[stage] = stage_figures(seconds, parities)
        if stage in OPTIMISATIONS:
            steps = {name: side.steps[stage] for name, side in sides.items()}
            stages[f"{stage}_step"] = stage_figures(
                {name: [s / steps[name] for s in runs] for name, runs in seconds.items()}, parities
            )
            stages[f"{stage}_step"]["steps"] = steps
    tools: dict[str, Callable[[], Any]] = {name: side.all_seams for name, side in sides.items()}
    if "seam_carving" in compare:
        tools["seam_carving"] = seam_carving_tool(photo, target)
        parities["seam_carving"] = _size_parity(tools["seam_carving"](), target)
    overhead = 0.0
    if "lqr" in compare:
        rescale = LiquidRescale(photo, target)
        tools["lqr"] = rescale
        parities["lqr"] = _size_parity(rescale(), target)
        overhead = statistics.median(seconds_of(rescale.overhead) for _ in range(repeats))
    seconds = alternate(tools, repeats)
    if "lqr" in seconds:
        seconds["lqr"] = [s - overhead for s in seconds["lqr"]]
    stages["all_seams"] = stage_figures(seconds, parities)
    if cold_start:
        tell("cold start")
        for network in ("vgg19", "embedded"):
            first, second = cold_starts(size, target[1], network)
            stages[f"cold_start_{network}"] = {
                "dnr_jax": first,
                "second_process": second,
                "ratio": {"second_process": second / first},
            }
    figures: dict[str, Any] = {
        "stages": stages,
        "parity": parities,
        "environment": describe_environment(config, size, target, repeats),
    }
    if memory:
        tell("memory")
        figures["peak_gibibytes"] = peak_gibibytes(size, target[1])
    return figures


def print_table(figures: dict[str, Any]) -> None:
    """Prints the stages as a table: the median seconds of each side, and dnr_jax's over the other's."""
    stages = figures["stages"]
    others = [name for name in (*OTHERS, "second_process") if any(name in values for values in stages.values())]
    columns = ["dnr_jax", *others]
    print(f"{'stage':20}" + "".join(f"{name:>24}" for name in columns))
    for stage, values in stages.items():
        cells = []
        for name in columns:
            if name not in values:
                cells.append("")
                continue
            ratio = values.get("ratio", {}).get(name, "")
            shown = "  (no parity)" if ratio is None else f"  ({ratio:.2f}x)" if ratio != "" else ""
            spread = values.get("spread", {}).get(name)
            width = f" ±{100 * (spread[1] - spread[0]) / 2 / values[name]:.0f}%" if spread and values[name] > 0 else ""
            cells.append(f"{values[name]:.4f}{width}{shown}")
        print(f"{stage:20}" + "".join(f"{cell:>24}" for cell in cells))
    print("median seconds ± half the spread (dnr_jax over the other); all_seams: 75 % by seams alone")
    for name, values in figures["parity"].items():
        print(f"parity with {name}: {'passed' if values['ok'] else 'FAILED'}")
    if "peak_gibibytes" in figures:
        print(f"peak memory of a process that retargets one photo: {figures['peak_gibibytes']:.2f} GiB")
    print(", ".join(f"{name} {value}" for name, value in figures["environment"].items()))


def _reference(weights: Any, config: Any, *, compiled: bool) -> Any:
    import jax
    import numpy as np
    import torch

    from torch_reference.reference import Reference

    device = "cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu"
    params = jax.tree.map(np.asarray, weights.network.params)
    return Reference(
        params, preprocessing=weights.network.module.preprocessing, taps=config.taps, device=device, compile=compiled
    )


def _torch_parity(photo: Any, target: tuple[int, int], config: Any, weights: Any, reference: Any) -> dict[str, Any]:
    from torch_reference.parity import dnr_jax_outputs, parity, reference_outputs

    ours, importance = dnr_jax_outputs(photo, target, config, weights)
    return parity(ours, reference_outputs(reference, photo, target, config, importance))


def _size_parity(image: Any, target: tuple[int, int]) -> dict[str, Any]:
    """The parity with another method, which cannot give the same picture, but must give one of the same size."""
    return {"ok": tuple(image.shape[:2]) == target, "compared": "size only: another method"}


def stage_figures(seconds: dict[str, list[float]], parities: dict[str, Any]) -> dict[str, Any]:
    """The figures of one stage: medians, ratios and spreads.

    Args:
      seconds: the seconds of every run, by the name of the side.
      parities: what was compared, by the name of the other side; where its "ok" is false, there is no ratio.
    """
    medians = {name: statistics.median(runs) for name, runs in seconds.items()}
    ratios = {
        name: medians["dnr_jax"] / median if parities[name]["ok"] else None
        for name, median in medians.items()
        if name != "dnr_jax"
    }
    return {**medians, "ratio": ratios, "spread": {name: [min(runs), max(runs)] for name, runs in seconds.items()}}
