"""What retargeting does to faces that were drawn by hand: how far their proportions change.

A face is its box. It is carried along the exact map of this package's plan; of other methods' results the map is
estimated from their pixels.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from dnr_jax.config import RetargetConfig
from dnr_jax.inputs import check_image
from dnr_jax.metrics import Registration, object_aspect_distortion
from dnr_jax.networks.network import Network
from dnr_jax.planning.masks import NO_MASKS
from dnr_jax.planning.passes import replay
from dnr_jax.planning.plan import Plan, apply_warps, lay_groundwork, plan_target
from dnr_jax.rendering.render import crop, places
from dnr_jax.sight import look_at


def plan_all(
    photo: np.ndarray, targets: Sequence[tuple[int, int]], config: RetargetConfig, network: Network
) -> list[Plan]:
    """The plans of a photo, uint8 [H, W, 3], for several targets, (height, width) each; nothing is rendered."""
    size = (photo.shape[0], photo.shape[1])
    config = config.resolve(size)
    pixels, _ = check_image(photo, config)
    sight, importance = look_at([pixels], size, config, network, NO_MASKS)
    salience = None if sight is None else jnp.asarray(sight.salience)
    ground = lay_groundwork(importance, size, config, photo=pixels, salience=salience)
    return [plan_target(ground, target, config) for target in targets]


def plan_map(plan: Plan, config: RetargetConfig) -> Registration:
    """Where the pixels of a plan's result come from in the photo; what the sampler moves, below a pixel, is left out.

    Args:
      plan: the plan.
      config: the options that it was made with.
    """
    shape = plan.importance[0].shape
    carved = replay(plan.passes, places((shape[0], shape[1])), 0, config.resolve(plan.size), shape=plan.canvas)
    rows, columns = np.moveaxis(crop(apply_warps(carved, plan), plan.target), -1, 0)
    return Registration(rows, columns)


def face_distortions(
    faces: Sequence[Sequence[float]], size: tuple[int, int], registration: Registration
) -> list[float]:
    """The distortion of each face, as `dnr_jax.metrics.object_aspect_distortion` has it.

    Args:
      faces: boxes (top, left, bottom, right) in pixels of the photo.
      size: the photo's (height, width).
      registration: where the pixels of the result come from.
    """
    found = []
    for face in faces:
        top, left, bottom, right = (round(edge) for edge in face)
        mask = np.zeros((1, *size), bool)
        mask[0, max(top, 0) : bottom, max(left, 0) : right] = True
        found.append(object_aspect_distortion(mask, registration))
    return found
