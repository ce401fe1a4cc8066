"""The figures about reconstruction and refinement: 1, 3, 8, and 10 to 14."""

import itertools
from typing import Any

import jax.numpy as jnp
import numpy as np
import PIL.Image

from dnr_jax.config import RetargetConfig
from dnr_jax.inspection.drawing import most_moved, to_picture
from dnr_jax.networks.taps import Level
from dnr_jax.planning.passes import replay
from dnr_jax.result import Result
from figures.layout import Panel, Sheet
from figures.maps import map_picture
from figures.runs import THREE_TAPS, Studio

ITERATIONS = 120
"""How many steps a reconstruction takes from the scaled photo or noise, which need more than the seam-carved photo."""
RATES = (1.0, 4.0, 16.0)
"""The learning rates of Figure 11, in grey levels a step."""
LAMBDAS = ((1.0, 0.0, 0.0), (1.0, 0.1, 0.1), (1.0, 1.0, 1.0))
"""The loss weights of Figures 13 and 14, which the paper does not state."""
_ALONE: dict[str, Any] = {"taps": THREE_TAPS, "refine_steps": 0, "importance_percentile": 100.0}
"""The options of Sec. 4.3: three taps and no refinement; all seams go, so that figures show reconstruction alone."""
_ZOOMED = 192


def figure_1(studio: Studio) -> Sheet:
    """Figure 1: the photo, its carved feature maps, the scaled photo, and the iterations that start from it."""
    config = studio.config(snapshots=3, init="linear", reconstruct_steps=ITERATIONS)
    result = studio.dnr(0.75, config)
    panels = [Panel(studio.photo, "(a) input")]
    maps = _carved_maps(result, config)
    panels.append(Panel(maps[-2], f"(b) carved feature maps: importance at {config.taps[-2]}"))
    panels.append(Panel(to_picture(result.start), "(c) start: uniformly scaled"))
    panels += _iterations(result, "def")
    return Sheet("Figure 1: carved features and iterations of the reconstruction", [panels[:3], panels[3:]])


def figure_3(studio: Studio) -> Sheet:
    """Figure 3: feature maps, target feature maps, and snapshots up to the final output."""
    config = studio.config(snapshots=4, init="linear", reconstruct_steps=ITERATIONS)
    result = studio.dnr(0.75, config)
    features = [Panel(studio.photo, "input")]
    features += [
        Panel(map_picture(values, tap, studio.size), f"features: {tap}")
        for tap, values in zip(config.taps, result.importance, strict=True)
    ]
    targets = [
        Panel(picture, f"target features: {tap}")
        for tap, picture in zip(config.taps, _carved_maps(result, config), strict=True)
    ]
    snapshots = [Panel(to_picture(result.start), "start"), *_iterations(result)]
    final = [Panel(to_picture(result.refined), "refined"), Panel(to_picture(result.image), "output, after the warp")]
    if not result.warps:
        final = [Panel(to_picture(result.image), "output: refined, no warp needed")]
    return Sheet("Figure 3: overview of one retargeting to 75 % of the width", [features, targets, snapshots, final])


def figure_8(studio: Studio) -> Sheet:
    """Figure 8: six patches before and after the refinement, where it moved pixels most."""
    result = studio.dnr(0.75, studio.config())
    before, after = to_picture(result.reconstructed), to_picture(result.refined)
    side = max(8, min(64, min(before.shape[:2]) // 4))
    moved, whole, pairs = result.displacement.copy(), after.copy(), []
    for number in range(1, 7):
        patch = most_moved(moved, side)
        moved[patch] = 0
        pairs.append([Panel(_zoom(before[patch]), f"{number} before"), Panel(_zoom(after[patch]), f"{number} after")])
        whole[patch][[0, -1]] = whole[patch][:, [0, -1]] = (255, 225, 60)
    rows = [[*pairs[row], *pairs[row + 1]] for row in (0, 2, 4)]
    longest = float(np.hypot(result.displacement[..., 0], result.displacement[..., 1]).max())
    caption = f"the six patches, where pixels moved most (by at most {longest:.3g} pixels)"
    return Sheet("Figure 8: before and after the refinement", [*rows, [Panel(whole, caption)]])


def figure_10(studio: Studio) -> Sheet:
    """Figure 10: the same seams taken from the pixels and from the features, whole and where the two differ most."""
    carved = studio.operator("deep_sc", 0.75)
    result = studio.dnr(0.75, studio.config(importance_percentile=100.0))
    patch = most_moved(_difference(carved, result.image), _patch_side(carved))
    whole = [
        Panel(studio.photo, "input"),
        Panel(carved, "(a) seams taken from the photo"),
        Panel(result.image, "(b) DNR: taken from the features"),
    ]
    parts = [Panel(_zoom(carved[patch]), "(a), where they differ most"), Panel(_zoom(result.image[patch]), "(b)")]
    return Sheet("Figure 10: image space and feature space, all seams, 75 % of the width", [whole, parts])


def figure_11(studio: Studio) -> Sheet:
    """Figure 11: starts and learning rates in rows, iterations in columns; the lowest loss of each start is framed."""
    rows = []
    for letter, init in zip("abc", ("noise", "linear", "seam"), strict=True):
        block: list[list[tuple[np.ndarray, str, float]]] = []
        for rate in RATES:
            config = studio.config(
                snapshots=4,
                init=init,
                rate_schedule="constant",
                reconstruct_rate=rate,
                reconstruct_steps=ITERATIONS,
                **_ALONE,
            )
            result = studio.dnr(0.75, config)
            losses = result.record["reconstruction"]["losses"]
            block.append(
                [
                    (
                        to_picture(image),
                        f"({letter}) {init}, rate {rate:g}, step {step}: loss {losses[step]:.4g}",
                        losses[step],
                    )
                    for step, image in result.snapshots
                ]
            )
        least = min(loss for _, _, loss in itertools.chain(*block))
        rows += [[Panel(image, label, loss == least) for image, label, loss in row] for row in block]
    title = "Figure 11: starts, learning rates and iterations; framed: the lowest loss of each start"
    return Sheet(title, rows)


def figure_12(studio: Studio) -> Sheet:
    """Figure 12: reconstruction from the deepest of three layers alone."""
    panels = [Panel(studio.photo, "(a) input")]
    for letter, init in (("b", "linear"), ("c", "seam")):
        result = studio.dnr(0.75, _deep_config(studio, init, (0.0, 0.0, 1.0)))
        panels.append(Panel(result.image, f"({letter}) from the {_START[init]}, {_loss_fall(result)}"))
    return Sheet(f"Figure 12: reconstruction from {THREE_TAPS[-1]} alone, 75 % of the width", [panels])


def figure_13(studio: Studio) -> Sheet:
    """Figure 13: loss weights of deeper layers, from the seam-carved photo."""
    return _lambdas(studio, "seam", "Figure 13")


def figure_14(studio: Studio) -> Sheet:
    """Figure 14: loss weights of deeper layers, from the scaled photo."""
    return _lambdas(studio, "linear", "Figure 14")


_START = {"linear": "scaled photo", "seam": "seam-carved photo"}


def _lambdas(studio: Studio, init: str, name: str) -> Sheet:
    results = [studio.dnr(0.75, _deep_config(studio, init, weights)) for weights in LAMBDAS]
    # The patch is where the deep layers make most difference.
    patch = most_moved(_difference(results[0].image, results[-1].image), _patch_side(results[0].image))
    whole = [
        Panel(result.image, f"({letter}) lambda {', '.join(f'{weight:g}' for weight in weights)}")
        for letter, weights, result in zip("abc", LAMBDAS, results, strict=True)
    ]
    start = to_picture(results[0].start)
    parts = [Panel(_zoom(start[patch]), "(d) the start")]
    parts += [Panel(_zoom(result.image[patch]), f"({letter})") for letter, result in zip("abc", results, strict=True)]
    title = f"{name}: loss weights of {', '.join(THREE_TAPS)}, from the {_START[init]}"
    return Sheet(title, [[Panel(studio.photo, "input"), *whole], parts])


def _deep_config(studio: Studio, init: str, loss_weights: tuple[float, ...]) -> RetargetConfig:
    steps = {"reconstruct_steps": ITERATIONS} if init == "linear" else {}
    return studio.config(init=init, loss_weights=loss_weights, **_ALONE, **steps)


def _loss_fall(result: Result) -> str:
    losses = result.record["reconstruction"]["losses"]
    return f"loss {losses[0]:.4g} to {losses[-1]:.4g} in {len(losses) - 1} steps"


def _iterations(result: Result, letters: str = "") -> list[Panel]:
    names = [f"({letter}) " for letter in letters] or [""] * len(result.snapshots)
    return [
        Panel(to_picture(image), f"{name}after {step} steps")
        for name, (step, image) in zip(names, result.snapshots, strict=True)
    ]


def _carved_maps(result: Result, config: RetargetConfig) -> list[np.ndarray]:
    """The importance of each tap after the seams, in colour, at the intermediate size."""
    mid = result.reconstructed.shape[:2]
    size = (mid[0], mid[1])
    maps = []
    for level, (tap, values) in enumerate(zip(config.taps, result.importance, strict=True)):
        carved = replay(list(result.passes), jnp.asarray(values), level, config)
        height, width = Level(tap).size(size)
        maps.append(map_picture(np.asarray(carved)[:height, :width], tap, size))
    return maps


def _difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How far two pictures are apart, in the two channels that `most_moved` sums up, float32 [H, W, 2]."""
    apart = np.abs(one.astype(np.float32) - other.astype(np.float32)).sum(-1)
    return np.stack([apart, np.zeros_like(apart)], -1)


def _patch_side(picture: np.ndarray) -> int:
    return max(8, min(96, min(picture.shape[:2]) // 3))


def _zoom(patch: np.ndarray) -> np.ndarray:
    """A patch enlarged by whole pixels."""
    factor = max(1, _ZOOMED // max(patch.shape[:2]))
    size = (patch.shape[1] * factor, patch.shape[0] * factor)
    return np.asarray(PIL.Image.fromarray(patch).resize(size, PIL.Image.Resampling.NEAREST))
