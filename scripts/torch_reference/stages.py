# pyright: reportMissingImports=false
"""The stages of the method in PyTorch, for `torch_reference`, one method each, so that each can be timed by itself.

On CUDA, none but `seams`, early stopping, the end of an optimisation and the warp's plan wait for the device. Photos
are float32 [H, W, 3], RGB in [0, 255].

Memory format, by processor time on a CPU: for the feature pass channels_last is clearly the faster one; for loss and
gradient the two are level in eager mode, and channels_last is a little ahead under torch.compile. It is the default.
`compile=True` runs the feature pass and loss and gradient through torch.compile: a large gain for loss and gradient, in
either format, and for the feature pass only in the contiguous one.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torch_reference.network import VGG19, Params, feature_loss, minimise, sampled_feature_loss, stride
from torch_reference.seams import SeamPlan, plan_seams
from torch_reference.warp import grid_warp, scale

DEFAULT_TAPS = ("block1_conv2", "block2_conv2", "block3_conv4", "block4_conv4", "block5_pool")


class Stages:
    """The stages on one device, with one network and one choice of levels.

    Args:
      params: the parameters of `VGG19`; layers past the deepest tap may be missing.
      preprocessing: the preprocessing of `VGG19`.
      taps: the taps of the levels, shallow to deep.
      device: the device, "cpu", "cuda" or a torch.device.
      channels_last: whether features lie in memory with channels last rather than first (contiguous).
      compile: whether torch.compile compiles the feature pass and loss and gradient; True, or one of its modes.
      tf32: whether CUDA's convolutions may round their inputs to TF32.
    """

    def __init__(
        self,
        params: Params,
        *,
        preprocessing: Sequence[Any],
        taps: Sequence[str] = DEFAULT_TAPS,
        device: str | torch.device = "cpu",
        channels_last: bool = True,
        compile: bool | str = False,
        tf32: bool = False,
    ) -> None:
        self.taps, self.device, self.tf32 = tuple(taps), torch.device(device), tf32
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.network = VGG19(params, preprocessing).to(self.device)
        self.network.to(memory_format=self.format)  # pyright: ignore[reportCallIssue] (missing in torch's stubs)
        self._network: Callable[..., dict[str, Tensor]] = self.network
        self._loss, self._sampled_loss = feature_loss, sampled_feature_loss
        if compile:
            options: dict[str, Any] = {"dynamic": False, "mode": compile if isinstance(compile, str) else None}
            self._network = torch.compile(self.network, **options)
            self._loss = torch.compile(feature_loss, **options)
            self._sampled_loss = torch.compile(sampled_feature_loss, **options)

    @torch.no_grad()
    def features(self, image: np.ndarray | Tensor, taps: Sequence[str] | None = None) -> dict[str, Tensor]:
        """The features F_l of `taps` (None for those of all levels), float32 [1, C, H // stride, W // stride]."""
        with self._convolutions():
            return self._network(self._planes(image), tuple(taps or self.taps))

    @torch.no_grad()
    def importance(self, features: Mapping[str, Tensor]) -> list[Tensor]:
        """The importance S_l of each level (Eq. 1), the norm over channels, float32 [h_l, w_l]."""
        return [torch.linalg.vector_norm(features[tap][0], dim=0) for tap in self.taps]

    def seams(
        self,
        importance: Sequence[Tensor | np.ndarray],
        size: tuple[int, int],
        target: tuple[int, int],
        *,
        percentile: float = 20.0,
        alpha: float = 0.5,
        region: str = "projected",
    ) -> SeamPlan:
        """Finds the seams of every level; the arguments and the result are those of `plan_seams`."""
        maps = [self._tensor(m) for m in importance]
        return plan_seams(maps, self.taps, size, target, percentile=percentile, alpha=alpha, region=region)

    @torch.no_grad()
    def gather(
        self,
        features: Mapping[str, Tensor],
        image: np.ndarray | Tensor,
        plan: SeamPlan,
        taps: Sequence[str] | None = None,
        *,
        init: str = "seam",
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Gathers the target features F'_l of the taps of the loss, and the image to start from.

        Args:
          features: the features of these taps, as `features` gives them.
          image: the photo, [H, W, 3].
          plan: the seams.
          taps: the taps of the loss; None for the first one alone.
          init: the image to start from: "seam" for the photo carved at the first level, "linear" for the photo scaled
            uniformly.
        """
        targets = {}
        for tap in taps or self.taps[:1]:
            targets[tap] = self._take(features[tap], plan.positions[self.taps.index(tap)])
        planes = self._planes(image)
        if init == "seam" and stride(self.taps[0]) == 1:
            return targets, _pixels(self._take(planes, plan.positions[0]))
        if init != "linear":
            raise ValueError(f"init is {init!r}: choose linear, or seam where the first tap has full resolution")
        return targets, _pixels(scale(planes, plan.mid))

    def loss_gradient(
        self,
        image: np.ndarray | Tensor,
        targets: Mapping[str, Tensor],
        *,
        loss: str = "norm",
        loss_weights: Sequence[float] = (1.0,),
    ) -> tuple[Tensor, Tensor]:
        """The loss of an image (Eq. 4), and its gradient, [H, W, 3]; takes the arguments that `reconstruct` takes."""
        value = self._planes(image).clone(memory_format=self.format).requires_grad_()
        with self._convolutions():
            total = self._loss(self.network, value, dict(targets), loss, tuple(loss_weights))
            (gradient,) = torch.autograd.grad(total, value)
        return total.detach(), _pixels(gradient)

    def refinement_gradient(
        self,
        image: np.ndarray | Tensor,
        displacement: np.ndarray | Tensor,
        targets: Mapping[str, Tensor],
        *,
        loss: str = "norm",
        loss_weights: Sequence[float] = (1.0,),
    ) -> tuple[Tensor, Tensor]:
        """The loss of the sampled image, and its gradient with respect to the displacements, [H, W, 2]."""
        value = self._tensor(displacement).clone().requires_grad_()
        with self._convolutions():
            source, weights = self._tensor(image).contiguous(), tuple(loss_weights)
            total = self._sampled_loss(self.network, value, source, dict(targets), loss, weights, self.format)
            (gradient,) = torch.autograd.grad(total, value)
        return total.detach(), gradient

    def reconstruct(
        self,
        start: np.ndarray | Tensor,
        targets: Mapping[str, Tensor],
        *,
        steps: int = 40,
        rate: float = 4.0,
        cosine: bool = True,
        tolerance: float = 1e-3,
        loss: str = "norm",
        loss_weights: Sequence[float] = (1.0,),
    ) -> tuple[Tensor, np.ndarray]:
        """Minimises Eq. 4 by Adam from `start`, [H, W, 3], which stays in [0, 255].

        Args:
          start: the first image.
          targets: the target features F'_l, by tap.
          steps: how many steps are taken at most.
          rate: the learning rate of Adam, in grey levels a step.
          cosine: whether the rate falls to 0 along a half cosine.
          tolerance: the optimisation stops once the losses of eleven steps are within this share of each other; with 0
            it never does, and the device is not waited for before the end.
          loss: "norm" or "squared".
          loss_weights: the lambda of each of `targets`, in their order.

        Returns:
          The image [H, W, 3] and the losses, float32 [steps run + 1].
        """
        fixed, weights = dict(targets), tuple(loss_weights)
        with self._convolutions():
            value, losses = minimise(
                lambda image: self._loss(self.network, image, fixed, loss, weights),
                self._planes(start).clone(memory_format=self.format),
                steps=steps,
                rate=rate,
                cosine=cosine,
                tolerance=tolerance,
                bounds=(0.0, 255.0),
                stage="reconstruction",
            )
        return _pixels(value), losses

    def refine(
        self,
        image: np.ndarray | Tensor,
        targets: Mapping[str, Tensor],
        *,
        steps: int = 20,
        rate: float = 0.01,
        cosine: bool = True,
        tolerance: float = 1e-3,
        loss: str = "norm",
        loss_weights: Sequence[float] = (1.0,),
    ) -> tuple[Tensor, np.ndarray]:
        """Minimises the loss of the sampled image over displacements, [H, W, 2] in pixels, which begin at 0.

        The arguments and the result are those of `reconstruct`, with displacements in place of the image.
        """
        fixed, weights, source = dict(targets), tuple(loss_weights), self._tensor(image).contiguous()
        with self._convolutions():
            return minimise(
                lambda shift: self._sampled_loss(self.network, shift, source, fixed, loss, weights, self.format),
                torch.zeros(*source.shape[:2], 2, device=self.device),
                steps=steps,
                rate=rate,
                cosine=cosine,
                tolerance=tolerance,
                bounds=None,
                stage="refinement",
            )

    @torch.no_grad()
    def warp(self, image: np.ndarray | Tensor, plan: SeamPlan, *, cell: int = 16) -> Tensor:
        """Warps an image, [H_mid, W_mid, C], by what the seams left to do, to [H', W', C] (Eq. 3)."""
        planes = self._tensor(image).permute(2, 0, 1)[None]
        return _pixels(grid_warp(planes, plan.maps, [stride(tap) for tap in self.taps], plan.target, cell))

    def _tensor(self, array: np.ndarray | Tensor) -> Tensor:
        if isinstance(array, np.ndarray) and not array.flags.writeable:
            array = array.copy()  # torch cannot mark a tensor as read-only.
        return torch.as_tensor(array, device=self.device).to(torch.float32)

    def _planes(self, image: np.ndarray | Tensor) -> Tensor:
        """An image [H, W, 3] as [1, 3, H, W], in the memory format of the features."""
        return self._tensor(image).permute(2, 0, 1)[None].contiguous(memory_format=self.format)

    def _take(self, features: Tensor, positions: Tensor) -> Tensor:
        """Features [1, C, h, w] at flat positions [h', w'], in their memory format."""
        height, width = positions.shape
        if self.format == torch.channels_last:
            rows = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
            return rows.index_select(0, positions.flatten()).view(1, height, width, -1).permute(0, 3, 1, 2)
        return features.flatten(2).index_select(2, positions.flatten()).view(1, -1, height, width)

    @contextlib.contextmanager
    def _convolutions(self) -> Iterator[None]:
        """Lets cuDNN choose by measuring, and sets its precision, for as long as a stage runs."""
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=self.tf32):
            yield


def _pixels(planes: Tensor) -> Tensor:
    """An array [1, C, H, W] as [H, W, C]."""
    return planes[0].permute(1, 2, 0)
