"""What is trained and how: one frozen dataclass, and the recipes by name."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Options of a training run; everything that decides its result is here, in the seed and in the photos.

    Attributes:
      contrast: feed the analytic network's contrast channels to blocks 4 and 5.
      contrast_gain: times which the same channels join the learned ones in the exported network's last taps.
      centred_labels: weight the barrier distance to the photo's centre.
      analytic_labels: average the analytic network's importance into the labels.
      sides: of the square crops, in pixels.
      batches: photos in a step, for each side.
      chances: how often each side is drawn; they sum to 1.
      least_area: the smallest crop, as a share of its photo.
      average: of the weights over the steps, decay per step; 0 takes the last ones.
    """

    widths: tuple[int, ...] = (24, 48, 96, 96)
    dilations: tuple[tuple[int, ...], ...] = ((1, 2, 2, 1), (1, 2, 4, 1))
    contrast: bool = True
    contrast_gain: float = 0.0
    centred_labels: bool = False
    analytic_labels: bool = True
    sides: tuple[int, ...] = (192, 288, 416)
    batches: tuple[int, ...] = (12, 5, 3)
    chances: tuple[float, ...] = (0.45, 0.35, 0.2)
    least_area: float = 0.4
    steps: int = 1650
    warm_up: int = 150
    rate: float = 3e-3
    decay: float = 1e-3
    average: float = 0.0
    statistics_batches: int = 70


RECIPES = {
    "plain": Recipe(contrast=False, centred_labels=True, analytic_labels=False),
    "default": Recipe(
        widths=(8, 16, 32, 48),
        sides=(128, 256, 416),
        batches=(10, 3, 2),
        chances=(0.45, 0.35, 0.2),
        steps=1200,
        warm_up=50,
        rate=5e-3,
        average=0.99,
        contrast_gain=0.9,
    ),
}


def named_recipe(name: str, steps: int | None = None) -> Recipe:
    """A recipe by name, with another number of steps if given.

    Raises:
      ValueError: there is none of that name.
    """
    if name not in RECIPES:
        raise ValueError(f"recipe is {name!r}: choose {' or '.join(RECIPES)}")
    return RECIPES[name] if steps is None else dataclasses.replace(RECIPES[name], steps=steps)
