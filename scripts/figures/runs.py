"""Runs DNR, and the operators that figures show beside it, on one photo with one network."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dnr_jax.baselines import METHODS, Context
from dnr_jax.config import PAPER_GEOMETRY, RetargetConfig
from dnr_jax.inspection.drawing import to_picture
from dnr_jax.inspection.table import show_size
from dnr_jax.pipeline import retarget
from dnr_jax.planning.importance import analyse
from dnr_jax.planning.passes import replay
from dnr_jax.planning.plan import Plan, make_plan
from dnr_jax.progress import Progress
from dnr_jax.rendering.render import crop
from dnr_jax.result import Result
from dnr_jax.weights import Weights

THREE_TAPS = ("block1_conv1", "block3_conv1", "block5_conv1")
"""The taps of the paper's Sec. 4.3."""


class Studio:
    """A photo and a network, which keeps a list of what was run with them.

    Args:
      photo: the photo, uint8 [H, W, 3].
      weights: the network, and where it comes from.
      steps: how many steps every reconstruction takes, and every refinement half as many; None for the numbers that
        each figure has of its own.
      progress: called as the long stages advance; None for nobody.
    """

    def __init__(self, photo: np.ndarray, weights: Weights, *, steps: int | None, progress: Progress | None = None):
        self.photo = photo
        self.weights = weights
        self.steps = steps
        self.progress = progress
        self.runs: list[dict[str, Any]] = []

    @property
    def size(self) -> tuple[int, int]:
        """The (height, width) of the photo."""
        return self.photo.shape[0], self.photo.shape[1]

    def narrowed(self, share: float) -> tuple[int, int]:
        """The (height, width) at which the photo has this share of its width."""
        return self.size[0], max(1, round(share * self.size[1]))

    def config(self, *, snapshots: int = 0, **options: Any) -> RetargetConfig:
        """The config of a run, with seams and warp as in the paper, in which nothing stops early.

        Args:
          snapshots: how many images of the reconstruction to keep, evenly spaced, the last after the last step.
          options: further options of `RetargetConfig`.
        """
        if self.steps is not None:
            options["reconstruct_steps"] = self.steps
            options["refine_steps"] = min(self.steps // 2, options.get("refine_steps", self.steps))
        if snapshots:
            every = max(1, options.get("reconstruct_steps", RetargetConfig().reconstruct_steps) // snapshots)
            options |= {"reconstruct_steps": every * snapshots, "snapshot_every": every, "tolerance": 0.0}
        return RetargetConfig(**{**PAPER_GEOMETRY, **options})

    def dnr(self, share: float, config: RetargetConfig) -> Result:
        """Retargets the photo by DNR to a share of its width."""
        self._note("dnr", share, dataclasses.asdict(config))
        return retarget(self.photo, self.narrowed(share), config, self.weights, progress=self.progress)

    def operator(self, name: str, share: float) -> np.ndarray:
        """Retargets the photo by another operator to a share of its width; uint8 [H, W', 3]."""
        method, config = METHODS[name], self.config()
        self._note(name, share, {option: getattr(config, option) for option in method.options})
        network = self.weights.network if method.needs_network else None
        context = Context(network=network, config=config, progress=self.progress)
        return method(self.photo, self.narrowed(share), context)

    def importance(self, taps: tuple[str, ...]) -> tuple[jax.Array, ...]:
        """The importance S_l of the photo at each tap, float32 [h_l, w_l]."""
        self.weights.network.check_taps(taps)
        return analyse(self.weights.network, jnp.asarray(self.photo, jnp.float32), taps, ()).importance

    def plan(self, share: float, config: RetargetConfig) -> Plan:
        """Finds the seams and the warp to a share of the width, without rendering anything."""
        if min(self.size) < config.levels[-1].stride:
            raise ValueError(f"the photo is {show_size(self.size)}: {config.taps[-1]} needs {config.levels[-1].stride}")
        self._note("seams", share, dataclasses.asdict(config))
        return make_plan(self.importance(config.taps), self.size, self.narrowed(share), config)

    def carved(self, plan: Plan, config: RetargetConfig) -> np.ndarray:
        """The photo without the pixels of a plan's seams, uint8 [H, W', 3]."""
        pixels = replay(plan.passes, jnp.asarray(self.photo, jnp.float32), 0, config)
        return to_picture(crop(pixels, plan.mid))

    def _note(self, method: str, share: float, config: dict[str, Any]) -> None:
        self.runs.append({"method": method, "width": share, "config": config})
