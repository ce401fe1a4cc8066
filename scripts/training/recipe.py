"""The options of training, as one frozen dataclass, and the recipes that have names."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """The options of a training run; they, the seed and the photos decide its result.

    Attributes:
      widths: how many channels blocks 2 to 5 learn.
      dilations: the dilation of each layer of blocks 4 and 5.
      contrast: whether blocks 4 and 5 get the analytic network's contrast channels.
      contrast_gain: the factor by which the same channels join the learned ones in the exported network's last taps.
      centred_labels: whether the barrier distance in labels is weighted towards the photo's centre.
      analytic_labels: whether the analytic network's importance is averaged into the labels.
      sides: the sides of the square crops, in pixels.
      batches: how many photos a step has, for each side.
      chances: how often each side is drawn; they sum to 1.
      least_area: the least area of a crop, as a share of its photo.
      steps: how many steps the run has.
      warm_up: over how many steps the learning rate rises.
      rate: the highest learning rate.
      decay: the weight decay of kernels.
      average: how much of the averaged weights stays at each step; 0 takes the last weights.
      statistics_batches: over how many batches the batch-norm statistics of the averaged weights are taken.
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
    """The recipe of a name.

    Args:
      name: the name.
      steps: a number of steps to take in place of the recipe's own; None for its own.

    Raises:
      ValueError: there is no recipe of that name.
    """
    if name not in RECIPES:
        raise ValueError(f"recipe is {name!r}: choose {' or '.join(RECIPES)}")
    return RECIPES[name] if steps is None else dataclasses.replace(RECIPES[name], steps=steps)
