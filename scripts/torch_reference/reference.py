# pyright: reportMissingImports=false
"""The whole method in PyTorch, for CPU and CUDA: what the benchmark compares with, and an oracle for the tests.

It imports nothing from dnr_jax. The stages are in `stages`, the network, the loss and Adam in `network`, the seams in
`seams`, warp and sampler in `warp`. Narrowing only; no masks, no transparency, no start from noise.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from torch_reference.seams import SeamPlan
from torch_reference.stages import Stages
from torch_reference.warp import sample


class Retargeting(NamedTuple):
    """A retargeted photo and every stage on the way; images are float32 [H, W, 3] tensors.

    Attributes:
      image: the result, [H', W', 3]; a uint8 NumPy array for a uint8 photo.
      importance: the importance S_l of each tap, [h_l, w_l].
      plan: the seams and the sizes.
      targets: the target features F'_l of the taps of the loss, [1, C, h_l, w_l].
      start: the image that the reconstruction began with, [H_mid, W_mid, 3].
      reconstructed: the image that it ended with.
      losses: its loss before each step and after the last one.
      displacement: the displacements (dy, dx) of the sampler in pixels, [H_mid, W_mid, 2].
      refinement_losses: the refinement's loss before each step and after the last one.
      refined: the sampled image, before the warp.
    """

    image: np.ndarray | Tensor
    importance: list[Tensor]
    plan: SeamPlan
    targets: dict[str, Tensor]
    start: Tensor
    reconstructed: Tensor
    losses: np.ndarray
    displacement: Tensor
    refinement_losses: np.ndarray
    refined: Tensor


class Reference(Stages):
    """The method on one device; the arguments are those of `Stages`."""

    def retarget(
        self,
        image: np.ndarray,
        target: tuple[int, int],
        *,
        importance_percentile: float = 20.0,
        alpha: float = 0.5,
        region: str = "projected",
        init: str = "seam",
        loss: str = "norm",
        loss_weights: Sequence[float] = (1.0,),
        reconstruct_steps: int = 40,
        reconstruct_rate: float = 4.0,
        refine_steps: int = 20,
        refine_rate: float = 0.01,
        rate_schedule: str = "cosine",
        tolerance: float = 1e-3,
        warp_cell: int = 16,
    ) -> Retargeting:
        """Retargets one photo; the keyword options are those of `RetargetConfig`, by the same names.

        Args:
          image: the photo, uint8 or float [H, W, 3] in [0, 255].
          target: the (height, width) wanted, no side above the photo's.
        """
        photo = self._tensor(image)
        weighted = {t: w for t, w in zip(self.taps, loss_weights, strict=False) if w > 0}
        terms: dict[str, Any] = {"loss": loss, "loss_weights": tuple(weighted.values())}
        schedule: dict[str, Any] = {"cosine": rate_schedule == "cosine", "tolerance": tolerance}

        features = self.features(photo)
        importance = self.importance(features)
        plan = self.seams(
            importance,
            (photo.shape[0], photo.shape[1]),
            target,
            percentile=importance_percentile,
            alpha=alpha,
            region=region,
        )
        targets, start = self.gather(features, photo, plan, tuple(weighted), init=init)
        del features
        built, losses = self.reconstruct(
            start, targets, steps=reconstruct_steps, rate=reconstruct_rate, **schedule, **terms
        )
        shift, refinement_losses = self.refine(
            built, targets, steps=refine_steps, rate=refine_rate, **schedule, **terms
        )
        refined = sample(built, shift)
        warped = self.warp(refined, plan, cell=warp_cell).clamp(0, 255)
        result = warped.round().to(torch.uint8).cpu().numpy() if image.dtype == np.uint8 else warped
        return Retargeting(result, importance, plan, targets, start, built, losses, shift, refinement_losses, refined)
