"""Cropping and uniform scaling: the two operators that look at no pixel's neighbourhood."""

import numpy as np
from jaxtyping import Float, Float32

from dnr_jax.baselines import Context
from dnr_jax.networks.network import Network
from dnr_jax.networks.taps import Level
from dnr_jax.photos.scaling import scale_pixels
from dnr_jax.planning.importance import aggregate, analyse


def scale(
    image: Float32[np.ndarray, "_ _ c"], target: tuple[int, int], context: Context
) -> Float32[np.ndarray, "_ _ c"]:
    """Scales both sides uniformly: bicubic, with the filter widened where the photo shrinks; see `Baseline`."""
    return scale_pixels(image.copy(), target)


def crop(
    image: Float32[np.ndarray, "_ _ c"], target: tuple[int, int], context: Context
) -> Float32[np.ndarray, "_ _ c"]:
    """Cuts out the window of the target's size that holds most importance; see `Baseline`.

    Importance is the sum over taps of the network's maps (Eq. 1), each divided by its mean. RetargetMe's crops were
    chosen by hand. Where a side grows, the window is the largest of the target's aspect, and is scaled uniformly.
    """
    size = (image.shape[0], image.shape[1])
    window = window_size(size, target)
    top, left = best_window(photo_importance(image, context), window)
    return scale_pixels(image[top : top + window[0], left : left + window[1]].copy(), target)


def photo_importance(image: Float32[np.ndarray, "h w _"], context: Context) -> Float32[np.ndarray, "h w"]:
    """The normalised sum of the network's importance maps of a photo, float32 [H, W].

    Raises:
      ValueError: a photo smaller than a neuron of the deepest tap, or taps that the network lacks.
    """
    taps = context.config.taps
    network, size = check_photo(image, taps, context)
    maps = analyse(network, image[..., :3], taps, ()).importance
    return np.asarray(aggregate(maps, size, taps=taps, shape=size))


def check_photo(image: np.ndarray, taps: tuple[str, ...], context: Context) -> tuple[Network, tuple[int, int]]:
    """The context's network and the photo's (height, width), where the network serves both taps and photo.

    Raises:
      ValueError: it does not.
    """
    assert context.network is not None
    (height, width), least = image.shape[:2], Level(taps[-1]).stride
    if min(height, width) < least:
        raise ValueError(f"the photo is {width}x{height} pixels: tap {taps[-1]} needs at least {least} on both sides")
    context.network.check_taps(taps)
    return context.network, (height, width)


def window_size(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """The (height, width) to cut out: the target, or where that is too large the largest window of its aspect."""
    factor = max(1.0, *(wanted / has for wanted, has in zip(target, size, strict=True)))
    return (min(size[0], max(1, round(target[0] / factor))), min(size[1], max(1, round(target[1] / factor))))


def best_window(importance: Float[np.ndarray, "h w"], window: tuple[int, int]) -> tuple[int, int]:
    """The (top, left) of the window of most summed importance.

    Among windows within a millionth of the best, the one whose centre is nearest to the photo's is taken (then the
    topmost, then the leftmost): where nothing stands out a crop keeps the middle.

    Args:
      importance: float [H, W].
      window: (height, width), at most the map's.
    """
    sums = np.zeros((importance.shape[0] + 1, importance.shape[1] + 1))
    sums[1:, 1:] = importance.astype(np.float64).cumsum(0).cumsum(1)
    height, width = window
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    rows, columns = np.mgrid[: inside.shape[0], : inside.shape[1]]
    off = np.hypot(rows - (inside.shape[0] - 1) / 2, columns - (inside.shape[1] - 1) / 2)
    good = inside >= inside.max() - 1e-6 * max(1e-30, abs(inside.max()))
    best = np.argmin(np.where(good, off, np.inf))
    return int(best // inside.shape[1]), int(best % inside.shape[1])
