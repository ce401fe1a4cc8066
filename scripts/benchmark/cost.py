"""Measures how the cost grows with the size of the photo."""

import statistics
from collections.abc import Sequence
from typing import Any

from benchmark.timing import alternate, describe_environment, tell


def cost_of_size(megapixels: Sequence[float], repeats: int) -> dict[str, Any]:
    """Measures the seconds per megapixel of the features and of a step of the reconstruction, for photos of 4:3.

    Args:
      megapixels: the sizes of the photos, in millions of pixels.
      repeats: how often each is timed.
    """
    from benchmark.stages import dnr_jax_stages, random_vgg19, synthetic_photo
    from dnr_jax.config import PAPER_GEOMETRY, RetargetConfig

    geometry = {**PAPER_GEOMETRY, "importance_percentile": 1.0}
    config, weights = RetargetConfig(tolerance=0, reconstruct_steps=3, **geometry), random_vgg19()
    # Seams are not what is measured here: one of the deepest level goes, whatever the size.
    cost: dict[str, Any] = {"features": {}, "reconstruct_step": {}}
    for number in megapixels:
        tell(f"{number} megapixels")
        height = 16 * round((number * 1e6 * 3 / 4) ** 0.5 / 16)
        size = (height, 16 * round(height * 4 / 3 / 16))
        side = dnr_jax_stages(synthetic_photo(size), (size[0], size[1] - 32), config, weights)
        exact = size[0] * size[1] / 1e6
        for stage, steps in (("features", 1), ("reconstruct", config.reconstruct_steps)):
            seconds = alternate({"dnr_jax": side.run[stage]}, repeats)["dnr_jax"]
            name = "features" if stage == "features" else "reconstruct_step"
            cost[name][str(number)] = statistics.median(seconds) / steps / exact
        del side
    return {
        "seconds_per_megapixel": cost,
        "largest_over_smallest": {name: max(v.values()) / min(v.values()) for name, v in cost.items()},
        "environment": describe_environment(config, None, None, repeats),
    }


def print_cost(figures: dict[str, Any]) -> None:
    for name, values in figures["seconds_per_megapixel"].items():
        shown = ", ".join(f"{number} MP {seconds:.3f}" for number, seconds in values.items())
        spread = figures["largest_over_smallest"][name]
        print(f"{name}, seconds per megapixel: {shown} (largest over smallest {spread:.2f})")
