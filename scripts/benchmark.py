# pyright: reportMissingImports=false
"""Times every stage of a warm run and compares it with other programs, as ratios measured in the same run.

  python scripts/benchmark.py --compare=torch,torch_compile,seam_carving,lqr --size=640x480 --width=75%

VGG19 has random, variance-preserving weights here: times do not depend on their values, results would. A ratio is
dnr_jax's time over the other's: below 1, dnr_jax is faster. None is printed unless both computed the same in this run
(`parity`). Stages of both sides take turns. All need the extra `bench`; lqr needs ImageMagick.

  python scripts/benchmark.py --megapixels=0.3,1,3 --plot=cost.png

times the features and a step of the reconstruction per megapixel instead.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import flags

OTHERS = ("torch", "torch_compile", "seam_carving", "lqr")


def main(argv: Sequence[str]) -> int:
    """Runs the benchmark; returns the exit code."""
    values = flags.FlagValues()
    flags.DEFINE_list("compare", [], f"What to compare with: {', '.join(OTHERS)}.", flag_values=values)
    flags.DEFINE_string("size", "640x480", "Photo size, WIDTHxHEIGHT.", flag_values=values)
    flags.DEFINE_string("width", "75%", "Target width, pixels or percent.", flag_values=values)
    flags.DEFINE_integer("repeats", 3, "Timed runs of each stage.", lower_bound=1, flag_values=values)
    flags.DEFINE_boolean("cold_start", False, "Also time two fresh processes.", flag_values=values)
    flags.DEFINE_list("megapixels", [], "Photo sizes at which to show how cost grows.", flag_values=values)
    flags.DEFINE_string("json", None, "File to write the figures to as well.", flag_values=values)
    flags.DEFINE_string("plot", None, "PNG file to draw the figures to.", flag_values=values)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", flag_values=values)
    try:
        values(argv)
        if values["help"].value:
            print(f"{__doc__}\n{values.get_help(include_special_flags=False)}")
            return 0
        width, height = (int(n) for n in str(values["size"].value).split("x"))
        compare = [str(name) for name in values["compare"].value or []]
        unknown = [name for name in compare if name not in OTHERS]
        if unknown:
            raise ValueError(f"--compare names {unknown[0]}: choose from {', '.join(OTHERS)}")
        repeats = int(values["repeats"].value or 1)
        if values["megapixels"].value:
            figures: dict[str, Any] = cost_of_size([float(n) for n in values["megapixels"].value], repeats)
            _print_cost(figures)
        else:
            cold = bool(values["cold_start"].value)
            figures = measure((height, width), str(values["width"].value), compare, repeats, cold_start=cold)
            print_table(figures)
        if values["json"].value:
            Path(str(values["json"].value)).write_text(json.dumps(figures, indent=1))
        if values["plot"].value:
            from benchmark_plot import draw

            draw(figures, Path(str(values["plot"].value)))
    except (flags.Error, ValueError, ImportError) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2
    return 0


def measure(
    size: tuple[int, int], target_width: str, compare: Sequence[str], repeats: int, *, cold_start: bool = False
) -> dict[str, Any]:
    """Times the stages of dnr_jax and of what it is compared with.

    Args:
      size: (height, width) of the photo.
      target_width: as typed, pixels or percent.
      compare: names from OTHERS.
      repeats: timed runs of each stage, after one that warms up.
      cold_start: also time two fresh processes.

    Returns:
      {"stages": {stage: {name: median seconds, "ratio": {name: dnr_jax / name}, "spread": {name: [least, most]}}},
      "parity": {name: what was compared}, "environment": ...}; a ratio is None where parity failed.
    """
    from benchmark_stages import OPTIMISATIONS, STAGES, dnr_jax_stages, random_vgg19, synthetic_photo, torch_stages
    from benchmark_tools import LiquidRescale, cold_starts, seam_carving_tool
    from dnr_jax.config import RetargetConfig
    from dnr_jax.sizes import parse_side

    photo, weights = synthetic_photo(size), random_vgg19()
    target = (size[0], parse_side("width", target_width, size[1]))
    config = RetargetConfig(tolerance=0)  # No early stopping, on either side.
    sides = {"dnr_jax": dnr_jax_stages(photo, target, config, weights)}
    told: dict[str, Any] = {}
    for name in (name for name in compare if name.startswith("torch")):
        reference = _reference(weights, config, compiled=name == "torch_compile")
        told[name] = _torch_parity(photo, target, config, weights, reference)
        sides[name] = torch_stages(photo, target, config, reference)

    stages: dict[str, Any] = {}
    for stage in STAGES:
        seconds = _alternate({name: side.run[stage] for name, side in sides.items()}, repeats)
        stages[stage] = _figures(seconds, told)
        if stage in OPTIMISATIONS:
            steps = {name: side.steps[stage] for name, side in sides.items()}
            stages[f"{stage}_step"] = _figures(
                {name: [s / steps[name] for s in runs] for name, runs in seconds.items()}, told
            )
            stages[f"{stage}_step"]["steps"] = steps
    tools: dict[str, Callable[[], Any]] = {name: side.all_seams for name, side in sides.items()}
    if "seam_carving" in compare:
        tools["seam_carving"] = seam_carving_tool(photo, target)
        told["seam_carving"] = _size_parity(tools["seam_carving"](), target)
    overhead = 0.0
    if "lqr" in compare:
        rescale = LiquidRescale(photo, target)
        tools["lqr"] = rescale
        told["lqr"] = _size_parity(rescale(), target)
        overhead = statistics.median(_seconds(rescale.overhead) for _ in range(repeats))
    seconds = _alternate(tools, repeats)
    if "lqr" in seconds:
        seconds["lqr"] = [s - overhead for s in seconds["lqr"]]
    stages["all_seams"] = _figures(seconds, told)
    if cold_start:
        first, second = cold_starts(size, target[1])
        stages["cold_start"] = {"dnr_jax": first, "second_process": second, "ratio": {"second_process": second / first}}
    return {"stages": stages, "parity": told, "environment": _environment(config, size, target, repeats)}


def cost_of_size(megapixels: Sequence[float], repeats: int) -> dict[str, Any]:
    """Seconds per megapixel of the features and of a step of the reconstruction, for photos of 4:3."""
    import dataclasses

    from benchmark_stages import dnr_jax_stages, random_vgg19, synthetic_photo
    from dnr_jax.config import RetargetConfig

    config, weights = RetargetConfig(tolerance=0, reconstruct_steps=3, importance_percentile=1.0), random_vgg19()
    # Seams are not what is measured here: one of the deepest level goes, whatever the size.
    cost: dict[str, Any] = {"features": {}, "reconstruct_step": {}}
    for number in megapixels:
        height = 16 * round((number * 1e6 * 3 / 4) ** 0.5 / 16)
        size = (height, 16 * round(height * 4 / 3 / 16))
        side = dnr_jax_stages(synthetic_photo(size), (size[0], size[1] - 32), config, weights)
        exact = size[0] * size[1] / 1e6
        for stage, steps in (("features", 1), ("reconstruct", config.reconstruct_steps)):
            seconds = _alternate({"dnr_jax": side.run[stage]}, repeats)["dnr_jax"]
            name = "features" if stage == "features" else "reconstruct_step"
            cost[name][str(number)] = statistics.median(seconds) / steps / exact
        del side
    return {
        "seconds_per_megapixel": cost,
        "largest_over_smallest": {name: max(v.values()) / min(v.values()) for name, v in cost.items()},
        "environment": _environment(dataclasses.replace(config), None, None, repeats),
    }


def print_table(figures: dict[str, Any]) -> None:
    """The stages as a table: median seconds of each side, and dnr_jax's over the other's."""
    stages = figures["stages"]
    others = [name for name in (*OTHERS, "second_process") if any(name in values for values in stages.values())]
    columns = ["dnr_jax", *others]
    print(f"{'stage':18}" + "".join(f"{name:>24}" for name in columns))
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
        print(f"{stage:18}" + "".join(f"{cell:>24}" for cell in cells))
    print("median seconds ± half the spread (dnr_jax over the other); all_seams: 75 % by seams alone")
    for name, values in figures["parity"].items():
        print(f"parity with {name}: {'passed' if values['ok'] else 'FAILED'}")
    print(", ".join(f"{name} {value}" for name, value in figures["environment"].items()))


def _print_cost(figures: dict[str, Any]) -> None:
    for name, values in figures["seconds_per_megapixel"].items():
        shown = ", ".join(f"{number} MP {seconds:.3f}" for number, seconds in values.items())
        spread = figures["largest_over_smallest"][name]
        print(f"{name}, seconds per megapixel: {shown} (largest over smallest {spread:.2f})")


def _reference(weights: Any, config: Any, *, compiled: bool) -> Any:
    import jax
    import numpy as np
    import torch

    from torch_reference import Reference

    device = "cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu"
    params = {
        layer: {name: np.asarray(array) for name, array in arrays.items()}
        for layer, arrays in weights.network.params.items()
    }
    return Reference(
        params, preprocessing=weights.network.module.preprocessing, taps=config.taps, device=device, compile=compiled
    )


def _torch_parity(photo: Any, target: tuple[int, int], config: Any, weights: Any, reference: Any) -> dict[str, Any]:
    from parity import dnr_jax_outputs, parity, reference_outputs

    ours, importance = dnr_jax_outputs(photo, target, config, weights)
    return parity(ours, reference_outputs(reference, photo, target, config, importance))


def _size_parity(image: Any, target: tuple[int, int]) -> dict[str, Any]:
    """Another method cannot give the same picture: it must give one of the same size."""
    return {"ok": tuple(image.shape[:2]) == target, "compared": "size only: another method"}


def _alternate(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each run, in turns, after one of each to warm up."""
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            seconds[name].append(_seconds(run))
    return seconds


def _figures(seconds: dict[str, list[float]], told: dict[str, Any]) -> dict[str, Any]:
    medians = {name: statistics.median(runs) for name, runs in seconds.items()}
    ratios = {
        name: medians["dnr_jax"] / median if told[name]["ok"] else None
        for name, median in medians.items()
        if name != "dnr_jax"
    }
    return {**medians, "ratio": ratios, "spread": {name: [min(runs), max(runs)] for name, runs in seconds.items()}}


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _environment(config: Any, size: Any, target: Any, repeats: int) -> dict[str, Any]:
    import os
    from importlib import metadata

    import jax

    versions = {}
    for name in ("jax", "jaxlib", "torch", "seam-carving"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "device": jax.devices()[0].device_kind,
        "processors": os.cpu_count(),
        "size": size,
        "target": target,
        "steps": [config.reconstruct_steps, config.refine_steps],
        "precision": "float32",
        "repeats": repeats,
        "huge_pages": "hugetlb=1" in os.environ.get("GLIBC_TUNABLES", ""),
        **versions,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv))
