"""Makes the maps that the method goes by at its defaults: salience, objects, and importance joined with them."""

from collections.abc import Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import PIL.Image

from dnr_jax.config import RetargetConfig
from dnr_jax.networks.network import Network
from dnr_jax.padding import pad, traced_size
from dnr_jax.planning.masks import NO_MASKS
from dnr_jax.planning.objects import object_level, object_map, weigh_importance
from dnr_jax.shapes import bucket_shape
from dnr_jax.sight import look_at

SIDE = 512
"""The longer side of the photos in pixels, at which the map of objects has a cell for 8 pixels."""


def see_objects(path: Path, networks: Mapping[str, Network]) -> dict[str, np.ndarray]:
    """Makes the maps of one photo, float32 of different shapes, each of the whole photo.

    Args:
      path: the photo's file.
      networks: feature networks, by label.

    Returns:
      By name: "salience" is what the salience network sees; for each label, "objects, LABEL" is what the proportional
      warp goes by, and "deepest with objects, LABEL" is what the deepest seams are found on.
    """
    config = RetargetConfig(keep=("objects",))
    with PIL.Image.open(path) as file:
        photo = file.convert("RGB")
    photo.thumbnail((SIDE, SIDE), PIL.Image.Resampling.LANCZOS)
    size = (photo.height, photo.width)
    config = config.resolve(size)
    pixels = jnp.asarray(pad(np.asarray(photo, np.float32), bucket_shape(size)))
    maps = {}
    for label, network in networks.items():
        sight, importance = look_at([pixels], size, config, network, NO_MASKS)
        assert sight is not None
        valid = traced_size(size)
        objects = object_map(importance, jnp.asarray(sight.salience), valid, taps=config.taps)
        weighted = weigh_importance(importance, objects, jnp.float32(0), valid, taps=config.taps)
        maps["salience"] = sight.salience
        for name, values, level in (
            (f"objects, {label}", objects, object_level(config.taps)),
            (f"deepest with objects, {label}", weighted[-1], config.levels[-1]),
        ):
            height, width = level.size(size)
            maps[name] = np.asarray(values)[:height, :width]
    return maps
