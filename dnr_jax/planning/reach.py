"""How far seams may lead. Plain Python, so that jobs can be planned without JAX."""

from dnr_jax.config import RetargetConfig


def seam_target(size: tuple[int, int], target: tuple[int, int], config: RetargetConfig) -> tuple[int, int]:
    """The (height, width) that seams may lead to.

    With the proportional warp, what both sides shrink or grow by is left to it, because plain scaling damages nothing.

    Example:
      >>> seam_target((400, 600), (200, 150), RetargetConfig())
      (400, 300)
      >>> seam_target((400, 600), (200, 150), RetargetConfig(warp="grid"))
      (200, 150)
    """
    if config.warp != "proportional":
        return target
    ratios = [wanted / has for wanted, has in zip(target, size, strict=True)]
    scale = min(max(1.0, min(ratios)), max(ratios))
    height, width = (max(1, round(wanted / scale)) for wanted in target)
    return height, width
