"""The whole method as one pure function of a padded photo, for `jax.vmap` and any number of devices.

Sizes and targets are traced, so that a photo's seams, canvas and stopping points do not depend on its neighbours in the
batch. The function composes the functions that `dnr_jax.pipeline.retarget` composes, and gives the same results.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from dnr_jax.batch.buckets import Bucket
from dnr_jax.config import RetargetConfig
from dnr_jax.networks.network import Network
from dnr_jax.padding import fit
from dnr_jax.planning.importance import Overview, analyse
from dnr_jax.planning.numbers import Numbers
from dnr_jax.planning.passes import Pass
from dnr_jax.planning.plan import Moves, find_moves, warp_side
from dnr_jax.planning.seam_maps import make_seam_maps
from dnr_jax.planning.warp import Warp
from dnr_jax.rendering.joints import Tiles, worthwhile
from dnr_jax.rendering.optimise import minimise_traced, record_capacity
from dnr_jax.rendering.reconstruct import FeatureLoss
from dnr_jax.rendering.refine import SampledLoss, SampledTargets
from dnr_jax.rendering.render import loss_features, only_near_joints, prepare, schedules, shift_opacity
from dnr_jax.rendering.sampler import sample
from dnr_jax.rendering.tiles import TiledImage, TiledLoss, TiledSampledLoss, tile_targets


class Padded(NamedTuple):
    """One photo in the upper left corner of its bucket's shape [H, W]; a batch of them has another axis first.

    Attributes:
      photo: float32 [H, W, 3] in [0, 255].
      opacity: float32 [H, W] in [0, 1]; None where the bucket has no opacity.
      protect: bool [H, W], true for what is protected; None where the bucket has no masks.
      salience: float32 [SIDE, SIDE] in [0, 2], what the photo is of; not used with objects=none.
      size: int32 [2], the photo's (height, width).
      small: int32 [2], the (height, width) of its overview, as `overview_size` gives it.
      target: int32 [2], the (height, width) wanted.
      reach: int32 [2], the (height, width) that seams may lead to, between the size and the target.
    """

    photo: jax.Array
    opacity: jax.Array | None
    protect: jax.Array | None
    salience: jax.Array
    size: jax.Array
    small: jax.Array
    target: jax.Array
    reach: jax.Array


class Course(NamedTuple):
    """How an optimisation went.

    Attributes:
      losses: float32 [capacity], the loss before each step and after the last one; infinite past that.
      steps: int32, how many steps were taken.
    """

    losses: jax.Array
    steps: jax.Array


class Retargeted(NamedTuple):
    """What became of one photo.

    Attributes:
      image: float32 [H', W', 3], or with opacity [H', W', 4], in [0, 255]; as large as the bucket's canvas, with the
        result in its upper left corner, as large as the target.
      mid: int32 [2], the (height, width) that the seams led to.
      threshold: float32, the largest mean importance that a seam of the deepest level could have.
      removed: int32 [rounds, taps], how many seams each round took (or inserted) at each level.
      reconstruct_losses: float32 [capacity], the reconstruction's losses as in `Course`.
      reconstruct_steps: int32, how many steps the reconstruction took.
      refine_losses: float32 [capacity], the refinement's losses as in `Course`.
      refine_steps: int32, how many steps the refinement took.
      warps: the warps of the width and of the height, after the seams.
      passes: the seams of each round; None unless they were asked for.
    """

    image: jax.Array
    mid: jax.Array
    threshold: jax.Array
    removed: jax.Array
    reconstruct_losses: jax.Array
    reconstruct_steps: jax.Array
    refine_losses: jax.Array
    refine_steps: jax.Array
    warps: tuple[Warp, Warp]
    passes: tuple[Pass, ...] | None


def retarget_padded(
    network: Network,
    padded: Padded,
    numbers: Numbers,
    *,
    config: RetargetConfig,
    bucket: Bucket,
    canvases: tuple[tuple[int, int], ...] | None = None,
    apart: bool = False,
    keep_seams: bool = False,
) -> Retargeted:
    """Retargets one padded photo; gives what `retarget` gives for the photo alone.

    Args:
      network: the feature network.
      padded: the photo.
      numbers: the config's traced options.
      config: the options; static, so the traced ones are read from `numbers`.
      bucket: the static shapes and rounds.
      canvases: the (height, width)s that the intermediate image may be computed on; the first that holds it is taken,
        and the last must be the bucket's canvas. None for that alone. Under `jax.vmap` all of them would be computed.
      apart: whether photos run one after the other. Then a photo without seams is only warped, and only tiles near
        joints are optimised, where the config says so; under `jax.vmap` every photo would pay for both ways.
      keep_seams: whether the result holds the passes.
    """
    canvases = (bucket.canvas,) if canvases is None else canvases
    size, small, target, reach = (
        (pair[0], pair[1]) for pair in (padded.size, padded.small, padded.target, padded.reach)
    )
    importance = analyse(
        network, padded.photo, config.taps, (), overview=Overview(size, small), small_shape=bucket.small
    ).importance
    salience = padded.salience if config.objects == "auto" else None
    maps, threshold = make_seam_maps(
        importance, padded.photo, salience, padded.protect, None, size, numbers, config=config
    )
    moves = find_moves(
        maps, size, reach, target, threshold, numbers, rounds=bucket.rounds, room=bucket.canvas, config=config
    )
    taken = [jnp.stack([seams.removed for seams in step.carving.levels]) for step in moves.passes]
    removed = jnp.stack(taken) if taken else jnp.zeros((0, len(config.taps)), jnp.int32)
    shared: Any = {"config": config, "bucket": bucket, "apart": apart}
    ways = [partial(_render, network, numbers, canvas=canvas, **shared) for canvas in canvases]
    mid = tuple(jnp.asarray(n, jnp.int32) for n in moves.mid)
    holds = jnp.stack([(mid[0] <= height) & (mid[1] <= width) for height, width in canvases])
    way = jnp.argmax(holds)
    if apart and config.init == "seam":
        # Where no seam goes, the photo has its own features already.
        ways.append(partial(_warp_only, config=config, bucket=bucket))
        way = jnp.where(jnp.any(removed > 0), way, len(canvases))
    built, refined, image = lax.switch(way, ways, padded, moves)
    return Retargeted(
        image=jnp.clip(image, 0, 255),
        mid=jnp.stack(mid),
        threshold=threshold,
        removed=removed,
        reconstruct_losses=built.losses,
        reconstruct_steps=built.steps,
        refine_losses=refined.losses,
        refine_steps=refined.steps,
        warps=moves.warps,
        passes=moves.passes if keep_seams else None,
    )


def _warp_only(
    padded: Padded, moves: Moves, *, config: RetargetConfig, bucket: Bucket
) -> tuple[Course, Course, jax.Array]:
    """The photo warped as it is, float32 [*bucket.canvas, 3 or 4]; both optimisations take no step and have loss 0."""
    courses = []
    for steps in (config.reconstruct_steps, config.refine_steps):
        losses = jnp.full(record_capacity(steps), jnp.inf, jnp.float32).at[0].set(0)
        courses.append(Course(losses, jnp.int32(0)))
    return courses[0], courses[1], _warp(padded.photo, padded.opacity, moves, bucket.canvas)


def _render(
    network: Network,
    numbers: Numbers,
    padded: Padded,
    moves: Moves,
    *,
    config: RetargetConfig,
    bucket: Bucket,
    canvas: tuple[int, int],
    apart: bool,
) -> tuple[Course, Course, jax.Array]:
    """How reconstruction and refinement on a canvas went, and the warped image, float32 [*bucket.canvas, 3 or 4]."""
    size, mid = (padded.size[0], padded.size[1]), moves.mid
    targets, start, tiles = prepare(
        network,
        loss_features(network, padded.photo, size, config),
        padded.photo,
        moves.passes,
        size,
        mid,
        numbers,
        canvas=canvas,
        config=config,
        near_joints=apart and only_near_joints(config, network),
    )
    loss, (rates, shifts) = FeatureLoss(config.loss_taps, config.loss), schedules(config, numbers)
    still = jnp.zeros((*canvas, 2), jnp.float32)

    def everywhere(_: Tiles | None) -> tuple[Any, ...]:
        found = minimise_traced(loss, start, targets, rates)
        return *found, *minimise_traced(SampledLoss(loss), still, SampledTargets(found[0], targets), shifts)

    def near_joints(tiles: Tiles) -> tuple[Any, ...]:
        tiled = tile_targets(loss, start, targets, tiles)
        found = minimise_traced(TiledLoss(loss), start, tiled, rates)
        return *found, *minimise_traced(TiledSampledLoss(loss), still, TiledImage(found[0], tiled), shifts)

    if tiles is None:
        built, *course, shift, shift_losses, shift_steps = everywhere(None)
    else:
        built, *course, shift, shift_losses, shift_steps = lax.cond(worthwhile(tiles), near_joints, everywhere, tiles)
    opacity = None
    if padded.opacity is not None:
        opacity = shift_opacity(padded.opacity, moves.passes, shift, mid, canvas=canvas, config=config)[..., 0]
    image = _warp(sample(built, shift, size=mid), opacity, moves, bucket.canvas)
    return Course(*course), Course(shift_losses, shift_steps), image


def _warp(image: jax.Array, opacity: jax.Array | None, moves: Moves, canvas: tuple[int, int]) -> jax.Array:
    """The image, float32 [H, W, 3], and 255 times its opacity warped to the target, float32 [*canvas, 3 or 4]."""
    if opacity is not None:
        image = jnp.concatenate([image, 255 * opacity[..., None]], -1)
    across, down = moves.warps
    warped = warp_side(warp_side(image, across, "width", canvas[1]), down, "height", canvas[0])
    return fit(warped, canvas)
