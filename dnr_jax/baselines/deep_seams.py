"""Image-space seam carving on deep importance: what DNR would be without reconstruction (the paper's Sec. 4.2).

The seams are those that DNR removes from its first level, guided by the deeper levels (Eq. 2), with no stop before the
target (importance_percentile 100); they are taken from, or inserted into, the photo itself. The result is what
`--init=seam` starts the reconstruction from. Compare it with DNR at `--importance_percentile=100` (Fig. 10).
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from dnr_jax.baselines import Context
from dnr_jax.baselines.scaling import check_photo
from dnr_jax.config import PAPER_GEOMETRY
from dnr_jax.planning.importance import analyse
from dnr_jax.planning.passes import replay
from dnr_jax.planning.plan import make_plan
from dnr_jax.rendering.render import crop


def deep_seam_carving(
    image: Float32[np.ndarray, "_ _ c"], target: tuple[int, int], context: Context
) -> Float32[np.ndarray, "_ _ c"]:
    """Seam carving on deep importance; see `Baseline`.

    Raises:
      ValueError: a photo too small for the taps, taps that the network lacks or none of full resolution.
    """
    config = dataclasses.replace(context.config, **{**PAPER_GEOMETRY, "importance_percentile": 100.0})
    if not config.full_resolution:
        raise ValueError(f"method deep_sc needs a full-resolution tap first, not {config.taps[0]}: add block1_conv2")
    network, size = check_photo(image, config.taps, context)
    importance = analyse(network, image[..., :3], config.taps, ()).importance
    plan = make_plan(importance, size, target, config)
    return crop(replay(plan.passes, jnp.asarray(image), 0, config), target)
