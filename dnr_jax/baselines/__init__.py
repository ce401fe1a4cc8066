"""The operators that DNR is compared with, each behind one signature: `METHODS[name](image, target, context)`.

Names are RetargetMe's where it has one (Rubinstein et al., "A Comparative Study of Image Retargeting", 2010). This
module imports no JAX, so that a command line can be checked before JAX is; an operator's own module is imported when
it is first called.
"""

import dataclasses
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from dnr_jax.config import RetargetConfig
from dnr_jax.program_limit import make_room
from dnr_jax.progress import Progress

if TYPE_CHECKING:
    from dnr_jax.networks.network import Network


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
    """What an operator may need besides the photo and the target.

    Attributes:
      network: the network whose importance or features are used, by the operators that say so alone.
      config: the options; `Method.options` names those that an operator looks at.
      progress: called as the long stages advance.
    """

    network: "Network | None" = None
    config: RetargetConfig = dataclasses.field(default_factory=RetargetConfig)
    progress: Progress | None = None

    def report(self, stage: str, done: int, most: int) -> None:
        """Tells whoever listens that `done` of `most` steps of a stage are done."""
        if self.progress is not None:
            self.progress(stage, done, most)


Baseline = Callable[[np.ndarray, tuple[int, int], Context], np.ndarray]
"""(image float32 [H, W, C] in [0, 255], (height, width), context) -> float32 [height, width, C].

The first three channels are RGB and decide what happens; further ones (opacity) follow the same mapping."""


@dataclasses.dataclass(frozen=True)
class Method:
    """One operator, callable.

    Attributes:
      name: what the command line calls it.
      home: module and function, "module:function".
      summary: one line for help texts.
      needs_network: whether its context must hold a network.
      options: the fields of `RetargetConfig` that it looks at.
    """

    name: str
    home: str
    summary: str
    needs_network: bool = False
    options: tuple[str, ...] = ()

    def __call__(self, image: np.ndarray, target: tuple[int, int], context: Context | None = None) -> np.ndarray:
        """Retargets one photo.

        Args:
          image: uint8 or float [H, W, 3], RGB in [0, 255]; or [H, W], grey; or [H, W, 4] with opacity in [0, 255].
          target: (height, width), each from 1 to four times the photo's.
          context: the network, the options and the progress that the operator may need.

        Returns:
          [height, width] with the channels of `image`; uint8 for a uint8 photo, else float32 in [0, 255].

        Raises:
          ValueError: an image or target that cannot be served, or no network where one is needed.
        """
        from dnr_jax.inputs import check_target

        context = Context() if context is None else context
        grey = image.ndim == 2
        photo = np.asarray(np.repeat(image[..., None], 3, -1) if grey else image)
        if photo.ndim != 3 or photo.shape[-1] not in (3, 4) or not (photo.dtype == np.uint8 or photo.dtype.kind == "f"):
            raise ValueError(f"image is {image.dtype} {image.shape}: give uint8 or float [height, width, 3 or 4]")
        check_target(target, (photo.shape[0], photo.shape[1]))
        if self.needs_network and context.network is None:
            raise ValueError(f"method {self.name} looks through a network: give one, for instance the embedded one")
        context = dataclasses.replace(context, config=context.config.resolve((photo.shape[0], photo.shape[1])))
        pixels = photo.astype(np.float32)
        if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 255):
            raise ValueError("image holds values outside [0, 255]: scale it to that range")
        make_room()
        result = np.clip(self.function(pixels, target, context), 0, 255)
        result = result.mean(-1, dtype=np.float32) if grey else result.astype(np.float32)
        return np.rint(result).astype(np.uint8) if image.dtype == np.uint8 else result

    @property
    def function(self) -> Baseline:
        """The operator itself, without checks or conversions."""
        module, name = self.home.split(":")
        return getattr(import_module(f"dnr_jax.baselines.{module}"), name)


_ALL = (
    Method("cr", "scaling:crop", "the best window by importance", True, ("taps",)),
    Method("scl", "scaling:scale", "uniform scaling"),
    Method("sc", "seam_carving:carve_gradient", "seam carving, gradient energy (Avidan and Shamir 2007)"),
    Method("sc_forward", "seam_carving:carve_forward", "seam carving, forward energy (Rubinstein et al. 2008)"),
    Method("warp", "wolf_warp:warp", "non-homogeneous warping (Wolf et al. 2007)"),
    Method("multiop", "multi_operator:multi_operator", "crop, scaling and seams combined (Rubinstein et al. 2009)"),
    Method(
        "deep_sc",
        "deep_seams:deep_seam_carving",
        "DNR's seams taken from the pixels",
        True,
        ("taps", "alpha", "region"),
    ),
    Method("deepir", "deepir:deepir", "deep feature columns sampled evenly (Lin et al. 2018)", True, ("seed",)),
)
METHODS: dict[str, Method] = {method.name: method for method in _ALL}
"""Every operator by its name."""
