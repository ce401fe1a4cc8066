"""Times every stage of a warm run, as ratios to one plain forward pass of the whole VGG19 measured in the same run.

  python scripts/benchmark.py --size=640x480 --width=75%

VGG19 has random, variance-preserving weights here: times do not depend on their values, results would.
"""

import json
import statistics
import sys
import time
from collections.abc import Sequence

from absl import flags


def main(argv: Sequence[str]) -> int:
    """Runs the benchmark; returns the exit code."""
    values = flags.FlagValues()
    flags.DEFINE_string("size", "640x480", "Photo size, WIDTHxHEIGHT.", flag_values=values)
    flags.DEFINE_string("width", "75%", "Target width, pixels or percent.", flag_values=values)
    flags.DEFINE_integer("repeats", 3, "Timed runs; medians are shown.", lower_bound=1, flag_values=values)
    flags.DEFINE_string("json", None, "File to write the figures to as well.", flag_values=values)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", flag_values=values)
    try:
        values(argv)
        if values["help"].value:
            print(f"{__doc__}\n{values.get_help(include_special_flags=False)}")
            return 0
        width, height = (int(n) for n in str(values["size"].value).split("x"))
    except (flags.Error, ValueError) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2
    figures = measure((height, width), str(values["width"].value), int(values["repeats"].value or 1))
    print(f"{'stage':24}{'embedded':>12}{'vgg19':>12}   times one forward pass of VGG19")
    for stage in figures["embedded"]:
        print(f"{stage:24}{figures['embedded'][stage]:12.2f}{figures['vgg19'][stage]:12.2f}")
    print(f"forward pass: {figures['forward_seconds']:.3f} s on {figures['device']}")
    if values["json"].value:
        from pathlib import Path

        Path(str(values["json"].value)).write_text(json.dumps(figures, indent=1))
    return 0


def measure(size: tuple[int, int], target_width: str, repeats: int) -> dict:
    """Median times of each stage for both networks, in forward passes of VGG19."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from dnr_jax.config import RetargetConfig
    from dnr_jax.network import Network
    from dnr_jax.pipeline import retarget
    from dnr_jax.sizes import parse_side
    from dnr_jax.taps import CONV_LAYERS
    from dnr_jax.vgg import VGG
    from dnr_jax.weights import Provenance, Weights, load_weights

    rng = np.random.default_rng(0)
    params, channels = {}, 3
    for layer in CONV_LAYERS:
        channels_out = VGG.widths[int(layer[5]) - 1]
        kernel = rng.normal(0, (2 / (9 * channels)) ** 0.5, (3, 3, channels, channels_out)).astype(np.float32)
        params[layer] = {"kernel": jnp.asarray(kernel), "bias": jnp.zeros(channels_out, jnp.float32)}
        channels = channels_out
    vgg19 = Weights(Network(params, VGG()), Provenance("vgg19-random", "random", "", ""))

    coarse = rng.uniform(0, 255, (size[0] // 16, size[1] // 16, 3))
    photo = np.clip(np.asarray(jax.image.resize(coarse, (*size, 3), "cubic")), 0, 255).astype(np.uint8)
    forward = jax.jit(lambda network, image: network.features(image, ("block5_pool",)))
    image = jnp.asarray(photo, jnp.float32)
    jax.block_until_ready(forward(vgg19.network, image))

    config = RetargetConfig(tolerance=0)
    target = (size[0], parse_side("width", target_width, size[1]))
    networks = {"embedded": load_weights("embedded"), "vgg19": vgg19}
    for weights in networks.values():
        retarget(photo, target, config, weights)
    passes, runs = [], {name: [] for name in networks}
    for _ in range(repeats):
        passes.append(_seconds(lambda: jax.block_until_ready(forward(vgg19.network, image))))
        for name, weights in networks.items():
            result = None

            def run(weights: Weights = weights) -> None:
                nonlocal result
                result = retarget(photo, target, config, weights)

            total = _seconds(run)
            assert result is not None
            seconds = result.record["seconds"]
            steps = result.record["reconstruction"]["steps"], result.record["refinement"]["steps"]
            runs[name].append(
                {
                    **seconds,
                    "reconstruction, a step": seconds["reconstruction"] / steps[0],
                    "refinement, a step": seconds["refinement"] / steps[1],
                    "end to end": total,
                }
            )
    one = statistics.median(passes)
    return {
        "forward_seconds": one,
        "device": jax.devices()[0].device_kind,
        **{
            name: {stage: statistics.median(run[stage] for run in stages) / one for stage in stages[0]}
            for name, stages in runs.items()
        },
    }


def _seconds(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main(sys.argv))
