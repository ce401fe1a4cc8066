"""The maps that seams are found on: importance with its priors, what masks add, and what damage is judged by."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32

from dnr_jax.arrays import Image, Maps, Number
from dnr_jax.config import RetargetConfig
from dnr_jax.padding import AnySize
from dnr_jax.planning.damage import look_of
from dnr_jax.planning.importance import percentile
from dnr_jax.planning.masks import mask_bias
from dnr_jax.planning.numbers import Numbers
from dnr_jax.planning.objects import object_level, object_map, weigh_importance
from dnr_jax.programs import program


class SeamMaps(NamedTuple):
    """What seams are found on; its valid part changes with every round of them.

    Attributes:
      maps: S_l of each tap with its priors, float32 [h_l, w_l].
      bias: what masks add to the costs, float32 [h_l, w_l]; None without masks.
      objects: what the warp goes by, float32 [h_l, w_l] in [0, 2] at `object_level`; None where it goes by the maps.
      look: what joints are judged by (`dnr_jax.planning.damage.look_of`), float32 [H, W, 4]; None where nothing is
        to be chosen, or no level has the photo's resolution.
    """

    maps: Maps
    bias: Maps | None = None
    objects: Float32[Array, "_ _"] | None = None
    look: Float32[Array, "_ _ 4"] | None = None

    def protected(self, taps: tuple[str, ...]) -> Bool[Array, "_ _"] | None:
        """What a mask protects, bool at `object_level`; None without masks."""
        return None if self.bias is None else self.bias[object_level(taps).number] > 0


@program(static_argnames=("config",))
def make_seam_maps(
    importance: Maps,
    photo: Image | None,
    salience: Float32[Array, "_ _"] | None,
    protect: Bool[Array, "_ _"] | None,
    remove: Bool[Array, "_ _"] | None,
    size: AnySize,
    numbers: Numbers,
    *,
    config: RetargetConfig,
) -> tuple[SeamMaps, Float32[Array, ""]]:
    """Puts together what is known of a photo before any seam goes.

    Args:
      importance: S_l of each tap, float32 [h_l, w_l], without priors; padded or not.
      photo: float32 [H, W, 3] in [0, 255]; without it what joints break is not counted.
      salience: float32 [h, w] in [0, 2], of any resolution, covering the photo; None for no such prior.
      protect: bool, of the shape of the first map, which has the photo's resolution; None for nothing.
      remove: bool, of the same shape; None for nothing.
      size: the valid (height, width) of the photo in pixels.
      numbers: traced options.
      config: static options; from `program_config`.

    Returns:
      The maps; and the most mean importance that a deepest seam may have, float32.
    """
    taps = config.taps
    objects = object_map(importance, salience, size, taps=taps)
    prior = None if salience is None else objects
    weighted = weigh_importance(importance, prior, numbers.centre_prior, size, taps=taps)
    bias = None
    if protect is not None or remove is not None:
        bias = mask_bias(weighted, protect, remove, size, taps=taps)
    judges = config.importance_percentile == "auto" and photo is not None and config.full_resolution
    look = look_of(photo, size) if judges and photo is not None else None
    threshold = importance_threshold(weighted[-1], numbers.percentile, size=config.levels[-1].size(size))
    return SeamMaps(weighted, bias, objects, look), threshold


def importance_threshold(
    deepest: Float32[Array, "h w"], q: Number, *, size: AnySize | None = None
) -> Float32[Array, ""]:
    """The most mean importance of a deepest seam: the q-th percentile of S_L, and no limit at all for 100.

    Args:
      deepest: S_L, float32 [h, w].
      q: from 0 to 100.
      size: the valid (height, width) of the map; None for all of it.
    """
    return jnp.where(jnp.asarray(q) < 100, percentile(deepest, q, size=size), jnp.inf)
