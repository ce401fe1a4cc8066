# pyright: reportMissingImports=false
"""VGG19, the feature loss (Eq. 4) and Adam in PyTorch, for `torch_reference`, without importing dnr_jax."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from torch_reference.warp import sample

LAYERS = tuple(
    f"block{block}_{layer}"
    for block, convs in enumerate((2, 2, 4, 4, 4), 1)
    for layer in (*(f"conv{n}" for n in range(1, convs + 1)), "pool")
)
"""The layers of VGG19, shallow to deep, by their Keras names."""
Params = Mapping[str, Mapping[str, Any]]
_PATIENCE = 10


def stride(tap: str) -> int:
    """How many pixels a neuron of a tap spans along one side."""
    return 2 ** sum(layer.endswith("pool") for layer in LAYERS[: LAYERS.index(tap) + 1])


class VGG19(torch.nn.Module):
    """VGG19's convolutional blocks with frozen weights, evaluated no further than the deepest tap.

    Args:
      params: {layer: {"kernel": float32 [3, 3, in, out], "bias": float32 [out]}}, Keras names.
      preprocessing: (order, scale, mean, std): the network sees `(image[order] * scale - mean) / std`.
    """

    gain: Tensor
    offset: Tensor

    def __init__(self, params: Params, preprocessing: Sequence[Any]) -> None:
        super().__init__()
        order, factor, mean, std = preprocessing
        step = -1 if order == "bgr" else 1  # The first kernel is turned to RGB, rather than every image to BGR.
        for layer, arrays in params.items():
            kernel = np.asarray(arrays["kernel"], np.float32)[:, :, :: step if layer == LAYERS[0] else 1]
            conv = torch.nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1)
            conv.weight = torch.nn.Parameter(torch.from_numpy(np.array(kernel.transpose(3, 2, 0, 1), order="C")))
            conv.bias = torch.nn.Parameter(torch.from_numpy(np.array(arrays["bias"], np.float32)))
            self.add_module(layer, conv)
        means, stds = (torch.tensor(x[::step], dtype=torch.float32).view(1, 3, 1, 1) for x in (mean, std))
        self.register_buffer("gain", factor / stds)
        self.register_buffer("offset", -means / stds)
        self.requires_grad_(False)

    def forward(self, image: Tensor, taps: tuple[str, ...]) -> dict[str, Tensor]:
        """The activations of `taps`, float32 [1, C, H // stride, W // stride], for an image [1, 3, H, W]."""
        x, activations = image * self.gain + self.offset, {}
        for layer in LAYERS[: max(LAYERS.index(tap) for tap in taps) + 1]:
            x = F.max_pool2d(x, 2) if layer.endswith("pool") else F.relu_(self.get_submodule(layer)(x))
            if layer in taps:
                activations[layer] = x
        return activations


def feature_loss(
    network: VGG19, image: Tensor, targets: dict[str, Tensor], kind: str, weights: tuple[float, ...]
) -> Tensor:
    """`sum_l lambda_l ||F_l(O) - F'_l||_2` (Eq. 4), or with kind "squared" the sum of squared norms.

    Args:
      network: the network whose features are compared.
      image: the image O, float32 [1, 3, H, W].
      targets: the target features F'_l by tap, float32 [1, C, h_l, w_l].
      kind: "norm" or "squared".
      weights: the lambda of each of `targets`, in their order.
    """
    activations, total = network(image, tuple(targets)), torch.zeros((), device=image.device)
    for (tap, target), weight in zip(targets.items(), weights, strict=True):
        # Not torch.linalg.vector_norm, whose float32 sum over millions of elements is off in the fourth digit.
        squares = F.mse_loss(activations[tap], target, reduction="sum")
        total = total + weight * (squares if kind == "squared" else _root(squares))
    return total


def sampled_feature_loss(
    network: VGG19,
    displacement: Tensor,
    image: Tensor,
    targets: dict[str, Tensor],
    kind: str,
    weights: tuple[float, ...],
    memory_format: torch.memory_format,
) -> Tensor:
    """The loss of `sample(image, displacement)`, for an image [H, W, 3] and displacements [H, W, 2] in pixels."""
    planes = sample(image, displacement).permute(2, 0, 1)[None].contiguous(memory_format=memory_format)
    return feature_loss(network, planes, targets, kind, weights)


def _root(squares: Tensor) -> Tensor:
    """The square root, with a gradient of 0 at 0; what is not a number stays so."""
    zero = squares == 0
    return torch.where(zero, 0, torch.where(zero, 1, squares).sqrt())


def minimise(
    objective: Callable[[Tensor], Tensor],
    start: Tensor,
    *,
    steps: int,
    rate: float,
    cosine: bool,
    tolerance: float,
    bounds: tuple[float, float] | None,
    stage: str,
) -> tuple[Tensor, np.ndarray]:
    """Minimises a scalar function by Adam from `start`, which it overwrites.

    Step t has the rate `rate * (1 + cos(pi * t / steps)) / 2`, or `rate`. With a tolerance above 0 it stops when the
    losses of the last eleven steps are within that share of each other, which reads the loss on the host; with 0 the
    device is not waited for before the end.

    Returns:
      The last value, and the losses before each step and at the end, float32 [steps run + 1].

    Raises:
      FloatingPointError: a loss that is not finite.
    """
    value = start.requires_grad_()
    losses = torch.empty(steps + 1, device=start.device)
    adam = torch.optim.Adam([value], lr=rate, eps=1e-8, fused=True)
    done = 0
    for done in range(1, steps + 1):
        loss = objective(value)
        (value.grad,) = torch.autograd.grad(loss, value)
        losses[done - 1] = loss.detach()
        if cosine:
            adam.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * (done - 1) / steps))
        adam.step()
        if bounds is not None:
            value.detach().clamp_(*bounds)
        if tolerance > 0 and done > _PATIENCE and _settled(losses[done - 1 - _PATIENCE : done], tolerance):
            break
    with torch.no_grad():
        losses[done] = objective(value)
    host = losses[: done + 1].cpu().numpy()
    if not np.isfinite(host).all():
        step = int(np.flatnonzero(~np.isfinite(host))[0])
        raise FloatingPointError(f"the loss of the {stage} is {host[step]} at step {step}: lower its rate")
    return value.detach(), host


def _settled(recent: Tensor, tolerance: float) -> bool:
    return bool(recent.max() - recent.min() <= tolerance * recent.max())
